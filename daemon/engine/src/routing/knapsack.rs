//! A want that must be split, on its own: the least that enough of its supplies cost, where each has a charge that is due as
//! soon as anything is taken from it.
//!
//! Paid in part where a supply is used in part, charges are a rate per unit, and filling up by rate is the cheapest
//! (Geoffrion 1974). At most one supply is used in part then. Either its charge is due in whole or it is not used at
//! all: the lesser of the two is a better bound (Martello and Toth 1977), and so on down a few levels.

/// A supply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Supply {
    /// The charge and the units, as a cost per unit.
    pub(super) rate: f64,
    pub(super) unit: f64,
    pub(super) charge: f64,
    pub(super) most: f64,
    /// Whose it is.
    pub(super) offer: u32,
}

/// Levels of deciding on the supply that is used in part.
const LEVELS: usize = 3;

/// Buffers of one want after the other.
#[derive(Default)]
pub(super) struct Knapsack {
    /// What there is.
    pub(super) supplies: Vec<Supply>,
    /// Supplies whose charge is due, by cost per unit; and those that are not to be used. By place in `supplies`.
    due: Vec<u32>,
    barred: Vec<u32>,
    filled: Vec<(u32, f64)>,
    /// The relaxed split of least cost: which offers, and how much of their charge it pays.
    pub(super) used: Vec<(u32, f64)>,
    /// What it costs.
    pub(super) cost: f64,
    /// What it costs by rates alone, and the highest rate then.
    pub(super) relaxed: f64,
    pub(super) worth: f64,
    /// Steps of work.
    pub(super) steps: usize,
}

impl Knapsack {
    /// Bounds the cost of so many units from below. `false` where there are not as many.
    pub(super) fn fill(&mut self, need: f64) -> bool {
        self.supplies.sort_unstable_by(|a, b| a.rate.total_cmp(&b.rate).then(a.offer.cmp(&b.offer)));
        self.steps = self.supplies.len();
        self.due.clear();
        self.barred.clear();
        self.used.clear();
        self.cost = f64::INFINITY;
        self.relaxed = f64::INFINITY;
        self.decide(need, LEVELS);
        self.cost < f64::INFINITY
    }

    /// Fills up, and decides on what is used in part.
    fn decide(&mut self, need: f64, levels: usize) {
        let Some((cost, partly)) = self.fill_by_rate(need) else { return };
        if cost >= self.cost {
            return;
        }
        if let Some(at) = partly.filter(|_| levels > 0) {
            let unit = |at: &u32| self.supplies[*at as usize].unit;
            let place = self.due.partition_point(|due| unit(due) <= unit(&at));
            self.due.insert(place, at);
            self.decide(need, levels - 1);
            self.due.remove(place);
            self.barred.push(at);
            self.decide(need, levels - 1);
            self.barred.pop();
        } else {
            self.cost = cost;
            self.used.clear();
            self.used.extend_from_slice(&self.filled);
        }
    }

    /// Fills up from the lowest rate on. Returns what that costs, and which supply's charge is paid in part.
    fn fill_by_rate(&mut self, need: f64) -> Option<(f64, Option<u32>)> {
        self.filled.clear();
        let mut cost = 0.0;
        for at in &self.due {
            let supply = &self.supplies[*at as usize];
            cost += supply.charge;
            self.filled.push((supply.offer, 1.0));
        }
        let (mut left, mut next, mut next_due) = (need, 0, 0);
        while left > 0.0 {
            while self.due.contains(&(next as u32)) || self.barred.contains(&(next as u32)) {
                next += 1;
            }
            let by_rate = self.supplies.get(next);
            let due = self.due.get(next_due).map(|at| &self.supplies[*at as usize]);
            self.steps += 1;
            match (by_rate, due) {
                (by_rate, Some(due)) if by_rate.is_none_or(|supply| due.unit <= supply.rate) => {
                    let units = left.min(due.most);
                    cost += units * due.unit;
                    left -= units;
                    next_due += 1;
                }
                (Some(supply), _) => {
                    let units = left.min(supply.most);
                    cost += units * supply.rate;
                    left -= units;
                    self.filled.push((supply.offer, units / supply.most));
                    if left <= 0.0 {
                        if self.relaxed == f64::INFINITY {
                            (self.relaxed, self.worth) = (cost, supply.rate);
                        }
                        let partly = units < supply.most && supply.charge > 0.0;
                        return Some((cost, partly.then_some(next as u32)));
                    }
                    next += 1;
                }
                (None, _) => return None,
            }
        }
        Some((cost, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every choice of supplies that has enough: charges, and filling up by cost per unit.
    fn cheapest(supplies: &[Supply], need: f64) -> f64 {
        let mut by_unit = supplies.to_vec();
        by_unit.sort_by(|a, b| a.unit.total_cmp(&b.unit));
        let cost = |set: u32| {
            let (mut left, mut cost) = (need, 0.0);
            for (_, supply) in by_unit.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1) {
                let units = supply.most.min(left);
                cost += supply.charge + units * supply.unit;
                left -= units;
            }
            if left > 0.0 { f64::INFINITY } else { cost }
        };
        (0..1 << supplies.len()).map(cost).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn a_bound_is_between_what_rates_say_and_the_cheapest_split() {
        let mut random = fastrand::Rng::with_seed(31);
        let (mut knapsack, mut exact, mut closer) = (Knapsack::default(), 0, 0);
        for _ in 0..2_000 {
            let supply = |offer: u32| {
                let (unit, charge) = (f64::from(random.u32(1..9)), f64::from(random.u32(0..30)));
                let most = f64::from(random.u32(1..12));
                Supply { rate: unit + charge / most, unit, charge, most, offer }
            };
            let supplies: Vec<_> = (0..8).map(supply).collect();
            let need = f64::from(random.u32(1..50));
            let least = cheapest(&supplies, need);
            knapsack.supplies.clone_from(&supplies);
            assert_eq!(knapsack.fill(need), least < f64::INFINITY);
            if least < f64::INFINITY {
                assert!(knapsack.cost <= least + 1e-9 && knapsack.relaxed <= knapsack.cost + 1e-9);
                exact += usize::from(knapsack.cost >= least - 1e-9);
                closer += usize::from(knapsack.cost > knapsack.relaxed + 1e-9);
            }
        }
        assert!(exact > 900 && closer > 900, "{exact} exact, {closer} closer than rates");
    }
}
