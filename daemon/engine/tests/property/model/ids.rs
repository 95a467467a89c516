//! Ids and remembered outcomes: exactly-once, as a map that forgets nothing by itself. It never decides a command.

use earmark_protocol::ids::{CommandId, Lsn, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Refused, Reply};

use super::Model;

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
        &self,
        now: TimestampMs,
        tenant: Tenant,
        content: u64,
        id: CommandId,
        seen: &Reply,
    ) -> Result<Option<Reply>, String> {
        let no = |code, detail: u64| {
            let refusal = Refusal::of(code, Field::Id).detail(detail as i64);
            Ok(Some(Reply::Refused(Refused { lsn: Lsn(0), refusal })))
        };
        if !id.is_v7() {
            return no(RefusalCode::IdMalformed, 0);
        }
        let newest = now.0.saturating_add(self.rules.id_future_ms);
        if id.time().0 > newest {
            return no(RefusalCode::IdFromFuture, newest);
        }
        let horizon = self.horizon(now, seen)?;
        if id.time().0 < horizon {
            return no(RefusalCode::IdTooOld, horizon);
        }
        match self.outcomes.get(&(tenant, id)) {
            None => Ok(None),
            Some(outcome) if outcome.content != content => no(RefusalCode::IdReused, 0),
            Some(outcome) => Ok(Some(self.as_of_now(tenant, id, outcome.reply.clone()))),
        }
    }

    /// Ids before this are too old: those before the retry window; or, where an answer says so and it is fair, those
    /// that are not younger than an outcome that was forgotten for want of room.
    fn horizon(&self, now: TimestampMs, seen: &Reply) -> Result<u64, String> {
        let of_window = now.0.saturating_sub(self.rules.retry_window_ms);
        let Reply::Refused(Refused { refusal, .. }) = seen else { return Ok(of_window) };
        if refusal.code != RefusalCode::IdTooOld || refusal.detail as u64 == of_window {
            return Ok(of_window);
        }
        let claimed = refusal.detail as u64;
        let is_forgotten = |((tenant, id), outcome): (&(Tenant, CommandId), &Outcome)| {
            id.time().0 + 1 == claimed && self.may_be_forgotten_outcome(*tenant, *id, outcome)
        };
        if claimed > of_window && self.outcomes.iter().any(is_forgotten) {
            Ok(claimed)
        } else {
            Err(format!("no outcome was forgotten that moves the horizon to {claimed}"))
        }
    }

    /// Whether as many outcomes as there is room for were remembered since; for a reservation, whether it has ended and
    /// its room was needed.
    fn may_be_forgotten_outcome(&self, tenant: Tenant, id: CommandId, outcome: &Outcome) -> bool {
        match self.reservations.get(&(tenant, id)) {
            Some(reservation) => self.may_be_forgotten(reservation),
            None => {
                let since = self.outcomes.values().filter(|other| other.lsn > outcome.lsn);
                since.filter(|other| !matches!(other.reply, Reply::Reserved(_))).count()
                    >= self.limits.commands
            }
        }
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
        let outcome = Outcome { content, reply: reply.clone(), lsn: self.lsn };
        let before = self.outcomes.insert((tenant, id), outcome);
        assert!(before.is_none(), "an id is decided once");
    }
}
