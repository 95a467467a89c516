//! What the daemon answers.

use serde::{Deserialize, Serialize};

use crate::catalogue::{CalendarSpec, DayLoad, NodeSpec, NodeState, SkuSpec};
use crate::command::{Move, Order};
use crate::ids::{CommandId, HoldClass, LineId, Lsn, Money, NodeIx, Segment, ServiceIx, SkuIx, TimestampMs};
use crate::kit::KitSpec;
use crate::refusal::{Refusal, RefusalCode};
use crate::substitute::SubstituteSpec;
use crate::supply::{SupplySpec, WaitView};
use crate::tariff::TariffsView;

/// An answer. The place in this list is the number on the wire: append, never reorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// `Hold` or `Reserve` took place.
    Reserved(Reserved),
    /// Any other command took place.
    Done(Done),
    /// The answer is no.
    Refused(Refused),
    /// To `Atp`.
    Atp(AtpReply),
    /// To `Quote`.
    Quoted(Plan),
    /// To `Show`.
    Shown(Box<ReservationView>),
    /// To `Resolve`.
    Resolved(Resolved),
    /// To `Nodes`.
    Nodes(Vec<NodeView>),
    /// To `Skus`.
    Skus(Vec<SkuView>),
    /// To `Cells`.
    Cells(Vec<CellView>),
    /// To `Stats`: names and values.
    Stats(Vec<(String, u64)>),
    /// To `Digest`.
    Digest(DigestReply),
    /// To `Snapshot`.
    Snapshot(SnapshotReply),
    /// To `Policy`: nothing where there is none, or that version is kept no more.
    Policy(Option<PolicyView>),
    /// To `Calendars`.
    Calendars(Vec<CalendarSpec>),
    /// To `Tariffs`.
    Tariffs(Box<TariffsView>),
    /// To `NodeDays`: days that something is or was taken of, by node and day; all of a node on one page.
    NodeDays(Vec<NodeDay>),
    /// To `Supplies`.
    Supplies(Vec<SupplySpec>),
    /// To `Waiting`.
    Waiting(Vec<WaitView>),
    /// To `Kits`.
    Kits(Vec<KitSpec>),
    /// To `Substitutes`.
    Substitutes(Vec<SubstituteSpec>),
    /// To `Replan`.
    Replanned(Replanned),
    /// To `Reviews`.
    Reviews(Reviews),
}

/// Where a reservation stands. Quantities move line by line; the status is that of the least advanced
/// quantity that is still open, or how the last of it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Status {
    /// Stock is held until the deadline.
    #[default]
    Held = 0,
    /// Allocated: no deadline any more.
    Confirmed = 1,
    /// A node works on it.
    Dispatched = 2,
    /// Waits for the customer at a node.
    Ready = 3,
    /// All that was left has left the building.
    Shipped = 4,
    /// All that was left was handed over.
    Collected = 5,
    /// Given back by the client before it was confirmed.
    Released = 6,
    /// Given back by its deadline.
    Expired = 7,
    /// Given back after it was confirmed.
    Cancelled = 8,
}

impl Status {
    /// The one of this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        use Status::{Cancelled, Collected, Confirmed, Dispatched, Expired, Held, Ready, Released, Shipped};
        [Held, Confirmed, Dispatched, Ready, Shipped, Collected, Released, Expired, Cancelled]
            .get(usize::from(number))
            .copied()
    }

    /// Whether nothing can happen to it any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        self >= Status::Shipped
    }
}

/// A reservation was made, or was made before by the same command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// Where it was decided.
    pub lsn: Lsn,
    /// Its status now; on a retry it may have moved on since.
    pub status: Status,
    /// When what is held expires now; 0 where nothing is held.
    pub deadline: TimestampMs,
    /// The plan as it was decided; `None` for a plain hold of all that was asked.
    pub plan: Option<Plan>,
}

