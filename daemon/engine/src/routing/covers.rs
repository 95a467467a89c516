//! Good node sets for orders of many skus where carriers price: each node takes all it can of what those before it left, and
//! sets are priced by the steps.
//!
//! A set is begun greedily, and nodes are exchanged as long as that pays: one or two of them for another one that carries what
//! only they carried, which [`super::columns`] finds for 64 nodes at once. Last, wants are moved between the nodes. Nothing
//! is proven here; what every plan costs at least is told by [`Covers::bound`], which takes little to work out and is far off where plans
//! need several shipments.

use super::candidates::Gatherer;
use super::case::{Budget, Candidate, Part};
use super::columns::{Columns, ones, places};
use super::demand::Demand;
use super::scope::Scope;
use super::sums::{Sum, Sums};
use super::walk::Near;

/// Nodes that are priced of those that could take the place of others.
const TRIED: usize = 12;
/// Nodes are listed for that band by band, until there are so many.
const LISTED: usize = 24;
/// Nodes of one band that are tried beside the others.
const ADDED: usize = 4;
/// Steps of pricing one node of a set, and of one of its words.
const PRICE_STEPS: usize = 60;

/// A node that was looked at.
#[derive(Clone, Copy)]
struct Met {
    from: Candidate,
    /// Its place among the near nodes.
    near: u32,
    /// What all of the order costs from there, shipments aside.
    rate: i64,
    /// Its mask, by place in [`Covers::masks`]; nothing until it is asked for.
    mask: Option<u32>,
}

/// A node set, and what each node of it serves.
#[derive(Clone, Default)]
struct Set {
    /// The nodes, those of the lowest rate first, by place in [`Covers::met`].
    open: Vec<u32>,
    /// The masks of what they serve, one after the other.
    served: Vec<u64>,
    /// What each shipment costs, and all of them.
    costs: Vec<i64>,
    cost: i64,
}

/// The search, and its buffers.
#[derive(Default)]
pub(super) struct Covers {
    columns: Columns,
    sums: Sums,
    words: usize,
    whole: Vec<u64>,
    all: Sum,
    met: Vec<Met>,
    /// By near node: its place among those met, plus one.
    places: Vec<u32>,
    masks: Vec<u64>,
    best: Set,
    trial: Set,
    rest: Vec<u64>,
    need: Vec<u64>,
    listed: Vec<(i64, u16, u32, u32)>,
    /// The nodes of the best set that stay while others are exchanged.
    others: Vec<u32>,
    /// By want: what it costs at least, wherever it comes from.
    least: Vec<i64>,
    /// By want: whether a node that was chosen for it had not enough.
    missing: Vec<bool>,
    balance: Balance,
    /// The answer: nodes, and what of the order goes from each.
    pub(super) list: Vec<Candidate>,
    pub(super) parts: Vec<Part>,
}

/// What moving wants between the nodes of a set goes by: by node, what it serves comes to, and what that costs; and a mask to try.
#[derive(Default)]
struct Balance {
    sums: Vec<Sum>,
    costs: Vec<i64>,
    masks: Vec<std::ops::Range<usize>>,
    with: Vec<u64>,
}

impl Covers {
    /// Begins with an order. `false` where it is not one for this room.
    pub(super) fn begin(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        gatherer: &mut Gatherer,
        near: Near,
    ) -> bool {
        // Where a shipment cost less than nothing, one more could pay.
        if scope.carriage.is_none()
            || scope.fixed_least() < 0
            || !self.columns.gather(scope, demand, gatherer, near)
        {
            return false;
        }
        self.met.clear();
        self.places.clear();
        self.places.resize(self.columns.len(), 0);
        self.masks.clear();
        self.missing.clear();
        self.missing.resize(demand.wants.len(), false);
        self.words = demand.wants.len().div_ceil(64);
        self.whole.clear();
        self.whole.resize(self.words, u64::MAX);
        if let Some(last) = self.whole.last_mut() {
            *last >>= (64 - demand.wants.len() % 64) % 64;
        }
        self.find_least(scope, demand);
        let least = &self.least;
        if !self.sums.read(demand, |want| least[want]) {
            return false;
        }
        self.all = self.sums.add_up(&self.whole);
        self.best.open.clear();
        self.best.cost = i64::MAX;
        true
    }

