//! Commands of the daemon's own: it acts as a client would, and the committer has the last word.

use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Sender, bounded};
use earmark_engine::Planned;
use earmark_protocol::codec;
use earmark_protocol::command::{Command, CommandBody};
use earmark_protocol::ids::{CommandId, Tenant};

use super::shared::Shared;
use crate::commit::{Desk, Full, Item, Work};

/// How long one decision may take before its answer is waited for no more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has a command decided, and waits for it. Where the queue is full nothing happens: whoever sends it looks again.
pub(super) fn run(shared: &Shared, tenant: Tenant, body: CommandBody, planned: Option<Planned>) {
    let random: [u8; 10] = std::array::from_fn(|_| fastrand::u8(..));
    let id = CommandId::new(shared.clock.now(), random);
    let command = Command { id, give_up_ms: 0, body };
    let mut bytes = Vec::new();
    codec::encode(&command, &mut bytes);
    let content = codec::content_hash(&bytes);
    let full = Full { correlation: 0, content, command, planned, rounds: 1, last: true };
    let (answer, answered) = bounded(1);
    let desk = Arc::new(Slip { answer });
    let mut work = Work::new(desk, tenant, shared.clock.moment(), shared.limits.frame_bytes_max);
    work.items.push(Item::Full(Box::new(full)));
    if shared.committer.submit(work).is_ok() {
        shared.committer.turn();
        // What counts is what the state says afterwards.
        let _ = answered.recv_timeout(PATIENCE);
    }
}

/// Where the answer arrives.
struct Slip {
    answer: Sender<Work>,
}

impl Desk for Slip {
    fn decided(self: Arc<Self>, work: Work) {
        // Whoever waits may have lost patience; the decision stands all the same.
        let _ = self.answer.try_send(work);
    }
}
