//! Values of a higher bound, by subgradients: where a node ships more of a want than its split asks for, that is worth less there.

use super::super::near::{FAR, Near};
use super::{Decomposed, Order};
use crate::routing::case::Budget;

/// How far values are moved: for having any, for each of what is there, and for just so many; and how much of the last move goes on
/// (Camerini, Fratta and Maffioli 1975).
const FOR_ANY: f64 = 1.0;
const FOR_EACH: f64 = 1.0;
const FOR_EXACT: f64 = 0.3;
const MOMENTUM: f64 = 0.9;
/// Rounds of moving values; those without a better bound after which they are moved less, and by how much; and the least that is worth
/// moving.
const ROUNDS: usize = 100;
const STALLED_ROUNDS: u32 = 16;
const SLOWER: f64 = 0.7;
const PACE_LEAST: f64 = 1e-3;
/// No value is more than that.
const VALUE_MAX: i64 = FAR / 256;
/// So many rounds' work is kept for going back to the best values.
const ROUNDS_KEPT: u64 = 3;
/// Steps of moving a value.
const MOVE_STEPS: usize = 2;

impl Decomposed {
    /// Looks for values whose bound is higher, towards what is known to be a plan's cost, moved so far at first. Returns the best bound and
    /// leaves its values, how far they were moved last, and what is proven by them; `None` where the budget ends.
    pub(super) fn raise(
        &mut self,
        order: Order<'_>,
        (known, pace): (i64, &mut f64),
        (near, proven): (&mut Near, &mut i64),
        budget: &mut Budget,
    ) -> Option<i64> {
        let had = budget.0;
        let mut bound = self.bound(order, near, budget)?;
        let reserve = (had - budget.0) * ROUNDS_KEPT;
        *proven = bound.max(*proven);
        let (mut now, mut stalled) = (bound, 0);
        self.moves.clear();
        self.moves.resize(self.values.of.len(), 0.0);
        self.best_values.clone_from(&self.values.of);
        for _ in 0..ROUNDS {
            let is_agreed = !self.turn(order);
            let is_over = is_agreed || bound > known || *pace < PACE_LEAST || budget.0 < reserve;
            if is_over || !budget.afford(self.moves.len() * MOVE_STEPS) {
                break;
            }
            self.shift(order, (known - now).max(1) as f64 * *pace);
            now = self.bound(order, near, budget)?;
            if now > bound {
                (bound, stalled, *proven) = (now, 0, now.max(*proven));
                self.best_values.clone_from(&self.values.of);
                continue;
            }
            stalled += 1;
            if stalled == STALLED_ROUNDS {
                (*pace, stalled) = (*pace * SLOWER, 0);
                self.moves.fill(0.0);
                self.values.of.clone_from(&self.best_values);
                now = self.bound(order, near, budget)?;
            }
        }
        if now < bound {
            // Where the budget is nearly used up, less may be told than before.
            self.values.of.clone_from(&self.best_values);
            bound = self.bound(order, near, budget)?;
        }
        Some(bound)
    }

    /// Turns the move of values to where nodes and wants disagree now; `false` where they agree.
    fn turn(&mut self, order: Order<'_>) -> bool {
        let mut is_any = false;
        self.moves.iter_mut().for_each(|moves| *moves *= MOMENTUM);
        for ((node, site), split) in order.nodes.iter().zip(&self.sites).zip(&self.split) {
            for choice in &node.choices {
                let (asked, shipped) = (split[choice.at] as usize, site.best.fill[choice.at] as usize);
                if asked == shipped {
                    continue;
                }
                is_any = true;
                let there = choice.there as f64;
                let any = f64::from(u8::from(asked > 0)) - f64::from(u8::from(shipped > 0));
                let each = (asked as f64 - shipped as f64) / there;
                let moves = &mut self.moves[choice.first..=choice.first + choice.there];
                for (of, moves) in moves.iter_mut().enumerate().skip(1) {
                    *moves += FOR_ANY * any + FOR_EACH * each * of as f64 / there;
                }
                moves[asked] += FOR_EXACT;
                moves[shipped] -= FOR_EXACT;
                // Nothing of it has no value.
                moves[0] = 0.0;
            }
        }
        is_any
    }

    /// Moves values so far that the bound would rise by as much as this, if it went on as it does (Polyak 1969).
    fn shift(&mut self, order: Order<'_>, rise: f64) {
        let mut slope = 0.0;
        for ((node, site), split) in order.nodes.iter().zip(&self.sites).zip(&self.split) {
            for choice in &node.choices {
                let (asked, shipped) = (split[choice.at] as usize, site.best.fill[choice.at] as usize);
                slope += self.moves[choice.first + asked] - self.moves[choice.first + shipped];
            }
        }
        let square: f64 = self.moves.iter().map(|moves| moves * moves).sum();
        let length = rise / slope.max(square * 1e-3).max(1e-9);
        for (value, moves) in self.values.of.iter_mut().zip(&self.moves) {
            *value = value.saturating_add((length * moves) as i64).clamp(-VALUE_MAX, VALUE_MAX);
        }
    }
}
