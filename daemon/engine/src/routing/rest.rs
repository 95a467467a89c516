//! Lines that are routed again, or looked at again: what of an order stands at a node, or all that is confirmed, as an order of its
//! own.

use std::collections::HashMap;

use earmark_protocol::command::{Order, OrderLine, Reject};
use earmark_protocol::ids::{LineId, NodeIx, SkuIx, Tenant};
use earmark_protocol::refusal::Refusal;

use super::Proposal;
use super::lanes::LaneBook;
use super::planner::{Planner, Question, Taking};
use crate::{NodeTable, Reader};

/// What of an order is routed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The order with those lines alone. A line of a kit has a line of each of its components here.
    pub order: Order,
    /// Which of its lines are of which kit.
    pub(super) of_kits: Vec<(LineId, SkuIx)>,
}

impl Reader {
    /// What a rejection asks to route again: the lines it takes off the node, to the same destination. `None` where the
    /// reservation is unknown, is a plain hold without destination, or has nothing there.
    #[must_use]
    pub fn rest_to_reroute(&self, tenant: Tenant, reject: &Reject) -> Option<Rest> {
        let view = self.show(tenant, &reject.reservation)?;
        let mut order = view.order?;
        let mut lines: Vec<(LineId, SkuIx, u64)> = Vec::new();
        for row in view.rows.iter().filter(|row| row.node == reject.node) {
            let open = u64::from(row.held)
                + u64::from(row.confirmed)
                + u64::from(row.dispatched)
                + u64::from(row.ready);
            match lines.iter_mut().find(|(line, sku, _)| (*line, *sku) == (row.line, row.sku)) {
                Some((_, _, units)) => *units += open,
                None => lines.push((row.line, row.sku, open)),
            }
        }
        if !reject.lines.is_empty() {
            lines.retain_mut(|(line, _, units)| {
                let asked = reject.lines.iter().find(|asked| asked.line == *line);
                if let Some(asked) = asked.filter(|asked| asked.quantity > 0) {
                    *units = (*units).min(u64::from(asked.quantity));
                }
                asked.is_some()
            });
        }
        order.shipments_max = 0;
        Rest::of(&self.nodes(), order, lines)
    }
}

impl Rest {
    /// An order with these units of lines and skus alone; `None` where there are none.
    pub(crate) fn of(
        nodes: &NodeTable,
        mut order: Order,
        units: impl IntoIterator<Item = (LineId, SkuIx, u64)>,
    ) -> Option<Self> {
        let ordered: HashMap<LineId, SkuIx> =
            order.lines.drain(..).map(|line| (line.line, line.sku)).collect();
        let mut of_kits = Vec::new();
        for (line, sku, units) in units.into_iter().filter(|(.., units)| *units > 0) {
            let quantity = u32::try_from(units).ok()?;
            order.lines.push(OrderLine { line, sku, quantity });
            let kit = ordered.get(&line).filter(|ordered| nodes.kits.get(**ordered).is_some());
            of_kits.extend(kit.map(|kit| (line, *kit)));
        }
        (!order.lines.is_empty()).then_some(Self { order, of_kits })
    }
}

impl Planner {
    /// Plans what is routed again, or as much of it as can be had, without the node that gave it up.
    ///
    /// # Errors
    /// The refusal that stands first where none of it can be served.
    pub fn plan_rest(
        &mut self,
        reader: &Reader,
        lanes: &LaneBook,
        tenant: Tenant,
        rest: &Rest,
        without: NodeIx,
    ) -> Result<Proposal, Refusal> {
        self.begin_order();
        self.of_kits.clone_from(&rest.of_kits);
        let question = Question { reader, lanes, tenant, taking: Taking::Part, without: &[without] };
        self.plan_lines(&question, &rest.order, None)
    }
}
