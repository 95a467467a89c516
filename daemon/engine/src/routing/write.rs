//! Writing a decided node set down: which line goes from which cell, what each shipment costs, what is left unfilled.

use earmark_protocol::command::Order;
use earmark_protocol::ids::{Money, NodeIx, Segment};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Carriage, Plan, Shipment, ShipmentLine, Unfilled};

use super::case::{Candidate, Part};
use super::demand::{Demand, END};
use super::scope::Scope;
use super::{Pick, Proposal};
use crate::tariff::fares::{Fare, Goods};

/// Where a want's lines are served up to.
#[derive(Clone, Copy, Default)]
struct Cursor {
    line: u32,
    taken: u32,
}

/// Buffers of writing.
#[derive(Default)]
pub(crate) struct Writer {
    served: Vec<Part>,
    cursors: Vec<Cursor>,
}

impl Writer {
    /// The proposal that takes these parts from these candidates. Its epoch, bound and unfilled lines are the caller's.
    pub(crate) fn write(
        &mut self,
        scope: &Scope<'_>,
        order: &Order,
        demand: &Demand,
        list: &[Candidate],
        parts: &[Part],
    ) -> Proposal {
        self.served.clear();
        self.served.extend_from_slice(parts);
        self.served.sort_unstable_by_key(|part| (part.slot, part.want));
        self.cursors.clear();
        self.cursors.extend(demand.wants.iter().map(|want| Cursor { line: want.first, taken: 0 }));

        let mut picks = Vec::with_capacity(order.lines.len());
        let mut shipments = Vec::with_capacity(self.served.chunk_by(|a, b| a.slot == b.slot).count());
        let (mut total, mut price) = (Money(0), 0_i64);
        for of_slot in self.served.chunk_by(|a, b| a.slot == b.slot) {
            let candidate = &list[of_slot[0].slot as usize];
            let node = NodeIx(candidate.node);
            let mut lines = Vec::with_capacity(of_slot.len());
            let mut units_sum = 0;
            for Part { want, units, .. } in of_slot {
                units_sum += units;
                let unit = scope.price(demand.wants[*want as usize].sku, candidate.node);
                price = price.saturating_add(unit.saturating_mul(*units));
                draw(scope, demand, *want as usize, node, *units, |segment, units| {
                    let cursor = &mut self.cursors[*want as usize];
                    deal(order, demand, cursor, units, |line, quantity| {
                        let (line, sku) = (order.lines[line].line, order.lines[line].sku);
                        picks.push(Pick { line, sku, node, segment, quantity });
                        lines.push(ShipmentLine { line, sku, segment, quantity });
                    });
                });
            }
            let goods = of_slot.iter().fold(Goods::default(), |goods, part| {
                goods.and(demand.wants[part.want as usize].goods(part.units))
            });
            let (cost, fare) = scope.shipment(candidate, of_slot.len(), units_sum.unsigned_abs(), &goods);
            let carriage = fare.map(carriage);
            total = Money(total.0.saturating_add(cost.0));
            let policy_cost = Money(scope.extra(candidate.node));
            let ((ship_at_ms, ship_day), promise_at_ms) = (scope.ships(node), scope.promised_at(node));
            shipments.push(Shipment {
                node,
                miles: candidate.miles,
                cost,
                policy_cost,
                carriage,
                ship_at_ms,
                promise_at_ms,
                ship_day,
                supply_day: 0,
                lines,
            });
        }
        let plan = Plan { shipments, cost: total, price: Money(price), ..Plan::default() };
        Proposal { epoch: 0, picks, plan }
    }

    /// What is left of each line after [`Writer::write`], in the order of lines; `why` says a want's reason.
    pub(crate) fn unfilled(
        &self,
        order: &Order,
        demand: &Demand,
        why: impl Fn(usize) -> RefusalCode,
    ) -> Vec<Unfilled> {
        let mut left = Vec::new();
        for (want, cursor) in self.cursors.iter().enumerate() {
            let Cursor { line: mut at, mut taken } = *cursor;
            while at != END {
                let line = &order.lines[at as usize];
                if line.quantity > taken {
                    left.push((at, line.quantity - taken, why(want)));
                }
                (at, taken) = (demand.next[at as usize], 0);
            }
        }
        left.sort_unstable_by_key(|(at, ..)| *at);
        let unfilled = |(at, quantity, reason): (u32, u32, RefusalCode)| Unfilled {
            line: order.lines[at as usize].line,
            quantity,
            reason,
        };
        left.into_iter().map(unfilled).collect()
    }
}

/// What a carrier takes, as the client sees it.
pub(super) fn carriage(fare: Fare) -> Carriage {
    Carriage {
        service: fare.service,
        zone: fare.zone,
        transit_days: fare.transit_days,
        billable_g: fare.billable_g,
        freight: Money(fare.freight),
        surcharges: Money(fare.surcharges),
    }
}

/// Draws units of a want from a node's segments, in the channel's order.
fn draw(
    scope: &Scope<'_>,
    demand: &Demand,
    want: usize,
    node: NodeIx,
    units: i64,
    mut take: impl FnMut(Segment, u32),
) {
    let as_units = |units: i64| u32::try_from(units).unwrap_or(u32::MAX);
    let [first, others @ ..] = scope.segments else { return };
    if others.is_empty() {
        return take(*first, as_units(units));
    }
    let mut left = units;
    for segment in scope.segments {
        let there = scope.reader.available(demand.wants[want].sku, node, *segment).unwrap_or(0);
        let taken = i64::from(there.max(0)).min(left);
        if taken > 0 {
            take(*segment, as_units(taken));
            left -= taken;
        }
    }
    // Somebody took some since the node was chosen. The committer will see it, and have it repaired.
    if left > 0 {
        take(*first, as_units(left));
    }
}

/// Deals units out to a want's lines, from where it stopped last.
fn deal(order: &Order, demand: &Demand, cursor: &mut Cursor, units: u32, mut give: impl FnMut(usize, u32)) {
    let mut left = units;
    while left > 0 && cursor.line != END {
        let line = cursor.line as usize;
        let open = order.lines[line].quantity - cursor.taken;
        let given = open.min(left);
        if given > 0 {
            give(line, given);
        }
        left -= given;
        cursor.taken += given;
        if cursor.taken == order.lines[line].quantity {
            *cursor = Cursor { line: demand.next[line], taken: 0 };
        }
    }
}
