//! What orders are routed on: a state of its own in this process, from data files or copied from a data directory.

use std::collections::HashMap;
use std::sync::Arc;

use earmark_engine::resume::{TooSmall, reservable, resize};
use earmark_engine::routing::{Planner, Priced, Proposal, Take};
use earmark_engine::{
    Capacity, CommandRef, Decision, Outcome, Planned, Reader, ReserveError, Rules, State, Submission, apply,
    check_order, decide,
};
use earmark_protocol::command::{Command, CommandBody, Order, Reserve, SetPolicy, SetStock, StockCount};
use earmark_protocol::ids::{CommandId, HoldClass, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, PolicyView, Reply};
use earmark_protocol::supply::SupplySpec;
use earmark_protocol::tariff::PutTariffs;
use earmark_snapshot::storage::Storage;

use super::orders::Placed;
use crate::data::DataSet;
use crate::data::stock::Count;
use crate::data::supplies::SupplyRow;
use crate::data::table::Located;
use crate::store::{StoreError, copy};

/// Specs and counts in one command.
const BATCH: usize = 5_000;

/// Why there is nothing to route on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The data files do not say all that is needed.
    #[error("there is no file {0}; give a directory with nodes, skus and stock")]
    NoFile(&'static str),
    /// The address space for it cannot be had.
    #[error("making a copy of the stock to route on: {0}")]
    Memory(#[from] ReserveError),
    /// The data directory cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy cannot be given room for the orders.
    #[error("making room in the copy for the orders: {0}")]
    Room(#[from] TooSmall),
    /// The engine does not take what the files say.
    #[error("filling the copy with {what}: refused {refusal}; correct the file")]
    Refused {
        /// What.
        what: &'static str,
        /// Why.
        refusal: Refusal,
    },
}

/// A state to route orders on.
pub struct Ground {
    state: State,
    reader: Reader,
    planner: Planner,
    decision: Decision,
    tenant: Tenant,
    /// Ids given so far.
    ids: u64,
}

impl Ground {
    /// From data files, with room for so many orders and lines.
    ///
    /// # Errors
    /// Where a file is missing, or says what the engine does not take.
    pub fn of_files(
        data: &DataSet,
        rules: Rules,
        (orders, lines): (usize, usize),
    ) -> Result<Self, ReplayError> {
        let nodes = data.nodes.as_ref().ok_or(ReplayError::NoFile("nodes"))?;
        let skus = data.skus.as_ref().ok_or(ReplayError::NoFile("skus"))?;
        let stock = data.stock.as_ref().ok_or(ReplayError::NoFile("stock"))?;
        let supplies = data.supplies.as_ref().map_or(0, |file| file.rows.len());
        let (rows, batches) = (stock.rows.len() + supplies, (stock.rows.len() + supplies) / BATCH);
        let cells = rows as u32;
        let smallest = Capacity {
            skus: skus.rows.len() as u32 + 1,
            nodes: nodes.rows.len() as u32 + 1,
            // Runs grow by moving, and what they leave is used again only by runs that fit.
            cells: cells + cells / 2 + (1 << 20),
            commands: (batches + nodes.rows.len() / BATCH + skus.rows.len() / BATCH) as u32 + 16,
            sku_code_bytes: skus.rows.iter().map(|row| 256 + row.value.code.len() as u64).sum::<u64>() + 4096,
            movements: 1 << 10,
            ..Capacity::smallest()
        };
        let capacity = with_room(&smallest, orders, lines);
        let mut ground = Self::new(State::new(&capacity, rules)?, Tenant(0));
        for calendars in data.calendars.iter().flat_map(|file| file.rows.chunks(BATCH)) {
            let specs = calendars.iter().map(|row| row.value.clone()).collect();
            ground.fill("calendars", CommandBody::PutCalendars(specs))?;
        }
        for put in data.tariffs.iter().flat_map(parts) {
            ground.fill("tariffs", CommandBody::PutTariffs(put))?;
        }
        for nodes in nodes.rows.chunks(BATCH) {
            let specs = nodes.iter().map(|row| row.value.clone()).collect();
            ground.fill("nodes", CommandBody::PutNodes(specs))?;
        }
        for skus in skus.rows.chunks(BATCH) {
            let specs = skus.iter().map(|row| row.value.clone()).collect();
            ground.fill("skus", CommandBody::PutSkus(specs))?;
        }
        // Handles are places in the files: they were checked to name each code once.
        let places = |codes: &mut dyn Iterator<Item = String>| codes.zip(0_u32..).collect::<HashMap<_, _>>();
        let node_places = places(&mut nodes.rows.iter().map(|row| row.value.code.clone()));
        let sku_places = places(&mut skus.rows.iter().map(|row| row.value.code.clone()));
        for kits in data.kits.iter().flat_map(|file| file.rows.chunks(BATCH)) {
            // A code that is unknown is refused, like one of stock.
            let handle = |code: &str| Some(SkuIx(sku_places.get(code).copied().unwrap_or(u32::MAX)));
            let specs = kits.iter().filter_map(|row| row.value.spec(handle)).collect();
            ground.fill("kits", CommandBody::PutKits(specs))?;
        }
        for rows in data.substitutes.iter().flat_map(|file| file.rows.chunks(BATCH)) {
            let handle = |code: &str| Some(SkuIx(sku_places.get(code).copied().unwrap_or(u32::MAX)));
            let specs = rows.iter().filter_map(|row| row.value.spec(handle)).collect();
            ground.fill("substitutes", CommandBody::PutSubstitutes(specs))?;
        }
        for counts in stock.rows.chunks(BATCH) {
            let count = |row: &Located<Count>| StockCount {
                sku: SkuIx(sku_places.get(&*row.value.sku).copied().unwrap_or(u32::MAX)),
                node: NodeIx(node_places.get(&*row.value.node).copied().unwrap_or(u32::MAX)),
                segment: row.value.segment,
                on_hand: row.value.on_hand,
                safety: row.value.safety,
            };
            let counts = counts.iter().map(count).collect();
            ground.fill("stock", CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }))?;
        }
        for rows in data.supplies.iter().flat_map(|file| file.rows.chunks(BATCH)) {
            let spec = |row: &Located<SupplyRow>| SupplySpec {
                code: row.value.supply.clone(),
                sku: SkuIx(sku_places.get(&*row.value.sku).copied().unwrap_or(u32::MAX)),
                node: NodeIx(node_places.get(&*row.value.node).copied().unwrap_or(u32::MAX)),
                segment: row.value.segment,
                quantity: row.value.quantity,
                day: row.value.day,
            };
            ground.fill("supplies", CommandBody::PutSupplies(rows.iter().map(spec).collect()))?;
        }
        Ok(ground)
    }

    /// A copy of what a data directory holds, which stays as it is, with room for so many orders and lines more.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn of_copy(
        storage: &Arc<dyn Storage>,
        rules: &Rules,
        tenant: Tenant,
        (orders, lines): (usize, usize),
    ) -> Result<Self, ReplayError> {
        let mut state = copy(storage, rules)?;
        let mut decision = Decision::default();
        if resize(&state, &with_room(state.capacity(), orders, lines), &mut decision)? {
            reservable(&decision.record)?;
            apply(&mut state, &decision.record);
        }
        Ok(Self::new(state, tenant))
    }

    fn new(state: State, tenant: Tenant) -> Self {
        let (reader, planner, decision) = (state.reader(), Planner::new(), Decision::default());
        Self { state, reader, planner, decision, tenant, ids: 0 }
    }

    /// Reads of the state.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Whose orders are routed.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The time of the last that happened to it; 0 where nothing has.
    #[must_use]
    pub fn now(&self) -> TimestampMs {
        self.state.now()
    }

    /// The policy that orders are routed under.
    #[must_use]
    pub fn policy(&self) -> Option<PolicyView> {
        self.reader.policy(self.tenant, 0)
    }

    /// Has orders routed under this policy from now on.
    ///
    /// # Errors
    /// What the daemon would refuse it for.
    pub fn obey(&mut self, text: String) -> Result<(), Refusal> {
        self.run(self.now(), CommandBody::SetPolicy(SetPolicy { text }), None).map(drop)
    }

    /// Units of an order, its kits taken apart.
    #[must_use]
    pub fn wanted(&self, order: &Order) -> u64 {
        self.reader.extent(self.tenant, order).1
    }

    /// Routes an order as it would be at this time, and holds what was planned.
    ///
    /// # Errors
    /// Why nothing of it could be had.
    pub fn route(&mut self, placed: &Placed, at: TimestampMs, best_effort: bool) -> Result<Plan, Refusal> {
        match self.route_at(placed, at, best_effort) {
            // What is held is decided not before what was decided last: a policy may have begun since the order's own time.
            Err(Refusal { code: RefusalCode::Contended, .. }) => {
                self.route_at(placed, at.max(self.now()), best_effort)
            }
            routed => routed,
        }
    }

    fn route_at(&mut self, placed: &Placed, at: TimestampMs, best_effort: bool) -> Result<Plan, Refusal> {
        let proposal = self.plan(placed, at, best_effort)?;
        let plan = proposal.plan.clone();
        self.hold(&placed.order, at, proposal, best_effort)?;
        Ok(plan)
    }

    /// Plans an order as it would be at this time.
    ///
    /// # Errors
    /// Why nothing of it could be had.
    pub fn plan(&mut self, placed: &Placed, at: TimestampMs, best_effort: bool) -> Result<Proposal, Refusal> {
        let (reader, order) = (&self.reader, &placed.order);
        check_order(reader, self.tenant, order)?;
        self.planner.at(at).plan(reader, reader.lanes(), self.tenant, order, best_effort, &[])
    }

    /// Prices what another system decided for an order, as of this time.
    ///
    /// # Errors
    /// Where it is no decision of this order.
    pub fn price(&mut self, placed: &Placed, at: TimestampMs, takes: &[Take]) -> Result<Priced, Refusal> {
        let (reader, order) = (&self.reader, &placed.order);
        self.planner.at(at).price(reader, reader.lanes(), self.tenant, order, takes)
    }

    /// Holds a plan for an order.
    ///
    /// # Errors
    /// What the daemon would refuse it for; `Contended` where the stock for it is not there.
    pub fn hold(
        &mut self,
        order: &Order,
        at: TimestampMs,
        proposal: Proposal,
        best_effort: bool,
    ) -> Result<(), Refusal> {
        let order = order.clone();
        let reserve = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort };
        self.run(at, CommandBody::Reserve(reserve), Some(&Ok(proposal))).map(drop)
    }

    fn fill(&mut self, what: &'static str, body: CommandBody) -> Result<(), ReplayError> {
        self.run(TimestampMs(0), body, None).map_err(|refusal| ReplayError::Refused { what, refusal })
    }

    /// Decides and applies a command.
    fn run(&mut self, at: TimestampMs, body: CommandBody, planned: Option<&Planned>) -> Result<(), Refusal> {
        self.ids += 1;
        let now = at.max(self.state.now());
        let [a, b, c, d, e, f, g, h] = self.ids.to_be_bytes();
        // Ids of a copied daemon's clients are drawn by chance; these two bytes make a clash no likelier than among those.
        let command =
            Command { id: CommandId::new(now, [0xEA, 0x27, a, b, c, d, e, f, g, h]), give_up_ms: 0, body };
        let command = CommandRef::Full(&command);
        let submission = Submission { tenant: self.tenant, content: 0, command, planned, last: false };
        decide(&self.state, now, &submission, &mut self.decision);
        apply(&mut self.state, &self.decision.record);
        match &self.decision.outcome {
            Outcome::Reply(Reply::Refused(refused)) => Err(refused.refusal),
            Outcome::Conflict => Err(Refusal::of(RefusalCode::Contended, Field::Whole)),
            _ => Ok(()),
        }
    }
}

