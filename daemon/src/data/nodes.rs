//! The file `nodes`: a row per node.

use earmark_protocol::catalogue::{DayLoad, NodeKind, NodeSpec, capabilities};

use super::field;
use super::table::{Column, Row, optional, required};

/// Its columns.
pub const COLUMNS: &[Column] = &[
    required("code"),
    required("kind"),
    required("lat"),
    required("lon"),
    required("time_zone"),
    optional("group"),
    optional("priority"),
    optional("capabilities"),
    optional("cost_per_order"),
    optional("cost_per_line"),
    optional("cost_per_unit"),
    optional("calendar"),
    optional("postal"),
    optional("orders_per_day"),
    optional("lines_per_day"),
    optional("units_per_day"),
    optional("seller"),
];

/// Reads one row.
pub fn parse(row: &mut Row<'_>) -> Option<NodeSpec> {
    let code = row.required("code", field::code);
    let kind = row.required("kind", field::kind);
    let lat = row.required("lat", field::degrees);
    let lon = row.required("lon", field::degrees);
    let position = match (lat, lon) {
        (Some(lat), Some(lon)) => field::position(lat, lon).map_err(|reason| row.wrong("lat", reason)).ok(),
        _ => None,
    };
    let time_zone = row.required("time_zone", field::time_zone);
    let group = row.optional("group", field::code).unwrap_or_default();
    let priority = row.optional("priority", field::number).unwrap_or_default();
    let capabilities = row.optional("capabilities", field::node_capabilities);
    let cost_per_order = row.optional("cost_per_order", field::cost).unwrap_or_default();
    let cost_per_line = row.optional("cost_per_line", field::cost).unwrap_or_default();
    let cost_per_unit = row.optional("cost_per_unit", field::cost).unwrap_or_default();
    let calendar = row.optional("calendar", field::code).unwrap_or_default();
    let postal = row.optional("postal", field::postal).unwrap_or_default();
    let per_day = ["orders_per_day", "lines_per_day", "units_per_day"];
    if let Some(named) = per_day.iter().find(|name| row.has(name)).filter(|_| calendar.is_empty()) {
        row.wrong(named, "a limit by day needs days: name a calendar");
    }
    let mut number = |name| row.optional(name, field::number).unwrap_or_default();
    let [orders, lines] = [per_day[0], per_day[1]].map(&mut number);
    let day_limit = DayLoad { orders, lines, units: u64::from(number(per_day[2])) };
    let seller = row.optional("seller", field::code).unwrap_or_default();
    let kind = kind?;
    Some(NodeSpec {
        code: code?,
        kind,
        position: position?,
        time_zone: time_zone?,
        group,
        priority,
        capabilities: capabilities.unwrap_or_else(|| usual_capabilities(kind)),
        cost_per_order,
        cost_per_line,
        cost_per_unit,
        calendar,
        postal,
        day_limit,
        seller,
    })
}

/// What a node of this kind can do where nobody says otherwise.
#[must_use]
pub fn usual_capabilities(kind: NodeKind) -> u16 {
    match kind {
        NodeKind::Dc | NodeKind::ThirdParty | NodeKind::Vendor => capabilities::SHIP,
        NodeKind::Store => capabilities::SHIP | capabilities::PICKUP,
        NodeKind::Supplier => 0,
    }
}
