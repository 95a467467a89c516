//! The outcomes of commands that made no reservation, and of refusals, remembered for retries.
//!
//! A ring: the oldest outcome makes room for the newest. Reservations remember themselves.

use earmark_protocol::ids::{CommandId, Lsn, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Done, Plan, Refused, Reply, Status};
use serde::Serialize;

use crate::arena::Arena;
use crate::facts::TextAt;

/// A reply in the form it is remembered and logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum CompactReply {
    /// The command took place.
    Done {
        /// The reservation's status right after it.
        status: Option<Status>,
        /// When what is still held expires.
        deadline: TimestampMs,
        /// Units that moved.
        moved: u64,
        /// Units short afterwards.
        short: u64,
    },
    /// The answer was no.
    Refused(Refusal),
}

impl CompactReply {
    /// The reply, as it is given the first time and every time.
    #[must_use]
    pub fn reply(&self, lsn: Lsn, plans: Vec<Plan>) -> Reply {
        match *self {
            Self::Done { status, deadline, moved, short } => {
                Reply::Done(Done { lsn, status, deadline, moved, short, plans })
            }
            Self::Refused(refusal) => Reply::Refused(Refused { lsn, refusal }),
        }
    }

    /// As words: code and field of a refusal, or the status plus one of the rest; then index plus one and detail of a
    /// refusal, or deadline, moved and short of the rest.
    pub(crate) fn to_words(self) -> ([u16; 3], [u64; 3]) {
        match self {
            Self::Refused(Refusal { code, field, index, detail }) => (
                [code.number(), field.number(), 0],
                [index.map_or(0, |index| u64::from(index) + 1), detail.cast_unsigned(), 0],
            ),
            Self::Done { status, deadline, moved, short } => {
                ([0, 0, status.map_or(0, |status| status as u16 + 1)], [deadline.0, moved, short])
            }
        }
    }

    pub(crate) fn from_words(kind: [u16; 3], values: [u64; 3]) -> Self {
        match RefusalCode::from_number(kind[0]) {
            Some(code) => Self::Refused(Refusal {
                code,
                field: Field::from_number(kind[1]).unwrap_or(Field::Whole),
                index: values[0].checked_sub(1).map(|index| index as u32),
                detail: values[1].cast_signed(),
            }),
            None => Self::Done {
                status: kind[2].checked_sub(1).and_then(|status| Status::from_number(status as u8)),
                deadline: TimestampMs(values[0]),
                moved: values[1],
                short: values[2],
            },
        }
    }
}

/// One remembered outcome, 72 bytes.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct OutcomeRow {
    id: [u64; 2],
    content: u64,
    lsn: u64,
    /// Tenant, then the words of the reply.
    kind: [u16; 4],
    values: [u64; 3],
    text: u64,
}

impl OutcomeRow {
    pub(crate) fn id(&self) -> CommandId {
        CommandId::from_halves(self.id)
    }
}

/// What was remembered of a command.
pub(crate) struct RememberedOutcome {
    pub(crate) tenant: Tenant,
    pub(crate) content: u64,
    pub(crate) lsn: Lsn,
    pub(crate) outcome: CompactReply,
    pub(crate) text: TextAt,
}

/// The ring: rows `0..len` are outcomes, the oldest of them at `next` once all rows are.
pub(crate) struct Outcomes {
    rows: Arena<OutcomeRow>,
    len: u32,
    next: u32,
}

impl Outcomes {
    /// Memory for this many outcomes.
    pub(crate) fn memory(capacity: u32) -> std::io::Result<Arena<OutcomeRow>> {
        Arena::new(capacity.max(1) as usize)
    }

    /// A ring of which so many rows are outcomes, and the row of the next one.
    pub(crate) fn new(rows: Arena<OutcomeRow>, (len, next): (u32, u32)) -> Self {
        Self { rows, len, next }
    }

    /// How many rows are outcomes, and the row of the next one.
    pub(crate) fn scalars(&self) -> (u32, u32) {
        (self.len, self.next)
    }

    /// The same outcomes in other memory that has room for them, the oldest first.
    pub(crate) fn move_to(&self, rows: &mut Arena<OutcomeRow>) -> (u32, u32) {
        let (newest, oldest) = self.rows[..self.len as usize].split_at(self.next.min(self.len) as usize);
        for (to, from) in rows.iter_mut().zip(oldest.iter().chain(newest)) {
            *to = *from;
        }
        (self.len, self.len % rows.len() as u32)
    }

    /// The outcomes as they lie in memory.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.rows.bytes(self.len as usize)
    }

    /// Outcomes that are remembered.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The id that the next outcome takes the place of, with its row and its text.
    pub(crate) fn next_forgotten(&self) -> Option<(CommandId, u32, TextAt)> {
        let row = &self.rows[self.next as usize];
        let is_full = self.len as usize == self.rows.len();
        is_full.then(|| (row.id(), self.next, TextAt(row.text)))
    }

    pub(crate) fn id(&self, row: u32) -> CommandId {
        self.rows[row as usize].id()
    }

    pub(crate) fn keep(&mut self, id: CommandId, remembered: &RememberedOutcome) -> u32 {
        let row = self.next;
        let (kind, values) = remembered.outcome.to_words();
        let kind = [remembered.tenant.0, kind[0], kind[1], kind[2]];
        let (content, lsn, text) = (remembered.content, remembered.lsn.0, remembered.text.0);
        self.rows[row as usize] = OutcomeRow { id: id.halves(), content, lsn, kind, values, text };
        self.next = if row as usize + 1 == self.rows.len() { 0 } else { row + 1 };
        self.len = self.len.max(row + 1);
        row
    }

    pub(crate) fn get(&self, row: u32) -> RememberedOutcome {
        let OutcomeRow { content, lsn, kind, values, text, .. } = self.rows[row as usize];
        let outcome = CompactReply::from_words([kind[1], kind[2], kind[3]], values);
        RememberedOutcome { tenant: Tenant(kind[0]), content, lsn: Lsn(lsn), outcome, text: TextAt(text) }
    }
}
