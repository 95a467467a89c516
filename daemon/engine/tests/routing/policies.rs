//! Plans under policies, against an oracle that asks each rule of each node in plain code and knows no policy's text.

use std::collections::BTreeMap;

use earmark_engine::State;
use earmark_engine::routing::{Planner, Proposal};
use earmark_protocol::catalogue::{NodeKind, NodeState, capabilities, sku_flags};
use earmark_protocol::command::{CommandBody, Delivery, Order, SetNodeState, SetPolicy};
use earmark_protocol::ids::{Money, NodeIx, Tenant, TimestampMs};
use earmark_protocol::refusal::Refusal;
use earmark_protocol::reply::Eliminated;

use crate::carriers::Carriers;
use crate::oracle::{cheapest, cheapest_whole, demand, judge, reachable};
use crate::tariffs::address;
use crate::world::{Lean, World, run};

/// A Tuesday and a Saturday.
const TIMES: [TimestampMs; 2] = [TimestampMs(1_700_000_000_000), TimestampMs(1_700_300_000_000)];

/// What a condition is asked about.
pub(crate) struct Asked<'a> {
    world: &'a World,
    order: &'a Order,
    sku: usize,
    node: usize,
    weekday: u32,
}

impl Asked<'_> {
    fn units(&self) -> u32 {
        demand(self.order).values().sum()
    }

    fn quantity(&self) -> u32 {
        demand(self.order)[&self.sku]
    }

    fn value(&self) -> Option<i64> {
        self.order.value.map(|Money(micros)| micros)
    }

    fn spec(&self) -> &earmark_protocol::catalogue::NodeSpec {
        &self.world.nodes[self.node]
    }

    fn miles(&self) -> i64 {
        self.world.miles(self.order, self.node)
    }

    fn hazmat(&self) -> bool {
        self.world.flags[self.sku] & sku_flags::HAZMAT != 0
    }
}

