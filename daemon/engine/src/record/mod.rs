//! The effect of one decided command, as it is applied and logged.
//!
//! Effects say what changes, by how much and where; never why, and never under which rule. So a later change of rules
//! never changes a replay.

use earmark_protocol::catalogue::{CalendarSpec, NodeSpec, NodeState, SkuSpec};
use earmark_protocol::ids::{CommandId, HoldClass, LineId, Lsn, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::kit::Component;
use earmark_protocol::reply::Status;
use earmark_protocol::tariff::PutTariffs;
use earmark_protocol::wire_error::WireError;

mod layout;

use crate::bytes::Bytes;
use crate::outcomes::CompactReply;
use crate::reservations::slot::RowValue;
pub use crate::reservations::slot::Stage;
use crate::rules::Capacity;

/// The effect of one command, or of some expiries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its place in the one order.
    pub lsn: Lsn,
    /// When it was decided.
    pub now: TimestampMs,
    /// What changes, in order.
    pub effects: Vec<Effect>,
}

/// One change. Its bytes in the log are in `layout.rs`, and drawn in `docs/durability.md`.
///
/// `Open`, `Hold`, `Touch` and `Expire` choose the reservation that the effects after them are about. Cells are named by their index
/// where they exist, and by sku and place where they may have to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A new reservation with this many empty rows.
    Open {
        /// Its id.
        id: CommandId,
        /// The hash of the command that made it.
        content: u64,
        /// Whose it is.
        tenant: Tenant,
        /// Hold class.
        class: HoldClass,
        /// When it expires.
        deadline: TimestampMs,
        /// Rows.
        rows: u16,
    },
    /// A new reservation of one row, held: `Open` and `Claim` in one, because most holds are of one cell.
    Hold {
        /// Its id.
        id: CommandId,
        /// The hash of the command that made it.
        content: u64,
        /// Whose it is.
        tenant: Tenant,
        /// Hold class.
        class: HoldClass,
        /// When it expires.
        deadline: TimestampMs,
        /// The cell's index.
        cell: u32,
        /// The line.
        line: LineId,
        /// Sku.
        sku: SkuIx,
        /// Node and segment, as the cell's word has them.
        place: u32,
        /// Units.
        quantity: u32,
    },
    /// A reservation that exists.
    Touch {
        /// Its slot.
        slot: u32,
    },
    /// A reservation of one row, of which nothing is open but what is held, expires: `Touch`, `Move` and `Settle` in one,
    /// because most holds end so.
    Expire {
        /// Its slot.
        slot: u32,
        /// The cell's index.
        cell: u32,
        /// Units that go back.
        quantity: u32,
    },
    /// This many more empty rows.
    Widen {
        /// Rows.
        rows: u16,
    },
    /// An empty row takes units from a cell, into `Held` or `Confirmed`.
    Claim {
        /// The row.
        row: u16,
        /// The cell's index.
        cell: u32,
        /// The line.
        line: LineId,
        /// Sku.
        sku: SkuIx,
        /// Node and segment, as the cell's word has them.
        place: u32,
        /// Units.
        quantity: u32,
        /// The stage they go into.
        stage: Stage,
    },
    /// Units of a row go from one stage to another; the cell follows.
    Move {
        /// The row.
        row: u16,
        /// The cell's index.
        cell: u32,
        /// Where they come from.
        from: Stage,
        /// Where they go.
        to: Stage,
        /// Units.
        quantity: u32,
    },
    /// Units of a row that wait for supply: they begin to, change their stage, are given up, or come into stock as `Held` or
    /// `Confirmed`, where the cell follows.
    Wait {
        /// The row; where units begin to wait, an empty one.
        row: u16,
        /// The line.
        line: LineId,
        /// Sku.
        sku: SkuIx,
        /// Node and segment.
        place: u32,
        /// Where they come from: `Free` where they begin to wait.
        from: Stage,
        /// Where they go.
        to: Stage,
        /// Units.
        quantity: u32,
        /// Where they begin to wait, the day on which their supply is expected, in days since 1970 by the node's clock; else 0.
        day: u32,
    },
    /// The reservation's status and deadline from now on; a deadline of 0 for none.
    Settle {
        /// Status.
        status: Status,
        /// Deadline.
        deadline: TimestampMs,
    },
    /// Whether the reservation waits for review from now on.
    Review {
        /// Whether it does.
        waits: bool,
    },
    /// The reservation's facts from now on.
    Facts {
        /// In the codec of the wire.
        text: Vec<u8>,
    },
    /// New empty cells of a sku, sorted.
    Cells {
        /// Sku.
        sku: SkuIx,
        /// Nodes and segments.
        places: Vec<u32>,
    },
    /// A cell's stock from now on.
    Stock {
        /// Sku.
        sku: SkuIx,
        /// Node and segment.
        place: u32,
        /// On hand.
        on_hand: i32,
        /// Safety.
        safety: u32,
        /// Unsellable.
        unsellable: u32,
        /// The physical movement behind it; 0 for none.
        moved: i32,
        /// The count behind it: its source and its time.
        counted: Option<(u16, TimestampMs)>,
    },
    /// A command's outcome, where it made no reservation.
    Outcome {
        /// The command.
        id: CommandId,
        /// The hash of its content.
        content: u64,
        /// Whose it is.
        tenant: Tenant,
        /// What was answered.
        outcome: CompactReply,
        /// The plan that was answered with it, in the codec of the wire; empty for none.
        plan: Vec<u8>,
    },
    /// The reservation takes more of a node's day, or gives some of it back.
    Day {
        /// The node.
        node: NodeIx,
        /// The day, in days since 1970 by the node's clock.
        day: u32,
        /// Orders.
        orders: i32,
        /// Lines.
        lines: i32,
        /// Units.
        units: i64,
    },
    /// What a supply brings to a cell from now on.
    Supply {
        /// Sku.
        sku: SkuIx,
        /// Node and segment.
        place: u32,
        /// The supply's code.
        code: String,
        /// Units that are still to come; 0 where nothing comes any more.
        quantity: u32,
        /// The day on which they are expected, in days since 1970 by the node's clock.
        day: u32,
    },
    /// A sku added or changed.
    Sku {
        /// Whose it is.
        tenant: Tenant,
        /// As the client gave it.
        spec: Box<SkuSpec>,
    },
    /// A sku out of sale.
    SkuRetired {
        /// Sku.
        sku: SkuIx,
    },
    /// A node added or changed.
    Node {
        /// Whose it is.
        tenant: Tenant,
        /// As the client gave it.
        spec: Box<NodeSpec>,
    },
    /// A node's state.
    NodeState {
        /// The node.
        node: NodeIx,
        /// Its state from now on.
        state: NodeState,
    },
    /// A tenant's policy from now on.
    Policy {
        /// Whose it is.
        tenant: Tenant,
        /// Its version.
        version: u32,
        /// As its author wrote it.
        text: String,
    },
    /// A calendar added or changed.
    Calendar {
        /// Whose it is.
        tenant: Tenant,
        /// As the client gave it.
        spec: Box<CalendarSpec>,
    },
    /// A tenant's tariffs, changed.
    Tariffs {
        /// Whose they are.
        tenant: Tenant,
        /// Their version afterwards.
        version: u32,
        /// As the client gave it.
        put: Box<PutTariffs>,
    },
    /// What a kit is put together of from now on.
    Kit {
        /// The kit.
        kit: SkuIx,
        /// Its components; none where it is no kit any more.
        components: Vec<Component>,
    },
    /// What may stand for a sku from now on.
    Substitutes {
        /// The sku.
        sku: SkuIx,
        /// What may, the preferred ones first; none where nothing may any more.
        substitutes: Vec<SkuIx>,
    },
    /// The memory from now on. Only at a start, before anyone reads.
    Capacity(Box<Capacity>),
    /// What is held lives at least until then.
    Grace {
        /// The deadline of all holds that had an earlier one.
        until: TimestampMs,
    },
}

