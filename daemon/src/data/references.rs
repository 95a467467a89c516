//! What can only be seen across rows and files: codes that stand twice, codes that nothing defines, goods at nodes
//! that cannot handle them.

use std::collections::{HashMap, HashSet};

use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};

use super::field::bit_names;
use super::orders::Destination;
use super::table::Located;
use super::trouble::BadRows;
use super::{DataFile, DataSet};

/// Checks a directory's files against each other. Codes are looked up in the files of the directory; where it has
/// no `nodes` or no `skus`, those codes are left to the daemon. Where that file has a bad row of its own, it is the one to
/// correct first: a code that seems to be missing may stand there.
pub fn check(data: &DataSet, bad: &mut BadRows) {
    let nodes = data.nodes.as_ref().and_then(|file| by_code(file, |node: &NodeSpec| &node.code, bad));
    let skus = data.skus.as_ref().and_then(|file| by_code(file, |sku: &SkuSpec| &sku.code, bad));
    calendars(data, bad);
    kits(data, skus.as_ref(), bad);
    substitutes(data, skus.as_ref(), bad);
    stock(data, nodes.as_ref(), skus.as_ref(), bad);
    supplies(data, nodes.as_ref(), skus.as_ref(), bad);
    orders(data, nodes.as_ref(), skus.as_ref(), bad);
}

/// Where the directory has no `calendars`, those that nodes name are left to the daemon.
fn calendars(data: &DataSet, bad: &mut BadRows) {
    let calendars = data.calendars.as_ref().filter(|file| file.is_whole);
    let (Some(nodes), Some(calendars)) = (&data.nodes, calendars) else { return };
    let known: HashSet<_> = calendars.rows.iter().map(|row| row.value.code.as_str()).collect();
    for Located { line, value: node } in &nodes.rows {
        if !node.calendar.is_empty() && !known.contains(node.calendar.as_str()) {
            let reason = format!("{:?} stands in no row of the file calendars", node.calendar);
            bad.push(&nodes.name, *line, "calendar", reason);
        }
    }
}

type ByCode<'a, T> = HashMap<&'a str, &'a T>;

/// Notes codes that stand twice; `None` where others are missing.
fn by_code<'a, T>(
    file: &'a DataFile<T>,
    code: impl Fn(&T) -> &String,
    bad: &mut BadRows,
) -> Option<ByCode<'a, T>> {
    let mut lines = HashMap::with_capacity(file.rows.len());
    let mut found = HashMap::with_capacity(file.rows.len());
    for row in &file.rows {
        let code = code(&row.value).as_str();
        if let Some(before) = lines.insert(code, row.line) {
            bad.push(&file.name, row.line, "code", format!("{code:?} stands in line {before} already"));
        }
        found.insert(code, &row.value);
    }
    file.is_whole.then_some(found)
}

/// Both are skus, and no kit stands for another sku.
fn substitutes(data: &DataSet, skus: Option<&ByCode<'_, SkuSpec>>, bad: &mut BadRows) {
    let Some(file) = &data.substitutes else { return };
    let kits = data.kits.iter().flat_map(|file| &file.rows);
    let kits: HashSet<&str> = kits.map(|kit| kit.value.code.as_str()).collect();
    for Located { line, value: of_sku } in &file.rows {
        known(skus, &of_sku.code, &file.name, *line, "sku", bad);
        for by in &of_sku.by {
            known(skus, &by.value, &file.name, by.line, "substitute", bad);
            if kits.contains(by.value.as_str()) {
                let reason = format!("{:?} is a kit, and no kit stands for another sku", by.value);
                bad.push(&file.name, by.line, "substitute", reason);
            }
        }
    }
}

