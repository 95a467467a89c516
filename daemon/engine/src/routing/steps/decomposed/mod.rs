//! Bounds and plans where each node has values of its own: what a node ships, and how a want is split, are looked at apart.
//!
//! In [`super::offers`] a unit of a want is worth the same everywhere. Here each number of units of a want at each node has its own
//! value. A node ships what costs least beyond those, and a want is split where they come to least. Whatever the values, both together
//! are a lower bound, by Lagrangian decomposition (Guignard and Kim 1987): it knows both the steps of carriers' prices and what each
//! node has of a want. It is the higher the more nodes and wants agree ([`raise`]). By how much a shipment falls short of the best of its
//! node, and its parts of the cheapest splits, most of what nodes could ship is ruled out; of what is left plans are put together
//! ([`build`]).

mod build;
mod raise;
mod wants;

use build::{Builder, Width};
use wants::{Holder, Wants};

use super::counts::{COUNTS_MAX, Count, Counts};
use super::near::{FAR, Fill, Found, Near, Node};
use super::offers::Shipment;
use crate::routing::case::{Best, Budget, Case};
use crate::routing::parcels::Carriers;

/// Turns of finding values, ruling out and putting together; and how many of them may gain nothing, a share of the gap at least.
const TURNS: usize = 12;
const IDLE_TURNS: u32 = 2;
const GAIN_SHARE: i64 = 50;
/// How far values are moved at first, and at least once there is a better plan; how much of what is left that may take.
const PACE: f64 = 1.0;
const PACE_AGAIN: f64 = 0.3;
const RAISE_PERCENT: u64 = 40;
/// Most shipments of all nodes together; and of which a first plan is put together.
const SHIPMENTS_MAX: usize = 200_000;
const GUESSED_MAX: usize = 20_000;
/// Steps of looking for the best of one node; and of looking at a shipment's part.
const NODE_STEPS: u64 = 250_000;
const PART_STEPS: usize = 3;
/// How many plans are kept node after node where one is guessed.
const GUESS_WIDTH: Width = Width { plans: 200, ways: 16, tries: 500 };
/// How much of what is left listing may take, and guesses, and putting all plans together; that is tried with more only where so many
/// times the work is left.
const LIST_PERCENT: u64 = 25;
const GUESS_PERCENT: u64 = 20;
/// How much of what is left taking out and filling in may take, where the best is farther from the bound than such a share of it.
const IMPROVE_PERCENT: u64 = 15;
const GOOD_SHARE: i64 = 400;
const BUILD_PERCENT: u64 = 50;
const BUILD_GROWTH: u64 = 6;
/// What share of what plans may exceed the bound by is allowed at first.
const ALLOWED_SHARE: i64 = 16;
/// Most numbers of units of all nodes, and most units times nodes.
const NUMBERS_MAX: usize = 1 << 22;
/// Orders that cost more are left alone, so that sums are no too large numbers.
const COST_MAX: i64 = FAR / 256;

/// What is looked at: an order's counts, what nodes have of them, and what any shipment is worth where those are limited, and all that
/// are allowed together: nothing, or less.
#[derive(Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) counts: &'a Counts,
    pub(super) nodes: &'a [Node],
    pub(super) case: &'a Case,
    pub(super) carriers: Carriers<'a>,
    pub(super) shipment: i64,
    pub(super) shipments: i64,
}

/// What numbers of units are worth, each node's after the other's.
#[derive(Default)]
struct Values {
    of: Vec<i64>,
    /// Whether a plan within the best cost may have just so many.
    is_open: Vec<bool>,
    /// How much more than the cheapest split one costs that has so many.
    over: Vec<i64>,
}

impl Values {
    /// The numbers of units, `most` at most, that a plan may have of a holder.
    fn open(&self, holder: &Holder, most: usize) -> impl Iterator<Item = usize> {
        let of = &self.is_open[holder.first..=holder.first + holder.there.min(most)];
        of.iter().enumerate().filter(|(_, is_open)| **is_open).map(|(of, _)| of)
    }
}

/// A node, with its shipments by place in [`Decomposed::shipments`].
#[derive(Clone, Copy)]
struct Site {
    first: usize,
    end: usize,
    /// Whether a plan within the best cost has to ship from it.
    is_needed: bool,
    /// What costs least beyond values.
    best: Found,
}