/// What carriers charge, in commands that the engine takes: what is named before what names it.
fn parts(put: &PutTariffs) -> Vec<PutTariffs> {
    let rates = PutTariffs { rates: put.rates.clone(), ..PutTariffs::default() };
    let charts =
        put.charts.chunks(BATCH).map(|rows| PutTariffs { charts: rows.to_vec(), ..PutTariffs::default() });
    let services =
        put.services.iter().map(|spec| PutTariffs { services: vec![spec.clone()], ..PutTariffs::default() });
    let all = std::iter::once(rates).chain(charts).chain(services);
    all.filter(|part| *part != PutTariffs::default()).collect()
}

/// This capacity, and so many orders with so many lines over it. It is address space, touched as it is used.
fn with_room(capacity: &Capacity, orders: usize, lines: usize) -> Capacity {
    /// Lines are split over some cells each.
    const CELLS_PER_LINE: usize = 8;
    /// Bytes of facts of an order, and of each cell of a line.
    const FACTS: (usize, usize) = (4_096, 128);
    let more = |count: u32, by: usize| count.saturating_add(u32::try_from(by).unwrap_or(u32::MAX));
    let rows = lines * CELLS_PER_LINE;
    Capacity {
        reservations: more(capacity.reservations, orders + 1),
        lines: more(capacity.lines, rows),
        commands: more(capacity.commands, orders + 16),
        facts_bytes: capacity.facts_bytes.saturating_add((orders * FACTS.0 + rows * FACTS.1) as u64),
        ..capacity.clone()
    }
}
