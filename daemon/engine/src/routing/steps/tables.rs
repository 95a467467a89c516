//! What the nodes from each on fall short of the bound by at least, for every number that some counts could have: a knapsack by
//! dynamic programming (Bellman 1957).
//!
//! Of all counts together that is exact, and needs a number for each part of the order and each node. Of some of them it is a
//! bound, since the others go by their values (Christofides, Mingozzi and Toth 1981).

use super::counts::{COUNTS_MAX, Count, Counts};
use super::offers::Offers;
use crate::routing::case::Budget;

/// Most numbers of a table, four bytes each; of one that does not have all counts, at first and later; and of one that is made for a
/// first plan.
pub(super) const NUMBERS_MAX: usize = 1 << 22;
pub(super) const NUMBERS_PART: usize = 1 << 17;
pub(super) const NUMBERS_LARGER: usize = 1 << 19;
pub(super) const NUMBERS_FEW: usize = 1 << 14;
/// Steps of looking at one shipment beside one part.
pub(super) const TRY_STEPS: usize = 3;

/// More than any number of a table.
pub(super) const TOO_MUCH: u32 = u32::MAX;

/// A shipment as far as some counts go.
#[derive(Clone, Copy, Debug)]
struct Item {
    place: u32,
    short: u32,
    counts: u128,
}

/// By node and part of the order, numbered with a digit per count.
#[derive(Default)]
pub(super) struct Table {
    /// By count: what one of it adds to the number of a part, nothing for those that go by their values.
    strides: [u32; COUNTS_MAX],
    places: usize,
    mask: u128,
    numbers: Vec<u32>,
    /// By part: what is left of the counts.
    room: Vec<u128>,
    items: Vec<Item>,
    /// By part: what the nodes before one fall short of the bound by at least, and those with it; and by part that it ships, what all
    /// other nodes do.
    before: Vec<u32>,
    with: Vec<u32>,
    others: Vec<u32>,
    /// How often a shipment was tried beside a part since the table was last begun.
    tried: usize,
}

/// How many parts an order has of these counts, as long as that many fit for so many nodes.
fn places<'a>(counts: impl Iterator<Item = &'a Count>, nodes: usize, most: usize) -> Option<usize> {
    let of = |places: usize, count: &Count| places.checked_mul(usize::try_from(count.most).ok()? + 1);
    let fits = |places: &usize| places.checked_mul(nodes + 1).is_some_and(|all| all <= most);
    counts.into_iter().try_fold(1_usize, |places, count| of(places, count).filter(fits))
}

/// Parts of the whole order, where a table of all counts fits.
pub(super) fn all_places(counts: &Counts, offers: &Offers) -> Option<usize> {
    places(counts.list.iter(), offers.sites.len(), NUMBERS_MAX)
}

/// Shares the counts out, so that as few tables of so many numbers as may be have them all: a bit per count.
pub(super) fn share_out(counts: &Counts, offers: &Offers, most: usize, groups: &mut Vec<u32>) {
    let mut order: Vec<usize> = (0..counts.list.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(counts.list[*at].most));
    groups.clear();
    for at in order {
        let fits = |group: &u32| {
            let of = (0..counts.list.len()).filter(|other| (group | 1 << at) >> other & 1 == 1);
            places(of.map(|other| &counts.list[other]), offers.sites.len(), most).is_some()
        };
        match groups.iter_mut().find(|group| fits(group)) {
            Some(group) => *group |= 1 << at,
            None if fits(&0) => groups.push(1 << at),
            None => {}
        }
    }
}

