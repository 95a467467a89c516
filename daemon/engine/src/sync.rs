//! The atomics of the lock-free rooms: the standard library's, or loom's when its checker runs the same source.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering, fence};

/// Stores a value. Under loom one that is there already is left alone: each store is one more value that every later load
/// may see, and a reader cannot tell the two apart.
#[inline]
pub(crate) fn set_u32(atomic: &AtomicU32, value: u32) {
    if !cfg!(loom) || atomic.load(Ordering::Relaxed) != value {
        atomic.store(value, Ordering::Relaxed);
    }
}

/// The same for 64 bits.
#[inline]
pub(crate) fn set_u64(atomic: &AtomicU64, value: u64) {
    if !cfg!(loom) || atomic.load(Ordering::Relaxed) != value {
        atomic.store(value, Ordering::Relaxed);
    }
}
