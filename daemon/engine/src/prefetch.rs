//! Memory asked for a batch ahead of its use: a hold touches a handful of cache lines that are nowhere near each other,
//! and waiting for one at a time is most of its cost once cells are many.

use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::Segment;

use crate::inventory::Place;
use crate::state::State;

/// Asks for what deciding these holds will touch, in the order in which one thing leads to the next: index and sku, the
/// words of its run, the cell. It changes nothing, and what it does not find it leaves alone.
pub fn prefetch<'a>(state: &State, holds: impl Iterator<Item = &'a HoldOne> + Clone) {
    let inventory = &state.inventory.inventory;
    for (ahead, hold) in holds.clone().enumerate() {
        state.ids.prefetch(&hold.id);
        inventory.skus.prefetch(hold.sku);
        state.reservations.prefetch_next(ahead);
    }
    for hold in holds.clone() {
        inventory.prefetch_words(hold.sku);
    }
    for hold in holds {
        if hold.node.0 < earmark_protocol::ids::NodeIx::LIMIT && hold.segment.0 < Segment::LIMIT {
            inventory.prefetch_cell(hold.sku, Place::new(hold.node, hold.segment));
        }
    }
}
