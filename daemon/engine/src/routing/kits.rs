//! Lines of kits: taken apart into lines of their components before anything is planned, and put together in the answer.
//!
//! All other rooms see components alone, so a kit is planned like any lines. An order that takes what there is gets whole
//! kits: where a plan has more of one component than of another, the kits that cannot be had are left out, and the rest is
//! planned again by the same version of the policy.

use std::collections::{HashMap, HashSet};

use earmark_protocol::command::{Order, OrderLine};
use earmark_protocol::ids::{LineId, SkuIx, Tenant};
use earmark_protocol::kit::Component;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Unfilled};

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
    let left_out: HashMap<LineId, u32> = left_out.iter().map(|left| (left.line, left.quantity)).collect();
    let mut lines = Vec::with_capacity(order.lines.len() * 2);
    for line in &order.lines {
        let Some(components) = components(line) else {
            lines.push(*line);
            continue;
        };
        let wanted = line.quantity.saturating_sub(left_out.get(&line.line).copied().unwrap_or(0));
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
        self.plan_whole_kits(question, order, version, Self::plan_lines)
    }

    /// The same where an order of which no line is of a kit is planned so.
    pub(super) fn plan_whole_kits(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        version: Option<u32>,
        mut plan: impl FnMut(&mut Self, &Question<'_>, &Order, Option<u32>) -> Result<Proposal, Refusal>,
    ) -> Result<Proposal, Refusal> {
        let Question { reader, tenant, .. } = *question;
        // Read before the kits are: where they change, the plan is of an epoch that is over.
        let epoch = reader.epoch();
        let table = self.bookmark.table(reader);
        let mut packing = Packing::of(&table.kits, reader, tenant, order);
        // The whole order chose the version, and whether it is reviewed.
        let mut chosen = None;
        for round in 0.. {
            let left_out = packing.left_out();
            let Some(apart) = self.take_apart(&table.kits, reader, tenant, order, &left_out) else {
                return Ok(Proposal { epoch, ..plan(self, question, order, version)? });
            };
            if apart.lines.is_empty() {
                let version = chosen.map_or(0, |(version, _)| version);
                return Err(self.why_none(question, &table.kits, order, version, &left_out));
            }
            let taking = match question.taking {
                Taking::Whole if round > 0 => Taking::Part,
                taking => taking,
            };
            let version = chosen.map(|(version, _)| version).or(version);
            let planned = plan(self, &Question { taking, ..*question }, &apart, version);
            let mut proposal = planned.map_err(|refusal| of_whole(refusal, order, &apart))?;
            let (_, review) = *chosen.get_or_insert((proposal.plan.policy, proposal.plan.review));
            proposal.plan.review = review;
            if packing.pack(&proposal.plan, round >= PLANS_MAX) {
                packing.tell(&mut proposal.plan.unfilled);
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

/// The lines of an order as kits are put together for them of what plans have, plan after plan.
struct Packing<'a> {
    order: &'a Order,
    /// By line: what its kit is put together of; `None` where it is of no kit.
    components: Vec<Option<&'a [Component]>>,
    /// By line: kits that are left out, with the reason that was first, or that a plan had for one of the components.
    left_out: Vec<Option<(u32, RefusalCode)>>,
}

impl<'a> Packing<'a> {
    fn of(kits: &'a Kits, reader: &Reader, tenant: Tenant, order: &'a Order) -> Self {
        let components = order.lines.iter().map(|line| components_of(kits, reader, tenant, line));
        Self { order, components: components.collect(), left_out: vec![None; order.lines.len()] }
    }

    /// The kits that are left out, in the order of lines.
    fn left_out(&self) -> Vec<Unfilled> {
        let of_lines = self.order.lines.iter().zip(&self.left_out);
        let left = of_lines.filter_map(|(line, left)| {
            let (quantity, reason) = (*left)?;
            Some(Unfilled { line: line.line, quantity, reason })
        });
        left.collect()
    }

    /// Gives what a plan has to the lines in their order, as whole kits, and leaves out the rest of them; all of a line that it has
    /// more of one component than of another of, in the last plan. Says whether there was no such line.
    fn pack(&mut self, plan: &Plan, is_last: bool) -> bool {
        let mut there: HashMap<SkuIx, u64> = HashMap::new();
        let mut of_lines: HashMap<(LineId, SkuIx), u64> = HashMap::new();
        for line in plan.shipments.iter().flat_map(|shipment| &shipment.lines) {
            *there.entry(line.sku).or_default() += u64::from(line.quantity);
            *of_lines.entry((line.line, line.sku)).or_default() += u64::from(line.quantity);
        }
        let mut reasons: HashMap<LineId, RefusalCode> = HashMap::new();
        for unfilled in &plan.unfilled {
            reasons.entry(unfilled.line).or_insert(unfilled.reason);
        }
        let mut are_all_even = true;
        let lines = self.order.lines.iter().zip(&self.components).zip(&mut self.left_out);
        for ((line, components), left_out) in lines {
            let itself = [Component { sku: line.sku, quantity: 1 }];
            let parts = components.unwrap_or(&itself);
            let wanted = line.quantity - left_out.map_or(0, |(quantity, _)| quantity);
            let had =
                |part: &Component| there.get(&part.sku).copied().unwrap_or(0) / u64::from(part.quantity);
            let least = parts.iter().map(had).min().unwrap_or(0).min(u64::from(wanted));
            for part in parts {
                if let Some(there) = there.get_mut(&part.sku) {
                    *there -= least * u64::from(part.quantity);
                }
            }
            if components.is_none() {
                continue;
            }
            let is_even = is_even(parts, |sku| of_lines.get(&(line.line, sku)).copied().unwrap_or(0));
            are_all_even &= is_even;
            let had = if is_last && !is_even { 0 } else { least as u32 };
            if let Some((quantity, _)) = left_out {
                *quantity = line.quantity - had;
            } else if had < line.quantity {
                let reason = reasons.get(&line.line).copied().unwrap_or(RefusalCode::OutOfStock);
                *left_out = Some((line.quantity - had, reason));
            }
        }
        are_all_even
    }

    /// Says of lines of kits how many of those are left out, in place of what a plan leaves out of their components.
    fn tell(&self, unfilled: &mut Vec<Unfilled>) {
        let kits = self.order.lines.iter().zip(&self.components).filter(|(_, kit)| kit.is_some());
        let kits: HashSet<LineId> = kits.map(|(line, _)| line.line).collect();
        unfilled.retain(|unfilled| !kits.contains(&unfilled.line));
        unfilled.extend(self.left_out());
        let places: HashMap<LineId, usize> =
            self.order.lines.iter().enumerate().map(|(at, line)| (line.line, at)).collect();
        unfilled.sort_by_key(|unfilled| places.get(&unfilled.line).copied());
    }
}

/// Whether of each component of a kit there is as much as of the others.
fn is_even(components: &[Component], there: impl Fn(SkuIx) -> u64) -> bool {
    let of = |component: &Component| {
        let (units, per_kit) = (there(component.sku), u64::from(component.quantity));
        (units / per_kit, units % per_kit)
    };
    let mut parts = components.iter().map(of);
    let first = parts.next().unwrap_or_default();
    first.1 == 0 && parts.all(|part| part == first)
}

fn place_of(order: &Order, line: LineId) -> usize {
    order.lines.iter().position(|known| known.line == line).unwrap_or(0)
}

/// The first line of the order of which something is left out, and why; what is left out is in the order of lines.
fn first_of(order: &Order, left_out: &[Unfilled]) -> (usize, RefusalCode) {
    left_out.first().map_or((0, RefusalCode::OutOfStock), |left| (place_of(order, left.line), left.reason))
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
