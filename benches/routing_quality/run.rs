//! Routes the orders by each policy, on a copy of the stock each, and counts.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use earmark::demo::judge::one_node_could;
use earmark::demo::nearest::{Distances, Tariff, price};
use earmark::demo::scenario::Scenario;
use earmark_benches::full::Full;
use earmark_engine::Rules;
use earmark_engine::routing::{PRICED_SKUS_MAX, Prices};

use super::earmark_plans::{Earmark, takes};
use super::report::{Claims, Figures, Report};
use super::rules::{Question, Take};
use super::{Args, by_steps, exact, oracle, rules, tariff};

/// One claim in this many is checked where all nodes must be looked at, since that takes long.
const CHECK_ONE_IN: usize = 20;

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

/// How takes are priced: by the literature's formula, or by the engine as the full model says.
pub(crate) enum Pricing {
    Formula(Tariff),
    Engine(Box<RefCell<Earmark>>),
}

impl Pricing {
    /// What takes for an order cost, in micros; and whether some come from where they may not.
    fn cost(&self, scenario: &Scenario, order: u32, miles: &[u32], takes: &[Take]) -> (i64, bool) {
        match self {
            Self::Formula(tariff) => (cost(scenario, *tariff, miles, takes), false),
            Self::Engine(earmark) => {
                let order = &scenario.orders[order as usize];
                let priced = earmark.borrow_mut().price(scenario, order, takes);
                (priced.proposal.plan.cost.0, !priced.barred.is_empty())
            }
        }
    }
}

/// All policies over the scenario.
pub(crate) fn all(scenario: &Scenario, full: Option<&Full>, args: &Args) -> Report {
    let tariff = tariff();
    let pricing = match full {
        None => Pricing::Formula(tariff),
        Some(_) => Pricing::Engine(Box::new(RefCell::new(Earmark::new(scenario, Rules::default(), full)))),
    };
    let mut distances = Distances::default();
    // Distances first, so that no policy pays for them.
    (0..scenario.orders.len() as u32).for_each(|order| drop(distances.of(scenario, order)));
    let mut by_rule = |name: &'static str, choose: &dyn Fn(&Question<'_>) -> Vec<Take>| {
        let mut tally = Tally::new(scenario, &pricing, &mut distances);
        for order in 0..scenario.orders.len() as u32 {
            let (begin, takes) = (clock(), choose(&tally.question(order)));
            let took = clock() - begin;
            tally.note(order, &takes, took);
        }
        (name, tally.figures())
    };
    let mut policies = vec![
        by_rule("nearest", &rules::nearest),
        by_rule("nearest_full", &rules::nearest_full),
        by_rule("most_lines", &rules::most_lines),
    ];
    let few = full.is_none()
        && scenario.nodes.len() <= exact::NODES_MAX
        && scenario.nodes.iter().all(|node| node.cost_per_line.0 == 0);
    if few {
        let (name, figures) = by_rule("exact", &|question| exact::route(question, tariff));
        policies.push((name, Figures { optimal_share: 1.0, optimal_share_small: 1.0, ..figures }));
    }
    let mut claims = Claims::default();
    let mut ours = |earmark: Earmark| ours(scenario, &pricing, &mut distances, few, earmark, &mut claims);
    let unpriced = Earmark::new(scenario, Rules::default(), full);
    let learns = !args.without_prices;
    let hindsight = if few && learns { unpriced.hindsight(&scenario.orders) } else { None };
    policies.push(("ours", ours(unpriced)));
    if learns {
        policies.push(("ours_priced", ours(Earmark::learning(scenario, Rules::default(), full))));
    }
    let hindsight = hindsight.map(|cost| cost as f64 / 1e6 / scenario.orders.len().max(1) as f64);
    Report::new(scenario, args, policies, claims, hindsight)
}

fn ours(
    scenario: &Scenario,
    pricing: &Pricing,
    distances: &mut Distances,
    few_nodes: bool,
    mut earmark: Earmark,
    claims: &mut Claims,
) -> Figures {
    let mut tally = Tally::new(scenario, pricing, distances);
    let (mut proven, mut small, mut small_proven) = (0, 0, 0);
    for order in 0..scenario.orders.len() as u32 {
        let (known, is_formula) = (earmark.prices(), matches!(pricing, Pricing::Formula(_)));
        let minds = !is_formula || minds_prices(&tally.question(order));
        tally.prices = if minds { known } else { Arc::default() };
        let (plan, took) = earmark.route(&scenario.orders[order as usize]);
        let Some(plan) = plan else {
            tally.note(order, &[], took);
            continue;
        };
        let takes = takes(scenario, &plan);
        let is_small = tally.question(order).wanted().len() <= oracle::SKUS_MAX;
        small += u64::from(is_small);
        if plan.is_optimal() {
            proven += 1;
            small_proven += u64::from(is_small);
        }
        // Who may serve what, and so which orders mind prices, the engine says itself where it prices.
        if !is_formula && plan.price.0 != prices_of(&tally.question(order), &takes) {
            tally.prices = Arc::default();
        }
        // A claim says: nothing is cheaper. So does a bound.
        let question = tally.question(order);
        let is_sampled = is_small && (order as usize).is_multiple_of(CHECK_ONE_IN);
        let least = match pricing {
            Pricing::Formula(tariff) if few_nodes => {
                Some(weighed(&question, *tariff, &exact::route(&question, *tariff)))
            }
            _ if !is_sampled => None,
            Pricing::Formula(tariff) => oracle::cheapest(&question, *tariff),
            Pricing::Engine(earmark) => by_steps::cheapest(&question, &mut earmark.borrow_mut()),
        };
        if let Some(least) = least {
            claims.checked += u64::from(plan.is_optimal());
            claims.bounds_checked += 1;
            let honest = plan.bound.0 <= least && least <= plan.weighed().0;
            claims.wrong += u64::from(!honest);
        }
        claims.mispriced += u64::from(tally.note(order, &takes, took) != plan.cost.0);
    }
    let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
    let figures = tally.figures();
    Figures {
        optimal_share: share(proven, figures.orders),
        optimal_share_small: share(small_proven, small),
        ..figures
    }
}

