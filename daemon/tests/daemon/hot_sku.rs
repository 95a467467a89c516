//! All the world wants one sku: every unit is sold once, and none is sold that is not there.

use earmark::config::{CommitMode, Config};
use earmark_protocol::client::{Client, ClientConfig};
use earmark_protocol::command::{CommandBody, Reserve};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::HoldClass;
use earmark_protocol::query::Query;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::Reply;

use crate::world::{World, client_config, config, done, step};

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 60;
const ON_HAND: u32 = 500;

/// Units one client holds in the end, by its own account.
async fn hammer(client: Client, world: HotSku, worker: usize) -> u64 {
    let mut own = 0;
    for round in 0..ROUNDS {
        let node = world.nodes[(worker + round) % world.nodes.len()];
        let holds: Vec<HoldOne> = (0..6)
            .map(|_| HoldOne { id: client.new_id(), sku: world.sku, node, quantity: 1, ..HoldOne::default() })
            .collect();
        for (hold, reply) in holds.iter().zip(client.hold_many(&holds).await) {
            match reply.unwrap() {
                HoldOneReply::Held { .. } if round % 3 == 0 => {
                    done(&client, CommandBody::Release(step(hold.id))).await;
                }
                HoldOneReply::Held { .. } => own += 1,
                HoldOneReply::Refused(why) => assert_eq!(why.refusal.code, RefusalCode::OutOfStock),
            }
        }
        let order = world.order.clone();
        let body = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: false };
        match client.command(CommandBody::Reserve(body)).await.unwrap() {
            Reply::Reserved(reserved) => {
                let plan = reserved.plan.expect("a routed order has a plan");
                own +=
                    plan.shipments.iter().flat_map(|s| &s.lines).map(|l| u64::from(l.quantity)).sum::<u64>();
            }
            Reply::Refused(why) => {
                let code = why.refusal.code;
                let expected = [RefusalCode::OutOfStock, RefusalCode::NoNode, RefusalCode::Contended];
                assert!(expected.contains(&code), "{code:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    own
}

#[derive(Clone)]
struct HotSku {
    sku: earmark_protocol::ids::SkuIx,
    nodes: Vec<earmark_protocol::ids::NodeIx>,
    order: earmark_protocol::command::Order,
}

async fn every_unit_is_accounted_for(config: Config) {
    let daemon = earmark::serve::Daemon::start(config).unwrap();
    let client = Client::connect(client_config(&daemon)).await.unwrap();
    let world = World::stock(daemon, client, 1, ON_HAND).await;
    let mut order = world.order(&world.skus);
    order.lines[0].quantity = 3;
    let hot = HotSku { sku: world.skus[0], nodes: world.nodes.clone(), order };
    let mut workers = Vec::new();
    for worker in 0..CONNECTIONS {
        let config = ClientConfig { pipes: 2, ..client_config(&world.daemon) };
        let client = Client::connect(config).await.unwrap();
        workers.push(tokio::spawn(hammer(client, hot.clone(), worker)));
    }
    let mut owned = 0;
    for worker in workers {
        owned += worker.await.unwrap();
    }
    // Three accounts: the clients' own, atp over all cells, the engine's digest.
    let Reply::Digest(digest) = world.client.query(Query::Digest).await.unwrap() else { panic!("no digest") };
    assert_eq!(digest.held, owned);
    assert_eq!(world.available(hot.sku).await, 3 * u64::from(ON_HAND) - owned);
    assert_eq!(digest.cells_short, 0);
    assert!(owned > u64::from(ON_HAND), "the sku was sold");
    world.stop().await;
}

#[tokio::test]
async fn with_the_committer_on_the_io_core() {
    every_unit_is_accounted_for(config()).await;
}

#[tokio::test]
async fn with_the_committer_on_a_thread_of_its_own() {
    let mut config = config();
    config.commit.mode = CommitMode::Thread;
    every_unit_is_accounted_for(config).await;
}

#[tokio::test]
async fn with_three_io_cores_that_take_turns_as_the_committer() {
    let mut config = config();
    (config.commit.mode, config.server.io_cores) = (CommitMode::Inline, 3);
    every_unit_is_accounted_for(config).await;
}

#[tokio::test]
async fn with_plans_made_by_planner_threads() {
    let mut config = config();
    (config.routing.inline_lines_max, config.routing.planner_threads) = (0, 2);
    every_unit_is_accounted_for(config).await;
}
