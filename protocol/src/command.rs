//! What changes state. Each command is decided once, whole, at one Lsn.

use serde::{Deserialize, Serialize};

use crate::catalogue::{CalendarSpec, NodeSpec, NodeState, SkuSpec};
use crate::geo::Position;
use crate::ids::{Channel, CommandId, HoldClass, LineId, Money, NodeIx, Segment, SkuIx, TimestampMs};
use crate::kit::KitSpec;
use crate::substitute::SubstituteSpec;
use crate::supply::{Receive, SupplySpec};
use crate::tariff::PutTariffs;

/// A changing command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The client's id; a retry carries the same one.
    pub id: CommandId,
    /// The client gives up after this many milliseconds from arrival: past them the command is dropped
    /// undecided and answered `GaveUp`. 0 for never.
    pub give_up_ms: u32,
    /// What to do.
    pub body: CommandBody,
}

/// What a command does. The place in this list is the number on the wire: append, never reorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandBody {
    /// Hold quantities of named cells.
    Hold(Hold),
    /// Route an order and hold what the plan says, in one step.
    Reserve(Reserve),
    /// Held → Confirmed: held quantity becomes allocated.
    Confirm(Step),
    /// Held → Released: held quantity goes back.
    Release(Step),
    /// Held, Confirmed, Dispatched or Ready → Cancelled: the quantity goes back.
    Cancel(Step),
    /// Confirmed → Dispatched: the node works on it.
    Dispatch(Step),
    /// Dispatched → Ready: waits for the customer at the node.
    Ready(Step),
    /// Dispatched → Shipped: leaves the building, on hand and allocated shrink.
    Ship(Step),
    /// Ready → Collected: handed over, on hand and allocated shrink.
    Collect(Step),
    /// A new lifetime for a hold.
    Extend(Extend),
    /// Raise or lower lines in place.
    Amend(Amend),
    /// A node says it cannot: correct its stock, route the lines again.
    Reject(Reject),
    /// Counts as of a time.
    SetStock(SetStock),
    /// Signed corrections of on hand.
    AdjustStock(AdjustStock),
    /// Returned goods.
    Restock(Restock),
    /// Goods moved between nodes or segments.
    Transfer(Transfer),
    /// Add or change skus.
    PutSkus(Vec<SkuSpec>),
    /// Take skus out of sale: no new holds, ever again.
    RetireSkus(Vec<SkuIx>),
    /// Add or change nodes.
    PutNodes(Vec<NodeSpec>),
    /// Pause, resume or retire a node.
    SetNodeState(SetNodeState),
    /// What routing obeys from the next order on.
    SetPolicy(SetPolicy),
    /// Add or change calendars of nodes.
    PutCalendars(Vec<CalendarSpec>),
    /// What carriers charge from the next order on.
    PutTariffs(PutTariffs),
    /// A reservation that waits for review may be confirmed from now on. One that may not is released.
    Approve(CommandId),
    /// What purchase orders and transfers bring to cells, and when.
    PutSupplies(Vec<SupplySpec>),
    /// Units of a supply have arrived: they are on hand, and no longer to come.
    Receive(Receive),
    /// What kits are put together of.
    PutKits(Vec<KitSpec>),
    /// What may stand for skus that cannot be had.
    PutSubstitutes(Vec<SubstituteSpec>),
    /// Confirmed orders are served from other nodes for less, all of them or none.
    Move(Move),
}

/// Hold quantities of named cells: a list of (sku, node, segment, quantity). A line's id is its place in the
/// list. The single-cell, all-or-nothing form has a message of fixed layout of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The cells; at least one.
    pub cells: Vec<CellQuantity>,
    /// Hold class.
    pub class: HoldClass,
    /// Lifetime in milliseconds; 0 for the class's own.
    pub lifetime_ms: u32,
    /// Take what there is, line by line, where all cannot be had.
    pub best_effort: bool,
    /// What is not in stock waits for supply of its cell that is expected by this day, in days since 1970 by the node's
    /// clock; `None` to take from stock alone.
    pub supply_by: Option<u32>,
}

