//! Exact plans of orders of few skus: for each set of wants the cheapest shipment that has all of it, and from those the
//! cheapest way to share all wants out.
//!
//! Nodes are walked nearest first, so the first one of a band that has a set of wants has it cheapest. The walk ends
//! when no node farther away could be part of a cheaper plan, so the answer is proven over all nodes, not over those that
//! were looked at. This room takes who has enough of a want as given by bits and reads no stock.

use super::case::Candidate;
use super::demand::{Demand, Want};
use super::price::Rates;
use super::scope::Scope;
use super::walk::Walk;
use crate::tariff::fares::Goods;

/// Most skus: the sets of wants grow as 2 to that power, the ways to share them out as 3 to that power.
pub(crate) const SKUS_MAX: usize = 8;

/// Whether the walk may end is asked after so many nodes first, then after twice as many more, and at last every so many: often
/// where asking costs little beside walking them, seldom where there are many ways to share out.
const STOP_FIRST: usize = 16;
const STOP_NODES: usize = 64;
const WAYS_PER_NODE: usize = 4;

/// A price that nothing costs; prices that come near it are not added up here.
const NEVER: i64 = i64::MAX / 16;

/// The cheapest shipment of a set of wants.
#[derive(Clone, Copy)]
struct Shipment {
    cost: i64,
    from: Candidate,
}

/// Buffers, most of them by set of wants: a bit per want, in the order's order.
#[derive(Default)]
pub(crate) struct Subsets {
    /// By want: a bit per node that has enough of it.
    pub(crate) rows: Vec<Vec<u64>>,
    /// By set: whether no node may send all of it. Empty where any may.
    pub(crate) barred: Vec<bool>,
    /// The answer: which wants go from where.
    pub(crate) chosen: Vec<(usize, Candidate)>,
    units: Vec<i64>,
    /// What a shipment costs from the nodes of the band at hand at least, carriers aside.
    own: Vec<i64>,
    /// By want: the prices of its units at the node at hand, together; empty where none has one.
    prices: Vec<i64>,
    shipments: Vec<Shipment>,
    /// The least a shipment costs from a node not seen yet.
    unseen: Vec<i64>,
    /// What sharing the set out costs, and the shipment that has its lowest want.
    covers: Vec<(i64, usize)>,
    /// What sharing it out costs at least with a node not seen yet.
    floors: Vec<i64>,
    /// By band: how many nodes of it were seen that have the set and that no rule or price makes dearer, as far as they count.
    reached: Vec<Vec<u8>>,
    /// Where carriers price, by class of nodes: what they charge for each set. And nothing for each, where they do not.
    fares: Vec<Vec<i64>>,
    no_fares: Vec<i64>,
    /// By set: the cheapest shipments of it from different nodes, where more than one of them may be needed.
    choices: Vec<Vec<Shipment>>,
    distinct: Distinct,
    /// Whether two shipments of the answer were of one node, and became one.
    is_merged: bool,
}

/// Nodes that count as different choices of one shipment: in a plan of so many shipments from different nodes, each is
/// from one of so many that have its set cheapest.
const CHOICES: usize = 4;

/// Looks at shipments from different nodes where nodes may not send all sets: as many as eight wants that all are kept apart
/// need where all nodes cost the same, about a millisecond's work.
const DISTINCT_STEPS: u64 = 200_000;

/// The search for shipments from different nodes.
#[derive(Default)]
struct Distinct {
    taken: Vec<(usize, Candidate)>,
    best: Vec<(usize, Candidate)>,
    cost: i64,
    /// How many choices of one shipment there are at most.
    choices: usize,
    /// How often another shipment may be looked at.
    steps: u64,
    /// Whether a plan of more shipments than there are choices could be cheaper, or one that was not looked at.
    gave_up: bool,
}

impl Subsets {
    /// Begins with another order: how much is in each set, and what carriers charge for it.
    pub(crate) fn begin(&mut self, scope: &Scope<'_>, demand: &Demand) {
        self.units.clear();
        self.units.push(0);
        for want in &demand.wants {
            for set in 0..self.units.len() {
                self.units.push(self.units[set].saturating_add(want.units));
            }
        }
        let classes = scope.carriage.map_or(0, |carriage| carriage.lanes.classes.len());
        self.fares.resize_with(classes, Vec::new);
        self.fares.iter_mut().for_each(Vec::clear);
        self.no_fares.resize(self.units.len(), 0);
        let Some(carriage) = &scope.carriage else { return };
        let mut goods = vec![Goods::default()];
        for want in &demand.wants {
            for set in 0..goods.len() {
                goods.push(goods[set].and(want.goods(want.units)));
            }
        }
        let mut prices = Vec::with_capacity(classes);
        for goods in &goods {
            prices.clear();
            carriage.prices(goods, &mut prices);
            self.fares.iter_mut().zip(&prices).for_each(|(fares, price)| fares.push(*price));
        }
    }

