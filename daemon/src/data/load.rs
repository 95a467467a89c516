//! Sends catalogue and stock to a daemon, in batches it takes. What is sent was read and checked before; a refusal
//! stops the rest and says what had been sent by then.

use std::collections::{HashMap, HashSet};

use earmark_protocol::catalogue::{CalendarSpec, NodeSpec, SkuSpec};
use earmark_protocol::client::{Client, ClientError};
use earmark_protocol::codec;
use earmark_protocol::command::{CommandBody, SetStock, StockCount};
use earmark_protocol::ids::{NodeIx, SkuIx};
use earmark_protocol::query::{Query, Resolve};
use earmark_protocol::refusal::Refusal;
use earmark_protocol::reply::Reply;
use earmark_protocol::supply::SupplySpec;
use earmark_protocol::tariff::PutTariffs;
use serde::Serialize;

use super::DataSet;
use super::kits::Kit;
use super::stock::Count;
use super::substitutes::Substitutes;
use super::supplies::SupplyRow;
use super::trouble::BadRows;

/// Nodes, skus or codes in one message: with codes and groups of 64 bytes they stay well below a frame.
const SPECS_PER_BATCH: usize = 2_000;
/// Calendars in one message: with all the dates one can have they stay below the smallest frame.
const CALENDARS_PER_BATCH: usize = 8;
/// Kits in one message: with all the components one can have they stay below the smallest frame.
const KITS_PER_BATCH: usize = 128;
/// Counts in one message, if the daemon takes lists that long.
const COUNTS_PER_BATCH: usize = 4_000;

/// Why not all was sent.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The daemon could not be asked.
    #[error("sending {what}: {cause}")]
    Client {
        /// What was being sent.
        what: &'static str,
        /// What stood in the way.
        cause: ClientError,
    },
    /// The daemon said no.
    #[error(
        "sending {what}: refused, {refusal} {sent} had been taken before; correct the cause and import again"
    )]
    Refused {
        /// What was being sent.
        what: &'static str,
        /// Why.
        refusal: Refusal,
        /// How many of them were taken before.
        sent: usize,
    },
    /// Codes that neither the files nor the daemon know.
    #[error("looking up codes: the daemon knows some of them not; nothing was sent\n{0}")]
    UnknownCodes(BadRows),
    /// The daemon answered with something that is no answer to this.
    #[error("sending {what}: the daemon's answer is of another kind; use client and daemon of one version")]
    Unexpected {
        /// What was being sent.
        what: &'static str,
    },
}

/// How much was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Loaded {
    /// Calendars.
    pub calendars: usize,
    /// Nodes.
    pub nodes: usize,
    /// Skus.
    pub skus: usize,
    /// Kits.
    pub kits: usize,
    /// Skus that others may stand for.
    pub substitutes: usize,
    /// Rates of currencies.
    pub rates: usize,
    /// Pairs in charts of zones.
    pub zones: usize,
    /// Services of carriers.
    pub services: usize,
    /// Counts of cells.
    pub cells: usize,
    /// Units they add up to.
    pub units: u64,
    /// What supplies bring to cells.
    pub supplies: usize,
}

/// Sends all that a directory says. `progress` is told how many rows were sent.
pub async fn load(client: &Client, data: &DataSet, progress: impl Fn(u64)) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    unknown_codes(client, data).await?;
    if let Some(file) = &data.calendars {
        let specs: Vec<_> = file.rows.iter().map(|row| row.value.clone()).collect();
        put_calendars(client, &specs).await?;
        loaded.calendars = specs.len();
        progress(specs.len() as u64);
    }
    if let Some(file) = &data.nodes {
        let specs: Vec<_> = file.rows.iter().map(|row| row.value.clone()).collect();
        put_nodes(client, &specs).await?;
        loaded.nodes = specs.len();
        progress(specs.len() as u64);
    }
    if let Some(file) = &data.skus {
        let specs: Vec<_> = file.rows.iter().map(|row| row.value.clone()).collect();
        put_skus(client, &specs, &progress).await?;
        loaded.skus = specs.len();
    }
    if let Some(file) = &data.kits {
        let kits: Vec<_> = file.rows.iter().map(|row| &row.value).collect();
        put_kits(client, &kits, &progress).await?;
        loaded.kits = kits.len();
    }
    if let Some(file) = &data.substitutes {
        let rows: Vec<_> = file.rows.iter().map(|row| &row.value).collect();
        put_substitutes(client, &rows, &progress).await?;
        loaded.substitutes = rows.len();
    }
    if let Some(tariffs) = &data.tariffs {
        put_tariffs(client, tariffs).await?;
        loaded.rates = tariffs.rates.len();
        loaded.zones = tariffs.charts.iter().map(|row| row.zones.len()).sum();
        loaded.services = tariffs.services.len();
    }
    if let Some(file) = &data.stock {
        let rows: Vec<_> = file.rows.iter().map(|row| &row.value).collect();
        let counts = counts(client, &rows).await?;
        set_stock(client, &counts, &progress).await?;
        loaded.cells = counts.len();
        loaded.units = counts.iter().map(|count| u64::from(count.on_hand)).sum();
    }
    if let Some(file) = &data.supplies {
        let rows: Vec<_> = file.rows.iter().map(|row| &row.value).collect();
        put_supplies(client, &rows, &progress).await?;
        loaded.supplies = rows.len();
    }
    Ok(loaded)
}

