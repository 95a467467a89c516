//! Exact search where wants must be split, and where the other searches did not end: branch and bound over nodes, by the
//! bounds of [`super::shares`].
//!
//! A node is taken into the plan or left out, the one first whose fixed cost the relaxed plan pays for least. Nothing is
//! pruned that could cost as little as the best plan, so that ties are met. Where carriers price, what the bounds of the root
//! leave of a small order goes to [`super::steps`].

use super::case::{Best, Budget};
use super::parcels::Task;
use super::shares::{Pace, Settled, Shares, Status, slack};
use super::split::Splitter;
use super::steps::Steps;

/// Rounds of raising the bound at the root, further down at first, and then.
const ROOT_ROUNDS: usize = 60;
const NEAR_ROUNDS: usize = 20;
const DEEP_ROUNDS: usize = 8;
/// So far down is near the root.
const NEAR_DEPTH: usize = 2;
/// How much of the budget goes to plans by steps.
const STEPS_PERCENT: u64 = 90;
/// Splits are told exactly where the search did not end in so many times the work of that, and as much is left at least.
const EXACT_TIMES: u64 = 8;
/// At the root, plans are made of the relaxed one every so many rounds.
const ROUND_EVERY: usize = 6;

/// Buffers of the search.
#[derive(Default)]
pub(crate) struct Branch {
    shares: Shares,
    /// What is settled, by depth.
    settled: Vec<Settled>,
    slots: Vec<u32>,
    steps: Steps,
}

/// Searches node sets until the best one is proven or the budget is used up. Returns what every legal plan costs at least, or
/// the best one's cost where nothing is cheaper.
pub(crate) fn search(
    branch: &mut Branch,
    splitter: &mut Splitter,
    task: Task<'_>,
    best: &mut Best,
    budget: &mut Budget,
) -> i64 {
    branch.shares.read(task.case, budget);
    let mut search = Search { branch, splitter, task, best, budget };
    let (mut least, is_open) = search.at_root();
    let mut by_steps = 0;
    if is_open {
        by_steps = search.by_steps();
        let is_proven = by_steps >= search.best.cost;
        // Bounds that know the steps say more than those that do not, however far down.
        if is_proven {
            least = f64::INFINITY;
        } else if by_steps as f64 <= least {
            least = search.below();
        }
    }
    // A cost is a whole number, so a bound may be rounded up once it is surely not too high.
    let least = if least == f64::INFINITY { i64::MAX } else { (least - slack(least)).ceil() as i64 };
    least.max(by_steps).min(best.cost)
}

struct Search<'a> {
    branch: &'a mut Branch,
    splitter: &'a mut Splitter,
    task: Task<'a>,
    best: &'a mut Best,
    budget: &'a mut Budget,
}

