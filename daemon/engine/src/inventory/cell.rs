//! What lies in the inventory's arenas: a cell's quantities, its place, and the word that readers see.

use earmark_protocol::ids::{NodeIx, Segment};
use earmark_protocol::reply::CellView;

use crate::sync::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// A cell's node and segment in one word: 20 bits of node above 12 of segment, so cells sort by node first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u32);

impl Place {
    /// The place of a node's segment; both must be below their limits.
    #[must_use]
    pub fn new(node: NodeIx, segment: Segment) -> Self {
        debug_assert!(node.0 < NodeIx::LIMIT && segment.0 < Segment::LIMIT);
        Self(node.0 << 12 | u32::from(segment.0))
    }

    /// Its node.
    #[must_use]
    pub fn node(self) -> NodeIx {
        NodeIx(self.0 >> 12)
    }

    /// Its segment.
    #[must_use]
    pub fn segment(self) -> Segment {
        Segment((self.0 & 0xFFF) as u16)
    }
}

/// What planners and `atp` read of a cell: its place and what can be promised, in one atomic word.
#[inline]
pub(crate) fn word(place: Place, available: i32) -> u64 {
    u64::from(place.0) << 32 | u64::from(available.cast_unsigned())
}

/// The place in a word.
#[inline]
pub(crate) fn word_place(word: u64) -> Place {
    Place((word >> 32) as u32)
}

/// What can be promised, in a word.
#[inline]
pub(crate) fn word_available(word: u64) -> i32 {
    (word as u32).cast_signed()
}

/// One cell's quantities, 32 bytes: two to a cache line.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Cell {
    pub(crate) on_hand: AtomicI32,
    pub(crate) held: AtomicU32,
    pub(crate) allocated: AtomicU32,
    pub(crate) safety: AtomicU32,
    pub(crate) unsellable: AtomicU32,
    /// The cell's newest movement: the low half of its number in the ring, 0 for none.
    pub(crate) movement: AtomicU32,
    /// The last count taken: 16 bits of source above 48 of its time; 0 for none.
    pub(crate) counted: AtomicU64,
}

const _: () = assert!(size_of::<Cell>() == 32 || cfg!(loom));

/// A cell's quantities, read out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quantities {
    pub(crate) on_hand: i32,
    pub(crate) held: u32,
    pub(crate) allocated: u32,
    pub(crate) safety: u32,
    pub(crate) unsellable: u32,
}

impl Quantities {
    /// What can be promised; below 0 where more is promised than there is.
    #[inline]
    pub(crate) fn available(&self) -> i64 {
        i64::from(self.on_hand)
            - i64::from(self.held)
            - i64::from(self.allocated)
            - i64::from(self.safety)
            - i64::from(self.unsellable)
    }

    /// The same as the word holds it. It clamps far below 0, where the exact depth of a shortage no longer matters.
    #[inline]
    pub(crate) fn available_word(&self) -> i32 {
        self.available().clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
    }

    pub(crate) fn view(&self, place: Place) -> CellView {
        let Self { on_hand, held, allocated, safety, unsellable } = *self;
        CellView {
            node: place.node(),
            segment: place.segment(),
            on_hand,
            held,
            allocated,
            safety,
            unsellable,
        }
    }
}

impl Cell {
    /// The quantities. Alone it may tear beside the writer; readers validate with the sku's sequence.
    #[inline]
    pub(crate) fn quantities(&self) -> Quantities {
        Quantities {
            on_hand: self.on_hand.load(Ordering::Relaxed),
            held: self.held.load(Ordering::Relaxed),
            allocated: self.allocated.load(Ordering::Relaxed),
            safety: self.safety.load(Ordering::Relaxed),
            unsellable: self.unsellable.load(Ordering::Relaxed),
        }
    }

    #[inline]
    pub(crate) fn store(&self, quantities: &Quantities) {
        self.on_hand.store(quantities.on_hand, Ordering::Relaxed);
        self.held.store(quantities.held, Ordering::Relaxed);
        self.allocated.store(quantities.allocated, Ordering::Relaxed);
        self.safety.store(quantities.safety, Ordering::Relaxed);
        self.unsellable.store(quantities.unsellable, Ordering::Relaxed);
    }
}
