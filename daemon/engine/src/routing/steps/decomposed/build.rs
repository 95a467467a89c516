//! Plans put together node after node, by what wants that are left cost at least and what the nodes that are still to come do.

use super::super::counts::COUNTS_MAX;
use super::super::near::FAR;
use super::wants::{Holder, Want};
use super::{Order, Site, Values};
use crate::routing::case::{Budget, Part};
use crate::routing::parcels::Load;
use crate::routing::steps::offers::Shipment;

/// Most plans that are kept after a node, and most steps of plans that are remembered.
const BEGUN_MAX: usize = 1 << 20;
const TRAIL_MAX: usize = 1 << 21;
/// Steps of trying a shipment beside a plan, of keeping a plan, and of pricing what is left of a shipment.
const TRY_STEPS: usize = 12;
const KEEP_STEPS: usize = 60;
const PRICE_STEPS: usize = 80;

/// How many plans are kept after each node; how many shipments of the next one are put beside each of them, and tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Width {
    pub(super) plans: usize,
    pub(super) ways: usize,
    pub(super) tries: usize,
}

/// A plan of the nodes so far.
#[derive(Clone, Copy, Debug)]
struct Begun {
    /// What is left to be served, packed.
    rest: u128,
    cost: i64,
    priorities: u64,
    /// Its last shipment, by place in the trail; `u32::MAX` for none.
    last: u32,
}

/// A shipment of a plan, and the one before.
#[derive(Clone, Copy, Debug)]
struct Trail {
    before: u32,
    slot: u32,
    counts: u128,
}

/// Buffers, and the plan that was found.
#[derive(Default)]
pub(super) struct Builder {
    /// Nodes that could ship something, in the order in which they are looked at; and what those from each on cost at least beyond values.
    order: Vec<usize>,
    ahead: Vec<i64>,
    /// By count: what splits cost over these nodes, and the row of its table at the node at hand.
    wants: [Want; COUNTS_MAX],
    rows: [usize; COUNTS_MAX],
    begun: Vec<Begun>,
    next: Vec<Begun>,
    trail: Vec<Trail>,
    sorted: Vec<Shipment>,
    pub(super) parts: Vec<Part>,
    pub(super) open: Vec<u32>,
}