impl Table {
    /// Fills in a table of these counts, as far as numbers go up to `most`; `false` where that takes more than the budget.
    pub(super) fn fill(
        &mut self,
        counts: &Counts,
        group: u32,
        offers: &Offers,
        most: u32,
        budget: &mut Budget,
    ) -> bool {
        self.tried = 0;
        if !self.lay_out(counts, group, budget) {
            return false;
        }
        let (places, sites) = (self.places, offers.sites.len());
        self.numbers.clear();
        self.numbers.resize(places * (sites + 1), TOO_MUCH);
        for place in 0..places {
            // Fewer shipments than allowed are allowed.
            let served = self.room[place];
            let is_nothing = |count: &Count| !count.is_want() || count.of(served) == count.of(self.room[0]);
            if counts.list.iter().all(is_nothing) {
                self.numbers[sites * places + place] = 0;
            }
        }
        for (at, site) in offers.sites.iter().enumerate().rev() {
            self.list_items(counts, offers, at);
            if !budget.afford((self.items.len() + places) * TRY_STEPS) {
                return false;
            }
            let (rows, next) = self.numbers.split_at_mut((at + 1) * places);
            let row = &mut rows[at * places..];
            let skip = u32::try_from(-site.least).unwrap_or(TOO_MUCH);
            for (place, (before, room)) in next[..places].iter().zip(&self.room).enumerate() {
                if *before == TOO_MUCH {
                    continue;
                }
                let without = before.saturating_add(skip);
                if without <= most {
                    row[place] = row[place].min(without);
                }
                let mut tried = 0;
                for item in &self.items {
                    let sum = before.saturating_add(item.short);
                    if sum > most || sum == TOO_MUCH {
                        break;
                    }
                    tried += 1;
                    if counts.without(*room, item.counts).is_some() {
                        let number = &mut row[place + item.place as usize];
                        *number = (*number).min(sum);
                    }
                }
                self.tried += tried;
                if !budget.afford(tried * TRY_STEPS) {
                    return false;
                }
            }
        }
        true
    }

    /// Marks what is part of no plan that exceeds the bound by `most` at most, as far as these counts go; `false` where that takes more
    /// than the budget. Call it after [`Table::fill`].
    pub(super) fn mark(
        &mut self,
        counts: &Counts,
        offers: &mut Offers,
        most: u32,
        budget: &mut Budget,
    ) -> bool {
        let (places, full) = (self.places, counts.full & self.mask);
        for buffer in [&mut self.before, &mut self.with, &mut self.others] {
            buffer.clear();
            buffer.resize(places, TOO_MUCH);
        }
        self.before[places - 1] = 0;
        for at in 0..offers.sites.len() {
            self.list_items(counts, offers, at);
            let site = offers.sites[at];
            let skip = u32::try_from(-site.least).unwrap_or(TOO_MUCH);
            let behind = &self.numbers[(at + 1) * places..(at + 2) * places];
            if !budget.afford((self.items.len() + places) * TRY_STEPS) {
                return false;
            }
            self.with.fill(TOO_MUCH);
            self.others.fill(TOO_MUCH);
            for (place, before) in self.before.iter().copied().enumerate() {
                let without = before.saturating_add(skip);
                if before > most {
                    continue;
                }
                if without <= most {
                    self.with[place] = self.with[place].min(without);
                }
                let left = full - self.room[place];
                let mut tried = 0;
                for item in &self.items {
                    let sum = before.saturating_add(item.short);
                    if sum > most {
                        break;
                    }
                    tried += 1;
                    if counts.without(left, item.counts).is_some() {
                        let (of, to) = (item.place as usize, place - item.place as usize);
                        self.with[to] = self.with[to].min(sum);
                        self.others[of] = self.others[of].min(before.saturating_add(behind[to]));
                    }
                }
                self.tried += tried;
                if !budget.afford(tried * TRY_STEPS) {
                    return false;
                }
            }
            for place in site.first..site.end {
                let shipment = &offers.shipments[place];
                let others = i64::from(self.others[self.place(counts, shipment.counts) as usize]);
                offers.marks[place] |= shipment.beyond - site.least + others > i64::from(most);
            }
            std::mem::swap(&mut self.before, &mut self.with);
        }
        true
    }