    /// What each want costs at least, from whatever band has it or has nodes that were not looked at.
    fn find_least(&mut self, scope: &Scope<'_>, demand: &Demand) {
        self.least.clear();
        self.least.resize(demand.wants.len(), i64::MAX);
        let (Some(lanes), Some(carriage)) = (scope.lanes, &scope.carriage) else { return };
        let mut start = 0;
        for (at, (band, end)) in lanes.bands.iter().zip(&lanes.ends).enumerate() {
            let first = std::mem::replace(&mut start, *end);
            if first == *end {
                continue;
            }
            let (unit, floor) = (scope.unit_from(lanes.order[first as usize]), carriage.band_floor(band));
            let group = self.columns.groups().iter().find(|group| group.band == at);
            let is_ahead = self.columns.ahead[at].is_some();
            for (want, (facts, least)) in demand.wants.iter().zip(&mut self.least).enumerate() {
                let rate = unit.saturating_add(facts.unit_g.saturating_mul(floor.gram));
                let cost = band.line.saturating_add(facts.units.saturating_mul(rate));
                let has = || group.is_some_and(|group| self.columns.has(group, want));
                if cost < *least && (is_ahead || has()) {
                    *least = cost;
                }
            }
        }
    }

    /// What every plan costs at least: each want from where it is cheapest, and as many shipments as the node needs that carries most.
    pub(super) fn bound(&self, scope: &Scope<'_>) -> i64 {
        let shipments = self.least.len().div_ceil(self.columns.most.max(1)) as i64;
        self.all.least.saturating_add(scope.fixed_least().saturating_mul(shipments))
    }

    /// What the best set costs; `i64::MAX` where there is none.
    pub(super) fn cost(&self) -> i64 {
        self.best.cost
    }

    /// Finds the best set it can, from the best one so far on. `false` where there is none.
    pub(super) fn search(&mut self, scope: &Scope<'_>, budget: &mut Budget) -> bool {
        self.trial.open.clear();
        self.trial.open.extend_from_slice(&self.best.open);
        self.best.cost = i64::MAX;
        if !self.complete(scope) {
            return false;
        }
        self.offer(scope, budget);
        loop {
            let before = self.best.cost;
            self.exchange(scope, budget);
            if self.best.cost == before {
                self.add(scope, budget);
            }
            if self.best.cost == before || budget.0 == 0 {
                break;
            }
        }
        self.best.cost < i64::MAX
    }

    /// A near node, looked at now or before.
    fn meet(&mut self, scope: &Scope<'_>, near: u32) -> u32 {
        let place = &mut self.places[near as usize];
        if *place == 0 {
            let from = scope.candidate(self.columns.node(near));
            let rate = floor(&from, self.least.len(), self.all);
            self.met.push(Met { from, near, rate, mask: None });
            *place = self.met.len() as u32;
        }
        *place - 1
    }

    /// Has the mask of a node that was met ready, and says where.
    fn mask(&mut self, met: u32) -> std::ops::Range<usize> {
        let known = &mut self.met[met as usize];
        let place = *known.mask.get_or_insert_with(|| {
            let place = self.masks.len();
            self.masks.resize(place + self.words, 0);
            self.columns.mask(known.near, &mut self.masks[place..]);
            place as u32
        });
        place as usize..place as usize + self.words
    }

    /// Hears that the node of a part of the answer has not enough. The next search knows it; what is missed twice is looked for
    /// everywhere.
    pub(super) fn miss(&mut self, scope: &Scope<'_>, demand: &Demand, part: &Part) {
        let (node, want) = (self.list[part.slot as usize].node, part.want as usize);
        let mut chosen = self.best.open.iter().map(|met| &self.met[*met as usize]);
        let met = chosen.find(|met| met.from.node == node).expect("the answer is of the best set");
        self.columns.clear(met.near, want);
        if std::mem::replace(&mut self.missing[want], true) {
            self.columns.look_closely(scope, demand, want);
        }
        // They are made anew when they are asked for.
        self.masks.clear();
        self.met.iter_mut().for_each(|met| met.mask = None);
    }