type Says = fn(&Asked<'_>) -> bool;

/// Conditions on orders, lines and times, told twice.
const WHEN: [(&str, Says); 9] = [
    ("order.units > 4", |asked| asked.units() > 4),
    ("order.value > 50.00", |asked| asked.value().is_some_and(|value| value > 50_000_000)),
    ("!(order.value > 50)", |asked| asked.value().is_none_or(|value| value <= 50_000_000)),
    ("order.delivery == 'ship'", |asked| matches!(asked.order.delivery, Delivery::Ship { .. })),
    ("time.weekday >= 6", |asked| asked.weekday >= 6),
    ("order.channel in [1, 2] || order.lines == 1", |asked| {
        asked.order.channel.0 == 1 || demand(asked.order).len() == 1
    }),
    ("line.hazmat", |asked| asked.hazmat()),
    ("line.quantity >= 3 && order.units < 9", |asked| asked.quantity() >= 3 && asked.units() < 9),
    ("line.sku == 'S1'", |asked| asked.sku == 1),
];
/// Those of them from here on ask about a line.
const LINES: usize = 6;

/// A condition on orders and times, and whether it is true of this order.
pub(crate) fn of_order(at: usize, world: &World, order: &Order, weekday: u32) -> (&'static str, bool) {
    let (text, says) = WHEN[at % LINES];
    (text, says(&Asked { world, order, sku: 0, node: 0, weekday }))
}

/// Conditions on nodes, told twice; and whether they need the order as well.
const NODES: [(&str, Says, bool); 9] = [
    ("node.kind == 'store'", |asked| asked.spec().kind == NodeKind::Store, false),
    (
        "node.kind in ['dc', '3pl'] && node.priority < 2",
        |asked| asked.spec().kind == NodeKind::Dc && asked.spec().priority < 2,
        false,
    ),
    ("!node.hazmat", |asked| asked.spec().capabilities & sku_flags::HAZMAT == 0, false),
    (
        "node.code.endsWith('3') || node.code.contains('7')",
        |asked| asked.spec().code.ends_with('3') || asked.spec().code.contains('7'),
        false,
    ),
    ("node.lat < 40.0", |asked| asked.spec().position.lat_udeg < 40_000_000, false),
    ("node.cost_per_order >= 2", |asked| asked.spec().cost_per_order.0 >= 2_000_000, false),
    ("node.miles > 300", |asked| asked.miles() > 300, true),
    ("node.miles <= order.units * 40.5", |asked| asked.miles() * 2 <= i64::from(asked.units()) * 81, true),
    (
        "node.priority < order.lines || node.kind == 'vendor'",
        |asked| {
            usize::from(asked.spec().priority) < demand(asked.order).len()
                || asked.spec().kind == NodeKind::Vendor
        },
        true,
    ),
];

#[derive(Clone, Debug)]
struct Rule {
    kind: &'static str,
    when: Option<usize>,
    body: usize,
    otherwise: Option<usize>,
    cost: i64,
}

impl Rule {
    fn random(random: &mut fastrand::Rng) -> Self {
        let kind = ["require", "exclude", "prefer", "avoid"][random.usize(..4)];
        let is_hard = matches!(kind, "require" | "exclude");
        let whens = if is_hard { WHEN.len() } else { LINES };
        Self {
            kind,
            when: random.bool().then(|| random.usize(..whens)),
            body: random.usize(..NODES.len()),
            otherwise: (is_hard && random.bool()).then(|| random.usize(..=NODES.len())),
            cost: random.i64(1..20) * 250_000,
        }
    }

    fn text(&self, name: usize) -> String {
        let mut text = format!("[[rule]]\nname = \"{name}\"\n{} = \"{}\"\n", self.kind, NODES[self.body].0);
        if let Some(when) = self.when {
            text += &format!("when = \"{}\"\n", WHEN[when].0);
        }
        if let Some(otherwise) = self.otherwise {
            text += &format!("otherwise = \"{}\"\n", NODES.get(otherwise).map_or("true", |node| node.0));
        }
        if matches!(self.kind, "prefer" | "avoid") {
            text += &format!("cost = \"{}.{:06}\"\n", self.cost / 1_000_000, self.cost % 1_000_000);
        }
        text
    }

    fn hits(&self, asked: &Asked<'_>, gave_way: bool) -> bool {
        let body = NODES[self.body].1(asked);
        let is_wanted = matches!(self.kind, "require" | "prefer");
        let let_in = |otherwise: usize| NODES.get(otherwise).is_none_or(|node| node.1(asked));
        self.when.is_none_or(|when| WHEN[when].1(asked))
            && body != is_wanted
            && !(gave_way && self.otherwise.is_some_and(let_in))
    }

    fn is_hard(&self) -> bool {
        matches!(self.kind, "require" | "exclude")
    }

    fn is_mixed(&self) -> bool {
        let needs_both = |node: usize| NODES.get(node).is_some_and(|node| node.2);
        needs_both(self.body) || self.otherwise.is_some_and(needs_both)
    }
}

/// A policy, told twice: as text, and as what it means for a world and an order.
#[derive(Clone, Debug)]
pub(crate) struct Naive {
    rules: Vec<Rule>,
    shipment_cost: i64,
    mile_cost: i64,
    split_when: Option<usize>,
    weekday: u32,
}

impl Naive {
    pub(crate) fn random(random: &mut fastrand::Rng, weekday: u32) -> Self {
        Self {
            rules: (0..random.usize(..6)).map(|_| Rule::random(random)).collect(),
            shipment_cost: random.i64(0..3) * 300_000,
            mile_cost: random.i64(0..2) * 1_250,
            split_when: (random.u8(..4) == 0).then(|| random.usize(..LINES)),
            weekday,
        }
    }

    /// The same without rules that give way.
    pub(crate) fn firm(self) -> Self {
        let rules = self.rules.into_iter().map(|rule| Rule { otherwise: None, ..rule }).collect();
        Self { rules, ..self }
    }

    /// How many rules it has.
    pub(crate) fn rules(&self) -> usize {
        self.rules.len()
    }

    pub(crate) fn text(&self) -> String {
        let mut text = "name = \"random\"\n".to_owned();
        if let Some(when) = self.split_when {
            text += &format!("split_when = \"{}\"\n", WHEN[when].0);
        }
        let micros = |cost: i64| format!("\"0.{cost:06}\"");
        text += &format!(
            "weights = {{ shipment = {}, mile = {} }}\n",
            micros(self.shipment_cost),
            micros(self.mile_cost)
        );
        text + &self.rules.iter().enumerate().map(|(at, rule)| rule.text(at)).collect::<String>()
    }

    /// What it means where so many rules, from the last on, gave way for a sku.
    pub(crate) fn lean(&self, world: &World, order: &Order, gave_way: &BTreeMap<usize, usize>) -> Lean {
        let asked = |sku, node| Asked { world, order, sku, node, weekday: self.weekday };
        let fallbacks: Vec<_> = self.falling();
        let mut lean = Lean::default();
        for node in 0..world.nodes.len() {
            for sku in demand(order).keys() {
                let open = &fallbacks[fallbacks.len() - gave_way.get(sku).copied().unwrap_or(0)..];
                let hit = |(at, rule): (usize, &Rule)| {
                    rule.is_hard() && rule.hits(&asked(*sku, node), open.contains(&at))
                };
                if self.rules.iter().enumerate().any(hit) {
                    lean.excluded.insert((*sku, node));
                }
            }
            let first = *demand(order).keys().next().expect("an order has lines");
            let soft =
                self.rules.iter().filter(|rule| !rule.is_hard() && rule.hits(&asked(first, node), false));
            let extra = self.shipment_cost + self.mile_cost * world.miles(order, node);
            lean.extra.push(extra + soft.map(|rule| rule.cost).sum::<i64>());
        }
        if let Some(when) = self.split_when
            && !WHEN[when].1(&asked(0, 0))
        {
            lean.limit = Some(1);
        }
        lean
    }

    /// Places of the rules that can give way.
    fn falling(&self) -> Vec<usize> {
        (0..self.rules.len()).filter(|at| self.rules[*at].otherwise.is_some()).collect()
    }

    /// The world as the policy leaves it for an order: rules give way, the last first, for skus that are short; or for
    /// all where only the number of shipments is in the way.
    fn world(&self, world: &World, order: &Order) -> (World, BTreeMap<usize, usize>) {
        let wanted = demand(order);
        let mut gave_way = BTreeMap::new();
        loop {
            let lean = self.lean(world, order, &gave_way);
            let leaning = World { lean, ..world.clone() };
            if cheapest(&leaning, order, &wanted).is_some() {
                return (leaning, gave_way);
            }
            let short = |sku: &usize| reachable(&leaning, order, *sku, wanted[sku]) < wanted[sku];
            let any_short = wanted.keys().any(short);
            let before = gave_way.clone();
            for sku in wanted.keys().filter(|sku| !any_short || short(sku)) {
                let count = gave_way.entry(*sku).or_insert(0);
                *count = (*count + 1).min(self.falling().len());
            }
            if before.values().sum::<usize>() == gave_way.values().sum::<usize>() {
                return (leaning, gave_way);
            }
        }
    }

    /// How many nodes each rule excludes that none before it does; rules that need order and node count last.
    fn eliminated(&self, world: &World, order: &Order, gave_way: &BTreeMap<usize, usize>) -> Vec<Eliminated> {
        let told = |(rule, nodes): (usize, u32)| Eliminated { rule: rule as u16, nodes };
        let falling = self.falling();
        let strict = self.excluded(world, order, &BTreeMap::new());
        let most = gave_way.values().max().copied().unwrap_or(0);
        let open = falling[falling.len() - most..].iter().filter(|at| strict.contains_key(at));
        let open = open.map(|at| told((*at, Eliminated::GAVE_WAY)));
        let mut all: Vec<_> =
            self.excluded(world, order, gave_way).into_iter().map(told).chain(open).collect();
        all.sort_by_key(|told| told.rule);
        all
    }

    /// The same, whether rules gave way aside.
    fn excluded(
        &self,
        world: &World,
        order: &Order,
        gave_way: &BTreeMap<usize, usize>,
    ) -> BTreeMap<usize, u32> {
        let needs = match order.delivery {
            Delivery::Ship { .. } | Delivery::ToStore { .. } => capabilities::SHIP,
            Delivery::Pickup { .. } => capabilities::PICKUP,
        };
        let falling = self.falling();
        let mut most = BTreeMap::<usize, u32>::new();
        for sku in demand(order).keys() {
            let open = &falling[falling.len() - gave_way.get(sku).copied().unwrap_or(0)..];
            let mut counts = BTreeMap::<usize, u32>::new();
            for node in 0..world.nodes.len() {
                if world.paused.contains(&node) || world.nodes[node].capabilities & needs == 0 {
                    continue;
                }
                let asked = Asked { world, order, sku: *sku, node, weekday: self.weekday };
                let mut hard: Vec<_> = (0..self.rules.len()).filter(|at| self.rules[*at].is_hard()).collect();
                hard.sort_by_key(|at| self.rules[*at].is_mixed());
                if let Some(at) = hard.into_iter().find(|at| self.rules[*at].hits(&asked, open.contains(at)))
                {
                    *counts.entry(at).or_default() += 1;
                }
            }
            for (at, nodes) in counts {
                let kept = most.entry(at).or_default();
                *kept = nodes.max(*kept);
            }
        }
        most
    }
}

fn state(world: &World, naive: &Naive) -> State {
    let mut state = world.state();
    run(&mut state, CommandBody::SetPolicy(SetPolicy { text: naive.text() }));
    state
}

pub(crate) fn drawn(random: &mut fastrand::Rng, world: &mut World) {
    for node in &mut world.nodes {
        node.kind = [NodeKind::Dc, NodeKind::Store, NodeKind::Vendor][random.usize(..3)];
    }
    // Enough that rules, not stock, decide most orders.
    world.stock.values_mut().for_each(|available| *available += 3);
}

pub(crate) fn with_value(random: &mut fastrand::Rng, order: Order) -> Order {
    Order { value: random.bool().then(|| Money(random.i64(0..100) * 1_000_000)), ..order }
}

fn plan(state: &State, now: TimestampMs, order: &Order, best_effort: bool) -> Result<Proposal, Refusal> {
    let reader = state.reader();
    Planner::new().at(now).plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[])
}

