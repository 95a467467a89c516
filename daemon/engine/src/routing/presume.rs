//! A first guess: every node that carries a want has enough of it.
//!
//! Who carries what is known without reading stock, so an order that can be served whole from near nodes is planned by
//! that, and the stock of the chosen nodes alone is looked at afterwards. What the guess costs is no more than the
//! truth, so it stays the cheapest where the chosen nodes have enough; where they have not, the case learns it.

use earmark_protocol::ids::NodeIx;

use super::candidates::{Gatherer, Look};
use super::case::{Case, Part};
use super::demand::Demand;
use super::scope::{Scope, has_bit};
use super::walk::Near;

impl Gatherer {
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
        self.begin_case(demand, case);
        let unseen = self.walk(scope, demand, near, case);
        self.bound_unseen(scope, demand, &unseen, case);
        self.settle(demand, case);
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
            let is_choosy = want.flags != 0 || !scope.leaning.by_want.is_empty();
            if any == 0 || is_choosy && !self.only_capable(scope, at, want.flags, case) {
                return false;
            }
        }
        true
    }

    /// Takes a want from the nodes that may not have it. `false` where none is left.
    fn only_capable(&self, scope: &Scope<'_>, want: usize, flags: u16, case: &mut Case) -> bool {
        let (mut any, let_in) = (false, scope.leaning.by_want.get(want));
        for (slot, node) in self.nodes.iter().enumerate() {
            let capable = (flags == 0 || scope.is_capable(flags, *node))
                && let_in.is_none_or(|bits| has_bit(bits, *node));
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
            let enough = there >= part.units + scope.buffer(want, node.0);
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
}
