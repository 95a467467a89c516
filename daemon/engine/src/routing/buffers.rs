//! What nodes keep back by rule, where a plan is decided: stock and supply that went since it was made may not be made up for by
//! it.

use earmark_protocol::command::Order;
use earmark_protocol::ids::Tenant;
use earmark_protocol::reply::Shipment;

use super::Proposal;
use super::lanes::LaneBook;
use super::planner::{Planner, Question, Taking};
use super::scope::{Scope, named};
use crate::Reader;
use crate::supply::Due;

impl Planner {
    /// Whether a plan by the policy that the order obeys leaves at each node what that node keeps back.
    pub(crate) fn leaves_buffers(
        &mut self,
        reader: &Reader,
        lanes: &LaneBook,
        tenant: Tenant,
        order: &Order,
        proposal: &Proposal,
    ) -> bool {
        let policies = self.bookmark.policies(reader);
        let kept = policies.version(tenant, proposal.plan.policy);
        let Some(kept) = kept.filter(|kept| !kept.program.buffers.is_empty()) else { return true };
        let plan = &proposal.plan;
        let order = &*self.as_planned(reader, tenant, order, (plan, &plan.unfilled));
        let question = Question { reader, lanes, tenant, taking: Taking::Part, without: &[] };
        let sight = self.look(&question, order);
        if self.read_order(reader, tenant, order, true).is_err() {
            return false;
        }
        let leaves = self.scoped(&question, order, &sight, (named(order), &[]), |planner, scope| {
            planner.strictly_under((kept, tenant, &sight.table), scope, order, |planner, scope, _| {
                planner.leave_enough(scope, proposal)
            })
        });
        leaves.unwrap_or(false)
    }

    fn leave_enough(&self, scope: &Scope<'_>, proposal: &Proposal) -> bool {
        proposal.plan.shipments.iter().all(|shipment| {
            self.demand.wants.iter().enumerate().all(|(want, wanted)| {
                let lines = shipment.lines.iter().filter(|line| line.sku == wanted.sku);
                let taken: i64 = lines.map(|line| i64::from(line.quantity)).sum();
                taken == 0 || self.leaves_enough(scope, shipment, (want, taken))
            })
        })
    }

    /// Whether so many units of a want may go by a shipment, or wait for it.
    fn leaves_enough(&self, scope: &Scope<'_>, shipment: &Shipment, (want, taken): (usize, i64)) -> bool {
        let keeps = scope.keeps(want, shipment.node.0);
        if keeps == 0 {
            return true;
        }
        if shipment.waits() {
            let due = Due::until(self.now, shipment.supply_day);
            return self.still_come(scope, due, (want, taken), shipment.node);
        }
        scope.there(self.demand.wants[want].sku, shipment.node) - taken >= keeps
    }
}
