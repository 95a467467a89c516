//! What a node could ship of an order where that is too much to price all of it: what falls short of its best by little, and
//! nothing else.
//!
//! A table says what the wants from each on cost beyond their values at least, with so many grams before them: a knapsack by
//! weight, in which no parcel costs less than the least price of what weighs as much. By that the ways to fill a shipment are
//! searched depth first (Horowitz and Sahni 1974), and what is left is priced as a whole.

use super::counts::{Count, Counts};
use super::offers::Shipment;
use crate::routing::case::{Budget, Candidate, Case};
use crate::routing::parcels::{Carriers, Load};
use crate::tariff::fares::NEVER;

/// Numbers of a table's row, by weight.
const WEIGHTS: usize = 128;
/// Steps of filling in a number, of looking at a part of a shipment, and of pricing it.
const FILL_STEPS: usize = 2;
const PART_STEPS: usize = 8;
const PRICE_STEPS: usize = 48;

/// A want as far as one node has it.
#[derive(Clone, Copy, Debug)]
struct Choice {
    count: Count,
    there: i64,
    grams: i64,
    /// What it costs beyond its value, once and for each.
    once: i64,
    each: i64,
}

impl Choice {
    fn beyond(&self, of: i64) -> i64 {
        if of > 0 { self.once + self.each * of } else { 0 }
    }
}

/// Buffers of looking at one node.
#[derive(Default)]
pub(super) struct Near {
    choices: Vec<Choice>,
    /// By want, and by weight before it.
    least: Vec<i64>,
    /// Grams of one step of weight.
    step: i64,
}

/// The search of one node.
struct Search<'a> {
    near: &'a Near,
    carriers: Carriers<'a>,
    from: &'a Candidate,
    slot: u32,
    slack: i64,
    /// The least that was found; nothing where the node had better ship nothing.
    best: i64,
    found: &'a mut Vec<Shipment>,
    most: usize,
    budget: &'a mut Budget,
}

/// A shipment as far as it is filled.
#[derive(Clone, Copy)]
struct Filled {
    counts: u128,
    load: Load,
    grams: i64,
    beyond: i64,
}

