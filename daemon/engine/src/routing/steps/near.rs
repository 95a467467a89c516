//! What a node could ship of an order: the best of it beyond what wants are worth, and all that falls short of that by little.
//!
//! What a node has of an order may be put together in far too many ways to price all of them. A table says what the wants from each
//! on cost beyond their values at least, with so much before them: a knapsack by weight, in which no parcel costs less than the least
//! price of what weighs as much. Goods are billed by weight or by volume, whichever is more of all that go together, so there is a table
//! for each, and one for the mean of both; and one for each of the surcharges that goods may bring with them. By those the ways to
//! fill a shipment are searched depth first (Horowitz and Sahni 1974), and what is left is priced as a whole.

use super::counts::{COUNTS_MAX, Count, Counts};
use super::offers::Shipment;
use crate::routing::case::{Budget, Candidate, Case};
use crate::routing::parcels::{Carriers, Load};
use crate::tariff::fares::NEVER;

/// Numbers of a table's row, by weight.
const WEIGHTS: usize = 256;
/// Measures of goods: grams, what their volume counts for, and the mean of both; in sixteenths of a gram.
const MEASURES: usize = 3;
const PER_GRAM: i64 = 16;
/// Steps of looking at a price of a table's last row, and of a part of a shipment, and of pricing one; and numbers that are filled in
/// within one.
const LEAST_STEPS: usize = 16;
const PART_STEPS: usize = 8;
const PRICE_STEPS: usize = 64;
const FILLED_AT_ONCE: usize = 2;
/// More than any cost, with room to add some up.
pub(super) const FAR: i64 = NEVER / 64;

/// So many of each count.
pub(super) type Fill = [u32; COUNTS_MAX];

/// A count as far as one node has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// Its place among all counts.
    pub(super) at: usize,
    pub(super) count: Count,
    pub(super) there: usize,
    /// Where its numbers of units begin, none first, among those of all nodes.
    pub(super) first: usize,
    weights: [i64; MEASURES],
    /// Which surcharges it brings with it, a bit each.
    surcharges: usize,
    /// What it costs, carriers aside: once and for each.
    once: i64,
    each: i64,
}

impl Choice {
    fn own(&self, of: usize) -> i64 {
        if of > 0 { self.once + self.each * of as i64 } else { 0 }
    }
}

/// What one node has of an order.
pub(super) struct Node {
    pub(super) slot: u32,
    pub(super) priority: u64,
    /// The heaviest first.
    pub(super) choices: Vec<Choice>,
    fixed: i64,
    /// How many measures tell something, and for each what a step of weight is.
    measures: usize,
    steps: [i64; MEASURES],
    /// By measure, surcharges and weight: what carriers charge at least.
    least: Vec<i64>,
}

impl Node {
    /// How many numbers of units its choices have, none among them.
    pub(super) fn numbers(&self) -> usize {
        self.choices.iter().map(|choice| choice.there + 1).sum()
    }
}

/// What a node ships that costs least beyond its values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) beyond: i64,
    pub(super) fill: Fill,
}

/// Buffers of looking at one node.
#[derive(Default)]
pub(super) struct Near {
    /// The surcharges of an order's goods, a flag for each bit; and one shipment, packed.
    flags: Vec<u16>,
    shipment: u128,
    /// By choice and units: what they cost beyond their value.
    costs: Vec<i64>,
    /// By measure, surcharges, choice and weight before it.
    table: Vec<i64>,
    row: Vec<i64>,
    /// By choice: ways to go on.
    ways: Vec<Vec<(i64, usize)>>,
}

/// A shipment as far as it is filled.
#[derive(Clone, Copy)]
struct Filled {
    weights: [i64; MEASURES],
    surcharges: usize,
    beyond: i64,
    fill: Fill,
}

/// The search of one node.
struct Search<'a> {
    node: &'a Node,
    states: usize,
    costs: &'a [i64],
    table: &'a [i64],
    from: &'a Candidate,
    carriers: Carriers<'a>,
    budget: &'a mut Budget,
}

