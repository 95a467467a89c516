//! The reservation table: slots found by id, rows in the slot or beside it, deadlines in a timer wheel.
//!
//! Fixed room, reserved at start. Ended reservations stay until their room is needed, oldest first, so a retry finds
//! its outcome. This room moves units and keeps the chains whole; whether a step is allowed is decided elsewhere.

pub(crate) mod ids;
pub(crate) mod slot;
mod view;
mod wheel;

use std::sync::Arc;

use earmark_mutations::Mutation;
use earmark_protocol::ids::{CommandId, HoldClass, Lsn, SkuIx, Tenant, TimestampMs};
use earmark_protocol::reply::{ReservationView, Status};

use crate::arena::Arena;
use crate::facts::{Facts, TextAt, Texts};
use crate::runs::{Extents, Runs, class_size};
use crate::supply::Supplies;
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};
use ids::{Ids, Remembered};
use slot::{Head, INLINE_ROWS, Meta, Row, RowValue, Slot, Stage};
pub(crate) use view::Brief;
use view::view_of;
use wheel::Wheel;

/// Times a reader tries before it asks the committer instead; loom tries every interleaving, so fewer tell as much.
const READ_ATTEMPTS: usize = if cfg!(loom) { 2 } else { 16 };

/// The arenas that everyone reads and the writer alone changes.
pub(crate) struct Reservations {
    slots: Arena<Slot>,
    rows: Arena<Row>,
    /// Where each slot's facts lie; of an arena of its own, because it is cold.
    facts_at: Arena<AtomicU64>,
    pub(crate) texts: Arc<Texts>,
    pub(crate) ids: Arc<Ids>,
    /// Slots that were never used begin here.
    fresh: AtomicU32,
    /// Slots before this one have their memory. No part of the state.
    populated: AtomicU32,
}

/// How far ahead of their use slots get their memory: as many again as are used, within these bounds.
const POPULATED_AHEAD: std::ops::RangeInclusive<u32> = 1 << 14..=1 << 18;

impl Reservations {
    /// Slots that are used, and how many more should have their memory by now.
    fn ahead(&self) -> (u32, u32) {
        let fresh = self.fresh.load(Ordering::Relaxed);
        (fresh, fresh.clamp(*POPULATED_AHEAD.start(), *POPULATED_AHEAD.end()))
    }

    /// Whether [`Reservations::populate`] has something to do, or will soon.
    pub(crate) fn wants_memory(&self) -> bool {
        let (fresh, ahead) = self.ahead();
        let populated = self.populated.load(Ordering::Relaxed);
        populated < self.len() && fresh + ahead / 2 > populated
    }

