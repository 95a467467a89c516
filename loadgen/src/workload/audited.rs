//! Holds whose every answer is written down: held, then confirmed, released or left as they are, on cells that run dry.
//! Nothing expires meanwhile, so each must be found afterwards as its client was last told.

use std::collections::VecDeque;
use std::sync::Arc;

use earmark_protocol::command::{CommandBody, Step};
use earmark_protocol::frame::{Kind, Message};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::CommandId;
use earmark_protocol::reply::{Reply, Status};
use earmark_protocol::wire_error::WireError;
use fastrand::Rng;

use super::{Asked, Verdict, Workload};
use crate::account::{Entry, Told};
use crate::requests::Outgoing;
use crate::world::Cell;

/// Of a hundred holds so many are confirmed, and so many released; the others stay held.
const CONFIRM: u32 = 40;
const RELEASE: u32 = 30;
/// Units of a hold are drawn up to this.
const UNITS_MAX: u32 = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Audited {
    cells: Arc<[Cell]>,
    lifetime_ms: u32,
    rng: Rng,
    /// What was asked for, and what was said to it.
    pub(crate) entries: Vec<Entry>,
    /// Entries that are to go on, and how.
    steps: VecDeque<(usize, Status)>,
}

impl Audited {
    pub(crate) fn new(cells: Arc<[Cell]>, lifetime_ms: u32, seed: u64) -> Self {
        let (entries, steps) = (Vec::new(), VecDeque::new());
        Self { cells, lifetime_ms, rng: Rng::with_seed(seed), entries, steps }
    }
}

impl Workload for Audited {
    /// The entry.
    type Ticket = usize;

    const STEPS: &'static [&'static str] = &["hold", "confirm", "release"];

    fn begin(&mut self, out: &mut Outgoing<'_>) -> Asked<usize> {
        let place = self.rng.usize(..self.cells.len());
        let Cell { sku, node, segment } = self.cells[place];
        let (id, quantity) = (out.new_id(), self.rng.u32(1..=UNITS_MAX));
        let lifetime_ms = self.lifetime_ms;
        out.hold_one(&HoldOne { id, sku, node, segment, quantity, lifetime_ms, ..HoldOne::default() });
        self.entries.push(Entry { id, cell: place as u32, quantity, told: Told::Nothing, pending: None });
        Asked { step: 0, ticket: self.entries.len() - 1 }
    }

    fn follow(&mut self, out: &mut Outgoing<'_>) -> Option<Asked<usize>> {
        let (place, to) = self.steps.pop_front()?;
        let entry = &mut self.entries[place];
        entry.pending = Some(to);
        let step = Step { reservation: entry.id, lines: Vec::new(), best_effort: false };
        let id: CommandId = out.new_id();
        let (kind, body) = match to {
            Status::Confirmed => (1, CommandBody::Confirm(step)),
            _ => (2, CommandBody::Release(step)),
        };
        out.command(id, body);
        Some(Asked { step: kind, ticket: place })
    }

    fn answer(&mut self, place: usize, answer: &Message<'_>) -> Result<Verdict, WireError> {
        let entry = &mut self.entries[place];
        match answer.kind {
            Kind::HoldOneReply => {
                let reply = HoldOneReply::read(answer.body).map_err(|error| error.after(answer.offset))?;
                match reply {
                    HoldOneReply::Held { lsn, status, .. } => {
                        entry.told = Told::Is(lsn, status);
                        let drawn = self.rng.u32(..100);
                        if drawn < CONFIRM {
                            self.steps.push_back((place, Status::Confirmed));
                        } else if drawn < CONFIRM + RELEASE {
                            self.steps.push_back((place, Status::Released));
                        }
                        Ok(Verdict::Yes)
                    }
                    HoldOneReply::Refused(refused) => {
                        entry.told = Told::Refused;
                        Ok(Verdict::No(refused.refusal.code))
                    }
                }
            }
            Kind::Reply => match answer.decode()? {
                Reply::Refused(refused) => {
                    entry.pending = None;
                    Ok(Verdict::No(refused.refusal.code))
                }
                _ => {
                    if let (Told::Is(lsn, _), Some(to)) = (entry.told, entry.pending.take()) {
                        entry.told = Told::Is(lsn, to);
                    }
                    Ok(Verdict::Yes)
                }
            },
            _ => Err(answer.unexpected_kind()),
        }
    }
}
