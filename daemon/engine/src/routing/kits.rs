//! Lines of kits: taken apart into lines of their components before anything is planned, and put together in the answer.
//!
//! All other rooms see components alone, so a kit is planned like any lines. An order that takes what there is gets whole
//! kits: where a plan has more of one component than of another, the kits that cannot be had are left out, and the rest is
//! planned again by the same version of the policy.

use std::collections::HashMap;

use earmark_protocol::command::{Order, OrderLine};
use earmark_protocol::ids::{LineId, SkuIx, Tenant};
use earmark_protocol::kit::Component;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::Unfilled;

use super::Proposal;
use super::planner::{Planner, Question, Taking};
use crate::Reader;
use crate::catalogue::kits::Kits;

/// Plans made before a kit's line that is still not whole is left out altogether.
const PLANS_MAX: usize = 8;

/// The order with each line of a kit taken apart into lines of its components, less what is left out of those lines. `None`
/// where no line is of a kit; one that is out of sale stays as it is, and is refused as any sku.
pub(crate) fn take_apart(
    kits: &Kits,
    reader: &Reader,
    tenant: Tenant,
    order: &Order,
    left_out: &[Unfilled],
) -> Option<Order> {
    let components = |line: &OrderLine| components_of(kits, reader, tenant, line);
    if kits.is_empty() || !order.lines.iter().any(|line| components(line).is_some()) {
        return None;
    }
    let mut lines = Vec::with_capacity(order.lines.len() * 2);
    for line in &order.lines {
        let Some(components) = components(line) else {
            lines.push(*line);
            continue;
        };
        let wanted = wanted(line, left_out);
        lines.extend(components.iter().filter(|_| wanted > 0).map(|component| OrderLine {
            sku: component.sku,
            quantity: wanted.saturating_mul(component.quantity),
            ..*line
        }));
    }
    Some(Order { lines, ..order.clone() })
}

fn components_of<'a>(
    kits: &'a Kits,
    reader: &Reader,
    tenant: Tenant,
    line: &OrderLine,
) -> Option<&'a [Component]> {
    let components = kits.get(line.sku)?;
    reader.own_sku(tenant, line.sku).is_some_and(|facts| !facts.retired).then_some(components)
}

/// What of a line is not left out.
fn wanted(line: &OrderLine, left_out: &[Unfilled]) -> u32 {
    let of_line = left_out.iter().filter(|unfilled| unfilled.line == line.line);
    of_line.fold(line.quantity, |wanted, unfilled| wanted.saturating_sub(unfilled.quantity))
}

/// Whether a plan has as much of each component of a line's kit as of the others.
fn is_even(kits: &Kits, line: &OrderLine, proposal: &Proposal) -> bool {
    let Some(components) = kits.get(line.sku) else { return true };
    let of = |component: &Component| {
        let picks = proposal.picks.iter();
        let of_line = picks.filter(|pick| (pick.line, pick.sku) == (line.line, component.sku));
        let units: u64 = of_line.map(|pick| u64::from(pick.quantity)).sum();
        (units / u64::from(component.quantity), units % u64::from(component.quantity))
    };
    let mut parts = components.iter().map(of);
    let first = parts.next().unwrap_or_default();
    first.1 == 0 && parts.all(|part| part == first)
}

impl Reader {
    /// How many lines and units an order has once its kits are taken apart.
    #[must_use]
    pub fn extent(&self, tenant: Tenant, order: &Order) -> (usize, u64) {
        let nodes = self.nodes();
        order.lines.iter().fold((0, 0), |(lines, units), line| {
            let quantity = u64::from(line.quantity);
            let (parts, per_kit) = match components_of(&nodes.kits, self, tenant, line) {
                Some(parts) => (parts.len(), parts.iter().map(|part| u64::from(part.quantity)).sum()),
                None => (1, 1),
            };
            (lines + parts, quantity.saturating_mul(per_kit).saturating_add(units))
        })
    }
}

impl Planner {
    /// The order at hand with its kits taken apart, where it has some; rules are told which lines are of which.
    pub(super) fn take_apart(
        &mut self,
        kits: &Kits,
        reader: &Reader,
        tenant: Tenant,
        order: &Order,
        left_out: &[Unfilled],
    ) -> Option<Order> {
        self.of_kits.clear();
        let apart = take_apart(kits, reader, tenant, order, left_out)?;
        let of_kit = order.lines.iter().filter(|line| components_of(kits, reader, tenant, line).is_some());
        self.of_kits.extend(of_kit.map(|line| (line.line, line.sku)));
        Some(apart)
    }

