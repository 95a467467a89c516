//! From frames of the log to a state: the same `apply` as live.

use earmark_engine::{Record, State, apply};
use earmark_protocol::ids::{Lsn, TimestampMs};
use earmark_snapshot::log::Frame;

use super::StoreError;

/// Applies frames to a state, and uses its memory for the next.
#[derive(Default)]
pub struct Replay {
    record: Record,
}

impl Replay {
    /// Applies all records of a frame.
    ///
    /// # Errors
    /// Where a record cannot be read, or is not the next one of this state.
    pub fn frame(&mut self, state: &mut State, frame: &Frame<'_>) -> Result<(), StoreError> {
        for (lsn, bytes) in frame.records() {
            let now = TimestampMs(frame.header.time_ms);
            self.record.read(Lsn(lsn), now, bytes).map_err(|error| StoreError::record(lsn, &error))?;
            if state.lsn().0 + 1 != lsn {
                let what = format!("the state is at {}", state.lsn());
                return Err(StoreError::Record { lsn, what });
            }
            apply(state, &self.record);
        }
        Ok(())
    }
}