    /// Has the kernel give memory for the slots that are used next. For one thread beside the writer.
    pub(crate) fn populate(&self) {
        let (fresh, ahead) = self.ahead();
        let (from, to) = (self.populated.load(Ordering::Relaxed), self.len().min(fresh + ahead));
        if from < to {
            self.slots.populate(from as usize..to as usize);
            self.facts_at.populate(from as usize..to as usize);
            self.populated.store(to, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    #[inline]
    pub(crate) fn head(&self, slot: u32) -> Head {
        self.slot(slot).head()
    }

    /// Whether a slot is this tenant's reservation of this id.
    #[inline]
    pub(crate) fn is(&self, slot: u32, tenant: Tenant, id: &CommandId) -> bool {
        self.slot(slot).id() == *id && self.slot(slot).meta().tenant == tenant
    }

    /// The rows of a slot.
    #[inline]
    pub(crate) fn rows(&self, slot: u32) -> &[Row] {
        let slot = self.slot(slot);
        let len = usize::from(slot.meta().rows);
        if len <= INLINE_ROWS {
            return &slot.inline[..len];
        }
        // A torn head may name rows beyond the arena; the reader's validation then fails.
        let at = slot.rows_at() as usize;
        self.rows.get(at..at + len).unwrap_or_default()
    }

    /// The rows of a slot, read out.
    pub(crate) fn row_values(&self, slot: u32) -> Vec<RowValue> {
        self.rows(slot).iter().map(Row::load).collect()
    }

    /// Asks for a slot's cache lines, where there is room for it.
    #[inline]
    pub(crate) fn prefetch(&self, slot: u32) {
        if let Some(slot) = self.slots.get(slot as usize) {
            crate::arena::prefetch(slot);
            crate::arena::prefetch(&slot.inline);
        }
    }

    /// The sku of a slot's first row. For the writer.
    pub(crate) fn first_sku(&self, slot: u32) -> Option<SkuIx> {
        ((slot as usize) < self.slots.len()).then(|| self.rows(slot).first().map(Row::sku)).flatten()
    }

    /// The facts of a slot. For the writer, or under the slot's sequence.
    pub(crate) fn facts(&self, slot: u32) -> Option<Facts> {
        Some(Facts::from_bytes(&self.facts_text(slot)?))
    }

    /// The same, as bytes.
    pub(crate) fn facts_text(&self, slot: u32) -> Option<Vec<u8>> {
        let at = TextAt(self.facts_at[slot as usize].load(Ordering::Relaxed));
        (at.0 != 0).then(|| self.texts.read(at))
    }

    /// Asks for the slot that comes some places behind these two neighbours of a chain, if it goes on as it does here. A
    /// chain cannot be asked for ahead, since each link says only what is next; but slots are given out in the order
    /// of holds, so most links lead one slot up or down.
    #[inline]
    pub(crate) fn prefetch_chain(&self, slot: u32, next: u32) {
        /// Enough to hide memory behind the links between.
        const AHEAD: u32 = 12;
        let guess = next.wrapping_add(next.wrapping_sub(slot).wrapping_mul(AHEAD));
        self.prefetch(guess);
    }

    /// Slots, used or not.
    pub(crate) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// By row: the day on which it leaves its node; nothing where no row takes room of a day.
    pub(crate) fn days(&self, slot: u32) -> Vec<u32> {
        let facts = self.slot(slot).meta().takes_more.then(|| self.facts(slot)).flatten();
        facts.map(|facts| facts.days()).unwrap_or_default()
    }

    /// What is in a slot now, without its facts. For readers that pass over all of them.
    pub(crate) fn brief(&self, slot: u32) -> Brief {
        if !self.slot(slot).meta().used {
            return Brief::Unused;
        }
        match self.read_slot(slot, || (self.head(slot), self.row_values(slot))) {
            Some((head, rows)) if !head.meta.status.is_final() => {
                Brief::Live(head.meta.tenant, Box::new(view_of(&head, &rows, &[])))
            }
            _ => Brief::Other,
        }
    }

    /// Reads a slot until nothing was written meanwhile; `None` when it changed again and again.
    fn read_slot<R>(&self, slot: u32, mut read: impl FnMut() -> R) -> Option<R> {
        let sequence = &self.slot(slot).sequence;
        for _ in 0..READ_ATTEMPTS {
            // Acquire: pairs with the Release store that ends a change of the slot.
            let before = sequence.load(Ordering::Acquire);
            if before & 1 == 0 {
                let result = read();
                // Acquire fence: pairs with the Release fence that begins a change.
                fence(Ordering::Acquire);
                if sequence.load(Ordering::Relaxed) == before {
                    return Some(result);
                }
            }
        }
        None
    }

    /// The rows of a slot, with what of them waits for supply.
    pub(crate) fn rows_with_waits(&self, slot: u32, supplies: &Supplies) -> Vec<RowValue> {
        let mut rows = self.row_values(slot);
        if self.slot(slot).meta().takes_more {
            for (row, wait) in supplies.read().waits_of(slot) {
                // A torn head may have fewer rows; the reader's validation then fails.
                let Some(row) = rows.get_mut(usize::from(row)) else { continue };
                row.move_units(Stage::Free, Stage::Awaited, wait.awaited);
                row.move_units(Stage::Free, Stage::Backordered, wait.backordered);
            }
        }
        rows
    }

    /// A reservation as it is; `None` where there is none, or where it changed again and again: ask the committer.
    pub(crate) fn view(
        &self,
        tenant: Tenant,
        id: &CommandId,
        supplies: &Supplies,
    ) -> Option<ReservationView> {
        let is_there = |found| matches!(found, Remembered::Slot(slot) if self.is(slot, tenant, id));
        let Remembered::Slot(slot) = self.ids.find(id, is_there)? else { return None };
        let (head, rows, text) = self.read_slot(slot, || {
            (self.head(slot), self.rows_with_waits(slot, supplies), self.facts_text(slot).unwrap_or_default())
        })?;
        let is_it = head.meta.used && head.id == *id && head.meta.tenant == tenant;
        is_it.then(|| view_of(&head, &rows, &text))
    }
}

/// No slot: the end of a chain.
const NONE: u32 = u32::MAX;

/// The writer's side.
pub(crate) struct ReservationsWriter {
    pub(crate) table: Arc<Reservations>,
    wheel: Wheel,
    row_extents: Extents,
    row_runs: Runs,
    /// Ended reservations, oldest first, chained through their slots.
    ended_first: u32,
    ended_last: u32,
    /// An ended reservation some way behind the oldest, whose memory is asked for as the oldest is forgotten. A hint: it
    /// is no part of the state.
    ended_ahead: u32,
    live: u64,
    remembered: u64,
}

/// A reservation to open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) id: CommandId,
    pub(crate) content: u64,
    pub(crate) tenant: Tenant,
    pub(crate) class: HoldClass,
    pub(crate) deadline: TimestampMs,
    pub(crate) lsn: Lsn,
    pub(crate) rows: u16,
    /// The index of its cell, where it has one row alone: kept as a hint.
    pub(crate) cell: u32,
}

/// What an ended reservation left behind when its slot was given to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forgotten {
    pub(crate) id: CommandId,
    /// Its facts, which nobody owns any more.
    pub(crate) text: TextAt,
}

/// The memory of the table.
pub(crate) struct ReservationMemory {
    pub(crate) slots: Arena<Slot>,
    pub(crate) rows: Arena<Row>,
    pub(crate) facts_at: Arena<AtomicU64>,
    pub(crate) ticks: Arena<u32>,
}

impl ReservationMemory {
    /// Room for this many reservations, and rows beyond those that lie in their slots.
    pub(crate) fn new(slots: u32, rows: u32) -> std::io::Result<Self> {
        Ok(Self {
            slots: Arena::new(slots as usize)?,
            rows: Arena::new(rows as usize)?,
            facts_at: Arena::new(slots as usize)?,
            ticks: Wheel::memory()?,
        })
    }
}

/// What is known of the table beside its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReservationScalars {
    /// Slots that were ever used.
    pub(crate) fresh: u32,
    /// The ends of the queue of ended reservations.
    pub(crate) ended: [u32; 2],
    /// Reservations that are not ended.
    pub(crate) live: u64,
    /// Ended ones that are remembered.
    pub(crate) remembered: u64,
    /// Holds on the wheel.
    pub(crate) held: u64,
    /// Rows given out.
    pub(crate) rows_used: u32,
    /// Free runs of rows.
    pub(crate) row_runs: Runs,
}

