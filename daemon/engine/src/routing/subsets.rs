//! Exact plans of orders of few skus: for each set of wants the cheapest shipment that has all of it, and from those the
//! cheapest way to share all wants out.
//!
//! Nodes are walked nearest first, so the first one of a band that has a set of wants has it cheapest. The walk ends
//! when no node farther away could be part of a cheaper plan, so the answer is proven over all nodes, not over those that
//! were looked at. This room takes who has enough of a want as given by bits and reads no stock.

use std::ops::{Deref, DerefMut};

use super::case::Candidate;
use super::demand::{Demand, Want};
use super::price::Rates;
use super::scope::Scope;
use super::walk::Walk;
use crate::tariff::fares::Goods;

/// Most skus: the sets of wants grow as 2 to that power, the ways to share them out as 3 to that power.
pub(crate) const SKUS_MAX: usize = 8;

/// Sets of wants at most, the empty one included.
const SETS_MAX: usize = 1 << SKUS_MAX;

/// Whether the walk may end is asked after so many nodes first, then after twice as many more, and at last every so many: often
/// where asking costs little beside walking them, seldom where there are many ways to share out.
const STOP_FIRST: usize = 16;
const STOP_NODES: usize = 64;
const WAYS_PER_NODE: usize = 4;

/// A price that nothing costs; prices that come near it are not added up here.
const NEVER: i64 = i64::MAX / 16;

/// The cheapest shipment of a set of wants, and the place of its node among those met.
#[derive(Clone, Copy)]
struct Shipment {
    cost: i64,
    from: u32,
}

/// Something by set, as long for all orders: so the place of a set is known to be within it.
struct BySet<T>(Box<[T; SETS_MAX]>);

impl<T: Copy + Default> Default for BySet<T> {
    fn default() -> Self {
        Self(Box::new([T::default(); SETS_MAX]))
    }
}