#[test]
fn an_order_gets_the_cheapest_plan_that_its_policy_allows_and_its_proof() {
    let mut random = fastrand::Rng::with_seed(21);
    let (mut planned, mut changed, mut refused, mut gave_way) = (0, 0, 0, 0);
    for turn in 0..4_000 {
        let mut world = World::random(&mut random);
        drawn(&mut random, &mut world);
        let drawn = world.order(&mut random);
        let order = with_value(&mut random, drawn);
        let (now, weekday) = [(TIMES[0], 2), (TIMES[1], 6)][random.usize(..2)];
        let naive = Naive::random(&mut random, weekday);
        let demand = demand(&order);
        let (leaning, rules_off) = naive.world(&world, &order);
        let ours = plan(&state(&world, &naive), now, &order, false);
        match (ours, cheapest(&leaning, &order, &demand)) {
            (Ok(proposal), Some(expected)) => {
                assert_eq!(judge(&leaning, &order, &proposal), demand, "turn {turn}");
                let said = (proposal.plan.cost.0, proposal.plan.bound.0);
                assert_eq!(
                    said,
                    (expected.0, expected.0),
                    "turn {turn}: {} {world:#?} {order:#?}",
                    naive.text()
                );
                assert_eq!(proposal.plan.policy, 1);
                for shipment in &proposal.plan.shipments {
                    assert_eq!(
                        shipment.policy_cost.0, leaning.lean.extra[shipment.node.0 as usize],
                        "turn {turn}"
                    );
                }
                let eliminated = naive.eliminated(&world, &order, &rules_off);
                assert_eq!(proposal.plan.eliminated, eliminated, "turn {turn}: {} {order:#?}", naive.text());
                let free = cheapest(&world, &order, &demand).expect("rules only take away");
                changed += usize::from(free.2 != expected.2);
                gave_way += usize::from(rules_off.values().any(|count| *count > 0));
                planned += 1;
            }
            (Err(_), None) => refused += 1,
            (ours, expected) => {
                panic!("turn {turn}: {ours:?} but {expected:?}: {} {world:#?} {order:#?}", naive.text())
            }
        }
    }
    assert!(
        planned > 1_000 && changed > 100 && refused > 500 && gave_way > 100,
        "{planned} {changed} {refused} {gave_way}"
    );
}