impl Default for ReservationScalars {
    fn default() -> Self {
        let (fresh, ended, live, remembered, held, rows_used) = (0, [NONE; 2], 0, 0, 0, 0);
        Self { fresh, ended, live, remembered, held, rows_used, row_runs: Runs::default() }
    }
}

impl ReservationsWriter {
    /// The table in this memory. Its ids must be remembered in `ids` already.
    pub(crate) fn new(
        memory: ReservationMemory,
        scalars: ReservationScalars,
        texts: Arc<Texts>,
        ids: Arc<Ids>,
    ) -> Self {
        let ReservationMemory { slots, rows, facts_at, ticks } = memory;
        let ReservationScalars { fresh, ended, live, remembered, held, rows_used, row_runs } = scalars;
        let row_extents = Extents::new(rows_used, rows.len() as u32, 64);
        let [fresh, populated] = [(); 2].map(|()| AtomicU32::new(fresh));
        let table = Arc::new(Reservations { slots, rows, facts_at, texts, ids, fresh, populated });
        let wheel = Wheel::new(ticks, held);
        let [ended_first, ended_last] = ended;
        let ended_ahead = NONE;
        Self { table, wheel, row_extents, row_runs, ended_first, ended_last, ended_ahead, live, remembered }
    }

    /// What is known of it beside its memory.
    pub(crate) fn scalars(&self) -> ReservationScalars {
        ReservationScalars {
            fresh: self.used(),
            ended: [self.ended_first, self.ended_last],
            live: self.live,
            remembered: self.remembered,
            held: self.wheel.held(),
            rows_used: self.row_extents.used(),
            row_runs: self.row_runs.clone(),
        }
    }

    /// Slots, rows, places of facts and heads of ticks as they lie in memory.
    pub(crate) fn memory(&self) -> [&[u8]; 4] {
        let (table, fresh) = (&self.table, self.used() as usize);
        let rows = table.rows.bytes(self.row_extents.used() as usize);
        [table.slots.bytes(fresh), rows, table.facts_at.bytes(fresh), self.wheel.bytes()]
    }

    /// Reservations that are not ended.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    /// Ended reservations that are remembered.
    pub(crate) fn remembered(&self) -> u64 {
        self.remembered
    }

    /// Slots that were ever used.
    #[inline]
    pub(crate) fn used(&self) -> u32 {
        self.table.fresh.load(Ordering::Relaxed)
    }

