//! What is asked. A workload writes one request at a time and reads its answers; when, over which pipe and how many at
//! once is decided elsewhere.

pub(crate) mod ask;
pub(crate) mod audited;
pub(crate) mod cart;
pub(crate) mod flash_sale;
pub(crate) mod hold;

use earmark_protocol::frame::{Kind, Message};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::Reply;
use earmark_protocol::wire_error::WireError;

use crate::requests::Outgoing;

/// A request that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked<T> {
    /// Its place in [`Workload::STEPS`].
    pub(crate) step: u8,
    /// What must be known of it once it is answered.
    pub(crate) ticket: T,
}

/// What the daemon said to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was done.
    Yes,
    /// A no, which is an answer like any other.
    No(RefusalCode),
}

/// The requests of one pipe.
pub(crate) trait Workload: Send + 'static {
    /// What is kept of a request until it is answered.
    type Ticket: Default + Send;

    /// The kinds of its requests, which are measured apart.
    const STEPS: &'static [&'static str];

    /// Writes a request that begins something.
    fn begin(&mut self, out: &mut Outgoing<'_>) -> Asked<Self::Ticket>;

    /// Writes a request that follows from an answer, if one does. It goes before all that begins.
    fn follow(&mut self, _out: &mut Outgoing<'_>) -> Option<Asked<Self::Ticket>> {
        None
    }

    /// Takes an answer.
    fn answer(&mut self, ticket: Self::Ticket, answer: &Message<'_>) -> Result<Verdict, WireError>;
}

/// What the answer to a command or a question says.
pub(crate) fn reply_verdict(answer: &Message<'_>) -> Result<Verdict, WireError> {
    if answer.kind != Kind::Reply {
        return Err(answer.unexpected_kind());
    }
    Ok(match answer.decode()? {
        Reply::Refused(refused) => Verdict::No(refused.refusal.code),
        _ => Verdict::Yes,
    })
}
