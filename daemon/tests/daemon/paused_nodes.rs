//! After the answer to a pause, no hold lands at that node, however many are under way.

use earmark_protocol::catalogue::NodeState;
use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, Reserve, SetNodeState};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::HoldClass;
use earmark_protocol::query::Query;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::Reply;

use crate::world::{World, client_config, config, done, refusal};

#[tokio::test]
async fn no_hold_lands_at_a_node_after_its_pause_is_answered() {
    let daemon = earmark::serve::Daemon::start(config()).unwrap();
    let client = Client::connect(client_config(&daemon)).await.unwrap();
    let world = World::stock(daemon, client, 4, 1_000_000).await;
    let (east, paused) = (world.nodes[0], tokio::sync::watch::channel(None));
    let mut workers = Vec::new();
    for worker in 0..8 {
        let client = Client::connect(client_config(&world.daemon)).await.unwrap();
        let (order, skus) = (world.order(&world.skus[..2]), world.skus.clone());
        let mut told = paused.1.clone();
        workers.push(tokio::spawn(async move {
            // Goes on for a while after the pause; gives the places in the log at which it held at the node.
            let (mut held_at, mut after) = (Vec::new(), 0);
            while after < 50 {
                after += u32::from(told.borrow_and_update().is_some());
                if worker % 2 == 0 {
                    let id = client.new_id();
                    let hold = HoldOne { id, sku: skus[0], node: east, quantity: 1, ..HoldOne::default() };
                    match client.hold_one(hold).await.unwrap() {
                        HoldOneReply::Held { lsn, .. } => held_at.push(lsn),
                        HoldOneReply::Refused(why) => {
                            assert_eq!(why.refusal.code, RefusalCode::NodeNotActive)
                        }
                    }
                } else {
                    let order = order.clone();
                    let body = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: false };
                    let reply = client.command(CommandBody::Reserve(body)).await.unwrap();
                    let Reply::Reserved(reserved) = &reply else {
                        assert_eq!(refusal(&reply), Some(RefusalCode::Contended), "{reply:?}");
                        continue;
                    };
                    if reserved
                        .plan
                        .iter()
                        .flat_map(|plan| &plan.shipments)
                        .any(|shipment| shipment.node == east)
                    {
                        held_at.push(reserved.lsn);
                    }
                }
            }
            held_at
        }));
    }
    // Let traffic run before the pause: until some hundred commands were decided.
    while world.stat("commands").await < 400 {
        tokio::task::yield_now().await;
    }
    let pause = SetNodeState { node: east, state: NodeState::Paused };
    let answered = done(&world.client, CommandBody::SetNodeState(pause)).await;
    paused.0.send(Some(answered.lsn)).unwrap();
    let mut before = 0;
    for worker in workers {
        let held_at = worker.await.unwrap();
        assert!(held_at.iter().all(|lsn| *lsn < answered.lsn), "a hold landed after the pause");
        before += held_at.len();
    }
    assert!(before > 0, "holds did land there before the pause");
    let Reply::Cells(cells) = world.client.query(Query::Cells(world.skus[0])).await.unwrap() else {
        panic!()
    };
    assert!(cells.iter().any(|cell| cell.node == east && cell.held > 0), "what it holds, it keeps");
    world.stop().await;
}
