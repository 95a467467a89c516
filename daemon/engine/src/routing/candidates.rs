//! Candidates: which nodes could serve which wants of an order, by what they have right now.
//!
//! Nodes are taken in the order of what the whole order would cost from them, the nearest first. Skus that few nodes
//! have, and skus of which no near node has enough, are looked up everywhere instead. What lies outside is bounded
//! from below, so that a search over the candidates can tell whether it had to look further. This room chooses nothing.

use earmark_protocol::catalogue::capabilities;
use earmark_protocol::ids::{NodeIx, Segment};
use earmark_protocol::refusal::RefusalCode;

use super::carried::Carried;
use super::case::{Candidate, Case, Part, Supply, Unseen};
use super::demand::Demand;
use super::lanes::{BANDS_MAX, Band, LaneSet, Sheet};
use super::price::unit_to_address;
use crate::Reader;
use crate::inventory::Place;
use crate::inventory::cell::{word_available, word_place};
use crate::rules::Tariff;
use crate::sync::Ordering;

/// A sku with at most this many cells is looked up at all its nodes at once.
const SPARSE_CELLS: usize = 192;

/// Searching a sku's cells for one node costs about as much as reading this many of them.
const SEARCH_WORDS: usize = 16;

/// Of a want that must be split at least so many of the cheapest supplies are looked at, in each band.
const SUPPLIES_MIN: usize = 64;

/// What an order draws on.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) sheet: &'a Sheet,
    /// `None` for a pickup.
    pub(crate) lanes: Option<&'a LaneSet>,
    pub(crate) tariff: &'a Tariff,
    pub(crate) segments: &'a [Segment],
    /// The nodes that may serve it; empty for all.
    pub(crate) named: &'a [NodeIx],
    pub(crate) without: &'a [NodeIx],
    /// Whether a want may be split that no node has whole.
    pub(crate) split_lines: bool,
}

impl Scope<'_> {
    /// What a node must be able to do.
    pub(crate) fn needs(&self) -> u16 {
        if self.lanes.is_some() { capabilities::SHIP } else { capabilities::PICKUP }
    }

    /// A node with its rates.
    pub(crate) fn candidate(&self, node: u32) -> Candidate {
        let (site, costs) = (&self.sheet.sites[node as usize], self.sheet.costs(node));
        let (miles, fixed, unit) = match self.lanes {
            Some(lanes) => {
                let miles = u32::from(lanes.miles[node as usize]);
                let fixed = self.tariff.shipment_base.0.saturating_add(costs.fixed);
                (miles, fixed, unit_to_address(self.tariff, costs.unit, miles))
            }
            None => (0, costs.fixed, costs.unit),
        };
        let (rank, code_rank, priority) = (site.rank, site.code_rank, site.priority);
        Candidate { node, miles, fixed, line: costs.line, unit, rank, code_rank, priority }
    }

    /// What these wants cost at least, whatever stock there is: one shipment at the lowest rates of all nodes.
    pub(crate) fn floor(&self, units: &[i64]) -> i64 {
        let mut least = Candidate { fixed: i64::MAX, line: i64::MAX, unit: i64::MAX, ..Candidate::default() };
        let mut lower = |candidate: Candidate| {
            least.fixed = least.fixed.min(candidate.fixed);
            least.line = least.line.min(candidate.line);
            least.unit = least.unit.min(candidate.unit);
        };
        if let Some(lanes) = self.lanes.filter(|_| self.named.is_empty()) {
            let mut start = 0;
            for (band, end) in self.sheet.bands.iter().zip(lanes.ends) {
                if start < end {
                    let cheapest = self.candidate(lanes.order[start as usize]);
                    let fixed = self.tariff.shipment_base.0.saturating_add(band.fixed);
                    lower(Candidate { fixed, line: band.line, ..cheapest });
                }
                start = end;
            }
        } else {
            self.named.iter().for_each(|node| lower(self.candidate(node.0)));
        }
        units.iter().filter(|units| **units > 0).fold(least.fixed, |floor, units| {
            floor.saturating_add(least.line).saturating_add(least.unit.saturating_mul(*units))
        })
    }
}

