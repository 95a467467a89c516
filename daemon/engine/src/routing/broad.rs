//! Orders of many skus that can be served whole, where carriers price: planned by who carries what, and then by what is there.
//!
//! As in [`super::presume`], every node that carries a want is taken to have enough of it, and the stock of the chosen nodes alone is looked
//! at. What is found is not proven; where it is so near to what every plan costs at least that a proof may come, the other searches
//! go on.

use earmark_protocol::command::Order;
use earmark_protocol::ids::{Money, NodeIx};

use super::Proposal;
use super::case::Budget;
use super::covers::Covers;
use super::planner::Planner;
use super::scope::Scope;
use super::walk::Near;

/// The nodes looked at: at least, and at most.
const NEAR: (usize, usize) = (128, 512);
/// Times that a plan is made again because some node had not enough of something.
const ROUNDS: usize = 8;
/// A plan that costs no more than so many per cent beyond the bound may be proven by other searches.
const CLOSE_PERCENT: i64 = 5;

impl Planner {
    /// Plans an order of many skus that can be served whole by near nodes. `None` where it cannot.
    pub(super) fn plan_whole(
        &mut self,
        scope: &Scope<'_>,
        order: &Order,
        budget: &mut Budget,
    ) -> Option<Proposal> {
        let near = self.near(scope);
        let Some((first, is_close)) = self.plan_broad(scope, order, near, budget) else {
            return self.plan_carried(scope, order, budget);
        };
        if !is_close {
            return Some(first);
        }
        let Some(second) = self.plan_carried(scope, order, budget) else { return Some(first) };
        let bound = first.plan.bound.max(second.plan.bound);
        let mut best = if first.plan.cost < second.plan.cost { first } else { second };
        best.plan.bound = bound.min(best.plan.cost);
        Some(best)
    }

    /// Plans it by who carries what, and says whether a proof may come. `None` where it is not an order for that.
    fn plan_broad(
        &mut self,
        scope: &Scope<'_>,
        order: &Order,
        near: Near,
        budget: &mut Budget,
    ) -> Option<(Proposal, bool)> {
        let served =
            self.reasons.iter().all(Option::is_none) && self.demand.wants.iter().all(|want| want.units > 0);
        let near = Near { least: NEAR.0, most: NEAR.1, ..near };
        if !served || !self.covers.begin(scope, &self.demand, &mut self.gatherer, near) {
            return None;
        }
        let bound = self.covers.bound(scope);
        let mut is_found = false;
        for _ in 0..ROUNDS {
            if is_found || !self.covers.search(scope, budget) {
                break;
            }
            self.covers.balance(scope, budget);
            self.covers.write_down(&self.demand);
            is_found = self.confirm_broad(scope);
        }
        let is_close = self.covers.cost().saturating_sub(bound) <= bound.saturating_mul(CLOSE_PERCENT) / 100;
        let Covers { list, parts, .. } = &self.covers;
        (is_found && list.len() <= self.search.case.limit).then(|| {
            let mut proposal = self.writer.write(scope, order, &self.demand, list, parts);
            proposal.plan.bound = Money(bound.min(proposal.plan.cost.0));
            (proposal, is_close)
        })
    }

    /// Whether all nodes that were chosen have enough. Where some have not, the next search knows it.
    fn confirm_broad(&mut self, scope: &Scope<'_>) -> bool {
        let mut confirmed = true;
        for at in 0..self.covers.parts.len() {
            let part = self.covers.parts[at];
            let (want, node) = (part.want as usize, self.covers.list[part.slot as usize].node);
            let sku = self.demand.wants[want].sku;
            let there = self.gatherer.carried.available(scope.reader, sku, NodeIx(node), scope.segments);
            if there < part.units + scope.buffer(want, node) {
                confirmed = false;
                self.covers.miss(scope, &self.demand, &part);
            }
        }
        confirmed
    }
}
