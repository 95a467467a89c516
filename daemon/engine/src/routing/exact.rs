//! Exact search: branch and bound over node sets.
//!
//! With one cost per line everywhere, the node of a set that serves a want for least is the first in the list that
//! can. So [`nearest_first`] builds sets in list order, each node adding wants that none before it serves, and every
//! set's cost grows node by node. It prunes by what the rest must cost at least, never by a guess: when it comes back
//! complete, no set that was left out is cheaper. Where costs per line differ, or wants must be split,
//! [`super::branch`] searches.

use super::bound::Dual;
use super::case::{Best, Budget, Case, Unseen};

/// Steps of taking a node into a set, per word of its mask.
const TAKE_STEPS: usize = 8;

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
    /// By slot: cost per unit and fixed cost, apart from the rest of the candidate to be near each other.
    units: Vec<i64>,
    fixed: Vec<i64>,
    /// By slot: the least fixed cost from there on, unseen nodes included.
    fixed_from: Vec<i64>,
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
    let unseen = case.unseen.unwrap_or(Unseen { fixed: i64::MAX, unit: i64::MAX });
    exact.units.clear();
    // Unseen nodes may serve a want for less than a candidate that is farther, so a candidate counts for no more.
    exact.units.extend(case.list.iter().map(|candidate| candidate.unit.min(unseen.unit)));
    exact.fixed.clear();
    exact.fixed.extend(case.list.iter().map(|candidate| candidate.fixed));
    exact.fixed_from.clear();
    exact.fixed_from.resize(case.list.len() + 1, unseen.fixed);
    for slot in (0..case.list.len()).rev() {
        exact.fixed_from[slot] = exact.fixed_from[slot + 1].min(exact.fixed[slot]);
    }
    let lines = case.line.unwrap_or(0) * case.whole_count as i64;
    let chosen = Chosen { cost: lines, capped: lines, slack: 0, units: case.whole_units };
    let mut search = NearestFirst { exact, case, dual, best, budget, unseen: i64::MAX };
    let complete = match case.words {
        1 => search.from::<1>(0, chosen),
        2 => search.from::<2>(0, chosen),
        _ => search.from::<0>(0, chosen),
    };
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
    /// Tries all sets that continue the chosen ones with slots from here on. `false` when the budget is used up. `W` is
    /// the words of a mask, where it is known to the compiler; 0 where it is not.
    fn from<const W: usize>(&mut self, start: usize, chosen: Chosen) -> bool {
        let case = self.case;
        let words = if W == 0 { case.words } else { W };
        let depth = self.exact.chosen.len();
        if let Some(unseen) = case.unseen.filter(|_| depth < case.limit) {
            let least = chosen.capped + unseen.fixed + chosen.units * unseen.unit;
            if least <= self.best.cost {
                self.unseen = self.unseen.min(least);
            }
        }
        let rest_at = depth * words;
        // Whether a set may end later than with the slot at hand. Once it may not, only slots count that end it.
        let mut may_go_on = depth + 2 <= case.limit;
        for slot in start..case.list.len() {
            // Whatever comes from here on, all that is left goes for at least this much per unit.
            let floor = chosen.capped + chosen.units * self.exact.units[slot] + self.exact.fixed_from[slot];
            if floor > self.best.cost {
                break;
            }
            may_go_on = may_go_on && floor.saturating_add(self.exact.fixed_from[slot]) <= self.best.cost;
            if !self.budget.take(words) {
                return false;
            }
            let mask = &case.masks[slot * words..(slot + 1) * words];
            let rest = &self.exact.rest[rest_at..rest_at + words];
            if rest.iter().zip(mask).all(|(rest, able)| rest & !able == 0) {
                let cost = chosen.cost + self.exact.fixed[slot] + chosen.units * case.list[slot].unit;
                if cost <= self.best.cost {
                    self.exact.chosen.push(slot as u32);
                    self.best.offer(case, cost, &self.exact.chosen);
                    self.exact.chosen.pop();
                }
                continue;
            }
            if !may_go_on || rest.iter().zip(mask).all(|(rest, able)| rest & able == 0) {
                continue;
            }
            let slack = self.dual.map_or(0, |dual| chosen.slack + dual.slack[slot]);
            if self.dual.is_some_and(|dual| dual.bound + slack > self.best.cost) {
                continue;
            }
            if !self.go_on::<W>(slot, chosen, slack) {
                return false;
            }
        }
        true
    }

    /// Takes a slot into the set and tries all sets that continue it, unless they must cost too much.
    fn go_on<const W: usize>(&mut self, slot: usize, chosen: Chosen, slack: i64) -> bool {
        let case = self.case;
        let words = if W == 0 { case.words } else { W };
        let rest_at = self.exact.chosen.len() * words;
        self.budget.take(words * TAKE_STEPS);
        self.exact.rest.resize(rest_at + words * 2, 0);
        let (rest, below) = self.exact.rest[rest_at..].split_at_mut(words);
        let mask = &case.masks[slot * words..(slot + 1) * words];
        let mut units = 0;
        for (word, ((rest, below), able)) in rest.iter().zip(below).zip(mask).enumerate() {
            *below = rest & !able;
            units += case.units_of(word, rest & able);
        }
        let next = Chosen {
            cost: chosen.cost + self.exact.fixed[slot] + units * case.list[slot].unit,
            capped: chosen.capped + self.exact.fixed[slot] + units * self.exact.units[slot],
            slack,
            units: chosen.units - units,
        };
        let cheapest_next = self.exact.units.get(slot + 1).copied().or(case.unseen.map(|unseen| unseen.unit));
        let fixed = self.exact.fixed_from[slot + 1];
        let Some(unit) = cheapest_next.filter(|_| fixed < i64::MAX) else { return true };
        if next.capped + fixed + next.units * unit > self.best.cost {
            return true;
        }
        self.exact.chosen.push(slot as u32);
        let complete = self.from::<W>(slot + 1, next);
        self.exact.chosen.pop();
        complete
    }
}
