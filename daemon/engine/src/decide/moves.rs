//! Moves: confirmed orders served from other nodes for less, all in one step.
//!
//! Whether a move may be is judged by what a reader sees, so that whoever looks for moves asks the same as the committer, which
//! has the last word.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::command::{Move, MoveOrder, Order, Placed};
use earmark_protocol::ids::{LineId, Money, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, ReservationView, RowView, ShipmentLine, Status};

use super::check::{self, First};
use super::days::{self, Takes};
use super::draft::Draft;
use super::hold::Claim;
use super::known::plans_text;
use super::{Decision, Verdict};
use crate::Reader;
use crate::days::has_room;
use crate::facts::Facts;
use crate::inventory::Place;
use crate::outcomes::CompactReply;
use crate::record::{Effect, Stage};
use crate::routing::{Arranged, Planner, Portion, Rest};
use crate::state::State;

/// What a move comes to.
pub(crate) struct Judged {
    /// What the orders cost less together.
    pub(crate) saved: Money,
    orders: Vec<Moved>,
    /// Units that come from another cell than before.
    moved: u64,
    /// Units that cells it touches are short afterwards.
    short: u64,
}

/// What becomes of one order.
struct Moved {
    view: ReservationView,
    plan: Plan,
}

/// Decides a move.
pub(crate) fn decide(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    wanted: &Move,
    decision: &mut Decision,
) -> Result<Verdict, Refusal> {
    let judged = judge(&state.reader(), decision.planner.at(now), tenant, wanted)?;
    let Judged { orders, moved, short, .. } = judged;
    let plans: Vec<Plan> = orders.iter().map(|order| order.plan.clone()).collect();
    let texts: Vec<Vec<u8>> = orders.iter().map(Moved::facts).collect();
    let rows: Vec<usize> = orders.iter().map(|of| of.view.rows.len() + lines_of(&of.plan).count()).collect();
    let lens: Vec<usize> = texts.iter().map(Vec::len).chain([plans_text(&plans).len()]).collect();
    let full = |field| Refusal::of(RefusalCode::CapacityReached, field);
    if !state.reservations.all_rows_fit(&rows) {
        return Err(full(Field::CapacityLines));
    }
    if !state.texts.fits(&lens) {
        return Err(full(Field::CapacityFacts));
    }
    for (Moved { view, plan }, text) in orders.iter().zip(texts) {
        let mut draft = Draft::of(state, tenant, &view.id, &mut decision.record.effects)?;
        for row in 0..draft.rows.len() {
            draft.shift(row, Stage::Confirmed, Stage::Free, draft.rows[row].units(Stage::Confirmed));
        }
        draft.plan_rows(plan);
        draft.also(Effect::Widen { rows: lines_of(plan).count() as u16 }, None);
        for (node, line) in lines_of(plan) {
            let ShipmentLine { line, sku, segment, quantity } = *line;
            let place = Place::new(node, segment);
            let cell = state.inventory.inventory.find(sku, place).expect("units were drawn from it");
            let claim = Claim { line, sku, place, cell, quantity, supply_day: None };
            draft.claim(&claim, Stage::Confirmed, quantity);
        }
        draft.also(Effect::Facts { text }, None);
        draft.settle(Status::Cancelled);
    }
    let reply = CompactReply::Done { status: None, deadline: TimestampMs(0), moved, short };
    Ok(Verdict::Done { reply, plans })
}

impl Moved {
    fn facts(&self) -> Vec<u8> {
        let plans = self.view.plans.iter().chain([&self.plan]).cloned().collect();
        Facts { order: self.view.order.clone(), plans }.to_bytes()
    }
}

fn lines_of(plan: &Plan) -> impl Iterator<Item = (NodeIx, &ShipmentLine)> {
    plan.shipments.iter().flat_map(|shipment| shipment.lines.iter().map(|line| (shipment.node, line)))
}

