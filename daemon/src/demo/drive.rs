//! Sends the scenario's orders through the client, so many at once, and keeps the ledger from the replies. Some
//! orders are confirmed, some released, some left to expire; cancellations come in between by their time, and every
//! so many orders one is quoted first.

use std::collections::HashMap;
use std::time::Duration;

use earmark_protocol::client::ClientError;
use earmark_protocol::command::{CommandBody, Reserve, Step, StepLine};
use earmark_protocol::ids::{CommandId, HoldClass, LineId, TimestampMs};
use earmark_protocol::query::{Query, Quote};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Plan, Reply, Reserved};
use fastrand::Rng;
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::ground::Ground;
use super::ledger::{Event, Ledger, Row};

/// How orders go on after they were reserved, in percent; the rest stays held.
#[derive(Clone, Copy, Debug)]
pub struct Fates {
    /// Are confirmed.
    pub confirm: u32,
    /// Are released.
    pub release: u32,
    /// Are left to expire.
    pub expire: u32,
}

/// How to send.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Requests under way at once.
    pub in_flight: usize,
    /// One order in this many is quoted before it is reserved.
    pub quote_one_in: usize,
    /// How orders go on.
    pub fates: Fates,
    /// Seed of the fates.
    pub seed: u64,
}

/// Lifetime of holds that are not meant to expire: the longest that carts may have.
pub const LONG_MS: u32 = 24 * 3_600_000;
/// Lifetime of holds that are.
const SHORT_MS: u32 = 2_000;
/// How often a request that the daemon had no time for, or others were faster at, is made again.
const TRIES_MAX: u32 = 100;
/// Pause before asking a daemon again that had no time.
const PAUSE: Duration = Duration::from_millis(2);
/// How many surprises are told in full.
const SURPRISES_MAX: usize = 10;

/// What came of it.
#[derive(Debug)]
pub struct Driven {
    /// All replies.
    pub ledger: Ledger,
    /// From sending a reserve to its reply, in microseconds.
    pub reserve_us: Histogram<u64>,
    /// From sending a quote to its reply, in microseconds.
    pub quote_us: Histogram<u64>,
    /// From the first order to the last reply, in microseconds.
    pub took_us: u64,
    /// Orders that were reserved, whole or in part.
    pub reserved_orders: u64,
    /// Orders that were refused.
    pub refused_orders: u64,
    /// Units that were reserved.
    pub units_reserved: u64,
    /// Orders that were confirmed.
    pub confirmed: u64,
    /// Orders that were released whole.
    pub released: u64,
    /// Cancellations that found a reservation to give units of back.
    pub cancelled: u64,
    /// Requests that were made again.
    pub tries: u64,
    /// Orders left to expire: their ids, and the last of their deadlines.
    pub expiring: Vec<(u32, CommandId)>,
    /// When the last of those is due.
    pub last_deadline: TimestampMs,
    /// Answers that nobody would expect.
    pub surprises: Surprises,
}

/// Answers that nobody would expect: the first in full, all counted.
#[derive(Clone, Debug, Default)]
pub struct Surprises {
    /// The first.
    pub told: Vec<String>,
    /// All.
    pub count: u64,
}

impl Surprises {
    /// Notes one.
    pub fn note(&mut self, what: impl Into<String>) {
        self.count += 1;
        if self.told.len() < SURPRISES_MAX {
            self.told.push(what.into());
        }
    }
}

/// An empty histogram of microseconds up to ten minutes, to three digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are in order")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Confirm,
    Release,
    Expire,
}

/// What a task brings home.
enum Came {
    Quoted { us: u64, reply: Reply },
    Ordered(Box<Ordered>),
    GaveBack { order: u32, row: Row, reply: Reply },
}

struct Ordered {
    order: u32,
    id: CommandId,
    fate: Fate,
    us: u64,
    tries: u64,
    reply: Reply,
    then: Option<Reply>,
}

/// What the client knows of an order that was answered.
#[derive(Debug)]
struct Known {
    id: CommandId,
    confirmed: bool,
    rows: Vec<Row>,
}

struct Driver<'a> {
    ground: &'a Ground,
    pace: Pace,
    bar: &'a ProgressBar,
    tasks: JoinSet<Result<Came, ClientError>>,
    known: HashMap<u32, Known>,
    /// Orders of each customer, and how many are answered; kept where there are cancellations.
    of_customer: HashMap<u32, Vec<u32>>,
    answered: Vec<bool>,
    driven: Driven,
}

/// Sends everything and waits for all replies.
pub async fn drive(ground: &Ground, pace: Pace, bar: &ProgressBar) -> Result<Driven, ClientError> {
    let started = ground.clock.moment();
    let mut driver = Driver {
        ground,
        pace,
        bar,
        tasks: JoinSet::new(),
        known: HashMap::new(),
        of_customer: HashMap::new(),
        answered: vec![false; ground.scenario.orders.len()],
        driven: Driven {
            ledger: Ledger::default(),
            reserve_us: histogram(),
            quote_us: histogram(),
            took_us: 0,
            reserved_orders: 0,
            refused_orders: 0,
            units_reserved: 0,
            confirmed: 0,
            released: 0,
            cancelled: 0,
            tries: 0,
            expiring: Vec::new(),
            last_deadline: TimestampMs(0),
            surprises: Surprises::default(),
        },
    };
    driver.send_all().await?;
    let mut driven = driver.driven;
    driven.took_us = ground.clock.moment().us_since(started);
    driven.ledger.sort();
    Ok(driven)
}