impl Search<'_> {
    /// What a plan must not cost more than to be of interest.
    fn target(&self) -> f64 {
        if self.best.found() { self.best.cost as f64 + slack(self.best.cost as f64) } else { f64::INFINITY }
    }

    /// What a plan costs at least that is not the best, infinite for none that could be better; and whether to look at
    /// what is left.
    fn at_root(&mut self) -> (f64, bool) {
        if self.branch.settled.is_empty() {
            self.branch.settled.push(Settled::default());
        }
        let mut settled = std::mem::take(&mut self.branch.settled[0]);
        self.branch.shares.begin(&mut settled);
        self.raise(&mut settled);
        let bound = self.branch.shares.bound(&settled, self.budget);
        let case = self.task.case;
        let unseen = case.unseen.map_or(f64::INFINITY, |unseen| {
            self.branch.shares.bound_with(bound, unseen.fixed, case, &case.unseen_floor)
        });
        self.branch.shares.shrink(&mut settled);
        self.branch.settled[0] = settled;
        if unseen < f64::INFINITY && unseen <= self.target() {
            // A proof needs more nodes first.
            (bound.min(unseen), false)
        } else if bound > self.target() {
            (f64::INFINITY, false)
        } else {
            (bound, true)
        }
    }

    /// Where carriers price, looks for the best plan by what they charge among the nodes that it may have. Returns what a plan
    /// costs at least, 0 where that was not found out.
    fn by_steps(&mut self) -> i64 {
        let Task { case, carriers } = self.task;
        let Some(carriers) = carriers else { return 0 };
        let Branch { shares, settled, slots, steps } = &mut *self.branch;
        let bound = shares.bound(&settled[0], self.budget);
        shares.useful(case, bound, self.best.cost as f64, slots);
        let (worth, best) = (|want| shares.worth(case, want), &mut *self.best);
        self.budget
            .spend(STEPS_PERCENT, u64::MAX, |own| steps.find((case, carriers), slots, worth, best, own))
    }

    /// Raises the bound at the root, and leaves out what no plan within the best cost has.
    fn raise(&mut self, settled: &mut Settled) -> f64 {
        let (mut pace, mut bound) = (Pace::default(), 0.0);
        for _ in 0..ROOT_ROUNDS / ROUND_EVERY {
            bound = self.branch.shares.ascend(settled, ROUND_EVERY, &mut pace, self.target(), self.budget);
            self.offer_rounded(settled);
            if bound > self.target() || self.budget.0 == 0 {
                break;
            }
            if self.best.found() {
                let decided = self.branch.shares.settle(settled, bound, self.best.cost as f64);
                if decided * 4 > settled.status.len() {
                    self.branch.shares.shrink(settled);
                }
            }
        }
        bound
    }

    /// What a plan costs at least that is not the best, by what is below the root; infinite for none that could be better. Bounds that
    /// are quickly told go first, then those by exact splits.
    fn below(&mut self) -> f64 {
        let (first, all) = (self.branch.shares.exact_steps() * EXACT_TIMES, self.budget.0);
        if first == 0 || first > all / 2 {
            return self.from(0, DEEP_ROUNDS);
        }
        self.budget.0 = first;
        let least = self.from(0, DEEP_ROUNDS);
        self.budget.0 += all - first;
        if least == f64::INFINITY {
            return least;
        }
        self.exactly().max(least)
    }

    /// The same, by exact splits.
    fn exactly(&mut self) -> f64 {
        self.branch.shares.is_exact = true;
        let mut settled = std::mem::take(&mut self.branch.settled[0]);
        let bound = self.raise(&mut settled);
        self.branch.settled[0] = settled;
        if bound > self.target() {
            f64::INFINITY
        } else if self.budget.0 == 0 {
            bound
        } else {
            self.from(0, DEEP_ROUNDS).max(bound)
        }
    }

    /// Prices the relaxed plan's nodes.
    fn offer_rounded(&mut self, settled: &Settled) {
        self.branch.shares.rounded(settled, &mut self.branch.slots);
        self.splitter.offer(self.task, &self.branch.slots, self.best, self.budget);
    }

    /// What a plan costs at least that agrees with what is settled at this depth; infinite where none could be as
    /// good as the best.
    fn from(&mut self, depth: usize, rounds: usize) -> f64 {
        let mut settled = std::mem::take(&mut self.branch.settled[depth]);
        let limit = self.task.case.limit;
        if settled.open >= limit {
            for site in 0..settled.status.len() {
                if settled.status[site] == Status::Undecided {
                    self.branch.shares.close(&mut settled, site);
                }
            }
        }
        let target = self.target();
        let bound = if settled.open > limit {
            f64::INFINITY
        } else {
            self.branch.shares.ascend(&mut settled, rounds, &mut Pace::default(), target, self.budget)
        };
        let mut least = f64::INFINITY;
        if bound < f64::INFINITY && bound <= target {
            self.offer_rounded(&settled);
            least = self.divide(depth, &mut settled, bound);
        }
        self.branch.settled[depth] = settled;
        least
    }

    /// The same, by taking a node in and by leaving it out.
    fn divide(&mut self, depth: usize, settled: &mut Settled, bound: f64) -> f64 {
        if bound > self.target() {
            return f64::INFINITY;
        }
        if self.budget.0 == 0 {
            return bound;
        }
        let mut bound = bound;
        let torn = loop {
            let cost = self.best.cost as f64;
            let changed = self.best.found() && self.branch.shares.settle(settled, bound, cost) > 0;
            let torn = self.branch.shares.most_torn(settled);
            if torn.is_some() || !changed {
                break torn;
            }
            // A node that the relaxed plan uses was settled: there is another one.
            bound = self.branch.shares.bound(settled, self.budget);
            if bound > self.target() {
                return f64::INFINITY;
            }
        };
        let Some((site, used)) = torn else {
            // All that the relaxed plan uses is settled, so it is a plan but for costs per line that it pays in part, and for
            // what carriers charge beyond what adds up.
            let is_met = self.best.found() && bound >= self.best.cost as f64 - slack(bound);
            return if is_met { f64::INFINITY } else { bound };
        };
        if self.branch.settled.len() == depth + 1 {
            self.branch.settled.push(Settled::default());
        }
        let rounds = if depth < NEAR_DEPTH { NEAR_ROUNDS } else { DEEP_ROUNDS };
        let mut least = f64::INFINITY;
        for turn in 0..2 {
            if bound > self.target() {
                break;
            }
            let below = &mut self.branch.settled[depth + 1];
            below.clone_from(settled);
            if (turn == 0) == (used > 0.5) {
                self.branch.shares.open(below, site);
            } else {
                self.branch.shares.close(below, site);
            }
            least = least.min(self.from(depth + 1, rounds));
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::case::{Candidate, Case, Supply};

    const NODES: usize = 7;

    /// An order of skus that have to be split over a few nodes.
    fn drawn(random: &mut fastrand::Rng) -> Case {
        let mut case = Case::default();
        let line = random.i64(0..6);
        case.limit = usize::MAX;
        let node = |rank: u32| {
            let (fixed, unit) = (random.i64(0..40), i64::from(1 + rank / 2));
            Candidate { fixed, line, unit, rank, code_rank: rank, ..Candidate::default() }
        };
        case.list = (0..NODES as u32).map(node).collect();
        let there: Vec<Vec<i64>> = (0..random.usize(1..4))
            .map(|_| (0..NODES).map(|_| if random.bool() { random.i64(1..12) } else { 0 }).collect())
            .collect();
        let all = |there: &Vec<i64>| there.iter().sum::<i64>();
        let most = |there: &Vec<i64>| there.iter().copied().max().unwrap_or(0);
        case.units = there.iter().map(|there| random.i64(most(there)..all(there).max(1) + 1) + 1).collect();
        for (units, there) in case.units.iter_mut().zip(&there) {
            *units = (*units).min(all(there));
        }
        case.begin_with(|want| most(&there[want]));
        for short in &mut case.shorts {
            let there = (0..).zip(&there[short.want as usize]).filter(|(_, available)| **available > 0);
            short.first = case.supplies.len() as u32;
            case.supplies.extend(there.map(|(slot, available)| Supply { slot, available: *available }));
            short.end = case.supplies.len() as u32;
        }
        case
    }

    /// What the cheapest plan costs, by trying all sets of nodes for each sku.
    fn cheapest(case: &Case) -> i64 {
        let split = |want: usize, open: u32| {
            let short = case.shorts.iter().find(|short| short.want as usize == want)?;
            let sets = (0..1_u32 << NODES).filter(|set| set & !open == 0);
            let cost = |set: u32| {
                let (mut left, mut cost) = (case.units[want], 0);
                for slot in (0..NODES).filter(|slot| set >> slot & 1 == 1) {
                    let units = left.min(case.supply(short, slot as u32));
                    cost += case.list[slot].line + units * case.list[slot].unit;
                    left -= units;
                }
                (left == 0).then_some(cost)
            };
            sets.filter_map(cost).min()
        };
        let plan = |open: u32| {
            let fixed = (0..NODES).filter(|slot| open >> slot & 1 == 1).map(|slot| case.list[slot].fixed);
            let splits: Option<i64> = (0..case.units.len()).map(|want| split(want, open)).sum();
            splits.map(|splits| splits + fixed.sum::<i64>())
        };
        (0..1 << NODES).filter_map(plan).min().expect("all nodes have enough")
    }

    #[test]
    fn by_exact_splits_the_cheapest_plan_is_found_and_proven() {
        let mut random = fastrand::Rng::with_seed(11);
        let (mut branch, mut splitter) = (Branch::default(), Splitter::default());
        let mut looked_at = 0;
        for order in 0..200 {
            let case = drawn(&mut random);
            if case.shorts.len() < case.units.len() {
                continue;
            }
            let (mut best, mut budget) = (Best::default(), Budget(10_000_000));
            best.clear();
            let task = Task { case: &case, carriers: None };
            branch.shares.read(&case, &mut budget);
            branch.shares.is_exact = true;
            let mut search = Search {
                branch: &mut branch,
                splitter: &mut splitter,
                task,
                best: &mut best,
                budget: &mut budget,
            };
            let (_, is_open) = search.at_root();
            let least = if is_open { search.exactly() } else { f64::INFINITY };
            looked_at += usize::from(is_open);
            assert_eq!(best.cost, cheapest(&case), "order {order}");
            assert_eq!(least, f64::INFINITY, "order {order}: {} is not proven", best.cost);
        }
        assert!(looked_at > 50, "{looked_at} were looked at below the root");
    }
}