/// Kits, substitutes, stock and supplies alone may name what the directory does not define: that is looked up before anything is sent.
async fn unknown_codes(client: &Client, data: &DataSet) -> Result<(), LoadError> {
    if data.nodes.is_some() && data.skus.is_some() {
        return Ok(());
    }
    let stock = data.stock.iter().flat_map(|file| {
        file.rows.iter().map(|row| (&file.name, row.line, &*row.value.sku, Some(&*row.value.node)))
    });
    let supplies = data.supplies.iter().flat_map(|file| {
        file.rows.iter().map(|row| (&file.name, row.line, &*row.value.sku, Some(&*row.value.node)))
    });
    let kits = data.kits.iter().flat_map(|file| {
        let own = file.rows.iter().map(|row| (row.line, &row.value.code));
        let parts =
            file.rows.iter().flat_map(|row| &row.value.parts).map(|part| (part.line, &part.value.sku));
        own.chain(parts).map(|(line, sku)| (&file.name, line, sku.as_str(), None))
    });
    let substitutes = data.substitutes.iter().flat_map(|file| {
        let own = file.rows.iter().map(|row| (row.line, &row.value.code));
        let by = file.rows.iter().flat_map(|row| &row.value.by).map(|by| (by.line, &by.value));
        own.chain(by).map(|(line, sku)| (&file.name, line, sku.as_str(), None))
    });
    let kits = kits.chain(substitutes);
    let rows: Vec<(&String, u64, &str, Option<&str>)> = kits.chain(stock).chain(supplies).collect();
    let mut bad = BadRows::new(super::trouble::BAD_ROWS_MAX);
    let skus = if data.skus.is_none() { codes(rows.iter().map(|row| row.2)) } else { Vec::new() };
    let nodes = if data.nodes.is_none() { codes(rows.iter().filter_map(|row| row.3)) } else { Vec::new() };
    let (known_skus, known_nodes) = resolve(client, &skus, &nodes).await?;
    let (unknown_skus, unknown_nodes) = (unknown(&skus, &known_skus), unknown(&nodes, &known_nodes));
    for (file, line, sku, node) in rows {
        for (column, code, unknown) in [("sku", Some(sku), &unknown_skus), ("node", node, &unknown_nodes)] {
            if let Some(code) = code.filter(|code| unknown.contains(code)) {
                bad.push(file, line, column, format!("the daemon knows no {column} {code:?}"));
            }
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(LoadError::UnknownCodes(bad)) }
}

/// Puts calendars into the catalogue.
pub async fn put_calendars(client: &Client, calendars: &[CalendarSpec]) -> Result<(), LoadError> {
    for (batch, sent) in batches(calendars, room(client, CALENDARS_PER_BATCH)) {
        command(client, CommandBody::PutCalendars(batch.to_vec()), "calendars", sent).await?;
    }
    Ok(())
}

/// Puts nodes into the catalogue.
pub async fn put_nodes(client: &Client, nodes: &[NodeSpec]) -> Result<(), LoadError> {
    for (batch, sent) in batches(nodes, room(client, SPECS_PER_BATCH)) {
        command(client, CommandBody::PutNodes(batch.to_vec()), "nodes", sent).await?;
    }
    Ok(())
}

/// Puts skus into the catalogue.
pub async fn put_skus(client: &Client, skus: &[SkuSpec], progress: impl Fn(u64)) -> Result<(), LoadError> {
    for (batch, sent) in batches(skus, room(client, SPECS_PER_BATCH)) {
        command(client, CommandBody::PutSkus(batch.to_vec()), "skus", sent).await?;
        progress(batch.len() as u64);
    }
    Ok(())
}

/// Puts tariffs, at once where they fit into one command. Else rates and charts go first, since services need them.
pub async fn put_tariffs(client: &Client, put: &PutTariffs) -> Result<(), LoadError> {
    let what = "tariffs";
    let Room { len: lines_max, bytes: bytes_max } = room(client, usize::MAX);
    let count = |put: &PutTariffs| put.rates.len() + put.charts.len() + put.services.len();
    if count(put) <= lines_max && bytes(put) <= bytes_max {
        return command(client, CommandBody::PutTariffs(put.clone()), what, 0).await;
    }
    let rates =
        put.rates.iter().map(|rate| PutTariffs { rates: vec![rate.clone()], ..PutTariffs::default() });
    let rows = put.charts.iter().map(|row| PutTariffs { charts: vec![row.clone()], ..PutTariffs::default() });
    let services =
        put.services.iter().map(|spec| PutTariffs { services: vec![spec.clone()], ..PutTariffs::default() });
    let (mut batch, mut batch_bytes, mut sent) = (PutTariffs::default(), 0, 0);
    for piece in rates.chain(rows).chain(services) {
        let piece_bytes = bytes(&piece);
        if count(&batch) == lines_max || count(&batch) > 0 && batch_bytes + piece_bytes > bytes_max {
            let full = std::mem::take(&mut batch);
            let taken = count(&full);
            command(client, CommandBody::PutTariffs(full), what, sent).await?;
            (batch_bytes, sent) = (0, sent + taken);
        }
        batch.rates.extend(piece.rates);
        batch.charts.extend(piece.charts);
        batch.services.extend(piece.services);
        batch_bytes += piece_bytes;
    }
    command(client, CommandBody::PutTariffs(batch), what, sent).await
}

/// Sets counts, taken now. They should be sorted by sku: the cells of one then reach the daemon together.
pub async fn set_stock(
    client: &Client,
    counts: &[StockCount],
    progress: impl Fn(u64),
) -> Result<(), LoadError> {
    let Room { len, bytes: bytes_max } = room(client, COUNTS_PER_BATCH);
    let largest = counts.iter().map(bytes).max().unwrap_or(1);
    let len = len.min(bytes_max / largest).max(1);
    let mut sent = 0;
    while sent < counts.len() {
        let batch = &counts[sent..sent + whole_skus(&counts[sent..], len)];
        let body = SetStock { source: 0, as_of: None, counts: batch.to_vec() };
        command(client, CommandBody::SetStock(body), "stock", sent).await?;
        sent += batch.len();
        progress(batch.len() as u64);
    }
    Ok(())
}

/// Asks for the handles of codes.
pub async fn resolve(
    client: &Client,
    skus: &[&str],
    nodes: &[&str],
) -> Result<(Vec<Option<SkuIx>>, Vec<Option<NodeIx>>), LoadError> {
    let (mut sku_handles, mut node_handles) = (Vec::new(), Vec::new());
    let what = "codes";
    let owned = |codes: &[&str]| codes.iter().map(|&code| code.to_owned()).collect();
    let room = room(client, SPECS_PER_BATCH);
    let questions = batches(skus, room)
        .map(|(batch, _)| Resolve { skus: owned(batch), nodes: Vec::new() })
        .chain(batches(nodes, room).map(|(batch, _)| Resolve { skus: Vec::new(), nodes: owned(batch) }));
    for question in questions {
        let asked = (question.skus.len(), question.nodes.len());
        let reply = client.query(Query::Resolve(question)).await;
        match reply.map_err(|cause| LoadError::Client { what, cause })? {
            Reply::Resolved(found) if (found.skus.len(), found.nodes.len()) == asked => {
                sku_handles.extend(found.skus);
                node_handles.extend(found.nodes);
            }
            Reply::Refused(refused) => {
                return Err(LoadError::Refused { what, refusal: refused.refusal, sent: 0 });
            }
            _ => return Err(LoadError::Unexpected { what }),
        }
    }
    Ok((sku_handles, node_handles))
}

async fn command(
    client: &Client,
    body: CommandBody,
    what: &'static str,
    sent: usize,
) -> Result<(), LoadError> {
    match client.command(body).await.map_err(|cause| LoadError::Client { what, cause })? {
        Reply::Done(_) => Ok(()),
        Reply::Refused(refused) => Err(LoadError::Refused { what, refusal: refused.refusal, sent }),
        _ => Err(LoadError::Unexpected { what }),
    }
}

/// The counts by handles, still in the order of the rows.
async fn counts(client: &Client, rows: &[&Count]) -> Result<Vec<StockCount>, LoadError> {
    let handles = Handles::of(client, rows.iter().map(|row| (&*row.sku, &*row.node))).await?;
    let count = |row: &&Count| {
        let (sku, node) = handles.cell(&row.sku, &row.node)?;
        Some(StockCount { sku, node, segment: row.segment, on_hand: row.on_hand, safety: row.safety })
    };
    // All codes were put or looked up just before; one that is gone again is the daemon's inconsistency.
    rows.iter().map(count).collect::<Option<Vec<_>>>().ok_or(LoadError::Unexpected { what: "stock" })
}

/// Puts what is on its way to cells.
async fn put_supplies(client: &Client, rows: &[&SupplyRow], progress: impl Fn(u64)) -> Result<(), LoadError> {
    let what = "supplies";
    let handles = Handles::of(client, rows.iter().map(|row| (&*row.sku, &*row.node))).await?;
    let spec = |row: &&SupplyRow| {
        let (sku, node) = handles.cell(&row.sku, &row.node)?;
        let SupplyRow { supply, segment, quantity, day, .. } = *row;
        Some(SupplySpec {
            code: supply.clone(),
            sku,
            node,
            segment: *segment,
            quantity: *quantity,
            day: *day,
        })
    };
    let specs = rows.iter().map(spec).collect::<Option<Vec<_>>>().ok_or(LoadError::Unexpected { what })?;
    for (batch, sent) in batches(&specs, room(client, SPECS_PER_BATCH)) {
        command(client, CommandBody::PutSupplies(batch.to_vec()), what, sent).await?;
        progress(batch.len() as u64);
    }
    Ok(())
}

/// Puts what kits are put together of.
async fn put_kits(client: &Client, kits: &[&Kit], progress: impl Fn(u64)) -> Result<(), LoadError> {
    let what = "kits";
    let skus = codes(kits.iter().flat_map(|kit| {
        std::iter::once(kit.code.as_str()).chain(kit.parts.iter().map(|part| part.value.sku.as_str()))
    }));
    let (handles, _) = resolve(client, &skus, &[]).await?;
    let handles: HashMap<&str, Option<SkuIx>> = skus.into_iter().zip(handles).collect();
    let specs = kits.iter().map(|kit| kit.spec(|sku| handles.get(sku).copied().flatten()));
    let specs = specs.collect::<Option<Vec<_>>>().ok_or(LoadError::Unexpected { what })?;
    for (batch, sent) in batches(&specs, room(client, KITS_PER_BATCH)) {
        command(client, CommandBody::PutKits(batch.to_vec()), what, sent).await?;
        progress(batch.len() as u64);
    }
    Ok(())
}

/// Puts what may stand for skus.
async fn put_substitutes(
    client: &Client,
    rows: &[&Substitutes],
    progress: impl Fn(u64),
) -> Result<(), LoadError> {
    let what = "substitutes";
    let skus =
        codes(rows.iter().flat_map(|row| {
            std::iter::once(row.code.as_str()).chain(row.by.iter().map(|by| by.value.as_str()))
        }));
    let (handles, _) = resolve(client, &skus, &[]).await?;
    let handles: HashMap<&str, Option<SkuIx>> = skus.into_iter().zip(handles).collect();
    let specs = rows.iter().map(|row| row.spec(|sku| handles.get(sku).copied().flatten()));
    let specs = specs.collect::<Option<Vec<_>>>().ok_or(LoadError::Unexpected { what })?;
    for (batch, sent) in batches(&specs, room(client, SPECS_PER_BATCH)) {
        command(client, CommandBody::PutSubstitutes(batch.to_vec()), what, sent).await?;
        progress(batch.len() as u64);
    }
    Ok(())
}

/// Handles of codes.
struct Handles<'a> {
    skus: HashMap<&'a str, Option<SkuIx>>,
    nodes: HashMap<&'a str, Option<NodeIx>>,
}

