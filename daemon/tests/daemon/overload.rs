//! More work than can be done is answered, at once, and what is let in is done whole.

use earmark::config::CommitMode;
use earmark_protocol::client::{Client, ClientConfig};
use earmark_protocol::command::{AdjustStock, CommandBody, StockChange};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{Segment, SkuIx};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::Reply;

use crate::world::{World, client_config, config};

#[tokio::test]
async fn a_full_queue_is_answered_overloaded_and_nothing_is_done_by_halves() {
    let mut config = config();
    (config.commit.mode, config.commit.queue) = (CommitMode::Thread, 1);
    let daemon = earmark::serve::Daemon::start(config).unwrap();
    let client = Client::connect(client_config(&daemon)).await.unwrap();
    let world = World::stock(daemon, client, 1_000, 1_000).await;
    // One place in the queue, and a committer that is kept busy by long lists.
    let slow: Vec<StockChange> = world
        .skus
        .iter()
        .flat_map(|sku| world.nodes.iter().map(|node| (*sku, *node)))
        .map(|(sku, node)| StockChange { sku, node, segment: Segment(0), delta: 1 })
        .collect();
    let mut adjusted = 0;
    let mut held = 0;
    let mut overloaded = 0;
    let busy = Client::connect(ClientConfig { pipes: 4, ..client_config(&world.daemon) }).await.unwrap();
    let eager = Client::connect(ClientConfig { pipes: 16, ..client_config(&world.daemon) }).await.unwrap();
    let mut rounds = 0;
    while overloaded == 0 {
        rounds += 1;
        assert!(rounds < 500, "a queue of one place never filled");
        let adjusting = (0..4).map(|_| {
            let (busy, changes) = (busy.clone(), slow.clone());
            tokio::spawn(async move {
                busy.command(CommandBody::AdjustStock(AdjustStock { changes })).await.unwrap()
            })
        });
        let adjusting: Vec<_> = adjusting.collect();
        let holding = (0..64).map(|_| {
            let (eager, hold) = (eager.clone(), HoldOne { sku: world.skus[0], ..world.hold_one() });
            tokio::spawn(async move { eager.hold_one(hold).await.unwrap() })
        });
        let holding: Vec<_> = holding.collect();
        for reply in adjusting {
            match reply.await.unwrap() {
                Reply::Done(done) => adjusted += done.moved,
                Reply::Refused(why) => {
                    assert_eq!((why.refusal.code, why.lsn.0), (RefusalCode::Overloaded, 0));
                    overloaded += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        for reply in holding {
            match reply.await.unwrap() {
                HoldOneReply::Held { .. } => held += 1,
                HoldOneReply::Refused(why) => {
                    assert_eq!((why.refusal.code, why.lsn.0), (RefusalCode::Overloaded, 0));
                    overloaded += 1;
                }
            }
        }
    }
    assert_eq!(world.stat("refused_Overloaded").await, overloaded);
    let Reply::Digest(digest) = world.client.query(Query::Digest).await.unwrap() else { panic!("no digest") };
    assert_eq!((digest.on_hand, digest.held), (3_000_000 + adjusted as i64, held));
    world.stop().await;
}

#[tokio::test]
async fn a_retry_of_what_was_overloaded_is_done_as_if_it_were_the_first() {
    let mut config = config();
    let bounds = &mut config.overload;
    // Nothing but finishing steps is let in: all else waits longer than no time at all as soon as work is measured.
    (bounds.quote_ms, bounds.reserve_ms, bounds.other_ms) = (0, 0, 0);
    let world = {
        let daemon = earmark::serve::Daemon::start(config).unwrap();
        let client = Client::connect(client_config(&daemon)).await.unwrap();
        World { daemon, client, skus: vec![SkuIx(0)], nodes: vec![0.into()] }
    };
    let hold = world.hold_one();
    loop {
        let HoldOneReply::Refused(why) = world.client.hold_one(hold).await.unwrap() else {
            panic!("there is no sku")
        };
        if why.refusal.code != RefusalCode::Overloaded {
            // Let in at last, under the same id: decided for the first time.
            assert_eq!(why.refusal.code, RefusalCode::UnknownSku);
            assert!(why.lsn.0 > 0);
            break;
        }
        assert_eq!(why.lsn.0, 0);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_command_whose_give_up_time_has_passed_is_not_decided() {
    let mut config = config();
    config.commit.mode = CommitMode::Thread;
    let daemon = earmark::serve::Daemon::start(config).unwrap();
    let client = Client::connect(client_config(&daemon)).await.unwrap();
    let world = World::stock(daemon, client, 1_000, 1_000).await;
    let changes: Vec<StockChange> = world
        .skus
        .iter()
        .flat_map(|sku| world.nodes.iter().map(|node| (*sku, *node)))
        .map(|(sku, node)| StockChange { sku, node, segment: Segment(0), delta: 1 })
        .collect();
    let mut gave_up = 0;
    let mut held = 0;
    // Behind enough long lists a hold that gives up after a millisecond has no time left: how many is enough hangs
    // on the machine, so each round has more of them.
    for lists in (0..).map(|round| 8 << (round / 4)).take_while(|lists| *lists <= 512) {
        let lists = (0..lists).map(|_| {
            let (client, changes) = (world.client.clone(), changes.clone());
            tokio::spawn(async move {
                client.command(CommandBody::AdjustStock(AdjustStock { changes })).await.unwrap()
            })
        });
        let lists: Vec<_> = lists.collect();
        let holds = (0..8).map(|_| {
            let (client, hold) = (world.client.clone(), HoldOne { give_up_ms: 1, ..world.hold_one() });
            tokio::spawn(async move { client.hold_one(hold).await.unwrap() })
        });
        let holds: Vec<_> = holds.collect();
        for hold in holds {
            match hold.await.unwrap() {
                HoldOneReply::Held { .. } => held += 1,
                HoldOneReply::Refused(why) => {
                    assert_eq!((why.refusal.code, why.lsn.0), (RefusalCode::GaveUp, 0));
                    gave_up += 1;
                }
            }
        }
        for list in lists {
            assert!(matches!(list.await.unwrap(), Reply::Done(_)));
        }
        if gave_up > 0 {
            break;
        }
    }
    assert!(gave_up > 0, "none waited as long as a millisecond");
    let Reply::Digest(digest) = world.client.query(Query::Digest).await.unwrap() else { panic!("no digest") };
    assert_eq!(digest.held, held);
    world.stop().await;
}
