//! Exact search: branch and bound over node sets.
//!
//! With one cost per line everywhere, the node of a set that serves a want for least is the first in the list that
//! can. So [`nearest_first`] builds sets in list order, each node adding wants that none before it serves, and every
//! set's cost grows node by node. Where costs per line differ, or wants must be split, [`any`] tries sets with a
//! weaker bound. Both prune by what the rest must cost at least, never by a guess: when they come back complete, no
//! set that was left out is cheaper.

use super::bound::Dual;
use super::case::{Best, Budget, Case};
use super::split::Splitter;

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Searched {
    /// Whether the budget lasted: every set of candidates was tried or is no better than the best.
    pub(crate) complete: bool,
    /// The least that a set with an unseen node could cost; `i64::MAX` where none could be better than the best.
    pub(crate) unseen: i64,
}

/// Buffers of the searches.
#[derive(Default)]
pub(crate) struct Exact {
    chosen: Vec<u32>,
    /// Wants not yet served, a mask per depth.
    rest: Vec<u64>,
    /// By slot: the least fixed cost from there on.
    fixed_from: Vec<i64>,
    /// By want and slot: the least cost of serving it from there on.
    floor_from: Vec<i64>,
    /// By depth and want: the least cost of serving it from the chosen.
    served: Vec<i64>,
}

/// Searches node sets where all wants can be served whole and a line costs the same everywhere.
pub(crate) fn nearest_first(
    exact: &mut Exact,
    case: &Case,
    dual: Option<&Dual>,
    best: &mut Best,
    budget: &mut Budget,
) -> Searched {
    exact.chosen.clear();
    exact.rest.clear();
    exact.rest.extend_from_slice(&case.whole);
    exact.fixed_from.clear();
    exact.fixed_from.resize(case.list.len() + 1, i64::MAX);
    for slot in (0..case.list.len()).rev() {
        exact.fixed_from[slot] = exact.fixed_from[slot + 1].min(case.list[slot].fixed);
    }
    let lines = case.line.unwrap_or(0) * case.whole_count as i64;
    let mut search = NearestFirst { exact, case, dual, best, budget, unseen: i64::MAX };
    let complete = search.from(0, Chosen { cost: lines, capped: lines, slack: 0, units: case.whole_units });
    Searched { complete, unseen: search.unseen }
}

/// What the chosen nodes cost.
#[derive(Clone, Copy)]
struct Chosen {
    /// Shipments and the wants they serve.
    cost: i64,
    /// The same where unseen nodes may serve those wants for less.
    capped: i64,
    /// Sum of the chosen nodes' reduced costs.
    slack: i64,
    /// Units of the wants not yet served.
    units: i64,
}

struct NearestFirst<'a> {
    exact: &'a mut Exact,
    case: &'a Case,
    dual: Option<&'a Dual>,
    best: &'a mut Best,
    budget: &'a mut Budget,
    unseen: i64,
}

impl NearestFirst<'_> {
    /// Tries all sets that continue the chosen ones with slots from here on. `false` when the budget is used up.
    fn from(&mut self, start: usize, chosen: Chosen) -> bool {
        let (case, words) = (self.case, self.case.words);
        let depth = self.exact.chosen.len();
        if let Some(unseen) = case.unseen.filter(|_| depth < case.limit) {
            let least = chosen.capped + unseen.fixed + chosen.units * unseen.unit;
            if least <= self.best.cost {
                self.unseen = self.unseen.min(least);
            }
        }
        let unit_cap = case.unseen.map_or(i64::MAX, |unseen| unseen.unit);
        for slot in start..case.list.len() {
            let candidate = case.list[slot];
            let unit = candidate.unit.min(unit_cap);
            // Whatever comes from here on, all that is left goes for at least this much per unit.
            if chosen.capped + self.exact.fixed_from[slot] + chosen.units * unit > self.best.cost {
                break;
            }
            let slack = self.dual.map_or(0, |dual| chosen.slack + dual.slack[slot]);
            if self.dual.is_some_and(|dual| dual.bound + slack > self.best.cost) {
                continue;
            }
            if !self.budget.take(words + 1) {
                return false;
            }
            let mask = case.mask(slot);
            let (mut new, mut left) = (false, false);
            for (word, able) in mask.iter().enumerate() {
                let rest = self.exact.rest[depth * words + word];
                new |= rest & able != 0;
                left |= rest & !able != 0;
            }
            if !new {
                continue;
            }
            if !left {
                let cost = chosen.cost + candidate.fixed + chosen.units * candidate.unit;
                if cost <= self.best.cost {
                    self.exact.chosen.push(slot as u32);
                    self.best.offer(case, cost, &self.exact.chosen);
                    self.exact.chosen.pop();
                }
                continue;
            }
            if depth + 2 > case.limit {
                continue;
            }
            let units = self.take(depth, slot);
            let next = Chosen {
                cost: chosen.cost + candidate.fixed + units * candidate.unit,
                capped: chosen.capped + candidate.fixed + units * unit,
                slack,
                units: chosen.units - units,
            };
            let next_unit = case.list.get(slot + 1).map_or(unit_cap, |next| next.unit.min(unit_cap));
            let fixed =
                self.exact.fixed_from[slot + 1].min(case.unseen.map_or(i64::MAX, |unseen| unseen.fixed));
            if fixed == i64::MAX || next.capped + fixed + next.units * next_unit > self.best.cost {
                continue;
            }
            self.exact.chosen.push(slot as u32);
            let complete = self.from(slot + 1, next);
            self.exact.chosen.pop();
            if !complete {
                return false;
            }
        }
        true
    }

    /// Writes the wants left after this slot below the chosen ones' and returns the units it serves of them.
    fn take(&mut self, depth: usize, slot: usize) -> i64 {
        let (case, words) = (self.case, self.case.words);
        self.exact.rest.resize((depth + 2) * words, 0);
        let mut units = 0;
        for word in 0..words {
            let rest = self.exact.rest[depth * words + word];
            let able = case.mask(slot)[word];
            self.exact.rest[(depth + 1) * words + word] = rest & !able;
            units += case.units_of(word, rest & able);
        }
        units
    }
}