    /// Finds the cheapest plan of the order by `rows`, into `chosen`; `eligible` says which nodes may serve the order. `false`
    /// where some want has no node, and where the order is not one for this room.
    pub(crate) fn find(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        limit: usize,
        eligible: impl Fn(u32) -> bool,
    ) -> bool {
        // Where a shipment cost less than nothing, one more could pay. Carriers never take less than nothing.
        let may_pay = || scope.own_fixed_least() < 0 && scope.fixed_least() < 0;
        if demand.wants.len() > SKUS_MAX || may_pay() {
            return false;
        }
        if !self.barred.is_empty() {
            // What two shipments may be, one of both may not: each is from a node of its own.
            return self.walk(scope, demand, CHOICES.max(demand.wants.len()), limit, &eligible);
        }
        if !self.walk(scope, demand, 1, usize::MAX, &eligible) {
            return false;
        }
        // By the configured tariff two shipments of one node cost less as one. By steps they may cost more.
        if scope.carriage.is_none() || !self.is_merged && self.chosen.len() <= limit {
            return true;
        }
        self.walk(scope, demand, CHOICES, limit, &eligible)
    }

    /// The same, with so many choices of each shipment; with more than one, of different nodes.
    fn walk(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        choices: usize,
        limit: usize,
        eligible: impl Fn(u32) -> bool,
    ) -> bool {
        let Some(mut walk) = Walk::new(scope, demand) else { return false };
        self.begin_walk(scope);
        let uniform = scope.bands_are_uniform();
        let choosy = !scope.leaning.by_want.is_empty() || demand.wants.iter().any(|want| want.flags != 0);
        let stop = STOP_NODES.max(3_usize.pow(demand.wants.len() as u32) / WAYS_PER_NODE);
        let all = self.shipments.len() - 1;
        let (mut turn, mut left) = (STOP_FIRST, STOP_FIRST);
        loop {
            let next = walk.next();
            if left == 0 || next.is_none() {
                self.share_out(scope, &walk, uniform.then_some(choices));
                // As cheap is not enough: ties are broken, and by what is there.
                if self.covers[all].0 < self.floors[all] {
                    if choices == 1 {
                        self.choose();
                        return true;
                    }
                    if self.choose_distinct(limit, choices) && self.distinct.cost < self.floors[all] {
                        return true;
                    }
                    if self.distinct.gave_up {
                        return false;
                    }
                }
                turn = (turn * 2).min(stop);
                left = turn;
            }
            let Some((band, _)) = next else { return false };
            let node = walk.take(band);
            left -= 1;
            let has = |row: &Vec<u64>| (row[node as usize / 64] >> (node % 64) & 1) as usize;
            let mut set = self.rows.iter().enumerate().fold(0, |set, (want, row)| set | has(row) << want);
            // What is known of a set is known of each part of it.
            let is_news =
                |set: usize| set != 0 && !(uniform && usize::from(self.reached[band][set]) >= choices);
            if choosy && is_news(set) {
                let suits =
                    |(want, facts): (usize, &Want)| usize::from(scope.suits(want, facts.flags, node)) << want;
                set &= demand.wants.iter().enumerate().map(suits).fold(0, |set, want| set | want);
            }
            if is_news(set) && eligible(node) {
                let price = |want: &Want| want.units.saturating_mul(scope.price(want.sku, node));
                self.prices.clear();
                self.prices.extend(demand.wants.iter().filter(|_| scope.prices.is_some()).map(price));
                self.reach(scope, scope.sender(node), band, set, choices);
                // Whatever else the band has is no cheaper for any set.
                if uniform && usize::from(self.reached[band][all]) >= choices {
                    walk.leave(band);
                }
            }
        }
    }

    fn begin_walk(&mut self, scope: &Scope<'_>) {
        let sets = self.units.len();
        self.shipments.clear();
        self.shipments.resize(sets, Shipment { cost: NEVER, from: Candidate::default() });
        let bands = scope.bands().len();
        self.reached.resize_with(bands.max(self.reached.len()), Vec::new);
        for reached in &mut self.reached[..bands] {
            reached.clear();
            reached.resize(sets, 0);
        }
        self.choices.resize_with(sets.max(self.choices.len()), Vec::new);
        self.choices[..sets].iter_mut().for_each(Vec::clear);
    }

