//! Orders that are held already, looked at again: what they cost as they lie, what they would cost elsewhere, and the cheapest
//! way to serve them with what they hold themselves.

use earmark_protocol::ids::{NodeIx, SkuIx, Tenant};
use earmark_protocol::refusal::Refusal;
use earmark_protocol::reply::Plan;

use super::Proposal;
use super::demand::Demand;
use super::lanes::LaneBook;
use super::planner::{Planner, Question, Taking};
use super::rest::Rest;
use super::scope::{Credit, check_nodes};
use crate::Reader;

/// Units of a sku at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portion {
    pub(crate) sku: SkuIx,
    pub(crate) node: NodeIx,
    pub(crate) units: i64,
}

impl Portion {
    /// As a credit of an order, where it is of a sku that the order wants.
    pub(super) fn of(&self, demand: &Demand) -> Option<Credit> {
        let Self { sku, node, units } = *self;
        demand.find(sku).map(|want| Credit { want: want as u32, node: node.0, units })
    }
}

/// An order, served in a way that somebody thought of.
#[derive(Clone, Debug)]
pub(crate) struct Arranged {
    /// What it costs. Its lines are dealt out as any plan's, from segments that may not have them.
    pub(crate) plan: Plan,
    /// Whether all nodes may serve what they serve, and lines that go together or apart do.
    pub(crate) is_legal: bool,
    /// What its nodes keep back.
    pub(crate) keeps: Vec<Portion>,
}

impl Planner {
    /// Prices an order that is served so, whether there is stock for it or not, by the policy it obeys, no rule of which
    /// gives way.
    pub(crate) fn arrange(
        &mut self,
        reader: &Reader,
        tenant: Tenant,
        rest: &Rest,
        portions: &[Portion],
    ) -> Result<Arranged, Refusal> {
        self.of_kits.clone_from(&rest.of_kits);
        let order = &rest.order;
        let (mut is_whole, mut keeps) = (true, Vec::new());
        let question =
            Question { reader, lanes: reader.lanes(), tenant, taking: Taking::Whole, without: &[] };
        let priced = self.strictly(&question, order, true, |planner, scope, bonds| {
            let priced = planner.price_in(scope, order, portions);
            is_whole = bonds.broken_by(&planner.demand, &priced.proposal.picks).is_none();
            for Portion { sku, node, .. } in portions {
                let want = planner.demand.find(*sku).expect("the order's lines were read");
                keeps.push(Portion { sku: *sku, node: *node, units: scope.keeps(want, node.0) });
            }
            Ok(priced)
        })?;
        let table = self.bookmark.table(reader);
        let takes_in = check_nodes(&table, tenant, order, &mut Vec::new()).is_ok();
        let is_legal = takes_in && is_whole && priced.barred.is_empty();
        Ok(Arranged { plan: priced.proposal.plan, is_legal, keeps })
    }

    /// Plans all of an order against what is available now and these portions beside it, at other nodes than those `without`; less
    /// than that is there where they are below 0.
    pub(crate) fn plan_beside(
        &mut self,
        reader: &Reader,
        lanes: &LaneBook,
        tenant: Tenant,
        rest: &Rest,
        beside: &[Portion],
        without: &[NodeIx],
    ) -> Result<Proposal, Refusal> {
        self.begin_order();
        self.of_kits.clone_from(&rest.of_kits);
        self.beside.extend_from_slice(beside);
        let question = Question { reader, lanes, tenant, taking: Taking::Whole, without };
        let planned = self.plan_lines(&question, &rest.order, None);
        self.beside.clear();
        planned
    }
}
