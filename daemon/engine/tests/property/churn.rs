//! Room that is given back is there again: a small daemon goes on for as long as orders come and end.

use earmark_protocol::command::{
    CellQuantity, Command, CommandBody, Correction, Disposition, Hold, Reject, Restock, Step,
};
use earmark_protocol::ids::{HoldClass, NodeIx, Segment, SkuIx, Tenant};
use earmark_protocol::reply::Reply;

use crate::drive::{Answer, Given, Scene, Setting};

/// Rounds: each uses many times what the capacities could hold if some of it were lost each time.
const ROUNDS: usize = 300;

#[test]
fn orders_that_end_give_their_room_back() {
    let mut setting = Setting::roomy();
    (setting.capacity.reservations, setting.capacity.commands) = (8, 16);
    (setting.capacity.lines, setting.capacity.facts_bytes, setting.tight) = (64, 16_384, true);
    let mut scene = Scene::open_with(&setting);
    for round in 0..ROUNDS {
        // More than there is, so that a plan says what is missing: facts to keep, rows beyond the slot's own.
        let cells = (0..4).map(|place| CellQuantity {
            sku: SkuIx(place / 2),
            node: NodeIx(place % 2),
            segment: Segment(0),
            quantity: if place == 0 { 50 } else { 2 },
        });
        let hold = Hold {
            cells: cells.collect(),
            class: HoldClass(0),
            lifetime_ms: 0,
            best_effort: true,
            supply_by: None,
        };
        let held = take(&mut scene, CommandBody::Hold(hold));
        let step = |reservation| Step { reservation, lines: Vec::new(), best_effort: false };
        if round % 2 == 0 {
            take(&mut scene, CommandBody::Release(step(held)));
        } else {
            scene.pair.now = scene.pair.now.plus_ms(2_100);
            assert!(scene.pair.expire(10));
        }
        let routed = take(&mut scene, Scene::reserve(3));
        let reject = Reject {
            reservation: routed,
            node: scene.row(routed).node,
            lines: Vec::new(),
            correction: Correction::None,
            reason: String::new(),
            reroute: true,
        };
        take(&mut scene, CommandBody::Reject(reject));
        take(&mut scene, CommandBody::Confirm(step(routed)));
        take(&mut scene, CommandBody::Dispatch(step(routed)));
        take(&mut scene, CommandBody::Ship(step(routed)));
        for place in 0..4 {
            let (sku, node, segment) = (SkuIx(place / 2), NodeIx(place % 2), Segment(0));
            let cell = CellQuantity { sku, node, segment, quantity: 3 };
            take(&mut scene, CommandBody::Restock(Restock { cell, disposition: Disposition::Sellable }));
        }
    }
}

/// Submits what no capacity may stand in the way of; its id.
fn take(scene: &mut Scene, body: CommandBody) -> earmark_protocol::ids::CommandId {
    scene.pair.now = scene.pair.now.plus_ms(2);
    let given = Given::Full(Command { id: scene.id(), give_up_ms: 0, body });
    let answer = scene.pair.submit(Tenant(0), &given);
    assert!(!matches!(answer, Answer::Full(Reply::Refused(_))), "{given:?}: {answer:?}");
    given.id()
}
