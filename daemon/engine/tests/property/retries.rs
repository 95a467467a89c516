//! A retry of any command with the same id gives the same answer and changes nothing.

use earmark_protocol::catalogue::{NodeSpec, NodeState, SkuSpec, capabilities};
use earmark_protocol::command::{
    AdjustStock, Amend, AmendLine, CellQuantity, CommandBody, Correction, Disposition, Extend, Reject,
    Restock, SetNodeState, SetStock, Step, StockChange, StockCount, Transfer,
};
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::{CommandId, HoldClass, LineId, NodeIx, Segment, SkuIx, Tenant};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Refused, Reply};

use crate::drive::{Answer, Given, Scene};

/// One of each command, in the order of the wire, each of which is taken in a fresh scene.
fn one_of_each(scene: &mut Scene) -> Vec<(&'static str, CommandBody)> {
    let cell = CellQuantity { sku: SkuIx(0), node: NodeIx(0), segment: Segment(0), quantity: 2 };
    let step = |reservation| Step { reservation, lines: Vec::new(), best_effort: false };
    let stages =
        ["held", "held", "held", "confirmed", "dispatched", "dispatched", "ready", "held", "confirmed"];
    let made: Vec<CommandId> = stages.iter().map(|stage| scene.reservation_in(stage, 2)).collect();
    let routed = scene.given(Scene::reserve(3));
    scene.pair.submit(Tenant(0), &routed);
    let routed = routed.id();
    vec![
        ("hold", Scene::hold(2)),
        ("reserve", Scene::reserve(2)),
        ("confirm", CommandBody::Confirm(step(made[0]))),
        ("release", CommandBody::Release(step(made[1]))),
        ("cancel", CommandBody::Cancel(step(made[2]))),
        ("dispatch", CommandBody::Dispatch(step(made[3]))),
        ("ready", CommandBody::Ready(step(made[4]))),
        ("ship", CommandBody::Ship(step(made[5]))),
        ("collect", CommandBody::Collect(step(made[6]))),
        ("extend", CommandBody::Extend(Extend { reservation: made[7], lifetime_ms: 5_000 })),
        (
            "amend",
            CommandBody::Amend(Amend {
                reservation: made[8],
                lines: vec![AmendLine { line: LineId(0), quantity: 3 }],
                best_effort: false,
            }),
        ),
        (
            "reject",
            CommandBody::Reject(Reject {
                reservation: routed,
                node: scene.row(routed).node,
                lines: Vec::new(),
                correction: Correction::Missing,
                reason: "the shelf is empty".into(),
                reroute: true,
            }),
        ),
        (
            "set",
            CommandBody::SetStock(SetStock {
                source: 1,
                as_of: None,
                counts: vec![StockCount {
                    sku: cell.sku,
                    node: cell.node,
                    segment: cell.segment,
                    on_hand: 33,
                    safety: Some(1),
                }],
            }),
        ),
        (
            "adjust",
            CommandBody::AdjustStock(AdjustStock {
                changes: vec![StockChange {
                    sku: cell.sku,
                    node: cell.node,
                    segment: cell.segment,
                    delta: -1,
                }],
            }),
        ),
        ("restock", CommandBody::Restock(Restock { cell, disposition: Disposition::Unsellable })),
        (
            "transfer",
            CommandBody::Transfer(Transfer { from: cell, to_node: NodeIx(1), to_segment: Segment(1) }),
        ),
        ("put skus", CommandBody::PutSkus(vec![SkuSpec { code: "new".into(), ..SkuSpec::default() }])),
        ("retire skus", CommandBody::RetireSkus(vec![SkuIx(1)])),
        (
            "put nodes",
            CommandBody::PutNodes(vec![NodeSpec {
                code: "new".into(),
                time_zone: "UTC".into(),
                capabilities: capabilities::SHIP,
                ..NodeSpec::default()
            }]),
        ),
        (
            "set node state",
            CommandBody::SetNodeState(SetNodeState { node: NodeIx(1), state: NodeState::Paused }),
        ),
    ]
}

#[test]
fn every_command_is_tried() {
    let mut scene = Scene::open();
    let bodies = one_of_each(&mut scene);
    let numbers: Vec<u32> = bodies.into_iter().map(|(_, body)| scene.given(body).number()).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    let beyond = [20_u8, 0, 0, 0];
    assert!(
        earmark_protocol::codec::decode::<CommandBody>(&beyond).is_err(),
        "a command was appended: try its retry too"
    );
}

