//! A want that must be split, on its own and exactly: what the units that are still to be found cost at least, supply after
//! supply, for every number of them (Bellman 1957).
//!
//! A cheapest split takes all of each supply that it uses but for the dearest per unit: units of another one that is used in
//! part could be had there instead for no more, until it is used up or the dearer one is not used at all. So supplies go by cost per
//! unit, each one gives all it has, or nothing, or all that is left, and a number is looked at twice for each supply.

use super::knapsack::Supply;

/// Most numbers of a table, eight bytes each.
const NUMBERS_MAX: usize = 1 << 21;

/// What a want costs at least where a supply is used, and where it is not, its charge included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) with: f64,
    pub(super) without: f64,
}

/// Buffers of one want after the other.
#[derive(Default)]
pub(super) struct Fills {
    /// By supply and by units that are found: what it and those behind it cost at least for the rest.
    behind: Vec<f64>,
    /// By units: what those before a supply cost at least for so many, all of each that is used.
    before: Vec<f64>,
    /// By supply, in the order of cost per unit.
    pub(super) told: Vec<Told>,
    /// Which offers a cheapest split uses.
    pub(super) used: Vec<u32>,
    /// What it costs.
    pub(super) cost: f64,
}

/// Whether so many units of so many supplies are few enough for a table, and the steps that it takes.
pub(super) fn steps(supplies: usize, need: f64) -> Option<usize> {
    let numbers = (supplies + 1).checked_mul(need as usize + 1)?;
    (numbers <= NUMBERS_MAX).then_some(numbers * 4)
}

impl Fills {
    /// Finds the cheapest split of so many whole units. `false` where there are not as many. Supplies are put in order.
    pub(super) fn fill(&mut self, supplies: &mut [Supply], need: f64) -> bool {
        supplies.sort_unstable_by(|a, b| a.unit.total_cmp(&b.unit).then(a.offer.cmp(&b.offer)));
        let need = need as usize;
        self.look_behind(supplies, need);
        self.cost = self.behind[0];
        if self.cost == f64::INFINITY {
            return false;
        }
        self.trace(supplies, need);
        self.tell(supplies, need);
        true
    }

    fn look_behind(&mut self, supplies: &[Supply], need: usize) {
        let width = need + 1;
        self.behind.clear();
        self.behind.resize((supplies.len() + 1) * width, f64::INFINITY);
        self.behind[supplies.len() * width + need] = 0.0;
        for (at, supply) in supplies.iter().enumerate().rev() {
            let (rows, next) = self.behind.split_at_mut((at + 1) * width);
            let (row, next) = (&mut rows[at * width..], &next[..width]);
            let (most, all) = (supply.most as usize, supply.charge + supply.unit * supply.most);
            row.copy_from_slice(next);
            for (least, rest) in row.iter_mut().zip(&next[most..]) {
                *least = least.min(all + rest);
            }
            for (units, least) in (1..=most).zip(row[..need].iter_mut().rev()) {
                *least = least.min(supply.charge + supply.unit * units as f64);
            }
        }
    }

    /// Which supplies a cheapest split uses.
    fn trace(&mut self, supplies: &[Supply], need: usize) {
        let width = need + 1;
        self.used.clear();
        let mut found = 0;
        for (at, supply) in supplies.iter().enumerate() {
            let (least, without) = (self.behind[at * width + found], self.behind[(at + 1) * width + found]);
            if least < without {
                self.used.push(supply.offer);
                let most = supply.most as usize;
                let all = supply.charge + supply.unit * supply.most;
                let is_all =
                    found + most <= need && all + self.behind[(at + 1) * width + found + most] <= least;
                if !is_all {
                    break;
                }
                found += most;
            }
        }
    }

    /// What the want costs with each supply, and without it.
    fn tell(&mut self, supplies: &[Supply], need: usize) {
        let width = need + 1;
        self.before.clear();
        self.before.resize(width, f64::INFINITY);
        self.before[0] = 0.0;
        self.told.clear();
        // What a split costs at least whose last supply is one of those before, in part.
        let mut ended = f64::INFINITY;
        for (at, supply) in supplies.iter().enumerate() {
            let next = &self.behind[(at + 1) * width..(at + 2) * width];
            let (most, all) = (supply.most as usize, supply.charge + supply.unit * supply.most);
            let sums = self.before.iter().zip(next).map(|(before, behind)| before + behind);
            let without = sums.fold(ended, f64::min);
            let sums = self.before.iter().zip(&next[most..]).map(|(before, behind)| before + behind);
            let with_all = sums.fold(f64::INFINITY, f64::min) + all;
            let last = (1..=most).zip(self.before[..need].iter().rev());
            let last = last.map(|(units, before)| before + supply.unit * units as f64);
            let with_last = last.fold(f64::INFINITY, f64::min) + supply.charge;
            self.told.push(Told { with: with_all.min(with_last), without });
            ended = ended.min(with_last);
            for found in (most..width).rev() {
                self.before[found] = self.before[found].min(self.before[found - most] + all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that supplies cost whose places are in this set, each of which is used; infinite for none.
    fn least(supplies: &[Supply], need: f64, is_allowed: impl Fn(u32) -> bool) -> f64 {
        let cost = |set: u32| {
            let (mut left, mut cost) = (need, 0.0);
            for (_, supply) in supplies.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1) {
                let units = supply.most.min(left);
                cost += supply.charge + units * supply.unit;
                left -= units;
            }
            if left > 0.0 { f64::INFINITY } else { cost }
        };
        (0..1 << supplies.len()).filter(|set| is_allowed(*set)).map(cost).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn a_split_costs_the_least_of_all_choices_also_with_and_without_each_supply() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut fills, mut found) = (Fills::default(), 0);
        for _ in 0..2_000 {
            let supply = |offer: u32| {
                let (unit, charge) = (f64::from(random.u32(1..9)), f64::from(random.u32(0..30)));
                let most = f64::from(random.u32(1..12));
                Supply { rate: unit + charge / most, unit, charge, most, offer }
            };
            let mut supplies: Vec<_> = (0..7).map(supply).collect();
            let need = f64::from(random.u32(12..50));
            let is_enough = fills.fill(&mut supplies, need);
            let cost = least(&supplies, need, |_| true);
            assert_eq!(is_enough, cost < f64::INFINITY);
            if !is_enough {
                continue;
            }
            found += 1;
            assert_eq!(fills.cost, cost);
            let places = supplies.iter().enumerate();
            let used = places.filter(|(_, supply)| fills.used.contains(&supply.offer));
            let used = used.fold(0, |set, (at, _)| set | 1 << at);
            assert_eq!(least(&supplies, need, |set| set == used), cost);
            for (at, told) in fills.told.iter().enumerate() {
                assert_eq!(told.without, least(&supplies, need, |set| set >> at & 1 == 0));
                // A supply that is used gives at least one unit.
                let supply = supplies[at];
                let others = |taken: f64| {
                    if taken == need { 0.0 } else { least(&supplies, need - taken, |set| set >> at & 1 == 0) }
                };
                let taken = (1..=supply.most as u32).map(f64::from);
                let with = taken.map(|taken| supply.charge + supply.unit * taken + others(taken));
                assert_eq!(told.with.min(told.without), cost);
                assert!(told.with >= with.fold(f64::INFINITY, f64::min));
            }
        }
        assert!(found > 1_000, "{found} could be split");
    }
}
