//! The log as the committer sees it: a buffer for one batch's records, sealed when the batch is whole. In memory
//! mode the bytes are counted and dropped, and what is sealed counts as durable at once.

use crate::gate::Acknowledger;

/// What is known of a batch besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Lsn of its first record.
    pub first: u64,
    /// Lsn of its last record.
    pub last: u64,
    /// The time that was stamped on it, in milliseconds since 1970.
    pub time_ms: u64,
}

/// The log. One writer appends whole batches; the [`crate::Gate`] says how far they are durable.
#[derive(Debug)]
pub struct Log {
    epoch: u64,
    acknowledger: Acknowledger,
    records: Vec<u8>,
    last: u64,
    bytes: u64,
    batches: u64,
}

impl Log {
    /// A log that keeps nothing: every batch is acknowledged as soon as it is sealed, and gone with the process.
    /// `epoch` names this life of the log; one that starts anew takes a new one.
    #[must_use]
    pub fn in_memory(epoch: u64, acknowledger: Acknowledger) -> Self {
        Self { epoch, acknowledger, records: Vec::new(), last: 0, bytes: 0, batches: 0 }
    }

    /// Which life of the log this is. Handles and lsns of another epoch mean nothing here.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Where the records of the batch in hand go, one after the other.
    pub fn records(&mut self) -> &mut Vec<u8> {
        &mut self.records
    }

    /// The batch in hand is whole: take it.
    ///
    /// # Panics
    /// Where it does not follow the batch before it: the order of records is the order of the log.
    pub fn seal(&mut self, batch: Batch) {
        assert_eq!(batch.first, self.last + 1, "a batch must follow the last record of the one before");
        assert!(batch.last >= batch.first, "a batch from {} to {} is empty", batch.first, batch.last);
        self.last = batch.last;
        self.bytes += self.records.len() as u64;
        self.batches += 1;
        self.records.clear();
        self.acknowledger.reached(batch.last);
    }

    /// Bytes of all records sealed so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Batches sealed so far.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gate::Gate;

    fn in_memory() -> (Log, Arc<Gate>) {
        let (gate, mut hands) = Gate::new(1);
        (Log::in_memory(9, hands.remove(0)), gate)
    }

    #[test]
    fn in_memory_a_sealed_batch_is_durable_at_once_and_its_bytes_are_counted() {
        let (mut log, gate) = in_memory();
        log.records().extend_from_slice(&[1; 40]);
        assert_eq!(gate.passed(), 0, "what is not sealed is not durable");
        log.seal(Batch { first: 1, last: 3, time_ms: 5 });
        assert_eq!(gate.passed(), 3);
        assert_eq!((log.bytes(), log.batches(), log.epoch()), (40, 1, 9));
        assert!(log.records().is_empty());
    }

    #[test]
    #[should_panic(expected = "must follow the last record")]
    fn a_batch_that_leaves_a_gap_is_not_taken() {
        let (mut log, _gate) = in_memory();
        log.seal(Batch { first: 2, last: 3, time_ms: 5 });
    }
}