/// A quantity of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellQuantity {
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Units, 1 to [`crate::ids::QUANTITY_MAX`].
    pub quantity: u32,
}

/// Route an order and hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// What is wanted and where.
    pub order: Order,
    /// Hold class.
    pub class: HoldClass,
    /// Lifetime in milliseconds; 0 for the class's own.
    pub lifetime_ms: u32,
    /// Take what there is, line by line, where all cannot be had.
    pub best_effort: bool,
}

/// The most an order may be worth: below 2^53 micros, so that policies compare it exactly.
pub const VALUE_MAX: Money = Money(1_000_000_000_000_000);

/// What a client wants to have delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Sales channel.
    pub channel: Channel,
    /// Where it goes.
    pub delivery: Delivery,
    /// Nodes that may serve it; empty for all that can.
    pub nodes: Vec<NodeIx>,
    /// Most shipments; 0 for the policy's own limit.
    pub shipments_max: u16,
    /// Lines; at least one, ids unique. Two lines of one sku are fine.
    pub lines: Vec<OrderLine>,
    /// What the order is worth, for policies that ask; not below 0.
    pub value: Option<Money>,
    /// By when it should be delivered, or be ready to be picked up; the policy says what lateness costs.
    pub deliver_by_ms: Option<TimestampMs>,
    /// Lines that are a seller's; only nodes of the seller may serve them. Other lines may be served by any node. All lines of
    /// a sku are one seller's, or nobody's.
    pub sellers: Vec<SellerLines>,
    /// Lines of which a substitute may be sent where their sku cannot be had whole, and the policy has it so. None is of a kit.
    pub substitutable: Vec<LineId>,
    /// What is not in stock waits for supply that is expected at a node by this day, in days since 1970 by the node's clock;
    /// `None` to take from stock alone.
    pub supply_by: Option<u32>,
}

/// Lines of an order that a seller sells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerLines {
    /// The seller's code, as nodes have it.
    pub seller: String,
    /// The lines; each is of one seller.
    pub lines: Vec<LineId>,
}

/// How an order reaches the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Shipped to an address.
    Ship {
        /// Where the address is.
        position: Position,
        /// Its postal code, kept with the order; may be empty, at most 16 bytes.
        postal: String,
        /// Whether it is a home, for which carriers may ask more.
        home: bool,
    },
    /// Picked up at a node.
    Pickup {
        /// The node.
        node: NodeIx,
    },
    /// Shipped to a node, where the customer picks it up.
    ToStore {
        /// The node.
        node: NodeIx,
    },
}

/// One sku of an order. A line of a kit is served from where its components lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The client's id of the line.
    pub line: LineId,
    /// Sku.
    pub sku: SkuIx,
    /// Units, 1 to [`crate::ids::QUANTITY_MAX`].
    pub quantity: u32,
}

/// One step of a reservation, for all of it or for some lines and quantities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which reservation.
    pub reservation: CommandId,
    /// Which lines; empty for all that can take the step.
    pub lines: Vec<StepLine>,
    /// Move what can be moved where the full quantity cannot.
    pub best_effort: bool,
}

/// A part of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLine {
    /// The line.
    pub line: LineId,
    /// At this node alone; `None` for wherever the line is, in the order of the reservation's rows.
    pub node: Option<NodeIx>,
    /// Units; 0 for all.
    pub quantity: u32,
}

/// A new lifetime for what is still held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extend {
    /// Which reservation.
    pub reservation: CommandId,
    /// Lifetime in milliseconds, counted from the decision; 0 for the class's own.
    pub lifetime_ms: u32,
}

/// New quantities for lines, in place: a line keeps its nodes. More is taken from the cells it is on, in the
/// order of its rows; less is given back from the last row first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amend {
    /// Which reservation.
    pub reservation: CommandId,
    /// Lines with their new quantities.
    pub lines: Vec<AmendLine>,
    /// Raise as far as stock allows where the full quantity cannot be had.
    pub best_effort: bool,
}