/// What is confirmed of a reservation, as an order, where it was routed and nothing of it stands anywhere else.
pub(crate) fn order_of(reader: &Reader, view: &ReservationView) -> Option<Rest> {
    let confirmed = confirmed_of(view)?;
    let units = confirmed.into_iter().map(|((line, sku), units)| (line, sku, u64::from(units)));
    Rest::of(&reader.nodes(), view.order.clone()?, units)
}

/// What is confirmed of each line and sku; `None` where nothing is, or something is not.
fn confirmed_of(view: &ReservationView) -> Option<BTreeMap<(LineId, SkuIx), u32>> {
    let mut confirmed = BTreeMap::new();
    for row in &view.rows {
        let RowView { held, dispatched, ready, shipped, awaited, backordered, .. } = *row;
        if [held, dispatched, ready, shipped, awaited, backordered].iter().any(|units| *units > 0) {
            return None;
        }
        if row.confirmed > 0 {
            *confirmed.entry((row.line, row.sku)).or_default() += row.confirmed;
        }
    }
    Some(confirmed).filter(|confirmed| !confirmed.is_empty())
}

/// Where units of a reservation are.
pub(crate) fn portions_of(view: &ReservationView) -> Vec<Portion> {
    let taken = view.rows.iter().filter(|row| row.confirmed > 0);
    summed(taken.map(|row| (row.sku, row.node, row.confirmed)))
}

fn summed(units: impl Iterator<Item = (SkuIx, NodeIx, u32)>) -> Vec<Portion> {
    let mut sums: BTreeMap<(NodeIx, SkuIx), i64> = BTreeMap::new();
    for (sku, node, units) in units {
        *sums.entry((node, sku)).or_default() += i64::from(units);
    }
    sums.into_iter().map(|((node, sku), units)| Portion { sku, node, units }).collect()
}

/// Says what a move would come to, or why it may not be.
pub(crate) fn judge(
    reader: &Reader,
    planner: &mut Planner,
    tenant: Tenant,
    wanted: &Move,
) -> Result<Judged, Refusal> {
    let views = find(reader, tenant, wanted)?;
    let mut stock = Stock::beside(reader, &views);
    let (mut first, mut saved, mut moved) = (First::default(), 0_i64, 0_u64);
    let mut orders = Vec::with_capacity(views.len());
    let mut kept: Vec<(usize, Order, Portion)> = Vec::new();
    for ((index, view), MoveOrder { to, .. }) in views.into_iter().enumerate().zip(&wanted.orders) {
        let rest = order_of(reader, &view).expect("what was found can be moved");
        let from = portions_of(&view);
        let portions = summed(to.iter().map(|placed| (placed.sku, placed.node, placed.quantity)));
        let before = planner.arrange(reader, tenant, &rest, &from).map_err(|refusal| refusal.at(index))?;
        let after = planner.arrange(reader, tenant, &rest, &portions).map_err(|refusal| refusal.at(index))?;
        let Arranged { mut plan, is_legal, keeps } = after;
        if !is_legal {
            first.consider(Refusal::of(RefusalCode::NoNode, Field::Line).at(index));
        }
        if is_more_split(&from, &portions) {
            let most = before.plan.shipments.len() as i64;
            let refusal = Refusal::of(RefusalCode::TooManyShipments, Field::Shipments);
            first.consider(refusal.at(index).detail(most));
        }
        let saves = before.plan.cost.0.saturating_sub(plan.cost.0);
        (saved, plan.saved) = (saved.saturating_add(saves), Some(Money(saves)));
        // What is sent instead of what was ordered stays so.
        plan.substituted = view.plans.first().map_or_else(Vec::new, |plan| plan.substituted.clone());
        let drawn = stock.draw(reader, &rest.order, to, &mut plan);
        first.take(drawn.map_err(|refusal| refusal.at(index)));
        // What went by lesser services, since a rule gave way, has a cost that no rule would allow now. And another version may
        // know nothing of services that an order was promised.
        let is_bound = |before: &Plan| {
            let gave_way = before.upgrades.iter().any(|upgrade| upgrade.gave_way);
            gave_way || !before.upgrades.is_empty() && before.policy != plan.policy
        };
        if view.plans.iter().any(is_bound) {
            first.consider(Refusal::of(RefusalCode::NoService, Field::Service).at(index));
        }
        if is_later(&view, &plan) {
            first.consider(Refusal::of(RefusalCode::NotBetter, Field::Line).at(index));
        }
        let is_more = |portion: &Portion| {
            let same = |other: &&Portion| (other.sku, other.node) == (portion.sku, portion.node);
            let units = |of: &[Portion]| of.iter().find(same).map_or(0, |portion| portion.units);
            units(&portions) > units(&from)
        };
        kept.extend(keeps.into_iter().filter(is_more).map(|keeps| (index, rest.order.clone(), keeps)));
        moved += units_elsewhere(&view, &plan);
        orders.push(Moved { view, plan });
    }
    for (index, order, keeps) in kept.iter().filter(|(.., keeps)| keeps.units > 0) {
        if stock.of_node(reader, order, keeps.sku, keeps.node) < keeps.units {
            first.consider(Refusal::of(RefusalCode::NoNode, Field::Line).at(*index));
        }
    }
    if let Some(index) = day_over(reader, tenant, &orders) {
        first.consider(Refusal::of(RefusalCode::DayFull, Field::Line).at(index));
    }
    if saved < wanted.saves.0.max(1) {
        first.consider(Refusal::of(RefusalCode::NotBetter, Field::Whole).detail(saved));
    }
    first.done()?;
    Ok(Judged { saved: Money(saved), orders, moved, short: stock.short() })
}

