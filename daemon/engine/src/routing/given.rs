//! A plan that somebody else made, priced as ours are: what it costs, and which of its nodes might not have served.

use std::collections::HashMap;

use earmark_protocol::command::{Order, OrderLine};
use earmark_protocol::ids::{LineId, Money, NodeIx, Tenant};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::Proposal;
use super::arrange::Portion;
use super::case::{Candidate, Part};
use super::lanes::LaneBook;
use super::planner::{Planner, Question, Taking};
use super::scope::Scope;
use crate::Reader;

/// Units of a line from a node, whoever decided that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// The client's id of the line.
    pub line: LineId,
    /// Node.
    pub node: NodeIx,
    /// Units; of a kit's line, kits.
    pub quantity: u32,
}

/// Somebody else's plan, priced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// The plan, drawn from the segments of the order's channel. Its bound says nothing; what it leaves of the lines is
    /// not told.
    pub proposal: Proposal,
    /// Its nodes that may not serve what they serve there: by their state, by what they can do, by the order or by a rule of
    /// the policy.
    pub barred: Vec<NodeIx>,
    /// Those of them that no carrier goes from, where carriers price: their shipments cost what the nodes do, and no more.
    pub uncarried: Vec<NodeIx>,
}

impl Planner {
    /// Prices what somebody else decided for an order, whether there is stock for it or not. A shipment from where no service goes
    /// that the policy allows it is priced by the cheapest that does.
    ///
    /// # Errors
    /// Where the order is none, or the takes are not of its lines and of nodes that are known.
    pub fn price(
        &mut self,
        reader: &Reader,
        lanes: &LaneBook,
        tenant: Tenant,
        order: &Order,
        takes: &[Take],
    ) -> Result<Priced, Refusal> {
        let question = Question { reader, lanes, tenant, taking: Taking::Whole, without: &[] };
        let mut priced = self.price_by(&question, order, takes, true)?;
        if priced.uncarried.is_empty() || priced.proposal.plan.upgrades.is_empty() {
            return Ok(priced);
        }
        let freely = self.price_by(&question, order, takes, false)?;
        let plan = &mut priced.proposal.plan;
        let shipments = plan.shipments.iter_mut().zip(freely.proposal.plan.shipments);
        for (shipment, freely) in shipments.filter(|(shipment, _)| priced.uncarried.contains(&shipment.node))
        {
            plan.cost = Money(plan.cost.0.saturating_add(freely.cost.0 - shipment.cost.0));
            *shipment = freely;
        }
        Ok(Priced { uncarried: freely.uncarried, ..priced })
    }

    /// The same, minding rules about services or not.
    fn price_by(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        takes: &[Take],
        minds_services: bool,
    ) -> Result<Priced, Refusal> {
        let Question { reader, tenant, .. } = *question;
        let table = self.bookmark.table(reader);
        let apart = self.take_apart(&table.kits, reader, tenant, order, &[]);
        let whole = order;
        let order = apart.as_ref().unwrap_or(whole);
        self.strictly(question, order, minds_services, |planner, scope, _| {
            let lines: HashMap<LineId, &OrderLine> =
                whole.lines.iter().map(|line| (line.line, line)).collect();
            let mut parts: HashMap<LineId, Vec<&OrderLine>> = HashMap::new();
            for part in &order.lines {
                parts.entry(part.line).or_default().push(part);
            }
            let mut portions = Vec::with_capacity(takes.len());
            for (at, take) in takes.iter().enumerate() {
                let line =
                    lines.get(&take.line).ok_or(Refusal::of(RefusalCode::UnknownLine, Field::Line).at(at))?;
                table
                    .get(tenant, take.node)
                    .ok_or(Refusal::of(RefusalCode::UnknownNode, Field::Node).at(at))?;
                for part in parts.get(&take.line).into_iter().flatten() {
                    let per_kit = i64::from(part.quantity / line.quantity.max(1));
                    let units = i64::from(take.quantity).saturating_mul(per_kit);
                    portions.push(Portion { sku: part.sku, node: take.node, units });
                }
            }
            Ok(planner.price_in(scope, order, &portions))
        })
    }

    /// Prices these portions of the order at hand.
    pub(super) fn price_in(&mut self, scope: &Scope<'_>, order: &Order, portions: &[Portion]) -> Priced {
        let (mut nodes, mut parts) = (Vec::new(), Vec::new());
        for Portion { sku, node, units } in portions {
            let slot = nodes.iter().position(|known| known == node).unwrap_or_else(|| {
                nodes.push(*node);
                nodes.len() - 1
            });
            let want = self.demand.find(*sku).expect("the order's lines were read");
            parts.push(Part { want: want as u32, slot: slot as u32, units: *units });
        }
        parts.sort_unstable_by_key(|part| (part.slot, part.want));
        parts.dedup_by(|part, kept| {
            let same = (part.want, part.slot) == (kept.want, kept.slot);
            kept.units += if same { part.units } else { 0 };
            same
        });
        self.gatherer.begin(scope);
        let list: Vec<Candidate> = nodes.iter().map(|node| scope.candidate(node.0)).collect();
        let serves = |part: &Part| {
            let (node, want) = (nodes[part.slot as usize].0, part.want as usize);
            self.gatherer.eligible(scope, node) && scope.suits(want, self.demand.wants[want].flags, node)
        };
        let mut barred: Vec<_> =
            parts.iter().filter(|part| !serves(part)).map(|part| nodes[part.slot as usize]).collect();
        barred.dedup();
        let is_left = |node: &NodeIx| scope.carriage.is_some_and(|carriage| !carriage.reaches(node.0));
        let uncarried = nodes.iter().copied().filter(is_left).collect();
        let proposal = self.writer.write(scope, order, &self.demand, &list, &parts);
        Priced { proposal, barred, uncarried }
    }
}
