//! Splitting: wants that no single node can serve whole are taken from several, for the least extra cost.
//!
//! A part of a want costs its node's rate per unit, and that node's cost per line. Without a cost per line, filling up
//! from the cheapest node on is optimal; with one, all subsets are tried where there are few, and a greedy choice is
//! pruned where there are many. This room also prices whole node sets, since what a set costs depends on its splits; where
//! carriers price, [`super::parcels`] has the last word.

use super::case::{Best, Budget, Case, Part, Short};
use super::parcels::{Parcels, Task};

/// Up to so many open supplies of one want, all subsets are tried.
const SUBSETS_MAX: usize = 10;

/// Steps of trying a subset of supplies.
const SUBSET_STEPS: usize = 8;

/// Steps of pricing a want at an open node by what carriers charge, moves included.
const CARRY_STEPS: usize = 40;

/// Buffers of splits and of pricing.
#[derive(Default)]
pub(crate) struct Splitter {
    /// The parts of the node set priced last: of wants that are split, and of those that are not.
    parts: Vec<Part>,
    whole: Vec<Part>,
    parcels: Parcels,
    /// By slot: whether it is open.
    open: Vec<bool>,
    /// By slot: whether it serves something.
    used: Vec<bool>,
    kept: Vec<u32>,
    order: Vec<(i64, u32, i64)>,
    /// By short want: units still to be found.
    needs: Vec<i64>,
    /// By slot: what it would add.
    gains: Vec<Gain>,
}

/// What a node would add to splits.
#[derive(Clone, Copy, Default)]
struct Gain {
    units: i64,
    /// Of how many wants.
    lines: i64,
    /// What the units cost.
    cost: i64,
}

impl Splitter {
    /// What all splits cost at least, shipments aside.
    pub(crate) fn floor(&mut self, case: &Case) -> i64 {
        let mut total = 0_i64;
        for short in &case.shorts {
            let mut need = case.units[short.want as usize];
            self.order.clear();
            self.order.extend(case.supplies_of(short).iter().map(|supply| {
                let candidate = &case.list[supply.slot as usize];
                // A cost per line, spread over the most units it can be paid for. Supplies that are not listed have
                // dearer units, but may have more of them.
                let spread =
                    if case.more_supplies { 0 } else { candidate.line / supply.available.min(need).max(1) };
                let rate = case.rate(supply.slot as usize, short.want as usize);
                (rate + spread, supply.slot, supply.available)
            }));
            self.order.sort_unstable();
            for (unit, _, available) in &self.order {
                let units = need.min(*available);
                total = total.saturating_add(unit.saturating_mul(units));
                need -= units;
            }
        }
        total
    }

    fn mark(&mut self, case: &Case, open: &[u32]) {
        self.open.clear();
        self.open.resize(case.list.len(), false);
        self.used.clear();
        self.used.resize(case.list.len(), false);
        for slot in open {
            self.open[*slot as usize] = true;
        }
    }

    /// Serves all wants from these open nodes for the least cost and keeps the parts of splits. `None` where they
    /// cannot. Says in `used` which of them were needed.
    fn serve(&mut self, Task { case, carriers }: Task<'_>, open: &[u32]) -> Option<i64> {
        self.mark(case, open);
        self.parts.clear();
        self.whole.clear();
        let mut cost = 0_i64;
        for want in Case::wants(&case.whole) {
            let slot = case.server(open, want)? as usize;
            self.used[slot] = true;
            cost += case.cost(slot, want);
            self.whole.push(Part { want: want as u32, slot: slot as u32, units: case.units[want] });
        }
        for short in &case.shorts {
            cost = cost.saturating_add(self.split(case, short)?);
        }
        for slot in open {
            if self.used[*slot as usize] {
                cost = cost.saturating_add(case.list[*slot as usize].fixed_floor());
            }
        }
        let Some(carriers) = carriers else { return Some(cost) };
        Some(self.parcels.carry((case, carriers), open, &self.parts, &mut self.whole, &mut self.used))
    }

    /// Splits one want over the open nodes. Returns what it costs, shipments aside.
    fn split(&mut self, case: &Case, short: &Short) -> Option<i64> {
        let need = case.units[short.want as usize];
        self.order.clear();
        for supply in case.supplies_of(short) {
            if self.open[supply.slot as usize] {
                let rate = case.rate(supply.slot as usize, short.want as usize);
                self.order.push((rate, supply.slot, supply.available));
            }
        }
        if self.order.iter().map(|supply| supply.2).sum::<i64>() < need {
            return None;
        }
        let line = |slot: u32| case.list[slot as usize].line;
        if self.order.iter().any(|supply| line(supply.1) > 0) {
            self.choose_supplies(case, need);
        }
        let (mut left, mut cost) = (need, 0_i64);
        for (unit, slot, available) in &self.order {
            let units = left.min(*available);
            if units > 0 {
                cost = cost.saturating_add(unit.saturating_mul(units)).saturating_add(line(*slot));
                self.used[*slot as usize] = true;
                self.parts.push(Part { want: short.want, slot: *slot, units });
                left -= units;
            }
        }
        Some(cost)
    }

