//! One life of the daemon: load until it is killed, and the look at what is there afterwards.

use std::time::Duration;

use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};
use earmark_protocol::client::Client;
use earmark_protocol::command::{CellQuantity, CommandBody, Hold, SetStock, Step, StockCount};
use earmark_protocol::ids::{CommandId, HoldClass, Segment};
use earmark_protocol::query::{Query, Resolve};
use earmark_protocol::reply::{Reply, ReservationView, Status};

use super::book::{Book, Entry, Pending, Told};

const SKUS: usize = 20;
const NODES: usize = 4;
/// Little enough for some cells to run out.
const ON_HAND: u32 = 2_000;
const CLIENTS: usize = 24;
/// One command in so many is a wish for an image.
const SNAPSHOTS: u32 = 500;
/// One reservation in so many is asked for again with its id, though it was answered.
const RETRIES: u32 = 10;

pub(crate) async fn stock(client: &Client, book: &mut Book) {
    let skus: Vec<String> = (0..SKUS).map(|number| format!("sku-{number}")).collect();
    let nodes: Vec<String> = (0..NODES).map(|number| format!("node-{number}")).collect();
    let spec = |code: &String| SkuSpec { code: code.clone(), ..SkuSpec::default() };
    let node = |code: &String| NodeSpec {
        code: code.clone(),
        time_zone: "UTC".to_owned(),
        capabilities: capabilities::SHIP,
        ..NodeSpec::default()
    };
    done(client, CommandBody::PutSkus(skus.iter().map(spec).collect())).await;
    done(client, CommandBody::PutNodes(nodes.iter().map(node).collect())).await;
    let question = Query::Resolve(Resolve { skus, nodes });
    let Reply::Resolved(handles) = client.query(question).await.expect("the daemon answers") else {
        panic!("not resolved")
    };
    book.skus = handles.skus.into_iter().flatten().collect();
    book.nodes = handles.nodes.into_iter().flatten().collect();
    let cells = book.skus.iter().flat_map(|sku| book.nodes.iter().map(move |node| (*sku, *node)));
    let count = |(sku, node)| StockCount { sku, node, segment: Segment(0), on_hand: ON_HAND, safety: None };
    let counts = cells.map(count).collect();
    done(client, CommandBody::SetStock(SetStock { source: 0, as_of: None, counts })).await;
}

async fn done(client: &Client, body: CommandBody) {
    let reply = client.command(body).await.expect("the daemon answers");
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
}

