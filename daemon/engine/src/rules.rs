//! What the configuration gives the engine: how much memory it may use, and the rules it decides by.

use earmark_protocol::ids::{Money, Segment};

/// Memory reserved at start. Full is a refusal that names the setting, never a stall to grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Skus, over all tenants.
    pub skus: u32,
    /// Nodes, over all tenants.
    pub nodes: u32,
    /// Stock cells.
    pub cells: u32,
    /// Reservations, live ones and those remembered for retries.
    pub reservations: u32,
    /// Rows of reservations that have more than two.
    pub lines: u32,
    /// Outcomes of other commands and of refusals, remembered for retries.
    pub commands: u32,
    /// Bytes of order facts: destinations, plans, explanations.
    pub facts_bytes: u64,
    /// Bytes of sku codes and group names.
    pub sku_code_bytes: u64,
    /// Movements of stock, remembered for counts that arrive late; and as many counts of cells by further sources.
    pub movements: u32,
}

impl Capacity {
    /// The least there is, for a state that a log's first record makes as large as it is to be.
    #[must_use]
    pub fn smallest() -> Self {
        Self {
            skus: 1,
            nodes: 1,
            cells: 1,
            reservations: 1,
            lines: 1,
            commands: 1,
            facts_bytes: 1,
            sku_code_bytes: 1,
            movements: 1,
        }
    }

    /// Each setting's name and number, in the order they have in an image.
    #[must_use]
    pub fn numbers(&self) -> [(&'static str, u64); 9] {
        [
            ("skus", u64::from(self.skus)),
            ("nodes", u64::from(self.nodes)),
            ("cells", u64::from(self.cells)),
            ("reservations", u64::from(self.reservations)),
            ("lines", u64::from(self.lines)),
            ("commands", u64::from(self.commands)),
            ("movements", u64::from(self.movements)),
            ("facts_bytes", self.facts_bytes),
            ("sku_code_bytes", self.sku_code_bytes),
        ]
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            skus: 1 << 20,
            nodes: 16_384,
            cells: 8 << 20,
            reservations: 4 << 20,
            lines: 8 << 20,
            commands: 4 << 20,
            facts_bytes: 4 << 30,
            sku_code_bytes: 32 << 20,
            movements: 1 << 20,
        }
    }
}

/// The rules the engine decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long an id is remembered, where capacity allows.
    pub retry_window_ms: u64,
    /// How far an id's time may be ahead of the daemon's.
    pub id_future_ms: u64,
    /// Most lines of an order, and elements of any other list.
    pub lines_max: u32,
    /// Most shipments of an order that names no limit of its own; 0 for no limit.
    pub shipments_max: u16,
    /// Whether a line may be split over nodes where no node has enough.
    pub split_lines: bool,
    /// Orders of at most this many lines get a last attempt inside the committer when they are contended.
    pub attempt_lines_max: u32,
    /// Hold classes; their place is the class's number.
    pub classes: Vec<Class>,
    /// Channels; their place is the channel's number. Each draws from these segments, in this order.
    pub channels: Vec<Vec<Segment>>,
    /// What a shipment costs.
    pub tariff: Tariff,
}

/// A hold class: how long holds of it live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name in the configuration and at the command line.
    pub name: String,
    /// Lifetime where the client gives none.
    pub lifetime_ms: u32,
    /// Longest lifetime a client may give.
    pub lifetime_ms_max: u32,
}

/// The first form of a carrier's tariff: a base per shipment, an amount per unit, an amount per unit and mile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// Each shipment to an address.
    pub shipment_base: Money,
    /// Each unit.
    pub per_unit: Money,
    /// Each unit for each mile.
    pub per_unit_mile: Money,
}

impl Default for Tariff {
    /// 8.759 per shipment + (0.423 + 0.000541 × miles) per unit: Jasin and Sinha 2015, as used by Ma 2023.
    fn default() -> Self {
        Self { shipment_base: Money(8_759_000), per_unit: Money(423_000), per_unit_mile: Money(541) }
    }
}

impl Default for Rules {
    fn default() -> Self {
        const MINUTE_MS: u32 = 60_000;
        const DAY_MS: u32 = 24 * 60 * MINUTE_MS;
        let class = |name: &str, lifetime_ms, lifetime_ms_max| Class {
            name: name.to_owned(),
            lifetime_ms,
            lifetime_ms_max,
        };
        Self {
            retry_window_ms: 600_000,
            id_future_ms: 1_000,
            lines_max: 10_000,
            shipments_max: 0,
            split_lines: true,
            attempt_lines_max: 16,
            classes: vec![
                class("cart", 15 * MINUTE_MS, DAY_MS),
                class("payment", 60 * MINUTE_MS, DAY_MS),
                class("bank_transfer", 3 * DAY_MS, 14 * DAY_MS),
            ],
            channels: vec![vec![Segment(0)]],
            tariff: Tariff::default(),
        }
    }
}
