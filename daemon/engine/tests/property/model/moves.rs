//! Confirmed orders that move to other nodes, all of them or none. Prices, stock and days are counted anew for it.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::catalogue::DayLoad;
use earmark_protocol::command::{Move, Order, Placed};
use earmark_protocol::ids::{LineId, NodeIx, QUANTITY_MAX, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Reply, RowView, Shipment, ShipmentLine};

use super::reservations::{Stage, key_of_row};
use super::stock::too_large_at;
use super::{Decided, Model, Noes, Reservation, Wish, Wished, Yes};

/// What comes from where, by node and sku.
type Portions = BTreeMap<(NodeIx, SkuIx), i64>;

impl Model {
    pub(super) fn move_orders(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        wanted: &Move,
        seen: &Reply,
    ) -> Decided {
        let mut noes = Noes::default();
        noes.list(Field::Reservation, wanted.orders.len(), false, self.rules.lines_max);
        let (mut ids, mut orders) = (BTreeSet::new(), Vec::new());
        for (index, order) in wanted.orders.iter().enumerate().take(self.rules.lines_max) {
            if order.to.is_empty() {
                noes.at(RefusalCode::EmptyList, Field::Line, index);
            }
            if order.to.len() > self.rules.lines_max {
                let refusal = Refusal::of(RefusalCode::ListTooLong, Field::Line).at(index);
                noes.push(refusal.detail(self.rules.lines_max as i64));
            }
            if !ids.insert(order.reservation) {
                noes.at(RefusalCode::LineTwice, Field::Reservation, index);
            }
            for placed in &order.to {
                if placed.quantity == 0 {
                    noes.at(RefusalCode::QuantityZero, Field::Quantity, index);
                }
                if placed.quantity > QUANTITY_MAX {
                    noes.push(too_large_at(index));
                }
                if self.catalogue.node(tenant, placed.node).is_none() {
                    noes.at(RefusalCode::UnknownNode, Field::Node, index);
                }
            }
            // The answer says of one of them at most that it is forgotten.
            let is_meant = match seen {
                Reply::Refused(refused) => refused.refusal.index == Some(index as u32),
                _ => true,
            };
            let found = if is_meant {
                self.find(tenant, order.reservation, seen)?
            } else {
                self.reservations.get(&(tenant, order.reservation)).cloned()
            };
            match found {
                None => noes.at(RefusalCode::UnknownReservation, Field::Reservation, index),
                Some(reservation) => {
                    judge_order(&mut noes, &reservation, &order.to, index);
                    orders.push((reservation, &order.to));
                }
            }
        }
        if let Some(refusal) = noes.first() {
            return Ok(Err(refusal));
        }
        let before = self.clone();
        for (reservation, _) in &orders {
            for row in reservation.rows.iter().filter(|row| row.confirmed > 0) {
                self.give_back(now, key_of_row(row), Stage::Confirmed, row.confirmed);
            }
        }
        let decided = before.judge_move(self, tenant, wanted, &orders, seen);
        let plans = match decided {
            Ok(Ok(plans)) => plans,
            Ok(Err(refusal)) => {
                *self = before;
                return Ok(Err(refusal));
            }
            Err(why) => {
                *self = before;
                return Err(why);
            }
        };
        let (mut touched, mut moved) = (BTreeSet::new(), 0);
        for (((mut reservation, _), plan), order) in orders.into_iter().zip(&plans).zip(&wanted.orders) {
            let mut had: BTreeMap<_, u32> = BTreeMap::new();
            for row in reservation.rows.iter_mut().filter(|row| row.confirmed > 0) {
                touched.insert(key_of_row(row));
                *had.entry((row.line, key_of_row(row))).or_default() += std::mem::take(&mut row.confirmed);
            }
            for (node, line) in lines_of(plan) {
                let ShipmentLine { line, sku, segment, quantity } = *line;
                let row = RowView { line, sku, node, segment, confirmed: quantity, ..RowView::default() };
                let key = key_of_row(&row);
                self.stock.cell(&key).allocated += i64::from(quantity);
                touched.insert(key);
                let stays = had.entry((line, key)).or_default();
                let left = quantity.min(*stays);
                *stays -= left;
                moved += u64::from(quantity - left);
                reservation.rows.push(row);
            }
            reservation.plans.push(plan.clone());
            self.reservations.insert((tenant, order.reservation), reservation);
        }
        Ok(Ok(Yes { moved, short: self.stock.short(&touched), plans, ..Yes::default() }))
    }