/// What a node has of a want.
#[derive(Clone, Copy, Debug)]
struct Hit {
    want: u32,
    node: u32,
    available: i64,
}

/// What is known of a want's stock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    /// Whether all nodes were looked at.
    pub(crate) everywhere: bool,
    /// The most that one node has.
    pub(crate) most: i64,
    /// What all nodes looked at have together.
    pub(crate) total: i64,
    /// Whether some of them were left out, dearer than enough of the others.
    more: bool,
}

/// Gathers candidates; its buffers are used again for each order.
#[derive(Default)]
pub(crate) struct Gatherer {
    /// By want.
    pub(crate) found: Vec<Found>,
    /// By node: slot plus one; 0 for none.
    slots: Vec<u32>,
    /// By node: whether this turn's order allows or excludes it.
    gates: Vec<u32>,
    turn: u32,
    /// By slot: its node.
    nodes: Vec<u32>,
    /// By node: what it has of the want at hand; 0 in between.
    there: Vec<i64>,
    hits: Vec<Hit>,
    pub(crate) carried: Carried,
    /// By want of a carried case: whether its stock was looked up.
    looked_at: Vec<bool>,
    /// Cells of all the skus looked at.
    pub(crate) words: usize,
    carriers: Vec<u32>,
    /// By want: units the carriers take together, and the one that takes most of it.
    loads: Vec<i64>,
    loads_whole: Vec<i64>,
    gains: Vec<i64>,
}

/// Which nodes a look at a sku's cells is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Candidates with slots from here on.
    Slots(usize),
    /// All that are eligible.
    Everywhere,
}

/// How many nodes are near: at least so many; then, up to so many, those from where the whole order would cost not more
/// than this extra.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near {
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) extra: i64,
}

/// Each time an answer is not proven, so many times more nodes are near.
pub(crate) const WIDEN: usize = 4;

impl Near {
    /// Takes in more nodes.
    pub(crate) fn widen(&mut self) {
        self.least = self.least.saturating_mul(WIDEN);
        self.most = self.most.saturating_mul(WIDEN);
        self.extra = self.extra.saturating_mul(WIDEN as i64);
    }
}

/// A walk over all nodes of the sheet, by what the whole order costs from a node at least.
pub(crate) struct Walk<'a> {
    scope: &'a Scope<'a>,
    lanes: &'a LaneSet,
    skus: i64,
    units: i64,
    at: [u32; BANDS_MAX],
    /// By band: what a unit costs from its next node, where it has one.
    next: [Option<i64>; BANDS_MAX],
}

impl<'a> Walk<'a> {
    /// `None` where the order names its nodes.
    pub(crate) fn new(scope: &'a Scope<'a>, demand: &Demand) -> Option<Self> {
        let lanes = scope.lanes.filter(|_| scope.named.is_empty())?;
        let units = demand.wants.iter().map(|want| want.units).sum();
        let skus = demand.wants.len() as i64;
        let mut walk = Self { scope, lanes, skus, units, at: [0; BANDS_MAX], next: [None; BANDS_MAX] };
        for band in 0..scope.sheet.bands.len() {
            walk.at[band] = if band == 0 { 0 } else { lanes.ends[band - 1] };
            walk.look_ahead(band);
        }
        Some(walk)
    }

    fn look_ahead(&mut self, band: usize) {
        self.next[band] = (self.at[band] < self.lanes.ends[band]).then(|| {
            let node = self.lanes.order[self.at[band] as usize] as usize;
            let miles = u32::from(self.lanes.miles[node]);
            unit_to_address(self.scope.tariff, self.scope.sheet.costs(node as u32).unit, miles)
        });
    }

    /// The band that the next node is in, and what the order costs at least from there and from all later ones.
    pub(crate) fn next(&self) -> Option<(usize, i64)> {
        let base = self.scope.tariff.shipment_base.0;
        let floor = |(band, floor): (usize, &Band)| {
            let units = self.next[band]?.saturating_mul(self.units);
            let lines = floor.line.saturating_mul(self.skus);
            Some((band, base.saturating_add(floor.fixed).saturating_add(lines).saturating_add(units)))
        };
        self.scope.sheet.bands.iter().enumerate().filter_map(floor).min_by_key(|next| next.1)
    }