/// Buffers.
#[derive(Default)]
pub(super) struct Decomposed {
    values: Values,
    best_values: Vec<i64>,
    moves: Vec<f64>,
    wants: Wants,
    sites: Vec<Site>,
    /// By node: how wants are split.
    split: Vec<Fill>,
    /// What nodes could ship; and whether that is all that a plan within the best cost may have.
    shipments: Vec<Shipment>,
    is_listed: bool,
    /// By how much what is listed falls short at most.
    slack: i64,
    builder: Builder,
}

impl Decomposed {
    /// Looks for a plan that costs less than the best, and offers it; `worths` are what a unit of each count is worth at first. Returns what
    /// a plan costs at least: as much as the best, where the search came to its end.
    pub(super) fn find(
        &mut self,
        order: Order<'_>,
        worths: &[i64],
        (near, mut improve): (&mut Near, impl FnMut(&[i64], &mut Best, &mut Budget)),
        best: &mut Best,
        budget: &mut Budget,
    ) -> i64 {
        let numbers = order.nodes.iter().map(Node::numbers).sum::<usize>();
        let units = order.counts.list.iter().map(|count| count.most as usize).sum::<usize>();
        if best.cost > COST_MAX || numbers.max(units.saturating_mul(order.nodes.len())) > NUMBERS_MAX {
            return 0;
        }
        self.read(order, worths);
        let (mut proven, mut pace, mut idle) = (0, PACE, 0);
        for _ in 0..TURNS {
            let (known, gap) = (best.cost, best.cost - proven);
            let raised = budget.spend(RAISE_PERCENT, u64::MAX, |own| {
                self.raise(order, (known, &mut pace), (&mut *near, &mut proven), own)
            });
            if proven > known {
                return known;
            }
            let Some(bound) = raised else { break };
            if known - bound > bound / GOOD_SHARE {
                let paid = self.paid(order);
                budget.spend(IMPROVE_PERCENT, u64::MAX, |own| improve(&paid, best, own));
            }
            if !self.narrow(order, best.cost - bound, near, budget) {
                break;
            }
            self.guess(order, best, budget);
            proven = self.finish(order, (bound, proven), best, budget);
            if proven >= best.cost {
                return best.cost;
            }
            if best.cost < known {
                pace = pace.max(PACE_AGAIN);
                self.rule_out(order, best.cost - bound);
            }
            idle = if best.cost - proven < gap - gap / GAIN_SHARE { 0 } else { idle + 1 };
            if idle == IDLE_TURNS {
                break;
            }
        }
        proven
    }

    /// What a unit of each count is worth where splits ask for it, in the mean.
    fn paid(&self, order: Order<'_>) -> Vec<i64> {
        let (mut sums, mut units) = ([0; COUNTS_MAX], [0; COUNTS_MAX]);
        for (node, split) in order.nodes.iter().zip(&self.split) {
            for choice in &node.choices {
                let asked = split[choice.at] as usize;
                sums[choice.at] += self.values.of[choice.first + asked];
                units[choice.at] += asked as i64;
            }
        }
        let counts = order.counts.list.iter().enumerate();
        let paid = |(at, count): (usize, &Count)| {
            if count.is_want() { sums[at] / units[at].max(1) } else { order.shipment }
        };
        counts.map(paid).collect()
    }

    /// Begins with an order.
    fn read(&mut self, order: Order<'_>, worths: &[i64]) {
        let Self { values, sites, split, wants, shipments, .. } = self;
        let numbers = order.nodes.iter().map(Node::numbers).sum();
        values.of.clear();
        values.of.resize(numbers, 0);
        for choice in order.nodes.iter().flat_map(|node| &node.choices) {
            let of_choice = &mut values.of[choice.first..=choice.first + choice.there];
            (0..).zip(of_choice).for_each(|(of, value)| *value = worths[choice.at] * of);
        }
        values.is_open.clear();
        values.is_open.resize(numbers, true);
        values.over.clear();
        values.over.resize(numbers, 0);
        let best = Found { beyond: 0, fill: Fill::default() };
        sites.clear();
        sites.resize(order.nodes.len(), Site { first: 0, end: 0, is_needed: false, best });
        split.clear();
        split.resize(order.nodes.len(), Fill::default());
        wants.read(order);
        shipments.clear();
        (self.is_listed, self.slack) = (false, 0);
    }

