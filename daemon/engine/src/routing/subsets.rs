//! Exact plans of orders of few skus: for each set of wants the cheapest shipment that has all of it, and from those the
//! cheapest way to share all wants out.
//!
//! Nodes are walked nearest first, so the first one of a band that has a set of wants has it cheapest. The walk ends
//! when no node farther away could be part of a cheaper plan, so the answer is proven over all nodes, not over those that
//! were looked at. This room takes who has enough of a want as given by bits and reads no stock.

use super::case::Candidate;
use super::demand::{Demand, Want};
use super::lanes::BANDS_MAX;
use super::price::Rates;
use super::scope::Scope;
use super::walk::Walk;

/// Most skus: the sets of wants grow as 2 to that power, the ways to share them out as 3 to that power.
pub(crate) const SKUS_MAX: usize = 8;

/// Whether the walk may end is asked every so many nodes: often where asking costs little beside walking them, seldom
/// where there are many ways to share out.
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
    /// The answer: which wants go from where.
    pub(crate) chosen: Vec<(usize, Candidate)>,
    units: Vec<i64>,
    shipments: Vec<Shipment>,
    /// The least a shipment costs from a node not seen yet.
    unseen: Vec<i64>,
    /// What sharing the set out costs, and the shipment that has its lowest want.
    covers: Vec<(i64, usize)>,
    /// What sharing it out costs at least with a node not seen yet.
    floors: Vec<i64>,
    /// By band: whether a node of it was seen that has the set.
    reached: [Vec<bool>; BANDS_MAX],
}

impl Subsets {
    /// Finds the cheapest plan of all by `rows`, into `chosen`; `eligible` says which nodes may serve the order. `false`
    /// where some want has no node, and where the order is not one for this room.
    pub(crate) fn find(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        eligible: impl Fn(u32) -> bool,
    ) -> bool {
        // Where a shipment cost less than nothing, one more could pay.
        let usual = demand.wants.len() <= SKUS_MAX && scope.fixed_least() >= 0;
        let Some(mut walk) = Walk::new(scope, demand).filter(|_| usual) else { return false };
        self.begin(demand);
        let uniform = scope.bands_are_uniform();
        let choosy = !scope.leaning.by_want.is_empty() || demand.wants.iter().any(|want| want.flags != 0);
        let stop = STOP_NODES.max(3_usize.pow(demand.wants.len() as u32) / WAYS_PER_NODE);
        let mut left = STOP_NODES;
        loop {
            let next = walk.next();
            if left == 0 || next.is_none() {
                self.share_out(scope, &walk, uniform);
                let all = self.covers.len() - 1;
                // As cheap is not enough: ties are broken, and by what is there.
                if self.covers[all].0 < self.floors[all] {
                    self.choose();
                    return true;
                }
                left = stop;
            }
            let Some((band, _)) = next else { return false };
            let node = walk.take(band);
            left -= 1;
            let has = |row: &Vec<u64>| (row[node as usize / 64] >> (node % 64) & 1) as usize;
            let mut set = self.rows.iter().enumerate().fold(0, |set, (want, row)| set | has(row) << want);
            if choosy {
                let suits =
                    |(want, facts): (usize, &Want)| usize::from(scope.suits(want, facts.flags, node)) << want;
                set &= demand.wants.iter().enumerate().map(suits).fold(0, |set, want| set | want);
            }
            let news = set != 0 && !(uniform && self.reached[band][set]);
            if news && eligible(node) {
                self.reach(scope.candidate(node), band, set);
            }
        }
    }

    fn begin(&mut self, demand: &Demand) {
        let sets = 1 << demand.wants.len();
        self.units.clear();
        self.units.push(0);
        for want in &demand.wants {
            for set in 0..self.units.len() {
                self.units.push(self.units[set].saturating_add(want.units));
            }
        }
        self.shipments.clear();
        self.shipments.resize(sets, Shipment { cost: NEVER, from: Candidate::default() });
        for reached in &mut self.reached {
            reached.clear();
            reached.resize(sets, false);
        }
    }

    /// A node has all of a set of wants: it may be the cheapest for each part of it.
    fn reach(&mut self, from: Candidate, band: usize, set: usize) {
        let mut part = set;
        while part > 0 {
            self.reached[band][part] = true;
            let cost = price(from.rates(), part, self.units[part]);
            let best = &mut self.shipments[part];
            let key = |candidate: &Candidate| (candidate.priority, candidate.code_rank);
            if cost < best.cost || cost == best.cost && cost < NEVER && key(&from) < key(&best.from) {
                *best = Shipment { cost, from };
            }
            part = (part - 1) & set;
        }
    }

    /// What sharing out costs from nodes seen, and at least with one that is not.
    fn share_out(&mut self, scope: &Scope<'_>, walk: &Walk<'_>, uniform: bool) {
        let sets = self.shipments.len();
        self.unseen.clear();
        self.unseen.resize(sets, NEVER);
        for (band, (costs, unit)) in scope.sheet.bands.iter().zip(walk.next).enumerate() {
            let Some(unit) = unit else { continue };
            let rates = Rates { fixed: scope.band_fixed(costs), line: costs.line, unit };
            for set in 1..sets {
                if !(uniform && self.reached[band][set]) {
                    self.unseen[set] = self.unseen[set].min(price(rates, set, self.units[set]));
                }
            }
        }
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
        for (part, from) in self.shipments_of(all, self.covers[all].1) {
            match chosen.iter_mut().find(|(_, candidate)| candidate.node == from.node) {
                Some((set, _)) => *set |= part,
                None => chosen.push((part, *from)),
            }
        }
        chosen.sort_unstable_by_key(|(_, candidate)| (candidate.unit, candidate.rank));
        self.chosen = chosen;
    }
}

/// What a shipment of a set of wants costs.
fn price(rates: Rates, set: usize, units: i64) -> i64 {
    rates.shipment(set.count_ones() as usize, units.unsigned_abs()).0.min(NEVER)
}
