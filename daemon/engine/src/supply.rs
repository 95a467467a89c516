//! What is on its way to cells, and who waits for it, first come first served: written by the one writer, and read by those who ask by date. Whoever asks for what is in
//! stock never looks in here. It keeps the turns, and knows no rule.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use earmark_protocol::ids::{CommandId, LineId, SkuIx, TimestampMs};
use earmark_protocol::supply::{SupplyKey, SupplySpec, WaitKey};

use crate::inventory::Place;
use crate::reservations::slot::Stage;

const HOUR_MS: u64 = 3_600_000;

/// The days on which what is expected can be promised, in days since 1970. A day is over when it is over everywhere on Earth, twelve
/// hours after it is in UTC; what was expected before is overdue, and nobody knows when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    from: u32,
    by: u32,
}

impl Due {
    /// All days, overdue or not.
    const ALL: Self = Self { from: 0, by: u32::MAX };

    /// Those from now on, until a day.
    pub(crate) fn until(now: TimestampMs, by: u32) -> Self {
        let from = now.0.saturating_sub(12 * HOUR_MS) / (24 * HOUR_MS);
        Self { from: u32::try_from(from).unwrap_or(u32::MAX), by }
    }

    /// All from now on.
    pub(crate) fn from(now: TimestampMs) -> Self {
        Self::until(now, u32::MAX)
    }

    fn has(self, expected: &Expected) -> bool {
        (self.from..=self.by).contains(&expected.day)
    }
}

/// What a supply still brings to a cell, and on which day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) quantity: u32,
    pub(crate) day: u32,
}

/// Units of a row that wait for supply of their cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The lowest is served first.
    pub(crate) turn: u64,
    /// The cell they wait for.
    pub(crate) cell: (SkuIx, Place),
    /// The reservation, and its line.
    pub(crate) reservation: CommandId,
    pub(crate) line: LineId,
    /// Until the deadline.
    pub(crate) awaited: u32,
    /// Confirmed.
    pub(crate) backordered: u32,
    /// The day that was said when they began to wait.
    pub(crate) day: u32,
}

impl Wait {
    /// All units of it.
    pub(crate) fn units(&self) -> u64 {
        u64::from(self.awaited) + u64::from(self.backordered)
    }

    fn stage(&mut self, stage: Stage) -> Option<&mut u32> {
        match stage {
            Stage::Awaited => Some(&mut self.awaited),
            Stage::Backordered => Some(&mut self.backordered),
            _ => None,
        }
    }
}

/// A row of a reservation: its slot, and its place in it.
pub(crate) type RowAt = (u32, u16);

/// What a cell awaits, and who waits for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfCell {
    expected: BTreeMap<String, Expected>,
    /// By turn.
    queue: BTreeMap<u64, RowAt>,
    /// Units of all in the queue.
    waiting: u64,
}

impl OfCell {
    /// Units expected on these days.
    fn on(&self, due: Due) -> u64 {
        let in_time = self.expected.values().filter(|expected| due.has(expected));
        in_time.map(|expected| u64::from(expected.quantity)).sum()
    }

    /// These days, with all units that have come by each of them.
    fn sums(&self, due: Due) -> Vec<(u32, u64)> {
        let in_time = self.expected.values().filter(|expected| due.has(expected));
        let mut sums: Vec<_> = in_time.map(|expected| (expected.day, u64::from(expected.quantity))).collect();
        sums.sort_unstable();
        let mut sum = 0;
        for (_, units) in &mut sums {
            sum += *units;
            *units = sum;
        }
        sums
    }

    /// The one of these days by which so many units have come; `None` where they do not.
    fn day_of(&self, units: u64, due: Due) -> Option<u32> {
        first_with(&self.sums(due), units)
    }

    /// When so many units have come, where these are the days on which that can be promised.
    fn turn_of(&self, units: u64, due: Due) -> Comes {
        if let Some(day) = self.day_of(units, due) {
            return Comes::On(day);
        }
        let days = self.expected.values().map(|expected| expected.day);
        let overdue = days.filter(|day| *day < due.from).min();
        overdue.filter(|_| self.on(Due::ALL) >= units).map_or(Comes::Never, Comes::OverdueSince)
    }
}

/// When somebody is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comes {
    /// By the end of a day.
    On(u32),
    /// Once what is overdue comes; the first day on which some of that was expected.
    OverdueSince(u32),
    /// Too little is on its way.
    Never,
}