    /// The plans that a move may have been given, or why it must have been refused. `self` is as it was before it, `free` has what
    /// the orders have given back in stock.
    fn judge_move(
        &self,
        free: &Self,
        tenant: Tenant,
        wanted: &Move,
        orders: &[(Reservation, &Vec<Placed>)],
        seen: &Reply,
    ) -> Result<Result<Vec<Plan>, Refusal>, String> {
        let given: Vec<&Plan> = match seen {
            Reply::Done(done) => done.plans.iter().collect(),
            _ => Vec::new(),
        };
        let (mut noes, mut stock, mut saved) = (Noes::default(), free.stock.clone(), 0);
        let mut loads = self.day_loads();
        for (reservation, _) in orders {
            for (key, load) in super::days::loads_of(&reservation.rows, &reservation.plans) {
                let sum = loads.get_mut(&key).expect("it is in the sum");
                sum.orders -= load.orders;
                sum.lines -= load.lines;
                sum.units -= load.units;
            }
        }
        let mut day_is_full = None;
        for (index, (reservation, to)) in orders.iter().enumerate() {
            let order = reservation.order.as_ref().expect("it was routed");
            let wish = wish_of(tenant, order, reservation);
            let from = portions(
                reservation.rows.iter().map(|row| (row.node, row.sku, row.confirmed)).filter(|row| row.2 > 0),
            );
            let after = portions(to.iter().map(|placed| (placed.node, placed.sku, placed.quantity)));
            let mut named = Noes::default();
            self.judge_named_nodes(&mut named, &wish);
            let may = |(node, sku): &(NodeIx, SkuIx)| self.nodes_for(&wish, *sku).contains(node);
            if named.first().is_some() || !after.keys().all(may) {
                noes.at(RefusalCode::NoNode, Field::Line, index);
            }
            if is_more_split(&from, &after) {
                let most = nodes_of(&from).len() as i64;
                noes.push(
                    Refusal::of(RefusalCode::TooManyShipments, Field::Shipments).at(index).detail(most),
                );
            }
            let saves = self.cost_of(&wish, &from) - self.cost_of(&wish, &after);
            saved += saves;
            let segments = &self.rules.channels[usize::from(order.channel.0)];
            let drawn = draw(&mut stock, segments, to);
            let shipments = match drawn {
                Ok(shipments) => shipments,
                Err(there) => {
                    noes.push(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(index).detail(there));
                    continue;
                }
            };
            let mut is_later = false;
            for (node, lines) in &shipments {
                let Some((leaves, day)) = self.ships(&wish, *node, self.now) else { continue };
                for line in lines {
                    is_later |= said_of(reservation, line).is_some_and(|said| leaves.0 == 0 || leaves > said);
                }
                if day > 0 && day_is_full.is_none() {
                    let limit = self.catalogue.nodes[node.0 as usize].spec.day_limit;
                    let units = lines.iter().map(|line| u64::from(line.quantity)).sum();
                    let ids: BTreeSet<_> = lines.iter().map(|line| line.line).collect();
                    let more = DayLoad { orders: 1, lines: ids.len() as u32, units };
                    let sum = loads.entry((*node, day)).or_default();
                    if super::days::has_room(limit, *sum, more) {
                        sum.orders += more.orders;
                        sum.lines += more.lines;
                        sum.units += more.units;
                    } else {
                        day_is_full = Some(index);
                    }
                }
            }
            if is_later {
                noes.at(RefusalCode::NotBetter, Field::Line, index);
            }
            if let Some(plan) = given.get(index) {
                let planned: Vec<_> =
                    plan.shipments.iter().map(|shipment| (shipment.node, shipment.lines.clone())).collect();
                if planned != shipments || plan.saved.map(|saved| saved.0) != Some(saves) {
                    return Err(format!("{shipments:?} saves {saves}, and {plan:?} says otherwise"));
                }
                self.judge_price(&wish, plan)?;
            }
        }
        if let Some(index) = day_is_full {
            noes.at(RefusalCode::DayFull, Field::Line, index);
        }
        if saved < wanted.saves.0.max(1) {
            noes.push(Refusal::of(RefusalCode::NotBetter, Field::Whole).detail(saved));
        }
        match noes.first() {
            Some(refusal) => Ok(Err(refusal)),
            None if super::refused_with(seen, RefusalCode::CapacityReached) => {
                self.full_for_a_plan(seen).map(Err)
            }
            None if given.len() != orders.len() => Err(format!("{} orders can be moved", orders.len())),
            None => Ok(Ok(given.into_iter().cloned().collect())),
        }
    }

    fn cost_of(&self, wish: &Wish<'_>, portions: &Portions) -> i64 {
        let of = |node: NodeIx| {
            let parts =
                portions.iter().filter(|((at, _), _)| *at == node).map(|((_, sku), units)| (*sku, *units));
            self.parcel_cost(wish, node, &parts.collect::<Vec<_>>())
        };
        nodes_of(portions).into_iter().map(of).sum()
    }
}

