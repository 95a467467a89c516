//! Questions: quotes of whole orders, and what a shop's pages ask (`atp` of one sku) with an order now and then. Orders
//! are left to expire.

use earmark_protocol::command::{CommandBody, Reserve};
use earmark_protocol::frame::Message;
use earmark_protocol::ids::HoldClass;
use earmark_protocol::query::{Atp, Query, Quote, Scope};
use earmark_protocol::wire_error::WireError;
use fastrand::Rng;

use super::{Asked, Verdict, Workload, reply_verdict};
use crate::baskets::Baskets;
use crate::requests::Outgoing;

/// Asks for plans and holds nothing.
#[derive(Debug)]
pub(crate) struct Quotes {
    baskets: Baskets,
    rng: Rng,
}

impl Quotes {
    pub(crate) fn new(baskets: Baskets, seed: u64) -> Self {
        Self { baskets, rng: Rng::with_seed(seed) }
    }
}

impl Workload for Quotes {
    type Ticket = ();

    const STEPS: &'static [&'static str] = &["quote"];

    fn begin(&mut self, out: &mut Outgoing<'_>) -> Asked<()> {
        let order = self.baskets.order(out.turn, &mut self.rng);
        out.query(&Query::Quote(Quote { order, best_effort: false }));
        Asked { step: 0, ticket: () }
    }

    fn answer(&mut self, (): (), answer: &Message<'_>) -> Result<Verdict, WireError> {
        reply_verdict(answer)
    }
}

/// So many checks to one order.
#[derive(Debug)]
pub(crate) struct Browsing {
    baskets: Baskets,
    checks_per_order: u32,
    lifetime_ms: u32,
    rng: Rng,
}

impl Browsing {
    pub(crate) fn new(baskets: Baskets, checks_per_order: u32, lifetime_ms: u32, seed: u64) -> Self {
        Self { baskets, checks_per_order, lifetime_ms, rng: Rng::with_seed(seed) }
    }
}

impl Workload for Browsing {
    type Ticket = ();

    const STEPS: &'static [&'static str] = &["atp", "reserve"];

    fn begin(&mut self, out: &mut Outgoing<'_>) -> Asked<()> {
        if self.rng.u32(..=self.checks_per_order) > 0 {
            let skus = vec![self.baskets.sku(&mut self.rng)];
            out.query(&Query::Atp(Atp {
                skus,
                scope: Scope::All,
                segment: None,
                per_node: false,
                by_day: None,
            }));
            return Asked { step: 0, ticket: () };
        }
        let order = self.baskets.order(out.turn, &mut self.rng);
        let id = out.new_id();
        let (class, lifetime_ms) = (HoldClass(0), self.lifetime_ms);
        out.command(id, CommandBody::Reserve(Reserve { order, class, lifetime_ms, best_effort: false }));
        Asked { step: 1, ticket: () }
    }

    fn answer(&mut self, (): (), answer: &Message<'_>) -> Result<Verdict, WireError> {
        reply_verdict(answer)
    }
}
