//! What a reservation takes of nodes' days. A row that has units, wherever they stand, is a line on the day on which its
//! shipment leaves; what a change of its rows takes or gives back is the difference.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::catalogue::DayLoad;
use earmark_protocol::ids::{LineId, NodeIx, Tenant};
use earmark_protocol::reply::Plan;

use crate::days::has_room;
use crate::record::Effect;
use crate::reservations::slot::RowValue;
use crate::state::State;

/// By node and day.
pub(crate) type Takes = BTreeMap<(NodeIx, u32), DayLoad>;

/// What rows with these days take.
pub(crate) fn takes(rows: &[RowValue], days: &[u32]) -> Takes {
    let of = |row: &RowValue| row.stages.iter().map(|units| u64::from(*units)).sum();
    sum(rows.iter().zip(days).map(|(row, day)| (row.place.node(), *day, row.line, of(row))))
}

/// What lines take: each with its node, its day, and its units.
pub(crate) fn sum(lines: impl Iterator<Item = (NodeIx, u32, LineId, u64)>) -> Takes {
    let (mut takes, mut seen) = (Takes::new(), BTreeSet::new());
    for (node, day, line, units) in lines.filter(|(_, day, _, units)| *day > 0 && *units > 0) {
        let taken = takes.entry((node, day)).or_default();
        taken.orders = 1;
        taken.lines += u32::from(seen.insert((node, day, line)));
        taken.units += units;
    }
    takes
}

/// What changes from these to those.
pub(crate) fn change(before: &Takes, after: &Takes, effects: &mut Vec<Effect>) {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let of = |takes: &Takes| takes.get(key).copied().unwrap_or_default();
        let (from, to) = (of(before), of(after));
        if from != to {
            let less = |from: u32, to: u32| to.cast_signed() - from.cast_signed();
            effects.push(Effect::Day {
                node: key.0,
                day: key.1,
                orders: less(from.orders, to.orders),
                lines: less(from.lines, to.lines),
                units: to.units.cast_signed() - from.units.cast_signed(),
            });
        }
    }
}

/// What a plan takes.
pub(crate) fn of_plan(plan: &Plan) -> Takes {
    let lines = plan.shipments.iter().flat_map(|shipment| {
        let line = |line: &earmark_protocol::reply::ShipmentLine| (line.line, u64::from(line.quantity));
        shipment.lines.iter().map(line).map(|(line, units)| (shipment.node, shipment.ship_day, line, units))
    });
    sum(lines)
}

/// Whether the days of a plan's shipments have room for them.
pub(crate) fn fit(state: &State, tenant: Tenant, plan: &Plan) -> bool {
    of_plan(plan).into_iter().all(|((node, day), more)| {
        let taken = state.shared.days.taken(node, day);
        state.node(tenant, node).is_some_and(|found| has_room(found.spec.day_limit, taken, more))
    })
}
