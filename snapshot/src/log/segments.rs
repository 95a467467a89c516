//! Which segments there are: those behind the pen, kept until they are released; those ready ahead of it; and spares,
//! which will be segments again. All work on files but the writing of frames is done here, in [`Segments::prepare`], on
//! a thread that answers nobody.
//!
//! A file becomes a segment in one way only: it has its full length and the name of a spare, its header is written and
//! synced, it gets the segment's name, the names are synced. So a file that has a segment's name has a right header,
//! whenever the power goes, and a spare that is found at a start is of no use to anybody.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use earmark_mutations::Mutation;

use super::lock;
use super::segment::{Segment, SegmentHeader, segment_name};
use crate::storage::{Fault, Storage};

const SPARE: &str = ".spare";

/// Whether there is room for more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// As far as is known.
    Plenty,
    /// The disk is full, and less than one and a half segments are left.
    Low,
    /// The disk is full, and what is left may not do for one more batch.
    None,
}

pub(super) struct Segments {
    storage: Arc<dyn Storage>,
    log_id: u64,
    segment_bytes: u64,
    ahead: usize,
    shelf: Mutex<Shelf>,
    /// Held while files are made, so that it happens once at a time. Taken before `shelf`.
    preparing: Mutex<()>,
    /// Whether the last attempt to make a segment found the disk full.
    short: AtomicBool,
}

struct Shelf {
    /// Numbers behind the pen.
    kept: BTreeSet<u64>,
    /// Ahead of the pen, in order.
    ready: VecDeque<Segment>,
    /// Number of the next one to make.
    next: u64,
    /// Names of files that can be segments again.
    spares: Vec<String>,
    /// Those with lower numbers are needed no more.
    released: u64,
}

impl Segments {
    /// `kept` behind the pen, `ready` ahead of it, `next` the first number that is free.
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        log_id: u64,
        (segment_bytes, ahead): (u64, usize),
        kept: BTreeSet<u64>,
        ready: VecDeque<Segment>,
        next: u64,
    ) -> Self {
        let shelf = Shelf { kept, ready, next, spares: Vec::new(), released: 0 };
        Self {
            storage,
            log_id,
            segment_bytes,
            ahead,
            shelf: Mutex::new(shelf),
            preparing: Mutex::new(()),
            short: AtomicBool::new(false),
        }
    }

    /// The segment after the one with this number, which is full. `None` while it is not ready.
    pub(super) fn take(&self, full: u64) -> Option<Segment> {
        let mut shelf = lock(&self.shelf);
        let next = shelf.ready.pop_front()?;
        shelf.kept.insert(full);
        Some(next)
    }

    /// Segments below this number are needed no more. The pen's own and those ahead are never given away.
    pub(super) fn release_before(&self, number: u64) {
        let mut shelf = lock(&self.shelf);
        shelf.released = shelf.released.max(number);
    }

    /// Whether [`Segments::prepare`] has something to do.
    pub(super) fn wants(&self) -> bool {
        let shelf = lock(&self.shelf);
        shelf.ready.len() < self.ahead || shelf.kept.first().is_some_and(|first| *first < shelf.released)
    }

    /// Whether a segment is ready ahead.
    pub(super) fn is_ready(&self) -> bool {
        !lock(&self.shelf).ready.is_empty()
    }

    /// Numbers of the segments behind the pen.
    pub(super) fn kept(&self) -> Vec<u64> {
        lock(&self.shelf).kept.iter().copied().collect()
    }

    /// Whether the last attempt to make a segment found the disk full.
    pub(super) fn is_short(&self) -> bool {
        // Pairs with the stores in `prepare`. Nothing else is read on the strength of it, so Relaxed will do.
        self.short.load(Ordering::Relaxed)
    }

    /// Bytes that the segments ahead will take.
    pub(super) fn left(&self) -> u64 {
        let shelf = lock(&self.shelf);
        shelf.ready.iter().map(|segment| segment.bytes - super::segment::SEGMENT_HEADER_BYTES).sum()
    }

    /// Puts released segments aside, and makes new ones until enough are ready. Whether they are: a full disk is no
    /// fault, it is told by [`Segments::is_short`].
    pub(super) fn prepare(&self) -> Result<bool, Fault> {
        let _alone = lock(&self.preparing);
        self.put_aside()?;
        loop {
            let (number, spare) = {
                let mut shelf = lock(&self.shelf);
                if shelf.ready.len() >= self.ahead {
                    self.short.store(false, Ordering::Relaxed);
                    return Ok(true);
                }
                (shelf.next, shelf.spares.pop())
            };
            let header = SegmentHeader { log_id: self.log_id, number, bytes: self.segment_bytes };
            match make(&*self.storage, &header, spare) {
                Ok(segment) => {
                    let mut shelf = lock(&self.shelf);
                    shelf.ready.push_back(segment);
                    shelf.next += 1;
                }
                Err(fault) if fault.is_full() => {
                    self.short.store(true, Ordering::Relaxed);
                    return Ok(false);
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Makes spares of released segments, or removes them where there are spares enough: as many as were released now,
    /// since the log will need as many until the next release, and a new file costs the disk as much again as what is
    /// written into it. Their new names are durable before anything is written into them.
    fn put_aside(&self) -> Result<(), Fault> {
        let (released, mut wanted) = {
            let shelf = lock(&self.shelf);
            let released: Vec<u64> = shelf.kept.range(..shelf.released).copied().collect();
            let enough = released.len().max(self.ahead);
            (released, enough.saturating_sub(shelf.spares.len()))
        };
        if released.is_empty() {
            return Ok(());
        }
        let mut spares = Vec::new();
        for number in &released {
            let name = segment_name(*number);
            if wanted > 0 && self.storage.open(&name)?.len()? == self.segment_bytes {
                wanted -= 1;
                let spare = spare_name(*number);
                self.storage.rename(&name, &spare)?;
                spares.push(spare);
            } else {
                self.storage.remove(&name)?;
            }
        }
        self.storage.sync_names()?;
        let mut shelf = lock(&self.shelf);
        for number in &released {
            shelf.kept.remove(number);
        }
        shelf.spares.append(&mut spares);
        Ok(())
    }
}

/// Makes one segment, of a spare or of nothing.
pub(super) fn make(
    storage: &dyn Storage,
    header: &SegmentHeader,
    spare: Option<String>,
) -> Result<Segment, Fault> {
    let (name, file) = match spare {
        Some(name) => {
            let file = storage.open(&name)?;
            (name, file)
        }
        None => {
            let name = spare_name(header.number);
            let file = storage.create(&name, header.bytes)?;
            (name, file)
        }
    };
    if let Err(fault) = file.write_at(&header.encode(), 0).and_then(|()| file.sync()) {
        if fault.is_full() {
            // Some file systems find out only now. What such a file holds is not known any more.
            storage.remove(&name)?;
        }
        return Err(fault);
    }
    storage.rename(&name, &segment_name(header.number))?;
    if !earmark_mutations::is(Mutation::SkipNamesSync) {
        storage.sync_names()?;
    }
    Ok(Segment { number: header.number, bytes: header.bytes, log_id: header.log_id, file })
}

fn spare_name(number: u64) -> String {
    format!("{number:010}{SPARE}")
}

/// Removes spares that an earlier life left behind.
pub(super) fn remove_spares(storage: &dyn Storage, names: &[String]) -> Result<(), Fault> {
    for name in names.iter().filter(|name| name.ends_with(SPARE)) {
        storage.remove(name)?;
    }
    Ok(())
}
