//! What the daemon has, as it says itself: nodes, skus and the cells that hold stock. A load is put on what is there,
//! whoever put it there.

use std::sync::Arc;

use earmark_protocol::client::{Client, ClientError};
use earmark_protocol::ids::{NodeIx, Segment, SkuIx};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{CellView, Reply, SkuView};
use tokio::task::JoinSet;

use crate::error::Trouble;

/// Questions about cells that are under way at once: a sku may be at thousands of nodes, and a daemon sheds what asks for more
/// than it sends in time.
const QUESTIONS_MAX: usize = 64;
/// Codes of skus that loads bring along begin with this; they are few and sell out, so no other load is put on them.
pub(crate) const OWN: &str = "loadgen-";
const ASKING: &str = "asking the daemon what it has";

/// A cell that had stock when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) sku: SkuIx,
    pub(crate) node: NodeIx,
    pub(crate) segment: Segment,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) skus: Arc<[SkuIx]>,
    pub(crate) cells: Arc<[Cell]>,
}

impl World {
    /// Up to so many skus, and their cells with stock.
    pub(crate) async fn look(client: &Client, skus_max: usize) -> Result<Self, Trouble> {
        let skus: Arc<[SkuIx]> =
            skus(client, skus_max).await?.into_iter().filter(is_sold).map(|sku| sku.sku).collect();
        let mut cells = Vec::new();
        let mut asked = JoinSet::new();
        let mut left = skus.iter().copied();
        loop {
            while asked.len() < QUESTIONS_MAX
                && let Some(sku) = left.next()
            {
                let client = client.clone();
                asked.spawn(async move { (sku, cells_of(&client, sku).await) });
            }
            let Some(answer) = asked.join_next().await else { break };
            let (sku, views) = answer.map_err(|error| Trouble::Failed(format!("{ASKING}: {error}")))?;
            let stocked = views?.into_iter().filter(|cell| cell.on_hand > 0);
            cells.extend(stocked.map(|cell| Cell { sku, node: cell.node, segment: cell.segment }));
        }
        // In the order of handles, not of answers: what a seed draws is the same each time.
        cells.sort_unstable_by_key(|cell| (cell.sku, cell.node, cell.segment));
        if cells.is_empty() {
            let remedy = "load some with `earmark-loadgen generate` or `earmark import`";
            return Err(Trouble::Empty(format!("{ASKING}: it has no stock at all; {remedy}")));
        }
        Ok(Self { skus, cells: cells.into() })
    }
}

fn is_sold(sku: &SkuView) -> bool {
    !sku.retired && !sku.spec.code.starts_with(OWN)
}

/// Skus of the catalogue, retired ones too.
async fn skus(client: &Client, most: usize) -> Result<Vec<SkuView>, Trouble> {
    let mut skus: Vec<SkuView> = Vec::new();
    while skus.len() < most {
        let from = skus.last().map_or(SkuIx(0), |last| SkuIx(last.sku.0 + 1));
        match ask(client, Query::Skus { from }).await? {
            Reply::Skus(page) if page.is_empty() => break,
            Reply::Skus(page) => skus.extend(page),
            _ => return Err(Trouble::Unexpected { attempted: ASKING }),
        }
    }
    skus.truncate(most);
    Ok(skus)
}

/// Whole cells of a sku.
pub(crate) async fn cells_of(client: &Client, sku: SkuIx) -> Result<Vec<CellView>, Trouble> {
    match ask(client, Query::Cells(sku)).await? {
        Reply::Cells(cells) => Ok(cells),
        _ => Err(Trouble::Unexpected { attempted: ASKING }),
    }
}

async fn ask(client: &Client, query: Query) -> Result<Reply, Trouble> {
    answered(client.query(query).await, ASKING)
}

/// What a load needs must not be refused.
pub(crate) fn answered(reply: Result<Reply, ClientError>, attempted: &'static str) -> Result<Reply, Trouble> {
    match reply.map_err(Trouble::daemon(attempted))? {
        Reply::Refused(refused) => Err(Trouble::Refused { attempted, refusal: refused.refusal }),
        reply => Ok(reply),
    }
}

/// The daemon's counters and levels.
pub(crate) async fn stats(client: &Client) -> Result<Vec<(String, u64)>, Trouble> {
    match answered(client.query(Query::Stats).await, "asking for the daemon's counters")? {
        Reply::Stats(stats) => Ok(stats),
        _ => Err(Trouble::Unexpected { attempted: "asking for the daemon's counters" }),
    }
}