    /// The next node of a band.
    pub(crate) fn take(&mut self, band: usize) -> u32 {
        let node = self.lanes.order[self.at[band] as usize];
        self.at[band] += 1;
        self.look_ahead(band);
        node
    }

    /// What a plan of two shipments or more costs at least, asked before the first node is taken.
    pub(crate) fn pair_floor(&self) -> i64 {
        let bands = &self.scope.sheet.bands;
        let fixed = bands.iter().map(|band| band.fixed).min().unwrap_or(0);
        let line = bands.iter().map(|band| band.line).min().unwrap_or(0);
        let unit = self.next.iter().flatten().min().copied().unwrap_or(0);
        let fixed = self.scope.tariff.shipment_base.0.saturating_add(fixed).saturating_mul(2);
        fixed.saturating_add(line.saturating_mul(self.skus)).saturating_add(unit.saturating_mul(self.units))
    }
}

/// A want that is looked up.
#[derive(Clone, Copy)]
struct Want {
    want: u32,
    flags: u16,
}

/// Notes what a cell has of a want; `start` is the want's first hit.
#[inline]
fn note(scope: &Scope<'_>, wanted: Want, word: u64, start: usize, hits: &mut Vec<Hit>) {
    let (place, available) = (word_place(word), i64::from(word_available(word)));
    let node = place.node().0;
    if available <= 0 || !scope.segments.contains(&place.segment()) {
        return;
    }
    let Some(site) = scope.sheet.sites.get(node as usize) else { return };
    if site.capabilities & wanted.flags != wanted.flags {
        return;
    }
    match hits[start..].last_mut() {
        Some(last) if last.node == node => last.available += available,
        _ => hits.push(Hit { want: wanted.want, node, available }),
    }
}

impl Gatherer {
    /// Opens the gates for a new order: which nodes it allows and which it must do without.
    pub(crate) fn begin(&mut self, scope: &Scope<'_>) {
        let nodes = scope.sheet.sites.len();
        self.slots.resize(nodes.max(self.slots.len()), 0);
        self.gates.resize(nodes.max(self.gates.len()), 0);
        self.carried.resize(nodes);
        self.turn = self.turn.wrapping_add(2);
        if self.turn < 2 {
            self.gates.fill(0);
            self.turn = 2;
        }
        for node in scope.named {
            if let Some(gate) = self.gates.get_mut(node.0 as usize) {
                *gate = self.turn;
            }
        }
        for node in scope.without {
            if let Some(gate) = self.gates.get_mut(node.0 as usize) {
                *gate = self.turn + 1;
            }
        }
    }

    /// Whether a node may serve the order.
    #[inline]
    pub(crate) fn eligible(&self, scope: &Scope<'_>, node: u32) -> bool {
        let Some(site) = scope.sheet.sites.get(node as usize) else { return false };
        let gate = self.gates[node as usize];
        let gate_open = if scope.named.is_empty() { gate != self.turn + 1 } else { gate == self.turn };
        site.active && gate_open && site.capabilities & scope.needs() != 0
    }

    /// Why no node has anything of a sku with these flags.
    pub(crate) fn why_none(&self, scope: &Scope<'_>, flags: u16) -> RefusalCode {
        let able = |node: u32| scope.sheet.sites[node as usize].capabilities & flags == flags;
        let eligible = || (0..scope.sheet.sites.len() as u32).filter(|node| self.eligible(scope, *node));
        if eligible().any(able) {
            RefusalCode::OutOfStock
        } else if scope.named.is_empty() || eligible().next().is_none() {
            RefusalCode::NoNode
        } else {
            RefusalCode::NodeIncapable
        }
    }

