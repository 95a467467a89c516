//! What the clients do until the daemon is killed: all that changes state, many at once, each on reservations of its own.

use std::time::Duration;

use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};
use earmark_protocol::client::Client;
use earmark_protocol::command::{
    AdjustStock, Amend, AmendLine, CellQuantity, CommandBody, Delivery, Disposition, Extend, Hold, Order,
    OrderLine, Reserve, Restock, SetStock, Step, StepLine, StockChange, StockCount, Transfer,
};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, CommandId, HoldClass, LineId, Lsn, NodeIx, Segment, SkuIx};
use earmark_protocol::query::{Query, Resolve};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Refused, Reply};
use tokio::time::Instant;

use super::book::{Book, Entry, Faults, Told};
use super::shape::{CONFIRMED, DISPATCHED, HELD, READY, SHIPPED, Shape};
use super::stock::Stock;

const SKUS: usize = 24;
/// The last ones are counted and moved.
const COUNTED: usize = 4;
const NODES: usize = 4;
/// Little enough for some cells to run out.
const ON_HAND: u32 = 2_000;
const CLIENTS: usize = 24;
/// One command in so many is a wish for an image.
const SNAPSHOTS: u32 = 500;
/// One command in so many is about stock.
const STOCK: u32 = 8;
/// One hold in so many lives shorter than the load lasts.
const SHORT: u32 = 4;
/// An answer that has left the daemon is here after this time.
const UNDER_WAY: Duration = Duration::from_millis(50);
/// Its holds outlive any test.
const CLASS: HoldClass = HoldClass(2);

/// Makes the catalogue, and fills the shelves.
pub(crate) async fn stock(client: &Client, book: &mut Book) {
    let skus: Vec<String> = (0..SKUS).map(|number| format!("sku-{number}")).collect();
    let nodes: Vec<String> = (0..NODES).map(|number| format!("node-{number}")).collect();
    let spec = |code: &String| SkuSpec { code: code.clone(), weight_g: 500, ..SkuSpec::default() };
    let node = |(code, place): (&String, i32)| NodeSpec {
        code: code.clone(),
        position: Position { lat_udeg: 35_000_000 + place * 4_000_000, lon_udeg: -90_000_000 },
        time_zone: "UTC".to_owned(),
        capabilities: capabilities::ALL,
        ..NodeSpec::default()
    };
    done(client, CommandBody::PutSkus(skus.iter().map(spec).collect())).await;
    done(client, CommandBody::PutNodes(nodes.iter().zip(0..).map(node).collect())).await;
    let question = Query::Resolve(Resolve { skus, nodes });
    let Reply::Resolved(handles) = client.query(question).await.expect("the daemon answers") else {
        panic!("not resolved")
    };
    book.skus = handles.skus.into_iter().flatten().collect();
    book.nodes = handles.nodes.into_iter().flatten().collect();
    let cells = book.skus.iter().flat_map(|sku| book.nodes.iter().map(move |node| (*sku, *node)));
    let count = |(sku, node)| StockCount { sku, node, segment: Segment(0), on_hand: ON_HAND, safety: None };
    let counts = cells.map(count).collect();
    let set = CommandBody::SetStock(SetStock { source: 0, as_of: None, counts });
    let lsn = done(client, set.clone()).await;
    book.stock.done(lsn, &set);
    book.counted = book.skus.split_off(SKUS - COUNTED);
}

async fn done(client: &Client, body: CommandBody) -> Lsn {
    let reply = client.command(body).await.expect("the daemon answers");
    let Reply::Done(done) = reply else { panic!("{reply:?}") };
    done.lsn
}

/// Loads the daemon for this long, then has it killed. Commands that were not answered stay open in the book.
pub(crate) async fn load(client: &Client, book: &mut Book, time: Duration, kill: impl FnOnce()) {
    // Each client has reservations of its own, so no two are at the same one.
    let mut parts: Vec<Vec<Entry>> = (0..CLIENTS).map(|_| Vec::new()).collect();
    for (place, entry) in book.entries.drain(..).enumerate() {
        parts[place % CLIENTS].push(entry);
    }
    let end = Instant::now() + time;
    let tasks: Vec<_> = parts
        .into_iter()
        .map(|entries| {
            let goods =
                Goods { skus: book.skus.clone(), counted: book.counted.clone(), nodes: book.nodes.clone() };
            let (stock, faults) = (Stock::default(), Faults::default());
            let mut one = One { client: client.clone(), goods, entries, stock, answered: 0, faults };
            tokio::spawn(async move {
                while let Ok(Some(())) = tokio::time::timeout_at(end + UNDER_WAY, one.command()).await {}
                one
            })
        })
        .collect();
    tokio::time::sleep_until(end).await;
    kill();
    for task in tasks {
        let mut one = task.await.expect("a client ends well");
        book.answered += one.answered;
        book.entries.append(&mut one.entries);
        book.stock.append(&mut one.stock);
        book.faults.lost += one.faults.lost;
        book.faults.doubled += one.faults.doubled;
    }
}

