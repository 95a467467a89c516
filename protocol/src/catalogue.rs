//! What a tenant sells and from where: skus and nodes as clients describe them.

use serde::{Deserialize, Serialize};

use crate::geo::Position;
use crate::ids::Money;

/// Longest code of a sku, node or group, in bytes.
pub const CODE_LEN_MAX: usize = 64;

/// Longest postal code, in bytes.
pub const POSTAL_LEN_MAX: usize = 16;

/// The most that each cost of a node may be, so that sums over any order that could be shipped fit 64 bits.
pub const COST_MAX: Money = Money(1_000_000_000_000);

/// A sellable item, as it is put into the catalogue. Putting a known code changes the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuSpec {
    /// The user's code, 1 to [`CODE_LEN_MAX`] bytes.
    pub code: String,
    /// Weight of one unit in grams.
    pub weight_g: u32,
    /// What must be known to ship it: a sum of [`sku_flags`].
    pub flags: u16,
    /// A group of skus, at most [`CODE_LEN_MAX`] bytes; empty for none.
    pub group: String,
    /// Length, width and height of one unit in millimetres; zeros where they are not known.
    pub size_mm: [u16; 3],
}

/// Flags of a sku; a node may hold and ship it only where its capabilities contain them all.
pub mod sku_flags {
    /// Needs a node that can ship dangerous goods.
    pub const HAZMAT: u16 = 1;
    /// Needs a node that can ship large parcels.
    pub const OVERSIZE: u16 = 1 << 1;
    /// Needs a node that keeps goods cold.
    pub const COLD: u16 = 1 << 2;
    /// All that are known; others are refused.
    pub const ALL: u16 = HAZMAT | OVERSIZE | COLD;
}

/// What a node can do: the low bits are those of [`sku_flags`], the high ones ways of handing over.
pub mod capabilities {
    /// Ships parcels to an address.
    pub const SHIP: u16 = 1 << 8;
    /// Hands goods over to customers who come.
    pub const PICKUP: u16 = 1 << 9;
    /// All that are known; others are refused.
    pub const ALL: u16 = SHIP | PICKUP | super::sku_flags::ALL;
}

/// The kind of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A distribution or fulfilment centre.
    #[default]
    Dc,
    /// A store that ships or hands over.
    Store,
    /// A third party's warehouse.
    #[serde(rename = "3pl")]
    ThirdParty,
    /// A vendor that ships for us.
    Vendor,
    /// A supplier that stocks us.
    Supplier,
}

/// Whether a node takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Takes new holds.
    #[default]
    Active,
    /// Takes no new holds; what it holds goes on.
    Paused,
    /// Takes no new holds, ever again.
    Retired,
}

impl NodeState {
    /// The one of this number; the numbers are the places in the list.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Retired].get(usize::from(number)).copied()
    }
}

/// A node, as it is put into the catalogue. Putting a known code changes the rest; its state is changed by
/// `SetNodeState` alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The user's code, 1 to [`CODE_LEN_MAX`] bytes.
    pub code: String,
    /// Its kind.
    pub kind: NodeKind,
    /// Where it stands.
    pub position: Position,
    /// IANA name of its time zone, `America/Chicago`.
    pub time_zone: String,
    /// A group of nodes, at most [`CODE_LEN_MAX`] bytes; empty for none.
    pub group: String,
    /// Among equal costs the lower number goes first.
    pub priority: u16,
    /// What it can do: a sum of [`capabilities`].
    pub capabilities: u16,
    /// Cost of one shipment from here, on top of the tariff.
    pub cost_per_order: Money,
    /// Cost of each line (distinct sku) of a shipment from here.
    pub cost_per_line: Money,
    /// Cost of each unit shipped from here.
    pub cost_per_unit: Money,
    /// Code of the calendar it works by; empty where it always works, and plans do not say when its shipments leave.
    pub calendar: String,
    /// Its postal code, by which charts of zones find it; may be empty, at most [`POSTAL_LEN_MAX`] bytes.
    pub postal: String,
    /// The most that routed orders may have it ship on one of its days; a 0 is no limit. It needs a calendar.
    pub day_limit: DayLoad,
    /// Code of the seller whose node it is, at most [`CODE_LEN_MAX`] bytes; empty where that is nobody's question.
    pub seller: String,
}

/// What one day of a node takes: a reservation is one order on each day on which something of it ships from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayLoad {
    /// Orders.
    pub orders: u32,
    /// Lines of them.
    pub lines: u32,
    /// Units of their lines.
    pub units: u64,
}

/// When a node works, as it is put into the catalogue, by the node's own clock. Putting a known code changes the rest.
///
/// An order that comes on an open day, not after its cut-off, is worked on from then on, or from when the day opens; any
/// other one from when the next open day opens. Then `handling_days` open days pass, then `handling_min` minutes
/// of open hours; the shipment leaves when the day closes on which that is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarSpec {
    /// The user's code, 1 to [`CODE_LEN_MAX`] bytes.
    pub code: String,
    /// The days of the week that are open, Monday first; `None` for one that is closed.
    pub week: [Option<DayHours>; 7],
    /// Dates that are not as their day of the week, ascending, at most [`CALENDAR_DATES_MAX`].
    pub dates: Vec<DateHours>,
    /// Open days that pass before the minutes begin, at most [`HANDLING_DAYS_MAX`].
    pub handling_days: u16,
    /// Minutes of open hours that the work takes, at most [`HANDLING_MIN_MAX`].
    pub handling_min: u16,
}

/// Most dates of a calendar: holidays of twenty years and more.
pub const CALENDAR_DATES_MAX: usize = 400;
/// Most days of handling.
pub const HANDLING_DAYS_MAX: u16 = 60;
/// Most minutes of handling: ten days around the clock.
pub const HANDLING_MIN_MAX: u16 = 14_400;

/// The hours of an open day, in minutes after midnight by the clock on the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayHours {
    /// When it opens.
    pub opens_min: u16,
    /// When it closes; after it opens, and 1,440 at most.
    pub closes_min: u16,
    /// The last minute of it by which an order is still worked on that day; within the hours.
    pub cut_off_min: u16,
}

/// A date that is not as its day of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateHours {
    /// The date, like 20261225.
    pub date: u32,
    /// Its hours; `None` where it is closed.
    pub hours: Option<DayHours>,
}
