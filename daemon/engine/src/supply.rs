//! What is on its way to cells: written by the one writer, and read by those who ask by date. Whoever asks for what is in
//! stock never looks in here. It says what is expected, never what may be promised of it.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use earmark_protocol::ids::SkuIx;
use earmark_protocol::supply::{SupplyKey, SupplySpec};

use crate::inventory::Place;

/// What a supply still brings to a cell, and on which day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) quantity: u32,
    pub(crate) day: u32,
}

/// All of it, by cell and code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SupplyBook {
    cells: BTreeMap<(SkuIx, Place), BTreeMap<String, Expected>>,
    len: usize,
}

impl SupplyBook {
    /// How many supplies of cells there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What a supply still brings to a cell.
    pub(crate) fn get(&self, sku: SkuIx, place: Place, code: &str) -> Option<Expected> {
        self.cells.get(&(sku, place))?.get(code).copied()
    }

    /// A supply of a cell from now on; nothing of it is kept where nothing comes any more.
    pub(crate) fn put(&mut self, sku: SkuIx, place: Place, code: &str, expected: Expected) {
        let of_cell = self.cells.entry((sku, place)).or_default();
        let before = match expected.quantity {
            0 => of_cell.remove(code),
            _ => of_cell.insert(code.to_owned(), expected),
        };
        if of_cell.is_empty() {
            self.cells.remove(&(sku, place));
        }
        self.len += usize::from(expected.quantity > 0);
        self.len -= usize::from(before.is_some());
    }

    /// The cells of a sku to which something comes by a day, each with the units.
    pub(crate) fn by_day(&self, sku: SkuIx, day: u32) -> impl Iterator<Item = (Place, u64)> {
        let of_sku = self.cells.range((sku, Place(0))..=(sku, Place(u32::MAX)));
        of_sku.map(move |((_, place), supplies)| {
            let in_time = supplies.values().filter(|expected| expected.day <= day);
            (*place, in_time.map(|expected| u64::from(expected.quantity)).sum())
        })
    }

    /// All of it, by sku, node, segment and code, from a cell and behind a code of it on.
    pub(crate) fn after(&self, after: Option<&SupplyKey>) -> impl Iterator<Item = SupplySpec> {
        let from = after.map_or((SkuIx(0), Place(0)), |key| (key.sku, Place::new(key.node, key.segment)));
        let all = self.cells.range(from..).flat_map(|(cell, supplies)| {
            supplies.iter().map(move |(code, expected)| spec_of(*cell, code, *expected))
        });
        all.skip_while(move |spec| after.is_some_and(|after| spec.key() <= *after))
    }
}

fn spec_of((sku, place): (SkuIx, Place), code: &str, expected: Expected) -> SupplySpec {
    let (node, segment, code) = (place.node(), place.segment(), code.to_owned());
    SupplySpec { code, sku, node, segment, quantity: expected.quantity, day: expected.day }
}

/// The book, as the writer and readers share it.
#[derive(Default)]
pub(crate) struct Supplies(RwLock<SupplyBook>);

impl Supplies {
    pub(crate) fn new(book: SupplyBook) -> Self {
        Self(RwLock::new(book))
    }

    /// To look things up: the writer waits meanwhile, where it has supply to change.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, SupplyBook> {
        // The writer leaves it whole wherever it could end, so a poisoned lock guards a whole book.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the writer, while it applies.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, SupplyBook> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use earmark_protocol::ids::{NodeIx, Segment};

    use super::*;

    #[test]
    fn a_supply_is_counted_from_its_day_on_and_gone_when_nothing_comes() {
        let (sku, place) = (SkuIx(3), Place::new(NodeIx(2), Segment(1)));
        let mut book = SupplyBook::default();
        book.put(sku, place, "b", Expected { quantity: 5, day: 10 });
        book.put(sku, place, "a", Expected { quantity: 7, day: 12 });
        let by = |book: &SupplyBook, day| book.by_day(sku, day).collect::<Vec<_>>();
        assert_eq!((by(&book, 9), by(&book, 10)), (vec![(place, 0)], vec![(place, 5)]));
        book.put(sku, place, "b", Expected { quantity: 4, day: 13 });
        assert_eq!((by(&book, 12), by(&book, 13), book.len()), (vec![(place, 7)], vec![(place, 11)], 2));
        let all: Vec<_> = book.after(None).collect();
        assert_eq!(all.iter().map(|spec| spec.code.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(book.after(Some(&all[0].key())).collect::<Vec<_>>(), all[1..]);
        for code in ["a", "b", "c"] {
            book.put(sku, place, code, Expected { quantity: 0, day: 0 });
        }
        assert_eq!(book, SupplyBook::default());
    }
}
