//! What lies in the reservation table: a slot per reservation, with its first rows inline.

use earmark_protocol::ids::{CommandId, HoldClass, LineId, SkuIx, Tenant, TimestampMs};
use earmark_protocol::reply::{RowView, Status};

use crate::inventory::Place;
use crate::sync::{AtomicU32, AtomicU64, Ordering, set_u32, set_u64};

/// Rows that lie in the slot itself; one under loom, where each row costs interleavings.
pub(crate) const INLINE_ROWS: usize = if cfg!(loom) { 1 } else { 2 };

/// Most rows of a reservation: what the slot's 16 bits can count.
pub(crate) const ROWS_MAX: usize = u16::MAX as usize;

/// A stage that units of a row can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not in the reservation: available again, or not yet taken.
    Free,
    /// Held until the deadline.
    Held,
    /// Confirmed.
    Confirmed,
    /// Dispatched.
    Dispatched,
    /// Ready.
    Ready,
    /// Shipped or collected: out of the building.
    Shipped,
    /// Held until the deadline, on supply that is still to come.
    Awaited,
    /// Confirmed, on supply that is still to come.
    Backordered,
}

/// Stages of a row that lie in the row itself.
const ROW_STAGES: usize = 5;

impl Stage {
    /// The one of this number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        use Stage::{Awaited, Backordered, Confirmed, Dispatched, Free, Held, Ready, Shipped};
        [Free, Held, Confirmed, Dispatched, Ready, Shipped, Awaited, Backordered]
            .get(usize::from(number))
            .copied()
    }

    /// Whether units in this stage wait for supply: no cell has them, and the book of supply counts them.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Awaited | Self::Backordered)
    }

    /// Whether units in this stage are allocated in their cell.
    pub(crate) fn is_allocated(self) -> bool {
        matches!(self, Self::Confirmed | Self::Dispatched | Self::Ready)
    }
}

/// What one cell holds for one line: 32 bytes.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Row {
    line: AtomicU32,
    sku: AtomicU32,
    place: AtomicU32,
    stages: [AtomicU32; ROW_STAGES],
}

/// A row, read out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowValue {
    pub(crate) line: LineId,
    pub(crate) sku: SkuIx,
    pub(crate) place: Place,
    /// Units held, confirmed, dispatched, ready, shipped, and those that wait: awaited, backordered. The last two do not lie in
    /// the row: whoever needs them asks the book of supply.
    pub(crate) stages: [u32; ROW_STAGES + 2],
}

impl RowValue {
    /// A row without units.
    #[inline]
    pub(crate) fn empty(line: LineId, sku: SkuIx, place: Place) -> Self {
        Self { line, sku, place, stages: [0; ROW_STAGES + 2] }
    }

    /// Units in a stage; `Free` has none.
    pub(crate) fn units(&self, stage: Stage) -> u32 {
        match stage {
            Stage::Free => 0,
            stage => self.stages[stage as usize - 1],
        }
    }

    /// Units that are in the building and promised.
    pub(crate) fn open(&self) -> u64 {
        self.stages[..4].iter().map(|units| u64::from(*units)).sum()
    }

    #[inline]
    pub(crate) fn move_units(&mut self, from: Stage, to: Stage, quantity: u32) {
        if from != Stage::Free {
            self.stages[from as usize - 1] -= quantity;
        }
        if to != Stage::Free {
            self.stages[to as usize - 1] += quantity;
        }
    }

    pub(crate) fn view(&self) -> RowView {
        let [held, confirmed, dispatched, ready, shipped, awaited, backordered] = self.stages;
        let (node, segment) = (self.place.node(), self.place.segment());
        let (line, sku) = (self.line, self.sku);
        RowView {
            line,
            sku,
            node,
            segment,
            held,
            confirmed,
            dispatched,
            ready,
            shipped,
            awaited,
            backordered,
        }
    }
}

impl Row {
    #[inline]
    pub(crate) fn load(&self) -> RowValue {
        let units = |stage: usize| self.stages[stage].load(Ordering::Relaxed);
        RowValue {
            line: LineId(self.line.load(Ordering::Relaxed)),
            sku: SkuIx(self.sku.load(Ordering::Relaxed)),
            place: Place(self.place.load(Ordering::Relaxed)),
            stages: [units(0), units(1), units(2), units(3), units(4), 0, 0],
        }
    }

    /// Its sku alone.
    #[inline]
    pub(crate) fn sku(&self) -> SkuIx {
        SkuIx(self.sku.load(Ordering::Relaxed))
    }

    /// Its place alone.
    #[inline]
    pub(crate) fn place(&self) -> Place {
        Place(self.place.load(Ordering::Relaxed))
    }

    /// Moves units from one of its stages to another.
    #[inline]
    pub(crate) fn move_units(&self, from: Stage, to: Stage, quantity: u32) {
        let change = |stage: Stage, by: fn(u32, u32) -> u32| {
            if stage != Stage::Free {
                let units = &self.stages[stage as usize - 1];
                units.store(by(units.load(Ordering::Relaxed), quantity), Ordering::Relaxed);
            }
        };
        change(from, |units, gone| units - gone);
        change(to, |units, come| units + come);
    }