/// A command took place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Where it was decided.
    pub lsn: Lsn,
    /// The reservation's status right after it; `None` where the command is about none.
    pub status: Option<Status>,
    /// When what is still held expires; 0 where nothing is.
    pub deadline: TimestampMs,
    /// Units that moved.
    pub moved: u64,
    /// Units that stand below what is promised afterwards, over all cells the command touched.
    pub short: u64,
    /// Where rejected lines go now; or orders that were moved, in the order of the command.
    pub plans: Vec<Plan>,
}

/// The answer is no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Where it was decided; 0 where it was not worth a place in the log, and may be asked again.
    pub lsn: Lsn,
    /// Why.
    pub refusal: Refusal,
}

/// The routing answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What goes from where, by node.
    pub shipments: Vec<Shipment>,
    /// What found no stock, and why.
    pub unfilled: Vec<Unfilled>,
    /// Sum of the shipments' costs.
    pub cost: Money,
    /// What its units are worth to orders to come, by the prices learned of them. It decides, and nobody pays it.
    pub price: Money,
    /// No legal plan can have less cost and price together; where it equals theirs the plan is proven cheapest. Where
    /// something waits for supply: no plan that sends at once what is in stock.
    pub bound: Money,
    /// The version of the policy it obeys; 0 where there was none.
    pub policy: u32,
    /// How many nodes each of its rules excluded, those that excluded none left out, and which of them gave way.
    pub eliminated: Vec<Eliminated>,
    /// Whether the policy wants the order looked at: what is held by it cannot be confirmed before it is approved.
    pub review: bool,
    /// Lines of which another sku is sent than was ordered.
    pub substituted: Vec<Substituted>,
    /// Where a move made it: what the order costs less than where it lay before. Less than 0 where another order that took its
    /// place saves more than that.
    pub saved: Option<Money>,
    /// The rules of the policy that say by which services its shipments go, in their order; none for a pickup.
    pub upgrades: Vec<Upgrade>,
}

/// A rule that says by which services an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The rule's place in the policy, from 0.
    pub rule: u16,
    /// Whether it gave way, so that the services of its `otherwise` were allowed too.
    pub gave_way: bool,
}

/// A line of which a substitute is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Substituted {
    /// The line.
    pub line: LineId,
    /// The sku that was ordered.
    pub ordered: SkuIx,
    /// The sku that is sent, unit for unit.
    pub sent: SkuIx,
}

impl Eliminated {
    /// The place of no rule: nodes that would deliver later than the order wishes, where the policy refuses that.
    pub const LATE: u16 = u16::MAX;
    /// The nodes of a rule that excluded some and gave way for a line at least, so that there its `otherwise` counted instead. Where
    /// that, or the rule for other lines, excluded nodes as well, they are told before it.
    pub const GAVE_WAY: u32 = 0;
}

/// How many nodes a rule excluded that could have delivered otherwise, and that no rule before it excluded. Where a
/// rule asks about lines, of the line for which it excluded most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eliminated {
    /// The rule's place in the policy, from 0.
    pub rule: u16,
    /// Nodes; [`Eliminated::GAVE_WAY`] says that the rule gave way.
    pub nodes: u32,
}

impl Plan {
    /// What it was chosen by: cost and price.
    #[must_use]
    pub fn weighed(&self) -> Money {
        Money(self.cost.0.saturating_add(self.price.0))
    }

    /// Whether no legal plan can be cheaper, prices included.
    #[must_use]
    pub fn is_optimal(&self) -> bool {
        self.bound >= self.weighed()
    }
}

