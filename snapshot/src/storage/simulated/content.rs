//! What a simulated file holds: as a reader sees it, as the disk has it, and what was written in between.

use fastrand::Rng;

/// Writes are torn at multiples of this many bytes: what a disk writes wholly or not at all.
pub(super) const SECTOR_BYTES: u64 = 512;

/// A file. It has no name of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What is there after a power cut, besides what of `unsynced` got there by chance.
    durable: Vec<u8>,
    /// Writes since the last sync, in their order.
    unsynced: Vec<Write>,
}

#[derive(Clone, Debug)]
struct Write {
    offset: u64,
    bytes: Vec<u8>,
}

impl Content {
    /// A new file, all zero. Its length is durable only after a sync, as everything else of it.
    pub(super) fn zeros(bytes: u64) -> Self {
        Self { seen: vec![0; index(bytes)], ..Self::default() }
    }

    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn durable(&self) -> &[u8] {
        &self.durable
    }

    /// Bytes that a write would add to the file's length.
    pub(super) fn growth(&self, bytes: &[u8], offset: u64) -> u64 {
        (offset + bytes.len() as u64).saturating_sub(self.seen.len() as u64)
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        self.write_seen_only(bytes, offset);
        self.unsynced.push(Write { offset, bytes: bytes.to_vec() });
    }

    /// A write that readers see until the power is cut, and that never gets to the disk.
    pub(super) fn write_seen_only(&mut self, bytes: &[u8], offset: u64) {
        let end = index(offset) + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[index(offset)..end].copy_from_slice(bytes);
    }

    /// A write that the disk put here of its own accord: it is durable, and what lies beyond the end is dropped.
    pub(super) fn write_behind(&mut self, bytes: &[u8], offset: u64) {
        overlay(&mut self.seen, bytes, offset);
        overlay(&mut self.durable, bytes, offset);
    }

    pub(super) fn flip(&mut self, offset: u64, bit: u32) {
        for bytes in [&mut self.seen, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(index(offset)) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for write in self.unsynced.drain(..) {
            overlay(&mut self.durable, &write.bytes, write.offset);
        }
    }

    /// Some of what was written gets to the disk, and the rest never will, whatever is synced later; readers see it all.
    pub(super) fn fail_sync(&mut self, rng: &mut Rng) {
        if rng.bool() {
            self.durable.resize(self.seen.len(), 0);
        }
        for write in self.unsynced.drain(..) {
            match rng.u8(..3) {
                0 => {}
                1 => overlay(&mut self.durable, &write.bytes, write.offset),
                _ => overlay_torn(&mut self.durable, &write, rng),
            }
        }
    }

    /// Of each write since the last sync all, nothing, or some sectors are left.
    pub(super) fn cut_power(&mut self, rng: &mut Rng) {
        self.fail_sync(rng);
        self.seen.clone_from(&self.durable);
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a simulated file fits in memory")
}

/// Lays bytes over what is there; what lies beyond the end is dropped.
fn overlay(target: &mut [u8], bytes: &[u8], offset: u64) {
    let start = index(offset).min(target.len());
    let end = (index(offset) + bytes.len()).min(target.len());
    target[start..end].copy_from_slice(&bytes[..end - start]);
}

fn overlay_torn(target: &mut [u8], write: &Write, rng: &mut Rng) {
    let end = write.offset + write.bytes.len() as u64;
    let mut offset = write.offset;
    while offset < end {
        let next = ((offset / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
        if rng.bool() {
            let piece = &write.bytes[index(offset - write.offset)..index(next - write.offset)];
            overlay(target, piece, offset);
        }
        offset = next;
    }
}