/// What a kit is put together of is stocked, and the kit is not.
fn kits(data: &DataSet, skus: Option<&ByCode<'_, SkuSpec>>, bad: &mut BadRows) {
    let Some(file) = &data.kits else { return };
    let kits: HashSet<&str> = file.rows.iter().map(|kit| kit.value.code.as_str()).collect();
    for Located { line, value: kit } in &file.rows {
        known(skus, &kit.code, &file.name, *line, "kit", bad);
        for part in &kit.parts {
            let sku = part.value.sku.as_str();
            known(skus, sku, &file.name, part.line, "sku", bad);
            if kits.contains(sku) {
                let reason = format!("{sku:?} is a kit itself; name what it is put together of");
                bad.push(&file.name, part.line, "sku", reason);
            }
        }
    }
    let stock = data
        .stock
        .iter()
        .flat_map(|file| file.rows.iter().map(|row| (&file.name, row.line, &*row.value.sku)));
    let supplies = data
        .supplies
        .iter()
        .flat_map(|file| file.rows.iter().map(|row| (&file.name, row.line, &*row.value.sku)));
    for (file, line, sku) in stock.chain(supplies).filter(|(.., sku)| kits.contains(sku)) {
        let reason = format!("{sku:?} is a kit; what is stocked are its components");
        bad.push(file, line, "sku", reason);
    }
}

fn stock(
    data: &DataSet,
    nodes: Option<&ByCode<'_, NodeSpec>>,
    skus: Option<&ByCode<'_, SkuSpec>>,
    bad: &mut BadRows,
) {
    let Some(file) = &data.stock else { return };
    for row in &file.rows {
        let count = &row.value;
        let sku = known(skus, &count.sku, &file.name, row.line, "sku", bad);
        let node = known(nodes, &count.node, &file.name, row.line, "node", bad);
        if let (Some(sku), Some(node)) = (sku, node)
            && sku.flags & !node.capabilities != 0
        {
            let lacks = bit_names(sku.flags & !node.capabilities);
            let reason = format!("node {:?} cannot handle sku {:?}; it lacks: {lacks}", node.code, sku.code);
            bad.push(&file.name, row.line, "node", reason);
        }
    }
    // Rows are sorted by cell, and within one by line: equal neighbours are the same cell twice.
    for pair in file.rows.windows(2) {
        let (first, second) = (&pair[0].value, &pair[1].value);
        if (&first.sku, &first.node, first.segment) == (&second.sku, &second.node, second.segment) {
            let (sku, node, segment) = (&second.sku, &second.node, second.segment);
            let before = pair[0].line;
            let reason =
                format!("sku {sku:?} at node {node:?}, segment {segment}, stands in line {before} already");
            bad.push(&file.name, pair[1].line, "sku", reason);
        }
    }
}

fn supplies(
    data: &DataSet,
    nodes: Option<&ByCode<'_, NodeSpec>>,
    skus: Option<&ByCode<'_, SkuSpec>>,
    bad: &mut BadRows,
) {
    let Some(file) = &data.supplies else { return };
    let mut lines = HashMap::with_capacity(file.rows.len());
    for Located { line, value } in &file.rows {
        known(skus, &value.sku, &file.name, *line, "sku", bad);
        known(nodes, &value.node, &file.name, *line, "node", bad);
        if let Some(before) = lines.insert((&value.supply, &value.sku, &value.node, value.segment), *line) {
            let reason = format!("supply {:?} of that cell stands in line {before} already", value.supply);
            bad.push(&file.name, *line, "supply", reason);
        }
    }
}

fn orders(
    data: &DataSet,
    nodes: Option<&ByCode<'_, NodeSpec>>,
    skus: Option<&ByCode<'_, SkuSpec>>,
    bad: &mut BadRows,
) {
    let Some(file) = &data.orders else { return };
    for order in &file.rows {
        let met = match &order.value.destination {
            Destination::Ship { .. } => None,
            Destination::Pickup(code) => Some((code, "pickup")),
            Destination::ToStore(code) => Some((code, "to_store")),
        };
        if let Some((code, column)) = met
            && let Some(node) = known(nodes, code, &file.name, order.line, column, bad)
            && node.capabilities & capabilities::PICKUP == 0
        {
            let reason = format!("node {code:?} hands nothing over; its capabilities do not say pickup");
            bad.push(&file.name, order.line, column, reason);
        }
        for line in &order.value.lines {
            known(skus, &line.sku, &file.name, line.at_line, "sku", bad);
        }
    }
}

fn known<'a, T>(
    all: Option<&ByCode<'a, T>>,
    code: &str,
    file: &str,
    line: u64,
    column: &str,
    bad: &mut BadRows,
) -> Option<&'a T> {
    let found = all?.get(code).copied();
    if found.is_none() {
        let source = if matches!(column, "sku" | "kit" | "substitute") { "skus" } else { "nodes" };
        bad.push(file, line, column, format!("{code:?} stands in no row of the file {source}"));
    }
    found
}
