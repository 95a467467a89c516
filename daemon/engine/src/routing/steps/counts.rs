//! An order as counts: of each want, and of shipments where those are limited. They are packed side by side, so that whether a
//! shipment fits into what is left is one subtraction.

use crate::routing::case::{Case, Part, Short};

/// Most counts: one per want, and that of shipments.
pub(super) const COUNTS_MAX: usize = 11;

/// What a count is of.
#[derive(Clone, Copy, Debug)]
enum Counted {
    /// A want that one node serves whole, and its units.
    Whole(u32, i64),
    /// Units of a want to be split.
    Units(Short),
    /// Shipments.
    Shipments,
}

/// A count of what an order asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    of: Counted,
    pub(super) most: i64,
    /// Where it stands in packed counts, and its bits there; the one above them tells a borrow.
    shift: u32,
    bits: u32,
}

/// An order's counts.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) list: Vec<Count>,
    /// All of them, packed; and the bits that tell a borrow.
    pub(super) full: u128,
    guards: u128,
}

impl Count {
    /// How many of it there are in packed counts.
    #[inline]
    pub(super) fn of(&self, counts: u128) -> i64 {
        ((counts >> self.shift) & ((1 << self.bits) - 1)) as i64
    }

    /// So many of it, packed.
    #[inline]
    pub(super) fn packed(&self, of: i64) -> u128 {
        (of as u128) << self.shift
    }

    /// Its bits in packed counts.
    pub(super) fn mask(&self) -> u128 {
        self.packed((1 << self.bits) - 1)
    }

    /// Whether it counts what is wanted.
    #[inline]
    pub(super) fn is_want(&self) -> bool {
        !matches!(self.of, Counted::Shipments)
    }

    /// The want, and how many units one of it is.
    pub(super) fn want(&self) -> Option<(u32, i64)> {
        match self.of {
            Counted::Whole(want, units) => Some((want, units)),
            Counted::Units(short) => Some((short.want, 1)),
            Counted::Shipments => None,
        }
    }

    /// The want's part in a shipment that has so many of it.
    pub(super) fn part(&self, slot: u32, of: i64) -> Option<Part> {
        let (want, units) = self.want()?;
        (of > 0).then_some(Part { want, slot, units: units * of })
    }

    /// The most that a node could ship of it.
    pub(super) fn there(&self, case: &Case, slot: u32) -> i64 {
        match &self.of {
            Counted::Whole(want, _) => i64::from(case.serves(slot as usize, *want as usize)),
            Counted::Units(short) => case.supply(short, slot).clamp(0, self.most),
            Counted::Shipments => 0,
        }
    }
}

impl Counts {
    /// Lays out the counts of an order that so many nodes may serve; `false` where they are too many.
    pub(super) fn read(&mut self, case: &Case, nodes: usize) -> bool {
        let whole = Case::wants(&case.whole).map(|want| (Counted::Whole(want as u32, case.units[want]), 1));
        let of_short = |short: &Short| (Counted::Units(*short), case.units[short.want as usize]);
        let wants = whole.chain(case.shorts.iter().map(of_short));
        let count =
            |(of, most): (Counted, i64)| Count { of, most, shift: 0, bits: i64::BITS - most.leading_zeros() };
        self.list.clear();
        self.list.extend(wants.take(COUNTS_MAX + 1).map(count));
        // No plan has more shipments than nodes or units.
        let units = self.list.iter().fold(0_i64, |sum, count| sum.saturating_add(count.most));
        if (case.limit as u64) < units.unsigned_abs().min(nodes as u64) {
            self.list.push(count((Counted::Shipments, case.limit as i64)));
        }
        let bits: u32 = self.list.iter().map(|count| count.bits + 1).sum();
        if self.list.len() > COUNTS_MAX || bits > u128::BITS {
            return false;
        }
        (self.full, self.guards) = (0, 0);
        let mut shift = 0;
        for count in &mut self.list {
            count.shift = shift;
            shift += count.bits + 1;
            self.full |= count.packed(count.most);
            self.guards |= 1 << (count.shift + count.bits);
        }
        true
    }

    /// What is left of counts without these; `None` where they have less of some.
    #[inline]
    pub(super) fn without(&self, counts: u128, less: u128) -> Option<u128> {
        let left = (counts | self.guards).wrapping_sub(less);
        (left & self.guards == self.guards).then_some(left & !self.guards)
    }

    /// Whether nothing that is wanted is left.
    pub(super) fn is_served(&self, rest: u128) -> bool {
        self.list.iter().filter(|count| count.is_want()).all(|count| count.of(rest) == 0)
    }
}
