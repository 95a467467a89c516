//! An order's lines as demands: one per distinct sku, quantities summed, in the order of their first lines.

use earmark_protocol::command::OrderLine;
use earmark_protocol::ids::SkuIx;

/// What an order wants of one sku.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub(crate) sku: SkuIx,
    /// Units over all its lines.
    pub(crate) units: i64,
    /// The sku's flags.
    pub(crate) flags: u16,
    /// Its first line, by place in the order.
    pub(crate) first: u32,
    /// Its last line so far; lines of one sku are chained through [`Demand::next`].
    last: u32,
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
                    self.wants.push(Want { sku: line.sku, units, flags: 0, first: at, last: at });
                    self.places[place] = self.wants.len() as u32;
                }
            }
        }
    }

    /// The want of a sku.
    pub(crate) fn find(&self, sku: SkuIx) -> Option<usize> {
        if self.places.is_empty() { None } else { self.place(sku).1 }
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
