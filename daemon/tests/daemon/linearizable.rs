//! Histories of many clients are linearizable: there is one order of all commands, the lsn's; it keeps what a client
//! could see happen before something else; and played in it, a few plain maps give every answer that was given.
//!
//! The order is not searched for: each answer names its place. So a history of any length is checked in one pass. The
//! clock of a history counts events and tells no time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use earmark::config::{CommitMode, Config};
use earmark_protocol::client::{Client, ClientConfig};
use earmark_protocol::command::{AdjustStock, CommandBody, StockChange};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{CommandId, NodeIx, Segment, SkuIx};
use earmark_protocol::query::{Atp, Query, Scope};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Reply, Status};
use fastrand::Rng;

use crate::world::{World, client_config, config, step};

const SEED: u64 = 20;
const CLIENTS: u64 = 12;
const EVENTS: usize = 400;
const ON_HAND: u32 = 40;

type Cell = (SkuIx, NodeIx);

/// What was asked and answered.
#[derive(Clone, Debug)]
enum What {
    Hold { id: CommandId, cell: Cell, units: u32, held: bool },
    Release { id: CommandId, moved: u64 },
    Receive { cell: Cell, units: i32 },
    Look { sku: SkuIx, available: Vec<(NodeIx, i64)> },
}

/// An event of a history: when it was asked, when it was answered, and its place in the order.
#[derive(Clone, Debug)]
struct Event {
    asked: u64,
    answered: u64,
    lsn: u64,
    what: What,
}

/// One client's part: random holds, releases of its own, deliveries and looks, one after the other.
async fn act(client: Client, cells: Vec<Cell>, clock: Arc<AtomicU64>, seed: u64) -> Vec<Event> {
    let mut random = Rng::with_seed(seed);
    let mut own = Vec::new();
    let mut events = Vec::new();
    for _ in 0..EVENTS {
        let cell = cells[random.usize(..cells.len())];
        let choice = random.u32(..100);
        let asked = clock.fetch_add(1, Ordering::SeqCst);
        let (lsn, what) = match choice {
            0..50 => {
                let units = random.u32(1..=4);
                let id = client.new_id();
                let hold = HoldOne { id, sku: cell.0, node: cell.1, quantity: units, ..HoldOne::default() };
                let reply = client.hold_many(&[hold]).await.pop().unwrap().unwrap();
                let held = match reply {
                    HoldOneReply::Held { status: Status::Held, .. } => true,
                    HoldOneReply::Refused(why) if why.refusal.code == RefusalCode::OutOfStock => false,
                    other => panic!("{other:?}"),
                };
                if held {
                    own.push(id);
                }
                (reply.lsn(), What::Hold { id, cell, units, held })
            }
            50..75 if !own.is_empty() => {
                let id = own.swap_remove(random.usize(..own.len()));
                let done = crate::world::done(&client, CommandBody::Release(step(id))).await;
                (done.lsn, What::Release { id, moved: done.moved })
            }
            50..80 => {
                let units = random.i32(1..=3);
                let (sku, node) = cell;
                let change = StockChange { sku, node, segment: Segment(0), delta: units };
                let body = CommandBody::AdjustStock(AdjustStock { changes: vec![change] });
                let done = crate::world::done(&client, body).await;
                (done.lsn, What::Receive { cell, units })
            }
            _ => {
                let atp = Atp {
                    skus: vec![cell.0],
                    scope: Scope::All,
                    segment: None,
                    per_node: true,
                    by_day: None,
                };
                let Reply::Atp(reply) = client.query(Query::Atp(atp)).await.unwrap() else {
                    panic!("no atp")
                };
                let available = reply.skus[0].cells.iter().map(|cell| (cell.node, cell.available)).collect();
                (reply.lsn, What::Look { sku: cell.0, available })
            }
        };
        let answered = clock.fetch_add(1, Ordering::SeqCst);
        events.push(Event { asked, answered, lsn: lsn.0, what });
    }
    events
}

/// What is wrong with a history, if anything: every cell begins with so many units available.
fn fault(history: &[Event], cells: &[Cell], on_hand: u32) -> Option<String> {
    let mut changes: Vec<&Event> =
        history.iter().filter(|event| !matches!(event.what, What::Look { .. })).collect();
    changes.sort_unstable_by_key(|event| event.lsn);
    // What a cell has from each place of the order on.
    let mut levels: BTreeMap<Cell, Vec<(u64, i64)>> =
        cells.iter().map(|cell| (*cell, vec![(0, i64::from(on_hand))])).collect();
    let mut held = BTreeMap::new();
    let (mut asked_last, mut lsn_last) = (0, 0);
    for event in changes {
        if event.lsn <= lsn_last {
            return Some(format!("two commands at one place: {event:?}"));
        }
        lsn_last = event.lsn;
        if asked_last > event.answered {
            return Some(format!("stands behind what was asked after its answer: {event:?}"));
        }
        asked_last = asked_last.max(event.asked);
        let (cell, change) = match event.what {
            What::Hold { id, cell, units, held: true } => {
                held.insert(id, (cell, units));
                (cell, -i64::from(units))
            }
            What::Hold { cell, units, held: false, .. } => {
                if level(&levels[&cell]) >= i64::from(units) {
                    return Some(format!("refused, and there was enough: {event:?}"));
                }
                continue;
            }
            What::Release { id, moved } => match held.remove(&id) {
                Some((cell, units)) if u64::from(units) == moved => (cell, i64::from(units)),
                _ => return Some(format!("not what was held: {event:?}")),
            },
            What::Receive { cell, units } => (cell, i64::from(units)),
            What::Look { .. } => continue,
        };
        let levels = levels.get_mut(&cell).expect("a cell of the world");
        let now = level(levels) + change;
        if now < 0 {
            return Some(format!("sold what was not there: {event:?}"));
        }
        levels.push((event.lsn, now));
    }
    history.iter().find_map(|event| look_fault(event, history, &levels))
}

