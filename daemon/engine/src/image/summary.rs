//! What an image says of the state in it, read without loading the state.

use earmark_protocol::ids::{Lsn, TimestampMs};

use super::{LoadError, Scalars};

/// A state in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its last record.
    pub lsn: Lsn,
    /// The time of that record.
    pub now: TimestampMs,
    /// Each setting under `[capacity]`: its name, what it was, and how much of it is in use.
    pub capacity: Vec<(&'static str, u64, u64)>,
    /// Reservations that hold something.
    pub reservations_live: u64,
    /// Those of them that have a deadline.
    pub reservations_held: u64,
    /// Reservations that have ended and are remembered for retries.
    pub reservations_remembered: u64,
    /// Ids of commands that are older than this are refused: an outcome of that age was forgotten.
    pub forgotten_before: TimestampMs,
}

impl Summary {
    /// Reads the section [`super::SCALARS`] of an image.
    ///
    /// # Errors
    /// Where it is no such section of this build.
    pub fn read(scalars: &[u8]) -> Result<Self, LoadError> {
        let scalars = Scalars::read(scalars).map_err(LoadError::Scalars)?;
        let capacity = scalars.capacity.numbers().into_iter().zip(scalars.in_use());
        Ok(Self {
            lsn: scalars.lsn,
            now: scalars.now,
            capacity: capacity.map(|((setting, given), used)| (setting, given, used)).collect(),
            reservations_live: scalars.reservations.live,
            reservations_held: scalars.reservations.held,
            reservations_remembered: scalars.reservations.remembered,
            forgotten_before: scalars.forgotten_before,
        })
    }
}