/// The reservations of a move, where each is named once, can be moved, and keeps its lines.
fn find(reader: &Reader, tenant: Tenant, wanted: &Move) -> Result<Vec<ReservationView>, Refusal> {
    let (rules, nodes) = (reader.rules(), reader.nodes());
    let lines_max = rules.lines_max as usize;
    let mut first = First::default();
    first.take(check::list_len(rules, wanted.orders.len(), Field::Reservation));
    let (mut views, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, MoveOrder { reservation, to }) in wanted.orders.iter().enumerate().take(lines_max) {
        let no = |code, field| Refusal::of(code, field).at(index);
        first.take(check::list_len(rules, to.len(), Field::Line).map_err(|refusal| refusal.at(index)));
        if !seen.insert(*reservation) {
            first.consider(no(RefusalCode::LineTwice, Field::Reservation));
        }
        for placed in to.iter().take(lines_max) {
            first.take(check::quantity(placed.quantity).map_err(|refusal| refusal.at(index)));
            if nodes.get(tenant, placed.node).is_none() {
                first.consider(no(RefusalCode::UnknownNode, Field::Node));
            }
        }
        let Some(view) = reader.show(tenant, reservation) else {
            first.consider(no(RefusalCode::UnknownReservation, Field::Reservation));
            continue;
        };
        let is_line =
            |placed: &Placed| view.rows.iter().any(|row| (row.line, row.sku) == (placed.line, placed.sku));
        if !to.iter().take(lines_max).all(is_line) {
            first.consider(no(RefusalCode::UnknownLine, Field::Line));
        }
        if view.order.is_none() {
            first.consider(no(RefusalCode::NoNode, Field::Delivery));
        }
        match confirmed_of(&view) {
            None => {
                let status = view.status as i64;
                first.consider(no(RefusalCode::WrongStatus, Field::Reservation).detail(status));
            }
            Some(confirmed) => {
                let mut asked: BTreeMap<(LineId, SkuIx), u64> = BTreeMap::new();
                for placed in to {
                    *asked.entry((placed.line, placed.sku)).or_default() += u64::from(placed.quantity);
                }
                let differs = confirmed
                    .iter()
                    .find(|(of, units)| asked.get(*of).copied().unwrap_or(0) != u64::from(**units));
                if let Some((_, units)) = differs {
                    first.consider(no(RefusalCode::NotEnough, Field::Quantity).detail(i64::from(*units)));
                } else if asked.len() > confirmed.len() {
                    first.consider(no(RefusalCode::NotEnough, Field::Quantity));
                }
            }
        }
        views.push(view);
    }
    first.done().map(|()| views)
}