impl<'a> Handles<'a> {
    /// Those of the skus and nodes of these cells.
    async fn of(
        client: &Client,
        cells: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<Self, LoadError> {
        let (skus, nodes) = (codes(cells.clone().map(|(sku, _)| sku)), codes(cells.map(|(_, node)| node)));
        let (sku_handles, node_handles) = resolve(client, &skus, &nodes).await?;
        Ok(Self {
            skus: skus.into_iter().zip(sku_handles).collect(),
            nodes: nodes.into_iter().zip(node_handles).collect(),
        })
    }

    fn cell(&self, sku: &str, node: &str) -> Option<(SkuIx, NodeIx)> {
        self.skus.get(sku).copied().flatten().zip(self.nodes.get(node).copied().flatten())
    }
}

/// Each code once, in order.
fn codes<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut codes: Vec<_> = all.collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn unknown<'a, T>(codes: &[&'a str], handles: &[Option<T>]) -> HashSet<&'a str> {
    codes.iter().zip(handles).filter(|(_, handle)| handle.is_none()).map(|(&code, _)| code).collect()
}

/// How much of a list one command takes.
#[derive(Clone, Copy, Debug)]
struct Room {
    len: usize,
    /// Of its elements, as they are sent.
    bytes: usize,
}

/// How much one command of this daemon takes, at most so many. Half a frame is left for all that is no element.
fn room(client: &Client, wanted: usize) -> Room {
    let limits = client.hello().limits;
    Room { len: wanted.min(limits.lines_max as usize).max(1), bytes: limits.frame_bytes_max as usize / 2 }
}