    /// Fills the case with the cheapest eligible nodes, and those that scarce wants need.
    pub(crate) fn gather(&mut self, scope: &Scope<'_>, demand: &Demand, near: Near, case: &mut Case) {
        case.list.clear();
        self.hits.clear();
        self.words = 0;
        self.found.clear();
        self.found.resize(demand.wants.len(), Found::default());
        let unseen = self.walk(scope, demand, near, case);
        let all_seen = unseen.iter().all(Option::is_none);
        self.nodes.clear();
        self.nodes.extend(case.list.iter().map(|candidate| candidate.node));

        for want in 0..demand.wants.len() {
            let start = self.hits.len();
            let everywhere = self.look(scope, demand, want, Look::Slots(0), !all_seen) || all_seen;
            self.found[want].everywhere = everywhere;
            self.sum(want, start);
            if !everywhere && self.found[want].most < demand.wants[want].units {
                self.hits.truncate(start);
                self.look(scope, demand, want, Look::Everywhere, true);
                self.found[want] = Found { everywhere: true, ..Found::default() };
                self.sum(want, start);
                self.thin(scope, demand, want, start);
            }
        }
        let late = case.list.len();
        for hit in &self.hits {
            let slot = &mut self.slots[hit.node as usize];
            if *slot == 0 {
                case.list.push(scope.candidate(hit.node));
                *slot = case.list.len() as u32;
            }
        }
        self.nodes.extend(case.list[late..].iter().map(|candidate| candidate.node));
        let nearby_only = self.found.iter().any(|found| !found.everywhere);
        if late < case.list.len() && nearby_only {
            for want in 0..demand.wants.len() {
                if !self.found[want].everywhere {
                    let start = self.hits.len();
                    self.look(scope, demand, want, Look::Slots(late), false);
                    self.sum(want, start);
                }
            }
        }
        self.bound_unseen(scope, demand, if nearby_only { unseen } else { [None; BANDS_MAX] }, case);
        self.settle(case);
    }

    /// Fills the case with the cheapest eligible nodes, and takes every node that carries a want for one that has enough
    /// of it. So its answer is no dearer than the truth, and true if the nodes it chose have enough. `false` where the
    /// order is not one for this: it names its nodes, or some want is carried by none near.
    pub(crate) fn gather_carried(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        near: Near,
        case: &mut Case,
    ) -> bool {
        if scope.lanes.is_none() || !scope.named.is_empty() {
            return false;
        }
        case.list.clear();
        self.hits.clear();
        self.words = 0;
        self.found.clear();
        self.found.resize(demand.wants.len(), Found::default());
        let unseen = self.walk(scope, demand, near, case);
        self.bound_unseen(scope, demand, unseen, case);
        self.settle(case);
        self.nodes.clear();
        self.nodes.extend(case.list.iter().map(|candidate| candidate.node));
        self.looked_at.clear();
        self.looked_at.resize(demand.wants.len(), false);
        case.more_supplies = false;
        case.begin(demand.wants.iter().map(|want| want.units));
        let words = case.words;
        for (at, want) in demand.wants.iter().enumerate() {
            let Some(bits) = self.carried.bits(scope.reader, want.sku) else { return false };
            let mut any = 0;
            for (slot, node) in self.nodes.iter().enumerate() {
                let node = *node as usize;
                let bit = bits[node / 64] >> (node % 64) & 1;
                any |= bit;
                case.masks[slot * words + at / 64] |= bit << (at % 64);
            }
            if any == 0 || want.flags != 0 && !self.only_capable(scope, at, want.flags, case) {
                return false;
            }
        }
        true
    }

    /// Takes a want from the nodes that may not have it. `false` where none is left.
    fn only_capable(&self, scope: &Scope<'_>, want: usize, flags: u16, case: &mut Case) -> bool {
        let mut any = false;
        for (slot, node) in self.nodes.iter().enumerate() {
            let capable = scope.sheet.sites[*node as usize].capabilities & flags == flags;
            let word = &mut case.masks[slot * case.words + want / 64];
            *word &= !(u64::from(!capable) << (want % 64));
            any |= *word >> (want % 64) & 1 == 1;
        }
        any
    }