/// Loads the daemon for this long, then has it killed. Commands that were not answered stay open in the book.
pub(crate) async fn load(client: &Client, book: &mut Book, time: Duration, kill: impl FnOnce()) {
    // Each client has reservations of its own, so no two are at the same one.
    let mut parts: Vec<Vec<Entry>> = (0..CLIENTS).map(|_| Vec::new()).collect();
    for (place, entry) in book.entries.drain(..).enumerate() {
        parts[place % CLIENTS].push(entry);
    }
    let (skus, nodes) = (book.skus.clone(), book.nodes.clone());
    let tasks: Vec<_> = parts
        .into_iter()
        .map(|entries| {
            let mut one = One { client: client.clone(), entries, answered: 0 };
            let cell = {
                let (skus, nodes) = (skus.clone(), nodes.clone());
                move || CellQuantity {
                    sku: skus[fastrand::usize(..skus.len())],
                    node: nodes[fastrand::usize(..nodes.len())],
                    segment: Segment(0),
                    quantity: fastrand::u32(1..=3),
                }
            };
            tokio::spawn(async move {
                while one.command(&cell).await.is_some() {}
                one
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    kill();
    for task in tasks {
        let one = task.await.expect("a client ends well");
        book.answered += one.answered;
        book.entries.extend(one.entries);
    }
}

/// One client.
struct One {
    client: Client,
    entries: Vec<Entry>,
    answered: u64,
}

impl One {
    /// One command; `None` where it was not answered.
    async fn command(&mut self, cell: &impl Fn() -> CellQuantity) -> Option<()> {
        if fastrand::u32(..SNAPSHOTS) == 0 {
            return self.client.query(Query::Snapshot).await.ok().map(|_| ());
        }
        if !self.entries.is_empty() && fastrand::bool() {
            let place = fastrand::usize(..self.entries.len());
            return self.step(place).await;
        }
        let mut cells: Vec<CellQuantity> = Vec::new();
        for _ in 0..fastrand::usize(1..=4) {
            let next = cell();
            if cells.iter().all(|cell| (cell.sku, cell.node) != (next.sku, next.node)) {
                cells.push(next);
            }
        }
        let entry = Entry { id: self.client.new_id(), cells, told: Told::Nothing, pending: None };
        self.entries.push(entry.clone());
        let told = hold(&self.client, &entry).await?;
        self.answered += 1;
        self.entries.last_mut()?.told = told;
        Some(())
    }

    /// The next step of a reservation, where it can take one.
    async fn step(&mut self, place: usize) -> Option<()> {
        let entry = &mut self.entries[place];
        let Told::Is(lsn, status) = entry.told else { return Some(()) };
        let step = Step { reservation: entry.id, lines: Vec::new(), best_effort: false };
        let (body, to) = match status {
            Status::Held if fastrand::bool() => (CommandBody::Confirm(step), Status::Confirmed),
            Status::Held => (CommandBody::Release(step), Status::Released),
            Status::Confirmed => (CommandBody::Cancel(step), Status::Cancelled),
            _ => return Some(()),
        };
        let pending = Pending { id: self.client.new_id(), body, to };
        entry.pending = Some(pending.clone());
        let reply = self.client.command_as(pending.id, pending.body).await.ok()?;
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        self.answered += 1;
        let entry = &mut self.entries[place];
        (entry.told, entry.pending) = (Told::Is(lsn, to), None);
        Some(())
    }
}

/// Sends the hold, for the first time or again; `None` where it is not answered.
async fn hold(client: &Client, entry: &Entry) -> Option<Told> {
    // Longer than any test, so that nothing expires.
    let class = HoldClass(2);
    let hold = Hold { cells: entry.cells.clone(), class, lifetime_ms: 0, best_effort: false };
    match client.command_as(entry.id, CommandBody::Hold(hold)).await.ok()? {
        Reply::Reserved(reserved) => Some(Told::Is(reserved.lsn, reserved.status)),
        Reply::Refused(_) => Some(Told::Refused),
        other => panic!("{other:?}"),
    }
}

async fn show(client: &Client, id: CommandId) -> Option<Box<ReservationView>> {
    match client.query(Query::Show(id)).await.expect("the daemon answers") {
        Reply::Shown(view) => Some(view),
        Reply::Refused(_) => None,
        other => panic!("{other:?}"),
    }
}

/// Compares the book with what is there, and sends again what was not answered: then all is known.
pub(crate) async fn check(client: &Client, book: &mut Book) {
    let mut faults = book.faults;
    for entry in &mut book.entries {
        let view = show(client, entry.id).await;
        let found = entry.compare(view.as_deref());
        (faults.lost, faults.doubled) = (faults.lost + found.lost, faults.doubled + found.doubled);
        if let Some(pending) = entry.pending.take() {
            let reply = client.command_as(pending.id, pending.body).await.expect("the daemon answers");
            assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
            if let Told::Is(lsn, _) = entry.told {
                entry.told = Told::Is(lsn, pending.to);
            }
        }
        if entry.told == Told::Nothing || fastrand::u32(..RETRIES) == 0 {
            let told = hold(client, entry).await.expect("the daemon answers");
            let was_there = view.is_some();
            if entry.told == Told::Nothing {
                faults.lost += u64::from(was_there && told == Told::Refused);
                entry.told = told;
            } else if told != entry.told {
                println!("{entry:?} is answered {told:?} the second time");
                faults.doubled += 1;
            }
        }
    }
    let wanted = book.cells();
    for sku in &book.skus {
        let Reply::Cells(cells) = client.query(Query::Cells(*sku)).await.expect("the daemon answers") else {
            panic!("no cells")
        };
        for cell in cells {
            let (held, allocated) = wanted.get(&(*sku, cell.node)).copied().unwrap_or_default();
            faults.lost +=
                u64::from(held.saturating_sub(cell.held) + allocated.saturating_sub(cell.allocated));
            faults.doubled +=
                u64::from(cell.held.saturating_sub(held) + cell.allocated.saturating_sub(allocated));
            let promised = i64::from(cell.held) + i64::from(cell.allocated);
            faults.oversold += u64::try_from(promised - i64::from(cell.on_hand)).unwrap_or(0);
        }
    }
    book.faults = faults;
    // What has ended and is agreed on is of no more interest.
    let is_open = |entry: &Entry| matches!(entry.told, Told::Is(_, Status::Held | Status::Confirmed));
    book.entries.retain(|entry| is_open(entry) || fastrand::u32(..20) == 0);
}