    /// The slot a new reservation would get.
    #[inline]
    pub(crate) fn next_slot(&self) -> Option<u32> {
        if self.used() < self.table.len() {
            return Some(self.used());
        }
        (self.ended_first != NONE).then_some(self.ended_first)
    }

    /// Asks for the cache lines of the slots that so many new reservations will get, and for where the ids are that
    /// will be forgotten for them. The heads of ended ones lead from one to the next, so they cannot be asked for all at
    /// once: each that is forgotten asks for one so far behind it, and here they are near.
    pub(crate) fn prefetch_next(&mut self, count: usize) {
        let used = self.used() as usize;
        let fresh = (self.table.slots.len() - used).min(count);
        for slot in &self.table.slots[used..used + fresh] {
            crate::arena::prefetch(slot);
            crate::arena::prefetch(&slot.inline);
        }
        let mut slot = self.ended_first;
        for _ in fresh..count {
            let Some(ended) = self.table.slots.get(slot as usize) else { break };
            self.table.ids.prefetch(&ended.id());
            crate::arena::prefetch(&ended.inline);
            crate::arena::prefetch(&self.table.facts_at[slot as usize]);
            slot = ended.next.load(Ordering::Relaxed);
        }
        self.ended_ahead = slot;
    }

    /// Whether a reservation's rows could lie somewhere when it has this many.
    pub(crate) fn rows_fit(&self, rows: usize) -> bool {
        rows <= INLINE_ROWS
            || rows <= slot::ROWS_MAX
                && self.row_runs.fits(&self.row_extents, u32::try_from(rows).unwrap_or(u32::MAX))
    }

    /// Whether the rows of several reservations could lie somewhere together, when they have this many.
    pub(crate) fn all_rows_fit(&self, rows: &[usize]) -> bool {
        let sizes = rows.iter().filter(|rows| **rows > INLINE_ROWS).map(|rows| class_size(*rows as u32));
        let fresh: u64 = sizes.map(|size| u64::from(self.row_extents.fresh_for(size))).sum();
        rows.iter().all(|rows| self.rows_fit(*rows)) && (rows.len() == 1 || fresh <= self.row_extents.fresh())
    }