    /// Adds nodes to the trial until it serves all: each time the one whose new wants cost the least beyond what they must.
    fn complete(&mut self, scope: &Scope<'_>) -> bool {
        self.rest.clone_from(&self.whole);
        for at in 0..self.trial.open.len() {
            let mask = self.mask(self.trial.open[at]);
            self.rest.iter_mut().zip(&self.masks[mask]).for_each(|(rest, mask)| *rest &= !mask);
        }
        while self.rest.iter().any(|word| *word != 0) {
            let rest = std::mem::take(&mut self.rest);
            self.columns.count(&rest);
            let mut chosen: Option<(f64, u32)> = None;
            let mut most_before = 0;
            for group in 0..self.columns.groups().len() {
                // Who carries no more and costs no less is no better.
                let most = self.columns.most_of(group, most_before);
                if most > 0 {
                    most_before = most;
                    let met = self.cheapest_found(scope);
                    let (cost, sum) = self.price_rest(scope, met, &rest);
                    let score = (cost - sum.least) as f64 / most as f64;
                    if chosen.is_none_or(|(least, _)| score < least) {
                        chosen = Some((score, met));
                    }
                }
            }
            self.rest = rest;
            let Some((_, met)) = chosen else { return false };
            self.trial.open.push(met);
            let mask = self.mask(met);
            self.rest.iter_mut().zip(&self.masks[mask]).for_each(|(rest, mask)| *rest &= !mask);
        }
        true
    }

    /// Of the nodes found last, the one that costs least once.
    fn cheapest_found(&mut self, scope: &Scope<'_>) -> u32 {
        let found = std::mem::take(&mut self.columns.found);
        let met = places(&found).map(|near| {
            let met = self.meet(scope, near);
            let Candidate { fixed, priority, code_rank, .. } = self.met[met as usize].from;
            (fixed, priority, code_rank, met)
        });
        let (.., cheapest) = met.min().expect("some node carries the most");
        self.columns.found = found;
        cheapest
    }

    /// What a node's shipment of all it has of some wants costs, and what that comes to.
    fn price_rest(&mut self, scope: &Scope<'_>, met: u32, rest: &[u64]) -> (i64, Sum) {
        let mask = self.mask(met);
        self.need.clear();
        self.need.extend(self.masks[mask].iter().zip(rest).map(|(mask, rest)| mask & rest));
        let sum = self.sums.add_up(&self.need);
        (self.price(scope, met, &self.need, sum), sum)
    }

    /// What a shipment of these wants costs, that come to so much.
    fn price(&self, scope: &Scope<'_>, met: u32, wants: &[u64], sum: Sum) -> i64 {
        let from = &self.met[met as usize].from;
        let skus = wants.iter().map(|word| word.count_ones() as usize).sum();
        let goods = self.sums.goods(wants, sum);
        let carriage = scope.carriage.map_or(0, |carriage| carriage.price(from.class, &goods));
        from.rates().shipment(skus, sum.units).0.saturating_add(carriage)
    }

    /// Prices the trial, as far as it may cost less than the best, and takes it where it does.
    fn offer(&mut self, scope: &Scope<'_>, budget: &mut Budget) {
        let mut trial = std::mem::take(&mut self.trial);
        let met = &self.met;
        let key = |met: &Met| (met.rate, met.from.priority, met.from.code_rank);
        trial.open.sort_unstable_by_key(|place| key(&met[*place as usize]));
        trial.served.clear();
        trial.costs.clear();
        self.rest.clone_from(&self.whole);
        let (mut cost, mut least, mut kept) = (0_i64, self.all.least, 0);
        for at in 0..trial.open.len() {
            let place = trial.open[at];
            let mask = self.mask(place);
            let begin = trial.served.len();
            let mut is_any = 0;
            for (rest, mask) in self.rest.iter_mut().zip(&self.masks[mask]) {
                trial.served.push(*rest & mask);
                is_any |= *rest & mask;
                *rest &= !mask;
            }
            budget.take(PRICE_STEPS * (1 + self.words));
            if is_any == 0 {
                trial.served.truncate(begin);
                continue;
            }
            let served = &trial.served[begin..];
            let sum = self.sums.add_up(served);
            let of_node = self.price(scope, place, served, sum);
            trial.costs.push(of_node);
            cost = cost.saturating_add(of_node);
            least -= sum.least;
            trial.open[kept] = place;
            kept += 1;
            if cost.saturating_add(least) >= self.best.cost {
                break;
            }
        }
        if self.rest.iter().all(|word| *word == 0) && cost < self.best.cost {
            trial.open.truncate(kept);
            trial.cost = cost;
            std::mem::swap(&mut self.best, &mut trial);
        }
        self.trial = trial;
    }

