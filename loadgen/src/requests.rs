//! The requests of one pipe that wait for their answers, by correlation.

use earmark_protocol::codec;
use earmark_protocol::command::{Command, CommandBody};
use earmark_protocol::frame::{FrameWriter, Kind};
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::CommandId;
use earmark_protocol::query::Query;

use crate::clock::{Ids, Moment};

/// A request that waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting<T> {
    /// When it was sent, or was due.
    pub(crate) started: Moment,
    /// Which step of the workload it is.
    pub(crate) step: u8,
    /// What the workload must know of it once it is answered.
    pub(crate) ticket: T,
}

/// See the module. Correlation 0 is nobody's: the daemon uses it for what concerns no one message.
#[derive(Debug)]
pub(crate) struct Requests<T> {
    slots: Vec<Option<Waiting<T>>>,
    free: Vec<u32>,
}

impl<T> Requests<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// A correlation that nobody waits for.
    pub(crate) fn free(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32
        })
    }

    /// Nothing was sent with this correlation after all.
    pub(crate) fn give_back(&mut self, correlation: u32) {
        self.free.push(correlation);
    }

    /// Waits for an answer to a correlation that was free.
    pub(crate) fn wait(&mut self, correlation: u32, waiting: Waiting<T>) {
        self.slots[correlation as usize - 1] = Some(waiting);
    }

    /// What an answer with this correlation is to; `None` where nobody waits for it.
    #[inline]
    pub(crate) fn take(&mut self, correlation: u32) -> Option<Waiting<T>> {
        let slot = self.slots.get_mut((correlation as usize).wrapping_sub(1))?;
        let waiting = slot.take()?;
        self.free.push(correlation);
        Some(waiting)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// All that wait.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Waiting<T>> {
        self.free.clear();
        std::mem::take(&mut self.slots).into_iter().flatten()
    }
}

/// Where a workload writes its next request.
pub(crate) struct Outgoing<'a> {
    pub(crate) frames: &'a mut FrameWriter,
    pub(crate) correlation: u32,
    pub(crate) ids: &'a mut Ids,
    pub(crate) now: Moment,
    /// Its place among all requests that begin something, over all pipes, in an open loop of batches of one.
    pub(crate) turn: u64,
    /// Whether it has been written, and fits a frame.
    pub(crate) written: bool,
}

impl Outgoing<'_> {
    /// An id of now.
    pub(crate) fn new_id(&mut self) -> CommandId {
        self.ids.next(self.now)
    }

    /// The hot message.
    #[inline]
    pub(crate) fn hold_one(&mut self, hold: &HoldOne) {
        self.written = self.frames.push_body(Kind::HoldOne, self.correlation, &hold.to_bytes()).is_ok();
    }

    /// A command that is never given up.
    pub(crate) fn command(&mut self, id: CommandId, body: CommandBody) {
        let command = Command { id, give_up_ms: 0, body };
        let write = |bytes: &mut Vec<u8>| codec::encode(&command, bytes);
        self.written = self.frames.push_with(Kind::Command, self.correlation, write).is_ok();
    }

    pub(crate) fn query(&mut self, query: &Query) {
        self.written = self.frames.push(Kind::Query, self.correlation, query).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_meets_its_request_once_and_whatever_the_order() {
        let mut requests = Requests::new();
        let (one, two) = (requests.free(), requests.free());
        for correlation in [one, two] {
            requests.wait(correlation, Waiting { ticket: correlation, ..Waiting::default() });
        }
        assert_eq!(requests.len(), 2);
        assert_eq!(requests.take(two).map(|waiting| waiting.ticket), Some(two));
        assert!(requests.take(two).is_none());
        assert!(requests.take(0).is_none() && requests.take(99).is_none());
        assert_eq!(requests.free(), two);
    }
}
