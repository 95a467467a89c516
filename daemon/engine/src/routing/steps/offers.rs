//! What each node could ship of an order, priced as a whole, and values of wants by which that is weighed.
//!
//! A node ships what costs least beyond the values of what is in it, or nothing. Whatever the values, what all nodes cost so, and
//! the values of all that is wanted, are a lower bound (Geoffrion 1974). By how much a shipment falls short of the best of its
//! node is by how much more than the bound a plan with it costs at least.

use super::counts::{COUNTS_MAX, Counts};
use super::near::{Near, Node};
use crate::routing::case::{Budget, Case};
use crate::routing::parcels::{Carriers, Load};
use crate::tariff::fares::NEVER;

/// Most shipments of all nodes together, where all are priced; and where those are that are near to the best.
const SHIPMENTS_MAX: usize = 1 << 16;
const NEAR_MAX: usize = 1 << 16;
/// Steps of pricing a shipment, and of looking at it once.
const PRICE_STEPS: usize = 48;
pub(super) const LOOK_STEPS: usize = 8;
/// Rounds without a better bound until values are moved less, and by how much; and the least that is worth moving.
const STALLED_ROUNDS: u32 = 4;
const SLOWER: f64 = 0.6;
const PACE_LEAST: f64 = 1e-3;
/// How far the bound is off where no plan is known, as a share of it.
const GAP_GUESS: f64 = 0.1;

/// What a node could ship.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shipment {
    /// Packed.
    pub(super) counts: u128,
    pub(super) cost: i64,
    /// What it costs beyond the values of what is in it.
    pub(super) beyond: i64,
}

/// A node, and its shipments by place in [`Offers::shipments`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) slot: u32,
    pub(super) priority: u64,
    pub(super) first: usize,
    pub(super) end: usize,
    /// The least that it costs beyond values; nothing where it had better ship nothing.
    pub(super) least: i64,
}

/// How far values are moved, and for how many rounds that gained nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(f64, u32);

impl Default for Pace {
    fn default() -> Self {
        Self(1.0, 0)
    }
}

/// All that nodes could ship.
#[derive(Default)]
pub(super) struct Offers {
    pub(super) sites: Vec<Site>,
    pub(super) shipments: Vec<Shipment>,
    /// By shipment: whether no plan that is looked for has it; empty where nothing is known of that.
    pub(super) marks: Vec<bool>,
    /// By count: what one of it is worth.
    pub(super) values: Vec<i64>,
    best_values: Vec<i64>,
}

