//! Exact search: branch and bound over node sets.
//!
//! With one cost per line everywhere, the node of a set that serves a want for least is the first in the list that
//! can. So [`nearest_first`] builds sets in list order, each node adding wants that none before it serves, and every
//! set's cost grows node by node. Where costs per line differ, or wants must be split, [`any`] tries sets with a
//! weaker bound. Both prune by what the rest must cost at least, never by a guess: when they come back complete, no
//! set that was left out is cheaper.

use super::bound::Dual;
use super::case::{Best, Budget, Case, Unseen};
use super::split::Splitter;

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
