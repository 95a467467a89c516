//! What reads state and changes nothing.

use serde::{Deserialize, Serialize};

use crate::command::Order;
use crate::ids::{CommandId, NodeIx, Segment, ServiceIx, SkuIx};
use crate::supply::{SupplyKey, WaitKey};

/// A question. The place in this list is the number on the wire: append, never reorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// What can be promised now.
    Atp(Atp),
    /// What a plan for this order would be; holds nothing.
    Quote(Quote),
    /// A reservation as it is.
    Show(CommandId),
    /// Handles of codes.
    Resolve(Resolve),
    /// All nodes, from this handle on; a page at a time.
    Nodes {
        /// First handle of the page.
        from: NodeIx,
    },
    /// All skus, from this handle on; a page at a time.
    Skus {
        /// First handle of the page.
        from: SkuIx,
    },
    /// Whole cells of a sku.
    Cells(SkuIx),
    /// Counters and levels of the daemon.
    Stats,
    /// Sums and digest over all cells of the tenant, at one Lsn.
    Digest,
    /// Make an image of all that is durable, and answer when it is on disk.
    Snapshot,
    /// A policy of the tenant: the one that was set last, or an earlier version of it.
    Policy {
        /// Its version; 0 for the one that was set last.
        version: u32,
    },
    /// Calendars of the tenant, by code, after this code; a page at a time.
    Calendars {
        /// The code before the first of the page; empty for the first page.
        after: String,
    },
    /// What carriers charge, services from this handle on; a page at a time.
    Tariffs {
        /// First handle of the page.
        from: ServiceIx,
    },
    /// What days of nodes are taken, from this node on; a page at a time.
    NodeDays {
        /// First handle of the page.
        from: NodeIx,
    },
    /// What is on its way to cells, by sku, node, segment and code, after this one; a page at a time.
    Supplies {
        /// The one before the first of the page; `None` for the first page.
        after: Option<SupplyKey>,
    },
    /// Who waits for supply, by sku, node, segment and turn, after this one; a page at a time.
    Waiting {
        /// The one before the first of the page; `None` for the first page.
        after: Option<WaitKey>,
        /// Those alone for whom it comes later than was said, or not at all.
        late: bool,
    },
    /// What kits are put together of, from this sku on; a page at a time.
    Kits {
        /// First handle of the page.
        from: SkuIx,
    },
    /// What may stand for skus, from this one on; a page at a time.
    Substitutes {
        /// First handle of the page.
        from: SkuIx,
    },
    /// Which confirmed orders could be served for less, where their policy has them looked at; some of them at a time.
    Replan {
        /// Where to go on, as the answer before said; 0 to begin.
        from: u32,
    },
    /// Which reservations wait for review; some of them at a time.
    Reviews {
        /// Where to go on, as the answer before said; 0 to begin.
        from: u32,
    },
}

/// Ask what can be promised: for each sku, over a scope, in one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Atp {
    /// Skus.
    pub skus: Vec<SkuIx>,
    /// Where.
    pub scope: Scope,
    /// In which segment; `None` for all together.
    pub segment: Option<Segment>,
    /// Answer per node, not the sum alone.
    pub per_node: bool,
    /// Say what supply adds by this day as well, in days since 1970; `None` for what is in stock alone.
    pub by_day: Option<u32>,
}

/// Which nodes a question is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All nodes that are active.
    All,
    /// These, whatever their state.
    Nodes(Vec<NodeIx>),
    /// The active ones of this group.
    Group(String),
}

/// Ask for a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The order.
    pub order: Order,
    /// Plan what there is, line by line, where all cannot be had.
    pub best_effort: bool,
}

/// Ask for handles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    /// Codes of skus.
    pub skus: Vec<String>,
    /// Codes of nodes.
    pub nodes: Vec<String>,
}
