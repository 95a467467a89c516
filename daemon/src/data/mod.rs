//! Data files: a directory of calendars, nodes, skus, kits, substitutes, tariffs, stock, supplies and orders as CSV or JSON lines, read and checked as
//! a whole before anything is sent anywhere. The columns are described in `docs/data-files.md`.

pub mod calendars;
pub mod decisions;
pub mod field;
pub mod kits;
pub mod load;
pub mod nodes;
pub mod orders;
mod quotes;
pub mod references;
mod refused;
pub mod skus;
pub mod stock;
pub mod substitutes;
pub mod supplies;
pub mod table;
pub mod tariffs;
pub mod trouble;
pub mod write;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use earmark_engine::Rules;
use earmark_protocol::catalogue::{CalendarSpec, NodeSpec, SkuSpec};
use earmark_protocol::tariff::PutTariffs;

use kits::Kit;
use orders::OrderData;
use stock::{Codes, Count};
use substitutes::Substitutes;
use supplies::SupplyRow;
use table::{Column, ENDINGS, Located, Row};
use tariffs::TariffFiles;
use trouble::BadRows;

/// The files a directory may hold, without their endings, in the order they are read.
pub const FILES: [(&str, &[Column]); 12] = [
    ("calendars", calendars::COLUMNS),
    ("nodes", nodes::COLUMNS),
    ("skus", skus::COLUMNS),
    ("kits", kits::COLUMNS),
    ("substitutes", substitutes::COLUMNS),
    ("rates", tariffs::RATE_COLUMNS),
    ("zones", tariffs::ZONE_COLUMNS),
    ("services", tariffs::SERVICE_COLUMNS),
    ("tariffs", tariffs::STEP_COLUMNS),
    ("stock", stock::COLUMNS),
    ("supplies", supplies::COLUMNS),
    ("orders", orders::COLUMNS),
];

/// What one file says.
#[derive(Clone, Debug)]
pub struct DataFile<T> {
    /// Its name inside the directory.
    pub name: String,
    /// Its rows.
    pub rows: Vec<Located<T>>,
    /// Whether these are all: nothing of it was bad.
    pub is_whole: bool,
}

/// What a directory says.
#[derive(Clone, Debug, Default)]
pub struct DataSet {
    /// Calendars, a row each.
    pub calendars: Option<DataFile<CalendarSpec>>,
    /// Nodes.
    pub nodes: Option<DataFile<NodeSpec>>,
    /// Skus.
    pub skus: Option<DataFile<SkuSpec>>,
    /// What kits are put together of, a row each.
    pub kits: Option<DataFile<Kit>>,
    /// What may stand for skus, a row each.
    pub substitutes: Option<DataFile<Substitutes>>,
    /// What carriers charge, put together from the files below.
    pub tariffs: Option<PutTariffs>,
    /// The files of what carriers charge.
    pub tariff_files: TariffFiles,
    /// Counts, sorted by sku, node and segment.
    pub stock: Option<DataFile<Count>>,
    /// What is on its way to cells.
    pub supplies: Option<DataFile<SupplyRow>>,
    /// Orders, a row each.
    pub orders: Option<DataFile<OrderData>>,
    /// Files that look like data but carry none of the names of [`FILES`].
    pub ignored: Vec<String>,
}

/// Reads and checks a directory, for a daemon with the usual limits. All that is wrong goes into `bad`; the data is whole only where
/// that stays empty.
#[must_use]
pub fn read_dir(dir: &Path, bad: &mut BadRows) -> DataSet {
    read_dir_for(dir, Rules::default().lines_max, bad)
}

