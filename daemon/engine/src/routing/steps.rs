//! Exact plans where prices go by steps: node after node, what every part of an order costs at least.
//!
//! Where carriers price, what a shipment costs is no sum over what is in it, so every shipment of every node is priced, and
//! added to every part of the order that the nodes before serve. After the last node the least cost of the whole order is
//! known, whatever prices are like: splits, merged parcels and limits of shipments included (a knapsack by dynamic programming, with a
//! count per want; Bellman 1957). That takes a number for each part of the order and each node, so it is for
//! orders of few parts, some dozens of units of a want to be split or ten wants served whole, and for the nodes that bounds leave.

use super::case::{Best, Budget, Case, Part, Short};
use super::parcels::{Carriers, Load};
use crate::tariff::fares::NEVER;

/// Bits of one count of a packed part; the highest of them tells a borrow.
const BITS: u32 = 11;
const COUNT_MAX: usize = (1 << (BITS - 1)) - 1;
/// Most counts of a part: one per want, and that of shipments.
const COUNTS_MAX: usize = 11;
/// Most numbers of which shipment came last, four bytes each.
const CHOSEN_MAX: usize = 1 << 22;
/// Steps of pricing a shipment.
const PRICE_STEPS: usize = 32;

/// What a count is of.
#[derive(Clone, Copy, Debug)]
enum Counted {
    /// A want that one node serves whole, and its units.
    Whole(u32, i64),
    /// Units of a want to be split.
    Units(Short),
    /// Shipments.
    Shipments,
}

/// A count that goes from 0 to `most`.
#[derive(Clone, Copy, Debug)]
struct Count {
    of: Counted,
    most: usize,
    /// What one more of it adds to the place of a part.
    stride: usize,
}

/// What a node could ship.
#[derive(Clone, Copy, Debug)]
struct Shipment {
    counts: u128,
    place: usize,
    cost: i64,
}

/// Buffers, by place of a part of the order unless said otherwise.
#[derive(Default)]
pub(super) struct Steps {
    counts: Vec<Count>,
    /// The counts, packed.
    packed: Vec<u128>,
    /// What the nodes so far serve it for, and the sum of their priorities.
    least: Vec<(i64, u64)>,
    /// What serving the rest costs at least.
    rest: Vec<i64>,
    /// By node and part: the place of its shipment, 0 for none.
    chosen: Vec<u32>,
    /// Of one node.
    shipments: Vec<Shipment>,
    /// The plan, and its nodes.
    parts: Vec<Part>,
    open: Vec<u32>,
}

impl Count {
    /// The want's part in a shipment that has so many of it.
    fn part(&self, slot: u32, of: usize) -> Option<Part> {
        let (want, units) = match self.of {
            Counted::Whole(want, units) => (want, units),
            Counted::Units(short) => (short.want, of as i64),
            Counted::Shipments => return None,
        };
        (of > 0).then_some(Part { want, slot, units })
    }

    /// How many of it there are in a part of the order.
    fn of(&self, place: usize) -> usize {
        place / self.stride % (self.most + 1)
    }

    /// The most that a node could ship of it.
    fn there(&self, case: &Case, slot: u32) -> usize {
        match &self.of {
            Counted::Whole(want, _) => usize::from(case.serves(slot as usize, *want as usize)),
            Counted::Units(short) => usize::try_from(case.supply(short, slot)).unwrap_or(0).min(self.most),
            Counted::Shipments => 0,
        }
    }
}

impl Steps {
    /// Whether an order has few enough wants.
    pub(super) fn fits(case: &Case) -> bool {
        case.whole_count + case.shorts.len() <= COUNTS_MAX
    }

    /// Finds the cheapest plan of these nodes by what carriers charge, where it costs no more than the best, and offers it.
    /// `false` where that takes more than the budget.
    pub(super) fn find(
        &mut self,
        case: &Case,
        carriers: Carriers<'_>,
        slots: &[u32],
        best: &mut Best,
        budget: &mut Budget,
    ) -> bool {
        let Some(places) = self.count(case, slots.len()) else { return false };
        let is_small = places.checked_mul(slots.len()).is_some_and(|chosen| chosen <= CHOSEN_MAX);
        let work = self.work(case, slots, places).filter(|work| is_small && *work as u64 <= budget.0);
        if !work.is_some_and(|work| budget.take(work)) {
            return false;
        }
        self.spread(case, slots, places);
        self.least.clear();
        self.least.resize(places, (i64::MAX, 0));
        self.least[0] = (0, 0);
        self.chosen.clear();
        self.chosen.resize(places * slots.len(), 0);
        for (row, slot) in slots.iter().enumerate() {
            self.price(case, carriers, *slot);
            self.add(u64::from(case.list[*slot as usize].priority), row * places, best.cost);
        }
        // All wants are served; where shipments are counted, by any number of them.
        let is_want = |count: &&Count| !matches!(count.of, Counted::Shipments);
        let full: usize = self.counts.iter().filter(is_want).map(|count| count.most * count.stride).sum();
        let shipments = self.counts.iter().find(|count| !is_want(count));
        let (most, stride) = shipments.map_or((0, 0), |count| (count.most, count.stride));
        let ends = (0..=most).map(|shipments| full + shipments * stride);
        if let Some(end) = ends.min_by_key(|end| self.least[*end]).filter(|end| self.least[*end].0 < i64::MAX)
        {
            self.trace(slots, end, places);
            if best.offer(case, self.least[end].0, &self.open) {
                best.parts.extend_from_slice(&self.parts);
            }
        }
        true
    }

