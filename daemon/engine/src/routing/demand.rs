//! An order's lines as demands: one per distinct sku, quantities summed, in the order of their first lines.

use earmark_protocol::command::OrderLine;
use earmark_protocol::ids::SkuIx;

use crate::Reader;
use crate::tariff::fares::{Fares, Goods};

/// What an order wants of one sku.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub(crate) sku: SkuIx,
    /// Units over all its lines.
    pub(crate) units: i64,
    /// The sku's flags.
    pub(crate) flags: u16,
    /// What carriers price of one unit, where they price at all; and the grams of it that they bill at least.
    pub(crate) unit: Goods,
    pub(crate) unit_g: i64,
    /// Its first line, by place in the order.
    pub(crate) first: u32,
    /// Its last line so far; lines of one sku are chained through [`Demand::next`].
    last: u32,
}

impl Want {
    /// What carriers price of so many of its units.
    pub(crate) fn goods(&self, units: i64) -> Goods {
        self.unit.times(units.unsigned_abs())
    }
}

/// No further line.
pub(crate) const END: u32 = u32::MAX;

/// The wants of an order.
#[derive(Default)]
pub(crate) struct Demand {
    pub(crate) wants: Vec<Want>,
    /// Per line: the next line of the same sku, or [`END`].
    pub(crate) next: Vec<u32>,
    /// Want plus one by hash of its sku; 0 is empty.
    places: Vec<u32>,
}

impl Demand {
    /// Reads the lines. The buffers of the last order are used again.
    pub(crate) fn read(&mut self, lines: &[OrderLine]) {
        self.wants.clear();
        self.next.clear();
        self.next.resize(lines.len(), END);
        let room = (lines.len() * 2).next_power_of_two();
        self.places.clear();
        self.places.resize(room, 0);
        for (at, line) in lines.iter().enumerate() {
            let at = at as u32;
            match self.place(line.sku) {
                (_, Some(want)) => {
                    let found = &mut self.wants[want];
                    found.units += i64::from(line.quantity);
                    self.next[found.last as usize] = at;
                    found.last = at;
                }
                (place, None) => {
                    let units = i64::from(line.quantity);
                    self.wants.push(Want {
                        sku: line.sku,
                        units,
                        flags: 0,
                        unit: Goods::default(),
                        unit_g: 0,
                        first: at,
                        last: at,
                    });
                    self.places[place] = self.wants.len() as u32;
                }
            }
        }
    }

    /// Looks up what carriers price of each want. A unit is billed for its weight at least, or for its volume where that is
    /// more over the whole order. Returns what the order is billed for at least.
    pub(crate) fn weigh(&mut self, reader: &Reader, fares: &Fares) -> u64 {
        for want in &mut self.wants {
            let (weight_g, size_mm) = reader.sku_measures(want.sku).unwrap_or_default();
            let mm3 = size_mm.iter().map(|side| u64::from(*side)).product();
            want.unit = Goods { grams: u64::from(weight_g), mm3, flags: want.flags };
        }
        let all = self.goods();
        let divisor = u64::from(fares.divisor_max());
        let by_volume = divisor > 0 && all.mm3 / divisor > all.grams;
        let mut total = 0_u64;
        for want in &mut self.wants {
            let unit_g = if by_volume { want.unit.mm3 / divisor } else { want.unit.grams };
            want.unit_g = unit_g as i64;
            total = total.saturating_add(unit_g.saturating_mul(want.units.unsigned_abs()));
        }
        total
    }

    /// What carriers price of the whole order.
    pub(crate) fn goods(&self) -> Goods {
        self.wants.iter().fold(Goods::default(), |goods, want| goods.and(want.goods(want.units)))
    }

    /// The want of a sku.
    pub(crate) fn find(&self, sku: SkuIx) -> Option<usize> {
        if self.places.is_empty() { None } else { self.place(sku).1 }
    }

    /// A want's lines, by place in the order.
    pub(crate) fn lines_of(&self, want: &Want) -> impl Iterator<Item = usize> {
        let next = |at: &usize| Some(self.next[*at] as usize).filter(|next| *next != END as usize);
        std::iter::successors(Some(want.first as usize), next)
    }

    /// Where a sku's want stands in `places`, or where it would.
    fn place(&self, sku: SkuIx) -> (usize, Option<usize>) {
        let mask = self.places.len() - 1;
        let mut place = sku.0.wrapping_mul(0x9E37_79B9).rotate_left(15) as usize & mask;
        loop {
            match self.places[place] {
                0 => return (place, None),
                want if self.wants[want as usize - 1].sku == sku => return (place, Some(want as usize - 1)),
                _ => place = (place + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use earmark_protocol::ids::LineId;

    use super::*;

    #[test]
    fn lines_of_one_sku_are_summed_and_keep_their_order() {
        let line = |line, sku, quantity| OrderLine { line: LineId(line), sku: SkuIx(sku), quantity };
        let mut demand = Demand::default();
        demand.read(&[line(1, 7, 2), line(2, 9, 1), line(3, 7, 5), line(4, 7, 1)]);
        let sums: Vec<_> = demand.wants.iter().map(|want| (want.sku.0, want.units)).collect();
        assert_eq!(sums, [(7, 8), (9, 1)]);
        assert_eq!(demand.next, [2, END, 3, END]);
        assert_eq!((demand.find(SkuIx(9)), demand.find(SkuIx(8))), (Some(1), None));
    }
}
