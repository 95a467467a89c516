//! What is on its way to cells: purchase orders, transfers, production runs.

use serde::{Deserialize, Serialize};

use crate::command::CellQuantity;
use crate::ids::{CommandId, LineId, NodeIx, Segment, SkuIx};

/// What a supply brings to one cell, as it is put and as it is shown. Putting a known one says what it is from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplySpec {
    /// The user's code of the purchase order or transfer, 1 to [`crate::catalogue::CODE_LEN_MAX`] bytes; it may bring
    /// something to several cells.
    pub code: String,
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Units that are still to come, at most [`crate::ids::QUANTITY_MAX`]; 0 where nothing comes any more.
    pub quantity: u32,
    /// The day on which they are expected, in days since 1970 by the node's clock.
    pub day: u32,
}

/// Which supply of which cell: where a page of them begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SupplyKey {
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Its code.
    pub code: String,
}

impl SupplySpec {
    /// Which it is.
    #[must_use]
    pub fn key(&self) -> SupplyKey {
        let Self { code, sku, node, segment, .. } = self;
        SupplyKey { sku: *sku, node: *node, segment: *segment, code: code.clone() }
    }
}

/// Units of a supply have arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receive {
    /// The supply's code.
    pub code: String,
    /// What arrived, at least one unit of each cell; a cell at most once. It may be more than was expected.
    pub cells: Vec<CellQuantity>,
    /// Nothing more of it comes to these cells.
    pub closes: bool,
}

/// Which of those who wait for supply of a cell: where a page of them begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WaitKey {
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Whose turn it is: the lowest number of a cell is served first.
    pub turn: u64,
}

/// Units of a reservation that wait for supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitView {
    /// Which they are.
    pub key: WaitKey,
    /// The reservation.
    pub reservation: CommandId,
    /// Its line.
    pub line: LineId,
    /// Units that wait until the deadline.
    pub awaited: u32,
    /// Units that are confirmed, and wait.
    pub backordered: u32,
    /// The day that was said when they were taken, in days since 1970.
    pub said_day: u32,
    /// The day by which all that is before them, and they, are served now; `None` where too little is on its way, or overdue.
    pub day: Option<u32>,
    /// Where they are served once what is overdue comes: the first day on which some of that was expected. `None` where they have a
    /// day, and where too little is on its way.
    pub overdue_since: Option<u32>,
}