    /// Begins a change that readers of the slot shall see whole.
    #[inline]
    pub(crate) fn begin(&mut self, slot: u32) {
        let sequence = &self.table.slot(slot).sequence;
        sequence.store(sequence.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        // Release fence: pairs with the Acquire fence of `view`.
        fence(Ordering::Release);
    }

    /// Ends it.
    #[inline]
    pub(crate) fn end(&mut self, slot: u32) {
        let sequence = &self.table.slot(slot).sequence;
        // Release: pairs with the Acquire load that begins `view`.
        sequence.store(sequence.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// Opens a reservation with room for its rows, which have yet to be written; gives its slot, with a change of it begun,
    /// and what is forgotten for it.
    #[inline(always)]
    pub(crate) fn open(&mut self, opening: &Opening) -> (u32, Option<Forgotten>) {
        let slot = self.next_slot().expect("the decision checked the room");
        self.begin(slot);
        let forgotten = if slot == self.used() {
            self.table.fresh.store(slot + 1, Ordering::Relaxed);
            None
        } else {
            Some(self.forget(slot))
        };
        let Opening { id, content, tenant, class, deadline, lsn, rows, cell } = *opening;
        let rows_at = if rows == 1 { cell } else { self.take_rows(usize::from(rows)) };
        let (status, used) = (Status::Held, true);
        let meta = Meta { rows, tenant, class, status, used, takes_more: false, in_review: false };
        self.table.slot(slot).store_head(&Head { id, content, lsn: lsn.0, deadline, meta, rows_at });
        self.table.ids.insert(&id, Remembered::Slot(slot));
        self.wheel.link(&self.table, slot, deadline);
        self.live += 1;
        (slot, forgotten)
    }

    /// Makes room in the slot of the oldest ended reservation.
    #[inline]
    fn forget(&mut self, slot: u32) -> Forgotten {
        let id = self.table.slot(slot).id();
        if !earmark_mutations::is(Mutation::ReuseFreedSlot) {
            self.unlink_ended(slot);
        }
        self.table.ids.remove(&id, Remembered::Slot(slot));
        self.free_rows(slot);
        Forgotten { id, text: self.set_facts(slot, TextAt(0)) }
    }

    #[inline]
    fn take_rows(&mut self, rows: usize) -> u32 {
        if rows <= INLINE_ROWS {
            return 0;
        }
        let rows = u32::try_from(rows).expect("rows are counted in 16 bits");
        self.row_runs.take(&mut self.row_extents, rows).expect("the decision checked the room")
    }

    #[inline]
    fn free_rows(&mut self, slot: u32) {
        let slot = self.table.slot(slot);
        let rows = slot.meta().rows;
        if usize::from(rows) > INLINE_ROWS {
            self.row_runs.give(slot.rows_at(), u32::from(rows));
        }
    }

    /// Empties all rows of a reservation.
    pub(crate) fn clear_rows(&mut self, slot: u32) {
        self.table.rows(slot).iter().for_each(|row| row.store(&RowValue::default()));
    }

    /// Makes room for rows behind those a reservation has; the new ones are empty.
    pub(crate) fn widen(&mut self, slot: u32, added: u16) {
        let old = self.table.row_values(slot);
        let rows = self.table.slot(slot).meta().rows + added;
        self.free_rows(slot);
        let rows_at = self.take_rows(usize::from(rows));
        self.table.slot(slot).store_rows(rows, rows_at);
        let values = old.iter().copied().chain(std::iter::repeat(RowValue::default()));
        for (row, value) in self.table.rows(slot).iter().zip(values) {
            row.store(&value);
        }
    }

    /// A row, to be written.
    #[inline]
    pub(crate) fn row(&mut self, slot: u32, row: u16) -> &Row {
        &self.table.rows(slot)[usize::from(row)]
    }

    /// Keeps a text as the reservation's facts; gives the one it replaces.
    #[inline]
    pub(crate) fn set_facts(&mut self, slot: u32, text: TextAt) -> TextAt {
        let at = &self.table.facts_at[slot as usize];
        let old = TextAt(at.load(Ordering::Relaxed));
        at.store(text.0, Ordering::Relaxed);
        old
    }

    /// Notes whether the reservation waits for review.
    pub(crate) fn set_review(&mut self, slot: u32, in_review: bool) {
        let slot = self.table.slot(slot);
        slot.store_meta(Meta { in_review, ..slot.meta() });
    }

    /// Notes that the reservation takes more than units of its cells.
    pub(crate) fn mark_more(&mut self, slot: u32) {
        let slot = self.table.slot(slot);
        slot.store_meta(Meta { takes_more: true, ..slot.meta() });
    }

    /// A new status, and a new deadline; a deadline of 0 takes it off the wheel, a final status ends it.
    #[inline]
    pub(crate) fn settle(&mut self, slot: u32, status: Status, deadline: TimestampMs) {
        let (before, meta) = (self.table.slot(slot).deadline(), self.table.slot(slot).meta());
        if before != deadline {
            if before.0 != 0 {
                self.wheel.unlink(&self.table, slot, before);
            }
            if deadline.0 != 0 {
                self.wheel.link(&self.table, slot, deadline);
            }
            self.table.slot(slot).store_deadline(deadline);
        }
        self.table.slot(slot).store_meta(Meta { status, ..meta });
        if status.is_final() && !meta.status.is_final() {
            self.link_ended(slot);
        }
    }

    #[inline]
    fn link_ended(&mut self, slot: u32) {
        let links = self.table.slot(slot);
        links.next.store(NONE, Ordering::Relaxed);
        links.previous.store(self.ended_last, Ordering::Relaxed);
        if self.ended_last == NONE {
            self.ended_first = slot;
        } else {
            self.table.slot(self.ended_last).next.store(slot, Ordering::Relaxed);
        }
        self.ended_last = slot;
        self.live -= 1;
        self.remembered += 1;
    }

    /// Takes the oldest ended reservation off the queue.
    #[inline]
    fn unlink_ended(&mut self, slot: u32) {
        debug_assert_eq!(slot, self.ended_first);
        self.ended_first = self.table.slot(slot).next.load(Ordering::Relaxed);
        if self.ended_first == NONE {
            self.ended_last = NONE;
        } else {
            self.table.slot(self.ended_first).previous.store(NONE, Ordering::Relaxed);
        }
        self.remembered -= 1;
        if let Some(ahead) = self.table.slots.get(self.ended_ahead as usize) {
            let next = ahead.next.load(Ordering::Relaxed);
            self.table.prefetch(next);
            self.table.prefetch_chain(self.ended_ahead, next);
            self.ended_ahead = next;
        }
    }

    /// Slots whose hold is due, at most this many; moves the hand of the wheel past what is empty.
    pub(crate) fn due(&mut self, now: TimestampMs, most: usize, due: &mut Vec<u32>) {
        self.wheel.due(&self.table, now, most, due);
    }

    /// The earliest time at which a hold may be due; `None` where nothing is held.
    pub(crate) fn next_due(&self) -> Option<TimestampMs> {
        self.wheel.next_due()
    }
}