impl Driver<'_> {
    async fn send_all(&mut self) -> Result<(), ClientError> {
        let scenario = &self.ground.scenario;
        let mut cancellations = (0..scenario.cancellations.len()).peekable();
        let mut rng = Rng::with_seed(self.pace.seed);
        for (order, wanted) in scenario.orders.iter().enumerate() {
            while let Some(&next) = cancellations.peek()
                && scenario.cancellations[next].at_s < wanted.at_s
            {
                cancellations.next();
                self.cancel(next).await?;
            }
            if order % self.pace.quote_one_in == 0 {
                self.room().await?;
                self.tasks.spawn(quote(self.ground.clone(), order as u32));
            }
            self.room().await?;
            if !scenario.cancellations.is_empty() {
                self.of_customer.entry(wanted.customer).or_default().push(order as u32);
            }
            let fate = self.fate(&mut rng);
            self.tasks.spawn(reserve(self.ground.clone(), order as u32, fate));
        }
        for next in cancellations {
            self.cancel(next).await?;
        }
        while !self.tasks.is_empty() {
            self.take_one().await?;
        }
        Ok(())
    }

    fn fate(&self, rng: &mut Rng) -> Fate {
        let Fates { confirm, release, expire } = self.pace.fates;
        match rng.u32(0..100) {
            drawn if drawn < confirm => Fate::Confirm,
            drawn if drawn < confirm + release => Fate::Release,
            drawn if drawn < confirm + release + expire => Fate::Expire,
            _ => Fate::Keep,
        }
    }

    /// Waits until one more request may be under way.
    async fn room(&mut self) -> Result<(), ClientError> {
        while self.tasks.len() >= self.pace.in_flight {
            self.take_one().await?;
        }
        Ok(())
    }

    async fn take_one(&mut self) -> Result<(), ClientError> {
        let Some(joined) = self.tasks.join_next().await else { return Ok(()) };
        match joined.expect("tasks of the demo are not aborted and do not panic")? {
            Came::Quoted { us, reply } => {
                self.driven.quote_us.saturating_record(us.max(1));
                match reply {
                    Reply::Quoted(_) => {}
                    Reply::Refused(refused) if no_stock(refused.refusal.code) => {}
                    other => self.driven.surprises.note(format!("a quote was answered {}", brief(&other))),
                }
            }
            Came::Ordered(ordered) => self.ordered(*ordered),
            Came::GaveBack { order, row, reply } => self.gave_back(order, row, &reply),
        }
        Ok(())
    }

    fn ordered(&mut self, ordered: Ordered) {
        let Ordered { order, id, fate, us, tries, reply, then } = ordered;
        self.bar.inc(1);
        self.answered[order as usize] = true;
        let driven = &mut self.driven;
        driven.reserve_us.saturating_record(us.max(1));
        driven.tries += tries;
        let Reserved { lsn, deadline, plan, .. } = match reply {
            Reply::Reserved(reserved) => reserved,
            Reply::Refused(refused) => {
                driven.refused_orders += 1;
                if !no_stock(refused.refusal.code) {
                    driven.surprises.note(format!("order {order} was refused: {}", refused.refusal));
                }
                return;
            }
            other => return driven.surprises.note(format!("order {order} was answered {}", brief(&other))),
        };
        let Some(plan) = plan else {
            return driven.surprises.note(format!("order {order} was reserved without a plan"));
        };
        let (rows, phantom) = self.ground.rows(order, &plan);
        driven.ledger.phantom_units += phantom;
        driven.reserved_orders += 1;
        driven.units_reserved += rows.iter().map(|row| u64::from(row.units)).sum::<u64>();
        let at = TimestampMs(deadline.0.saturating_sub(u64::from(lifetime_ms(fate))));
        let Plan { cost, shipments, .. } = &plan;
        let shipments = shipments.len() as u32;
        driven
            .ledger
            .note(lsn, Event::Reserved { order, at, deadline, rows: rows.clone(), cost: *cost, shipments });
        let mut known = Known { id, confirmed: false, rows };
        match (fate, then) {
            (Fate::Keep, None) => {}
            (Fate::Expire, None) => {
                driven.expiring.push((order, id));
                driven.last_deadline = driven.last_deadline.max(deadline);
            }
            (Fate::Confirm, Some(Reply::Done(done))) => {
                known.confirmed = true;
                driven.confirmed += 1;
                driven.ledger.note(done.lsn, Event::Confirmed { order });
            }
            (Fate::Release, Some(Reply::Done(done))) => {
                let rows = std::mem::take(&mut known.rows);
                driven.released += 1;
                driven.ledger.note(done.lsn, Event::GaveBack { order, rows });
            }
            (fate, then) => {
                let then = then.as_ref().map_or_else(|| "nothing".to_owned(), brief);
                driven.surprises.note(format!("order {order}, to {fate:?}, was answered {then}"));
            }
        }
        if !self.of_customer.is_empty() {
            self.known.insert(order, known);
        }
    }

    /// Gives units back that the customer reserved earlier, of the latest orders first, cell by cell.
    async fn cancel(&mut self, cancellation: usize) -> Result<(), ClientError> {
        let scenario = &self.ground.scenario;
        let cancellation = scenario.cancellations[cancellation];
        let orders = self.of_customer.get(&cancellation.customer).cloned().unwrap_or_default();
        while orders.iter().any(|&order| !self.answered[order as usize]) {
            self.take_one().await?;
        }
        let mut wanted = cancellation.units;
        for order in orders.into_iter().rev() {
            let lines = &scenario.orders[order as usize].lines;
            let Some(known) = self.known.get_mut(&order) else { continue };
            let (id, confirmed) = (known.id, known.confirmed);
            let mut steps = Vec::new();
            for row in &mut known.rows {
                let units = wanted.min(row.units);
                if units > 0 && Some(lines[row.line as usize].sku) == cancellation.sku {
                    row.units -= units;
                    wanted -= units;
                    steps.push(Row { units, ..*row });
                }
            }
            for row in steps {
                self.room().await?;
                self.tasks.spawn(give_back(self.ground.clone(), order, id, confirmed, row));
            }
        }
        self.driven.cancelled += u64::from(wanted < cancellation.units);
        Ok(())
    }

    fn gave_back(&mut self, order: u32, row: Row, reply: &Reply) {
        match reply {
            Reply::Done(done) if done.moved == u64::from(row.units) => {
                self.driven.ledger.note(done.lsn, Event::GaveBack { order, rows: vec![row] });
            }
            other => {
                let told =
                    format!("giving {} units of order {order} back was answered {}", row.units, brief(other));
                self.driven.surprises.note(told);
            }
        }
    }
}

