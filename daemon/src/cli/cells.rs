//! Cells as the command line names them, with a number each: looked up, and named again where one is refused.

use earmark_protocol::client::Client;
use earmark_protocol::command::CellQuantity;
use earmark_protocol::ids::{NodeIx, Segment, SkuIx};
use earmark_protocol::refusal::Refusal;

use super::codes::handles;
use super::outcome::Failure;
use super::text::CellText;

/// A cell by its handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// The sku.
    pub(super) sku: SkuIx,
    /// The node.
    pub(super) node: NodeIx,
    /// The segment of its stock.
    pub(super) segment: Segment,
}

impl Cell {
    /// So many units of it.
    #[must_use]
    pub(super) fn units(self, quantity: u32) -> CellQuantity {
        let Self { sku, node, segment } = self;
        CellQuantity { sku, node, segment, quantity }
    }
}

/// Looks up cells.
pub(super) async fn cells(client: &Client, texts: &[CellText]) -> Result<Vec<Cell>, Failure> {
    let skus: Vec<_> = texts.iter().map(|text| text.sku.as_str()).collect();
    let nodes: Vec<_> = texts.iter().map(|text| text.at.node.as_str()).collect();
    let (skus, nodes) = handles(client, &skus, &nodes).await?;
    let cells = skus.into_iter().zip(nodes).zip(texts);
    Ok(cells.map(|((sku, node), text)| Cell { sku, node, segment: text.at.segment }).collect())
}

/// Looks up one cell.
pub(super) async fn cell(client: &Client, text: &CellText) -> Result<Cell, Failure> {
    let cells = cells(client, std::slice::from_ref(text)).await?;
    cells.first().copied().ok_or_else(|| Failure::unexpected("looking up a cell"))
}

/// The number of each.
pub(super) fn numbers<T>(
    texts: &[CellText],
    reading: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Failure> {
    texts.iter().map(|text| number(text, &reading)).collect()
}

/// The number of one.
pub(super) fn number<T>(text: &CellText, reading: impl Fn(&str) -> Result<T, String>) -> Result<T, Failure> {
    let wrong = |reason: String| Failure::usage(format!("reading {}@{}: {reason}", text.sku, text.at.node));
    reading(&text.number).map_err(wrong)
}

/// What the user called the cell that a refusal speaks of.
pub(super) fn named(refusal: &Refusal, texts: &[CellText]) -> Option<String> {
    texts.get(refusal.index? as usize).map(|cell| format!("{}@{}", cell.sku, cell.at.node))
}
