//! Candidates: which nodes could serve which wants of an order, by what they have right now.
//!
//! Nodes are taken in the order of what the whole order would cost from them, the nearest first. Skus that few nodes
//! have, and skus of which no near node has enough, are looked up everywhere instead. What lies outside is bounded
//! from below, so that a search over the candidates can tell whether it had to look further. This room chooses nothing.

use earmark_protocol::ids::{NodeIx, Segment};
use earmark_protocol::refusal::RefusalCode;

use super::carried::Carried;
use super::case::{Case, Supply, Unseen};
use super::demand::Demand;
use super::lanes::Band;
use super::scope::{Credit, Scope};
use super::walk::{Near, Walk};
use crate::inventory::Place;
use crate::inventory::cell::{word_available, word_place};
use crate::sync::{AtomicU64, Ordering};
use crate::tariff::fares::Floor;

/// A sku with at most this many cells is looked up at all its nodes at once.
const SPARSE_CELLS: usize = 192;

/// Searching a sku's cells for one node costs about as much as reading this many of them.
const SEARCH_WORDS: usize = 16;

/// Of a want that must be split at least so many of the cheapest supplies are looked at, in each band.
const SUPPLIES_MIN: usize = 64;

/// What a node has of a want.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    want: u32,
    pub(super) node: u32,
    pub(super) available: i64,
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
    pub(super) slots: Vec<u32>,
    /// By node: whether this turn's order allows or excludes it.
    gates: Vec<u32>,
    turn: u32,
    /// By slot: its node.
    pub(super) nodes: Vec<u32>,
    /// By node: what it has of the want at hand; 0 in between.
    there: Vec<i64>,
    pub(super) hits: Vec<Hit>,
    pub(crate) carried: Carried,
    /// By want of a carried case: whether its stock was looked up.
    pub(super) looked_at: Vec<bool>,
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
pub(super) enum Look {
    /// Candidates with slots from here on.
    Slots(usize),
    /// All that are eligible.
    Everywhere,
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
    if !scope.suits(wanted.want as usize, wanted.flags, node) {
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
        if !scope.allows(node) {
            return false;
        }
        let gate = self.gates[node as usize];
        if scope.named.is_empty() { gate != self.turn + 1 } else { gate == self.turn }
    }

    /// Why no node has anything of a want whose sku has these flags.
    pub(crate) fn why_none(&self, scope: &Scope<'_>, want: usize, flags: u16) -> RefusalCode {
        let able = |node: u32| scope.suits(want, flags, node);
        let eligible = || (0..scope.sheet.sites.len() as u32).filter(|node| self.eligible(scope, *node));
        if eligible().any(able) {
            return RefusalCode::OutOfStock;
        }
        let by_any_way = Scope { carriage: None, ..*scope };
        if scope.carriage.is_some() && self.why_none(&by_any_way, want, flags) == RefusalCode::OutOfStock {
            RefusalCode::NoService
        } else if scope.named.is_empty() || eligible().next().is_none() {
            RefusalCode::NoNode
        } else {
            RefusalCode::NodeIncapable
        }
    }

    /// Fills the case with all eligible nodes that have something of a want.
    pub(crate) fn gather_all(&mut self, scope: &Scope<'_>, demand: &Demand, case: &mut Case) {
        self.begin_case(demand, case);
        for want in 0..demand.wants.len() {
            let start = self.hits.len();
            self.look(scope, demand, want, Look::Everywhere, false);
            self.found[want].everywhere = true;
            self.sum(want, start);
        }
        self.list_hits(scope, case);
        self.bound_unseen(scope, demand, &[], case);
        self.settle(demand, case);
    }

    pub(super) fn begin_case(&mut self, demand: &Demand, case: &mut Case) {
        case.list.clear();
        self.hits.clear();
        self.words = 0;
        self.found.clear();
        self.found.resize(demand.wants.len(), Found::default());
    }

    /// Takes the nodes of hits into the list.
    fn list_hits(&mut self, scope: &Scope<'_>, case: &mut Case) {
        for hit in &self.hits {
            let slot = &mut self.slots[hit.node as usize];
            if *slot == 0 {
                case.list.push(scope.candidate(hit.node));
                *slot = case.list.len() as u32;
            }
        }
    }

