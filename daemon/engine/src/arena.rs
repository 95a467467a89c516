//! Memory reserved at start and never moved: one mapping per arena, zeroed, touched only when used.
//!
//! This is the engine's only file with `unsafe`. It knows nothing of what lies in an arena.
#![allow(
    unsafe_code,
    reason = "a mapping is raw bytes until somebody says what lies in it; that is said here alone"
)]

use std::ops::{Deref, DerefMut};

/// A type whose all-zero bytes are a valid, empty value, and that owns nothing outside itself.
///
/// # Safety
/// All-zero bytes must be a valid value of the type, it must need no drop, and its alignment must be at most a page's.
pub(crate) unsafe trait Zeroed: Default + Send + Sync {}

macro_rules! zeroed {
    ($($kind:ty),* $(,)?) => { $(
        // SAFETY: an integer, an atomic integer, or a `repr(C)` struct of nothing else; zero is valid for each.
        unsafe impl Zeroed for $kind {}
    )* };
}
zeroed!(
    u32,
    crate::sync::AtomicU32,
    crate::sync::AtomicU64,
    crate::catalogue::skus::SkuRow,
    crate::inventory::cell::Cell,
    crate::movements::Movement,
    crate::outcomes::OutcomeRow,
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

impl<T: Zeroed> Arena<T> {
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

    /// The same, of values that loom can watch.
    #[cfg(loom)]
    pub(crate) fn new(len: usize) -> std::io::Result<Self> {
        Ok(Self { memory: (0..len).map(|_| T::default()).collect(), len })
    }
}

impl<T: Zeroed> Deref for Arena<T> {
    type Target = [T];

    #[cfg(not(loom))]
    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping holds at least `len` values, is page-aligned, lives as long as `self`, and was
        // zero-filled by the kernel, which `Zeroed` says is valid. Shared access is to atomics, or guarded by `&mut`.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast::<T>(), self.len) }
    }

    #[cfg(loom)]
    fn deref(&self) -> &[T] {
        assert_eq!(self.len, self.memory.len());
        &self.memory
    }
}

impl<T: Zeroed> DerefMut for Arena<T> {
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