/// The first day by which so many units have come.
fn first_with(sums: &[(u32, u64)], units: u64) -> Option<u32> {
    sums.iter().find(|(_, sum)| *sum >= units).map(|(day, _)| *day)
}

/// What comes to a cell on some days, as it was read: it may be looked at while the writer goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inbound {
    pub(crate) place: Place,
    /// Units of all who wait already.
    waiting: u64,
    /// The days, with all units that have come by each of them.
    sums: Vec<(u32, u64)>,
}

impl Inbound {
    /// Units that nobody waits for.
    pub(crate) fn free(&self) -> u64 {
        self.sums.last().map_or(0, |(_, sum)| sum.saturating_sub(self.waiting))
    }

    /// The day by which all who wait are served, and so many units more.
    pub(crate) fn day_behind_all(&self, units: u64) -> Option<u32> {
        first_with(&self.sums, self.waiting + units)
    }
}

/// All of it, by cell and code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SupplyBook {
    cells: BTreeMap<(SkuIx, Place), OfCell>,
    waits: BTreeMap<RowAt, Wait>,
    len: usize,
    /// The next turn.
    turns: u64,
}

impl SupplyBook {
    /// How many supplies of cells there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What a supply still brings to a cell.
    pub(crate) fn get(&self, sku: SkuIx, place: Place, code: &str) -> Option<Expected> {
        self.cells.get(&(sku, place))?.expected.get(code).copied()
    }

    /// A supply of a cell from now on; nothing of it is kept where nothing comes any more.
    pub(crate) fn put(&mut self, sku: SkuIx, place: Place, code: &str, expected: Expected) {
        let of_cell = self.cells.entry((sku, place)).or_default();
        let before = match expected.quantity {
            0 => of_cell.expected.remove(code),
            _ => of_cell.expected.insert(code.to_owned(), expected),
        };
        self.len += usize::from(expected.quantity > 0);
        self.len -= usize::from(before.is_some());
        self.tidy((sku, place));
    }

    fn tidy(&mut self, cell: (SkuIx, Place)) {
        if self.cells.get(&cell).is_some_and(|of| of.expected.is_empty() && of.queue.is_empty()) {
            self.cells.remove(&cell);
        }
    }

    /// Units of the cells of a sku that come on these days and that nobody waits for; nothing comes to cells that are not named.
    pub(crate) fn free_of(&self, sku: SkuIx, due: Due) -> impl Iterator<Item = (Place, u64)> {
        let of_sku = self.cells.range((sku, Place(0))..=(sku, Place(u32::MAX)));
        of_sku.map(move |((_, place), of)| (*place, of.on(due).saturating_sub(of.waiting)))
    }

    /// What comes to these places of a sku on these days, where there is some that nobody waits for.
    pub(crate) fn inbound(&self, sku: SkuIx, places: RangeInclusive<Place>, due: Due) -> Vec<Inbound> {
        let (first, last) = places.into_inner();
        let of_sku = self.cells.range((sku, first)..=(sku, last));
        let inbound = of_sku.map(|((_, place), of)| {
            let (place, waiting) = (*place, of.waiting);
            Inbound { place, waiting, sums: of.sums(due) }
        });
        inbound.filter(|inbound| inbound.free() > 0).collect()
    }

    /// Units of one cell that come on these days and that nobody waits for.
    pub(crate) fn free(&self, sku: SkuIx, place: Place, due: Due) -> u64 {
        self.cells.get(&(sku, place)).map_or(0, |of| of.on(due).saturating_sub(of.waiting))
    }

    /// The one of these days by which all who wait for a cell are served, and so many units more.
    pub(crate) fn day_behind_all(&self, sku: SkuIx, place: Place, units: u64, due: Due) -> Option<u32> {
        let of = self.cells.get(&(sku, place))?;
        of.day_of(of.waiting + units, due)
    }

    /// Units that wait for a cell, and those of all that is on its way to it, overdue or not.
    pub(crate) fn load(&self, sku: SkuIx, place: Place) -> (u64, u64) {
        self.cells.get(&(sku, place)).map_or((0, 0), |of| (of.waiting, of.on(Due::ALL)))
    }

