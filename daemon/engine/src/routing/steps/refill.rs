//! Good plans where there are too many to look at all of them: some of a plan is taken out, and filled in again where that costs
//! least (Shaw 1998; Schrimpf, Schneider, Stamm-Wilbrandt and Dueck 2000).
//!
//! Each time what costs least beside what it is worth goes in first, of one count or of several, however many of each: so parcels
//! are filled up to the end of a step where that is to be had. What became dearer is taken back, but for a little at first. What is
//! taken out comes from a fixed sequence of numbers.

use super::counts::{COUNTS_MAX, Counts};
use crate::routing::case::{Best, Budget, Case, Part};
use crate::routing::parcels::{Carriers, Load};
use crate::routing::sequence::Sequence;
use crate::tariff::fares::NEVER;

/// Steps of pricing a shipment, and of copying what a node ships.
const PRICE_STEPS: usize = 64;
const COPY_STEPS: usize = 4;
/// After so many times without a better plan it ends.
const STALLED_MAX: u32 = 600;
/// By how much a plan may be dearer than the one before at first, as a share of it.
const DEARER_SHARE: i64 = 300;
/// Most nodes that are closed at once, and most parts that are taken from at once.
const CLOSED_MAX: usize = 4;
const PARTS_MAX: usize = 4;
/// Of a part all is taken, or half of it, or half of that.
const HALVED_MAX: usize = 8;

/// So many of each count.
type Fill = [i64; COUNTS_MAX];

/// A node.
#[derive(Clone, Copy)]
struct Spot {
    slot: u32,
    there: Fill,
    /// The cheapest that could be added, beside what it is worth; an infinite score where that is nothing. `None` where nobody looked.
    way: Option<Way>,
    /// What it scores at least while it is closed.
    least: f64,
}

/// Something to add to what a node ships.
#[derive(Clone, Copy)]
struct Way {
    more: Fill,
    cost: i64,
    score: f64,
}

const NO_WAY: Way = Way { more: [0; COUNTS_MAX], cost: 0, score: f64::INFINITY };

/// What all nodes ship.
#[derive(Clone, Default)]
struct Filled {
    fills: Vec<Fill>,
    costs: Vec<i64>,
    cost: i64,
    open: usize,
}

/// Buffers.
#[derive(Default)]
pub(super) struct Refill {
    spots: Vec<Spot>,
    /// By count: one of it, and what that is worth.
    loads: Vec<Load>,
    values: Vec<f64>,
    /// What is left to be filled in.
    rest: Fill,
    now: Filled,
    before: Filled,
    best: Filled,
    /// Places of what could be taken out.
    picked: Vec<(usize, usize)>,
    parts: Vec<Part>,
    open: Vec<u32>,
}

impl Filled {
    fn clear(&mut self, spots: usize) {
        self.fills.clear();
        self.fills.resize(spots, [0; COUNTS_MAX]);
        self.costs.clear();
        self.costs.resize(spots, 0);
        (self.cost, self.open) = (0, 0);
    }

    fn copy(&mut self, other: &Self) {
        self.fills.clone_from(&other.fills);
        self.costs.clone_from(&other.costs);
        (self.cost, self.open) = (other.cost, other.open);
    }

    fn set(&mut self, at: usize, fill: Fill, cost: i64) {
        let is_open = |fill: &Fill| fill.iter().any(|of| *of > 0);
        self.open = self.open + usize::from(is_open(&fill)) - usize::from(is_open(&self.fills[at]));
        self.cost += cost - self.costs[at];
        (self.fills[at], self.costs[at]) = (fill, cost);
    }
}

/// The search of one order.
struct Search<'a> {
    refill: &'a mut Refill,
    counts: &'a Counts,
    case: &'a Case,
    carriers: Carriers<'a>,
    sequence: Sequence,
    budget: &'a mut Budget,
}

