//! Carts: route an order and hold it, then confirm it, release it or let it expire, in given shares. Confirmed orders are
//! cancelled when so many of a pipe are, so that a steady state has an end to each order and stock does not run dry.

use std::collections::VecDeque;

use earmark_protocol::command::{CommandBody, Reserve, Step};
use earmark_protocol::frame::Message;
use earmark_protocol::ids::{CommandId, HoldClass};
use earmark_protocol::wire_error::WireError;
use fastrand::Rng;

use super::{Asked, Verdict, Workload, reply_verdict};
use crate::baskets::Baskets;
use crate::error::Trouble;
use crate::requests::Outgoing;

/// Confirmed orders of a pipe that are kept.
const CONFIRMED_MAX: usize = 1_024;
/// How long a hold lives that is to be confirmed or released: longer than any run waits for its turn.
const LONG_MS: u32 = 600_000;

const RESERVE: u8 = 0;
const CONFIRM: u8 = 1;
const RELEASE: u8 = 2;
const CANCEL: u8 = 3;

/// How orders go on after they were reserved, in percent; the rest is left to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fates {
    confirm: u32,
    release: u32,
}

impl Fates {
    /// Shares in percent.
    pub(crate) fn new(confirm: u32, release: u32) -> Result<Self, Trouble> {
        if confirm + release > 100 {
            return Err(Trouble::Usage(format!(
                "sharing out orders: {confirm} % confirmed and {release} % released are more than all; lower --confirm or \
                 --release"
            )));
        }
        Ok(Self { confirm, release })
    }
}

/// What is to become of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Next {
    #[default]
    Nothing,
    Step(u8, CommandId),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cart {
    baskets: Baskets,
    fates: Fates,
    lifetime_ms: u32,
    rng: Rng,
    steps: VecDeque<(u8, CommandId)>,
    confirmed: VecDeque<CommandId>,
}

impl Cart {
    pub(crate) fn new(baskets: Baskets, fates: Fates, lifetime_ms: u32, seed: u64) -> Self {
        let (steps, confirmed) = (VecDeque::new(), VecDeque::new());
        Self { baskets, fates, lifetime_ms, rng: Rng::with_seed(seed), steps, confirmed }
    }
}

impl Workload for Cart {
    /// What follows where the daemon says yes.
    type Ticket = Next;

    const STEPS: &'static [&'static str] = &["reserve", "confirm", "release", "cancel"];

    fn begin(&mut self, out: &mut Outgoing<'_>) -> Asked<Next> {
        let order = self.baskets.order(out.turn, &mut self.rng);
        let id = out.new_id();
        let drawn = self.rng.u32(..100);
        let (ticket, lifetime_ms) = if drawn < self.fates.confirm {
            (Next::Step(CONFIRM, id), LONG_MS)
        } else if drawn < self.fates.confirm + self.fates.release {
            (Next::Step(RELEASE, id), LONG_MS)
        } else {
            (Next::Nothing, self.lifetime_ms)
        };
        let reserve = Reserve { order, class: HoldClass(0), lifetime_ms, best_effort: false };
        out.command(id, CommandBody::Reserve(reserve));
        Asked { step: RESERVE, ticket }
    }

    fn follow(&mut self, out: &mut Outgoing<'_>) -> Option<Asked<Next>> {
        let (kind, reservation) = self.steps.pop_front()?;
        let step = Step { reservation, lines: Vec::new(), best_effort: false };
        let body = match kind {
            CONFIRM => CommandBody::Confirm(step),
            RELEASE => CommandBody::Release(step),
            _ => CommandBody::Cancel(step),
        };
        let id = out.new_id();
        out.command(id, body);
        let ticket = if kind == CONFIRM { Next::Step(CANCEL, reservation) } else { Next::Nothing };
        Some(Asked { step: kind, ticket })
    }

    fn answer(&mut self, ticket: Next, answer: &Message<'_>) -> Result<Verdict, WireError> {
        let verdict = reply_verdict(answer)?;
        match (verdict, ticket) {
            (Verdict::Yes, Next::Step(CANCEL, id)) => {
                self.confirmed.push_back(id);
                if self.confirmed.len() > CONFIRMED_MAX {
                    self.steps.extend(self.confirmed.pop_front().map(|oldest| (CANCEL, oldest)));
                }
            }
            (Verdict::Yes, Next::Step(kind, id)) => self.steps.push_back((kind, id)),
            _ => {}
        }
        Ok(verdict)
    }
}