    /// Exchanges one or two nodes of the best set for another one, or for none, once.
    fn exchange(&mut self, scope: &Scope<'_>, budget: &mut Budget) {
        let count = self.best.open.len();
        let before = self.best.cost;
        for apart in 0..count {
            for first in 0..count - apart {
                self.replace(scope, (first, first + apart), budget);
                if self.best.cost < before || budget.0 == 0 {
                    return;
                }
            }
        }
    }

    /// Tries to do without two nodes of the best set, or without one where both are the same.
    fn replace(&mut self, scope: &Scope<'_>, out: (usize, usize), budget: &mut Budget) {
        let mut others = std::mem::take(&mut self.others);
        let mut need = std::mem::take(&mut self.need);
        others.clear();
        need.clone_from(&self.whole);
        let mut cost = 0_i64;
        for at in (0..self.best.open.len()).filter(|at| *at != out.0 && *at != out.1) {
            let place = self.best.open[at];
            others.push(place);
            cost = cost.saturating_add(self.best.costs[at]);
            let mask = self.mask(place);
            need.iter_mut().zip(&self.masks[mask]).for_each(|(need, mask)| *need &= !mask);
        }
        self.need = need;
        if self.need.iter().all(|word| *word == 0) {
            self.trial.open.clone_from(&others);
            self.offer(scope, budget);
        } else {
            self.put_in(scope, &others, cost, budget);
        }
        self.others = others;
    }

    /// Tries one more node beside those that stay, which cost so much, for what they do not carry.
    fn put_in(&mut self, scope: &Scope<'_>, others: &[u32], cost: i64, budget: &mut Budget) {
        self.columns.all_of(&self.need);
        let sum = self.sums.add_up(&self.need);
        let skus = self.need.iter().map(|word| word.count_ones() as usize).sum();
        self.list_found(scope, (skus, sum));
        let listed = std::mem::take(&mut self.listed);
        let dearest = others.last().map_or(i64::MAX, |place| self.met[*place as usize].rate);
        for (least, .., place) in listed.iter().take(TRIED) {
            // It saves nothing, unless it takes more than it must from others that are dearer.
            let is_dear = cost.saturating_add(*least) >= self.best.cost;
            let is_better = self.met[*place as usize].rate < dearest;
            if !self.best.open.contains(place) && (!is_dear || is_better) {
                self.trial.open.clear();
                self.trial.open.extend_from_slice(others);
                self.trial.open.push(*place);
                self.offer(scope, budget);
            }
        }
        self.listed = listed;
    }

    /// Lists of the nodes found last those that could serve so much for least.
    fn list_found(&mut self, scope: &Scope<'_>, (skus, sum): (usize, Sum)) {
        self.listed.clear();
        let found = std::mem::take(&mut self.columns.found);
        for group in 0..self.columns.groups().len() {
            if self.listed.len() >= LISTED {
                break;
            }
            for (word, found) in found.iter().enumerate() {
                for bit in ones(found & self.columns.groups()[group].nodes[word]) {
                    let met = self.meet(scope, word as u32 * 64 + bit);
                    let from = &self.met[met as usize].from;
                    let cost = from.fixed.saturating_add(floor(from, skus, sum));
                    self.listed.push((cost, from.priority, from.code_rank, met));
                }
            }
        }
        self.columns.found = found;
        self.listed.sort_unstable();
    }

    /// Tries nodes beside those of the best set: of each band that is cheaper than some of them, those that carry most of what
    /// those serve.
    fn add(&mut self, scope: &Scope<'_>, budget: &mut Budget) {
        let Some(dearest) = self.best.open.last().map(|place| self.met[*place as usize].rate) else { return };
        let mut wants = std::mem::take(&mut self.need);
        wants.clear();
        wants.resize(self.words, 0);
        let cheapest = self.met[self.best.open[0] as usize].rate;
        for (place, served) in self.best.open.iter().zip(self.best.served.chunks(self.words)) {
            if self.met[*place as usize].rate > cheapest || self.best.open.len() == 1 {
                wants.iter_mut().zip(served).for_each(|(wants, served)| *wants |= served);
            }
        }
        self.columns.count(&wants);
        self.need = wants;
        let open = self.best.open.clone();
        for group in 0..self.columns.groups().len() {
            if self.columns.most_of(group, 0) == 0 {
                continue;
            }
            self.listed.clear();
            let found = std::mem::take(&mut self.columns.found);
            for near in places(&found) {
                let met = self.meet(scope, near);
                let Met { from, rate, .. } = &self.met[met as usize];
                if *rate < dearest {
                    self.listed.push((from.fixed, from.priority, from.code_rank, met));
                }
            }
            self.columns.found = found;
            self.listed.sort_unstable();
            let listed = std::mem::take(&mut self.listed);
            for (.., place) in listed.iter().take(ADDED).filter(|listed| !open.contains(&listed.3)) {
                self.trial.open.clone_from(&open);
                self.trial.open.push(*place);
                self.offer(scope, budget);
            }
            self.listed = listed;
        }
    }