impl Effect {
    /// Units of a row, in a cell, that go from one stage to another.
    pub(crate) fn shift(
        row: u16,
        value: &RowValue,
        cell: u32,
        (from, to): (Stage, Stage),
        quantity: u32,
    ) -> Self {
        let RowValue { line, sku, place, .. } = *value;
        if from.waits() || to.waits() {
            Self::Wait { row, line, sku, place: place.0, from, to, quantity, day: 0 }
        } else {
            Self::Move { row, cell, from, to, quantity }
        }
    }
}

impl Record {
    /// Appends the bytes of what changes; `lsn` and `now` are the log's to keep.
    #[inline]
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        for effect in &self.effects {
            layout::write(effect, bytes);
        }
    }

    /// Reads a record of this place and time from exactly these bytes.
    ///
    /// # Errors
    /// Where the bytes are no record. Offsets count from the first of them.
    pub fn decode(lsn: Lsn, now: TimestampMs, bytes: &[u8]) -> Result<Self, WireError> {
        let mut record = Self { lsn, now, effects: Vec::new() };
        record.read(lsn, now, bytes)?;
        Ok(record)
    }

    /// The same, into a record whose memory is used again.
    ///
    /// # Errors
    /// As [`Record::decode`]; what the record holds then means nothing.
    pub fn read(&mut self, lsn: Lsn, now: TimestampMs, bytes: &[u8]) -> Result<(), WireError> {
        (self.lsn, self.now) = (lsn, now);
        self.effects.clear();
        let mut left = Bytes::new(bytes);
        while !left.is_empty() {
            self.effects.push(layout::read(&mut left)?);
        }
        Ok(())
    }

    /// Whether it changes nothing: the command was decided before, or not at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }
}