/// Submits, submits again, and with other content; the answers of the first two.
fn submit_twice(scene: &mut Scene, name: &str, given: &Given) -> Answer {
    let first = scene.pair.submit(Tenant(0), given);
    let (digest, lsn) = (scene.pair.digest(), scene.pair.model.lsn);
    for later_ms in [0, 1, 1_000] {
        scene.pair.now = scene.pair.now.plus_ms(later_ms);
        let again = scene.pair.submit(Tenant(0), given);
        assert_eq!(again, first, "{name}: the same answer after {later_ms} ms");
        assert_eq!(scene.pair.digest(), digest, "{name}: nothing changes");
        assert_eq!(scene.pair.model.lsn, lsn, "{name}: nothing is decided");
    }
    first
}

#[test]
fn a_retry_of_any_command_gives_the_same_answer_and_changes_nothing() {
    let names: Vec<_> = one_of_each(&mut Scene::open()).into_iter().map(|(name, _)| name).collect();
    for (place, name) in names.into_iter().enumerate() {
        let mut scene = Scene::open();
        let body = one_of_each(&mut scene).swap_remove(place).1;
        let given = scene.given(body);
        let answer = submit_twice(&mut scene, name, &given);
        assert!(!matches!(answer, Answer::Full(Reply::Refused(_))), "{name} is taken: {answer:?}");
    }
}

#[test]
fn a_retry_of_a_refused_command_is_refused_again_though_it_could_be_taken_by_now() {
    let mut scene = Scene::open();
    let given = scene.given(Scene::hold(21));
    let answer = submit_twice(&mut scene, "hold", &given);
    assert!(scene.is_refused(&answer, RefusalCode::OutOfStock));
    let cell = CellQuantity { sku: SkuIx(0), node: NodeIx(0), segment: Segment(0), quantity: 5 };
    scene.submit(Tenant(0), CommandBody::Restock(Restock { cell, disposition: Disposition::Sellable }));
    assert_eq!(scene.pair.submit(Tenant(0), &given), answer);
}

#[test]
fn a_retry_of_a_hold_says_where_it_stands_now() {
    let mut scene = Scene::open();
    let given = scene.given(Scene::hold(2));
    let Answer::Full(Reply::Reserved(first)) = scene.pair.submit(Tenant(0), &given) else {
        panic!("the hold is taken");
    };
    let step = Step { reservation: given.id(), lines: Vec::new(), best_effort: false };
    scene.submit(Tenant(0), CommandBody::Confirm(step));
    let Answer::Full(Reply::Reserved(again)) = scene.pair.submit(Tenant(0), &given) else {
        panic!("the retry is answered as the hold was");
    };
    assert_eq!((again.lsn, &again.plan), (first.lsn, &first.plan));
    assert_eq!(again.status, earmark_protocol::reply::Status::Confirmed);
    assert_eq!(again.deadline.0, 0);
}

#[test]
fn a_retry_of_a_hold_of_one_cell_gives_the_same_answer() {
    let mut scene = Scene::open();
    for quantity in [2, 99] {
        let id = scene.id();
        let one = HoldOne { id, quantity, class: HoldClass(0), ..HoldOne::default() };
        submit_twice(&mut scene, "hold one", &Given::One(one));
    }
}

#[test]
fn an_id_with_other_content_is_refused_and_nothing_changes() {
    let mut scene = Scene::open();
    for (name, body) in one_of_each(&mut scene) {
        let mut given = scene.given(body);
        scene.pair.submit(Tenant(0), &given);
        let digest = scene.pair.digest();
        if let Given::Full(command) = &mut given {
            command.body = Scene::hold(7);
        }
        let answer = scene.pair.submit(Tenant(0), &given);
        let Answer::Full(Reply::Refused(Refused { lsn, refusal })) = answer else {
            panic!("{name}: {answer:?}");
        };
        assert_eq!((lsn.0, refusal.code), (0, RefusalCode::IdReused), "{name}");
        assert_eq!(scene.pair.digest(), digest, "{name}: nothing changes");
    }
}

#[test]
fn a_duplicate_after_the_retry_window_never_acts() {
    let mut scene = Scene::open();
    let window_ms = scene.pair.model.rules.retry_window_ms;
    for (name, body) in one_of_each(&mut scene) {
        let given = scene.given(body);
        scene.pair.now = scene.pair.now.plus_ms(window_ms + 1);
        while scene.pair.expire(100) {}
        let digest = scene.pair.digest();
        let answer = scene.pair.submit(Tenant(0), &given);
        assert!(scene.is_refused(&answer, RefusalCode::IdTooOld), "{name}: {answer:?}");
        assert_eq!(scene.pair.digest(), digest, "{name}: nothing changes");
    }
}
