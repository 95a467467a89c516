//! What days of nodes are taken: counted anew from all reservations, each time it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::catalogue::DayLoad;
use earmark_protocol::ids::{NodeIx, TimestampMs};
use earmark_protocol::reply::{Plan, RowView};

use super::{Model, Reservation, Wish};

/// Departures that are looked at for one whose day has room, and days ahead that may be taken.
const DEPARTURES: usize = 15;
const AHEAD: u32 = 56;
const DAY_MS: u64 = 86_400_000;

/// By node and day.
pub(crate) type Loads = BTreeMap<(NodeIx, u32), DayLoad>;

impl Model {
    /// What all reservations take.
    pub(crate) fn day_loads(&self) -> Loads {
        let mut loads = Loads::new();
        for reservation in self.reservations.values() {
            for (key, load) in loads_of(&reservation.rows, &reservation.plans) {
                let sum = loads.entry(key).or_default();
                sum.orders += load.orders;
                sum.lines += load.lines;
                sum.units += load.units;
            }
        }
        loads
    }

    /// When a node that has a limit ships, and on which day; `None` where none of its days has room for all that is wished.
    pub(super) fn ships_with_room(
        &self,
        wish: &Wish<'_>,
        node: NodeIx,
        now: TimestampMs,
    ) -> Option<(TimestampMs, u32)> {
        let limit = self.catalogue.nodes[node.0 as usize].spec.day_limit;
        let units = wish.lines.iter().map(|line| u64::from(line.quantity)).sum();
        let lines: BTreeSet<_> = wish.lines.iter().map(|line| line.line).collect();
        let wanted = DayLoad { orders: 1, lines: lines.len() as u32, units };
        let loads = self.day_loads();
        let last = (now.0 / DAY_MS) as u32 + AHEAD;
        let days =
            (0..DEPARTURES).map(|passed| self.ships_at(wish.tenant, node, wish.is_pickup(), now, passed));
        let mut days = days.map_while(|found| found.filter(|(_, day)| *day <= last));
        days.find(|(_, day)| has_room(limit, loads.get(&(node, *day)).copied().unwrap_or_default(), wanted))
    }

    /// Whether the days that a plan names have room for what it has them ship.
    pub(super) fn judge_days(&self, plan: &Plan) -> Result<(), String> {
        let loads = self.day_loads();
        for shipment in plan.shipments.iter().filter(|shipment| shipment.ship_day > 0) {
            let limit = self.catalogue.nodes[shipment.node.0 as usize].spec.day_limit;
            let taken = loads.get(&(shipment.node, shipment.ship_day)).copied().unwrap_or_default();
            let lines: BTreeSet<_> = shipment.lines.iter().map(|line| line.line).collect();
            let units = shipment.lines.iter().map(|line| u64::from(line.quantity)).sum();
            let more = DayLoad { orders: 1, lines: lines.len() as u32, units };
            if !has_room(limit, taken, more) {
                return Err(format!("{shipment:?} takes {more:?} of a day that has {taken:?} of {limit:?}"));
            }
        }
        Ok(())
    }

    /// Units that a row's day has room for; what the reservation itself took so far is counted as it is now.
    pub(super) fn room_of_day(&self, before: &Reservation, now: &Reservation, row: usize) -> i64 {
        let day = days_of(&now.plans).nth(row).unwrap_or(0);
        let key = (now.rows[row].node, day);
        let limit = self.catalogue.nodes[key.0.0 as usize].spec.day_limit.units;
        let limits = self.catalogue.nodes[key.0.0 as usize].spec.day_limit;
        let waits = now.rows[row].awaited + now.rows[row].backordered > 0;
        if day == 0 && waits && now.order.is_some() && limits != DayLoad::default() {
            return 0;
        }
        if day > 0 && units(&now.rows[row]) == 0 {
            return 0;
        }
        if day == 0 || limit == 0 {
            return i64::MAX;
        }
        let of = |loads: &Loads| loads.get(&key).map_or(0, |load| load.units as i64);
        let own = |of_one: &Reservation| of(&loads_of(&of_one.rows, &of_one.plans));
        (limit as i64 - (of(&self.day_loads()) - own(before) + own(now))).max(0)
    }
}

/// The day of each row: rows stand in the order of what plans ship.
fn days_of(plans: &[Plan]) -> impl Iterator<Item = u32> {
    let shipments = plans.iter().flat_map(|plan| &plan.shipments);
    shipments.flat_map(|shipment| shipment.lines.iter().map(|_| shipment.ship_day))
}

fn units(row: &RowView) -> u64 {
    [row.held, row.confirmed, row.dispatched, row.ready, row.shipped].map(u64::from).iter().sum()
}

/// What one reservation takes.
pub(super) fn loads_of(rows: &[RowView], plans: &[Plan]) -> Loads {
    let (mut loads, mut lines) = (Loads::new(), BTreeSet::new());
    for (row, day) in rows.iter().zip(days_of(plans)).filter(|(row, day)| *day > 0 && units(row) > 0) {
        let load = loads.entry((row.node, day)).or_default();
        load.orders = 1;
        load.lines += u32::from(lines.insert((row.node, day, row.line)));
        load.units += units(row);
    }
    loads
}

/// A day without any order has room for one.
pub(super) fn has_room(limit: DayLoad, taken: DayLoad, more: DayLoad) -> bool {
    taken.orders == 0
        || (limit.orders == 0 || taken.orders + more.orders <= limit.orders)
            && (limit.lines == 0 || taken.lines + more.lines <= limit.lines)
            && (limit.units == 0 || taken.units + more.units <= limit.units)
}