impl Near {
    /// Adds all shipments of a node that fall short of its best by so much at most, and returns what the best of them costs
    /// beyond values, nothing where that is none. `None` where they are more than `most` together with those that are there, or
    /// the budget ends.
    pub(super) fn find(
        &mut self,
        (counts, values): (&Counts, &[i64]),
        (case, carriers): (&Case, Carriers<'_>),
        (slot, slack): (u32, i64),
        (found, most): (&mut Vec<Shipment>, usize),
        budget: &mut Budget,
    ) -> Option<i64> {
        let from = &case.list[slot as usize];
        let (mut packed, mut base) = (0, from.fixed);
        self.choices.clear();
        for (count, value) in counts.list.iter().zip(values) {
            let Some((want, units)) = count.want() else {
                (packed, base) = (packed | count.packed(1), base - value);
                continue;
            };
            let (there, grams) = (count.there(case, slot), case.unit_g[want as usize] * units);
            if there > 0 {
                let each = from.unit * units - value;
                self.choices.push(Choice { count: *count, there, grams, once: from.line, each });
            }
        }
        if !budget.afford(self.tabulate(carriers, from)) {
            return None;
        }
        let first = found.len();
        let begun = Filled { counts: packed, load: Load::default(), grams: 0, beyond: base };
        let mut search = Search { near: self, carriers, from, slot, slack, best: 0, found, most, budget };
        search.descend(begun);
        let is_done = search.fill(0, begun);
        let best = search.best;
        // What was found before the best may fall short of it by too much.
        let mut kept = first;
        for at in first..found.len() {
            if found[at].beyond - best <= slack {
                found[kept] = found[at];
                kept += 1;
            }
        }
        found.truncate(kept);
        is_done.then_some(best)
    }

    /// Fills in the table; steps of that.
    fn tabulate(&mut self, carriers: Carriers<'_>, from: &Candidate) -> usize {
        let total: i64 = self.choices.iter().map(|choice| choice.there * choice.grams).sum();
        self.step = total / (WEIGHTS as i64 - 1) + 1;
        let rows = self.choices.len();
        self.least.clear();
        self.least.resize((rows + 1) * WEIGHTS, 0);
        for weight in 0..WEIGHTS {
            self.least[rows * WEIGHTS + weight] = carriers.least(from, weight as i64 * self.step);
        }
        let mut steps = WEIGHTS * PRICE_STEPS;
        for (row, choice) in self.choices.iter().enumerate().rev() {
            let (rows, next) = self.least.split_at_mut((row + 1) * WEIGHTS);
            for (weight, least) in rows[row * WEIGHTS..].iter_mut().enumerate() {
                let of = |of: i64| {
                    let grams = weight as i64 * self.step + of * choice.grams;
                    next[((grams / self.step) as usize).min(WEIGHTS - 1)] + choice.beyond(of)
                };
                *least = (0..=choice.there).map(of).min().unwrap_or(0);
            }
            steps += WEIGHTS * (choice.there as usize + 1) * FILL_STEPS;
        }
        steps
    }

    /// What a shipment that is filled so far costs beyond values at least, whatever of the wants from this one on is added.
    fn floor(&self, row: usize, filled: &Filled) -> i64 {
        let weight = ((filled.grams / self.step) as usize).min(WEIGHTS - 1);
        filled.beyond + self.least[row * WEIGHTS + weight]
    }
}

impl Search<'_> {
    /// One more want.
    fn with(&self, choice: &Choice, filled: &Filled, of: i64) -> Filled {
        Filled {
            counts: filled.counts | choice.count.packed(of),
            load: choice
                .count
                .part(self.slot, of)
                .map_or(filled.load, |part| filled.load.and(self.carriers.load(&part))),
            grams: filled.grams + choice.grams * of,
            beyond: filled.beyond + choice.beyond(of),
        }
    }

    /// Goes where the table says, so that the search begins with a good one.
    fn descend(&mut self, mut filled: Filled) {
        for (row, choice) in self.near.choices.iter().enumerate() {
            let ways = (0..=choice.there).map(|of| self.with(choice, &filled, of));
            if let Some(way) = ways.min_by_key(|way| self.near.floor(row + 1, way)) {
                filled = way;
            }
        }
        if let Some(shipment) = self.priced(&filled) {
            self.best = self.best.min(shipment.beyond);
        }
    }

    fn priced(&self, filled: &Filled) -> Option<Shipment> {
        let cost = self.carriers.price(self.from, &filled.load);
        // All but what the carrier takes is told already.
        let own = self.carriers.price_own(self.from, &filled.load);
        let is_any = !filled.load.is_empty() && cost < NEVER;
        is_any.then(|| Shipment { counts: filled.counts, cost, beyond: filled.beyond + cost - own })
    }

    /// Tries all ways to fill the wants from this one on.
    fn fill(&mut self, row: usize, filled: Filled) -> bool {
        let Some(choice) = self.near.choices.get(row).copied() else {
            if !self.budget.afford(PRICE_STEPS) {
                return false;
            }
            if let Some(shipment) = self.priced(&filled) {
                self.best = self.best.min(shipment.beyond);
                if shipment.beyond - self.best <= self.slack {
                    self.found.push(shipment);
                }
            }
            return self.found.len() <= self.most;
        };
        for of in (0..=choice.there).rev() {
            if !self.budget.afford(PART_STEPS) {
                return false;
            }
            let way = self.with(&choice, &filled, of);
            if self.near.floor(row + 1, &way) - self.best <= self.slack && !self.fill(row + 1, way) {
                return false;
            }
        }
        true
    }
}