/// What one node ships or hands over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// The node.
    pub node: NodeIx,
    /// Miles from the node to the destination's zone; 0 for a pickup.
    pub miles: u32,
    /// What it costs.
    pub cost: Money,
    /// The part of the cost that the policy adds.
    pub policy_cost: Money,
    /// The carrier's part of the cost; `None` where the configured tariff prices, for a pickup, and in a plain hold.
    pub carriage: Option<Carriage>,
    /// When it leaves the node, or is ready to be picked up there; 0 where the node has no calendar, and in a plain hold.
    pub ship_at_ms: TimestampMs,
    /// By when it is delivered, or is ready to be picked up; 0 where nothing says how long it is on its way.
    pub promise_at_ms: TimestampMs,
    /// The node's day that it takes room of, in days since 1970 by the node's clock; 0 where the node has no limit by day.
    pub ship_day: u32,
    /// The day on which the supply that its lines wait for is expected, in days since 1970 by the node's clock; 0 where it
    /// ships what is in stock.
    pub supply_day: u32,
    /// What is in it.
    pub lines: Vec<ShipmentLine>,
}

impl Shipment {
    /// Whether its lines wait for supply.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.supply_day > 0
    }
}

/// What the carrier charges for a shipment, by the cheapest of the services that go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carriage {
    /// The service.
    pub service: ServiceIx,
    /// The zone of the way.
    pub zone: u8,
    /// Days from ship date to delivery.
    pub transit_days: u8,
    /// What the price goes by, in grams: weight, or volume where that counts for more.
    pub billable_g: u64,
    /// Price and fuel, in the accounting currency.
    pub freight: Money,
    /// Surcharges, in the accounting currency.
    pub surcharges: Money,
}

/// Moves of confirmed orders that would save something now, none of which has taken place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replanned {
    /// Where to go on; `None` where all reservations were looked at.
    pub next: Option<u32>,
    /// Orders that were looked at: confirmed, not worked on, within the time that their policy gives.
    pub looked_at: u64,
    /// What to do, as commands say it.
    pub moves: Vec<Saving>,
}

/// A move, and what it saves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saving {
    /// The move.
    pub command: Move,
    /// What its orders cost less together.
    pub saved: Money,
}

/// Reservations that wait for review.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviews {
    /// Where to go on; `None` where all reservations were looked at.
    pub next: Option<u32>,
    /// Those that wait.
    pub waiting: Vec<ReviewView>,
}

/// A reservation that waits for review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewView {
    /// The reservation.
    pub reservation: CommandId,
    /// Hold class.
    pub class: HoldClass,
    /// When what is held expires, unless it is extended or approved and confirmed.
    pub deadline: TimestampMs,
    /// Units that are held, and those that are awaited.
    pub units: u64,
    /// What the order is worth, where it says so.
    pub value: Option<Money>,
    /// The version of the policy that wants it looked at.
    pub policy: u32,
}

/// A quantity of a line in a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentLine {
    /// The client's id of the line.
    pub line: LineId,
    /// Sku.
    pub sku: SkuIx,
    /// Segment it is taken from.
    pub segment: Segment,
    /// Units.
    pub quantity: u32,
}

/// A quantity that found no stock: of a kit's line in whole kits, but where lines are routed again in units of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfilled {
    /// The line.
    pub line: LineId,
    /// Units.
    pub quantity: u32,
    /// Why.
    pub reason: RefusalCode,
}

/// To `Atp`, in the order of the question's skus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtpReply {
    /// All that was decided up to here is seen.
    pub lsn: Lsn,
    /// A row per sku.
    pub skus: Vec<AtpSku>,
}

/// What can be promised of one sku. A kit can be promised as often as each of its components can, over the scope and in each
/// cell; its components need not come from one node, so cells may add up to less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtpSku {
    /// Sku.
    pub sku: SkuIx,
    /// Units that can be promised over the scope.
    pub available: u64,
    /// Units promised beyond what is there, over the scope's cells that are short.
    pub short: u64,
    /// Units that supply adds by the day that was asked about; 0 where none was.
    pub inbound: u64,
    /// A row per cell, where it was asked for: those with nothing available, nothing short and no inbound are left out.
    pub cells: Vec<AtpCell>,
}