    /// Who waits for a cell, in the order of their turns.
    pub(crate) fn queue(&self, sku: SkuIx, place: Place) -> impl Iterator<Item = (RowAt, Wait)> {
        let of_cell = self.cells.get(&(sku, place)).into_iter();
        of_cell.flat_map(|of| of.queue.values()).map(|at| (*at, self.waits[at]))
    }

    /// What waits of a slot, by row.
    pub(crate) fn waits_of(&self, slot: u32) -> impl Iterator<Item = (u16, Wait)> {
        self.waits.range((slot, 0)..=(slot, u16::MAX)).map(|((_, row), wait)| (*row, *wait))
    }

    /// All that waits, by row.
    pub(crate) fn waits(&self) -> impl ExactSizeIterator<Item = (RowAt, Wait)> {
        self.waits.iter().map(|(at, wait)| (*at, *wait))
    }

    /// The turn of who begins to wait next.
    pub(crate) fn turns(&self) -> u64 {
        self.turns
    }

    /// All who waited when the next turn was this.
    pub(crate) fn restore(&mut self, turns: u64, waits: impl Iterator<Item = (RowAt, Wait)>) {
        for (at, wait) in waits {
            let of = self.cells.entry(wait.cell).or_default();
            of.waiting += wait.units();
            of.queue.insert(wait.turn, at);
            self.waits.insert(at, wait);
        }
        self.turns = turns;
    }

    /// A row begins to wait, behind all others.
    pub(crate) fn begin_to_wait(&mut self, at: RowAt, wait: Wait) {
        let wait = Wait { turn: self.turns, ..wait };
        self.turns += 1;
        self.cells.entry(wait.cell).or_default().queue.insert(wait.turn, at);
        self.waits.insert(at, wait);
    }

    /// Units of a row that waits go from one stage to another. A row of which nothing waits any more has lost its turn.
    pub(crate) fn shift(&mut self, at: RowAt, from: Stage, to: Stage, quantity: u32) {
        let wait = self.waits.get_mut(&at).expect("the row waits");
        let before = wait.units();
        if let Some(units) = wait.stage(from) {
            *units -= quantity;
        }
        if let Some(units) = wait.stage(to) {
            *units += quantity;
        }
        let (after, Wait { cell, turn, .. }) = (wait.units(), *wait);
        let of = self.cells.get_mut(&cell).expect("somebody waits for it");
        of.waiting = of.waiting + after - before;
        if after == 0 {
            of.queue.remove(&turn);
            self.waits.remove(&at);
            self.tidy(cell);
        }
    }

    /// All of it, by sku, node, segment and code, from a cell and behind a code of it on.
    pub(crate) fn after(&self, after: Option<&SupplyKey>) -> impl Iterator<Item = SupplySpec> {
        let from = after.map_or((SkuIx(0), Place(0)), |key| (key.sku, Place::new(key.node, key.segment)));
        let all = self.cells.range(from..).flat_map(|(cell, of)| {
            of.expected.iter().map(move |(code, expected)| spec_of(*cell, code, *expected))
        });
        all.skip_while(move |spec| after.is_some_and(|after| spec.key() <= *after))
    }