impl Near {
    /// Begins with an order.
    pub(super) fn read(&mut self, counts: &Counts, carriers: Carriers<'_>) {
        let wants = counts.list.iter().filter_map(Count::want);
        let all = wants.fold(0, |flags, (want, _)| flags | carriers.surcharged(want));
        self.flags.clear();
        self.flags.extend((0..u16::BITS).map(|bit| 1 << bit).filter(|flag| all & flag != 0));
        let shipments = counts.list.iter().filter(|count| !count.is_want());
        self.shipment = shipments.map(|count| count.packed(1)).sum();
    }

    /// Weighs what a node has of an order; `None` where that is nothing. `first` is where its numbers of units begin.
    pub(super) fn weigh(
        &self,
        counts: &Counts,
        (case, carriers): (&Case, Carriers<'_>),
        slot: u32,
        mut first: usize,
        budget: &mut Budget,
    ) -> Option<Node> {
        let from = &case.list[slot as usize];
        let (mut choices, mut totals) = (Vec::new(), [0; MEASURES]);
        let (mut is_heavy, mut is_bulky) = (false, false);
        for (at, count) in counts.list.iter().enumerate() {
            let there = count.there(case, slot).min(count.most) as usize;
            let Some((want, units)) = count.want().filter(|_| there > 0) else { continue };
            let (grams, by_volume) = carriers.measures(want, PER_GRAM);
            let (grams, by_volume) = (grams * units, by_volume * units);
            (is_heavy, is_bulky) = (is_heavy | (grams > by_volume), is_bulky | (by_volume > grams));
            let brings =
                |(bit, flag): (usize, &u16)| usize::from(carriers.surcharged(want) & flag != 0) << bit;
            choices.push(Choice {
                at,
                count: *count,
                there,
                first,
                weights: [grams, by_volume, (grams + by_volume) / 2],
                surcharges: self.flags.iter().enumerate().map(brings).sum(),
                once: from.line,
                each: from.unit * units,
            });
            first += there + 1;
        }
        let measures = if is_heavy && is_bulky { MEASURES } else { 1 };
        if !is_heavy {
            choices.iter_mut().for_each(|choice| choice.weights.swap(0, 1));
        }
        choices.sort_by_key(|choice| std::cmp::Reverse(choice.weights[0] * choice.there as i64));
        for choice in &choices {
            let of = totals.iter_mut().zip(choice.weights);
            of.for_each(|(total, weight)| *total += weight * choice.there as i64);
        }
        let states = 1 << self.flags.len();
        if choices.is_empty() {
            return None;
        }
        budget.take(measures * states * WEIGHTS * LEAST_STEPS);
        let steps = totals.map(|total| total / (WEIGHTS as i64 - 1) + 1);
        let mut least = Vec::with_capacity(measures * states * WEIGHTS);
        for (step, state) in
            steps[..measures].iter().flat_map(|step| (0..states).map(move |state| (step, state)))
        {
            let flags = self.flags.iter().enumerate().filter(|(bit, _)| state >> bit & 1 == 1);
            let flags = flags.fold(0, |flags, (_, flag)| flags | flag);
            let price = |weight: usize| carriers.least(from, weight as i64 * step / PER_GRAM, flags);
            least.extend((0..WEIGHTS).map(price));
        }
        let (fixed, priority) = (from.fixed, u64::from(from.priority));
        Some(Node { slot, priority, choices, fixed, measures, steps, least })
    }

    /// Says what units of a node's choices are worth, [`FAR`] less than nothing where there may not be so many. Call it before
    /// [`Near::best`] and [`Near::list`]. `false` where that takes more than the budget.
    pub(super) fn look(
        &mut self,
        node: &Node,
        worth: impl Fn(&Choice, usize) -> i64,
        budget: &mut Budget,
    ) -> bool {
        let states = 1 << self.flags.len();
        let filled = node.measures * states * WEIGHTS * node.numbers();
        if !budget.afford(filled / FILLED_AT_ONCE) {
            return false;
        }
        self.costs.clear();
        for choice in &node.choices {
            self.costs.extend((0..=choice.there).map(|of| choice.own(of) - worth(choice, of)));
        }
        self.tabulate(node, states);
        true
    }

    fn tabulate(&mut self, node: &Node, states: usize) {
        let Self { costs, table, row, .. } = self;
        let rows = node.choices.len() + 1;
        table.clear();
        table.resize(node.measures * states * rows * WEIGHTS, FAR);
        for measure in 0..node.measures {
            for state in (0..states).rev() {
                let place = |state: usize, row: usize| ((measure * states + state) * rows + row) * WEIGHTS;
                let least = &node.least[(measure * states + state) * WEIGHTS..][..WEIGHTS];
                table[place(state, rows - 1)..][..WEIGHTS].copy_from_slice(least);
                let mut end = costs.len();
                for (at, choice) in node.choices.iter().enumerate().rev() {
                    let costs = &costs[end - choice.there - 1..end];
                    end -= choice.there + 1;
                    row.clear();
                    row.extend(table[place(state, at + 1)..][..WEIGHTS].iter().map(|least| least + costs[0]));
                    let with = &table[place(state | choice.surcharges, at + 1)..][..WEIGHTS];
                    for (of, cost) in costs.iter().enumerate().skip(1).filter(|(_, cost)| **cost < FAR / 2) {
                        let by = (of as i64 * choice.weights[measure] / node.steps[measure]) as usize;
                        let by = by.min(WEIGHTS - 1);
                        let (within, beyond) = row.split_at_mut(WEIGHTS - by);
                        within
                            .iter_mut()
                            .zip(&with[by..])
                            .for_each(|(row, with)| *row = (*row).min(with + cost));
                        beyond.iter_mut().for_each(|row| *row = (*row).min(with[WEIGHTS - 1] + cost));
                    }
                    table[place(state, at)..][..WEIGHTS].copy_from_slice(row);
                }
            }
        }
    }

    /// What the node ships that costs least beyond its values, a shipment being worth so much; nothing where it had better ship nothing.
    /// What it costs at least is less than that where so many steps did not suffice.
    pub(super) fn best(
        &mut self,
        node: &Node,
        (case, carriers): (&Case, Carriers<'_>),
        shipment: i64,
        budget: &mut Budget,
    ) -> Found {
        let Self { flags, costs, table, ways, .. } = self;
        ways.resize_with(ways.len().max(node.choices.len()), Vec::new);
        let (states, from) = (1 << flags.len(), &case.list[node.slot as usize]);
        let mut search = Search { node, states, costs, table, from, carriers, budget };
        let begun = search.begun(shipment);
        let floor = search.floor(0, (begun.weights, begun.surcharges), begun.beyond).min(0);
        let mut best = Found { beyond: 0, fill: Fill::default() };
        if floor < 0 && !search.improve((0, 0), begun, ways, &mut best) {
            best.beyond = floor;
        }
        best
    }

    /// Adds all that the node may ship whose cost beyond values is `most` at most, the price within; `false` where that is more than so
    /// many shipments, or than the budget.
    pub(super) fn list(
        &mut self,
        node: &Node,
        (case, carriers): (&Case, Carriers<'_>),
        (shipment, most): (i64, i64),
        (found, room): (&mut Vec<Shipment>, usize),
        budget: &mut Budget,
    ) -> bool {
        let (states, from) = (1 << self.flags.len(), &case.list[node.slot as usize]);
        let (costs, table) = (&*self.costs, &*self.table);
        let mut search = Search { node, states, costs, table, from, carriers, budget };
        let (begun, first) = (search.begun(shipment), found.len());
        let is_done = search.list((0, 0), begun, most, (&mut *found, room));
        found[first..].iter_mut().for_each(|found| found.counts |= self.shipment);
        is_done
    }
}

impl Search<'_> {
    /// Nothing is filled yet.
    fn begun(&self, shipment: i64) -> Filled {
        let beyond = self.node.fixed - shipment;
        Filled { weights: [0; MEASURES], surcharges: 0, beyond, fill: Fill::default() }
    }

    /// What a shipment that is filled so far costs beyond values at least, whatever of the choices is added from this row on.
    #[inline]
    fn floor(&self, row: usize, (weights, surcharges): ([i64; MEASURES], usize), beyond: i64) -> i64 {
        let rows = self.node.choices.len() + 1;
        let mut floor = i64::MIN;
        let measures = weights.iter().zip(self.node.steps).take(self.node.measures);
        for (measure, (weight, step)) in measures.enumerate() {
            let place = (measure * self.states + surcharges) * rows + row;
            floor = floor.max(self.table[place * WEIGHTS + ((weight / step) as usize).min(WEIGHTS - 1)]);
        }
        beyond + floor
    }

    /// The same, with so many units of one more choice.
    #[inline]
    fn floor_with(&self, (row, first): (usize, usize), filled: &Filled, of: usize) -> i64 {
        let choice = &self.node.choices[row];
        let mut weights = filled.weights;
        let sums = weights.iter_mut().zip(choice.weights);
        sums.for_each(|(sum, weight)| *sum += weight * of as i64);
        let surcharges = filled.surcharges | if of > 0 { choice.surcharges } else { 0 };
        self.floor(row + 1, (weights, surcharges), filled.beyond + self.costs[first + of])
    }

    /// So many units of one more choice, whose costs begin there.
    fn with(&self, choice: &Choice, first: usize, filled: &Filled, of: usize) -> Filled {
        let mut with = *filled;
        with.beyond += self.costs[first + of];
        if of > 0 {
            let weights = with.weights.iter_mut().zip(choice.weights);
            weights.for_each(|(sum, weight)| *sum += weight * of as i64);
            with.surcharges |= choice.surcharges;
            with.fill[choice.at] = of as u32;
        }
        with
    }

    /// What a shipment costs, and how much of that is beyond values; `None` where nothing is in it or nobody carries it.
    fn priced(&self, filled: &Filled) -> Option<(i64, i64)> {
        let parts = self.node.choices.iter();
        let parts =
            parts.filter_map(|choice| choice.count.part(self.node.slot, filled.fill[choice.at].into()));
        let load = parts.fold(Load::default(), |load, part| load.and(self.carriers.load(&part)));
        let cost = self.carriers.price(self.from, &load);
        // All but what the carrier takes is told already.
        let beyond = filled.beyond + cost - self.carriers.price_own(self.from, &load);
        (!load.is_empty() && cost < NEVER).then_some((cost, beyond))
    }

    /// Tries the ways to fill the choices from this one on that could be better than the best; `false` where the budget ends.
    fn improve(
        &mut self,
        (row, first): (usize, usize),
        filled: Filled,
        ways: &mut [Vec<(i64, usize)>],
        best: &mut Found,
    ) -> bool {
        let Some(choice) = self.node.choices.get(row).copied() else {
            if let Some((_, beyond)) = self.priced(&filled).filter(|(_, beyond)| *beyond < best.beyond) {
                *best = Found { beyond, fill: filled.fill };
            }
            return self.budget.afford(PRICE_STEPS);
        };
        if !self.budget.afford((choice.there + 1) * PART_STEPS) {
            return false;
        }
        let (mine, others) = ways.split_first_mut().expect("a list for each choice");
        mine.clear();
        let floors = (0..=choice.there).map(|of| (self.floor_with((row, first), &filled, of), of));
        mine.extend(floors.filter(|(floor, _)| *floor < best.beyond));
        mine.sort_unstable();
        for (floor, of) in mine {
            if *floor >= best.beyond {
                break;
            }
            let with = self.with(&choice, first, &filled, *of);
            if !self.improve((row + 1, first + choice.there + 1), with, others, best) {
                return false;
            }
        }
        true
    }

    /// Tries all ways to fill the choices from this one on.
    fn list(
        &mut self,
        (row, first): (usize, usize),
        filled: Filled,
        most: i64,
        (found, room): (&mut Vec<Shipment>, usize),
    ) -> bool {
        let Some(choice) = self.node.choices.get(row).copied() else {
            if let Some((cost, beyond)) = self.priced(&filled).filter(|(_, beyond)| *beyond <= most) {
                let counts = self.node.choices.iter();
                let counts = counts.map(|choice| choice.count.packed(filled.fill[choice.at].into())).sum();
                found.push(Shipment { counts, cost, beyond });
            }
            return found.len() <= room && self.budget.afford(PRICE_STEPS);
        };
        if !self.budget.afford((choice.there + 1) * PART_STEPS) {
            return false;
        }
        for of in (0..=choice.there).rev() {
            if self.floor_with((row, first), &filled, of) <= most {
                let with = self.with(&choice, first, &filled, of);
                let next = (row + 1, first + choice.there + 1);
                if !self.list(next, with, most, (found, room)) {
                    return false;
                }
            }
        }
        true
    }
}
