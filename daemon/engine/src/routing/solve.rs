//! The search for one case's best node set: a quick one first, then as exact as the budget allows.
//!
//! It decides which searches are asked in which order and how much work each may do; what a case is, whoever gathered it
//! says.

use super::allowance::whole_with_first;
use super::bound::{self, Dual};
use super::branch::{self, Branch};
use super::case::{Best, Budget, Case};
use super::exact::{self, Exact, Searched};
use super::heuristic::Heuristic;
use super::parcels::{Carriers, Task};
use super::split::Splitter;

/// An order of at most this many skus is small: all nodes that have something of it are looked at. Steps of work for it, and for
/// a planner that is patient.
pub(super) const SMALL_SKUS: usize = 10;
const SMALL_STEPS: u64 = 1_000_000;
const PATIENT_STEPS: u64 = 400_000_000;

/// Steps of work for any larger order; for each of its skus; for each pair of them, since sets grow with skus; and at most.
const STEPS: u64 = 40_000;
const STEPS_PER_SKU: u64 = 700;
const STEPS_PER_PAIR: u64 = 3;
const STEPS_MAX: u64 = 8_000_000;

/// All plans of a larger order may together take so many times the work of one, where others wait behind it no more than an order
/// of few skus may.
const PLANS: u64 = 4;

/// Steps of trying node sets nearest first, and of adding, dropping and swapping, before the search by bounds.
const FIRST_STEPS: u64 = 60_000;
const IMPROVE_STEPS: u64 = 20_000;

/// The case at hand, the best that was found, and the searches' buffers.
#[derive(Default)]
pub(super) struct Search {
    pub(super) case: Case,
    pub(super) best: Best,
    pub(super) splitter: Splitter,
    exact: Exact,
    branch: Branch,
    dual: Dual,
    heuristic: Heuristic,
    /// By slot: grams that it could ship.
    grams: Vec<i64>,
}

impl Search {
    /// Finds the best node set it can and returns what every legal plan costs at least.
    pub(super) fn solve(&mut self, carriers: Option<Carriers<'_>>, budget: &mut Budget) -> i64 {
        let Self { case, best, exact, branch, dual, heuristic, splitter, grams } = self;
        if let Some(carriers) = carriers {
            carriers.bound(case, grams);
        }
        let task = Task { case, carriers };
        best.clear();
        heuristic.cover(splitter, task, best, budget);
        let mut bound = bound::floor(case, splitter.floor(case));
        let proven = |searched: &Searched, cost: i64| {
            if searched.complete && !case.more_supplies { cost.min(searched.unseen) } else { 0 }
        };
        let mut by_bounds = case.unseen.is_none();
        if case.shorts.is_empty() && case.line.is_some() {
            let mut searched = Searched { complete: false, unseen: 0 };
            let most = if by_bounds { FIRST_STEPS } else { u64::MAX };
            budget.spend(60, most, |own| searched = exact::nearest_first(exact, case, None, best, own));
            bound = bound.max(proven(&searched, best.cost));
            if searched.complete {
                return bound;
            }
            if !by_bounds {
                budget.spend(50, u64::MAX, |own| dual.ascend(case, own));
                bound = bound.max(dual.bound);
                budget.spend(20, u64::MAX, |own| heuristic.improve_near(case, best, own));
                budget.spend(100, u64::MAX, |own| {
                    searched = exact::nearest_first(exact, case, Some(dual), best, own);
                });
                bound = bound.max(proven(&searched, best.cost));
            } else {
                budget.spend(10, IMPROVE_STEPS, |own| heuristic.improve_near(case, best, own));
            }
        } else {
            by_bounds = true;
            budget.spend(25, IMPROVE_STEPS, |own| heuristic.improve(splitter, task, best, own));
        }
        if by_bounds {
            let least = branch::search(branch, splitter, task, best, budget);
            bound = bound.max(if case.more_supplies { 0 } else { least });
        }
        bound
    }
}

/// The work that one plan of an order of so many skus may make.
pub(super) fn budget(skus: usize, is_patient: bool) -> Budget {
    if skus <= SMALL_SKUS {
        return Budget(if is_patient { PATIENT_STEPS } else { SMALL_STEPS });
    }
    let skus = skus as u64;
    Budget((STEPS + STEPS_PER_SKU * skus + STEPS_PER_PAIR * skus * skus).min(STEPS_MAX))
}

/// The work that all plans of an order of so many skus may make together.
pub(super) fn whole_budget(skus: usize, is_patient: bool) -> u64 {
    let Budget(one) = budget(skus, is_patient);
    let least = whole_with_first(one);
    let most = if is_patient { u64::MAX } else { whole_with_first(SMALL_STEPS) };
    if skus <= SMALL_SKUS { least } else { (PLANS * one).min(most).max(least) }
}