/// Whether an order has more shipments than before, or a sku comes from more nodes.
fn is_more_split(from: &[Portion], to: &[Portion]) -> bool {
    let nodes = |of: &[Portion]| of.iter().map(|portion| portion.node).collect::<BTreeSet<_>>().len();
    let of_sku = |of: &[Portion], sku| of.iter().filter(|portion| portion.sku == sku).count();
    nodes(to) > nodes(from)
        || to.iter().any(|portion| of_sku(to, portion.sku) > of_sku(from, portion.sku).max(1))
}

/// Whether some line would be there later than was said, or leave later where nothing else was said.
fn is_later(view: &ReservationView, plan: &Plan) -> bool {
    let times = |plan: &Plan| -> Vec<(LineId, SkuIx, TimestampMs, TimestampMs)> {
        let of = |shipment: &earmark_protocol::reply::Shipment| {
            let (leaves, arrives) = (shipment.ship_at_ms, shipment.promise_at_ms);
            let line = move |line: &ShipmentLine| (line.line, line.sku, leaves, arrives);
            shipment.lines.iter().map(line).collect::<Vec<_>>()
        };
        plan.shipments.iter().flat_map(of).collect()
    };
    // Rows lie in the order of the lines of all plans.
    let said: Vec<_> = view.plans.iter().flat_map(times).collect();
    let said: Vec<_> =
        view.rows.iter().zip(&said).filter(|(row, _)| row.confirmed > 0).map(|(_, said)| *said).collect();
    let is_after = |then: TimestampMs, now: TimestampMs| now.0 == 0 || now > then;
    times(plan).into_iter().any(|(line, sku, leaves, arrives)| {
        let of_line = || said.iter().filter(|said| (said.0, said.1) == (line, sku));
        // Where parts of a line were promised for several days, for none of them later than the first.
        let said_leaves = of_line().map(|said| said.2).min().unwrap_or_default();
        let said_arrives = of_line().map(|said| said.3).min().unwrap_or_default();
        match (said_leaves.0, said_arrives.0) {
            (0, 0) => false,
            (_, 0) => is_after(said_leaves, leaves),
            _ => is_after(said_arrives, arrives),
        }
    })
}

/// Units that come from another cell than before.
fn units_elsewhere(view: &ReservationView, plan: &Plan) -> u64 {
    let mut before: BTreeMap<(LineId, SkuIx, NodeIx, Segment), u32> = BTreeMap::new();
    for row in &view.rows {
        *before.entry((row.line, row.sku, row.node, row.segment)).or_default() += row.confirmed;
    }
    let of = |(node, line): (NodeIx, &ShipmentLine)| {
        let there = before.entry((line.line, line.sku, node, line.segment)).or_default();
        let stays = line.quantity.min(*there);
        *there -= stays;
        u64::from(line.quantity - stays)
    };
    lines_of(plan).map(of).sum()
}

