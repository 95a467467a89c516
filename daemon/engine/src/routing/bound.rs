//! Lower bounds: what every legal plan of an order costs at least.
//!
//! [`Dual`] is the dual ascent of Erlenkotter (1978), "A dual-based procedure for uncapacitated facility location":
//! each want is given a value, raised as long as no node's wants together are worth more than opening it. The values'
//! sum bounds every plan from below, and what is left of a node's fixed cost says by how much a plan with that node
//! costs more at least. Unseen nodes take part as one node that is as good as the best of them could be.

use super::case::{Budget, Case};

/// A bound, and each node's distance from it.
#[derive(Default)]
pub(crate) struct Dual {
    /// Every plan costs at least this.
    pub(crate) bound: i64,
    /// By slot: a plan with these nodes costs at least the bound plus their slacks. The last one stands for all
    /// unseen nodes.
    pub(crate) slack: Vec<i64>,
    /// By want: where its servers begin in `servers`.
    first: Vec<u32>,
    /// Cost and slot of all that can serve a want, the cheapest first.
    servers: Vec<(i64, u32)>,
    /// By want: its value, and how many servers it has reached.
    values: Vec<(i64, u32)>,
    /// Wants whose value can still rise.
    rising: Vec<u32>,
}

impl Dual {
    /// Computes the bound of the wants to be served whole. `false` when the budget is used up; the bound holds then,
    /// too.
    pub(crate) fn ascend(&mut self, case: &Case, budget: &mut Budget) -> bool {
        self.slack.clear();
        self.slack.extend(case.list.iter().map(|candidate| candidate.fixed));
        self.slack.push(case.unseen.map_or(0, |unseen| unseen.fixed));
        self.bound = 0;
        if !budget.take(case.list.len() * case.words + case.list.len() * case.whole_count) {
            return false;
        }
        self.list_servers(case);
        self.values.clear();
        self.values.resize(case.units.len(), (0, 0));
        self.rising.clear();
        for want in Case::wants(&case.whole) {
            let servers = &mut self.servers[self.first[want] as usize..self.first[want + 1] as usize];
            if !servers.is_sorted() {
                servers.sort_unstable();
            }
            let value = servers.first().map_or(0, |server| server.0);
            self.bound += value;
            self.values[want] = (value, 0);
            self.rising.push(want as u32);
        }
        while !self.rising.is_empty() {
            let mut kept = 0;
            for at in 0..self.rising.len() {
                let want = self.rising[at] as usize;
                let servers = &self.servers[self.first[want] as usize..self.first[want + 1] as usize];
                let (mut value, mut reached) = self.values[want];
                while servers.get(reached as usize).is_some_and(|server| server.0 <= value) {
                    reached += 1;
                }
                let next = servers.get(reached as usize).map_or(i64::MAX, |server| server.0);
                let reached_servers = &servers[..reached as usize];
                if !budget.take(reached_servers.len() * 2 + 1) {
                    return false;
                }
                let room =
                    reached_servers.iter().map(|server| self.slack[server.1 as usize]).min().unwrap_or(0);
                let rise = room.min(next - value);
                value += rise;
                self.bound += rise;
                for server in reached_servers {
                    self.slack[server.1 as usize] -= rise;
                }
                self.values[want] = (value, reached);
                if rise < room || room > 0 && next < i64::MAX && rise == room && value == next {
                    self.rising[kept] = want as u32;
                    kept += 1;
                }
            }
            self.rising.truncate(kept);
        }
        true
    }

    /// Lists, want after want, all that can serve it, in the order of slots.
    fn list_servers(&mut self, case: &Case) {
        let wants = case.units.len();
        self.first.clear();
        self.first.resize(wants + 2, 0);
        let seen = |want: usize| case.unseen_floor[want] < i64::MAX;
        for slot in 0..case.list.len() {
            Case::wants(case.mask(slot)).for_each(|want| self.first[want + 2] += 1);
        }
        for want in 0..wants {
            self.first[want + 2] += self.first[want + 1] + u32::from(seen(want));
        }
        self.servers.clear();
        self.servers.resize(self.first[wants + 1] as usize, (0, 0));
        for slot in 0..case.list.len() {
            for want in Case::wants(case.mask(slot)) {
                let next = &mut self.first[want + 1];
                self.servers[*next as usize] = (case.cost(slot, want), slot as u32);
                *next += 1;
            }
        }
        let unseen_slot = case.list.len() as u32;
        for want in (0..wants).filter(|want| seen(*want)) {
            let next = &mut self.first[want + 1];
            self.servers[*next as usize] = (case.unseen_floor[want], unseen_slot);
            *next += 1;
        }
    }
}

/// What the order costs at least if every want could go where it is cheapest and one shipment carried all, or as many
/// as the widest split needs.
pub(crate) fn floor(case: &Case, split_floor: i64) -> i64 {
    let mut total = split_floor;
    for want in Case::wants(&case.whole) {
        let seen = (0..case.list.len()).filter(|slot| case.serves(*slot, want));
        let seen = match case.line {
            // The list is in order of cost per unit, so the first that can is the cheapest.
            Some(_) => seen.map(|slot| case.cost(slot, want)).next(),
            None => seen.map(|slot| case.cost(slot, want)).min(),
        };
        let least = seen.unwrap_or(i64::MAX).min(case.unseen_floor[want]);
        total = total.saturating_add(least);
    }
    let needed = case.shorts.iter().map(|short| {
        // The fewest nodes that have enough of it.
        let most = short.most.max(1);
        (case.units[short.want as usize] + most - 1) / most
    });
    let shipments = needed.max().unwrap_or(0).max(1);
    total.saturating_add(case.fixed_least().saturating_mul(shipments))
}

#[cfg(test)]
mod tests {
    use super::super::case::Candidate;
    use super::*;
    use crate::tariff::fares::Floor;

    #[test]
    fn a_node_whose_line_turns_out_to_begin_lower_lowers_what_an_order_costs_at_least() {
        let node =
            |once: i64, gram: i64| Candidate { carriage: Floor { once, gram }, ..Candidate::default() };
        let mut case = Case::default();
        (case.list, case.fixed_unlisted) = (vec![node(40, 1), node(50, 1)], i64::MAX);
        (case.units, case.unit_g) = (vec![2], vec![10]);
        case.begin_with(|_| 2);
        (case.unseen_floor, case.masks) = (vec![i64::MAX], vec![1, 1]);
        assert_eq!(floor(&case, 0), 40 + 20);
        // What this node could ship is lighter than the order: the line below that is steeper.
        case.list[0].carriage = Floor { once: 5, gram: 2 };
        assert_eq!(floor(&case, 0), 5 + 20);
    }
}
