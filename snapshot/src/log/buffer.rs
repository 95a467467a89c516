//! Frames that are not yet on disk, laid out as they will lie there, so that one write takes many. Records are encoded
//! straight into it. What a header says of the disk (the frame before, what is durable) is filled in by the
//! [`super::pen::Pen`], which alone knows.

use super::frame::{FRAME_HEADER_BYTES, padded};

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

/// A frame without its header: where it lies in the buffer, and what it carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft {
    /// Where its header goes.
    pub(super) start: usize,
    /// Length of its payload.
    pub(super) bytes: usize,
    pub(super) count: u32,
    pub(super) first_lsn: u64,
    pub(super) time_ms: u64,
}

impl Draft {
    pub(super) fn body(&self) -> std::ops::Range<usize> {
        let start = self.start + FRAME_HEADER_BYTES;
        start..start + self.bytes
    }

    pub(super) fn stride(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + padded(self.bytes)
    }
}

/// Sealed batches, and the batch in hand behind them.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    drafts: Vec<Draft>,
    /// How many of the drafts are of sealed batches.
    sealed: usize,
    /// Length of what is sealed.
    sealed_bytes: usize,
    /// How many drafts, and bytes, are on disk.
    written: usize,
    written_bytes: usize,
}

impl Buffer {
    /// Takes one record of the batch in hand and returns its length. A frame whose payload has reached `frame_bytes`
    /// gets no more of them.
    pub(super) fn record(&mut self, frame_bytes: usize, encode: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let in_hand = self.drafts.len() > self.sealed;
        let mut draft = match self.drafts.pop_if(|draft| in_hand && draft.bytes < frame_bytes) {
            Some(draft) => draft,
            None => self.begin(),
        };
        let length_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        encode(&mut self.bytes);
        let length = self.bytes.len() - length_at - 4;
        self.bytes[length_at..length_at + 4].copy_from_slice(&(length as u32).to_le_bytes());
        draft.count += 1;
        draft.bytes = self.bytes.len() - draft.body().start;
        self.drafts.push(draft);
        length as u64
    }

    fn begin(&mut self) -> Draft {
        self.pad();
        let start = self.bytes.len();
        self.bytes.resize(start + FRAME_HEADER_BYTES, 0);
        Draft { start, bytes: 0, count: 0, first_lsn: 0, time_ms: 0 }
    }

    /// The batch in hand is whole. Returns how long its records are, and how long its frames.
    ///
    /// # Panics
    /// Where it has not just as many records as it says.
    pub(super) fn seal(&mut self, batch: Batch) -> (u64, u64) {
        self.pad();
        let mut next = batch.first;
        let mut records = 0;
        for draft in &mut self.drafts[self.sealed..] {
            draft.first_lsn = next;
            draft.time_ms = batch.time_ms;
            next += u64::from(draft.count);
            records += draft.bytes as u64 - 4 * u64::from(draft.count);
        }
        assert_eq!(
            next,
            batch.last + 1,
            "the batch from {} to {} has other records",
            batch.first,
            batch.last
        );
        self.sealed = self.drafts.len();
        let frames = self.bytes.len() - self.sealed_bytes;
        self.sealed_bytes = self.bytes.len();
        (records, frames as u64)
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(FRAME_HEADER_BYTES), 0);
    }

    /// Bytes that are sealed and not yet on disk.
    pub(super) fn waiting(&self) -> u64 {
        (self.sealed_bytes - self.written_bytes) as u64
    }

    /// The next frame to write.
    pub(super) fn next(&self) -> Option<Draft> {
        self.drafts[..self.sealed].get(self.written).copied()
    }

    /// A frame's payload.
    pub(super) fn body(&self, draft: &Draft) -> &[u8] {
        &self.bytes[draft.body()]
    }

    /// Gives the next frame its header and counts it as written.
    pub(super) fn finish(&mut self, draft: &Draft, header: &[u8; FRAME_HEADER_BYTES]) {
        self.bytes[draft.start..draft.start + FRAME_HEADER_BYTES].copy_from_slice(header);
        self.written += 1;
        self.written_bytes = draft.start + draft.stride() as usize;
    }

    /// How far it is on disk, in bytes from its start.
    pub(super) fn written_bytes(&self) -> usize {
        self.written_bytes
    }

    /// Whole frames, as they go on disk.
    pub(super) fn frames(&self, from: usize, to: usize) -> &[u8] {
        &self.bytes[from..to]
    }

    /// Forgets everything and keeps the memory.
    pub(super) fn clear(&mut self) {
        let (mut bytes, mut drafts) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.drafts));
        bytes.clear();
        drafts.clear();
        *self = Self { bytes, drafts, ..Self::default() };
    }
}
