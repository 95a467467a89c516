//! Writes data files, as they are read: what this room writes, [`read_dir`](super::read_dir) reads back the same.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use earmark_protocol::catalogue::{NodeSpec, SkuSpec};
use earmark_protocol::geo::Position;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::field::{bit_names, day_text, kind_name, moment_text, money_text};
use super::orders::{Destination, OrderData};
use super::stock::Count;
use super::table::Column;
use super::{nodes, orders, skus, stock};

/// Writes nodes, skus, stock and orders into a directory, gzipped; it is made where it is not there.
///
/// # Errors
/// Where a file cannot be made or written.
pub fn write(
    dir: &Path,
    nodes: &[NodeSpec],
    skus: &[SkuSpec],
    counts: &[Count],
    orders: &[OrderData],
) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    rows(dir, "nodes", nodes::COLUMNS, nodes, Rows::node)?;
    rows(dir, "skus", skus::COLUMNS, skus, Rows::sku)?;
    rows(dir, "stock", stock::COLUMNS, counts, Rows::count)?;
    rows(dir, "orders", orders::COLUMNS, orders, Rows::order)
}

fn rows<T>(
    dir: &Path,
    name: &str,
    columns: &'static [Column],
    all: &[T],
    one: impl FnMut(&mut Rows, &T) -> io::Result<()>,
) -> io::Result<()> {
    let (mut rows, mut one) = (Rows::create(dir, name, columns)?, one);
    all.iter().try_for_each(|row| one(&mut rows, row))?;
    rows.finish()
}

/// A file that is being written.
struct Rows {
    columns: &'static [Column],
    csv: csv::Writer<GzEncoder<BufWriter<File>>>,
}

impl Rows {
    fn create(dir: &Path, name: &str, columns: &'static [Column]) -> io::Result<Self> {
        let file = BufWriter::new(File::create(dir.join(format!("{name}.csv.gz")))?);
        let mut csv = csv::Writer::from_writer(GzEncoder::new(file, Compression::fast()));
        csv.write_record(columns.iter().map(|column| column.name))?;
        Ok(Self { columns, csv })
    }

    /// Writes a row of these fields; columns that are not named stay empty.
    fn row<const N: usize>(&mut self, fields: [(&str, String); N]) -> io::Result<()> {
        let of = |column: &Column| {
            fields.iter().find(|(name, _)| *name == column.name).map_or("", |(_, text)| text.as_str())
        };
        self.csv.write_record(self.columns.iter().map(of))?;
        Ok(())
    }

    fn node(&mut self, node: &NodeSpec) -> io::Result<()> {
        self.row([
            ("code", node.code.clone()),
            ("kind", kind_name(node.kind).to_owned()),
            ("lat", lat(node.position)),
            ("lon", lon(node.position)),
            ("time_zone", node.time_zone.clone()),
            ("group", node.group.clone()),
            ("priority", node.priority.to_string()),
            ("capabilities", bit_names(node.capabilities)),
            ("cost_per_order", money_text(node.cost_per_order)),
            ("cost_per_line", money_text(node.cost_per_line)),
            ("cost_per_unit", money_text(node.cost_per_unit)),
            ("calendar", node.calendar.clone()),
            ("postal", node.postal.clone()),
            ("orders_per_day", limit(node.day_limit.orders.into())),
            ("lines_per_day", limit(node.day_limit.lines.into())),
            ("units_per_day", limit(node.day_limit.units)),
            ("seller", node.seller.clone()),
        ])
    }

    fn sku(&mut self, sku: &SkuSpec) -> io::Result<()> {
        // Zeros are a size that is not known.
        let [length, width, height] =
            sku.size_mm.map(|mm| if mm > 0 { mm.to_string() } else { String::new() });
        self.row([
            ("code", sku.code.clone()),
            ("weight_g", sku.weight_g.to_string()),
            ("flags", bit_names(sku.flags)),
            ("group", sku.group.clone()),
            ("length_mm", length),
            ("width_mm", width),
            ("height_mm", height),
        ])
    }

    fn count(&mut self, count: &Count) -> io::Result<()> {
        self.row([
            ("sku", count.sku.to_string()),
            ("node", count.node.to_string()),
            ("segment", count.segment.to_string()),
            ("on_hand", count.on_hand.to_string()),
            ("safety", count.safety.map(|units| units.to_string()).unwrap_or_default()),
        ])
    }

    fn order(&mut self, order: &OrderData) -> io::Result<()> {
        let (position, postal, home, [pickup, to_store]) = match &order.destination {
            Destination::Ship { position, postal, home } => {
                (Some(*position), postal.as_str(), if *home { "yes" } else { "" }, ["", ""])
            }
            Destination::Pickup(node) => (None, "", "", [node.as_str(), ""]),
            Destination::ToStore(node) => (None, "", "", ["", node.as_str()]),
        };
        for (place, line) in order.lines.iter().enumerate() {
            let first = |text: String| if place == 0 { text } else { String::new() };
            self.row([
                ("order", order.code.clone()),
                ("line", line.line.to_string()),
                ("sku", line.sku.clone()),
                ("quantity", line.quantity.to_string()),
                ("seller", line.seller.clone()),
                ("substitutable", if line.substitutable { "yes" } else { "" }.to_owned()),
                ("lat", first(position.map(lat).unwrap_or_default())),
                ("lon", first(position.map(lon).unwrap_or_default())),
                ("postal", first(postal.to_owned())),
                ("home", first(home.to_owned())),
                ("pickup", first(pickup.to_owned())),
                ("to_store", first(to_store.to_owned())),
                ("channel", first(order.channel.to_string())),
                ("shipments_max", first(order.shipments_max.to_string())),
                ("value", first(order.value.map(money_text).unwrap_or_default())),
                ("at", first(order.at.map(moment_text).unwrap_or_default())),
                ("deliver_by", first(order.deliver_by.map(moment_text).unwrap_or_default())),
                ("supply_by", first(order.supply_by.map(day_text).unwrap_or_default())),
            ])?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        let gzip = self.csv.into_inner().map_err(|error| error.into_error())?;
        gzip.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// A limit; empty for none.
fn limit(limit: u64) -> String {
    if limit > 0 { limit.to_string() } else { String::new() }
}

/// Degrees to the millionth, as positions are kept.
fn lat(position: Position) -> String {
    format!("{:.6}", f64::from(position.lat_udeg) / 1e6)
}

fn lon(position: Position) -> String {
    format!("{:.6}", f64::from(position.lon_udeg) / 1e6)
}