    /// Whether the nodes that serve the wants of a carried case have enough. `Some(false)` when some have not: the case
    /// knows it now, or with `look_at_all` all that there is to know. `None` where a want has no candidate left.
    pub(crate) fn confirm(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        case: &mut Case,
        parts: &[Part],
        look_at_all: bool,
    ) -> Option<bool> {
        let mut confirmed = true;
        for part in parts {
            let want = part.want as usize;
            if self.looked_at[want] {
                continue;
            }
            let (sku, node) = (demand.wants[want].sku, NodeIx(case.list[part.slot as usize].node));
            let there = self.carried.available(scope.reader, sku, node, scope.segments);
            let enough = there >= part.units;
            confirmed &= enough;
            if look_at_all {
                self.looked_at[want] = true;
                if !self.look_closely(scope, demand, want, case) {
                    return None;
                }
            } else if !enough {
                case.masks[part.slot as usize * case.words + want / 64] &= !(1 << (want % 64));
                if (0..case.list.len()).all(|slot| !case.serves(slot, want)) {
                    return None;
                }
            }
        }
        Some(confirmed)
    }

    /// Looks a want up at all candidates. `false` where none has enough.
    fn look_closely(&mut self, scope: &Scope<'_>, demand: &Demand, want: usize, case: &mut Case) -> bool {
        let (word, bit) = (want / 64, want % 64);
        for (slot, candidate) in case.list.iter().enumerate() {
            self.slots[candidate.node as usize] = slot as u32 + 1;
            case.masks[slot * case.words + word] &= !(1 << bit);
        }
        self.hits.clear();
        self.look(scope, demand, want, Look::Slots(0), false);
        let mut any = false;
        for hit in &self.hits {
            let enough = hit.available >= case.units[want];
            let slot = self.slots[hit.node as usize] as usize - 1;
            case.masks[slot * case.words + word] |= u64::from(enough) << bit;
            any |= enough;
        }
        for candidate in &case.list {
            self.slots[candidate.node as usize] = 0;
        }
        any
    }

    /// Takes the cheapest nodes into the list. Returns each band's next cost per unit, where it has nodes left.
    fn walk(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        near: Near,
        case: &mut Case,
    ) -> [Option<i64>; BANDS_MAX] {
        let Some(mut walk) = Walk::new(scope, demand) else {
            for node in scope.named {
                if self.eligible(scope, node.0) && self.slots[node.0 as usize] == 0 {
                    case.list.push(scope.candidate(node.0));
                    self.slots[node.0 as usize] = case.list.len() as u32;
                }
            }
            return [None; BANDS_MAX];
        };
        let first = walk.next().map_or(0, |next| next.1);
        while let Some((band, floor)) = walk.next() {
            let near_enough = floor <= first.saturating_add(near.extra);
            if case.list.len() >= if near_enough { near.most } else { near.least } {
                break;
            }
            let node = walk.take(band);
            if self.eligible(scope, node) {
                case.list.push(scope.candidate(node));
                self.slots[node as usize] = case.list.len() as u32;
            }
        }
        walk.next
    }

    /// Looks at a sku's cells and notes what its nodes have. `true` when all eligible nodes were looked at.
    fn look(&mut self, scope: &Scope<'_>, demand: &Demand, want: usize, look: Look, may_widen: bool) -> bool {
        let start = self.hits.len();
        let mut hits = std::mem::take(&mut self.hits);
        let wanted = Want { want: want as u32, flags: demand.wants[want].flags };
        let mut seen = 0;
        let read = scope.reader.read_words(demand.wants[want].sku, |words| {
            hits.truncate(start);
            seen = words.len();
            let everywhere = look == Look::Everywhere || may_widen && words.len() <= SPARSE_CELLS;
            let mut note = |word: u64| note(scope, wanted, word, start, &mut hits);
            match look {
                Look::Slots(from) if !everywhere => {
                    let nodes = &self.nodes[from.min(self.nodes.len())..];
                    if nodes.len() * SEARCH_WORDS < words.len() {
                        for node in nodes {
                            let first = Place::new(NodeIx(*node), Segment(0));
                            let at = words
                                .partition_point(|word| word_place(word.load(Ordering::Relaxed)) < first);
                            let of_node = words[at..].iter().map(|word| word.load(Ordering::Relaxed));
                            of_node
                                .take_while(|word| word_place(*word).node().0 == *node)
                                .for_each(&mut note);
                        }
                    } else {
                        for word in words {
                            let word = word.load(Ordering::Relaxed);
                            let slot = self.slots.get(word_place(word).node().0 as usize);
                            if slot.is_some_and(|slot| *slot as usize > from) {
                                note(word);
                            }
                        }
                    }
                }
                _ => {
                    for word in words {
                        let word = word.load(Ordering::Relaxed);
                        if self.eligible(scope, word_place(word).node().0) {
                            note(word);
                        }
                    }
                }
            }
            everywhere
        });
        self.hits = hits;
        self.words += seen;
        read.unwrap_or(false)
    }