    /// Lays the counts out, and returns how many parts the order has.
    fn count(&mut self, case: &Case, nodes: usize) -> Option<usize> {
        self.counts.clear();
        let (mut stride, mut units) = (1_usize, 0_usize);
        let mut push = |counts: &mut Vec<Count>, of: Counted, most: usize| {
            let is_fit = most <= COUNT_MAX && counts.len() < COUNTS_MAX;
            counts.push(Count { of, most, stride });
            stride = stride.checked_mul(most + 1).filter(|places| is_fit && *places <= CHOSEN_MAX)?;
            Some(())
        };
        for want in Case::wants(&case.whole) {
            units += 1;
            push(&mut self.counts, Counted::Whole(want as u32, case.units[want]), 1)?;
        }
        for short in &case.shorts {
            let most = usize::try_from(case.units[short.want as usize]).ok()?;
            units = units.saturating_add(most);
            push(&mut self.counts, Counted::Units(*short), most)?;
        }
        // No plan has more shipments than nodes or units.
        if case.limit < units.min(nodes) {
            push(&mut self.counts, Counted::Shipments, case.limit)?;
        }
        Some(stride)
    }

    /// Steps of work over all nodes.
    fn work(&self, case: &Case, slots: &[u32], places: usize) -> Option<usize> {
        let of_node = |slot: &u32| {
            let mut ways = self.counts.iter().map(|count| count.there(case, *slot) + 1);
            ways.try_fold(1_usize, usize::checked_mul)?.checked_mul(places + PRICE_STEPS)
        };
        slots.iter().try_fold(0_usize, |sum, slot| sum.checked_add(of_node(slot)?))
    }

    /// Packs each part, and says what serving the rest of the order costs at least: every unit from where it costs least, and one
    /// shipment.
    fn spread(&mut self, case: &Case, slots: &[u32], places: usize) {
        let least = |want: u32| slots.iter().map(|slot| case.rate(*slot as usize, want as usize)).min();
        let rate = |count: &Count| match count.of {
            Counted::Whole(want, units) => least(want).unwrap_or(0).saturating_mul(units),
            Counted::Units(short) => least(short.want).unwrap_or(0),
            Counted::Shipments => 0,
        };
        let rates: Vec<i64> = self.counts.iter().map(rate).collect();
        let fixed = slots.iter().map(|slot| case.list[*slot as usize].fixed_floor()).min().unwrap_or(0);
        self.packed.clear();
        self.rest.clear();
        for place in 0..places {
            let (mut packed, mut rest, mut is_all) = (0_u128, 0_i64, true);
            for (at, (count, rate)) in self.counts.iter().zip(&rates).enumerate() {
                let of = count.of(place);
                packed |= (of as u128) << (at as u32 * BITS);
                rest = rest.saturating_add(rate.saturating_mul((count.most - of) as i64));
                is_all &= of == count.most || matches!(count.of, Counted::Shipments);
            }
            self.packed.push(packed);
            // Where a shipment costs less than nothing, more of them could make up for any cost.
            self.rest.push(if fixed < 0 { i64::MIN / 2 } else { rest + if is_all { 0 } else { fixed } });
        }
    }

    /// Prices all that a node could ship.
    fn price(&mut self, case: &Case, carriers: Carriers<'_>, slot: u32) {
        self.shipments.clear();
        let mut there = [0_usize; COUNTS_MAX];
        for (there, count) in there.iter_mut().zip(&self.counts) {
            *there = count.there(case, slot);
        }
        let mut now = [0_usize; COUNTS_MAX];
        loop {
            // The next combination, as a number with a digit per count.
            let Some(at) = (0..self.counts.len()).find(|at| now[*at] < there[*at]) else { return };
            now[..at].fill(0);
            now[at] += 1;
            let (mut counts, mut place, mut load) = (0, 0, Load::default());
            for (at, (count, of)) in self.counts.iter().zip(now).enumerate() {
                let of = if matches!(count.of, Counted::Shipments) { 1 } else { of };
                counts |= (of as u128) << (at as u32 * BITS);
                place += of * count.stride;
                if let Some(part) = count.part(slot, of) {
                    load = load.and(carriers.load(&part));
                }
            }
            let cost = carriers.price(&case.list[slot as usize], &load);
            if cost < NEVER {
                self.shipments.push(Shipment { counts, place, cost });
            }
        }
    }

    /// Adds a node's shipments to all parts that could be part of a plan that costs no more than what is known.
    fn add(&mut self, priority: u64, row: usize, known: i64) {
        let guards = (0..COUNTS_MAX as u32).fold(0_u128, |guards, at| guards | 1 << (at * BITS + BITS - 1));
        for place in (1..self.least.len()).rev() {
            let (packed, rest) = (self.packed[place] | guards, self.rest[place]);
            let (mut best, mut last) = (self.least[place], 0);
            for shipment in &self.shipments {
                if shipment.place > place || packed.wrapping_sub(shipment.counts) & guards != guards {
                    continue;
                }
                let (before, priorities) = self.least[place - shipment.place];
                if before == i64::MAX {
                    continue;
                }
                let key = (before.saturating_add(shipment.cost), priorities + priority);
                if key < best && key.0.saturating_add(rest) <= known {
                    (best, last) = (key, shipment.place);
                }
            }
            self.least[place] = best;
            self.chosen[row + place] = last as u32;
        }
    }

    /// Writes down which shipments a part is made of.
    fn trace(&mut self, slots: &[u32], end: usize, places: usize) {
        self.parts.clear();
        self.open.clear();
        let mut left = end;
        for (row, slot) in slots.iter().enumerate().rev() {
            let shipment = self.chosen[row * places + left] as usize;
            left -= shipment;
            if shipment > 0 {
                self.open.push(*slot);
                self.parts
                    .extend(self.counts.iter().filter_map(|count| count.part(*slot, count.of(shipment))));
            }
        }
    }
}