    /// A node has all of a set of wants: it may be the cheapest for each part of it.
    fn reach(&mut self, scope: &Scope<'_>, from: Candidate, band: usize, set: usize, choices: usize) {
        let fares = self.fares.get(from.class as usize);
        let (rates, counts) = (from.rates(), u8::from(scope.is_plain(from.node)));
        let mut part = set;
        while part > 0 {
            let prices = self.prices.iter().enumerate().filter(|(want, _)| part >> want & 1 == 1);
            let prices = prices.map(|(_, price)| *price).fold(0_i64, i64::saturating_add);
            if prices == 0 {
                self.reached[band][part] = self.reached[band][part].saturating_add(counts);
            }
            let own = price(rates, part, self.units[part]).saturating_add(prices);
            let cost = own.saturating_add(fares.map_or(0, |fares| fares[part])).min(NEVER);
            let best = &mut self.shipments[part];
            let key = |candidate: &Candidate| (candidate.priority, candidate.code_rank);
            let cost = if self.barred.get(part) == Some(&true) { NEVER } else { cost };
            if cost < best.cost || cost == best.cost && cost < NEVER && key(&from) < key(&best.from) {
                *best = Shipment { cost, from };
            }
            if choices > 1 && cost < NEVER {
                let of = &mut self.choices[part];
                let place = of.partition_point(|other| (other.cost, key(&other.from)) < (cost, key(&from)));
                if place < choices {
                    of.insert(place, Shipment { cost, from });
                    of.truncate(choices);
                }
            }
            part = (part - 1) & set;
        }
    }

    /// What sharing out costs from nodes seen, and at least with one that is not. Where bands are uniform, enough nodes of
    /// one that have a set are so many; no other node of it matters then.
    fn share_out(&mut self, scope: &Scope<'_>, walk: &Walk<'_>, enough: Option<usize>) {
        let sets = self.shipments.len();
        self.unseen.clear();
        self.unseen.resize(sets, NEVER);
        let mut own_of = None;
        for (band, (costs, unit)) in scope.bands().iter().zip(walk.ahead()).enumerate() {
            let Some(unit) = unit else { continue };
            // Where carriers price, nodes of one cost are many bands after each other.
            let rates = Rates { fixed: scope.band_fixed(costs), line: costs.line, unit };
            if own_of != Some(rates) {
                own_of = Some(rates);
                self.own.clear();
                self.own.extend(self.units.iter().enumerate().map(|(set, units)| price(rates, set, *units)));
            }
            let mut look = |fares: &[i64]| {
                let sets = self.own.iter().zip(fares).zip(&self.reached[band]).zip(&mut self.unseen);
                for (((own, fare), reached), unseen) in sets {
                    if enough.is_none_or(|enough| usize::from(*reached) < enough) {
                        *unseen = (*unseen).min(own.saturating_add(*fare));
                    }
                }
            };
            match scope.carriage {
                Some(_) => costs.classes().for_each(|class| look(&self.fares[class as usize])),
                None => look(&self.no_fares),
            }
        }
        let barred = self.unseen.iter_mut().zip(&self.barred).filter(|(_, barred)| **barred);
        barred.for_each(|(unseen, _)| *unseen = NEVER);
        self.covers.clear();
        self.covers.push((0, 0));
        self.floors.clear();
        self.floors.push(NEVER);
        for set in 1..sets {
            // One shipment has the set's lowest want, with any of the others; how the rest is shared out is known.
            let lowest = set & set.wrapping_neg();
            let others = set ^ lowest;
            let (mut cover, mut floor, mut part) = ((NEVER, 0), NEVER, others);
            loop {
                let (first, rest) = (part | lowest, others ^ part);
                let (seen, covered) = (self.shipments[first].cost, self.covers[rest].0);
                let with_unseen = self.unseen[first] + covered.min(self.floors[rest]);
                floor = floor.min(with_unseen).min(seen + self.floors[rest]);
                let cost = seen + covered;
                if cost < cover.0 || cost == cover.0 && cost < NEVER && self.goes_before(set, first, cover.1)
                {
                    cover = (cost, first);
                }
                if part == 0 {
                    break;
                }
                part = (part - 1) & others;
            }
            self.covers.push(cover);
            self.floors.push(floor);
        }
    }

    /// The shipments of a set that begin with this one.
    fn shipments_of(&self, set: usize, first: usize) -> impl Iterator<Item = (usize, &Candidate)> {
        let mut left = set;
        let mut next = first;
        std::iter::from_fn(move || {
            (left != 0).then(|| {
                let part = next;
                left &= !part;
                next = self.covers.get(left).map_or(0, |cover| cover.1);
                (part, &self.shipments[part].from)
            })
        })
    }