/// How many bytes something takes as it is sent.
fn bytes<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes);
    bytes.len()
}

/// Slices that one command takes, each with how many stand before it. What is too large by itself goes alone.
fn batches<T: Serialize>(all: &[T], room: Room) -> impl Iterator<Item = (&[T], usize)> {
    let mut before = 0;
    std::iter::from_fn(move || {
        let (at, left) = (before, all.get(before..).filter(|left| !left.is_empty())?);
        let mut taken = 0;
        let fits = |value: &&T| {
            taken += bytes(*value);
            taken <= room.bytes
        };
        let len = left.iter().take(room.len).take_while(fits).count().max(1);
        before += len;
        Some((&left[..len], at))
    })
}

/// How many of these counts go into the next batch: at most `len`, ending where a sku ends if one does.
fn whole_skus(counts: &[StockCount], len: usize) -> usize {
    if counts.len() <= len {
        return counts.len();
    }
    let cut = counts[len].sku;
    let start_of_cut = counts[..len].iter().rposition(|count| count.sku != cut);
    start_of_cut.map_or(len, |place| place + 1)
}

#[cfg(test)]
mod tests {
    use earmark_protocol::ids::Segment;

    use super::*;

    #[test]
    fn batches_have_as_many_and_as_many_bytes_as_one_command_takes() {
        let lengths = |all: &[&str], len, bytes| -> Vec<(usize, usize)> {
            batches(all, Room { len, bytes }).map(|(batch, before)| (batch.len(), before)).collect()
        };
        let all = ["a", "b", "c", "d", "e"];
        assert_eq!(lengths(&all, 2, 1_000), [(2, 0), (2, 2), (1, 4)]);
        let each = bytes("a");
        assert_eq!(lengths(&all, 5, 3 * each), [(3, 0), (2, 3)]);
        assert_eq!(
            lengths(&all, 5, 1),
            [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)],
            "what is too large goes alone"
        );
        assert_eq!(lengths(&[], 5, 100), []);
    }

    #[test]
    fn batches_end_where_a_sku_ends_unless_one_sku_fills_them() {
        let counts: Vec<_> = [0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3]
            .map(|sku| StockCount {
                sku: SkuIx(sku),
                node: NodeIx(0),
                segment: Segment(0),
                on_hand: 1,
                safety: None,
            })
            .into();
        let mut lengths = Vec::new();
        let mut sent = 0;
        while sent < counts.len() {
            let len = whole_skus(&counts[sent..], 4);
            lengths.push(len);
            sent += len;
        }
        assert_eq!(lengths, [2, 3, 4, 2]);
    }
}