    /// Who waits, by cell and turn, from a cell and behind a turn of it on; each with when all before it, and it, are served, where
    /// these are the days.
    pub(crate) fn waiting_after(
        &self,
        after: Option<WaitKey>,
        due: Due,
    ) -> impl Iterator<Item = (WaitKey, RowAt, Wait, Comes)> {
        let from = after.map_or((SkuIx(0), Place(0)), |key| (key.sku, Place::new(key.node, key.segment)));
        let all = self.cells.range(from..).flat_map(move |((sku, place), of)| {
            let (sku, node, segment) = (*sku, place.node(), place.segment());
            of.queue.values().scan(0, move |served, at| {
                let wait = self.waits[at];
                *served += wait.units();
                let key = WaitKey { sku, node, segment, turn: wait.turn };
                Some((key, *at, wait, (of, *served)))
            })
        });
        let behind = all.skip_while(move |(key, ..)| after.is_some_and(|after| *key <= after));
        behind.map(move |(key, at, wait, (of, served))| (key, at, wait, of.turn_of(served, due)))
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

    const ALL: Due = Due::ALL;

    #[test]
    fn a_day_is_over_when_it_is_over_everywhere() {
        let day = |hours: u64| Due::from(TimestampMs(hours * HOUR_MS)).from;
        assert_eq!([day(0), day(35), day(36), day(60)], [0, 0, 1, 2]);
    }

    #[test]
    fn a_supply_is_counted_from_its_day_on_and_gone_when_nothing_comes() {
        let (sku, place) = (SkuIx(3), Place::new(NodeIx(2), Segment(1)));
        let mut book = SupplyBook::default();
        book.put(sku, place, "b", Expected { quantity: 5, day: 10 });
        book.put(sku, place, "a", Expected { quantity: 7, day: 12 });
        let by = |book: &SupplyBook, by| book.free_of(sku, Due { from: 10, by }).collect::<Vec<_>>();
        assert_eq!((by(&book, 9), by(&book, 10)), (vec![(place, 0)], vec![(place, 5)]));
        book.put(sku, place, "b", Expected { quantity: 4, day: 13 });
        assert_eq!((by(&book, 12), by(&book, 13), book.len()), (vec![(place, 7)], vec![(place, 11)], 2));
        let all: Vec<_> = book.after(None).collect();
        assert_eq!(all.iter().map(|spec| spec.code.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(book.after(Some(&all[0].key())).collect::<Vec<_>>(), all[1..]);
        let later = Due { from: 13, by: u32::MAX };
        assert_eq!(book.free(sku, place, later), 4, "what was expected before is overdue");
        assert_eq!((book.day_behind_all(sku, place, 4, later), book.load(sku, place)), (Some(13), (0, 11)));
        assert_eq!(book.day_behind_all(sku, place, 5, later), None);
        for code in ["a", "b", "c"] {
            book.put(sku, place, code, Expected { quantity: 0, day: 0 });
        }
        assert_eq!(book, SupplyBook::default());
    }

    #[test]
    fn who_came_first_is_served_first_and_later_ones_wait_for_later_supply() {
        let (sku, place) = (SkuIx(3), Place::new(NodeIx(2), Segment(0)));
        let mut book = SupplyBook::default();
        book.put(sku, place, "a", Expected { quantity: 5, day: 10 });
        book.put(sku, place, "b", Expected { quantity: 5, day: 20 });
        for (slot, units) in [(7, 4), (3, 2)] {
            let (reservation, line) = (CommandId::default(), LineId(0));
            let wait =
                Wait { turn: 0, cell: (sku, place), reservation, line, awaited: 0, backordered: 0, day: 10 };
            book.begin_to_wait((slot, 0), wait);
            book.shift((slot, 0), Stage::Free, Stage::Awaited, units);
        }
        let days = |book: &SupplyBook| {
            book.waiting_after(None, ALL).map(|(_, at, _, day)| (at.0, day)).collect::<Vec<_>>()
        };
        assert_eq!(days(&book), [(7, Comes::On(10)), (3, Comes::On(20))]);
        let on_day = |from| {
            let due = Due { from, by: u32::MAX };
            book.waiting_after(None, due).map(|(.., comes)| comes).collect::<Vec<_>>()
        };
        assert_eq!(on_day(11), [Comes::On(20), Comes::OverdueSince(10)]);
        assert_eq!(on_day(21), [Comes::OverdueSince(10), Comes::OverdueSince(10)]);
        assert_eq!((book.free(sku, place, Due { by: 10, ..ALL }), book.free(sku, place, ALL)), (0, 4));
        assert_eq!(
            (book.day_behind_all(sku, place, 4, ALL), book.day_behind_all(sku, place, 5, ALL)),
            (Some(20), None)
        );
        let mut again = SupplyBook::default();
        book.after(None).for_each(|spec| {
            let SupplySpec { code, quantity, day, .. } = spec;
            again.put(sku, place, &code, Expected { quantity, day });
        });
        again.restore(book.turns(), book.waits());
        assert_eq!(again, book);
        book.put(sku, place, "b", Expected { quantity: 0, day: 0 });
        assert_eq!(
            (days(&book), book.load(sku, place)),
            (vec![(7, Comes::On(10)), (3, Comes::Never)], (6, 5))
        );
        book.shift((7, 0), Stage::Awaited, Stage::Backordered, 4);
        book.shift((7, 0), Stage::Backordered, Stage::Confirmed, 4);
        assert_eq!((days(&book), book.queue(sku, place).count()), (vec![(3, Comes::On(10))], 1));
        book.shift((3, 0), Stage::Awaited, Stage::Free, 2);
        assert_eq!((book.waits().len(), book.load(sku, place)), (0, (0, 5)));
    }
}