    /// Plans an order that may have lines of kits, by this version of the policy where it is said.
    pub(super) fn plan_kits(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        version: Option<u32>,
    ) -> Result<Proposal, Refusal> {
        let Question { reader, tenant, .. } = *question;
        // Read before the kits are: where they change, the plan is of an epoch that is over.
        let epoch = reader.epoch();
        let table = self.bookmark.table(reader);
        let mut left_out: Vec<Unfilled> = Vec::new();
        // The whole order chose the version, and whether it is reviewed.
        let mut chosen = None;
        for round in 0.. {
            let Some(apart) = self.take_apart(&table.kits, reader, tenant, order, &left_out) else {
                return Ok(Proposal { epoch, ..self.plan_lines(question, order, version)? });
            };
            if apart.lines.is_empty() {
                let version = chosen.map_or(0, |(version, _)| version);
                return Err(self.why_none(question, &table.kits, order, version, &left_out));
            }
            let taking = match question.taking {
                Taking::Whole if round > 0 => Taking::Part,
                taking => taking,
            };
            let planned = self.plan_lines(
                &Question { taking, ..*question },
                &apart,
                chosen.map(|(version, _)| version).or(version),
            );
            let mut proposal = planned.map_err(|refusal| of_whole(refusal, order, &apart))?;
            let (_, review) = *chosen.get_or_insert((proposal.plan.policy, proposal.plan.review));
            proposal.plan.review = review;
            let is_whole = order.lines.iter().all(|line| is_even(&table.kits, line, &proposal));
            // What the plan has goes to the lines in their order, as whole kits.
            let mut there: HashMap<SkuIx, u64> = HashMap::new();
            for pick in &proposal.picks {
                *there.entry(pick.sku).or_default() += u64::from(pick.quantity);
            }
            for line in &order.lines {
                let itself = [Component { sku: line.sku, quantity: 1 }];
                let components = components_of(&table.kits, reader, tenant, line);
                let parts = components.unwrap_or(&itself);
                let had =
                    |part: &Component| there.get(&part.sku).copied().unwrap_or(0) / u64::from(part.quantity);
                let least = parts.iter().map(had).min().unwrap_or(0).min(u64::from(wanted(line, &left_out)));
                for part in parts {
                    if let Some(there) = there.get_mut(&part.sku) {
                        *there -= least * u64::from(part.quantity);
                    }
                }
                let gives_up = round >= PLANS_MAX && !is_even(&table.kits, line, &proposal);
                let had = if gives_up { 0 } else { least as u32 };
                if components.is_some() {
                    leave_out(&mut left_out, line, line.quantity - had, &proposal.plan.unfilled);
                }
            }
            if is_whole {
                let is_kit = |line: LineId| {
                    let line = order.lines.iter().find(|known| known.line == line);
                    line.is_some_and(|line| components_of(&table.kits, reader, tenant, line).is_some())
                };
                let unfilled = &mut proposal.plan.unfilled;
                unfilled.retain(|unfilled| !is_kit(unfilled.line));
                unfilled.extend(left_out);
                unfilled.sort_by_key(|unfilled| place_of(order, unfilled.line));
                return Ok(Proposal { epoch, ..proposal });
            }
        }
        unreachable!("a line that is left out altogether is even")
    }

    /// Why nothing is left of an order, by the version of the policy that it chose; 0 for none.
    fn why_none(
        &mut self,
        question: &Question<'_>,
        kits: &Kits,
        order: &Order,
        version: u32,
        left_out: &[Unfilled],
    ) -> Refusal {
        let (at, why) = first_of(order, left_out);
        if why != RefusalCode::TooManyShipments {
            return Refusal::of(why, Field::Line).at(at);
        }
        let Question { reader, tenant, .. } = *question;
        let policies = self.bookmark.policies(reader);
        let apart = self.take_apart(kits, reader, tenant, order, &[]);
        let apart = apart.as_ref().unwrap_or(order);
        // A policy says its limit by the whole order.
        let limit = self
            .read_order(reader, tenant, apart, true)
            .map_or(0, |()| self.terms(policies.version(tenant, version), reader, apart).shipments);
        Refusal::of(why, Field::Shipments).detail(i64::from(limit))
    }
}

/// So many kits of a line are left out from now on, with the reason that was first, or that the plan has for one of its
/// components.
fn leave_out(left_out: &mut Vec<Unfilled>, line: &OrderLine, quantity: u32, unfilled: &[Unfilled]) {
    let of_line = |unfilled: &&Unfilled| unfilled.line == line.line;
    match left_out.iter_mut().find(|left| left.line == line.line) {
        Some(left) => left.quantity = quantity,
        None if quantity > 0 => {
            let reason = unfilled.iter().find(of_line).map_or(RefusalCode::OutOfStock, |part| part.reason);
            left_out.push(Unfilled { line: line.line, quantity, reason });
        }
        None => {}
    }
}

fn place_of(order: &Order, line: LineId) -> usize {
    order.lines.iter().position(|known| known.line == line).unwrap_or(0)
}

/// The first line of the order of which something is left out, and why.
fn first_of(order: &Order, left_out: &[Unfilled]) -> (usize, RefusalCode) {
    let first = left_out.iter().map(|left| (place_of(order, left.line), left.reason)).min();
    first.unwrap_or((0, RefusalCode::OutOfStock))
}

/// A refusal of an order that was taken apart, as one of the order itself: its place is that of the kit's line, and what is
/// there is told in kits.
fn of_whole(refusal: Refusal, order: &Order, apart: &Order) -> Refusal {
    let is_of_line = matches!(refusal.field, Field::Line | Field::Sku | Field::Quantity);
    let part = refusal.index.filter(|_| is_of_line).and_then(|at| apart.lines.get(at as usize));
    let Some(part) = part else { return refusal };
    let at = place_of(order, part.line);
    let line = &order.lines[at];
    let per_kit = i64::from((part.quantity / line.quantity.max(1)).max(1));
    let counts = refusal.code == RefusalCode::OutOfStock && part.sku != line.sku;
    let detail = if counts { refusal.detail / per_kit } else { refusal.detail };
    refusal.at(at).detail(detail)
}
