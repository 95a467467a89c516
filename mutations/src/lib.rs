//! Deliberate bugs. Each is one condition at the place it spoils: `mutations::is(Mutation::SkipSync)`. In every build but
//! one with the feature `on` that is the constant `false`, and the compiler drops it.
//!
//! They are chosen per thread and while the program runs, so that one build shows of each that the simulator
//! (`daemon/tests/simulation/`) finds it.

/// One deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A flush of the log counts as durable without its sync.
    SkipSync,
    /// A segment gets its name, and the names are not synced.
    SkipNamesSync,
    /// An image gets its name before its bytes are synced.
    SkipImageSync,
    /// A start does not write again what the last flush wrote, though that may have failed.
    SkipRewrite,
    /// The payload of a frame is not held against its checksum.
    TrustPayloads,
    /// Whatever does not follow on the last frame counts as the rest of a write that never ended.
    TakeDamageForATornTail,
    /// A batch is answered once the one before it is durable.
    AnswerBeforeDurable,
    /// Stock of expired holds is given back and the record of it is empty.
    ReleaseWithoutLogging,
    /// A reservation's slot that is used again stays among the free ones.
    ReuseFreedSlot,
    /// Segments are given away that the older image still needs.
    ReleaseForNewestImage,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::SkipSync,
        Self::SkipNamesSync,
        Self::SkipImageSync,
        Self::SkipRewrite,
        Self::TrustPayloads,
        Self::TakeDamageForATornTail,
        Self::AnswerBeforeDurable,
        Self::ReleaseWithoutLogging,
        Self::ReuseFreedSlot,
        Self::ReleaseForNewestImage,
    ];
}

#[cfg(feature = "on")]
mod chosen {
    use super::Mutation;
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Puts one of them, or none, in force on this thread.
    pub fn choose(mutation: Option<Mutation>) {
        CHOSEN.set(mutation);
    }

    /// Whether this one is in force on this thread.
    #[must_use]
    pub fn is(mutation: Mutation) -> bool {
        CHOSEN.get() == Some(mutation)
    }
}

#[cfg(feature = "on")]
pub use chosen::{choose, is};

/// Whether this one is in force: never.
#[cfg(not(feature = "on"))]
#[must_use]
#[inline(always)]
pub const fn is(_: Mutation) -> bool {
    false
}