    /// Moves wants between the nodes of the best set as long as that saves.
    pub(super) fn balance(&mut self, scope: &Scope<'_>, budget: &mut Budget) {
        let count = self.best.open.len();
        let (mut best, mut balance) = (std::mem::take(&mut self.best), std::mem::take(&mut self.balance));
        let Balance { sums, costs, masks, with } = &mut balance;
        masks.clear();
        masks.extend(best.open.iter().map(|place| self.mask(*place)));
        let words = self.words;
        let range = |at: usize| at * words..(at + 1) * words;
        sums.clear();
        sums.extend((0..count).map(|at| self.sums.add_up(&best.served[range(at)])));
        let price = |at: usize, served: &[u64], sum: Sum| {
            let is_any = served.iter().any(|word| *word != 0);
            if is_any { self.price(scope, best.open[at], served, sum) } else { 0 }
        };
        costs.clear();
        costs.extend((0..count).map(|at| price(at, &best.served[range(at)], sums[at])));
        let (mut idle, wants) = (0, self.least.len());
        for want in (0..wants).cycle().take(if count > 1 { wants * 2 } else { 0 }) {
            if idle == wants || budget.0 == 0 {
                break;
            }
            idle += 1;
            let (word, bit) = (want / 64, 1_u64 << (want % 64));
            let from = (0..count).find(|at| best.served[at * self.words + word] & bit != 0);
            let from = from.expect("every want is served");
            if !masks
                .iter()
                .enumerate()
                .any(|(at, mask)| at != from && self.masks[mask.start + word] & bit != 0)
            {
                continue;
            }
            let part = self.sums.of(want);
            best.served[from * self.words + word] ^= bit;
            let without = sums[from].without(part);
            let left = price(from, &best.served[range(from)], without);
            let saved = costs[from] - left;
            let able = (0..count).filter(|at| *at != from && self.masks[masks[*at].start + word] & bit != 0);
            let extra = able.map(|to| {
                with.clear();
                with.extend_from_slice(&best.served[range(to)]);
                with[word] |= bit;
                budget.take(PRICE_STEPS);
                (price(to, with, sums[to].and(part)) - costs[to], to)
            });
            match extra.min().filter(|(extra, _)| *extra < saved) {
                Some((extra, to)) => {
                    best.served[to * self.words + word] |= bit;
                    (sums[from], sums[to]) = (without, sums[to].and(part));
                    (costs[from], costs[to]) = (left, costs[to] + extra);
                    idle = 0;
                }
                None => best.served[from * self.words + word] |= bit,
            }
        }
        best.cost = costs.iter().fold(0, |sum: i64, cost| sum.saturating_add(*cost));
        (self.best, self.balance) = (best, balance);
    }

    /// Writes down which wants go from where.
    pub(super) fn write_down(&mut self, demand: &Demand) {
        let Self { list, parts, .. } = self;
        list.clear();
        parts.clear();
        for (place, served) in self.best.open.iter().zip(self.best.served.chunks(self.words)) {
            if served.iter().any(|word| *word != 0) {
                let slot = list.len() as u32;
                list.push(self.met[*place as usize].from);
                for (first, word) in (0..).step_by(64).zip(served) {
                    let part = |want| Part { want, slot, units: demand.wants[want as usize].units };
                    parts.extend(ones(*word).map(|want| part(first + want)));
                }
            }
        }
    }
}

/// What so much costs from a node at least, the shipment aside.
fn floor(from: &Candidate, skus: usize, sum: Sum) -> i64 {
    let lines = from.line.saturating_mul(skus as i64);
    let units = from.unit.saturating_mul(sum.units as i64);
    lines.saturating_add(units).saturating_add(from.carriage.gram.saturating_mul(sum.grams as i64))
}
