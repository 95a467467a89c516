//! `stock set`, `adjust`, `restock` and `transfer`.

use clap::{Args, Subcommand};
use earmark_protocol::command::{
    AdjustStock, CommandBody, Disposition, Restock, SetStock, StockChange, StockCount, Transfer,
};
use earmark_protocol::ids::TimestampMs;

use super::cells::{Cell, cell, cells, named, number, numbers};
use super::change::{Id, send};
use super::codes::node;
use super::connect::{Connection, Session};
use super::outcome::Outcome;
use super::text::{CellText, Place, moment};
use crate::data::field;

/// `earmark stock`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum StockCommand {
    /// Set counts of cells: all units in the building, held and allocated ones included
    Set(SetArgs),
    /// Correct cells by signed amounts
    Adjust(AdjustArgs),
    /// Take returned goods in
    Restock(RestockArgs),
    /// Move available goods to another node or segment
    Transfer(TransferArgs),
}

/// `earmark stock set`.
#[derive(Clone, Debug, Args)]
pub(super) struct SetArgs {
    /// Counts: SKU@NODE:COUNT or SKU@NODE/SEGMENT:COUNT
    #[arg(required = true, value_name = "CELL:COUNT")]
    cells: Vec<CellText>,
    /// Units of each of these cells that are never promised; without it, as it is
    #[arg(long, value_name = "UNITS", value_parser = field::count)]
    safety: Option<u32>,
    /// When it was counted, like 2026-11-27T08:30:00Z; without it, now. Movements since are added
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    as_of: Option<TimestampMs>,
    /// Who counted: counts of one source must not go back in time
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    source: u16,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark stock adjust`.
#[derive(Clone, Debug, Args)]
pub(super) struct AdjustArgs {
    /// Corrections: SKU@NODE:+3, SKU@NODE:-2
    #[arg(required = true, value_name = "CELL:DELTA")]
    cells: Vec<CellText>,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark stock restock`.
#[derive(Clone, Debug, Args)]
pub(super) struct RestockArgs {
    /// What came back, and where: SKU@NODE:QUANTITY
    #[arg(value_name = "CELL:QUANTITY")]
    cell: CellText,
    /// It cannot be sold again
    #[arg(long)]
    unsellable: bool,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// `earmark stock transfer`.
#[derive(Clone, Debug, Args)]
pub(super) struct TransferArgs {
    /// What leaves, and from where: SKU@NODE:QUANTITY
    #[arg(value_name = "CELL:QUANTITY")]
    cell: CellText,
    /// Where it arrives: NODE or NODE/SEGMENT
    #[arg(long, value_name = "PLACE")]
    to: Place,
    #[command(flatten)]
    id: Id,
    #[command(flatten)]
    connection: Connection,
}

/// Runs one of them.
pub(super) async fn run(command: &StockCommand, session: &Session) -> Outcome {
    match command {
        StockCommand::Set(args) => set(args, session).await,
        StockCommand::Adjust(args) => adjust(args, session).await,
        StockCommand::Restock(args) => restock(args, session).await,
        StockCommand::Transfer(args) => transfer(args, session).await,
    }
}

async fn set(args: &SetArgs, session: &Session) -> Outcome {
    let units = numbers(&args.cells, field::count)?;
    let client = session.connect(&args.connection).await?;
    let cells = cells(&client, &args.cells).await?;
    let counts = cells.into_iter().zip(units).map(|(Cell { sku, node, segment }, on_hand)| StockCount {
        sku,
        node,
        segment,
        on_hand,
        safety: args.safety,
    });
    let set = SetStock { source: args.source, as_of: args.as_of, counts: counts.collect() };
    let attempted = format!("setting {} counts", args.cells.len());
    send(&client, args.id, CommandBody::SetStock(set), &attempted, |refusal| named(refusal, &args.cells))
        .await
}

async fn adjust(args: &AdjustArgs, session: &Session) -> Outcome {
    let deltas = numbers(&args.cells, field::number::<i32>)?;
    let client = session.connect(&args.connection).await?;
    let cells = cells(&client, &args.cells).await?;
    let cells = cells.into_iter().zip(deltas);
    let changes = cells.map(|(Cell { sku, node, segment }, delta)| StockChange { sku, node, segment, delta });
    let adjust = AdjustStock { changes: changes.collect() };
    let attempted = format!("adjusting {} cells", args.cells.len());
    send(&client, args.id, CommandBody::AdjustStock(adjust), &attempted, |refusal| {
        named(refusal, &args.cells)
    })
    .await
}

async fn restock(args: &RestockArgs, session: &Session) -> Outcome {
    let quantity = number(&args.cell, field::quantity)?;
    let client = session.connect(&args.connection).await?;
    let cell = cell(&client, &args.cell).await?.units(quantity);
    let disposition = if args.unsellable { Disposition::Unsellable } else { Disposition::Sellable };
    let body = CommandBody::Restock(Restock { cell, disposition });
    let attempted = format!("restocking {} of {} at {}", quantity, args.cell.sku, args.cell.at.node);
    send(&client, args.id, body, &attempted, |_| None).await
}

async fn transfer(args: &TransferArgs, session: &Session) -> Outcome {
    let quantity = number(&args.cell, field::quantity)?;
    let client = session.connect(&args.connection).await?;
    let from = cell(&client, &args.cell).await?.units(quantity);
    let to_node = node(&client, &args.to.node).await?;
    let body = CommandBody::Transfer(Transfer { from, to_node, to_segment: args.to.segment });
    let (sku, node) = (&args.cell.sku, &args.cell.at.node);
    let attempted = format!("transferring {quantity} of {sku} from {node} to {}", args.to.node);
    send(&client, args.id, body, &attempted, |_| None).await
}