    /// Keeps of the supplies in `order` those that are worth their cost per line.
    fn choose_supplies(&mut self, case: &Case, need: i64) {
        let cost_of = |chosen: &mut dyn Iterator<Item = &(i64, u32, i64)>| {
            let (mut left, mut cost) = (need, 0_i64);
            for (unit, slot, available) in chosen {
                let units = left.min(*available);
                cost = cost.saturating_add(unit.saturating_mul(units));
                cost = cost.saturating_add(case.list[*slot as usize].line);
                left -= units;
            }
            (left == 0).then_some(cost)
        };
        if self.order.len() <= SUBSETS_MAX {
            let subset = |set: u32| {
                self.order.iter().enumerate().filter(move |(at, _)| set >> at & 1 == 1).map(|x| x.1)
            };
            let sets = 1..1_u32 << self.order.len();
            let best = sets.filter_map(|set| cost_of(&mut subset(set)).map(|cost| (cost, set))).min();
            if let Some((_, set)) = best {
                let mut at = 0;
                self.order.retain(|_| {
                    at += 1;
                    set >> (at - 1) & 1 == 1
                });
            }
            return;
        }
        // Fill by cost per unit with the cost per line spread over what is there, then see who can be left out.
        let spread = |supply: &(i64, u32, i64)| {
            supply.0 + case.list[supply.1 as usize].line / supply.2.min(need).max(1)
        };
        self.order.sort_unstable_by_key(|supply| (spread(supply), supply.1));
        let mut sum = 0;
        let enough = self.order.iter().position(|supply| {
            sum += supply.2;
            sum >= need
        });
        self.order.truncate(enough.map_or(self.order.len(), |at| at + 1));
        let mut at = 0;
        while at < self.order.len() {
            if sum - self.order[at].2 >= need {
                sum -= self.order[at].2;
                self.order.remove(at);
            } else {
                at += 1;
            }
        }
        self.order.sort_unstable();
    }

    /// Prices a set of open nodes, leaves out those it does not need, and offers it to the best.
    pub(crate) fn offer(&mut self, task: Task<'_>, open: &[u32], best: &mut Best, budget: &mut Budget) {
        let case = task.case;
        budget.take(self.steps(task, open));
        let Some(cost) = self.serve(task, open).filter(|cost| *cost <= best.cost) else { return };
        let mut kept = std::mem::take(&mut self.kept);
        kept.clear();
        kept.extend(open.iter().copied().filter(|slot| self.used[*slot as usize]));
        if kept.len() <= case.limit && best.offer(case, cost, &kept) && task.carriers.is_some() {
            best.parts.extend(self.parts.iter().chain(&self.whole));
        }
        self.kept = kept;
    }

    /// The work of pricing a set once.
    fn steps(&self, Task { case, carriers }: Task<'_>, open: &[u32]) -> usize {
        let has_lines = open.iter().any(|slot| case.list[*slot as usize].line > 0);
        let subsets = if has_lines { SUBSET_STEPS << open.len().min(SUBSETS_MAX) } else { 0 };
        let carried = if carriers.is_some() { CARRY_STEPS } else { 1 };
        let shipments = if carriers.is_some() { open.len() * CARRY_STEPS } else { 0 };
        let whole = case.whole_count * open.len() * carried;
        whole + shipments + case.shorts.len() * subsets + case.supplies.len() + case.list.len() / 8
    }

    /// What each node of the best set serves.
    pub(crate) fn parts<'a>(&'a mut self, task: Task<'_>, best: &'a Best) -> &'a [Part] {
        if !best.parts.is_empty() {
            return &best.parts;
        }
        self.serve(task, &best.open).expect("a legal set serves every want");
        self.parts.extend_from_slice(&self.whole);
        &self.parts
    }

    /// Adds to a set of open nodes what completes all splits: each time the node whose units cost the least extra, over
    /// all wants together; or want by want, once the budget is used up.
    pub(crate) fn complete(&mut self, case: &Case, open: &mut Vec<u32>, budget: &mut Budget) {
        self.mark(case, open);
        self.needs.clear();
        for short in &case.shorts {
            let there = case.supplies_of(short).iter().filter(|supply| self.open[supply.slot as usize]);
            let need = case.units[short.want as usize] - there.map(|supply| supply.available).sum::<i64>();
            self.needs.push(need.max(0));
        }
        while self.needs.iter().any(|need| *need > 0) && budget.take(case.supplies.len() + case.list.len()) {
            let Some(slot) = self.next_supplier(case) else { break };
            self.open[slot as usize] = true;
            open.push(slot);
            for (short, need) in case.shorts.iter().zip(&mut self.needs) {
                *need = (*need - case.supply(short, slot)).max(0);
            }
        }
        for (short, need) in case.shorts.iter().zip(&mut self.needs) {
            for supply in case.supplies_of(short) {
                if *need > 0 && !self.open[supply.slot as usize] {
                    self.open[supply.slot as usize] = true;
                    open.push(supply.slot);
                    *need -= supply.available;
                }
            }
        }
    }

    /// The node whose units cost the least extra of those that are not open yet.
    fn next_supplier(&mut self, case: &Case) -> Option<u32> {
        self.gains.clear();
        self.gains.resize(case.list.len(), Gain::default());
        let nearest = case.list.first().map_or(0, |candidate| candidate.unit);
        for (short, need) in case.shorts.iter().zip(&self.needs) {
            for supply in case.supplies_of(short) {
                let units = supply.available.min(*need);
                let rate = case.rate(supply.slot as usize, short.want as usize);
                let gain = &mut self.gains[supply.slot as usize];
                gain.units += units;
                gain.lines += i64::from(units > 0);
                gain.cost = gain.cost.saturating_add(units.saturating_mul(rate - nearest));
            }
        }
        let score = |slot: u32| {
            let (Gain { units, lines, cost }, candidate) =
                (self.gains[slot as usize], &case.list[slot as usize]);
            let lines = lines.saturating_mul(candidate.line);
            let extra = candidate.fixed_floor().saturating_add(lines).saturating_add(cost);
            extra as f64 / units as f64
        };
        let gains = (0..case.list.len() as u32).filter(|slot| self.gains[*slot as usize].units > 0);
        let closed = gains.filter(|slot| !self.open[*slot as usize]);
        closed.min_by(|a, b| score(*a).total_cmp(&score(*b)))
    }
}
