//! `quote` and `reserve`: an order from the command line or from a file of orders; or a plain hold, where every line
//! names its cell.

use std::path::PathBuf;

use clap::Args;
use earmark_protocol::client::Client;
use earmark_protocol::command::{
    CellQuantity, CommandBody, Delivery, Hold, Order, OrderLine, Reserve, SellerLines,
};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, HoldClass, LineId, Money, TimestampMs};
use earmark_protocol::refusal::Refusal;

use super::alternatives::{Alternatives, alternatives, ask};
use super::ask::policies;
use super::change::{Id, send};
use super::codes::{Names, Unnamed, handles};
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::text::{LineText, SellerText, class, duration_ms, moment, position};
use super::words::{plan_json, plan_text, policy_text};
use crate::data::field::{day, money};
use crate::data::orders::{Destination, OrderData, sellers};
use crate::data::read_orders;
use crate::data::trouble::{BAD_ROWS_MAX, BadRows};

/// An order.
#[derive(Clone, Debug, Args)]
pub(super) struct OrderArgs {
    /// Lines: SKU or SKU:QUANTITY; they are numbered from 0
    #[arg(value_name = "SKU[:QUANTITY]")]
    lines: Vec<LineText>,
    /// Ship to this position
    #[arg(long, value_name = "LAT,LON", value_parser = position, conflicts_with = "pickup", allow_hyphen_values = true)]
    to: Option<Position>,
    /// Its postal code, kept with the order
    #[arg(long, value_name = "CODE", requires = "to", default_value = "")]
    postal: String,
    /// It is a home address, for which carriers may ask more
    #[arg(long, requires = "to")]
    home: bool,
    /// Pick up at this node
    #[arg(long, value_name = "NODE")]
    pickup: Option<String>,
    /// Ship to this node, where the customer picks it up
    #[arg(long, value_name = "NODE", conflicts_with_all = ["to", "pickup"])]
    to_store: Option<String>,
    /// Let this node serve it, and no others but those named; may be given often
    #[arg(long = "only", value_name = "NODE")]
    only: Vec<String>,
    /// Sales channel
    #[arg(long, default_value_t = 0, value_name = "NUMBER", conflicts_with = "from")]
    channel: u16,
    /// Most shipments; 0 for the daemon's own limit
    #[arg(long, default_value_t = 0, value_name = "N", conflicts_with = "from")]
    shipments_max: u16,
    /// What the order is worth, for policies that ask, like 64.50
    #[arg(long, value_name = "AMOUNT", value_parser = money, conflicts_with = "from")]
    value: Option<Money>,
    /// By when it should be delivered, or ready to be picked up; the policy says what lateness costs
    #[arg(long, value_name = "MOMENT", value_parser = moment, conflicts_with = "from")]
    deliver_by: Option<TimestampMs>,
    /// Only this seller's nodes may serve this line, like 0=acme; may be given often
    #[arg(long = "seller", value_name = "LINE=SELLER", conflicts_with = "from")]
    sellers: Vec<SellerText>,
    /// A substitute may be sent for this line where the policy has it so; may be given often
    #[arg(long, value_name = "LINE", conflicts_with = "from")]
    substitutable: Vec<u32>,
    /// What is not in stock waits for supply expected by this day, like 2026-11-27: at any node that may serve the order, or
    /// of the cells that lines name
    #[arg(long, value_name = "DATE", value_parser = day, conflicts_with = "from")]
    supply_by: Option<u32>,
    /// Take what there is, line by line, where all cannot be had
    #[arg(long)]
    best_effort: bool,
    /// Take the order from this file of orders, with all that the file says of it (see docs/data-files.md)
    #[arg(long, value_name = "FILE", requires = "order", conflicts_with_all = ["lines", "to", "pickup", "to_store"])]
    from: Option<PathBuf>,
    /// Which order of the file
    #[arg(long, value_name = "CODE", requires = "from")]
    order: Option<String>,
}