impl Refill {
    /// Looks for a good plan of these nodes by what a count is worth, and offers it.
    pub(super) fn improve(
        &mut self,
        counts: &Counts,
        (case, carriers): (&Case, Carriers<'_>),
        (slots, values): (&[u32], &[i64]),
        best: &mut Best,
        budget: &mut Budget,
    ) {
        self.spots.clear();
        for slot in slots {
            let mut there = [0; COUNTS_MAX];
            there.iter_mut().zip(&counts.list).for_each(|(there, count)| *there = count.there(case, *slot));
            self.spots.push(Spot { slot: *slot, there, way: None, least: 0.0 });
        }
        self.values.clear();
        self.values.extend(values.iter().map(|value| (*value).max(1) as f64));
        self.loads.clear();
        let one = |part: Option<Part>| part.map_or(Load::default(), |part| carriers.load(&part));
        self.loads.extend(counts.list.iter().map(|count| one(count.part(0, 1))));
        let mut search =
            Search { refill: self, counts, case, carriers, sequence: Sequence(budget.0), budget };
        if search.search(best) {
            self.offer(counts, case, best);
        }
    }

    fn offer(&mut self, counts: &Counts, case: &Case, best: &mut Best) {
        self.parts.clear();
        self.open.clear();
        for (spot, fill) in self.spots.iter().zip(&self.best.fills) {
            let before = self.parts.len();
            let parts = counts.list.iter().zip(fill);
            self.parts.extend(parts.filter_map(|(count, of)| count.part(spot.slot, *of)));
            if self.parts.len() > before {
                self.open.push(spot.slot);
            }
        }
        if best.offer(case, self.best.cost, &self.open) {
            best.parts.extend_from_slice(&self.parts);
        }
    }
}

impl Search<'_> {
    /// Whether a plan was found.
    fn search(&mut self, known: &Best) -> bool {
        let spots = self.refill.spots.len();
        self.refill.now.clear(spots);
        for (rest, count) in self.refill.rest.iter_mut().zip(&self.counts.list) {
            *rest = if count.is_want() { count.most } else { 0 };
        }
        for at in 0..spots {
            self.look(at);
            let spot = &mut self.refill.spots[at];
            spot.least = spot.way.map_or(0.0, |way| way.score);
        }
        let is_whole = self.fill();
        let is_better = is_whole && self.refill.now.cost < known.cost;
        if !is_better && !self.read(known) && !is_whole || self.refill.now.open == 0 {
            return false;
        }
        let Refill { now, best, .. } = &mut *self.refill;
        best.copy(now);
        let all = self.budget.0.max(1);
        let mut stalled = 0;
        while stalled < STALLED_MAX && self.budget.afford(spots * COPY_STEPS) {
            let Refill { now, before, .. } = &mut *self.refill;
            before.copy(now);
            self.take_out();
            let is_whole = self.fill();
            let Refill { now, before, best, .. } = &mut *self.refill;
            let share = self.budget.0 as f64 / all as f64;
            let dearer = (best.cost / DEARER_SHARE) as f64 * share * share;
            if !is_whole || now.cost > before.cost + dearer as i64 {
                now.copy(before);
            }
            stalled += 1;
            if now.cost < best.cost {
                best.copy(now);
                stalled = 0;
            }
        }
        true
    }

    /// Begins with a plan that is known; `false` where there is none of these nodes.
    fn read(&mut self, known: &Best) -> bool {
        if known.parts.is_empty() {
            return false;
        }
        let Refill { spots, before, .. } = &mut *self.refill;
        before.clear(spots.len());
        for part in &known.parts {
            let spot = spots.iter().position(|spot| spot.slot == part.slot);
            let wants = self.counts.list.iter().map(|count| count.want());
            let of_part = |(want, units): (u32, i64)| (want == part.want).then_some(part.units / units);
            let count =
                wants.map(|want| want.and_then(of_part)).enumerate().find_map(|(at, of)| Some((at, of?)));
            let (Some(spot), Some((count, of))) = (spot, count) else { return false };
            before.fills[spot][count] += of;
        }
        let fills = std::mem::take(&mut self.refill.before.fills);
        self.refill.now.clear(fills.len());
        for (at, fill) in fills.iter().enumerate() {
            let cost = self.price(at, fill);
            self.refill.now.set(at, *fill, cost);
        }
        self.refill.before.fills = fills;
        true
    }

    /// Takes something out of the plan.
    fn take_out(&mut self) {
        let Refill { now, picked, rest, .. } = &mut *self.refill;
        picked.clear();
        *rest = [0; COUNTS_MAX];
        for (at, fill) in now.fills.iter().enumerate() {
            picked.extend(
                (0..self.counts.list.len()).filter(|count| fill[*count] > 0).map(|count| (at, count)),
            );
        }
        match self.sequence.below(8) {
            // Nodes.
            0..3 => {
                for _ in 0..1 + self.sequence.below(CLOSED_MAX) {
                    let (at, _) = self.refill.picked[self.sequence.below(self.refill.picked.len())];
                    self.take_from(at, |of, _| of);
                }
            }
            // All of a count.
            3 => {
                let (_, count) = self.refill.picked[self.sequence.below(self.refill.picked.len())];
                for at in 0..self.refill.spots.len() {
                    self.take_from(at, |of, other| if other == count { of } else { 0 });
                }
            }
            // Some of a few parts.
            _ => {
                for _ in 0..1 + self.sequence.below(PARTS_MAX) {
                    let (at, count) = self.refill.picked[self.sequence.below(self.refill.picked.len())];
                    let shift = self.sequence.below(HALVED_MAX);
                    let taken = |of: i64| (of >> shift).max(of.min(1));
                    self.take_from(at, |of, other| if other == count { taken(of) } else { 0 });
                }
            }
        }
    }

