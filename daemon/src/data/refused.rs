//! Orders that the daemon would refuse whatever it has in stock, by the engine's own checks.

use std::collections::{HashMap, HashSet};

use earmark_engine::{Goods, Rules, check_lines};
use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::SkuIx;
use earmark_protocol::kit::Component;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::DataSet;
use super::orders::{OrderData, OrderDataLine, sellers};
use super::trouble::BadRows;

/// Checks orders by themselves, by the limit of lists of a daemon, with the kits and sellers of the directory; where it has no `nodes`, any seller may be one.
pub(super) fn orders(data: &DataSet, lines_max: u32, bad: &mut BadRows) {
    let Some(file) = &data.orders else { return };
    let rules = Rules { lines_max, ..Rules::default() };
    // Handles of their own: the codes as they come.
    let mut handles: HashMap<&str, SkuIx> = HashMap::new();
    let kit_rows = || data.kits.iter().flat_map(|file| &file.rows).map(|row| &row.value);
    let of_kits = kit_rows().flat_map(|kit| kit.parts.iter().map(|part| &part.value.sku).chain([&kit.code]));
    let ordered = file.rows.iter().flat_map(|order| order.value.lines.iter().map(|line| &line.sku));
    for code in of_kits.chain(ordered) {
        let next = SkuIx(handles.len() as u32);
        handles.entry(code).or_insert(next);
    }
    let kits: HashMap<SkuIx, Vec<Component>> = kit_rows()
        .filter_map(|kit| kit.spec(|code| handles.get(code).copied()))
        .map(|spec| (spec.kit, spec.components))
        .collect();
    let nodes = data.nodes.as_ref().filter(|file| file.is_whole);
    let known: Option<HashSet<&str>> =
        nodes.map(|file| file.rows.iter().map(|row| row.value.seller.as_str()).collect());
    let goods = Goods {
        components: |sku| Ok(kits.get(&sku).map(Vec::as_slice)),
        is_seller: |seller: &str| known.as_ref().is_none_or(|known| known.contains(seller)),
    };
    for row in &file.rows {
        let order = by_handles(&row.value, &handles);
        // A line that stands twice was told where rows are put together.
        if let Err(refusal) = check_lines(&rules, &order, &goods)
            && refusal.code != RefusalCode::LineTwice
        {
            let (line, column) = place(&row.value, &order, refusal);
            bad.push(
                &file.name,
                line,
                column,
                format!("the daemon would refuse order {:?}: {refusal}", row.value.code),
            );
        }
    }
}

/// The order as far as it is checked here: not where it goes.
fn by_handles(data: &OrderData, handles: &HashMap<&str, SkuIx>) -> Order {
    let line = |line: &OrderDataLine| OrderLine {
        line: line.line,
        sku: handles[line.sku.as_str()],
        quantity: line.quantity,
    };
    Order {
        channel: data.channel,
        delivery: Delivery::Ship { position: Position::default(), postal: String::new(), home: false },
        nodes: Vec::new(),
        shipments_max: data.shipments_max,
        lines: data.lines.iter().map(line).collect(),
        value: data.value,
        deliver_by_ms: data.deliver_by,
        sellers: sellers(data.lines.iter().map(|line| (line.line, line.seller.as_str()))),
        substitutable: data.substitutable(),
        supply_by: data.supply_by,
    }
}

/// The line and column of the file that a refusal speaks of.
fn place(data: &OrderData, order: &Order, refusal: Refusal) -> (u64, &'static str) {
    let index = refusal.index.map_or(0, |index| index as usize);
    let of_line = |line| data.lines.iter().find(|known| Some(known.line) == line);
    let (line, column) = match refusal.field {
        Field::Seller => {
            (of_line(order.sellers.get(index).and_then(|of| of.lines.first()).copied()), "seller")
        }
        Field::Substitute => (of_line(order.substitutable.get(index).copied()), "substitutable"),
        Field::Quantity => (data.lines.get(index), "quantity"),
        Field::Value => (None, "value"),
        _ => (refusal.index.and_then(|_| data.lines.get(index)), ""),
    };
    (line.map_or(data.at_line, |line| line.at_line), column)
}