impl<T> Deref for BySet<T> {
    type Target = [T; SETS_MAX];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for BySet<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
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
    /// How many sets the order at hand has; and by set how many units, and how many wants.
    sets: usize,
    units: Vec<i64>,
    skus: Vec<i64>,
    goods: Vec<Goods>,
    /// What a shipment costs from the nodes of the band at hand at least, carriers aside.
    own: Vec<i64>,
    /// By want: the prices of its units at the node at hand, together; empty where none has one.
    prices: Vec<i64>,
    /// The nodes that were met with something new.
    met: Vec<Candidate>,
    shipments: Vec<Shipment>,
    /// What the cheapest shipment costs from a node seen, and at least from one not seen yet.
    seen: BySet<i64>,
    unseen: BySet<i64>,
    /// What sharing the set out costs, and the shipment that has its lowest want.
    covers: BySet<(i64, usize)>,
    /// What sharing it out costs at least with a node not seen yet.
    floors: BySet<i64>,
    /// By band, then set: how many nodes of it were seen that have the set and that no rule or price makes dearer, as far as they count.
    reached: Vec<u8>,
    /// Where carriers price, by class of nodes, then set: what they charge. And nothing for each, where they do not.
    fares: Vec<i64>,
    no_fares: Vec<i64>,
    /// What they charge for the set at hand, by class; and whether they charge no less for any set in a later class.
    charges: Vec<i64>,
    rises: bool,
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
        self.skus.clear();
        self.skus.push(0);
        self.goods.clear();
        self.goods.push(Goods::default());
        for want in &demand.wants {
            let goods = want.goods(want.units);
            for set in 0..self.units.len() {
                self.units.push(self.units[set].saturating_add(want.units));
                self.skus.push(self.skus[set] + 1);
                self.goods.push(self.goods[set].and(goods));
            }
        }
        self.sets = self.units.len();
        self.no_fares.resize(self.sets, 0);
        self.rises = true;
        self.fares.clear();
        let Some(carriage) = &scope.carriage else { return };
        self.fares.resize(carriage.lanes.classes.len() * self.sets, 0);
        for (set, goods) in self.goods.iter().enumerate() {
            self.charges.clear();
            carriage.prices(goods, &mut self.charges);
            self.rises &= self.charges.is_sorted();
            for (class, charge) in self.charges.iter().enumerate() {
                self.fares[class * self.sets + set] = *charge;
            }
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
        // So many nodes of a band that have a set have it cheapest.
        let enough = if uniform { choices } else { usize::MAX };
        let choosy = !scope.leaning.by_want.is_empty() || demand.wants.iter().any(|want| want.flags != 0);
        let stop = STOP_NODES.max(3_usize.pow(demand.wants.len() as u32) / WAYS_PER_NODE);
        let (sets, all) = (self.sets, self.sets - 1);
        let (mut turn, mut left) = (STOP_FIRST, STOP_FIRST);
        loop {
            let next = walk.next();
            if left == 0 || next.is_none() {
                self.share_out(scope, &walk, enough);
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
            let is_news = |set: usize| set != 0 && usize::from(self.reached[band * sets + set]) < enough;
            if choosy && is_news(set) {
                let suits =
                    |(want, facts): (usize, &Want)| usize::from(scope.suits(want, facts.flags, node)) << want;
                set &= demand.wants.iter().enumerate().map(suits).fold(0, |set, want| set | want);
            }
            if is_news(set) && eligible(node) {
                let price = |want: &Want| want.units.saturating_mul(scope.price(want.sku, node));
                self.prices.clear();
                self.prices.extend(demand.wants.iter().filter(|_| scope.prices.is_some()).map(price));
                self.reach(scope, scope.sender(node), (band, set), (choices, enough));
                // Whatever else the band has is no cheaper for any set.
                if usize::from(self.reached[band * sets + all]) >= enough {
                    walk.leave(band);
                }
            }
        }
    }

    fn begin_walk(&mut self, scope: &Scope<'_>) {
        self.met.clear();
        self.shipments.clear();
        self.shipments.resize(self.sets, Shipment { cost: NEVER, from: 0 });
        self.reached.clear();
        self.reached.resize(scope.bands().len() * self.sets, 0);
        self.choices.resize_with(self.sets.max(self.choices.len()), Vec::new);
        self.choices[..self.sets].iter_mut().for_each(Vec::clear);
    }

    /// A node has all of a set of wants: it may be the cheapest for each part of it that fewer nodes of its band than enough have.
    fn reach(
        &mut self,
        scope: &Scope<'_>,
        from: Candidate,
        (band, set): (usize, usize),
        (choices, enough): (usize, usize),
    ) {
        let (rates, counts) = (from.rates(), u8::from(scope.is_plain(from.node)));
        let place = self.met.len() as u32;
        self.met.push(from);
        let fares = match scope.carriage {
            Some(_) => &self.fares[from.class as usize * self.sets..][..self.sets],
            None => &self.no_fares[..self.sets],
        };
        let reached = &mut self.reached[band * self.sets..][..self.sets];
        let amounts = Amounts { units: &self.units, skus: &self.skus };
        let is_small = amounts.are_small(rates);
        let met = &self.met;
        let key = |place: u32| (met[place as usize].priority, met[place as usize].code_rank);
        for part in parts_of(set) {
            if usize::from(reached[part]) >= enough {
                continue;
            }
            let prices = self.prices.iter().enumerate().filter(|(want, _)| part >> want & 1 == 1);
            let prices = prices.map(|(_, price)| *price).fold(0_i64, i64::saturating_add);
            if prices == 0 {
                reached[part] = reached[part].saturating_add(counts);
            }
            let own = amounts.price(rates, is_small, part).saturating_add(prices);
            let cost = own.saturating_add(fares[part]).min(NEVER);
            let best = &mut self.shipments[part];
            let cost = if self.barred.get(part) == Some(&true) { NEVER } else { cost };
            if cost < best.cost || cost == best.cost && cost < NEVER && key(place) < key(best.from) {
                *best = Shipment { cost, from: place };
            }
            if choices > 1 && cost < NEVER {
                let of = &mut self.choices[part];
                let at = of.partition_point(|other| (other.cost, key(other.from)) < (cost, key(place)));
                if at < choices {
                    of.insert(at, Shipment { cost, from: place });
                    of.truncate(choices);
                }
            }
        }
    }

    /// What sharing out costs from nodes seen, and at least with one that is not. Where so many nodes of a band have a set, no other
    /// node of it matters.
    fn share_out(&mut self, scope: &Scope<'_>, walk: &Walk<'_>, enough: usize) {
        let seen = self.shipments.iter().map(|shipment| shipment.cost);
        self.seen.iter_mut().zip(seen).for_each(|(kept, cost)| *kept = cost);
        self.look_ahead(scope, walk, enough);
        (self.covers[0], self.floors[0]) = ((0, 0), NEVER);
        for set in 1..self.sets {
            (self.covers[set], self.floors[set]) = self.share(set);
        }
    }

    /// What a shipment of each set costs at least from a node not seen yet.
    fn look_ahead(&mut self, scope: &Scope<'_>, walk: &Walk<'_>, enough: usize) {
        self.unseen[..self.sets].fill(NEVER);
        let amounts = Amounts { units: &self.units, skus: &self.skus };
        let (mut own_of, mut is_settled) = (None, false);
        for (band, (costs, unit)) in scope.bands().iter().zip(walk.ahead()).enumerate() {
            let Some(unit) = unit else { continue };
            // Where carriers price, nodes of one cost are many bands after each other.
            let rates = Rates { fixed: scope.band_fixed(costs), line: costs.line, unit };
            if own_of != Some(rates) {
                (own_of, is_settled) = (Some(rates), false);
                let is_small = amounts.are_small(rates);
                self.own.clear();
                self.own.extend((0..self.sets).map(|set| amounts.price(rates, is_small, set)));
            }
            if is_settled {
                continue;
            }
            let reached = &self.reached[band * self.sets..][..self.sets];
            let mut look = |fares: &[i64]| {
                let sets = self.own.iter().zip(fares).zip(reached).zip(&mut self.unseen[..]);
                for (((own, fare), reached), unseen) in sets {
                    // Neither is near the largest number there is.
                    let cost = if usize::from(*reached) < enough { own + fare } else { NEVER };
                    *unseen = cost.min(*unseen);
                }
            };
            match scope.carriage {
                Some(_) => {
                    costs.classes().for_each(|class| look(&self.fares[class as usize * self.sets..]));
                }
                None => look(&self.no_fares),
            }
            // Where nothing is known of a band, those after it that cost as much and are of later classes are no cheaper.
            is_settled =
                self.rises && scope.carriage.is_some() && reached.iter().all(|reached| *reached == 0);
        }
        let barred = self.unseen.iter_mut().zip(&self.barred).filter(|(_, barred)| **barred);
        barred.for_each(|(unseen, _)| *unseen = NEVER);
    }

    /// The cheapest way to share a set out, the parts of which are known: one shipment has the set's lowest want, with any of the
    /// others; how the rest is shared out is known. And what it costs at least with a node not seen yet.
    fn share(&self, set: usize) -> ((i64, usize), i64) {
        let lowest = set & set.wrapping_neg();
        let others = set ^ lowest;
        let (mut cover, mut floor, mut part) = ((NEVER, 0), NEVER, others);
        loop {
            let (first, rest) = ((part | lowest) % SETS_MAX, (others ^ part) % SETS_MAX);
            let (seen, covered) = (self.seen[first], self.covers[rest].0);
            let with_unseen = self.unseen[first] + covered.min(self.floors[rest]);
            floor = floor.min(with_unseen).min(seen + self.floors[rest]);
            let cost = seen + covered;
            if cost < cover.0 || cost == cover.0 && cost < NEVER && self.goes_before(set, first, cover.1) {
                cover = (cost, first);
            }
            if part == 0 {
                return (cover, floor);
            }
            part = (part - 1) & others;
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
                (part, &self.met[self.shipments[part].from as usize])
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
        let all = self.sets - 1;
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
        self.share_distinct(&mut distinct, self.sets - 1, 0, limit);
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
                let from = self.met[choice.from as usize];
                if distinct.taken.iter().all(|(_, taken)| taken.node != from.node) {
                    distinct.taken.push((first, from));
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

/// How much is in each set: units, and wants.
#[derive(Clone, Copy)]
struct Amounts<'a> {
    units: &'a [i64],
    skus: &'a [i64],
}

impl Amounts<'_> {
    /// Whether no cost of a set overflows at these rates.
    fn are_small(self, rates: Rates) -> bool {
        let Rates { fixed, line, unit } = rates;
        let is_below = |amount: i64, bits: u32| amount.unsigned_abs() < 1 << bits;
        let most = self.units.last().copied().unwrap_or(0);
        is_below(fixed, 58) && is_below(line, 40) && is_below(unit, 36) && is_below(most, 24)
    }

    /// What a shipment of a set costs, what carriers charge aside.
    #[inline]
    fn price(self, rates: Rates, is_small: bool, set: usize) -> i64 {
        let (skus, units) = (self.skus[set], self.units[set]);
        let cost = if is_small {
            rates.fixed + rates.line * skus + rates.unit * units
        } else {
            rates.shipment(skus as usize, units.unsigned_abs()).0
        };
        cost.min(NEVER)
    }
}

/// The parts of a set that is not empty, the largest first.
fn parts_of(set: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(set), move |part| Some((part - 1) & set).filter(|part| *part > 0))
}