    /// Numbers the parts; `false` where that takes more than the budget.
    fn lay_out(&mut self, counts: &Counts, group: u32, budget: &mut Budget) -> bool {
        self.strides = [0; COUNTS_MAX];
        self.room.clear();
        self.mask = 0;
        let of_group = |at: &usize| group >> at & 1 == 1;
        let mut stride = 1;
        for (at, count) in counts.list.iter().enumerate().filter(|(at, _)| of_group(at)) {
            self.strides[at] = stride as u32;
            stride *= count.most as usize + 1;
            self.mask |= count.mask();
        }
        self.places = stride;
        if !budget.afford(stride * group.count_ones() as usize) {
            return false;
        }
        let full = counts.full & self.mask;
        let room = |place: usize| {
            let of = counts.list.iter().zip(self.strides).filter(|(_, stride)| *stride > 0);
            let part = |(count, stride): (&Count, u32)| {
                count.packed((place / stride as usize % (count.most as usize + 1)) as i64)
            };
            full - of.map(part).sum::<u128>()
        };
        self.room.extend((0..stride).map(room));
        true
    }

    /// Lists what a node could ship as far as the counts go, the nearest to the best first.
    fn list_items(&mut self, counts: &Counts, offers: &Offers, at: usize) {
        let site = &offers.sites[at];
        let mut items = std::mem::take(&mut self.items);
        items.clear();
        let item = |shipment: &super::offers::Shipment| Item {
            place: self.place(counts, shipment.counts),
            short: u32::try_from(shipment.beyond - site.least).unwrap_or(TOO_MUCH),
            counts: shipment.counts & self.mask,
        };
        items.extend(offers.shipments[site.first..site.end].iter().map(item));
        items.sort_unstable_by_key(|item| (item.place, item.short));
        items.dedup_by_key(|item| item.place);
        items.sort_unstable_by_key(|item| item.short);
        self.items = items;
    }

    /// The number of a part.
    #[inline]
    pub(super) fn place(&self, counts: &Counts, packed: u128) -> u32 {
        counts.list.iter().zip(self.strides).map(|(count, stride)| count.of(packed) as u32 * stride).sum()
    }

    /// By how much the nodes from this one on fall short at least, with so much left for them to serve.
    #[inline]
    pub(super) fn number(&self, site: usize, place: u32) -> u32 {
        self.numbers[site * self.places + place as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::case::{Case, Short, Supply};
    use crate::routing::steps::offers::{Shipment, Site};

    /// Units of one sku, and two nodes that each have so many of it, in shipments of all sizes that all cost the same.
    fn of_one_sku(units: i64, each: i64) -> (Counts, Offers) {
        let supplies = (0..2).map(|slot| Supply { slot, available: each }).collect();
        let shorts = vec![Short { want: 0, most: each, first: 0, end: 2 }];
        let mut case = Case::default();
        (case.units, case.shorts, case.supplies, case.limit) = (vec![units], shorts, supplies, usize::MAX);
        let (mut counts, mut offers) = (Counts::default(), Offers::default());
        assert!(counts.read(&case, 2));
        for slot in 0..2 {
            let first = offers.shipments.len();
            let shipment = |of| Shipment { counts: counts.list[0].packed(of), cost: 0, beyond: 0 };
            offers.shipments.extend((1..=each).map(shipment));
            let end = offers.shipments.len();
            offers.sites.push(Site { slot, priority: 0, first, end, least: 0 });
        }
        (counts, offers)
    }

    #[test]
    fn no_more_is_tried_than_the_budget_pays_for_and_what_one_part_takes() {
        let each = 4_000;
        let (counts, mut offers) = of_one_sku(6_000, each);
        for steps in [100_000, 1_000_000, 10_000_000] {
            let (mut table, mut budget) = (Table::default(), Budget(steps));
            assert!(!table.fill(&counts, 1, &offers, 10, &mut budget));
            let most = steps as usize / TRY_STEPS + each as usize;
            assert!(table.tried <= most, "{} tried where {most} may be", table.tried);
        }
        let mut table = Table::default();
        assert!(table.fill(&counts, 1, &offers, 10, &mut Budget(u64::MAX)));
        offers.marks.resize(offers.shipments.len(), false);
        for steps in [100_000, 1_000_000, 10_000_000] {
            let mut budget = Budget(steps);
            table.tried = 0;
            assert!(!table.mark(&counts, &mut offers, 10, &mut budget));
            let most = steps as usize / TRY_STEPS + each as usize;
            assert!(table.tried <= most, "{} tried where {most} may be", table.tried);
        }
    }
}