    /// Whether of two ways to share a set out at equal cost the first goes before: by the sum of priorities, then by
    /// the nodes' codes in order.
    fn goes_before(&self, set: usize, first: usize, other: usize) -> bool {
        let key = |first: usize| {
            let mut ranks = [u32::MAX; SKUS_MAX];
            let mut priorities = 0;
            for (rank, (_, from)) in ranks.iter_mut().zip(self.shipments_of(set, first)) {
                *rank = from.code_rank;
                priorities += u64::from(from.priority);
            }
            ranks.sort_unstable();
            let count = ranks.partition_point(|rank| *rank < u32::MAX);
            (priorities, ranks, count)
        };
        let ((a, a_ranks, a_count), (b, b_ranks, b_count)) = (key(first), key(other));
        a.cmp(&b).then_with(|| a_ranks[..a_count].cmp(&b_ranks[..b_count])).is_lt()
    }

    /// Writes the cheapest way to share all out down, one entry per node.
    fn choose(&mut self) {
        let mut chosen = std::mem::take(&mut self.chosen);
        chosen.clear();
        let all = self.covers.len() - 1;
        let mut is_merged = false;
        for (part, from) in self.shipments_of(all, self.covers[all].1) {
            match chosen.iter_mut().find(|(_, candidate)| candidate.node == from.node) {
                Some((set, _)) => {
                    *set |= part;
                    is_merged = true;
                }
                None => chosen.push((part, *from)),
            }
        }
        chosen.sort_unstable_by_key(|(_, candidate)| (candidate.unit, candidate.rank));
        (self.chosen, self.is_merged) = (chosen, is_merged);
    }

    /// Writes the cheapest way to share all out over different nodes down, in at most so many shipments. `false` where
    /// there is none, or one that was not looked at could be cheaper.
    fn choose_distinct(&mut self, limit: usize, choices: usize) -> bool {
        let mut distinct = std::mem::take(&mut self.distinct);
        distinct.taken.clear();
        distinct.best.clear();
        (distinct.cost, distinct.gave_up, distinct.choices) = (NEVER, false, choices);
        distinct.steps = if self.barred.is_empty() { u64::MAX } else { DISTINCT_STEPS };
        self.share_distinct(&mut distinct, self.covers.len() - 1, 0, limit);
        self.chosen.clear();
        self.chosen.extend_from_slice(&distinct.best);
        self.chosen.sort_unstable_by_key(|(_, candidate)| (candidate.unit, candidate.rank));
        let is_found = !distinct.best.is_empty() && !distinct.gave_up;
        self.distinct = distinct;
        is_found
    }

    fn share_distinct(&self, distinct: &mut Distinct, set: usize, cost: i64, limit: usize) {
        if set == 0 {
            if cost < distinct.cost || cost == distinct.cost && tie(&distinct.taken) < tie(&distinct.best) {
                distinct.cost = cost;
                distinct.best.clone_from(&distinct.taken);
            }
            return;
        }
        let depth = distinct.taken.len();
        if depth >= limit {
            return;
        }
        let lowest = set & set.wrapping_neg();
        let others = set ^ lowest;
        let mut part = others;
        loop {
            let (first, rest) = (part | lowest, others ^ part);
            distinct.gave_up |= distinct.steps == 0;
            if distinct.gave_up {
                return;
            }
            distinct.steps -= 1;
            for choice in &self.choices[first] {
                let then = cost.saturating_add(choice.cost);
                if then.saturating_add(self.covers[rest].0) > distinct.cost {
                    break;
                }
                // With more shipments than choices, another node may have been left out.
                let choices = distinct.choices;
                distinct.gave_up |= depth >= choices && self.choices[first].len() == choices;
                if distinct.taken.iter().all(|(_, from)| from.node != choice.from.node) {
                    distinct.taken.push((first, choice.from));
                    self.share_distinct(distinct, rest, then, limit);
                    distinct.taken.pop();
                }
            }
            if part == 0 {
                break;
            }
            part = (part - 1) & others;
        }
    }
}

/// What goes before at equal cost: the lower sum of priorities, then the nodes' codes in order.
fn tie(shipments: &[(usize, Candidate)]) -> (u64, Vec<u32>) {
    let mut ranks: Vec<_> = shipments.iter().map(|(_, from)| from.code_rank).collect();
    ranks.sort_unstable();
    (shipments.iter().map(|(_, from)| u64::from(from.priority)).sum(), ranks)
}

/// What a shipment of a set of wants costs, what carriers charge aside.
fn price(rates: Rates, set: usize, units: i64) -> i64 {
    rates.shipment(set.count_ones() as usize, units.unsigned_abs()).0.min(NEVER)
}