    #[inline]
    pub(crate) fn store(&self, value: &RowValue) {
        set_u32(&self.line, value.line.0);
        set_u32(&self.sku, value.sku.0);
        set_u32(&self.place, value.place.0);
        for (stage, units) in self.stages.iter().zip(value.stages) {
            set_u32(stage, units);
        }
    }
}

/// One reservation: 128 bytes, two cache lines.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Slot {
    id: [AtomicU64; 2],
    content: AtomicU64,
    lsn: AtomicU64,
    deadline: AtomicU64,
    /// 16 bits each of rows and tenant above 8 of class above 8 of status above 16: whether it is used, takes more, waits for review.
    meta: AtomicU64,
    /// Where the rows lie when they are more than [`INLINE_ROWS`]; where its cell lay when it was opened with one row alone.
    rows_at: AtomicU32,
    /// Twice the number of changes; odd during one. Never reset, so it tells generations of the slot apart too.
    pub(crate) sequence: AtomicU32,
    /// Neighbours in the timer wheel while something is held, or in the queue of ended ones.
    pub(crate) next: AtomicU32,
    pub(crate) previous: AtomicU32,
    pub(crate) inline: [Row; INLINE_ROWS],
}

const _: () = assert!(size_of::<Slot>() == 128 && size_of::<Row>() == 32 || cfg!(loom));

/// The small fields of a slot, read out of their word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) rows: u16,
    pub(crate) tenant: Tenant,
    pub(crate) class: HoldClass,
    pub(crate) status: Status,
    /// Whether a reservation lives or is remembered here.
    pub(crate) used: bool,
    /// Whether it takes, or took, more than units of its cells: room of nodes' days, as its plans say, or supply, as the book
    /// of supply says.
    pub(crate) takes_more: bool,
    /// Whether it waits for review: what is held cannot be confirmed.
    pub(crate) in_review: bool,
}

/// A slot's head, read out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: CommandId,
    pub(crate) content: u64,
    pub(crate) lsn: u64,
    /// When what is held expires; 0 where nothing is held.
    pub(crate) deadline: TimestampMs,
    pub(crate) meta: Meta,
    /// Where the rows lie when they are more than [`INLINE_ROWS`]. Where there is one, it is a hint: its cell's index, if the
    /// cells of its sku have not moved since, or anything.
    pub(crate) rows_at: u32,
}

impl Meta {
    #[inline]
    fn pack(self) -> u64 {
        u64::from(self.rows) << 48
            | u64::from(self.tenant.0) << 32
            | u64::from(self.class.0) << 24
            | (self.status as u64) << 16
            | u64::from(self.in_review) << 2
            | u64::from(self.takes_more) << 1
            | u64::from(self.used)
    }

    #[inline]
    fn unpack(word: u64) -> Self {
        Self {
            rows: (word >> 48) as u16,
            tenant: Tenant((word >> 32) as u16),
            class: HoldClass((word >> 24) as u8),
            status: Status::from_number((word >> 16) as u8).unwrap_or_default(),
            used: word & 1 == 1,
            takes_more: word & 2 == 2,
            in_review: word & 4 == 4,
        }
    }
}

// A field that is not asked for is not loaded: the compiler keeps every load of an atomic, used or not.
impl Slot {
    /// All of it. Where a field is enough, ask for that.
    #[inline]
    pub(crate) fn head(&self) -> Head {
        let (id, content, lsn) = (self.id(), self.content(), self.lsn.load(Ordering::Relaxed));
        Head { id, content, lsn, deadline: self.deadline(), meta: self.meta(), rows_at: self.rows_at() }
    }

    #[inline]
    pub(crate) fn id(&self) -> CommandId {
        CommandId::from_halves([self.id[0].load(Ordering::Relaxed), self.id[1].load(Ordering::Relaxed)])
    }

    #[inline]
    pub(crate) fn content(&self) -> u64 {
        self.content.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn deadline(&self) -> TimestampMs {
        TimestampMs(self.deadline.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn meta(&self) -> Meta {
        Meta::unpack(self.meta.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn rows_at(&self) -> u32 {
        self.rows_at.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn store_head(&self, head: &Head) {
        let [high, low] = head.id.halves();
        set_u64(&self.id[0], high);
        set_u64(&self.id[1], low);
        set_u64(&self.content, head.content);
        set_u64(&self.lsn, head.lsn);
        self.store_deadline(head.deadline);
        self.store_meta(head.meta);
        set_u32(&self.rows_at, head.rows_at);
    }

    #[inline]
    pub(crate) fn store_deadline(&self, deadline: TimestampMs) {
        set_u64(&self.deadline, deadline.0);
    }

    #[inline]
    pub(crate) fn store_meta(&self, meta: Meta) {
        set_u64(&self.meta, meta.pack());
    }

    /// Where so many rows lie from now on.
    #[inline]
    pub(crate) fn store_rows(&self, rows: u16, rows_at: u32) {
        self.store_meta(Meta { rows, ..self.meta() });
        set_u32(&self.rows_at, rows_at);
    }
}
