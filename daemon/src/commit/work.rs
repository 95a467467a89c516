//! What is handed to the committer and comes back: the messages of one read of one pipe, and the replies to them.

use std::sync::Arc;

use earmark_engine::{Planned, Reader};
use earmark_protocol::command::Command;
use earmark_protocol::frame::{FrameWriter, Kind, MessageTooLong};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{Lsn, Tenant, TimestampMs};
use earmark_protocol::query::{Atp, Query};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{AtpCell, Refused, Reply};

use crate::clock::Moment;

/// Where decided work goes. The committer calls it while it plays the role, in the order of the log: it must not
/// wait for anything.
pub trait Desk: Send + Sync {
    /// `work` is decided: its replies may leave once the gate has passed `work.lsn`.
    fn decided(self: Arc<Self>, work: Work);
}

/// The messages of one read.
pub struct Work {
    /// Who gets the replies.
    pub desk: Arc<dyn Desk>,
    /// On whose behalf.
    pub tenant: Tenant,
    /// When the messages arrived: give-up times count from here.
    pub arrived: Moment,
    /// What is to be decided, in order. Empty once it is.
    pub items: Vec<Item>,
    /// The replies.
    pub replies: FrameWriter,
    /// How many messages are answered in `replies`.
    pub answered: u32,
    /// Commands whose plan no longer fits: to be planned again and handed in again.
    pub again: Vec<Full>,
    /// The place the replies must wait for.
    pub lsn: Lsn,
}

impl Work {
    /// Work with nothing in it yet.
    #[must_use]
    pub fn new(desk: Arc<dyn Desk>, tenant: Tenant, arrived: Moment, frame_bytes_max: u32) -> Self {
        Self {
            desk,
            tenant,
            arrived,
            items: Vec::new(),
            replies: FrameWriter::new(frame_bytes_max),
            answered: 0,
            again: Vec::new(),
            lsn: Lsn(0),
        }
    }

    /// Answer all that is still to be decided with this refusal, undecided.
    pub fn refuse_all(&mut self, code: RefusalCode) {
        for item in self.items.drain(..) {
            match item {
                Item::One(one) => refuse_one(&mut self.replies, one.correlation, code),
                Item::Full(full) => refuse(&mut self.replies, full.correlation, code),
                Item::Ask(ask) => refuse(&mut self.replies, ask.correlation, code),
            }
            self.answered += 1;
        }
    }
}

/// One message to be decided.
pub enum Item {
    /// The fixed message.
    One(One),
    /// Any other command.
    Full(Box<Full>),
    /// A question that only the committer can answer.
    Ask(Box<Ask>),
}

impl Item {
    /// The hold, where it is the fixed message.
    #[inline]
    pub(super) fn hold(&self) -> Option<&HoldOne> {
        match self {
            Self::One(one) => Some(&one.hold),
            _ => None,
        }
    }
}

/// A `HoldOne`.
pub struct One {
    /// Whose reply this is.
    pub correlation: u32,
    /// The hash of its content.
    pub content: u64,
    /// What it says.
    pub hold: HoldOne,
}

/// A command of variable length.
pub struct Full {
    /// Whose reply this is.
    pub correlation: u32,
    /// The hash of its content.
    pub content: u64,
    /// What it says.
    pub command: Command,
    /// Its plan, where it is one that is routed.
    pub planned: Option<Planned>,
    /// How often it was planned.
    pub rounds: u16,
    /// Whether it must be decided now, without another round.
    pub last: bool,
}

/// A question to the committer.
pub struct Ask {
    /// Whose reply this is.
    pub correlation: u32,
    /// What is asked.
    pub query: Query,
}

/// A refusal of a command that was not decided: nothing of it is remembered, the id may be used again.
pub fn refuse(replies: &mut FrameWriter, correlation: u32, code: RefusalCode) {
    let refusal = Refusal::of(code, Field::Whole);
    push_reply(replies, correlation, &Reply::Refused(Refused { lsn: Lsn(0), refusal }));
}

/// The same, of the fixed message.
pub fn refuse_one(replies: &mut FrameWriter, correlation: u32, code: RefusalCode) {
    let reply = HoldOneReply::refused(Lsn(0), Refusal::of(code, Field::Whole));
    push_one(replies, correlation, &reply);
}

/// What can be promised, or why that is not answered, in as many cells as fit into a frame of these replies; `None` where
/// only the committer can tell, because a sku grows.
#[must_use]
pub fn answer_atp(
    reader: &Reader,
    tenant: Tenant,
    question: &Atp,
    now: TimestampMs,
    replies: &FrameWriter,
) -> Option<Reply> {
    let cells_max = replies.limit() as usize / AtpCell::BYTES;
    match reader.atp(tenant, question, cells_max, now) {
        Ok(answer) => answer.map(Reply::Atp),
        Err(refusal) => Some(Reply::Refused(Refused { lsn: Lsn(0), refusal })),
    }
}

/// Appends the answer to the fixed message.
pub(super) fn push_one(replies: &mut FrameWriter, correlation: u32, reply: &HoldOneReply) {
    let pushed = replies.push_body(Kind::HoldOneReply, correlation, &reply.to_bytes());
    pushed.expect("the least frame limit has room for a fixed reply");
}

/// Appends an answer. One that no frame can hold leaves its plan behind; what is still too long is refused, with
/// the limit as detail.
pub fn push_reply(replies: &mut FrameWriter, correlation: u32, reply: &Reply) {
    let Err(MessageTooLong { have, .. }) = replies.push(Kind::Reply, correlation, reply) else { return };
    let shorter = match reply {
        Reply::Reserved(reserved) => {
            Reply::Reserved(earmark_protocol::reply::Reserved { plan: None, ..reserved.clone() })
        }
        Reply::Done(done) => Reply::Done(earmark_protocol::reply::Done { plans: Vec::new(), ..done.clone() }),
        _ => {
            let refusal = Refusal::of(RefusalCode::ListTooLong, Field::Whole);
            let detail = i64::try_from(have).unwrap_or(i64::MAX);
            Reply::Refused(Refused { lsn: Lsn(0), refusal: refusal.detail(detail) })
        }
    };
    replies
        .push(Kind::Reply, correlation, &shorter)
        .expect("the least frame limit has room for a reply without lists");
}