impl Offers {
    /// Prices all that each node could ship; `false` where that is too much.
    pub(super) fn price(
        &mut self,
        counts: &Counts,
        (case, carriers): (&Case, Carriers<'_>),
        slots: &[u32],
        budget: &mut Budget,
    ) -> bool {
        self.sites.clear();
        self.shipments.clear();
        for slot in slots {
            let mut there = [0; COUNTS_MAX];
            for (there, count) in there.iter_mut().zip(&counts.list) {
                *there = count.there(case, *slot);
            }
            let ways = there.iter().try_fold(1_usize, |ways, there| ways.checked_mul(*there as usize + 1));
            let Some(ways) = ways.filter(|ways| self.shipments.len() + ways <= SHIPMENTS_MAX) else {
                return false;
            };
            if !budget.afford(ways * PRICE_STEPS) {
                return false;
            }
            let (first, candidate) = (self.shipments.len(), &case.list[*slot as usize]);
            let mut now = [0; COUNTS_MAX];
            // The next combination, as a number with a digit per count.
            while let Some(at) = (0..counts.list.len()).find(|at| now[*at] < there[*at]) {
                now[..at].fill(0);
                now[at] += 1;
                let (mut packed, mut load) = (0, Load::default());
                for (count, of) in counts.list.iter().zip(now) {
                    packed |= count.packed(if count.is_want() { of } else { 1 });
                    load = count.part(*slot, of).map_or(load, |part| load.and(carriers.load(&part)));
                }
                let cost = carriers.price(candidate, &load);
                if cost < NEVER {
                    self.shipments.push(Shipment { counts: packed, cost, beyond: 0 });
                }
            }
            let (end, priority) = (self.shipments.len(), u64::from(candidate.priority));
            self.sites.push(Site { slot: *slot, priority, first, end, least: 0 });
        }
        true
    }

    /// Prices what each node could ship that falls short of its best by so much at most. Returns what every plan costs at least by
    /// the values at hand; `None` where that is too much.
    pub(super) fn price_near(
        &mut self,
        (counts, nodes, near): (&Counts, &[Node], &mut Near),
        task: (&Case, Carriers<'_>),
        slack: i64,
        budget: &mut Budget,
    ) -> Option<i64> {
        let Self { sites, shipments, values, .. } = self;
        sites.clear();
        shipments.clear();
        let (mut total, mut shipment) = (0_i64, 0);
        for (value, count) in values.iter().zip(&counts.list) {
            total = total.saturating_add(value.saturating_mul(count.most));
            shipment += if count.is_want() { 0 } else { *value };
        }
        for node in nodes {
            let first = shipments.len();
            if !near.look(node, |choice, of| values[choice.at] * of as i64, budget) {
                return None;
            }
            let least = near.best(node, task, shipment, budget).beyond;
            let found = (&mut *shipments, NEAR_MAX);
            if !near.list(node, task, (shipment, least + slack), found, budget) {
                return None;
            }
            total = total.saturating_add(least);
            let (end, slot, priority) = (shipments.len(), node.slot, node.priority);
            if first < end {
                sites.push(Site { slot, priority, first, end, least });
            }
        }
        Some(total)
    }

    /// Begins with these values, one per count.
    pub(super) fn value(&mut self, counts: &Counts, values: impl Iterator<Item = i64>) -> i64 {
        self.values.clear();
        self.values.extend(values);
        self.bound(counts)
    }

    /// What every plan costs at least by the values at hand.
    fn bound(&mut self, counts: &Counts) -> i64 {
        let mut total = 0_i64;
        for (value, count) in self.values.iter().zip(&counts.list) {
            total = total.saturating_add(value.saturating_mul(count.most));
        }
        for site in &mut self.sites {
            site.least = 0;
            for shipment in &mut self.shipments[site.first..site.end] {
                let worth = self.values.iter().zip(&counts.list);
                let worth: i64 = worth.map(|(value, count)| value * count.of(shipment.counts)).sum();
                shipment.beyond = shipment.cost - worth;
                site.least = site.least.min(shipment.beyond);
            }
            total = total.saturating_add(site.least);
        }
        total
    }

    /// Looks for values whose bound is higher, by subgradients (Held, Wolfe and Crowder 1974), towards what is known to be a
    /// plan's cost. Returns the best bound, and leaves its values.
    pub(super) fn raise(
        &mut self,
        counts: &Counts,
        (known, rounds): (i64, usize),
        pace: &mut Pace,
        budget: &mut Budget,
    ) -> i64 {
        let mut bound = self.bound(counts);
        let mut now = bound;
        self.best_values.clone_from(&self.values);
        for _ in 0..rounds {
            let (slopes, square) = self.slopes(counts);
            let is_done = square == 0.0 || pace.0 < PACE_LEAST || now >= known;
            if is_done || !budget.afford(self.shipments.len() * LOOK_STEPS) {
                break;
            }
            let gap = if known < i64::MAX { (known - now) as f64 } else { now.abs() as f64 * GAP_GUESS };
            let length = pace.0 * gap.max(1.0) / square;
            for ((value, count), slope) in self.values.iter_mut().zip(&counts.list).zip(slopes) {
                let most = NEVER / count.most.max(1);
                *value = (*value + (length * slope / count.most as f64) as i64).clamp(-most, most);
                // Fewer shipments than allowed are allowed.
                *value = if count.is_want() { *value } else { (*value).min(0) };
            }
            now = self.bound(counts);
            if now > bound {
                (bound, pace.1) = (now, 0);
                self.best_values.clone_from(&self.values);
            } else {
                pace.1 += 1;
                if pace.1 == STALLED_ROUNDS {
                    *pace = Pace(pace.0 * SLOWER, 0);
                    self.values.clone_from(&self.best_values);
                    now = self.bound(counts);
                }
            }
        }
        self.values.clone_from(&self.best_values);
        self.bound(counts)
    }

    /// By count, how much is left of it, or too much, as a share of it; and the sum of the squares.
    fn slopes(&self, counts: &Counts) -> ([f64; COUNTS_MAX], f64) {
        let mut served = [0_i64; COUNTS_MAX];
        for site in self.sites.iter().filter(|site| site.least < 0) {
            let mut of = self.shipments[site.first..site.end].iter();
            if let Some(chosen) = of.find(|shipment| shipment.beyond == site.least) {
                for (served, count) in served.iter_mut().zip(&counts.list) {
                    *served += count.of(chosen.counts);
                }
            }
        }
        let (mut slopes, mut square) = ([0.0; COUNTS_MAX], 0.0);
        for (at, count) in counts.list.iter().enumerate() {
            let slope = (count.most - served[at]) as f64 / count.most.max(1) as f64;
            if count.is_want() || slope < 0.0 || self.values[at] < 0 {
                slopes[at] = slope;
                square += slope * slope;
            }
        }
        (slopes, square)
    }

    /// Leaves out what is marked or falls short of the best of its node by more than this, and nodes that nothing is left of.
    pub(super) fn drop_beyond(&mut self, most: i64) {
        // They may stand in another order than what they ship.
        self.sites.sort_unstable_by_key(|site| site.first);
        let mut kept = 0;
        for site in &mut self.sites {
            let first = kept;
            for at in site.first..site.end {
                let is_marked = self.marks.get(at).copied().unwrap_or(false);
                if !is_marked && self.shipments[at].beyond.saturating_sub(site.least) <= most {
                    self.shipments[kept] = self.shipments[at];
                    kept += 1;
                }
            }
            (site.first, site.end) = (first, kept);
        }
        self.shipments.truncate(kept);
        self.marks.clear();
        self.sites.retain(|site| site.first < site.end);
    }

    /// What allowed shipments that are left cost by their value.
    pub(super) fn unused(&self, counts: &Counts, rest: u128) -> i64 {
        let shipments = self.values.iter().zip(&counts.list).filter(|(_, count)| !count.is_want());
        shipments.map(|(value, count)| -value * count.of(rest)).sum()
    }

    /// Puts in order what is hard to do without, nodes and what each of them ships.
    pub(super) fn sort(&mut self) {
        self.sites.sort_unstable_by_key(|site| (site.least, site.slot));
        for site in &self.sites {
            let of = &mut self.shipments[site.first..site.end];
            of.sort_unstable_by_key(|shipment| (shipment.beyond, shipment.counts));
        }
    }
}
