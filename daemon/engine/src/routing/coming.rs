//! What comes of a sku to nodes, as far as it may be promised: behind all who wait already, less what cells are short of and
//! what nodes should keep back.
//!
//! Supply is read at once, and stock behind it, so that the writer never waits for stock to be read. What is received in
//! between may count twice in a plan; the committer looks again.

use earmark_protocol::ids::{NodeIx, Segment};

use super::planner::Planner;
use super::scope::Scope;
use crate::inventory::Place;
use crate::supply::{Due, Inbound};

/// What comes of a sku to a node.
pub(super) struct Coming {
    pub(super) node: NodeIx,
    pub(super) units: i64,
    /// The day by which they have come, all before them were served, and the node has what it keeps back.
    pub(super) day: u32,
    /// To which segments.
    pub(super) draws: Vec<(Segment, u32)>,
}

impl Planner {
    /// What comes of a want to each of these nodes on these days, so many units at most.
    pub(super) fn coming(
        &self,
        scope: &Scope<'_>,
        due: Due,
        (want, units): (usize, i64),
        may_wait: impl Fn(NodeIx) -> bool,
    ) -> Vec<Coming> {
        let sku = self.demand.wants[want].sku;
        let inbound = scope.reader.supplies().inbound(sku, Place(0)..=Place(u32::MAX), due);
        let of_nodes = inbound.chunk_by(|a, b| a.place.node() == b.place.node());
        let of_nodes = of_nodes.filter(|cells| may_wait(cells[0].place.node()));
        of_nodes.filter_map(|cells| self.coming_to(scope, cells, want, units)).collect()
    }

    /// Whether so many units of a want still come to a node on these days.
    pub(super) fn still_come(&self, scope: &Scope<'_>, due: Due, want: (usize, i64), node: NodeIx) -> bool {
        let places = Place::new(node, Segment(0))..=Place::new(node, Segment(Segment::LIMIT - 1));
        let (want, units) = want;
        let inbound = scope.reader.supplies().inbound(self.demand.wants[want].sku, places, due);
        let coming = self.coming_to(scope, &inbound, want, units);
        coming.is_some_and(|coming| coming.units == units)
    }

    /// What comes of a want to the cells of one node, so many units at most; `None` where nothing does.
    fn coming_to(&self, scope: &Scope<'_>, cells: &[Inbound], want: usize, units: i64) -> Option<Coming> {
        let (node, sku) = (cells.first()?.place.node(), self.demand.wants[want].sku);
        // Of what comes, a node makes up for what it should keep back first.
        let mut keeps_back = (scope.keeps(want, node.0) - scope.there(sku, node)).max(0);
        let mut coming = Coming { node, units: 0, day: 0, draws: Vec::new() };
        for segment in scope.segments {
            let place = Place::new(node, *segment);
            let Some(inbound) = cells.iter().find(|cell| cell.place == place) else { continue };
            let available = scope.reader.available(sku, node, *segment).unwrap_or(0);
            let short = i64::from(available.min(0)).abs();
            let comes = (i64::try_from(inbound.free()).unwrap_or(i64::MAX) - short).max(0);
            let kept = keeps_back.min(comes);
            keeps_back -= kept;
            let drawn = (comes - kept).min(units - coming.units);
            if kept + drawn == 0 {
                continue;
            }
            let served = inbound.day_behind_all((short + kept + drawn).unsigned_abs());
            // Day 0 is no day to wait for.
            coming.day = coming.day.max(served.expect("as much comes on these days")).max(1);
            if drawn > 0 {
                coming.draws.push((*segment, u32::try_from(drawn).unwrap_or(u32::MAX)));
                coming.units += drawn;
            }
        }
        (coming.units > 0).then_some(coming)
    }
}
