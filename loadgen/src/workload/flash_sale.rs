//! A flash sale: one sku at one node, so many units and no more, and every buyer wants one. Plain holds of the cell, or
//! routed orders whose plans all meet in it.

use earmark_protocol::catalogue::SkuSpec;
use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, Delivery, Order, OrderLine, Reserve, SetStock, StockCount};
use earmark_protocol::frame::Message;
use earmark_protocol::geo::Position;
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::{Channel, HoldClass, LineId};
use earmark_protocol::query::{Query, Resolve};
use earmark_protocol::reply::Reply;
use earmark_protocol::wire_error::WireError;

use super::hold::hold_verdict;
use super::{Asked, Verdict, Workload, reply_verdict};
use crate::error::Trouble;
use crate::requests::Outgoing;
use crate::world::{Cell, answered, cells_of};

/// Among those of [`crate::world::OWN`].
const SKU: &str = "loadgen-flash-sale";
const PREPARING: &str = "preparing the flash sale";
/// Longer than the sale: what is held is sold.
const LIFETIME_MS: u32 = 3_600_000;

/// Puts the units on sale beside what is promised of the sku already.
pub(crate) async fn prepare(client: &Client, at: Cell, units: u32) -> Result<Cell, Trouble> {
    let spec = SkuSpec { code: SKU.to_owned(), weight_g: 500, ..SkuSpec::default() };
    answered(client.command(CommandBody::PutSkus(vec![spec])).await, PREPARING)?;
    let codes = Resolve { skus: vec![SKU.to_owned()], nodes: Vec::new() };
    let sku = match answered(client.query(Query::Resolve(codes)).await, PREPARING)? {
        Reply::Resolved(found) => found.skus.into_iter().flatten().next(),
        _ => None,
    };
    let cell = Cell { sku: sku.ok_or(Trouble::Unexpected { attempted: PREPARING })?, ..at };
    let promised = promised(client, cell).await?;
    let on_hand = units.saturating_add(u32::try_from(promised).unwrap_or(u32::MAX));
    let count = StockCount { sku: cell.sku, node: cell.node, segment: cell.segment, on_hand, safety: None };
    let body = CommandBody::SetStock(SetStock { source: 0, as_of: None, counts: vec![count] });
    answered(client.command(body).await, PREPARING)?;
    Ok(cell)
}

/// Units of the cell that are held or allocated.
pub(crate) async fn promised(client: &Client, cell: Cell) -> Result<u64, Trouble> {
    let views = cells_of(client, cell.sku).await?;
    let mut of_cell = views.iter().filter(|view| (view.node, view.segment) == (cell.node, cell.segment));
    Ok(of_cell.next().map_or(0, |view| u64::from(view.held) + u64::from(view.allocated)))
}

/// See the module.
#[derive(Debug)]
pub(crate) struct FlashSale {
    cell: Cell,
    is_routed: bool,
    /// Units that buyers were told they have.
    pub(crate) sold: u64,
}

impl FlashSale {
    pub(crate) fn new(cell: Cell, is_routed: bool) -> Self {
        Self { cell, is_routed, sold: 0 }
    }
}

impl Workload for FlashSale {
    type Ticket = ();

    const STEPS: &'static [&'static str] = &["buy"];

    fn begin(&mut self, out: &mut Outgoing<'_>) -> Asked<()> {
        let Cell { sku, node, segment } = self.cell;
        let id = out.new_id();
        if self.is_routed {
            let line = OrderLine { line: LineId(0), sku, quantity: 1 };
            let delivery =
                Delivery::Ship { position: Position::default(), postal: String::new(), home: false };
            let (nodes, lines) = (Vec::new(), vec![line]);
            let order = Order {
                channel: Channel(0),
                delivery,
                nodes,
                shipments_max: 0,
                value: None,
                deliver_by_ms: None,
                sellers: Vec::new(),
                substitutable: Vec::new(),
                supply_by: None,
                lines,
            };
            let (class, lifetime_ms) = (HoldClass(0), LIFETIME_MS);
            out.command(id, CommandBody::Reserve(Reserve { order, class, lifetime_ms, best_effort: false }));
        } else {
            let (quantity, lifetime_ms) = (1, LIFETIME_MS);
            out.hold_one(&HoldOne { id, sku, node, segment, quantity, lifetime_ms, ..HoldOne::default() });
        }
        Asked { step: 0, ticket: () }
    }

    fn answer(&mut self, (): (), answer: &Message<'_>) -> Result<Verdict, WireError> {
        let verdict = if self.is_routed { reply_verdict(answer)? } else { hold_verdict(answer)? };
        self.sold += u64::from(verdict == Verdict::Yes);
        Ok(verdict)
    }
}
