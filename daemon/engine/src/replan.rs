//! Confirmed orders, looked at again: which of them could be served for less now, alone or by taking each other's places.
//!
//! It reads beside the writer and changes nothing. What it finds is a [`Move`], judged as the committer will judge it.

use std::collections::{HashMap, VecDeque};

use earmark_protocol::command::{Move, MoveOrder, Placed};
use earmark_protocol::ids::{CommandId, Money, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::reply::{ReservationView, Saving};

use crate::Reader;
use crate::decide::moves::{judge, order_of, portions_of};
use crate::inventory::Place;
use crate::reader::Passed;
use crate::routing::{Planner, Portion, Proposal, Rest};

/// Slots that are passed in one look at most: some hundred microseconds.
const SLOTS_MAX: u32 = 4_096;
/// Orders of more lines are left where they are: planning one takes as long as hundreds of others.
const LINES_MAX: usize = 64;
/// Of each sku, so many orders that were looked at last may change places with one that has it.
const PARTNERS_OF_SKU: usize = 8;
/// An order is looked at beside so many others at most.
const PARTNERS: usize = 16;
/// Skus whose orders are remembered.
const SKUS_MAX: usize = 65_536;

/// Looks for moves that save something.
#[derive(Default)]
pub struct Replanner {
    planner: Planner,
    /// By sku: who has it and was looked at lately, the newest last.
    lately: HashMap<SkuIx, VecDeque<(Tenant, CommandId)>>,
}

/// What one look found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Where to go on; `None` where all reservations were passed.
    pub next: Option<u32>,
    /// Orders that were looked at.
    pub looked_at: u64,
    /// Moves that would save something now, and whose they are. No order is in two of them.
    pub found: Vec<(Tenant, Saving)>,
}

/// An order that is confirmed and on which nobody works yet.
struct Confirmed {
    view: ReservationView,
    rest: Rest,
    /// Where it has what.
    portions: Vec<Portion>,
    /// What a move has to save.
    saves: Money,
}

impl Replanner {
    /// Looks at orders from this slot on, at most so many; those of one tenant alone where it is said.
    pub fn look(
        &mut self,
        reader: &Reader,
        now: TimestampMs,
        of: Option<Tenant>,
        from: u32,
        orders_max: u64,
    ) -> Look {
        self.planner.at(now);
        let mut look = Look::default();
        let mut moved: Vec<CommandId> = Vec::new();
        let end = from.saturating_add(SLOTS_MAX);
        let mut at = from;
        while look.looked_at < orders_max && at < end {
            match reader.next_confirmed(at, end - at) {
                Passed::All => return look,
                Passed::Nothing => at = end,
                Passed::Found { slot, tenant, reservation } => {
                    at = slot + 1;
                    if of.is_some_and(|of| of != tenant) || moved.contains(&reservation) {
                        continue;
                    }
                    let Some(confirmed) = self.confirmed(reader, now, tenant, &reservation) else { continue };
                    look.looked_at += 1;
                    if let Some(saving) = self.improve(reader, now, tenant, &confirmed, &moved) {
                        moved.extend(saving.command.orders.iter().map(|order| order.reservation));
                        look.found.push((tenant, saving));
                    }
                    self.remember(tenant, &confirmed);
                }
            }
        }
        Look { next: Some(at), ..look }
    }

    /// An order, where it may be moved and its policy has it looked at.
    fn confirmed(
        &mut self,
        reader: &Reader,
        now: TimestampMs,
        tenant: Tenant,
        reservation: &CommandId,
    ) -> Option<Confirmed> {
        let policies = reader.policies();
        let age_ms = now.0.saturating_sub(reservation.time().0);
        // What no version has looked at any more is not read.
        if age_ms > policies.replan_ms_max(tenant)? {
            return None;
        }
        let view = reader.show(tenant, reservation)?;
        let rest = order_of(reader, &view).filter(|rest| rest.order.lines.len() <= LINES_MAX)?;
        let version = self.planner.version_for(reader, tenant, &rest.order);
        let policy = &policies.version(tenant, version)?.policy;
        if age_ms > policy.replan_ms? {
            return None;
        }
        Some(Confirmed { portions: portions_of(&view), rest, view, saves: policy.replan_saves })
    }

    /// The move that saves most of those that were looked for: of this order alone, or with one that takes its place.
    fn improve(
        &mut self,
        reader: &Reader,
        now: TimestampMs,
        tenant: Tenant,
        order: &Confirmed,
        moved: &[CommandId],
    ) -> Option<Saving> {
        if let Some(alone) = self.serve(reader, tenant, &[order]) {
            return Some(alone);
        }
        let mut best: Option<Saving> = None;
        for partner in self.partners(tenant, order, moved) {
            let Some(partner) = self.confirmed(reader, now, tenant, &partner) else { continue };
            for pair in [[order, &partner], [&partner, order]] {
                let saving = self.serve(reader, tenant, &pair);
                let saved = best.as_ref().map_or(Money(0), |best| best.saved);
                best = saving.filter(|saving| saving.saved > saved).or(best);
            }
        }
        best
    }