    /// Takes so many of each count from a node.
    fn take_from(&mut self, at: usize, taken: impl Fn(i64, usize) -> i64) {
        let mut fill = self.refill.now.fills[at];
        let mut is_any = false;
        for (count, of) in fill.iter_mut().enumerate() {
            let less = taken(*of, count);
            self.refill.rest[count] += less;
            *of -= less;
            is_any |= less > 0;
        }
        if is_any {
            let cost = self.price(at, &fill);
            self.refill.now.set(at, fill, cost);
        }
    }

    /// Fills in what is left; `false` where that is not possible, or the budget ends.
    fn fill(&mut self) -> bool {
        self.refill.spots.iter_mut().for_each(|spot| spot.way = None);
        while self.refill.rest.iter().any(|rest| *rest > 0) {
            let Some((at, Way { more, cost, .. })) = self.cheapest() else { return false };
            let Refill { spots, now, rest, .. } = &mut *self.refill;
            let was_open = now.open;
            let mut fill = now.fills[at];
            for ((of, more), rest) in fill.iter_mut().zip(more).zip(&mut *rest) {
                *of += more;
                *rest -= more;
            }
            now.set(at, fill, now.costs[at] + cost);
            let is_full = now.open > was_open && now.open == self.case.limit;
            let fits = |way: &Way| way.more.iter().zip(&*rest).all(|(more, rest)| more <= rest);
            for (other, spot) in spots.iter_mut().enumerate() {
                spot.way = spot.way.filter(|way| other != at && !is_full && fits(way));
            }
            if self.budget.0 == 0 {
                return false;
            }
        }
        true
    }

    /// The node and what to add to it that costs least beside its worth.
    fn cheapest(&mut self) -> Option<(usize, Way)> {
        let mut best: Option<(usize, Way)> = None;
        // Those first that are open: what is closed seldom costs as little.
        for is_open in [true, false] {
            for at in 0..self.refill.spots.len() {
                let Refill { spots, now, .. } = &*self.refill;
                let is_beaten = || best.is_some_and(|(_, best)| best.score <= spots[at].least);
                if now.fills[at].iter().any(|of| *of > 0) != is_open
                    || !is_open && spots[at].way.is_none() && is_beaten()
                {
                    continue;
                }
                if spots[at].way.is_none() {
                    self.look(at);
                }
                let way = self.refill.spots[at].way.filter(|way| way.score < f64::INFINITY);
                if let Some(way) = way.filter(|way| best.is_none_or(|(_, best)| way.score < best.score)) {
                    best = Some((at, way));
                }
            }
        }
        best
    }

    /// Finds what to add to a node.
    fn look(&mut self, at: usize) {
        let Refill { spots, now, rest, values, .. } = &*self.refill;
        let (spot, fill) = (&spots[at], now.fills[at]);
        let mut best = NO_WAY;
        let is_closed = fill.iter().all(|of| *of == 0);
        let mut tried = 0;
        if !(is_closed && now.open >= self.case.limit) {
            let mut singles = [(f64::INFINITY, 0); COUNTS_MAX];
            let mut try_way = |more: &Fill| {
                let mut with = fill;
                let mut worth = 0.0;
                for ((of, more), value) in with.iter_mut().zip(more).zip(values) {
                    *of += more;
                    worth += *more as f64 * value;
                }
                tried += 1;
                let price = self.price(at, &with);
                let cost = price - now.costs[at];
                let score = if price < NEVER { cost as f64 / worth } else { f64::INFINITY };
                if score < best.score {
                    best = Way { more: *more, cost, score };
                }
                score
            };
            let mut able = 0;
            for count in 0..self.counts.list.len() {
                let most = rest[count].min(spot.there[count] - fill[count]);
                let mut of = most;
                while of > 0 {
                    let mut more = [0; COUNTS_MAX];
                    more[count] = of;
                    let score = try_way(&more);
                    if of == most {
                        singles[able] = (score, count);
                        able += 1;
                    }
                    of = if of > 1 { (of / 3).max(1) } else { 0 };
                }
            }
            let singles = &mut singles[..able];
            singles.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let mut more = [0; COUNTS_MAX];
            for (at, (_, count)) in singles.iter().enumerate() {
                more[*count] = rest[*count].min(spot.there[*count] - fill[*count]);
                if at > 0 {
                    try_way(&more);
                }
            }
        }
        self.budget.take(tried * PRICE_STEPS);
        self.refill.spots[at].way = Some(best);
    }

    /// What a node costs that ships so much.
    fn price(&self, at: usize, fill: &Fill) -> i64 {
        let mut load = Load::default();
        for (one, of) in self.refill.loads.iter().zip(fill).filter(|(_, of)| **of > 0) {
            load = load.and(one.times(of.unsigned_abs()));
        }
        self.carriers.price(&self.case.list[self.refill.spots[at].slot as usize], &load)
    }
}
