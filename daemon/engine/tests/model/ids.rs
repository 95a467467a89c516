//! Ids and remembered outcomes: exactly-once, as a map that forgets nothing by itself. It never decides a command.

use earmark_protocol::ids::{CommandId, Lsn, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Refused, Reply};

use super::{Model, refused_with};

/// What was decided under an id.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) content: u64,
    pub(crate) reply: Reply,
    pub(crate) lsn: Lsn,
}

impl Model {
    /// The answer that the id alone gives, if it gives one.
    pub(super) fn answer_by_id(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        content: u64,
        id: CommandId,
        seen: &Reply,
    ) -> Result<Option<Reply>, String> {
        let no = |code| Ok(Some(unlogged(Refusal::of(code, Field::Id))));
        if !id.is_v7() {
            return no(RefusalCode::IdMalformed);
        }
        let too_old = id.time().0 < now.0.saturating_sub(self.rules.retry_window_ms);
        if let Some(outcome) = self.outcomes.get(&(tenant, id)) {
            if refused_with(seen, RefusalCode::IdTooOld) {
                return if too_old || self.may_be_pushed_out(outcome) {
                    no(RefusalCode::IdTooOld)
                } else {
                    Err("the id is within the retry window, and its outcome had room".into())
                };
            }
            if outcome.content != content {
                return no(RefusalCode::IdReused);
            }
            return Ok(Some(self.as_of_now(tenant, id, outcome.reply.clone())));
        }
        if too_old
            || (refused_with(seen, RefusalCode::IdTooOld) && self.outcomes.len() > self.limits.commands)
        {
            return no(RefusalCode::IdTooOld);
        }
        if id.time().0 > now.0.saturating_add(self.rules.id_future_ms) {
            return no(RefusalCode::IdFromFuture);
        }
        Ok(None)
    }

    /// Whether as many outcomes as there is room for were remembered since.
    fn may_be_pushed_out(&self, outcome: &Outcome) -> bool {
        let since = self.outcomes.values().filter(|other| other.lsn > outcome.lsn).count();
        since >= self.limits.commands
    }

    /// The original answer, with what is true now of a reservation that was made.
    fn as_of_now(&self, tenant: Tenant, id: CommandId, reply: Reply) -> Reply {
        match (reply, self.reservations.get(&(tenant, id))) {
            (Reply::Reserved(mut reserved), Some(reservation)) => {
                reserved.status = reservation.status();
                reserved.deadline = reservation.deadline();
                Reply::Reserved(reserved)
            }
            (reply, _) => reply,
        }
    }

    pub(super) fn remember(&mut self, tenant: Tenant, content: u64, id: CommandId, reply: &Reply) {
        let before =
            self.outcomes.insert((tenant, id), Outcome { content, reply: reply.clone(), lsn: self.lsn });
        assert!(before.is_none(), "an id is decided once");
    }
}

fn unlogged(refusal: Refusal) -> Reply {
    Reply::Refused(Refused { lsn: Lsn(0), refusal })
}
