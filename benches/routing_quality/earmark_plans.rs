//! Earmark's own routing of the scenario: its engine, filled, planning each order and holding what it planned.

use std::sync::Arc;
use std::time::Duration;

use earmark::demo::scenario::{DemoLine, DemoOrder, Scenario};
use earmark_benches::full::{Full, wishes};
use earmark_benches::{Random, START, TENANT, run};
use earmark_engine::routing::{Learner, Planner, Priced, Prices, Take as Given, hindsight};
use earmark_engine::{
    Capacity, CommandRef, Decision, Outcome, Planned, Reader, Rules, State, Submission, apply, decide,
};
use earmark_protocol::command::{
    Command, CommandBody, Delivery, Order, OrderLine, Reserve, SetPolicy, SetStock, StockCount,
};
use earmark_protocol::ids::{Channel, HoldClass, LineId, NodeIx, Segment, SkuIx};
use earmark_protocol::reply::{Plan, Reply};

use super::rules::Take;
use super::run::clock;

/// Counts in one command.
const COUNTS_MAX: usize = 10_000;

/// The engine with the scenario's nodes, skus and stock; handles are places in the scenario.
pub(crate) struct Earmark {
    state: State,
    reader: Reader,
    planner: Planner,
    decision: Decision,
    random: Random,
    learning: Option<Learning>,
    /// Whether orders have wishes, as the full model has it.
    wishes: bool,
}

/// Prices learned from the orders that were routed, and from none to come.
struct Learning {
    learner: Learner,
    /// Orders between two learnings; how many were routed, and how many are to be.
    every: u64,
    routed: u64,
    all: u64,
}

/// Times that prices are learned while a scenario is routed, at most.
const LEARNINGS: u64 = 1_000;

impl Earmark {
    /// Puts the scenario in, with what the full model says beside it.
    pub(crate) fn new(scenario: &Scenario, rules: Rules, full: Option<&Full>) -> Self {
        let cells = scenario.stock.cells.len() as u32;
        let lines: usize = scenario.orders.iter().map(|order| order.lines.len()).sum();
        let capacity = Capacity {
            skus: scenario.skus.len() as u32 + 1,
            nodes: scenario.nodes.len() as u32 + 1,
            cells: cells + cells / 4 + (2 << 20),
            reservations: scenario.orders.len() as u32 + 1,
            lines: lines as u32 * 8 + (1 << 20),
            commands: scenario.orders.len() as u32 + cells / COUNTS_MAX as u32 + (1 << 16),
            facts_bytes: 2 << 30,
            sku_code_bytes: 1 << 22,
            movements: 1 << 10,
        };
        let mut state = State::new(&capacity, rules).expect("the address space for it");
        let (mut decision, mut random) = (Decision::default(), Random(1));
        if let Some(full) = full {
            let calendars = CommandBody::PutCalendars(full.calendars.clone());
            run(&mut state, &mut decision, &mut random, calendars);
        }
        for nodes in scenario.nodes.chunks(5_000) {
            run(&mut state, &mut decision, &mut random, CommandBody::PutNodes(nodes.to_vec()));
        }
        for skus in scenario.skus.chunks(5_000) {
            run(&mut state, &mut decision, &mut random, CommandBody::PutSkus(skus.to_vec()));
        }
        let cells = &scenario.stock.cells;
        let of_sku = |sku: u32| {
            cells.of(sku).map(move |cell| StockCount {
                sku: SkuIx(sku),
                node: NodeIx(cells.node(cell)),
                segment: Segment(0),
                on_hand: scenario.stock.units[cell],
                safety: None,
            })
        };
        let counts: Vec<_> = (0..cells.skus() as u32).flat_map(of_sku).collect();
        for counts in counts.chunks(COUNTS_MAX) {
            let set = SetStock { source: 0, as_of: None, counts: counts.to_vec() };
            run(&mut state, &mut decision, &mut random, CommandBody::SetStock(set));
        }
        if let Some(full) = full {
            let policy = SetPolicy { text: full.policy.clone() };
            for said in [CommandBody::PutTariffs(full.tariffs.clone()), CommandBody::SetPolicy(policy)] {
                run(&mut state, &mut decision, &mut random, said);
            }
        }
        let (reader, mut planner) = (state.reader(), Planner::patient());
        planner.at(START);
        Self { state, reader, planner, decision, random, learning: None, wishes: full.is_some() }
    }

    /// The same, learning prices on the way. How many orders there will be is known, which is how long the stock must last.
    pub(crate) fn learning(scenario: &Scenario, rules: Rules, full: Option<&Full>) -> Self {
        let all = scenario.orders.len() as u64;
        let learning =
            Learning { learner: Learner::default(), every: all.div_ceil(LEARNINGS).max(1), routed: 0, all };
        Self { learning: Some(learning), ..Self::new(scenario, rules, full) }
    }

