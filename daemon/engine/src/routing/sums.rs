//! What a set of wants comes to: units, and what carriers price of them, added up by four wants at a time.
//!
//! Sets of wants are masks here, and hundreds of them are priced for one order: what each four wants come to together is
//! worked out once.

use super::demand::Demand;
use crate::tariff::fares::Goods;

/// Wants of one table.
const WANTS: usize = 4;

/// The most that all wants of an order may come to here, so that no sum of them overflows.
const TOTAL_MAX: u64 = 1 << 40;

/// What some wants come to, and what they cost at least, wherever they come from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) units: u64,
    pub(super) grams: u64,
    pub(super) mm3: u64,
    pub(super) least: i64,
}

impl Sum {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            units: self.units + other.units,
            grams: self.grams + other.grams,
            mm3: self.mm3 + other.mm3,
            least: self.least + other.least,
        }
    }

    /// What is left of it without a part of it.
    pub(super) fn without(self, part: Self) -> Self {
        Self {
            units: self.units - part.units,
            grams: self.grams - part.grams,
            mm3: self.mm3 - part.mm3,
            least: self.least - part.least,
        }
    }
}

/// The sums of an order's wants.
#[derive(Default)]
pub(super) struct Sums {
    tables: Vec<[Sum; 1 << WANTS]>,
    /// By word of a mask and flag: which wants' skus have it. Those flags alone that some want has.
    flagged: Vec<(u16, Vec<u64>)>,
}

impl Sums {
    /// Adds up the wants of an order; `least` says what each costs at least. `false` where they come to too much.
    pub(super) fn read(&mut self, demand: &Demand, least: impl Fn(usize) -> i64) -> bool {
        self.tables.clear();
        self.flagged.clear();
        let words = demand.wants.len().div_ceil(64);
        let (mut total, mut flags) = (0_u64, 0);
        for (at, want) in demand.wants.iter().enumerate() {
            let (units, goods, least) = (want.units.unsigned_abs(), want.goods(want.units), least(at));
            let largest = units.max(goods.grams).max(goods.mm3).max(least.unsigned_abs());
            total = total.saturating_add(largest);
            if total > TOTAL_MAX {
                return false;
            }
            let of_want = Sum { units, grams: goods.grams, mm3: goods.mm3, least };
            if at % WANTS == 0 {
                self.tables.push([Sum::default(); 1 << WANTS]);
            }
            let table = self.tables.last_mut().expect("one was begun");
            let (without, with) = table.split_at_mut(1 << (at % WANTS));
            with.iter_mut().zip(without).for_each(|(sum, less)| *sum = less.and(of_want));
            flags |= want.flags;
        }
        for flag in (0..u16::BITS).map(|bit| 1 << bit).filter(|flag| flags & flag != 0) {
            let mut mask = vec![0; words];
            for (at, _) in demand.wants.iter().enumerate().filter(|(_, want)| want.flags & flag != 0) {
                mask[at / 64] |= 1 << (at % 64);
            }
            self.flagged.push((flag, mask));
        }
        true
    }

    /// What one want comes to.
    pub(super) fn of(&self, want: usize) -> Sum {
        self.tables[want / WANTS][1 << (want % WANTS)]
    }

    /// What the wants of a mask come to.
    pub(super) fn add_up(&self, mask: &[u64]) -> Sum {
        let mut sum = Sum::default();
        for (tables, word) in self.tables.chunks(64 / WANTS).zip(mask) {
            let mut bits = *word;
            for table in tables {
                sum = sum.and(table[bits as usize % (1 << WANTS)]);
                bits >>= WANTS;
            }
        }
        sum
    }

    /// What carriers price of the wants of a mask that come to this.
    pub(super) fn goods(&self, mask: &[u64], sum: Sum) -> Goods {
        let is_any = |of_flag: &[u64]| mask.iter().zip(of_flag).any(|(mask, flag)| mask & flag != 0);
        let flags = self.flagged.iter().filter(|(_, of_flag)| is_any(of_flag));
        Goods { grams: sum.grams, mm3: sum.mm3, flags: flags.fold(0, |flags, (flag, _)| flags | flag) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::demand::Want;
    use super::*;

    fn demand(wants: u32) -> Demand {
        let mut demand = Demand::default();
        let line = |sku| earmark_protocol::command::OrderLine {
            line: earmark_protocol::ids::LineId(sku),
            sku: earmark_protocol::ids::SkuIx(sku),
            quantity: 1 + sku % 7,
        };
        demand.read(&(0..wants).map(line).collect::<Vec<_>>());
        for (at, want) in (0..).zip(&mut demand.wants) {
            want.flags = u16::from(at == 70) | u16::from(at % 9 == 2) << 3;
            want.unit = Goods { grams: 100 + at, mm3: 1_000 * at, flags: want.flags };
        }
        demand
    }

    #[test]
    fn the_wants_of_a_mask_come_to_what_they_come_to_one_by_one() {
        let demand = demand(75);
        let mut sums = Sums::default();
        assert!(sums.read(&demand, |want| want as i64 * 5));
        for mask in [[0, 0], [u64::MAX, 0x7FF], [0x9249_2492_4924_9249, 0x441], [1 << 63, 1 << 6]] {
            let has = |want: &usize| mask[want / 64] >> (want % 64) & 1 == 1;
            let wants = || (0..75).filter(has).map(|want| &demand.wants[want]);
            let goods = wants().map(|want: &Want| want.goods(want.units)).fold(Goods::default(), Goods::and);
            let sum = sums.add_up(&mask);
            assert_eq!(sums.goods(&mask, sum), goods);
            assert_eq!(sum.units, wants().map(|want| want.units.unsigned_abs()).sum());
            assert_eq!(sum.least, (0..75).filter(has).map(|want| want as i64 * 5).sum());
        }
    }

    #[test]
    fn an_order_that_comes_to_too_much_is_none_for_this() {
        let mut demand = demand(12);
        demand.wants[3].unit.mm3 = u64::MAX;
        assert!(!Sums::default().read(&demand, |_| 0));
    }
}
