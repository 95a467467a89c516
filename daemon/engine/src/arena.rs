//! Memory reserved at start and never moved: one mapping per arena, zeroed, touched only when used.
//!
//! This is the engine's only file with `unsafe`. It knows nothing of what lies in an arena.
#![allow(
    unsafe_code,
    reason = "a mapping is raw bytes until somebody says what lies in it; that is said here alone"
)]

use std::ops::{Deref, DerefMut};

/// A type that any bytes are a valid value of, all zero an empty one, and that owns nothing outside itself.
///
/// # Safety
/// All bytes must be a valid value of the type, none of them may be padding, it must need no drop, and its alignment must
/// be at most a page's.
pub(crate) unsafe trait Plain: Default + Send + Sync {}

macro_rules! plain {
    ($($kind:ty),* $(,)?) => { $(
        // SAFETY: an integer, an atomic integer, or a `repr(C)` struct of nothing else that fill it whole; any bytes are
        // valid for each.
        unsafe impl Plain for $kind {}
    )* };
}
plain!(
    u32,
    crate::sync::AtomicU32,
    crate::sync::AtomicU64,
    crate::catalogue::skus::SkuRow,
    crate::inventory::cell::Cell,
    crate::days::Day,
    crate::movements::Movement,
    crate::outcomes::OutcomeRow,
    crate::reservations::ids::Bucket,
    crate::reservations::slot::Row,
    crate::reservations::slot::Slot,
);

/// A fixed number of values, all zero at first.
pub(crate) struct Arena<T> {
    #[cfg(not(loom))]
    memory: memmap2::MmapMut,
    #[cfg(not(loom))]
    kind: std::marker::PhantomData<T>,
    #[cfg(loom)]
    memory: Box<[T]>,
    len: usize,
}

/// Arenas at least this large ask for huge pages: the size of one on x86-64 and most arm64.
#[cfg(not(loom))]
const HUGE_PAGE_BYTES: usize = 2 << 20;

impl<T: Plain> Arena<T> {
    /// Reserves room for `len` values.
    ///
    /// # Errors
    /// The operating system's, when it has no address space to give.
    #[cfg(not(loom))]
    pub(crate) fn new(len: usize) -> std::io::Result<Self> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(std::io::ErrorKind::OutOfMemory)?.max(1);
        let memory = memmap2::MmapOptions::new().len(bytes).no_reserve_swap().map_anon()?;
        if bytes >= HUGE_PAGE_BYTES {
            // Advice: where the kernel has no huge pages, small ones serve as well, only slower.
            let _ = memory.advise(memmap2::Advice::HugePage);
        }
        Ok(Self { memory, kind: std::marker::PhantomData, len })
    }

    /// The first `used` values as they lie in memory. Only the writer changes an arena that is shared, so whoever asks
    /// must keep him from it while the bytes are in hand.
    #[cfg(not(loom))]
    pub(crate) fn bytes(&self, used: usize) -> &[u8] {
        let values = &self[..used];
        // SAFETY: the values are initialised memory without padding, says `Plain`. Nobody writes to them meanwhile: all
        // writes are the writer's, through `&mut State`, and `State::memory` has that borrowed.
        unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) }
    }

    /// The same, to be filled.
    #[cfg(not(loom))]
    pub(crate) fn bytes_mut(&mut self, used: usize) -> &mut [u8] {
        let values = &mut self[..used];
        // SAFETY: as in `bytes`, any bytes are valid values, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), size_of_val(values)) }
    }

    /// Has the kernel give memory for these values now, so that whoever uses them first does not wait until it is cleared. The
    /// values stay what they are, also where somebody changes them meanwhile.
    #[cfg(not(loom))]
    pub(crate) fn populate(&self, values: std::ops::Range<usize>) {
        let (from, to) = (values.start * size_of::<T>(), values.end.min(self.len) * size_of::<T>());
        if from < to {
            // A kernel that cannot do it ahead does it at the first use.
            let _ = self.memory.advise_range(memmap2::Advice::PopulateWrite, from, to - from);
        }
    }

    /// Memory that loom watches is there.
    #[cfg(loom)]
    pub(crate) fn populate(&self, _values: std::ops::Range<usize>) {}

    /// Values that loom watches do not lie in memory as they will: no model writes an image.
    #[cfg(loom)]
    pub(crate) fn bytes(&self, _used: usize) -> &[u8] {
        unreachable!("a model wrote an image");
    }

    /// The same.
    #[cfg(loom)]
    pub(crate) fn bytes_mut(&mut self, _used: usize) -> &mut [u8] {
        unreachable!("a model loaded an image");
    }

    /// An arena of values that loom can watch.
    #[cfg(loom)]
    pub(crate) fn new(len: usize) -> std::io::Result<Self> {
        Ok(Self { memory: (0..len).map(|_| T::default()).collect(), len })
    }
}

impl<T: Plain> Deref for Arena<T> {
    type Target = [T];

    #[cfg(not(loom))]
    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping holds at least `len` values, is page-aligned, lives as long as `self`, and was
        // zero-filled by the kernel, which `Plain` says is valid. Shared access is to atomics, or guarded by `&mut`.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast::<T>(), self.len) }
    }

    #[cfg(loom)]
    fn deref(&self) -> &[T] {
        assert_eq!(self.len, self.memory.len());
        &self.memory
    }
}

impl<T: Plain> DerefMut for Arena<T> {
    #[cfg(not(loom))]
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast::<T>(), self.len) }
    }

    #[cfg(loom)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory
    }
}

/// Asks the processor to fetch this value's cache line, ahead of its use.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing the program can see and never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch(
            std::ptr::from_ref(value).cast::<i8>(),
            std::arch::x86_64::_MM_HINT_T0,
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
