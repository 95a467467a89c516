//! From frames of the log to a state: the same `apply` as live. Recovery and the follower that makes images both do it here.

use earmark_engine::resume::reservable;
use earmark_engine::{PREFETCH, Record, State, apply, prefetch_records};
use earmark_protocol::ids::{Lsn, TimestampMs};
use earmark_snapshot::log::Frame;

use super::StoreError;

/// No more records are read before they are applied once they have so many effects: one record of many expiries has as
/// many, and what they touch fits into the second cache.
const EFFECTS: usize = 1024;

/// Applies frames to a state, and uses its memory for the next.
#[derive(Default)]
pub struct Replay {
    records: Vec<Record>,
}

impl Replay {
    /// Applies all records of a frame, some at a time: what they touch is asked for before the first of them is applied,
    /// as the committer does live.
    ///
    /// # Errors
    /// Where a record cannot be read, is not the next one of this state, or asks for memory that the system does not have.
    pub fn frame(&mut self, state: &mut State, frame: &Frame<'_>) -> Result<(), StoreError> {
        let now = TimestampMs(frame.header.time_ms);
        let mut coming = frame.records();
        loop {
            let read = self.read(now, &mut coming)?;
            if read == 0 {
                return Ok(());
            }
            let records = &self.records[..read];
            prefetch_records(state, records);
            for record in records {
                if state.lsn().0 + 1 != record.lsn.0 {
                    let what = format!("the state is at {}", state.lsn());
                    return Err(StoreError::Record { lsn: record.lsn.0, what });
                }
                reservable(record)?;
                apply(state, record);
            }
        }
    }

    /// Reads the next records of a frame. How many.
    fn read<'a>(
        &mut self,
        now: TimestampMs,
        coming: &mut impl Iterator<Item = (u64, &'a [u8])>,
    ) -> Result<usize, StoreError> {
        self.records.resize_with(PREFETCH, Record::default);
        let mut effects = 0;
        for (place, record) in self.records.iter_mut().enumerate() {
            if effects >= EFFECTS {
                return Ok(place);
            }
            let Some((lsn, bytes)) = coming.next() else { return Ok(place) };
            record.read(Lsn(lsn), now, bytes).map_err(|error| StoreError::record(lsn, &error))?;
            effects += record.effects.len();
        }
        Ok(PREFETCH)
    }
}