/// `earmark quote`.
#[derive(Clone, Debug, Args)]
pub(super) struct QuoteArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// Say which rules had a say, and what else there would be: in one shipment, without each node that ships, and from
    /// the nearest nodes that do not
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark reserve`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReserveArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// Hold class: cart, payment, bank_transfer, or its number in the daemon's configuration
    #[arg(long, default_value = "cart", value_parser = class)]
    class: HoldClass,
    /// How long to hold it, like 90s, 15m or 2h; without it, as long as the class says
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    lifetime: Option<u32>,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// Asks for a plan.
pub(super) async fn quote(args: &QuoteArgs, session: &Session) -> Outcome {
    let wanted = args.order.read()?;
    if wanted.lines.iter().any(|line| line.at.is_some()) {
        return Err(Failure::usage(
            "quoting: a line names its cell, so there is nothing to plan; leave @NODE away",
        ));
    }
    let client = session.connect(&args.connection).await?;
    let order = wanted.resolve(&client).await?;
    let attempted = wanted.attempted("quoting");
    let best_effort = args.order.best_effort;
    let plan = ask(&client, order.clone(), best_effort, &attempted)
        .await?
        .map_err(|refusal| Failure::refusal(&attempted, &refusal, wanted.named(&refusal).as_deref()))?;
    let others = if args.explain { alternatives(&client, &order, &plan, best_effort).await? } else { None };
    let mut unnamed = Unnamed::default();
    unnamed.plan(&plan);
    others.iter().for_each(|others| others.unnamed(&mut unnamed));
    let names = Names::of(&client, unnamed).await?;
    let mut text =
        format!("{attempted}: this could be had now; nothing is held\n{}", plan_text(&plan, &names));
    let mut json = serde_json::json!({ "plan": plan_json(&plan, &names) });
    if args.explain {
        let plans = std::iter::once(&plan).chain(others.iter().flat_map(Alternatives::plans));
        let obeyed = policies(&client, plans).await?;
        text += &policy_text(&plan, &obeyed);
        json["alternatives"] = others.as_ref().map_or(serde_json::Value::Null, |others| others.json(&names));
        text += &others.map(|others| others.text(&plan, &names, &obeyed)).unwrap_or_default();
    }
    Ok(Answer { text, json })
}

/// Reserves an order, or holds cells.
pub(super) async fn reserve(args: &ReserveArgs, session: &Session) -> Outcome {
    let wanted = args.order.read()?;
    let named = wanted.lines.iter().filter(|line| line.at.is_some()).count();
    let client = session.connect(&args.connection).await?;
    let (class, lifetime_ms, best_effort) =
        (args.class, args.lifetime.unwrap_or_default(), args.order.best_effort);
    let (attempted, body) = if named == 0 {
        let order = wanted.resolve(&client).await?;
        let body = CommandBody::Reserve(Reserve { order, class, lifetime_ms, best_effort });
        (wanted.attempted("reserving"), body)
    } else {
        let cells = wanted.cells(&client).await?;
        let supply_by = wanted.supply_by;
        let body = CommandBody::Hold(Hold { cells, class, lifetime_ms, best_effort, supply_by });
        (wanted.attempted("holding"), body)
    };
    send(&client, args.id, body, &attempted, |refusal| wanted.named(refusal)).await
}

/// What was asked for, by codes.
struct Wanted {
    lines: Vec<LineText>,
    /// The lines' numbers.
    numbers: Vec<LineId>,
    destination: Option<Destination>,
    only: Vec<String>,
    channel: Channel,
    shipments_max: u16,
    value: Option<Money>,
    deliver_by: Option<TimestampMs>,
    /// Which lines are a seller's.
    sellers: Vec<SellerLines>,
    /// For which substitutes may be sent.
    substitutable: Vec<LineId>,
    /// By when what is not in stock has to come.
    supply_by: Option<u32>,
}

impl OrderArgs {
    fn read(&self) -> Result<Wanted, Failure> {
        if let (Some(file), Some(code)) = (&self.from, &self.order) {
            let mut bad = BadRows::new(BAD_ROWS_MAX);
            let orders = read_orders(file, &mut bad);
            if !bad.is_empty() {
                return Err(Failure::bad_rows("reading the order", &bad));
            }
            let found = orders.rows.into_iter().map(|row| row.value).find(|order| order.code == *code);
            return found.map(|order| self.of_file(order)).ok_or_else(|| {
                Failure::usage(format!("reading the order: {} holds no order {code:?}", file.display()))
            });
        }
        let wanted = Wanted {
            numbers: (0..self.lines.len() as u32).map(LineId).collect(),
            lines: self.lines.clone(),
            destination: match (&self.pickup, &self.to_store, self.to) {
                (Some(node), ..) => Some(Destination::Pickup(node.clone())),
                (None, Some(node), _) => Some(Destination::ToStore(node.clone())),
                (None, None, Some(position)) => {
                    Some(Destination::Ship { position, postal: self.postal.clone(), home: self.home })
                }
                (None, None, None) => None,
            },
            only: self.only.clone(),
            channel: Channel(self.channel),
            shipments_max: self.shipments_max,
            value: self.value,
            deliver_by: self.deliver_by,
            supply_by: self.supply_by,
            substitutable: self.substitutable.iter().copied().map(LineId).collect(),
            sellers: sellers(self.sellers.iter().map(|text| (text.line, text.seller.as_str()))),
        };
        wanted.check()?;
        Ok(wanted)
    }

    fn of_file(&self, order: OrderData) -> Wanted {
        let line = |sku, quantity| LineText { sku, at: None, quantity };
        Wanted {
            substitutable: order.substitutable(),
            sellers: sellers(order.lines.iter().map(|line| (line.line, line.seller.as_str()))),
            numbers: order.lines.iter().map(|line| line.line).collect(),
            lines: order.lines.into_iter().map(|from| line(from.sku, from.quantity)).collect(),
            destination: Some(order.destination),
            only: self.only.clone(),
            channel: order.channel,
            shipments_max: order.shipments_max,
            value: order.value,
            deliver_by: order.deliver_by,
            supply_by: order.supply_by,
        }
    }
}

impl Wanted {
    fn check(&self) -> Result<(), Failure> {
        let named = self.lines.iter().filter(|line| line.at.is_some()).count();
        let wrong = if self.lines.is_empty() {
            "there are no lines; give at least one as SKU:QUANTITY, or an order of a file with --from and --order"
        } else if named > 0 && named < self.lines.len() {
            "some lines name their cell and some do not; give all of them @NODE, or none"
        } else if named > 0 && (self.destination.is_some() || !self.only.is_empty()) {
            "lines that name their cell are held there; leave --to, --pickup, --to-store and --only away"
        } else if named > 0 && !self.sellers.is_empty() {
            "lines that name their cell are held there, whoever sells them; leave --seller away"
        } else if named > 0 && !self.substitutable.is_empty() {
            "lines that name their cell are held there and have no substitutes; leave --substitutable away"
        } else if named == 0 && self.destination.is_none() {
            "the order goes nowhere; give --to LAT,LON, --pickup NODE or --to-store NODE, or name the cell of each line with @NODE"
        } else {
            return Ok(());
        };
        Err(Failure::usage(format!("reading the order: {wrong}")))
    }

    fn attempted(&self, verb: &str) -> String {
        let lines = self.lines.len();
        format!("{verb} {lines} {}", if lines == 1 { "line" } else { "lines" })
    }

    /// What the user called the line that a refusal speaks of.
    fn named(&self, refusal: &Refusal) -> Option<String> {
        self.lines.get(refusal.index? as usize).map(|line| line.sku.clone())
    }

    async fn resolve(&self, client: &Client) -> Result<Order, Failure> {
        let skus: Vec<_> = self.lines.iter().map(|line| line.sku.as_str()).collect();
        let mut nodes: Vec<_> = self.only.iter().map(String::as_str).collect();
        if let Some(Destination::Pickup(node) | Destination::ToStore(node)) = &self.destination {
            nodes.push(node);
        }
        let (skus, mut nodes) = handles(client, &skus, &nodes).await?;
        let delivery = match &self.destination {
            Some(Destination::Ship { position, postal, home }) => {
                Delivery::Ship { position: *position, postal: postal.clone(), home: *home }
            }
            met => {
                let node = nodes.pop().ok_or_else(|| Failure::unexpected("looking up a node"))?;
                let is_shipped = matches!(met, Some(Destination::ToStore(_)));
                if is_shipped { Delivery::ToStore { node } } else { Delivery::Pickup { node } }
            }
        };
        let lines = skus.into_iter().zip(&self.numbers).zip(&self.lines);
        let lines =
            lines.map(|((sku, &line), text)| OrderLine { line, sku, quantity: text.quantity }).collect();
        let (channel, shipments_max, value) = (self.channel, self.shipments_max, self.value);
        let deliver_by_ms = self.deliver_by;
        let (sellers, substitutable) = (self.sellers.clone(), self.substitutable.clone());
        Ok(Order {
            channel,
            delivery,
            nodes,
            shipments_max,
            lines,
            value,
            deliver_by_ms,
            sellers,
            substitutable,
            supply_by: self.supply_by,
        })
    }

    async fn cells(&self, client: &Client) -> Result<Vec<CellQuantity>, Failure> {
        let skus: Vec<_> = self.lines.iter().map(|line| line.sku.as_str()).collect();
        let places: Vec<_> = self.lines.iter().filter_map(|line| line.at.as_ref()).collect();
        let nodes: Vec<_> = places.iter().map(|place| place.node.as_str()).collect();
        let (skus, nodes) = handles(client, &skus, &nodes).await?;
        let cells = skus.into_iter().zip(nodes).zip(places).zip(&self.lines);
        Ok(cells
            .map(|(((sku, node), place), line)| CellQuantity {
                sku,
                node,
                segment: place.segment,
                quantity: line.quantity,
            })
            .collect())
    }
}