    /// What every plan within the best cost costs at least by the values at hand, `i64::MAX` where there is none; `None` where that takes
    /// more than the budget.
    fn bound(&mut self, order: Order<'_>, near: &mut Near, budget: &mut Budget) -> Option<i64> {
        let mut total = order.shipments;
        for at in 0..order.nodes.len() {
            let best = if self.is_listed {
                self.listed(order, at, budget)
            } else {
                self.unlisted(order, at, near, budget)
            }?;
            self.sites[at].best = best;
            if best.beyond >= FAR / 2 {
                return Some(i64::MAX);
            }
            total += best.beyond;
        }
        let Self { wants, values, split, .. } = self;
        for (at, want) in wants.of.iter_mut().enumerate().filter(|(_, want)| want.need > 0) {
            if !want.fill(values, budget) {
                return None;
            }
            if want.cost() >= FAR / 2 {
                return Some(i64::MAX);
            }
            total += want.cost();
            want.trace(values, |holder, of| split[holder.node][at] = of as u32);
        }
        Some(total)
    }

    /// What a node ships that costs least beyond values.
    fn unlisted(&self, order: Order<'_>, at: usize, near: &mut Near, budget: &mut Budget) -> Option<Found> {
        let (node, values) = (&order.nodes[at], &self.values.of);
        let task = (order.case, order.carriers);
        let is_within = near.look(node, |choice, of| values[choice.first + of], budget);
        is_within.then(|| budget.spend(100, NODE_STEPS, |own| near.best(node, task, order.shipment, own)))
    }

    /// The same, of what is listed.
    fn listed(&mut self, order: Order<'_>, at: usize, budget: &mut Budget) -> Option<Found> {
        let (node, Site { first, end, is_needed, .. }) = (&order.nodes[at], self.sites[at]);
        if !budget.afford((end - first) * node.choices.len() * PART_STEPS) {
            return None;
        }
        let (mut beyond, mut counts) = (if is_needed { FAR } else { 0 }, 0);
        for shipment in &mut self.shipments[first..end] {
            shipment.beyond = beyond_of(order, node, shipment, &self.values.of);
            if shipment.beyond < beyond {
                (beyond, counts) = (shipment.beyond, shipment.counts);
            }
        }
        let mut fill = Fill::default();
        node.choices.iter().for_each(|choice| fill[choice.at] = choice.count.of(counts) as u32);
        Some(Found { beyond, fill })
    }

    /// Rules out what no plan has that exceeds the bound by so much at most, and lists the rest, or as much of it as a guess needs. `false`
    /// where that takes more than the budget.
    fn narrow(&mut self, order: Order<'_>, gap: i64, near: &mut Near, budget: &mut Budget) -> bool {
        let Self { wants, values, .. } = self;
        if !wants.tell(values, budget) {
            return false;
        }
        let mut list = |slack, room| {
            !self.is_listed
                && !budget.spend(LIST_PERCENT, u64::MAX, |own| self.list(order, (slack, room), near, own))
        };
        let gap = gap.max(1);
        let (mut slack, mut room) = (gap, SHIPMENTS_MAX);
        while slack > 0 && list(slack, room) {
            (slack, room) = (slack / 2, GUESSED_MAX);
        }
        (self.is_listed, self.slack) = (slack == gap, slack);
        self.rule_out(order, gap);
        true
    }

    /// Lists what nodes could ship that falls short by so much at most, splits of wants included; `false` where that is more than there
    /// is room for, or than the budget.
    fn list(
        &mut self,
        order: Order<'_>,
        (slack, room): (i64, usize),
        near: &mut Near,
        budget: &mut Budget,
    ) -> bool {
        let Self { values, sites, shipments, .. } = self;
        shipments.clear();
        sites.iter_mut().for_each(|site| (site.first, site.end) = (0, 0));
        for (node, site) in order.nodes.iter().zip(sites) {
            let most = site.best.beyond + slack;
            let worth = |of: usize| values.of[of] - values.over[of];
            let task = (order.case, order.carriers);
            site.first = shipments.len();
            if !near.look(node, |choice, of| worth(choice.first + of), budget)
                || !near.list(node, task, (order.shipment, most), (&mut *shipments, room), budget)
            {
                return false;
            }
            site.end = shipments.len();
        }
        true
    }

