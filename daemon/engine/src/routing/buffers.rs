//! What nodes keep back by rule, where a plan is decided: stock that went since it was made may not be made up for by it.

use earmark_protocol::command::Order;
use earmark_protocol::ids::Tenant;

use super::Proposal;
use super::lanes::LaneBook;
use super::planner::Planner;
use super::scope::{Scope, Sight, named};
use crate::Reader;

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
        let Some(segments) = reader.rules().channels.get(usize::from(order.channel.0)) else { return false };
        let sight = Sight::of(&mut self.bookmark, reader, lanes, tenant, order, self.now);
        if self.read_order(reader, tenant, order, true).is_err() {
            return false;
        }
        let scope = sight.scope(reader, segments, named(order), &[]);
        self.strictly_under((kept, tenant, &sight.table), &scope, order, |planner, scope, _| {
            planner.leave_enough(scope, proposal)
        })
    }

    fn leave_enough(&self, scope: &Scope<'_>, proposal: &Proposal) -> bool {
        proposal.plan.shipments.iter().all(|shipment| {
            let taken = |want: usize| {
                let sku = self.demand.wants[want].sku;
                let lines = shipment.lines.iter().filter(|line| line.sku == sku);
                lines.map(|line| i64::from(line.quantity)).sum::<i64>()
            };
            (0..self.demand.wants.len()).all(|want| {
                let (taken, keeps) = (taken(want), scope.buffer(want, shipment.node.0));
                let of = |segment| {
                    scope.reader.available(self.demand.wants[want].sku, shipment.node, segment).unwrap_or(0)
                };
                let there =
                    || scope.segments.iter().map(|segment| i64::from(of(*segment).max(0))).sum::<i64>();
                taken == 0 || keeps == 0 || there() - taken >= keeps
            })
        })
    }
}