fn level(levels: &[(u64, i64)]) -> i64 {
    levels[levels.len() - 1].1
}

/// A look saw each cell as it was at some place of the order between all that was answered before and all that was
/// asked after, and no earlier than at the place that it names.
fn look_fault(event: &Event, history: &[Event], levels: &BTreeMap<Cell, Vec<(u64, i64)>>) -> Option<String> {
    let What::Look { sku, available } = &event.what else { return None };
    let before = history.iter().filter(|other| other.answered < event.asked).map(|other| other.lsn);
    let from = before.max().unwrap_or(0).max(event.lsn);
    let changes = history.iter().filter(|other| !matches!(other.what, What::Look { .. }));
    let after = changes.filter(|other| other.asked > event.answered).map(|other| other.lsn);
    let end = after.min().unwrap_or(u64::MAX);
    for ((_, node), levels) in levels.iter().filter(|((of, _), _)| of == sku) {
        // Cells with nothing available are left out of the answer.
        let seen = available.iter().find(|(at, _)| at == node).map_or(0, |(_, units)| *units);
        let first = levels.partition_point(|(lsn, _)| *lsn <= from) - 1;
        let last = levels.partition_point(|(lsn, _)| *lsn < end);
        if !levels[first..last.max(first + 1)].iter().any(|(_, level)| *level == seen) {
            return Some(format!("saw {seen} at {node:?}, which never was meanwhile: {event:?}"));
        }
    }
    None
}

async fn record(config: Config) -> (Vec<Event>, Vec<Cell>) {
    let daemon = earmark::serve::Daemon::start(config).unwrap();
    let client = Client::connect(client_config(&daemon)).await.unwrap();
    let world = World::stock(daemon, client, 2, ON_HAND).await;
    let cells: Vec<Cell> =
        world.skus.iter().flat_map(|sku| world.nodes.iter().map(|node| (*sku, *node))).collect();
    let clock = Arc::new(AtomicU64::new(1));
    let mut tasks = Vec::new();
    for number in 0..CLIENTS {
        let config = ClientConfig { pipes: 1, ..client_config(&world.daemon) };
        let client = Client::connect(config).await.unwrap();
        tasks.push(tokio::spawn(act(client, cells.clone(), Arc::clone(&clock), SEED + number)));
    }
    let mut history = Vec::new();
    for task in tasks {
        history.extend(task.await.unwrap());
    }
    world.stop().await;
    (history, cells)
}

async fn is_linearizable(config: Config) {
    let (history, cells) = record(config).await;
    assert_eq!(fault(&history, &cells, ON_HAND), None, "seed {SEED}");
    let refused = |event: &&Event| matches!(event.what, What::Hold { held: false, .. });
    assert!(history.iter().filter(refused).count() > 50, "stock was scarce");
    finds_what_is_wrong(history, &cells);
}

/// The check itself: a history with one answer changed is found out.
fn finds_what_is_wrong(history: Vec<Event>, cells: &[Cell]) {
    let spoiled = |spoil: &dyn Fn(&mut Event) -> bool| {
        let mut history = history.clone();
        // In the middle of it, where much stands before and behind.
        let middle = history.len() / 2;
        assert!(history[middle..].iter_mut().any(spoil), "there is such an event");
        fault(&history, cells, ON_HAND)
    };
    let sold_twice = spoiled(&|event| match &mut event.what {
        What::Hold { held, .. } if !*held => {
            *held = true;
            true
        }
        _ => false,
    });
    assert!(sold_twice.is_some());
    let from_the_past = spoiled(&|event| {
        event.lsn = 1;
        !matches!(event.what, What::Look { .. })
    });
    assert!(from_the_past.is_some());
    let never_was = spoiled(&|event| match &mut event.what {
        What::Look { available, .. } if !available.is_empty() => {
            available[0].1 += 1_000;
            true
        }
        _ => false,
    });
    assert!(never_was.is_some());
}

#[tokio::test]
async fn with_the_committer_on_the_io_core() {
    is_linearizable(config()).await;
}

#[tokio::test]
async fn with_three_io_cores_that_take_turns_as_the_committer() {
    let mut config = config();
    (config.commit.mode, config.server.io_cores) = (CommitMode::Inline, 3);
    is_linearizable(config).await;
}

#[tokio::test]
async fn with_the_committer_on_a_thread_of_its_own_and_a_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config();
    config.commit.mode = CommitMode::Thread;
    config.durability.mode = earmark::config::DurabilityMode::Sync;
    config.durability.directory = Some(directory.path().to_owned());
    is_linearizable(config).await;
}