/// What there is to be reserved and counted.
struct Goods {
    skus: Vec<SkuIx>,
    counted: Vec<SkuIx>,
    nodes: Vec<NodeIx>,
}

fn any<T: Copy>(list: &[T]) -> T {
    list[fastrand::usize(..list.len())]
}

fn one_in(count: u32) -> bool {
    fastrand::u32(..count) == 0
}

/// One client.
struct One {
    client: Client,
    goods: Goods,
    entries: Vec<Entry>,
    stock: Stock,
    answered: u64,
    faults: Faults,
}

impl One {
    /// One command; `None` where it was not answered. What is sent is in the book before, so this may be dropped while it
    /// waits.
    async fn command(&mut self) -> Option<()> {
        if one_in(SNAPSHOTS) {
            return self.client.query(Query::Snapshot).await.ok().map(|_| ());
        }
        if one_in(STOCK) {
            return self.change_stock().await;
        }
        if !self.entries.is_empty() && !one_in(3) {
            let place = fastrand::usize(..self.entries.len());
            return self.step(place).await;
        }
        let asked = if fastrand::bool() { self.goods.hold() } else { self.goods.reserve() };
        let id = self.client.new_id();
        self.entries.push(Entry::new(id, asked.clone()));
        let reply = self.answer(id, asked).await?;
        self.answered += 1;
        let entry = self.entries.last_mut()?;
        match reply {
            Reply::Reserved(reserved) => entry.made(reserved),
            Reply::Refused(refused) => entry.told = refusal(refused),
            other => panic!("{other:?}"),
        }
        Some(())
    }

    async fn answer(&self, id: CommandId, body: CommandBody) -> Option<Reply> {
        self.client.command_as(id, body).await.ok()
    }

    /// The next step of a reservation, where it can take one.
    async fn step(&mut self, place: usize) -> Option<()> {
        let entry = &mut self.entries[place];
        let Told::Is { shape, .. } = &entry.told else { return Some(()) };
        let Some(body) = next_step(entry, shape) else { return Some(()) };
        let id = self.client.new_id();
        entry.pending = Some((id, body.clone()));
        let reply = self.answer(id, body).await?;
        self.answered += 1;
        match reply {
            Reply::Done(done) => {
                let stepped = self.entries[place].stepped(&done, &mut self.faults);
                if let Some((before, after)) = stepped {
                    self.stock.shipped(done.lsn, &before, &after);
                }
            }
            Reply::Refused(refused) => {
                let entry = &mut self.entries[place];
                assert!(entry.may_be_refused(refused), "{entry:?}: {refused:?}");
                entry.pending = None;
            }
            other => panic!("{other:?}"),
        }
        Some(())
    }

    async fn change_stock(&mut self) -> Option<()> {
        let (id, body) = (self.client.new_id(), self.goods.change());
        self.stock.pending.push((id, body.clone()));
        let reply = self.answer(id, body.clone()).await?;
        self.answered += 1;
        self.stock.pending.pop();
        match reply {
            Reply::Done(done) => self.stock.done(done.lsn, &body),
            Reply::Refused(refused) => assert!(may_be_refused(refused), "{body:?}: {refused:?}"),
            other => panic!("{other:?}"),
        }
        Some(())
    }
}

/// What one may be told who changes stock and does all he should.
pub(crate) fn may_be_refused(refused: Refused) -> bool {
    use RefusalCode::{LineTwice, OutOfStock, Overloaded, StaleCount};
    // A transfer to where the goods are already names one cell twice.
    matches!(refused.refusal.code, LineTwice | OutOfStock | Overloaded | StaleCount)
}

/// What a refused reservation is told.
pub(crate) fn refusal(refused: Refused) -> Told {
    if refused.lsn == Lsn(0) { Told::Undecided } else { Told::Refused }
}