async fn quote(ground: Ground, order: u32) -> Result<Came, ClientError> {
    let order = ground.order(order);
    let started = ground.clock.moment();
    let reply = ground.client.query(Query::Quote(Quote { order, best_effort: true })).await?;
    Ok(Came::Quoted { us: ground.clock.moment().us_since(started), reply })
}

async fn reserve(ground: Ground, order: u32, fate: Fate) -> Result<Came, ClientError> {
    let client = &ground.client;
    let body = CommandBody::Reserve(Reserve {
        order: ground.order(order),
        class: HoldClass(0),
        lifetime_ms: lifetime_ms(fate),
        best_effort: true,
    });
    let started = ground.clock.moment();
    let mut id = client.new_id();
    let mut reply = client.command_as(id, body.clone()).await?;
    let mut tries = 0;
    while let Reply::Refused(refused) = &reply
        && let RefusalCode::Overloaded | RefusalCode::Contended = refused.refusal.code
        && tries < u64::from(TRIES_MAX)
    {
        tries += 1;
        // A Contended answer is remembered under its id; an Overloaded one was never decided.
        if refused.refusal.code == RefusalCode::Contended {
            id = client.new_id();
        } else {
            tokio::time::sleep(PAUSE).await;
        }
        reply = client.command_as(id, body.clone()).await?;
    }
    let us = ground.clock.moment().us_since(started);
    let step = Step { reservation: id, lines: Vec::new(), best_effort: false };
    let then = match (&reply, fate) {
        (Reply::Reserved(_), Fate::Confirm) => Some(client.command(CommandBody::Confirm(step)).await?),
        (Reply::Reserved(_), Fate::Release) => Some(client.command(CommandBody::Release(step)).await?),
        _ => None,
    };
    Ok(Came::Ordered(Box::new(Ordered { order, id, fate, us, tries, reply, then })))
}

async fn give_back(
    ground: Ground,
    order: u32,
    id: CommandId,
    confirmed: bool,
    row: Row,
) -> Result<Came, ClientError> {
    let node = ground.nodes[ground.scenario.stock.cells.node(row.cell as usize) as usize];
    let line = StepLine { line: LineId(row.line), node: Some(node), quantity: row.units };
    let step = Step { reservation: id, lines: vec![line], best_effort: false };
    let body = if confirmed { CommandBody::Cancel(step) } else { CommandBody::Release(step) };
    let reply = ground.client.command(body).await?;
    Ok(Came::GaveBack { order, row, reply })
}

fn lifetime_ms(fate: Fate) -> u32 {
    if fate == Fate::Expire { SHORT_MS } else { LONG_MS }
}

/// Whether an order was refused because nothing of it is left.
fn no_stock(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::OutOfStock | RefusalCode::NoNode)
}

/// An answer in a word or a line.
#[must_use]
pub fn brief(reply: &Reply) -> String {
    match reply {
        Reply::Refused(refused) => refused.refusal.to_string(),
        Reply::Reserved(_) => "Reserved".to_owned(),
        Reply::Done(done) => format!("Done, {} units moved", done.moved),
        _ => "something of another kind".to_owned(),
    }
}
