//! How a want is split where units are worth most: supply after supply, for every number of units that are left (Bellman 1957).

use super::super::counts::COUNTS_MAX;
use super::super::near::FAR;
use super::{Order, Values};
use crate::routing::case::Budget;

/// Numbers of a table that are filled in within a step.
const FILLED_AT_ONCE: usize = 4;

/// A node that has something of a count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    /// Its place among the nodes.
    pub(super) node: usize,
    pub(super) first: usize,
    pub(super) there: usize,
}

/// What is left to be served of one count, and what that costs at least: by holder, those from it on, and by units.
#[derive(Default)]
pub(super) struct Want {
    pub(super) need: usize,
    pub(super) holders: Vec<Holder>,
    pub(super) least: Vec<i64>,
}

/// All wants of an order, by count.
#[derive(Default)]
pub(super) struct Wants {
    pub(super) of: [Want; COUNTS_MAX],
    before: Vec<i64>,
    after: Vec<i64>,
}

impl Want {
    /// Fills in the table; `false` where that takes more than the budget.
    pub(super) fn fill(&mut self, values: &Values, budget: &mut Budget) -> bool {
        let width = self.need + 1;
        let numbers = self.holders.iter().map(|holder| holder.there + 1).sum::<usize>() * width;
        if !budget.afford(numbers / FILLED_AT_ONCE + width) {
            return false;
        }
        self.least.clear();
        self.least.resize((self.holders.len() + 1) * width, FAR);
        self.least[self.holders.len() * width] = 0;
        for (at, holder) in self.holders.iter().enumerate().rev() {
            let (rows, next) = self.least.split_at_mut((at + 1) * width);
            let (row, next) = (&mut rows[at * width..], &next[..width]);
            for of in values.open(holder, self.need) {
                let value = values.of[holder.first + of];
                row[of..].iter_mut().zip(next).for_each(|(least, next)| *least = (*least).min(next + value));
            }
        }
        true
    }

    /// What the cheapest split of all of it costs.
    pub(super) fn cost(&self) -> i64 {
        self.least[self.need]
    }

    /// Calls with each holder of the cheapest split, and how many units it gives.
    pub(super) fn trace(&self, values: &Values, mut give: impl FnMut(&Holder, usize)) {
        let (width, mut left) = (self.need + 1, self.need);
        for (at, holder) in self.holders.iter().enumerate() {
            let least = self.least[at * width + left];
            let is_met =
                |of: &usize| self.least[(at + 1) * width + left - of] + values.of[holder.first + of] == least;
            let of = values.open(holder, left).find(is_met).unwrap_or(0);
            give(holder, of);
            left -= of;
        }
    }
}

impl Wants {
    /// Lays out the wants of an order.
    pub(super) fn read(&mut self, order: Order<'_>) {
        for (at, want) in self.of.iter_mut().enumerate() {
            want.need = order
                .counts
                .list
                .get(at)
                .filter(|count| count.is_want())
                .map_or(0, |count| count.most as usize);
            want.holders.clear();
        }
        for (node, has) in order.nodes.iter().enumerate() {
            for choice in &has.choices {
                self.of[choice.at].holders.push(Holder { node, first: choice.first, there: choice.there });
            }
        }
    }

    /// Says of each number of units at each node how much more than the cheapest split one with it costs. Call it after [`Want::fill`] of
    /// all wants. `false` where it takes more than the budget.
    pub(super) fn tell(&mut self, values: &mut Values, budget: &mut Budget) -> bool {
        let Self { of, before, after } = self;
        for want in of.iter().filter(|want| want.need > 0) {
            let width = want.need + 1;
            let numbers = want.holders.iter().map(|holder| holder.there + 1).sum::<usize>() * width;
            if !budget.afford(numbers) {
                return false;
            }
            before.clear();
            before.resize(width, FAR);
            before[0] = 0;
            for (at, holder) in want.holders.iter().enumerate() {
                let behind = &want.least[(at + 1) * width..(at + 2) * width];
                after.clear();
                after.resize(width, FAR);
                values.over[holder.first..=holder.first + holder.there].fill(FAR);
                for of in 0..=holder.there.min(want.need) {
                    if !values.is_open[holder.first + of] {
                        continue;
                    }
                    let (value, mut least) = (values.of[holder.first + of], FAR);
                    // By what is left behind the holder.
                    let left = behind[..width - of].iter().rev();
                    for ((before, after), left) in before.iter().zip(&mut after[of..]).zip(left) {
                        least = least.min(before + left);
                        *after = (*after).min(before + value);
                    }
                    values.over[holder.first + of] = (least + value - want.cost()).clamp(0, FAR);
                }
                std::mem::swap(before, after);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What splits cost that give these numbers of units, by all ways there are; `FAR` for none.
    fn least(want: &Want, values: &Values, is_meant: impl Fn(&[usize]) -> bool) -> i64 {
        let mut ways = vec![Vec::new()];
        for holder in &want.holders {
            let more = |way: &Vec<usize>| {
                let open: Vec<usize> = values.open(holder, want.need).collect();
                let way = way.clone();
                open.into_iter().map(move |of| [&way[..], &[of]].concat())
            };
            ways = ways.iter().flat_map(more).collect();
        }
        let cost = |way: &Vec<usize>| {
            let of = way.iter().zip(&want.holders);
            of.map(|(of, holder)| values.of[holder.first + of]).sum::<i64>()
        };
        let is_split = |way: &&Vec<usize>| way.iter().sum::<usize>() == want.need && is_meant(way);
        ways.iter().filter(is_split).map(cost).min().unwrap_or(FAR)
    }

    #[test]
    fn a_split_costs_the_least_of_all_ways_also_with_each_number_of_units() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut split = 0;
        for _ in 0..300 {
            let (mut wants, mut values) = (Wants::default(), Values::default());
            wants.of[0].need = random.usize(1..12);
            for node in 0..4 {
                let holder = Holder { node, first: values.of.len(), there: random.usize(1..6) };
                values.of.push(0);
                values.of.extend((0..holder.there).map(|_| random.i64(-20..30)));
                wants.of[0].holders.push(holder);
            }
            values.is_open = values.of.iter().map(|_| random.u8(..5) > 0).collect();
            values.over = vec![0; values.of.len()];
            let (want, mut budget) = (&mut wants.of[0], Budget(u64::MAX));
            assert!(want.fill(&values, &mut budget));
            let cost = least(want, &values, |_| true);
            assert_eq!(want.cost().min(FAR / 2), cost.min(FAR / 2));
            if cost >= FAR / 2 {
                continue;
            }
            split += 1;
            let (mut given, mut sum) = (Vec::new(), 0);
            want.trace(&values, |holder, of| {
                sum += values.of[holder.first + of];
                given.push(of);
            });
            assert_eq!((given.iter().sum::<usize>(), sum), (want.need, cost));
            assert!(wants.tell(&mut values, &mut budget));
            let want = &wants.of[0];
            for (at, holder) in want.holders.iter().enumerate() {
                for of in 0..=holder.there {
                    let with = least(want, &values, |way| way[at] == of);
                    let over = values.over[holder.first + of];
                    assert_eq!(over.min(FAR / 4), (with - cost).min(FAR / 4), "{of} of {holder:?}");
                }
            }
        }
        assert!(split > 200, "{split}");
    }
}