/// Most numbers in the table of [`any`]'s floors; orders beyond it are not searched by it.
const FLOORS_MAX: usize = 1 << 18;

/// Searches node sets where a line's cost differs between nodes or wants must be split.
pub(crate) fn any(
    exact: &mut Exact,
    splitter: &mut Splitter,
    case: &Case,
    best: &mut Best,
    budget: &mut Budget,
) -> Searched {
    let (slots, wants) = (case.list.len(), case.units.len());
    let unfinished = Searched { complete: false, unseen: i64::MAX };
    if (slots + 1) * wants > FLOORS_MAX || !budget.take((slots + 1) * wants) {
        return unfinished;
    }
    exact.chosen.clear();
    exact.floor_from.clear();
    exact.floor_from.resize((slots + 1) * wants, i64::MAX);
    exact.floor_from[slots * wants..].copy_from_slice(&case.unseen_floor);
    for slot in (0..slots).rev() {
        for want in 0..wants {
            let after = exact.floor_from[(slot + 1) * wants + want];
            let here = if case.serves(slot, want) { case.cost(slot, want) } else { i64::MAX };
            exact.floor_from[slot * wants + want] = after.min(here);
        }
    }
    exact.served.clear();
    exact.served.resize(wants, i64::MAX);
    let split_floor = splitter.floor(case);
    let mut search = Any { exact, splitter, case, best, budget, split_floor, unseen: i64::MAX };
    let complete = search.from(0, 0);
    Searched { complete, unseen: search.unseen }
}

struct Any<'a> {
    exact: &'a mut Exact,
    splitter: &'a mut Splitter,
    case: &'a Case,
    best: &'a mut Best,
    budget: &'a mut Budget,
    /// The least that the wants to be split cost, shipments aside.
    split_floor: i64,
    unseen: i64,
}

impl Any<'_> {
    /// Tries the chosen set and all that continue it with slots from here on. `fixed` is the chosen ones' fixed cost.
    fn from(&mut self, start: usize, fixed: i64) -> bool {
        let (case, wants) = (self.case, self.case.units.len());
        let depth = self.exact.chosen.len();
        if depth > 0 {
            self.splitter.price(case, &self.exact.chosen, self.best, self.budget);
        }
        // What the wants cost at least where unseen nodes may take part; `floor_from` counts them in.
        let unseen_floor = Case::wants(&case.whole).fold(self.split_floor, |floor, want| {
            let now = self.exact.served[depth * wants + want];
            floor.saturating_add(now.min(self.exact.floor_from[start * wants + want]))
        });
        if let Some(unseen) = case.unseen.filter(|_| depth < case.limit) {
            let least = unseen_floor.saturating_add(fixed + unseen.fixed);
            if least <= self.best.cost {
                self.unseen = self.unseen.min(least);
            }
        }
        if depth >= case.limit {
            return true;
        }
        for slot in start..case.list.len() {
            if !self.budget.take(wants * 2) {
                return false;
            }
            let candidate = case.list[slot];
            let next_fixed = fixed + candidate.fixed;
            let mut least = next_fixed + self.split_floor;
            self.exact.served.resize((depth + 2) * wants, i64::MAX);
            for want in Case::wants(&case.whole) {
                let now = self.exact.served[depth * wants + want];
                let then = if case.serves(slot, want) { now.min(case.cost(slot, want)) } else { now };
                self.exact.served[(depth + 1) * wants + want] = then;
                let later = self.exact.floor_from[(slot + 1) * wants + want];
                least = least.saturating_add(then.min(later));
            }
            if least > self.best.cost {
                continue;
            }
            self.exact.chosen.push(slot as u32);
            let complete = self.from(slot + 1, next_fixed);
            self.exact.chosen.pop();
            if !complete {
                return false;
            }
        }
        true
    }
}
