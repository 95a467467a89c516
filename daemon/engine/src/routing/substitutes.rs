//! Substitutes: an order that cannot be had as it was ordered is planned again with other skus for its lines that may have
//! them, where the policy has it so.
//!
//! All other rooms see an order of the skus that are sent. The plan says which those are; what was ordered stays in the order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use earmark_protocol::command::Order;
use earmark_protocol::ids::{LineId, SkuIx};
use earmark_protocol::refusal::Refusal;
use earmark_protocol::reply::{Plan, Substituted};

use super::Proposal;
use super::bonds::missing;
use super::planner::{Planner, Question, Taking};
use crate::check_order;
use crate::policy::Kept;

/// Most times that it is asked whether there is enough of a sku: lines that were not reached then stay as they were ordered.
const LOOKS_MAX: usize = 512;

/// The order with the skus that a plan sends for its lines; `None` where they are those that were ordered.
pub(super) fn as_sent(order: &Order, plan: &Plan) -> Option<Order> {
    if plan.substituted.is_empty() {
        return None;
    }
    let mut sent = order.clone();
    let skus: HashMap<LineId, SkuIx> =
        plan.substituted.iter().map(|substituted| (substituted.line, substituted.sent)).collect();
    for line in &mut sent.lines {
        line.sku = skus.get(&line.line).copied().unwrap_or(line.sku);
    }
    Some(sent)
}

impl Planner {
    /// Plans an order with substitutes where the plan it got as it was ordered is not whole. It stays by that where no fewer units
    /// are missing with them: each line is looked at alone, and the number of shipments may stand in the way of all together.
    pub(super) fn plan_substituted(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        planned: Result<Proposal, Refusal>,
    ) -> Result<Proposal, Refusal> {
        if planned.as_ref().is_ok_and(|proposal| proposal.plan.unfilled.is_empty()) {
            return planned;
        }
        let Question { reader, tenant, .. } = *question;
        // Read before the substitutes are: where they change, the plan is of an epoch that is over.
        let epoch = reader.epoch();
        let version = self.version_of_whole(question, order);
        let policies = self.bookmark.policies(reader);
        let kept = policies.version(tenant, version).filter(|kept| kept.policy.substitutes()).cloned();
        let Some(sent) = kept.and_then(|kept| self.substituted(question, order, &kept)) else {
            return planned;
        };
        match self.plan_kits(question, &sent, Some(version)) {
            Ok(mut proposal)
                if planned.as_ref().map_or(true, |planned| missing(&proposal) < missing(planned)) =>
            {
                let lines = order.lines.iter().zip(&sent.lines).filter(|(line, sent)| line.sku != sent.sku);
                let substituted = lines.map(|(line, sent)| Substituted {
                    line: line.line,
                    ordered: line.sku,
                    sent: sent.sku,
                });
                proposal.plan.substituted = substituted.collect();
                Ok(Proposal { epoch, ..proposal })
            }
            Ok(_) | Err(_) => planned,
        }
    }

    /// The order with the first of its substitutes of which there is enough for each line that there is too little of, line by
    /// line; `None` where there is none.
    fn substituted(&mut self, question: &Question<'_>, order: &Order, kept: &Arc<Kept>) -> Option<Order> {
        let Question { reader, tenant, .. } = *question;
        let table = self.bookmark.table(reader);
        let (mut sent, mut looks) = (order.clone(), 0);
        let substitutable: HashSet<LineId> = order.substitutable.iter().copied().collect();
        for (at, line) in order.lines.iter().enumerate() {
            let substitutes = table.substitutes.of(line.sku);
            if substitutes.is_empty() || !substitutable.contains(&line.line) {
                continue;
            }
            if looks + substitutes.len() >= LOOKS_MAX {
                break;
            }
            looks += 1;
            if !self.is_short_of(question, &sent, at, kept) {
                continue;
            }
            for substitute in substitutes.iter().filter(|sku| table.kits.get(**sku).is_none()) {
                looks += 1;
                sent.lines[at].sku = *substitute;
                // What could not be ordered so is no help: a seller's line beside one of another seller, or too many units.
                let is_sound = check_order(reader, tenant, &sent).is_ok();
                if is_sound && !self.is_short_of(question, &sent, at, kept) {
                    break;
                }
                sent.lines[at].sku = line.sku;
            }
        }
        (sent.lines != order.lines).then_some(sent)
    }

    /// Whether there is too little of a line's sku for all the order wants of it.
    fn is_short_of(&mut self, question: &Question<'_>, order: &Order, at: usize, kept: &Arc<Kept>) -> bool {
        let Question { reader, tenant, .. } = *question;
        let sku = order.lines[at].sku;
        if reader.own_sku(tenant, sku).is_none_or(|facts| facts.retired) {
            return true;
        }
        let table = self.bookmark.table(reader);
        let apart = self.take_apart(&table.kits, reader, tenant, order, &[]);
        let order = apart.as_ref().unwrap_or(order);
        let question = Question { taking: Taking::Part, ..*question };
        let version = Some(kept.version);
        let short = self.in_scope(&question, order, version, usize::MAX, |planner, _, scope, sight| {
            let want = planner.demand.find(sku);
            want.is_some_and(|want| planner.is_short_under((kept, tenant, &sight.table), scope, order, want))
        });
        short.unwrap_or(false)
    }
}
