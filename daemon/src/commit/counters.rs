//! What the committer counts. Each batch is tallied apart and added at its end, so that counting costs a message
//! nothing that is shared.

use std::sync::atomic::{AtomicU64, Ordering};

use earmark_protocol::refusal::{Refusal, RefusalCode};

/// One more than the greatest number of a refusal code.
const CODES: usize = 81;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What was counted since the daemon started.
        #[derive(Debug)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64,)*
            refusals: [AtomicU64; CODES],
        }

        /// What is counted in one batch.
        #[derive(Clone, Debug)]
        pub struct Tally {
            $($(#[$doc])* pub $name: u64,)*
            refusals: [u32; CODES],
            refused: bool,
        }

        impl Default for Counters {
            fn default() -> Self {
                Self { $($name: AtomicU64::new(0),)* refusals: [const { AtomicU64::new(0) }; CODES] }
            }
        }

        impl Default for Tally {
            fn default() -> Self {
                Self { $($name: 0,)* refusals: [0; CODES], refused: false }
            }
        }

        impl Counters {
            /// Adds what a batch counted, and empties the tally.
            pub fn add(&self, tally: &mut Tally) {
                $(if tally.$name > 0 {
                    self.$name.fetch_add(std::mem::take(&mut tally.$name), Ordering::Relaxed);
                })*
                if std::mem::take(&mut tally.refused) {
                    for (sum, count) in self.refusals.iter().zip(&mut tally.refusals) {
                        sum.fetch_add(u64::from(std::mem::take(count)), Ordering::Relaxed);
                    }
                }
            }

            /// All of them by name; of refusals those that happened.
            #[must_use]
            pub fn list(&self) -> Vec<(String, u64)> {
                let mut list = vec![$((stringify!($name).to_owned(), self.$name.load(Ordering::Relaxed)),)*];
                let refusals = RefusalCode::ALL.iter().map(|code| (*code, self.refused(*code)));
                list.extend(refusals.filter(|(_, count)| *count > 0).map(|(code, count)| {
                    (format!("refused_{}", code.name()), count)
                }));
                list
            }
        }
    };
}

counters! {
    /// Commands decided, the fixed message included, retries included.
    commands,
    /// Those of them that were the fixed message.
    holds_one,
    /// Decisions that changed nothing: retries of commands decided before, ids refused, plans that no longer fit.
    nothing_new,
    /// Plans that no longer fitted when they came to be decided.
    conflicts,
    /// Routed orders that were held.
    orders,
    /// Orders that were moved.
    moved_orders,
    /// What they cost less for it, in micros.
    moved_saved_micros,
    /// Records that expired holds.
    expiry_records,
    /// Batches.
    batches,
}

impl Tally {
    /// Counts a refusal.
    #[inline]
    pub fn refuse(&mut self, refusal: &Refusal) {
        self.refuse_code(refusal.code);
    }

    /// Counts a refusal of this code.
    #[inline]
    pub fn refuse_code(&mut self, code: RefusalCode) {
        self.refused = true;
        if let Some(count) = self.refusals.get_mut(usize::from(code.number())) {
            *count += 1;
        }
    }
}

impl Counters {
    /// How often this refusal was given.
    #[must_use]
    pub fn refused(&self, code: RefusalCode) -> u64 {
        self.refusals.get(usize::from(code.number())).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Counts a refusal that never came to the committer.
    pub fn refuse(&self, code: RefusalCode) {
        if let Some(count) = self.refusals.get(usize::from(code.number())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_counter_and_a_batch_is_added_once() {
        let counters = Counters::default();
        let mut tally = Tally { commands: 3, ..Tally::default() };
        for code in RefusalCode::ALL {
            tally.refuse_code(*code);
        }
        counters.add(&mut tally);
        counters.add(&mut tally);
        assert!(RefusalCode::ALL.iter().all(|code| counters.refused(*code) == 1));
        assert!(counters.list().contains(&("commands".to_owned(), 3)));
    }
}