#[test]
fn by_steps_too_an_order_gets_the_cheapest_plan_that_its_policy_allows_and_its_proof() {
    let mut random = fastrand::Rng::with_seed(24);
    let (mut planned, mut split, mut several, mut refused) = (0, 0, 0, 0);
    for turn in 0..4_000 {
        let mut world = World::random(&mut random);
        drawn(&mut random, &mut world);
        let is_thin = random.u8(..3) == 0;
        world.stock.values_mut().for_each(|available| *available -= if is_thin { 4 } else { 0 });
        world.carriers = Some(Carriers::random(&mut random, &mut world.nodes, world.flags.len()));
        let drawn = world.order(&mut random);
        let mut order = with_value(&mut random, drawn);
        address(&mut random, &mut order);
        let (now, weekday) = [(TIMES[0], 2), (TIMES[1], 6)][random.usize(..2)];
        let naive = Naive::random(&mut random, weekday);
        let demand = demand(&order);
        let (leaning, _) = naive.world(&world, &order);
        let ours = plan(&state(&world, &naive), now, &order, false);
        match (ours, cheapest(&leaning, &order, &demand)) {
            (Ok(proposal), Some(expected)) => {
                let told = || format!("turn {turn}: {} {world:#?} {order:#?} {proposal:#?}", naive.text());
                assert_eq!(judge(&leaning, &order, &proposal), demand, "turn {turn}");
                let said = (proposal.plan.cost.0, proposal.plan.bound.0);
                assert_eq!(said, (expected.0, expected.0), "{}", told());
                let is_split = |(sku, units): (&usize, &u32)| {
                    (0..world.nodes.len()).all(|node| leaning.available(&order, *sku, node) < *units)
                };
                planned += 1;
                split += usize::from(demand.iter().any(is_split));
                several += usize::from(proposal.plan.shipments.len() > 1);
            }
            (Err(_), None) => refused += 1,
            (ours, expected) => panic!("turn {turn}: {ours:?} but {expected:?}: {world:#?} {order:#?}"),
        }
    }
    let counts = (planned, split, several, refused);
    assert!(planned > 800 && split > 20 && several > 100 && refused > 300, "{counts:?}");
}