/// What can be promised of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtpCell {
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Units available; below 0 where it is short.
    pub available: i64,
    /// Units that supply adds by the day that was asked about, once it has made up for what is short.
    pub inbound: u64,
}

impl AtpCell {
    /// Bytes of one in an answer.
    pub const BYTES: usize = 22;
}

/// A reservation as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationView {
    /// Its id.
    pub id: CommandId,
    /// Where it was made.
    pub lsn: Lsn,
    /// Where it stands.
    pub status: Status,
    /// Hold class.
    pub class: HoldClass,
    /// When what is held expires; 0 where nothing is held.
    pub deadline: TimestampMs,
    /// A row per line and cell.
    pub rows: Vec<RowView>,
    /// The order, where it was routed.
    pub order: Option<Order>,
    /// The plans made for it: the first, then one for each time lines were routed again or the order was moved.
    pub plans: Vec<Plan>,
    /// Whether it waits for review: nothing of it can be confirmed before it is approved.
    pub in_review: bool,
}

/// What one cell holds for one line of a reservation. A unit stands in one of the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowView {
    /// The line.
    pub line: LineId,
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Held until the deadline.
    pub held: u32,
    /// Confirmed, not yet dispatched.
    pub confirmed: u32,
    /// Dispatched, not yet ready or shipped.
    pub dispatched: u32,
    /// Waiting for the customer.
    pub ready: u32,
    /// Shipped or collected.
    pub shipped: u32,
    /// Waits for supply until the deadline.
    pub awaited: u32,
    /// Confirmed, and waits for supply.
    pub backordered: u32,
}

/// To `Resolve`: handles in the order of the question, `None` for codes that are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Handles of skus.
    pub skus: Vec<Option<SkuIx>>,
    /// Handles of nodes.
    pub nodes: Vec<Option<NodeIx>>,
}

/// A node of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its handle.
    pub node: NodeIx,
    /// Its state.
    pub state: NodeState,
    /// The rest.
    pub spec: NodeSpec,
}

/// What a day of a node is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDay {
    /// The node.
    pub node: NodeIx,
    /// The day, in days since 1970 by the node's clock.
    pub day: u32,
    /// What is taken of it.
    pub taken: DayLoad,
}

/// A sku of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuView {
    /// Its handle.
    pub sku: SkuIx,
    /// Whether it is out of sale.
    pub retired: bool,
    /// The rest.
    pub spec: SkuSpec,
}

/// A whole cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellView {
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Units in the building.
    pub on_hand: i32,
    /// Units held.
    pub held: u32,
    /// Units allocated.
    pub allocated: u32,
    /// Units never promised.
    pub safety: u32,
    /// Units that cannot be sold.
    pub unsellable: u32,
}

/// Sums and digest over all cells of a tenant, at one Lsn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestReply {
    /// All that was decided up to here, and nothing later.
    pub lsn: Lsn,
    /// Cells.
    pub cells: u64,
    /// Sum of on hand.
    pub on_hand: i64,
    /// Sum of held.
    pub held: u64,
    /// Sum of allocated.
    pub allocated: u64,
    /// Sum of unsellable.
    pub unsellable: u64,
    /// Cells that promise more than they have.
    pub cells_short: u64,
    /// [`crate::digest`] over the quantities of every cell.
    pub quantities: u64,
    /// Digest of the whole state of the daemon, all tenants: equal states give equal digests.
    pub state: u64,
}

/// An image is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotReply {
    /// The last record whose effect is in it.
    pub lsn: Lsn,
    /// Bytes of its file; 0 where there was an image of this moment already.
    pub bytes: u64,
    /// Images that are kept.
    pub kept: u32,
}

/// A version of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    /// Its number: the tenant's first policy is 1.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Where it was set.
    pub lsn: Lsn,
    /// When it was set.
    pub since: TimestampMs,
    /// The names of its rules, in their order.
    pub rules: Vec<String>,
    /// As its author wrote it.
    pub text: String,
}