/// The same for a daemon that takes lists of so many elements.
#[must_use]
pub fn read_dir_for(dir: &Path, lines_max: u32, bad: &mut BadRows) -> DataSet {
    let mut data = DataSet::default();
    let names = match list(dir) {
        Ok(names) => names,
        Err(error) => {
            bad.push(&dir.to_string_lossy(), 0, "", format!("cannot be listed: {error}; give a directory"));
            return data;
        }
    };
    let find = |stem: &str, bad: &mut BadRows| -> Option<PathBuf> {
        let mut found = names.iter().filter(|name| stem_of(name) == Some(stem));
        let first = found.next()?;
        if let Some(second) = found.next() {
            bad.push(second, 0, "", format!("there is {first} too; keep one of them"));
        }
        Some(dir.join(first))
    };
    data.calendars = find("calendars", bad).map(|path| read_calendars(&path, bad));
    data.nodes = find("nodes", bad).map(|path| file(&path, nodes::COLUMNS, bad, nodes::parse));
    data.skus = find("skus", bad).map(|path| file(&path, skus::COLUMNS, bad, skus::parse));
    data.kits = find("kits", bad).map(|path| read_kits(&path, bad));
    data.substitutes = find("substitutes", bad).map(|path| read_substitutes(&path, bad));
    data.tariff_files = TariffFiles {
        rates: find("rates", bad).map(|path| file(&path, tariffs::RATE_COLUMNS, bad, tariffs::rate)),
        zones: find("zones", bad).map(|path| file(&path, tariffs::ZONE_COLUMNS, bad, tariffs::zone)),
        services: find("services", bad)
            .map(|path| file(&path, tariffs::SERVICE_COLUMNS, bad, tariffs::service)),
        steps: find("tariffs", bad).map(|path| file(&path, tariffs::STEP_COLUMNS, bad, tariffs::step)),
    };
    data.tariffs = data.tariff_files.is_any().then(|| data.tariff_files.join(bad));
    data.stock = find("stock", bad).map(|path| read_stock(&path, bad));
    data.supplies = find("supplies", bad).map(|path| file(&path, supplies::COLUMNS, bad, supplies::parse));
    data.orders = find("orders", bad).map(|path| read_orders(&path, bad));
    let known = |stem: &str| FILES.iter().any(|(name, _)| *name == stem);
    data.ignored =
        names.iter().filter(|name| stem_of(name).is_some_and(|stem| !known(stem))).cloned().collect();
    if !names.iter().any(|name| stem_of(name).is_some_and(known)) {
        let reason = format!("it holds none of {} as .csv or .jsonl (or these with .gz)", file_names());
        bad.push(&dir.to_string_lossy(), 0, "", reason);
    }
    references::check(&data, bad);
    refused::orders(&data, lines_max, bad);
    data
}

/// Checks the orders of a directory once more, for a daemon that takes lists of so many elements.
pub fn check_orders(data: &DataSet, lines_max: u32, bad: &mut BadRows) {
    refused::orders(data, lines_max, bad);
}

/// The names of all files.
#[must_use]
pub fn file_names() -> String {
    FILES.map(|(name, _)| name).join(", ")
}

/// Reads one file of orders.
#[must_use]
pub fn read_orders(path: &Path, bad: &mut BadRows) -> DataFile<OrderData> {
    let DataFile { name, rows, is_whole } = file(path, orders::COLUMNS, bad, orders::parse);
    let rows = orders::group(&name, rows, bad);
    let rows = rows.into_iter().map(|order| Located { line: order.at_line, value: order }).collect();
    DataFile { name, rows, is_whole }
}

fn read_calendars(path: &Path, bad: &mut BadRows) -> DataFile<CalendarSpec> {
    let DataFile { name, rows, is_whole } = file(path, calendars::COLUMNS, bad, calendars::parse);
    let rows = calendars::group(&name, rows, bad);
    DataFile { name, rows, is_whole }
}

fn read_kits(path: &Path, bad: &mut BadRows) -> DataFile<Kit> {
    let DataFile { name, rows, is_whole } = file(path, kits::COLUMNS, bad, kits::parse);
    let rows = kits::group(&name, rows, bad);
    DataFile { name, rows, is_whole }
}

fn read_substitutes(path: &Path, bad: &mut BadRows) -> DataFile<Substitutes> {
    let DataFile { name, rows, is_whole } = file(path, substitutes::COLUMNS, bad, substitutes::parse);
    let rows = substitutes::group(&name, rows, bad);
    DataFile { name, rows, is_whole }
}

fn read_stock(path: &Path, bad: &mut BadRows) -> DataFile<Count> {
    let mut codes = Codes::default();
    let mut counts = file(path, stock::COLUMNS, bad, |row| stock::parse(row, &mut codes));
    counts.rows.sort_by(|a, b| {
        let cell = |row: &Located<Count>| (row.value.segment, row.line);
        let codes = a.value.sku.cmp(&b.value.sku).then_with(|| a.value.node.cmp(&b.value.node));
        codes.then_with(|| cell(a).cmp(&cell(b)))
    });
    counts
}

fn file<T>(
    path: &Path,
    columns: &'static [Column],
    bad: &mut BadRows,
    parse: impl FnMut(&mut Row<'_>) -> Option<T>,
) -> DataFile<T> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let before = bad.total();
    let rows = table::read(path, columns, bad, parse);
    DataFile { name, rows, is_whole: bad.total() == before }
}

/// The names of the directory's files, sorted.
fn list(dir: &Path) -> std::io::Result<BTreeSet<String>> {
    std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The name of a data file without its ending; `None` for other files.
fn stem_of(name: &str) -> Option<&str> {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    ENDINGS.iter().find_map(|ending| plain.strip_suffix(ending)?.strip_suffix('.'))
}