    /// The prices that the next order is planned by.
    pub(crate) fn prices(&self) -> Arc<Prices> {
        self.reader.prices().newest()
    }

    /// What the orders cost at least, to someone who knew all of them; `None` where that cannot be said.
    pub(crate) fn hindsight(&self, orders: &[DemoOrder]) -> Option<i64> {
        let orders: Vec<Order> = orders.iter().map(|order| self.as_order(order)).collect();
        hindsight(&self.reader, START, TENANT, &orders).map(|bound| bound.0)
    }

    /// Learns from an order that was routed.
    fn learn(&mut self, order: &DemoOrder) {
        let order = self.as_order(order);
        let Some(learning) = &mut self.learning else { return };
        learning.learner.note(TENANT, order);
        learning.routed += 1;
        if learning.routed.is_multiple_of(learning.every) {
            let ahead = learning.all - learning.routed;
            self.reader.prices().publish(learning.learner.learn(&self.reader, START, ahead));
        }
    }

    /// Plans an order and holds what was planned; how long planning took. `None` where nothing of it is there.
    pub(crate) fn route(&mut self, order: &DemoOrder) -> (Option<Plan>, Duration) {
        let placed = order;
        let order = self.as_order(placed);
        // Lanes are computed on a zone's first order; steady state begins after.
        let lanes = self.reader.lanes();
        drop(self.planner.plan(&self.reader, lanes, TENANT, &order, true, &[]));
        let begin = clock();
        let planned = self.planner.plan(&self.reader, lanes, TENANT, &order, true, &[]);
        let took = clock() - begin;
        let plan = planned.as_ref().ok().map(|proposal| proposal.plan.clone());
        if plan.is_some() {
            self.hold(order, &planned);
        }
        self.learn(placed);
        (plan, took)
    }

    fn hold(&mut self, order: Order, planned: &Planned) {
        let reserve = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: true };
        let command =
            Command { id: self.random.id(START), give_up_ms: 0, body: CommandBody::Reserve(reserve) };
        let submission = Submission {
            tenant: TENANT,
            content: 0,
            command: CommandRef::Full(&command),
            planned: Some(planned),
            last: false,
        };
        decide(&self.state, START, &submission, &mut self.decision);
        let held = matches!(self.decision.outcome, Outcome::Reply(Reply::Reserved(_)));
        assert!(held, "a fresh plan was not held: {:?}", self.decision.outcome);
        apply(&mut self.state, &self.decision.record);
    }

    /// What takes for an order cost, whoever chose them; and which of their nodes may not serve what they serve there.
    pub(crate) fn price(&mut self, scenario: &Scenario, order: &DemoOrder, takes: &[Take]) -> Priced {
        let given = |take: &Take| {
            let line = order.lines.iter().position(|line| line.sku == take.sku).expect("a take is of a line");
            let node = NodeIx(scenario.stock.cells.node(take.cell));
            Given { line: LineId(line as u32), node, quantity: take.units }
        };
        let given: Vec<_> = takes.iter().map(given).collect();
        let (order, lanes) = (self.as_order(order), self.reader.lanes());
        let priced = self.planner.price(&self.reader, lanes, TENANT, &order, &given);
        priced.expect("takes are of the order's lines and of nodes that are known")
    }

    /// The demo's order as the engine takes it.
    fn as_order(&self, order: &DemoOrder) -> Order {
        let line = |(at, line): (usize, &DemoLine)| OrderLine {
            line: LineId(at as u32),
            sku: SkuIx(line.sku),
            quantity: line.units,
        };
        let (home, deliver_by_ms) =
            if self.wishes { wishes(order.at_s.unsigned_abs()) } else { (false, None) };
        Order {
            channel: Channel(0),
            delivery: Delivery::Ship { position: order.position, postal: order.postal.clone(), home },
            nodes: Vec::new(),
            shipments_max: 0,
            value: if self.wishes { order.value } else { None },
            deliver_by_ms,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
            lines: order.lines.iter().enumerate().map(line).collect(),
        }
    }
}

/// What a plan takes from where.
pub(crate) fn takes(scenario: &Scenario, plan: &Plan) -> Vec<Take> {
    let of = |shipment: &earmark_protocol::reply::Shipment| {
        let node = shipment.node.0;
        let take = |line: &earmark_protocol::reply::ShipmentLine| Take {
            sku: line.sku.0,
            cell: scenario.stock.cells.find(line.sku.0, node).expect("a plan takes from cells that exist"),
            units: line.quantity,
        };
        shipment.lines.iter().map(take).collect::<Vec<_>>()
    };
    plan.shipments.iter().flat_map(of).collect()
}