/// A step that this reservation can take, where it has not ended: whole, or one line of it.
fn next_step(entry: &Entry, shape: &Shape) -> Option<CommandBody> {
    let reservation = entry.id;
    let of_stage = |stage: usize| {
        let lines: Vec<LineId> =
            shape.rows.iter().filter(|(_, row)| row.units[stage] > 0).map(|((line, _), _)| *line).collect();
        let part = one_in(3).then(|| StepLine { line: any(&lines), node: None, quantity: 0 });
        Step { reservation, lines: part.into_iter().collect(), best_effort: false }
    };
    let is_pickup = matches!(&entry.asked, CommandBody::Reserve(reserve)
        if matches!(reserve.order.delivery, Delivery::Pickup { .. }));
    let lower = [HELD, CONFIRMED].into_iter().any(|stage| shape.units(stage) > 0);
    if lower && one_in(5) {
        return Some(
            amend(entry, shape).unwrap_or(CommandBody::Extend(Extend { reservation, lifetime_ms: 0 })),
        )
        .filter(|body| !matches!(body, CommandBody::Extend(_)) || shape.units(HELD) > 0);
    }
    let stage = [HELD, CONFIRMED, DISPATCHED, READY].into_iter().find(|stage| shape.units(*stage) > 0)?;
    Some(match stage {
        HELD if one_in(4) => CommandBody::Release(of_stage(HELD)),
        HELD => CommandBody::Confirm(of_stage(HELD)),
        CONFIRMED if one_in(4) => {
            CommandBody::Cancel(Step { reservation, lines: Vec::new(), best_effort: false })
        }
        CONFIRMED => CommandBody::Dispatch(of_stage(CONFIRMED)),
        DISPATCHED if is_pickup => CommandBody::Ready(of_stage(DISPATCHED)),
        DISPATCHED => CommandBody::Ship(of_stage(DISPATCHED)),
        _ => CommandBody::Collect(of_stage(READY)),
    })
}

/// A new quantity for a line that lies at one node, and in one stage that can be amended.
fn amend(entry: &Entry, shape: &Shape) -> Option<CommandBody> {
    let rows: Vec<_> = shape.rows.iter().collect();
    let ((line, _), row) = any(&rows);
    let nodes = shape.rows.keys().filter(|(other, _)| other == line).count();
    let is_fixed = [DISPATCHED, READY, SHIPPED].into_iter().any(|stage| row.units[stage] > 0);
    if nodes != 1 || is_fixed {
        return None;
    }
    let lines = vec![AmendLine { line: *line, quantity: fastrand::u32(1..=5) }];
    Some(CommandBody::Amend(Amend { reservation: entry.id, lines, best_effort: false }))
}

impl Goods {
    fn hold(&self) -> CommandBody {
        let mut cells: Vec<CellQuantity> = Vec::new();
        for _ in 0..fastrand::usize(1..=4) {
            let (sku, node) = (any(&self.skus), any(&self.nodes));
            if cells.iter().all(|cell| (cell.sku, cell.node) != (sku, node)) {
                let (segment, quantity) = (Segment(0), fastrand::u32(1..=3));
                cells.push(CellQuantity { sku, node, segment, quantity });
            }
        }
        let lifetime_ms = if one_in(SHORT) { fastrand::u32(10..200) } else { 0 };
        CommandBody::Hold(Hold { cells, class: CLASS, lifetime_ms, best_effort: one_in(4), supply_by: None })
    }

    fn reserve(&self) -> CommandBody {
        let delivery = if one_in(3) {
            Delivery::Pickup { node: any(&self.nodes) }
        } else {
            let position = Position { lat_udeg: 41_000_000, lon_udeg: -87_000_000 };
            Delivery::Ship { position, postal: "60601".to_owned(), home: false }
        };
        let line = |line| OrderLine {
            line: LineId(line),
            sku: any(&self.skus),
            // Some want more than one node has.
            quantity: if one_in(50) { ON_HAND } else { fastrand::u32(1..=3) },
        };
        let lines = (0..fastrand::u32(1..=4)).map(line).collect();
        let order = Order {
            channel: Channel(0),
            delivery,
            nodes: Vec::new(),
            shipments_max: 0,
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
            lines,
        };
        CommandBody::Reserve(Reserve { order, class: CLASS, lifetime_ms: 0, best_effort: one_in(4) })
    }

    /// Goods come in for what is sold; the rest is counted, corrected, returned and moved.
    fn change(&self) -> CommandBody {
        let (node, segment) = (any(&self.nodes), Segment(0));
        let sku = any(&self.counted);
        let moved = CellQuantity { sku, node, segment, quantity: fastrand::u32(1..=9) };
        match fastrand::u32(..5) {
            0 => {
                let change = StockChange { sku: any(&self.skus), node, segment, delta: fastrand::i32(1..=9) };
                CommandBody::AdjustStock(AdjustStock { changes: vec![change] })
            }
            1 => {
                let delta = if fastrand::bool() { -7 } else { 8 };
                let change = StockChange { sku, node, segment, delta };
                CommandBody::AdjustStock(AdjustStock { changes: vec![change] })
            }
            2 => {
                let on_hand = fastrand::u32(ON_HAND..2 * ON_HAND);
                let counts = vec![StockCount { sku, node, segment, on_hand, safety: None }];
                CommandBody::SetStock(SetStock { source: 1, as_of: None, counts })
            }
            3 => CommandBody::Restock(Restock { cell: moved, disposition: Disposition::Sellable }),
            _ => CommandBody::Transfer(Transfer {
                from: moved,
                to_node: any(&self.nodes),
                to_segment: segment,
            }),
        }
    }
}