#[test]
fn among_many_nodes_bounds_stay_honest_under_a_policy() {
    let mut random = fastrand::Rng::with_seed(22);
    let (mut proven, mut planned) = (0, 0);
    for turn in 0..150 {
        let mut world = World::wide(&mut random, 250, 4, 0.15, 6);
        drawn(&mut random, &mut world);
        let drawn = world.wide_order(&mut random, 1 + turn % 3, 2);
        let order = with_value(&mut random, drawn);
        let naive = Naive { split_when: None, ..Naive::random(&mut random, 2) }.firm();
        let leaning = World { lean: naive.lean(&world, &order, &BTreeMap::new()), ..world.clone() };
        let Some(cheapest) = cheapest_whole(&leaning, &order, &demand(&order)) else { continue };
        let proposal = plan(&state(&world, &naive), TIMES[0], &order, false).expect("there is a plan");
        judge(&leaning, &order, &proposal);
        let (cost, bound) = (proposal.plan.cost.0, proposal.plan.bound.0);
        assert!(
            bound <= cheapest && cheapest <= cost,
            "turn {turn}: {bound} {cheapest} {cost} {}",
            naive.text()
        );
        proven += usize::from(proposal.plan.is_optimal());
        planned += 1;
    }
    assert!(planned > 80 && proven * 10 >= planned * 9, "{proven} of {planned} proven");
}

#[test]
fn one_planner_follows_changes_of_policy_and_nodes() {
    let mut random = fastrand::Rng::with_seed(23);
    let mut planner = Planner::new();
    let mut world = World::random(&mut random);
    while world.nodes.len() < 4 {
        world = World::random(&mut random);
    }
    drawn(&mut random, &mut world);
    let mut state = world.state();
    let reader = state.reader();
    for turn in 0..400 {
        if random.u8(..3) == 0 {
            let node = random.usize(..world.nodes.len());
            let is_paused = world.paused.remove(&node) || !world.paused.insert(node);
            let to = if is_paused { NodeState::Active } else { NodeState::Paused };
            run(&mut state, CommandBody::SetNodeState(SetNodeState { node: NodeIx(node as u32), state: to }));
        }
        let naive = Naive::random(&mut random, 2);
        run(&mut state, CommandBody::SetPolicy(SetPolicy { text: naive.text() }));
        for _ in 0..8 {
            let drawn = world.order(&mut random);
            let order = with_value(&mut random, drawn);
            let (leaning, _) = naive.world(&world, &order);
            let expected = cheapest(&leaning, &order, &demand(&order)).map(|plan| plan.0);
            let ours = planner.at(TIMES[0]).plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
            let said = ours.as_ref().ok().map(|proposal| proposal.plan.cost.0);
            assert_eq!(said, expected, "turn {turn}: {} {world:#?} {order:#?}", naive.text());
            assert!(ours.is_err() || ours.is_ok_and(|proposal| proposal.plan.policy == turn + 1));
        }
    }
}
