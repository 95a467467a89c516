//! Routing, for now: nothing can be planned.

use earmark_protocol::command::Order;
use earmark_protocol::ids::{LineId, NodeIx, Segment, SkuIx, Tenant};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::Plan;

use crate::Reader;

/// A quantity of a line, to be taken from one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The client's id of the line.
    pub line: LineId,
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Units.
    pub quantity: u32,
}

/// A plan that nothing is held for yet: the committer checks it against what is there when its turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The plan epoch it was made in.
    pub epoch: u64,
    /// What to hold, by shipment.
    pub picks: Vec<Pick>,
    /// The same, as the client sees it.
    pub plan: Plan,
}

/// Lanes.
#[derive(Default)]
pub struct LaneBook;

/// Planner.
#[derive(Default)]
pub struct Planner;

impl Planner {
    /// New.
    pub fn new() -> Self {
        Self
    }
    /// Plan.
    pub fn plan(
        &mut self,
        _: &Reader,
        _: &LaneBook,
        _: Tenant,
        _: &Order,
        _: bool,
        _: &[NodeIx],
    ) -> Result<Proposal, Refusal> {
        Err(Refusal::of(RefusalCode::NoNode, Field::Line).at(0))
    }
    /// Repair.
    pub fn repair(
        &mut self,
        _: &Reader,
        _: &LaneBook,
        _: Tenant,
        _: &Order,
        _: &Proposal,
    ) -> Option<Proposal> {
        None
    }
}