/// A line's new quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmendLine {
    /// The line.
    pub line: LineId,
    /// Units held and confirmed together afterwards, of a kit's line kits; what is dispatched or later is not counted and not touched.
    pub quantity: u32,
}

/// A node cannot serve what was routed to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Which reservation.
    pub reservation: CommandId,
    /// The node that cannot.
    pub node: NodeIx,
    /// Which lines; empty for all it has and has not shipped. `StepLine::node` must be `None` or the same node.
    pub lines: Vec<StepLine>,
    /// What the node's stock really is.
    pub correction: Correction,
    /// Why, in the node's words; at most 200 bytes.
    pub reason: String,
    /// Route the lines again without this node. Where no other node can, the answer says so and the quantity
    /// is dropped from the reservation.
    pub reroute: bool,
}

/// How a rejecting node's stock is corrected, for each rejected cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Stock is right (the node is busy, closed, …): the quantity becomes available again.
    #[default]
    None,
    /// The rejected units are not there: on hand shrinks by them.
    Missing,
    /// The rejected units are damaged: unsellable grows by them.
    Unsellable,
    /// Nothing sellable is there: on hand shrinks until available is 0.
    Empty,
}

/// Orders that are confirmed and that no node works on yet, served from other nodes where that costs less together. They may
/// take each other's places. All of them move, or none does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The orders, each once.
    pub orders: Vec<MoveOrder>,
    /// They must cost at least so much less together; 1 micro, where that is more.
    pub saves: Money,
}

/// Where an order is served from now on: all of it is named, what stays where it is too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveOrder {
    /// Its reservation.
    pub reservation: CommandId,
    /// Where its units come from: of each line and sku as many as are confirmed.
    pub to: Vec<Placed>,
}

/// Units of a line that a node serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Placed {
    /// The line.
    pub line: LineId,
    /// Sku; of a line of a kit, one of its components.
    pub sku: SkuIx,
    /// The node. Which of its segments the order's channel says.
    pub node: NodeIx,
    /// Units, 1 to [`crate::ids::QUANTITY_MAX`].
    pub quantity: u32,
}

/// Counts of cells as of a time. The whole list is taken in one step, or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetStock {
    /// Who counted: counts of one source must not go back in time, per cell.
    pub source: u16,
    /// When it was counted; `None` for now. Movements since are added to the count.
    pub as_of: Option<TimestampMs>,
    /// The counts; a cell at most once.
    pub counts: Vec<StockCount>,
}

/// One cell's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCount {
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Units in the building, held, allocated and unsellable ones included; at most [`crate::ids::QUANTITY_MAX`].
    pub on_hand: u32,
    /// Units never promised; `None` leaves what is.
    pub safety: Option<u32>,
}

/// Signed corrections of on hand. The whole list is taken in one step, or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustStock {
    /// The corrections; a cell at most once.
    pub changes: Vec<StockChange>,
}

/// One cell's correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockChange {
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Added to on hand; not 0.
    pub delta: i32,
}

/// Returned goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restock {
    /// What came back, and where.
    pub cell: CellQuantity,
    /// What can be done with it.
    pub disposition: Disposition,
}

/// What can be done with returned goods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Can be sold again.
    #[default]
    Sellable,
    /// In the building, never to be promised.
    Unsellable,
}

/// Goods moved between nodes or segments. Only what is available can be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// What leaves, and from where.
    pub from: CellQuantity,
    /// Where it arrives.
    pub to_node: NodeIx,
    /// In which segment it arrives.
    pub to_segment: Segment,
}

/// Pause, resume or retire a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetNodeState {
    /// The node.
    pub node: NodeIx,
    /// Its state from now on. A retired node stays retired.
    pub state: NodeState,
}

/// A new policy. One with a mistake is refused, and the one in force stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPolicy {
    /// The policy as its author wrote it, in TOML.
    pub text: String,
}
