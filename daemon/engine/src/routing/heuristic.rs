//! Finding a good node set fast: greedy cover, then add, drop and swap.
//!
//! It gives the exact search a cost to beat, and stands alone where that search would take too long. Every set it
//! offers is legal; none is claimed to be the best.

use super::case::{Best, Budget, Case};
use super::parcels::Task;
use super::split::Splitter;

/// Steps of adding up the units of one word of a mask.
const WORD_STEPS: usize = 6;

/// The cover is sought among so many of the nearest nodes, and farther only where those do not have all.
const COVER_SLOTS: usize = 64;

/// Buffers of the search.
#[derive(Default)]
pub(crate) struct Heuristic {
    open: Vec<u32>,
    trial: Vec<u32>,
    rest: Vec<u64>,
}

impl Heuristic {
    /// Opens nodes until all wants are served: each time the one whose new wants cost the least extra.
    pub(crate) fn cover(
        &mut self,
        splitter: &mut Splitter,
        task: Task<'_>,
        best: &mut Best,
        budget: &mut Budget,
    ) {
        let case = task.case;
        self.open.clear();
        self.rest.clear();
        self.rest.extend_from_slice(&case.whole);
        let nearest = case.list.first().map_or(0, |candidate| candidate.unit);
        let mut slots = COVER_SLOTS.min(case.list.len());
        while self.rest.iter().any(|word| *word != 0) {
            let mut chosen: Option<(f64, usize)> = None;
            for slot in 0..slots {
                let candidate = &case.list[slot];
                let (mut new, mut units) = (0_u32, 0_i64);
                for (word, able) in case.mask(slot).iter().enumerate() {
                    let wants = able & self.rest[word];
                    new += wants.count_ones();
                    units += case.units_of(word, wants);
                }
                budget.take(case.words * WORD_STEPS);
                if new == 0 {
                    continue;
                }
                let carriage = case.grams_of(slot, &self.rest) * candidate.carriage.gram;
                let of_units = units * (candidate.unit - nearest) + carriage;
                let extra = candidate.fixed_floor() + i64::from(new) * candidate.line + of_units;
                let score = extra as f64 / f64::from(new);
                if chosen.is_none_or(|(least, _)| score < least) {
                    chosen = Some((score, slot));
                }
            }
            let Some((_, slot)) = chosen else {
                if slots == case.list.len() {
                    return;
                }
                slots = case.list.len();
                continue;
            };
            for (word, able) in case.mask(slot).iter().enumerate() {
                self.rest[word] &= !able;
            }
            self.open.push(slot as u32);
        }
        splitter.complete(case, &mut self.open, budget);
        splitter.offer(task, &self.open, best, budget);
    }

    /// Adds, drops and swaps nodes of the best set as long as that helps and the budget lasts, where a line costs the
    /// same everywhere and nothing is split.
    pub(crate) fn improve_near(&mut self, case: &Case, best: &mut Best, budget: &mut Budget) {
        while best.found() && budget.0 > 0 {
            let before = best.cost;
            self.open.clear();
            self.open.extend_from_slice(&best.open);
            for left_out in 0..=self.open.len() {
                self.trial.clear();
                self.trial.extend(self.open.iter().enumerate().filter(|x| x.0 != left_out).map(|x| *x.1));
                self.offer_near(case, best, budget);
                for slot in 0..case.list.len() as u32 {
                    if budget.0 == 0 {
                        return;
                    }
                    if !self.open.contains(&slot) {
                        let at = self.trial.partition_point(|other| *other < slot);
                        self.trial.insert(at, slot);
                        self.offer_near(case, best, budget);
                        self.trial.remove(at);
                    }
                }
            }
            if best.cost == before {
                return;
            }
        }
    }

    /// Prices the trial set, whose slots ascend: each node serves what none before it does. Offers it where it is
    /// legal, and no node of it is idle.
    fn offer_near(&mut self, case: &Case, best: &mut Best, budget: &mut Budget) {
        if self.trial.len() > case.limit {
            return;
        }
        self.rest.clear();
        self.rest.extend_from_slice(&case.whole);
        let mut cost = case.line.unwrap_or(0) * case.whole_count as i64;
        let mut left = case.whole_units;
        for slot in &self.trial {
            let candidate = &case.list[*slot as usize];
            budget.take(case.words * WORD_STEPS);
            let (mut any, mut units) = (0, 0);
            for (word, able) in case.mask(*slot as usize).iter().enumerate() {
                let wants = able & self.rest[word];
                any |= wants;
                units += case.units_of(word, wants);
                self.rest[word] &= !able;
            }
            cost += candidate.fixed + units * candidate.unit;
            left -= units;
            if any == 0 || cost + left * candidate.unit > best.cost {
                return;
            }
        }
        if self.rest.iter().all(|word| *word == 0) {
            best.offer(case, cost, &self.trial);
        }
    }

    /// Adds, drops and swaps nodes of the best set as long as that helps and the budget lasts.
    pub(crate) fn improve(
        &mut self,
        splitter: &mut Splitter,
        task: Task<'_>,
        best: &mut Best,
        budget: &mut Budget,
    ) {
        let case = task.case;
        while best.found() && budget.0 > 0 {
            let before = best.cost;
            self.open.clear();
            self.open.extend_from_slice(&best.open);
            for left_out in 0..=self.open.len() {
                self.trial.clear();
                self.trial.extend(self.open.iter().enumerate().filter(|x| x.0 != left_out).map(|x| *x.1));
                splitter.offer(task, &self.trial, best, budget);
                for slot in 0..case.list.len() as u32 {
                    if budget.0 == 0 {
                        return;
                    }
                    if !self.open.contains(&slot) {
                        self.trial.push(slot);
                        splitter.offer(task, &self.trial, best, budget);
                        self.trial.pop();
                    }
                }
            }
            if best.cost == before {
                return;
            }
        }
    }
}