    /// Of a want that no node has whole and many have in part, keeps of each band the cheapest that together have enough.
    fn thin(&mut self, scope: &Scope<'_>, demand: &Demand, want: usize, start: usize) {
        let need = demand.wants[want].units;
        let Some(lanes) = scope.lanes else { return };
        if !scope.split_lines || self.found[want].most >= need || self.hits.len() - start <= SUPPLIES_MIN * 2
        {
            return;
        }
        self.there.resize(self.slots.len().max(self.there.len()), 0);
        for hit in self.hits.drain(start..) {
            self.there[hit.node as usize] = hit.available;
        }
        let mut left = self.found[want].total;
        let mut from = 0;
        for end in &lanes.ends[..scope.sheet.bands.len()] {
            let (mut have, mut kept) = (0, 0);
            for node in &lanes.order[from as usize..*end as usize] {
                let available = std::mem::take(&mut self.there[*node as usize]);
                left -= available;
                if available > 0 && (have < need || kept < SUPPLIES_MIN) {
                    have += available;
                    kept += 1;
                    self.hits.push(Hit { want: want as u32, node: *node, available });
                }
                if left == 0 {
                    break;
                }
            }
            from = *end;
        }
        self.found[want].more = true;
    }

    /// Sums up what was noted of a want from this hit on.
    fn sum(&mut self, want: usize, start: usize) {
        let found = &mut self.found[want];
        for hit in &self.hits[start..] {
            found.most = found.most.max(hit.available);
            found.total += hit.available;
        }
    }

    /// Writes down the least that nodes outside the list cost.
    fn bound_unseen(
        &self,
        scope: &Scope<'_>,
        demand: &Demand,
        next: [Option<i64>; BANDS_MAX],
        case: &mut Case,
    ) {
        let bands =
            || scope.sheet.bands.iter().zip(next).filter_map(|(band, unit)| unit.map(|unit| (band, unit)));
        let fixed = bands().map(|(band, _)| band.fixed).min();
        let unit = bands().map(|(_, unit)| unit).min();
        case.unseen = fixed
            .zip(unit)
            .map(|(fixed, unit)| Unseen { fixed: scope.tariff.shipment_base.0.saturating_add(fixed), unit });
        let listed = case.list.iter().map(|candidate| candidate.fixed).min().unwrap_or(0);
        let any = scope.sheet.bands.iter().map(|band| band.fixed).min().unwrap_or(0);
        let any = scope.tariff.shipment_base.0.saturating_add(any);
        let all_listed = case.unseen.is_none() && self.found.iter().all(|found| !found.more);
        case.fixed_least = if all_listed { listed } else { listed.min(any) };
        case.unseen_floor.clear();
        case.unseen_floor.extend(demand.wants.iter().zip(&self.found).map(|(want, found)| {
            let floor = bands().map(|(band, unit)| band.line + want.units * unit).min();
            floor.filter(|_| !found.everywhere).unwrap_or(i64::MAX)
        }));
        let line = case.list.first().map(|candidate| candidate.line);
        let same = line.filter(|line| {
            case.list.iter().all(|candidate| candidate.line == *line)
                && bands().all(|(band, _)| band.line >= *line)
        });
        case.line = same;
    }

