//! A command acts once, however often it is sent: every kind, over the wire.

use earmark_protocol::catalogue::{NodeSpec, NodeState, SkuSpec, capabilities};
use earmark_protocol::command::*;
use earmark_protocol::ids::{CommandId, HoldClass, LineId, NodeIx, Segment, SkuIx};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{DigestReply, Reply};

use crate::world::{World, config, done, refusal, reserved, step};

async fn digest(world: &World) -> DigestReply {
    match world.client.query(Query::Digest).await.unwrap() {
        Reply::Digest(digest) => digest,
        other => panic!("{other:?}"),
    }
}

/// Sends it twice under one id, and once with other content under the same id.
async fn twice(world: &World, body: CommandBody) -> CommandId {
    let id = world.client.new_id();
    let first = world.client.command_as(id, body.clone()).await.unwrap();
    assert_eq!(refusal(&first), None, "{body:?} gave {first:?}");
    let after_first = digest(world).await;
    let second = world.client.command_as(id, body.clone()).await.unwrap();
    assert_eq!(second, first, "{body:?}");
    let other = CommandBody::Release(step(id));
    assert_eq!(
        refusal(&world.client.command_as(id, other).await.unwrap()),
        Some(RefusalCode::IdReused),
        "{body:?}"
    );
    assert_eq!(digest(world).await, after_first, "{body:?} changed something again");
    id
}

#[tokio::test]
async fn a_retry_of_every_command_gives_the_same_answer_and_changes_nothing() {
    let world = World::start(config()).await;
    let (sku, node, segment) = (world.skus[0], world.nodes[0], Segment(0));
    let cell = CellQuantity { sku, node, segment, quantity: 2 };
    let hold = |quantity| {
        CommandBody::Hold(Hold {
            cells: vec![CellQuantity { quantity, ..cell }],
            class: HoldClass(0),
            lifetime_ms: 0,
            best_effort: false,
            supply_by: None,
        })
    };
    let reserve = |skus: &[SkuIx]| {
        let order = world.order(skus);
        CommandBody::Reserve(Reserve {
            order,
            class: HoldClass(1),
            lifetime_ms: 5_000_000,
            best_effort: false,
        })
    };

    let held = twice(&world, hold(2)).await;
    twice(&world, CommandBody::Extend(Extend { reservation: held, lifetime_ms: 60_000 })).await;
    let lines = vec![AmendLine { line: LineId(0), quantity: 3 }];
    twice(&world, CommandBody::Amend(Amend { reservation: held, lines, best_effort: false })).await;
    twice(&world, CommandBody::Confirm(step(held))).await;
    twice(&world, CommandBody::Dispatch(step(held))).await;
    twice(&world, CommandBody::Ship(step(held))).await;

    let picked_up = twice(&world, hold(1)).await;
    done(&world.client, CommandBody::Confirm(step(picked_up))).await;
    done(&world.client, CommandBody::Dispatch(step(picked_up))).await;
    twice(&world, CommandBody::Ready(step(picked_up))).await;
    twice(&world, CommandBody::Collect(step(picked_up))).await;

    let (released, _) = reserved(&world.client, hold(1)).await;
    twice(&world, CommandBody::Release(step(released))).await;
    let (cancelled, _) = reserved(&world.client, hold(1)).await;
    done(&world.client, CommandBody::Confirm(step(cancelled))).await;
    twice(&world, CommandBody::Cancel(step(cancelled))).await;

    let routed = twice(&world, reserve(&world.skus[..3])).await;
    let Reply::Shown(view) = world.client.query(Query::Show(routed)).await.unwrap() else {
        panic!("not there")
    };
    let from = view.rows[0].node;
    let reject = Reject {
        reservation: routed,
        node: from,
        lines: Vec::new(),
        correction: Correction::Missing,
        reason: "shelf is empty".to_owned(),
        reroute: true,
    };
    twice(&world, CommandBody::Reject(reject)).await;
    let Reply::Shown(view) = world.client.query(Query::Show(routed)).await.unwrap() else {
        panic!("not there")
    };
    let elsewhere: u32 = view.rows.iter().filter(|row| row.node != from).map(|row| row.held).sum();
    assert_eq!(elsewhere, 3, "all lines were routed again: {view:?}");

    let counts = vec![StockCount { sku, node, segment, on_hand: 50, safety: Some(2) }];
    twice(&world, CommandBody::SetStock(SetStock { source: 7, as_of: None, counts })).await;
    let changes = vec![StockChange { sku, node, segment, delta: -4 }];
    twice(&world, CommandBody::AdjustStock(AdjustStock { changes })).await;
    twice(&world, CommandBody::Restock(Restock { cell, disposition: Disposition::Unsellable })).await;
    let transfer = Transfer { from: cell, to_node: world.nodes[1], to_segment: segment };
    twice(&world, CommandBody::Transfer(transfer)).await;

    twice(&world, CommandBody::PutSkus(vec![SkuSpec { code: "new".to_owned(), ..SkuSpec::default() }])).await;
    twice(&world, CommandBody::RetireSkus(vec![world.skus[9]])).await;
    let spec = NodeSpec {
        code: "north".to_owned(),
        time_zone: "UTC".to_owned(),
        capabilities: capabilities::SHIP,
        ..NodeSpec::default()
    };
    twice(&world, CommandBody::PutNodes(vec![spec])).await;
    let paused = SetNodeState { node: world.nodes[2], state: NodeState::Paused };
    twice(&world, CommandBody::SetNodeState(paused)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_refusal_is_remembered_too() {
    let world = World::start(config()).await;
    let id = world.client.new_id();
    let cells =
        vec![CellQuantity { sku: world.skus[0], node: world.nodes[0], segment: Segment(0), quantity: 101 }];
    let body = CommandBody::Hold(Hold {
        cells,
        class: HoldClass(0),
        lifetime_ms: 0,
        best_effort: false,
        supply_by: None,
    });
    let first = world.client.command_as(id, body.clone()).await.unwrap();
    assert_eq!(refusal(&first), Some(RefusalCode::OutOfStock));
    let more =
        vec![StockChange { sku: world.skus[0], node: world.nodes[0], segment: Segment(0), delta: 900 }];
    done(&world.client, CommandBody::AdjustStock(AdjustStock { changes: more })).await;
    assert_eq!(
        world.client.command_as(id, body).await.unwrap(),
        first,
        "the answer stays, though there is stock now"
    );
    let unknown = NodeIx(77);
    let question = Query::Show(id);
    assert_eq!(refusal(&world.client.query(question).await.unwrap()), Some(RefusalCode::UnknownReservation));
    assert!(world.nodes.iter().all(|node| *node != unknown));
    world.stop().await;
}
