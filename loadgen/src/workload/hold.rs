//! Plain holds: one unit of one cell each, in the message of fixed layout. They are left to expire, so in a steady
//! state as many end as begin.

use std::sync::Arc;

use earmark_protocol::frame::{Kind, Message};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::HoldClass;
use earmark_protocol::wire_error::WireError;
use fastrand::Rng;

use super::{Asked, Verdict, Workload};
use crate::requests::Outgoing;
use crate::world::Cell;

/// See the module.
#[derive(Debug)]
pub(crate) struct Hold {
    cells: Arc<[Cell]>,
    lifetime_ms: u32,
    rng: Rng,
}

impl Hold {
    /// Holds on cells that are drawn evenly.
    pub(crate) fn new(cells: Arc<[Cell]>, lifetime_ms: u32, seed: u64) -> Self {
        Self { cells, lifetime_ms, rng: Rng::with_seed(seed) }
    }
}

impl Workload for Hold {
    type Ticket = ();

    const STEPS: &'static [&'static str] = &["hold"];

    #[inline]
    fn begin(&mut self, out: &mut Outgoing<'_>) -> Asked<()> {
        let cell = self.cells[self.rng.usize(..self.cells.len())];
        let hold = HoldOne {
            id: out.new_id(),
            sku: cell.sku,
            node: cell.node,
            segment: cell.segment,
            quantity: 1,
            lifetime_ms: self.lifetime_ms,
            class: HoldClass(0),
            ..HoldOne::default()
        };
        out.hold_one(&hold);
        Asked { step: 0, ticket: () }
    }

    #[inline]
    fn answer(&mut self, (): (), answer: &Message<'_>) -> Result<Verdict, WireError> {
        hold_verdict(answer)
    }
}

/// What the answer to a [`HoldOne`] says.
#[inline]
pub(crate) fn hold_verdict(answer: &Message<'_>) -> Result<Verdict, WireError> {
    if answer.kind != Kind::HoldOneReply {
        return Err(answer.unexpected_kind());
    }
    match HoldOneReply::read(answer.body).map_err(|error| error.after(answer.offset))? {
        HoldOneReply::Held { .. } => Ok(Verdict::Yes),
        HoldOneReply::Refused(refused) => Ok(Verdict::No(refused.refusal.code)),
    }
}