impl Builder {
    /// Puts all plans together that cost `known` at most, or some that go well; the cost of the cheapest, where there is one. `None` where
    /// that takes too much.
    pub(super) fn build(
        &mut self,
        (order, values): (Order<'_>, &Values),
        (sites, shipments): (&[Site], &[Shipment]),
        (known, width): (i64, Option<Width>),
        budget: &mut Budget,
    ) -> Option<Option<i64>> {
        self.lay_out((order, values), sites, budget)?;
        self.trail.clear();
        self.begun.clear();
        self.begun.push(Begun { rest: order.counts.full, cost: 0, priorities: 0, last: u32::MAX });
        for at in 0..self.order.len() {
            let node = self.order[at];
            self.sorted.clear();
            self.sorted.extend_from_slice(&shipments[sites[node].first..sites[node].end]);
            self.sorted.sort_unstable_by_key(|shipment| (shipment.beyond, shipment.counts));
            self.go_on(order, (at, &sites[node]), (known, width), budget)?;
        }
        let whole = self.begun.iter().filter(|begun| order.counts.is_served(begun.rest));
        let found = whole.min_by_key(|begun| (begun.cost, begun.priorities)).copied();
        Some(found.map(|begun| {
            self.trace(order, begun.last);
            begun.cost
        }))
    }

    /// Orders nodes, those first that are hard to do without, and fills in tables of what is left.
    fn lay_out(
        &mut self,
        (order, values): (Order<'_>, &Values),
        sites: &[Site],
        budget: &mut Budget,
    ) -> Option<()> {
        let Self { order: nodes, ahead, wants, rows, .. } = self;
        nodes.clear();
        nodes.extend((0..sites.len()).filter(|node| sites[*node].first < sites[*node].end));
        nodes.sort_by_key(|node| sites[*node].best.beyond);
        ahead.clear();
        ahead.resize(nodes.len() + 1, 0);
        for (at, node) in nodes.iter().enumerate().rev() {
            ahead[at] = ahead[at + 1] + sites[*node].best.beyond;
        }
        *rows = [0; COUNTS_MAX];
        for (at, count) in order.counts.list.iter().enumerate() {
            let want = &mut wants[at];
            want.need = if count.is_want() { count.most as usize } else { 0 };
            let holder = |node: &usize| {
                let choice = order.nodes[*node].choices.iter().find(|choice| choice.at == at)?;
                Some(Holder { node: *node, first: choice.first, there: choice.there })
            };
            want.holders.clear();
            want.holders.extend(nodes.iter().filter_map(holder));
            if !want.fill(values, budget) {
                return None;
            }
        }
        Some(())
    }

    /// What nodes from a place on, and all that is left, cost at least, by the rows at hand.
    fn least(&self, order: Order<'_>, at: usize, rows: &[usize; COUNTS_MAX], rest: u128) -> i64 {
        let of = order.counts.list.iter().zip(&self.wants).zip(rows).map(|((count, want), row)| {
            let left = count.of(rest);
            if count.is_want() {
                want.least[row * (want.need + 1) + left as usize]
            } else {
                order.shipment * left
            }
        });
        of.sum::<i64>() + self.ahead[at]
    }

    /// Goes on with each plan by each shipment of one more node, and without any.
    fn go_on(
        &mut self,
        order: Order<'_>,
        (at, site): (usize, &Site),
        (known, width): (i64, Option<Width>),
        budget: &mut Budget,
    ) -> Option<()> {
        let node = &order.nodes[self.order[at]];
        let (rows, mut next_rows) = (self.rows, self.rows);
        node.choices.iter().for_each(|choice| next_rows[choice.at] += 1);
        let begun = std::mem::take(&mut self.begun);
        self.next.clear();
        for before in &begun {
            let without = before.cost + self.least(order, at + 1, &next_rows, before.rest);
            if !site.is_needed && without <= known {
                self.next.push(*before);
            }
            let here = before.cost + self.least(order, at, &rows, before.rest) - site.best.beyond;
            let (mut tried, mut ways) = (0, 0);
            for place in 0..self.sorted.len() {
                let shipment = self.sorted[place];
                let is_enough = width.is_some_and(|width| ways == width.ways || tried == width.tries);
                if is_enough || here + shipment.beyond > known {
                    break;
                }
                tried += 1;
                let fits = order.counts.without(before.rest, shipment.counts);
                let fitted = match fits {
                    Some(rest) => Some((rest, shipment.counts, shipment.cost)),
                    None if width.is_some() => cut(order, node.slot, shipment.counts, before.rest, budget),
                    None => None,
                };
                let Some((rest, counts, cost)) = fitted else { continue };
                let cost = before.cost + cost;
                // Only what it has changes what the rest costs.
                let mut least = without - before.cost + cost;
                for choice in &node.choices {
                    let (was, is) = (choice.count.of(before.rest) as usize, choice.count.of(rest) as usize);
                    let want = &self.wants[choice.at];
                    let row = &want.least[next_rows[choice.at] * (want.need + 1)..];
                    least += row[is] - row[was];
                }
                least -= order.shipment;
                if least <= known {
                    ways += 1;
                    self.trail.push(Trail { before: before.last, slot: node.slot, counts });
                    let last = self.trail.len() as u32 - 1;
                    let priorities = before.priorities + node.priority;
                    self.next.push(Begun { rest, cost, priorities, last });
                }
            }
            let is_within = budget.afford(tried * TRY_STEPS + (ways + 1) * KEEP_STEPS);
            if !is_within || self.trail.len() > TRAIL_MAX || self.next.len() > BEGUN_MAX {
                return None;
            }
        }
        self.begun = begun;
        std::mem::swap(&mut self.begun, &mut self.next);
        self.rows = next_rows;
        self.keep_best(order, at + 1, width);
        Some(())
    }

    /// Keeps the cheapest of plans that leave the same, and of those that go best so many.
    fn keep_best(&mut self, order: Order<'_>, at: usize, width: Option<Width>) {
        let mut begun = std::mem::take(&mut self.begun);
        begun.sort_unstable_by_key(|begun| (begun.rest, begun.cost, begun.priorities, begun.last));
        begun.dedup_by_key(|begun| begun.rest);
        if let Some(width) = width.filter(|width| begun.len() > width.plans) {
            let least = |begun: &Begun| begun.cost + self.least(order, at, &self.rows, begun.rest);
            begun.sort_by_cached_key(|begun| (least(begun), begun.rest));
            begun.truncate(width.plans);
        }
        self.begun = begun;
    }

    /// Writes down which shipments a plan is made of.
    fn trace(&mut self, order: Order<'_>, last: u32) {
        self.parts.clear();
        self.open.clear();
        let mut next = last;
        while let Some(Trail { before, slot, counts }) = self.trail.get(next as usize).copied() {
            let parts = order.counts.list.iter().filter_map(|count| count.part(slot, count.of(counts)));
            self.parts.extend(parts);
            self.open.push(slot);
            next = before;
        }
    }
}

/// As much of a shipment as is left to be served: what is left then, what is shipped and what that costs.
fn cut(
    order: Order<'_>,
    slot: u32,
    counts: u128,
    rest: u128,
    budget: &mut Budget,
) -> Option<(u128, u128, i64)> {
    let (mut kept, mut load) = (0, Load::default());
    for count in &order.counts.list {
        let of = count.of(counts).min(count.of(rest));
        kept |= count.packed(of);
        load = count.part(slot, of).map_or(load, |part| load.and(order.carriers.load(&part)));
    }
    if load.is_empty() || !budget.afford(PRICE_STEPS) {
        return None;
    }
    // One more shipment has to be allowed.
    let is_allowed = order.counts.list.iter().all(|count| count.is_want() || count.of(kept) > 0);
    let cost = order.carriers.price(&order.case.list[slot as usize], &load);
    (is_allowed && cost < FAR).then(|| (order.counts.without(rest, kept).unwrap_or(rest), kept, cost))
}