/// The first order of which a day has no room, once what all of them take of days now is given back.
fn day_over(reader: &Reader, tenant: Tenant, orders: &[Moved]) -> Option<usize> {
    let nodes = reader.nodes();
    let days_of = |view: &ReservationView| -> Takes {
        let days = view.plans.iter().flat_map(crate::facts::days_of);
        let lines = view.rows.iter().zip(days);
        days::sum(lines.map(|(row, day)| (row.node, day, row.line, u64::from(row.confirmed))))
    };
    let given_back: Vec<Takes> = orders.iter().map(|order| days_of(&order.view)).collect();
    let mut taken = Takes::new();
    for (index, order) in orders.iter().enumerate() {
        for ((node, day), more) in days::of_plan(&order.plan) {
            let taken = taken.entry((node, day)).or_insert_with(|| {
                let mut taken = reader.taken_of(node, day);
                for back in given_back.iter().filter_map(|takes| takes.get(&(node, day))) {
                    taken.orders = taken.orders.saturating_sub(back.orders);
                    taken.lines = taken.lines.saturating_sub(back.lines);
                    taken.units = taken.units.saturating_sub(back.units);
                }
                taken
            });
            if !nodes.get(tenant, node).is_some_and(|found| has_room(found.spec.day_limit, *taken, more)) {
                return Some(index);
            }
            taken.orders += more.orders;
            taken.lines += more.lines;
            taken.units += more.units;
        }
    }
    None
}

/// What cells can promise while orders move: all of these orders have given back what they had.
struct Stock {
    left: BTreeMap<(SkuIx, Place), i64>,
}

impl Stock {
    fn beside(reader: &Reader, views: &[ReservationView]) -> Self {
        let mut stock = Self { left: BTreeMap::new() };
        for row in views.iter().flat_map(|view| &view.rows).filter(|row| row.confirmed > 0) {
            let place = Place::new(row.node, row.segment);
            *stock.left.entry((row.sku, place)).or_insert_with(|| there(reader, row.sku, place)) +=
                i64::from(row.confirmed);
        }
        stock
    }

    fn of(&self, reader: &Reader, sku: SkuIx, place: Place) -> i64 {
        self.left.get(&(sku, place)).copied().unwrap_or_else(|| there(reader, sku, place)).max(0)
    }

    /// What a node has over the segments of the order's channel.
    fn of_node(&self, reader: &Reader, order: &Order, sku: SkuIx, node: NodeIx) -> i64 {
        let segments = segments_of(reader, order);
        segments.iter().map(|segment| self.of(reader, sku, Place::new(node, *segment))).sum()
    }

    /// Writes into a plan from which segments each of its shipments takes what is placed there, in the channel's order.
    fn draw(
        &mut self,
        reader: &Reader,
        order: &Order,
        to: &[Placed],
        plan: &mut Plan,
    ) -> Result<(), Refusal> {
        let mut placed: BTreeMap<(NodeIx, LineId, SkuIx), i64> = BTreeMap::new();
        for Placed { line, sku, node, quantity } in to {
            *placed.entry((*node, *line, *sku)).or_default() += i64::from(*quantity);
        }
        for shipment in &mut plan.shipments {
            let node = shipment.node;
            shipment.lines.clear();
            for ((_, line, sku), units) in placed.iter().filter(|((at, ..), _)| *at == node) {
                let (line, sku, mut wanted) = (*line, *sku, *units);
                for segment in segments_of(reader, order) {
                    let place = Place::new(node, *segment);
                    let taken = self.of(reader, sku, place).min(wanted);
                    if taken > 0 {
                        *self.left.entry((sku, place)).or_insert_with(|| there(reader, sku, place)) -= taken;
                        wanted -= taken;
                        let quantity = taken as u32;
                        shipment.lines.push(ShipmentLine { line, sku, segment: *segment, quantity });
                    }
                }
                if wanted > 0 {
                    let refusal = Refusal::of(RefusalCode::OutOfStock, Field::Line);
                    return Err(refusal.detail(units - wanted));
                }
            }
        }
        Ok(())
    }

    /// Units that the cells that were touched are short.
    fn short(&self) -> u64 {
        self.left.values().map(|left| left.min(&0).unsigned_abs()).sum()
    }
}

fn there(reader: &Reader, sku: SkuIx, place: Place) -> i64 {
    i64::from(reader.available(sku, place.node(), place.segment()).unwrap_or(0))
}

fn segments_of<'a>(reader: &'a Reader, order: &Order) -> &'a [Segment] {
    reader.rules().channels.get(usize::from(order.channel.0)).map_or(&[], Vec::as_slice)
}