    /// Orders that have a sku of this one, and were looked at lately.
    fn partners(&self, tenant: Tenant, order: &Confirmed, moved: &[CommandId]) -> Vec<CommandId> {
        let mut partners: Vec<CommandId> = Vec::new();
        let of_lines = order.rest.order.lines.iter().filter_map(|line| self.lately.get(&line.sku)).flatten();
        for (whose, reservation) in of_lines {
            let is_new = *whose == tenant
                && *reservation != order.view.id
                && !moved.contains(reservation)
                && !partners.contains(reservation);
            if is_new && partners.len() < PARTNERS {
                partners.push(*reservation);
            }
        }
        partners
    }

    fn remember(&mut self, tenant: Tenant, order: &Confirmed) {
        if self.lately.len() > SKUS_MAX {
            self.lately.clear();
        }
        let whose = (tenant, order.view.id);
        for line in &order.rest.order.lines {
            let lately = self.lately.entry(line.sku).or_default();
            lately.retain(|known| *known != whose);
            if lately.len() >= PARTNERS_OF_SKU {
                lately.pop_front();
            }
            lately.push_back(whose);
        }
    }

    /// Plans these orders one after the other with all that they have together; what comes of it, where it may be and saves
    /// enough.
    fn serve(&mut self, reader: &Reader, tenant: Tenant, orders: &[&Confirmed]) -> Option<Saving> {
        // What the orders would give back, less what those before have taken again, by cell.
        let mut pool: HashMap<(SkuIx, Place), i64> = HashMap::new();
        for row in orders.iter().flat_map(|order| &order.view.rows) {
            *pool.entry((row.sku, Place::new(row.node, row.segment))).or_default() +=
                i64::from(row.confirmed);
        }
        let mut moves = Vec::with_capacity(orders.len());
        for Confirmed { view, rest, portions, .. } in orders {
            let segments = reader.rules().channels.get(usize::from(rest.order.channel.0))?;
            let beside = beside(reader, &pool, segments);
            let proposal =
                self.planner.plan_beside(reader, reader.lanes(), tenant, rest, &beside, &left(view)).ok()?;
            let to = places(&proposal);
            take(reader, &mut pool, segments, &to);
            let summed = |portion: &Portion| {
                let there =
                    to.iter().filter(|placed| (placed.sku, placed.node) == (portion.sku, portion.node));
                there.map(|placed| i64::from(placed.quantity)).sum::<i64>() == portion.units
            };
            // Who stays where it is does not move.
            if !portions.iter().all(summed) {
                moves.push(MoveOrder { reservation: view.id, to });
            }
        }
        if moves.is_empty() {
            return None;
        }
        let saves = orders.iter().map(|order| order.saves).max()?;
        let command = Move { orders: moves, saves };
        let judged = judge(reader, &mut self.planner, tenant, &command).ok()?;
        Some(Saving { saved: judged.saved, command })
    }
}

/// What there is beside what can be promised, where an order draws from these segments.
fn beside(reader: &Reader, pool: &HashMap<(SkuIx, Place), i64>, segments: &[Segment]) -> Vec<Portion> {
    let drawn = pool.iter().filter(|((_, place), units)| segments.contains(&place.segment()) && **units != 0);
    let mut beside: Vec<Portion> = drawn
        .map(|((sku, place), units)| {
            let there = reader.available(*sku, place.node(), place.segment()).unwrap_or(0);
            let units = (i64::from(there) + units).max(0) - i64::from(there.max(0));
            Portion { sku: *sku, node: place.node(), units }
        })
        .collect();
    // Whatever order the map is in, plans are the same.
    beside.sort_unstable_by_key(|portion| (portion.sku, portion.node, portion.units));
    beside
}

/// Nodes that have given up what they were to send, or lost it to a cheaper one: an order does not go back there.
fn left(view: &ReservationView) -> Vec<NodeIx> {
    let planned = view.plans.iter().flat_map(|plan| &plan.shipments).map(|shipment| shipment.node);
    let mut left: Vec<NodeIx> =
        planned.filter(|node| !view.rows.iter().any(|row| row.node == *node && row.confirmed > 0)).collect();
    left.sort_unstable();
    left.dedup();
    left
}

/// Where a plan takes what from.
fn places(proposal: &Proposal) -> Vec<Placed> {
    let mut to: Vec<Placed> = Vec::with_capacity(proposal.picks.len());
    for pick in &proposal.picks {
        let same =
            |placed: &&mut Placed| (placed.line, placed.sku, placed.node) == (pick.line, pick.sku, pick.node);
        match to.iter_mut().find(same) {
            Some(placed) => placed.quantity += pick.quantity,
            None => {
                let (line, sku, node, quantity) = (pick.line, pick.sku, pick.node, pick.quantity);
                to.push(Placed { line, sku, node, quantity });
            }
        }
    }
    to
}

/// Takes what is placed from what there is, segment by segment.
fn take(reader: &Reader, pool: &mut HashMap<(SkuIx, Place), i64>, segments: &[Segment], to: &[Placed]) {
    for placed in to {
        let mut left = i64::from(placed.quantity);
        for segment in segments {
            let place = Place::new(placed.node, *segment);
            let there = reader.available(placed.sku, placed.node, *segment).unwrap_or(0);
            let units = pool.entry((placed.sku, place)).or_default();
            let taken = (i64::from(there) + *units).clamp(0, left);
            *units -= taken;
            left -= taken;
        }
    }
}
