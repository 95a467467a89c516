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
/// Splits are told exactly where the search did not end in so many times the work of that.
const EXACT_TIMES: u64 = 16;
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
        let (exactly, all) = (self.branch.shares.exact_steps(), self.budget.0);
        self.budget.0 = if exactly == 0 { all } else { (all / 2).min(exactly * EXACT_TIMES) };
        let rest = all - self.budget.0;
        let least = self.from(0, DEEP_ROUNDS);
        self.budget.0 += rest;
        if least == f64::INFINITY || exactly == 0 || self.budget.0 < exactly {
            return least;
        }
        self.branch.shares.is_exact = true;
        let mut settled = std::mem::take(&mut self.branch.settled[0]);
        let mut bound = self.raise(&mut settled);
        self.branch.settled[0] = settled;
        if bound > self.target() {
            return f64::INFINITY;
        }
        if self.budget.0 > 0 {
            bound = self.from(0, DEEP_ROUNDS).max(bound);
        }
        bound.max(least)
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