    /// Sorts the list and gives the slots back.
    fn settle(&mut self, case: &mut Case) {
        for candidate in &case.list {
            self.slots[candidate.node as usize] = 0;
        }
        if !case.list.is_sorted_by_key(|candidate| (candidate.unit, candidate.rank)) {
            case.list.sort_unstable_by_key(|candidate| (candidate.unit, candidate.rank));
        }
    }

    /// Says which wants each candidate serves whole and which must be split, once `case.units` says how many units of
    /// each are to be served.
    pub(crate) fn fill(&mut self, case: &mut Case) {
        case.begin_with(|want| self.found[want].most);
        case.more_supplies = self.found.iter().any(|found| found.more);
        for (slot, candidate) in case.list.iter().enumerate() {
            self.slots[candidate.node as usize] = slot as u32 + 1;
        }
        for hit in &self.hits {
            let (slot, want) = (self.slots[hit.node as usize] as usize - 1, hit.want as usize);
            let units = case.units[want];
            case.masks[slot * case.words + want / 64] |=
                u64::from(hit.available >= units && units > 0) << (want % 64);
        }
        // Hits of one want stand together, in the order of wants, but for those of late candidates at the end; and a want
        // that must be split was looked up everywhere at once.
        let mut hits = self.hits.iter().peekable();
        for short in &mut case.shorts {
            short.first = case.supplies.len() as u32;
            while hits.next_if(|hit| hit.want < short.want).is_some() {}
            while let Some(hit) = hits.next_if(|hit| hit.want == short.want) {
                let slot = self.slots[hit.node as usize] - 1;
                case.supplies.push(Supply { slot, available: hit.available });
            }
            short.end = case.supplies.len() as u32;
            case.supplies[short.first as usize..].sort_unstable_by_key(|supply| supply.slot);
        }
        for candidate in &case.list {
            self.slots[candidate.node as usize] = 0;
        }
    }

    /// Chooses as many slots as the order may have shipments, each the one that adds the most units to those before
    /// it. Returns the units of each want that they carry.
    pub(crate) fn carry_most(&mut self, case: &Case) -> &[i64] {
        let wants = case.units.len();
        self.carriers.clear();
        for carried in [&mut self.loads, &mut self.loads_whole] {
            carried.clear();
            carried.resize(wants, 0);
        }
        for (slot, candidate) in case.list.iter().enumerate() {
            self.slots[candidate.node as usize] = slot as u32 + 1;
        }
        while self.carriers.len() < case.limit {
            self.gains.clear();
            self.gains.resize(case.list.len(), 0);
            for hit in &self.hits {
                self.gains[self.slots[hit.node as usize] as usize - 1] += self.gain(case, hit);
            }
            for slot in &self.carriers {
                self.gains[*slot as usize] = 0;
            }
            let gains = &self.gains;
            let best = (0..gains.len()).rev().max_by_key(|slot| gains[*slot]).filter(|slot| gains[*slot] > 0);
            let Some(slot) = best else { break };
            let node = case.list[slot].node;
            for at in 0..self.hits.len() {
                let hit = self.hits[at];
                if hit.node == node {
                    let (want, gain) = (hit.want as usize, self.gain(case, &hit));
                    self.loads[want] += gain;
                    self.loads_whole[want] = self.loads_whole[want].max(hit.available.min(case.units[want]));
                }
            }
            self.carriers.push(slot as u32);
        }
        // What some node has whole is not split, even if none of the chosen has.
        for (want, carried) in self.loads.iter_mut().enumerate() {
            if *carried <= self.found[want].most {
                *carried = self.loads_whole[want];
            }
        }
        for candidate in &case.list {
            self.slots[candidate.node as usize] = 0;
        }
        &self.loads
    }

    /// What a node adds to a want that is carried so far already: where one node has all of it, it comes from one.
    fn gain(&self, case: &Case, hit: &Hit) -> i64 {
        let want = hit.want as usize;
        let (units, carried) = (case.units[want], self.loads[want]);
        if units > self.found[want].most {
            hit.available.min(units - carried)
        } else {
            (hit.available.min(units) - carried).max(0)
        }
    }

    /// The slots that [`Gatherer::carry_most`] chose.
    pub(crate) fn carriers(&self) -> &[u32] {
        &self.carriers
    }
}
