//! What a start does to a state that was recovered, as records: memory of the capacity that is configured now, and grace for
//! what is held.

use std::fmt;

use earmark_protocol::ids::{Lsn, TimestampMs};

use crate::decide::{Decision, Outcome};
use crate::image::{Memory, Scalars};
use crate::record::{Effect, Record};
use crate::rules::Capacity;
use crate::state::{ReserveError, State};

/// A capacity that has no room for what is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// The setting under `[capacity]`.
    pub setting: &'static str,
    /// What it says.
    pub given: u64,
    /// What is in use, or was the setting before where a ring depends on it.
    pub used: u64,
}

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, given, used } = self;
        write!(
            f,
            "capacity.{setting} is {given}, and {used} are in use in the data directory; give at least {used}"
        )
    }
}

impl std::error::Error for TooSmall {}

/// Makes a record that gives the state this capacity; `false`, and no record, where it has it. Only while nobody reads.
///
/// # Errors
/// Where the capacity has no room for what is there.
pub fn resize(state: &State, capacity: &Capacity, decision: &mut Decision) -> Result<bool, TooSmall> {
    decision.begin(Lsn(state.lsn().0 + 1), state.now());
    decision.outcome = Outcome::Nothing;
    if state.capacity() == capacity {
        return Ok(false);
    }
    for ((setting, given), used) in capacity.numbers().into_iter().zip(Scalars::of(state).in_use()) {
        if given < used {
            return Err(TooSmall { setting, given, used });
        }
    }
    decision.record.effects.push(Effect::Capacity(Box::new(capacity.clone())));
    Ok(true)
}

/// Whether the system has the memory that this record gives a state: it is reserved, and given back. A record that is applied
/// must be, so this is asked before.
///
/// # Errors
/// Where there is no address space for it.
pub fn reservable(record: &Record) -> Result<(), ReserveError> {
    match &record.effects[..] {
        [Effect::Capacity(capacity)] => Memory::new(capacity).map(drop),
        _ => Ok(()),
    }
}

/// Makes a record by which all holds live for at least `grace_ms` from now, so that nobody loses one to the time in which
/// nothing could be confirmed; `false`, and no record, where none is due before.
pub fn grace(state: &State, now: TimestampMs, grace_ms: u64, decision: &mut Decision) -> bool {
    let now = now.max(state.now());
    let until = TimestampMs(now.0.saturating_add(grace_ms));
    decision.begin(Lsn(state.lsn().0 + 1), now);
    decision.outcome = Outcome::Nothing;
    let table = &state.reservations.table;
    let is_due = |deadline: TimestampMs| deadline.0 != 0 && deadline < until;
    let any = (0..state.reservations.used()).any(|slot| is_due(table.slot(slot).deadline()));
    if any {
        decision.record.effects.push(Effect::Grace { until });
    }
    any
}