/// All of a reservation must be confirmed and stay what it is.
fn judge_order(noes: &mut Noes, reservation: &Reservation, to: &[Placed], index: usize) {
    let is_line =
        |placed: &Placed| reservation.rows.iter().any(|row| (row.line, row.sku) == (placed.line, placed.sku));
    if !to.iter().all(is_line) {
        noes.at(RefusalCode::UnknownLine, Field::Line, index);
    }
    if reservation.order.is_none() {
        noes.at(RefusalCode::NoNode, Field::Delivery, index);
    }
    let mut confirmed: BTreeMap<(LineId, SkuIx), u64> = BTreeMap::new();
    let mut asked = BTreeMap::new();
    for row in reservation.rows.iter().filter(|row| row.confirmed > 0) {
        *confirmed.entry((row.line, row.sku)).or_default() += u64::from(row.confirmed);
    }
    for placed in to {
        *asked.entry((placed.line, placed.sku)).or_default() += u64::from(placed.quantity);
    }
    let elsewhere = |row: &RowView| {
        row.held + row.dispatched + row.ready + row.shipped + row.awaited + row.backordered > 0
    };
    if confirmed.is_empty() || reservation.rows.iter().any(elsewhere) {
        let status = reservation.status() as i64;
        noes.push(Refusal::of(RefusalCode::WrongStatus, Field::Reservation).at(index).detail(status));
    } else if confirmed != asked {
        let mut wrong = confirmed.iter().filter(|(of, units)| asked.get(of) != Some(units));
        let there = wrong.next().map_or(0, |(_, units)| *units as i64);
        noes.push(Refusal::of(RefusalCode::NotEnough, Field::Quantity).at(index).detail(there));
    }
}

fn wish_of<'a>(tenant: Tenant, order: &'a Order, reservation: &Reservation) -> Wish<'a> {
    let mut lines: BTreeMap<(LineId, SkuIx), u32> = BTreeMap::new();
    for row in reservation.rows.iter().filter(|row| row.confirmed > 0) {
        *lines.entry((row.line, row.sku)).or_default() += row.confirmed;
    }
    let lines = lines.into_iter().map(|((line, sku), quantity)| Wished { line, sku, quantity }).collect();
    Wish { tenant, order, lines, without: None, best_effort: false }
}

fn portions(units: impl Iterator<Item = (NodeIx, SkuIx, u32)>) -> Portions {
    let mut portions = Portions::new();
    for (node, sku, units) in units {
        *portions.entry((node, sku)).or_default() += i64::from(units);
    }
    portions
}

fn nodes_of(portions: &Portions) -> BTreeSet<NodeIx> {
    portions.keys().map(|(node, _)| *node).collect()
}

fn is_more_split(from: &Portions, to: &Portions) -> bool {
    let of_sku = |of: &Portions, sku: SkuIx| of.keys().filter(|(_, of)| *of == sku).count();
    nodes_of(to).len() > nodes_of(from).len()
        || to.keys().any(|(_, sku)| of_sku(to, *sku) > of_sku(from, *sku))
}

/// Takes what is placed, node by node and line by line; what there is of the first that is short.
fn draw(
    stock: &mut super::stock::Stock,
    segments: &[u16],
    to: &[Placed],
) -> Result<Vec<(NodeIx, Vec<ShipmentLine>)>, i64> {
    let mut placed: BTreeMap<(NodeIx, LineId, SkuIx), i64> = BTreeMap::new();
    for part in to {
        *placed.entry((part.node, part.line, part.sku)).or_default() += i64::from(part.quantity);
    }
    let mut shipments = Vec::<(NodeIx, Vec<ShipmentLine>)>::new();
    for ((node, line, sku), units) in placed {
        if shipments.last().is_none_or(|(last, _)| *last != node) {
            shipments.push((node, Vec::new()));
        }
        let mut left = units;
        for segment in segments {
            let key = (sku, node, Segment(*segment));
            let taken = stock.available(&key).clamp(0, left);
            if taken > 0 {
                stock.cell(&key).allocated += taken;
                left -= taken;
                let (segment, quantity) = (key.2, taken as u32);
                let lines = &mut shipments.last_mut().expect("it was pushed").1;
                lines.push(ShipmentLine { line, sku, segment, quantity });
            }
        }
        if left > 0 {
            return Err(units - left);
        }
    }
    Ok(shipments)
}

/// When the last of a line was said to leave, or to be ready, where that was said of any of it.
fn said_of(reservation: &Reservation, line: &ShipmentLine) -> Option<TimestampMs> {
    let of = |shipment: &Shipment| vec![shipment.ship_at_ms; shipment.lines.len()];
    let said = reservation.plans.iter().flat_map(|plan| plan.shipments.iter().flat_map(of));
    let rows = reservation.rows.iter().zip(said);
    let of_line = rows.filter(|(row, _)| row.confirmed > 0 && (row.line, row.sku) == (line.line, line.sku));
    of_line.map(|(_, said)| said).max().filter(|said| said.0 > 0)
}

fn lines_of(plan: &Plan) -> impl Iterator<Item = (NodeIx, &ShipmentLine)> {
    plan.shipments.iter().flat_map(|shipment| shipment.lines.iter().map(|line| (shipment.node, line)))
}