    /// Fills the case with the cheapest eligible nodes, and those that scarce wants need.
    pub(crate) fn gather(&mut self, scope: &Scope<'_>, demand: &Demand, near: Near, case: &mut Case) {
        self.begin_case(demand, case);
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
        self.list_hits(scope, case);
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
        self.bound_unseen(scope, demand, if nearby_only { &unseen } else { &[] }, case);
        self.settle(demand, case);
    }

    /// Takes the cheapest nodes into the list. Returns each band's next cost per unit, where it has nodes left; nothing where
    /// all were taken.
    pub(super) fn walk(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        near: Near,
        case: &mut Case,
    ) -> Vec<Option<i64>> {
        let Some(mut walk) = Walk::new(scope, demand) else {
            for node in scope.named {
                if self.eligible(scope, node.0) && self.slots[node.0 as usize] == 0 {
                    case.list.push(scope.candidate(node.0));
                    self.slots[node.0 as usize] = case.list.len() as u32;
                }
            }
            return Vec::new();
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
        walk.ahead().collect()
    }

    /// Looks at a sku's cells and notes what its nodes have. `true` when all eligible nodes were looked at.
    pub(super) fn look(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        want: usize,
        look: Look,
        may_widen: bool,
    ) -> bool {
        let (start, flags) = (self.hits.len(), demand.wants[want].flags);
        let wanted = Want { want: want as u32, flags };
        let mut hits = std::mem::take(&mut self.hits);
        let mut seen = 0;
        let read = scope.reader.read_words(demand.wants[want].sku, |words| {
            hits.truncate(start);
            seen = words.len();
            let everywhere = look == Look::Everywhere || may_widen && words.len() <= SPARSE_CELLS;
            let note = |word: u64| note(scope, wanted, word, start, &mut hits);
            match look {
                Look::Slots(from) if !everywhere => self.read_slots(words, from, note),
                _ => self.read_eligible(scope, words, note),
            }
            everywhere
        });
        self.hits = hits;
        let look = if read == Some(false) { look } else { Look::Everywhere };
        self.note_credits(scope, wanted, look, start);
        self.keep_back(scope, want, start);
        self.words += seen;
        read.unwrap_or(false)
    }

    /// Reads the cells of candidates with slots from here on, by search where there are few of them.
    fn read_slots(&self, words: &[AtomicU64], from: usize, mut note: impl FnMut(u64)) {
        let nodes = &self.nodes[from.min(self.nodes.len())..];
        if nodes.len() * SEARCH_WORDS >= words.len() {
            for word in words {
                let word = word.load(Ordering::Relaxed);
                if self.has_slot(word_place(word).node().0, from) {
                    note(word);
                }
            }
            return;
        }
        for node in nodes {
            let first = Place::new(NodeIx(*node), Segment(0));
            let at = words.partition_point(|word| word_place(word.load(Ordering::Relaxed)) < first);
            let of_node = words[at..].iter().map(|word| word.load(Ordering::Relaxed));
            of_node.take_while(|word| word_place(*word).node().0 == *node).for_each(&mut note);
        }
    }

    /// Reads the cells of all eligible nodes.
    fn read_eligible(&self, scope: &Scope<'_>, words: &[AtomicU64], mut note: impl FnMut(u64)) {
        for word in words {
            let word = word.load(Ordering::Relaxed);
            if self.eligible(scope, word_place(word).node().0) {
                note(word);
            }
        }
    }

    /// Whether a node is a candidate with a slot from here on.
    fn has_slot(&self, node: u32, from: usize) -> bool {
        self.slots.get(node as usize).is_some_and(|slot| *slot as usize > from)
    }

    /// Notes nodes that have nothing of a want but what is there beside what can be promised; `start` is the want's first hit.
    fn note_credits(&mut self, scope: &Scope<'_>, Want { want, flags }: Want, look: Look, start: usize) {
        for Credit { node, .. } in scope.credits_of(want as usize) {
            let node = *node;
            let is_looked_at = match look {
                Look::Slots(from) => self.has_slot(node, from),
                Look::Everywhere => self.eligible(scope, node),
            };
            let is_new = self.hits[start..].iter().all(|hit| hit.node != node);
            if is_looked_at && is_new && scope.suits(want as usize, flags, node) {
                self.hits.push(Hit { want, node, available: 0 });
            }
        }
    }

    /// Takes what nodes keep back of a want from what they have; `start` is its first hit.
    fn keep_back(&mut self, scope: &Scope<'_>, want: usize, start: usize) {
        if !scope.has_buffers() {
            return;
        }
        let mut place = 0;
        self.hits.retain_mut(|hit| {
            place += 1;
            hit.available -= if place > start { scope.buffer(want, hit.node) } else { 0 };
            hit.available > 0
        });
    }

    /// Of a want that no node has whole and many have in part, keeps of each band the cheapest that together have enough.
    fn thin(&mut self, scope: &Scope<'_>, demand: &Demand, want: usize, start: usize) {
        let need = demand.wants[want].units;
        let Some(lanes) = scope.lanes else { return };
        let many = self.hits.len() - start > SUPPLIES_MIN * 2;
        if !scope.split_lines || self.found[want].most >= need || !many || !scope.bands_have_one_class() {
            return;
        }
        self.there.resize(self.slots.len().max(self.there.len()), 0);
        for hit in self.hits.drain(start..) {
            self.there[hit.node as usize] = hit.available;
        }
        let mut left = self.found[want].total;
        let mut from = 0;
        for end in &lanes.ends {
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
    pub(super) fn bound_unseen(
        &self,
        scope: &Scope<'_>,
        demand: &Demand,
        next: &[Option<i64>],
        case: &mut Case,
    ) {
        let bands =
            || scope.bands().iter().zip(next).filter_map(|(band, unit)| unit.map(|unit| (band, unit)));
        let carriage =
            |band: &Band| scope.carriage.map_or(Floor::default(), |carriage| carriage.band_floor(band));
        let fixed = bands().map(|(band, _)| scope.band_fixed(band).saturating_add(carriage(band).once)).min();
        let unit = bands().map(|(_, unit)| unit).min();
        case.unseen = fixed.zip(unit).map(|(fixed, unit)| Unseen { fixed, unit });
        let all_listed = case.unseen.is_none() && self.found.iter().all(|found| !found.more);
        case.fixed_unlisted = if all_listed { i64::MAX } else { scope.fixed_least() };
        case.unseen_floor.clear();
        case.unseen_floor.extend(demand.wants.iter().zip(&self.found).map(|(want, found)| {
            let floor = bands().map(|(band, unit): (&Band, i64)| {
                let rate = unit.saturating_add(want.unit_g.saturating_mul(carriage(band).gram));
                band.line.saturating_add(want.units.saturating_mul(rate))
            });
            floor.min().filter(|_| !found.everywhere).unwrap_or(i64::MAX)
        }));
        let line = case.list.first().map(|candidate| candidate.line);
        let same = line.filter(|line| {
            case.list.iter().all(|candidate| candidate.line == *line)
                && bands().all(|(band, _)| band.line >= *line)
        });
        case.line = same.filter(|_| scope.carriage.is_none());
        case.unit_g.clear();
        if scope.carriage.is_some() {
            case.unit_g.extend(demand.wants.iter().map(|want| want.unit_g));
        }
    }

    /// Sorts the list and gives the slots back. Where carriers price, a unit costs next to nothing from any node: those go first from
    /// where the whole order could cost least.
    pub(super) fn settle(&mut self, demand: &Demand, case: &mut Case) {
        for candidate in &case.list {
            self.slots[candidate.node as usize] = 0;
        }
        if case.is_stepped() {
            let whole = demand.wants.iter().fold((0_i64, 0_i64), |(units, grams), want| {
                let of_want = want.unit_g.saturating_mul(want.units);
                (units.saturating_add(want.units), grams.saturating_add(of_want))
            });
            case.list.sort_by_cached_key(|candidate| {
                let of_units = candidate.unit.saturating_mul(whole.0);
                let carriage = candidate.carriage.gram.saturating_mul(whole.1);
                let floor = candidate.fixed_floor().saturating_add(of_units).saturating_add(carriage);
                (floor, candidate.rank)
            });
        } else if !case.list.is_sorted_by_key(|candidate| (candidate.unit, candidate.rank)) {
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