    /// Drops what falls short by more than so much of what is listed, and closes numbers of units that nothing of it has.
    fn rule_out(&mut self, order: Order<'_>, gap: i64) {
        let Self { values, sites, shipments, .. } = self;
        let mut kept = 0;
        for (node, site) in order.nodes.iter().zip(sites) {
            let over = |counts: u128| {
                let numbers =
                    node.choices.iter().map(|choice| choice.first + choice.count.of(counts) as usize);
                numbers.map(|number| values.over[number]).fold(0, i64::saturating_add)
            };
            site.is_needed |= over(0) - site.best.beyond > gap;
            let first = kept;
            for at in site.first..site.end {
                let mut shipment = shipments[at];
                shipment.beyond = beyond_of(order, node, &shipment, &values.of);
                if (shipment.beyond - site.best.beyond).saturating_add(over(shipment.counts)) <= gap {
                    shipments[kept] = shipment;
                    kept += 1;
                }
            }
            (site.first, site.end) = (first, kept);
        }
        shipments.truncate(kept);
        if self.is_listed {
            self.close(order);
        }
    }

    /// Closes numbers of units that nothing of what is listed has.
    fn close(&mut self, order: Order<'_>) {
        let Self { values, sites, shipments, .. } = self;
        values.is_open.fill(false);
        for (node, site) in order.nodes.iter().zip(sites) {
            let none = (!site.is_needed).then_some(0);
            for counts in shipments[site.first..site.end].iter().map(|shipment| shipment.counts).chain(none) {
                for choice in &node.choices {
                    values.is_open[choice.first + choice.count.of(counts) as usize] = true;
                }
            }
        }
    }

    /// Puts a few plans together that go well by the values at hand, and offers the best of them.
    fn guess(&mut self, order: Order<'_>, best: &mut Best, budget: &mut Budget) {
        let known = best.cost;
        budget.spend(GUESS_PERCENT, u64::MAX, |own| self.build(order, (known, Some(GUESS_WIDTH)), best, own));
    }

    /// Puts all plans together that exceed the bound by little, and then by more, until there is one: it is the cheapest. Returns what
    /// every plan costs at least, as far as is known.
    fn finish(
        &mut self,
        order: Order<'_>,
        (bound, mut proven): (i64, i64),
        best: &mut Best,
        budget: &mut Budget,
    ) -> i64 {
        let most = self.slack.min(best.cost - bound);
        let mut allowed = (most / ALLOWED_SHARE).max(proven - bound);
        while allowed <= most {
            let had = budget.0;
            let built = budget
                .spend(BUILD_PERCENT, u64::MAX, |own| self.build(order, (bound + allowed, None), best, own));
            match built {
                None => break,
                Some(true) => return best.cost,
                Some(false) => proven = bound + allowed + 1,
            }
            // What took much already would take too much with more.
            if allowed == most || (had - budget.0) * BUILD_GROWTH > budget.0 {
                break;
            }
            allowed = (allowed * 2).clamp(1, most);
        }
        proven
    }

    /// Puts plans together that cost so much at most, and offers the best of them; whether there is one. `None` where that takes too much.
    fn build(
        &mut self,
        order: Order<'_>,
        (most, width): (i64, Option<Width>),
        best: &mut Best,
        budget: &mut Budget,
    ) -> Option<bool> {
        let Self { values, sites, shipments, builder, .. } = self;
        let found = builder.build((order, values), (sites, shipments), (most, width), budget)?;
        if let Some(cost) = found
            && best.offer(order.case, cost, &builder.open)
        {
            best.parts.extend_from_slice(&builder.parts);
        }
        Some(found.is_some())
    }
}

/// What a shipment costs beyond values.
fn beyond_of(order: Order<'_>, node: &Node, shipment: &Shipment, values: &[i64]) -> i64 {
    let worth =
        node.choices.iter().map(|choice| values[choice.first + choice.count.of(shipment.counts) as usize]);
    shipment.cost - order.shipment - worth.sum::<i64>()
}
