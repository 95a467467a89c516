//! The work that an order may make as a whole: one allowance for all its plans, whatever rules give way, kits are uneven and
//! parts the order is planned in.
//!
//! Plans are made in turns. The first, which most often is the only one, may take most of the whole; each that follows, half of
//! what is left then.

use super::case::Budget;

/// What an order has left of its work, in steps, and what it took.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// `None` before the first turn.
    left: Option<u64>,
    spent: u64,
}

impl Allowance {
    /// The next turn of an order that may take so much as a whole. What it takes is to be said with [`Allowance::spend`].
    pub(super) fn turn(&mut self, whole: u64) -> Budget {
        match self.left {
            Some(left) => Budget(left / 2),
            None => {
                self.left = Some(whole);
                Budget(first_of(whole))
            }
        }
    }

    /// A turn took so many steps.
    pub(super) fn spend(&mut self, steps: u64) {
        self.left = self.left.map(|left| left.saturating_sub(steps));
        self.spent = self.spent.saturating_add(steps);
    }

    /// What all turns took.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }
}

/// What the first turn may take of the whole.
fn first_of(whole: u64) -> u64 {
    whole - whole / 5
}

/// The least whole of which the first turn may take as much as this.
pub(super) fn whole_with_first(steps: u64) -> u64 {
    steps.saturating_add(steps.div_ceil(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_turns_together_take_no_more_than_the_whole_and_the_first_as_much_as_it_is_for() {
        for steps in [0, 1, 2, 3, 4, 5, 1_000_000, 200_000_000] {
            let whole = whole_with_first(steps);
            let mut allowance = Allowance::default();
            let Budget(first) = allowance.turn(whole);
            assert!(first >= steps, "{first} of {whole} for {steps}");
            allowance.spend(first);
            for _ in 0..100 {
                let Budget(turn) = allowance.turn(whole);
                allowance.spend(turn);
            }
            assert!(allowance.spent() <= whole);
        }
    }
}