/// Whether an order is one whose plan minds prices.
fn minds_prices(question: &Question<'_>) -> bool {
    let wanted = question.wanted();
    let has_whole = |(sku, units): (&u32, &i64)| question.nodes_with(*sku, *units).next().is_some();
    wanted.len() <= PRICED_SKUS_MAX && wanted.iter().all(has_whole)
}

/// What these takes cost, with the prices that are to be minded, in micros.
fn weighed(question: &Question<'_>, tariff: Tariff, takes: &[Take]) -> i64 {
    cost(question.scenario, tariff, question.miles, takes) + prices_of(question, takes)
}

/// The prices of these takes.
fn prices_of(question: &Question<'_>, takes: &[Take]) -> i64 {
    let node = |take: &Take| question.scenario.stock.cells.node(take.cell);
    takes.iter().map(|take| i64::from(take.units) * question.price(take.sku, node(take))).sum()
}

/// What these takes cost, in micros.
fn cost(scenario: &Scenario, tariff: Tariff, miles: &[u32], takes: &[Take]) -> i64 {
    let cells = &scenario.stock.cells;
    price(scenario, tariff, miles, takes.iter().map(|take| (cells.node(take.cell), take.sku, take.units))).0
}

/// One policy's copy of the stock, and what it did so far.
struct Tally<'a> {
    scenario: &'a Scenario,
    pricing: &'a Pricing,
    distances: &'a mut Distances,
    miles: std::rc::Rc<Vec<u32>>,
    prices: Arc<Prices>,
    free: Vec<i64>,
    orders: u64,
    shipments: u64,
    split: u64,
    forced: u64,
    units: u64,
    cost: i64,
    barred: u64,
    took_ns: Vec<u64>,
}

impl<'a> Tally<'a> {
    fn new(scenario: &'a Scenario, pricing: &'a Pricing, distances: &'a mut Distances) -> Self {
        Self {
            scenario,
            pricing,
            distances,
            miles: std::rc::Rc::default(),
            prices: Arc::default(),
            free: scenario.stock.units.iter().map(|&units| i64::from(units)).collect(),
            orders: 0,
            shipments: 0,
            split: 0,
            forced: 0,
            units: 0,
            cost: 0,
            barred: 0,
            took_ns: Vec::new(),
        }
    }

    fn question(&mut self, order: u32) -> Question<'_> {
        self.miles = self.distances.of(self.scenario, order);
        Question {
            scenario: self.scenario,
            free: &self.free,
            order,
            miles: &self.miles,
            prices: &self.prices,
        }
    }

    /// Takes the units and counts the order, if it got any. Returns what it cost.
    fn note(&mut self, order: u32, takes: &[Take], took: Duration) -> i64 {
        self.took_ns.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        if takes.is_empty() {
            return 0;
        }
        let cells = &self.scenario.stock.cells;
        self.miles = self.distances.of(self.scenario, order);
        let (cost, is_barred) = self.pricing.cost(self.scenario, order, &self.miles, takes);
        let shipments = takes.iter().map(|take| cells.node(take.cell)).collect::<BTreeSet<_>>().len();
        self.orders += 1;
        self.cost += cost;
        self.barred += u64::from(is_barred);
        self.shipments += shipments as u64;
        if shipments > 1 {
            let wanted = takes.iter().map(|take| (take.sku, take.units));
            self.split += 1;
            self.forced += u64::from(!one_node_could(self.scenario, &self.free, wanted));
        }
        for take in takes {
            self.units += u64::from(take.units);
            self.free[take.cell] -= i64::from(take.units);
            assert!(self.free[take.cell] >= 0, "order {order} took units that were not there");
        }
        cost
    }

    fn figures(mut self) -> Figures {
        self.took_ns.sort_unstable();
        let at = |percent: usize| {
            let last = self.took_ns.len().saturating_sub(1);
            let ns = self.took_ns.get((self.took_ns.len() * percent / 100).min(last));
            ns.map_or(0.0, |ns| *ns as f64 / 1e3)
        };
        let orders = self.orders.max(1) as f64;
        Figures {
            orders: self.orders,
            units: self.units,
            cost_per_order: self.cost as f64 / 1e6 / orders,
            shipments_per_order: self.shipments as f64 / orders,
            split_rate: self.split as f64 / orders,
            forced_split_rate: self.forced as f64 / orders,
            barred_rate: self.barred as f64 / orders,
            plan_p50_us: at(50),
            plan_p99_us: at(99),
            optimal_share: 0.0,
            optimal_share_small: 0.0,
        }
    }
}
