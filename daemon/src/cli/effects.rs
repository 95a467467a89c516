//! What a record of the log changes, in words and as JSON: both are made of the same fields. Skus and nodes are named by
//! their handles, as the log has them.

use earmark_engine::{Effect, Facts, Place, Stage};
use earmark_protocol::codec;
use earmark_protocol::reply::Plan;
use serde_json::{Value, json};

use super::digest::hash;
use super::text::{class_text, moment_text};
use super::words::{deadline_json, status};
use crate::data::field::day_text;

type Fields = Vec<(&'static str, Value)>;

/// An effect as one line.
#[must_use]
pub(super) fn effect_text(effect: &Effect) -> String {
    let (name, fields) = words(effect);
    let fields = fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    });
    format!("{name}: {}", fields.collect::<Vec<_>>().join(", "))
}

/// An effect as one object.
#[must_use]
pub(super) fn effect_json(effect: &Effect) -> Value {
    let (name, fields) = words(effect);
    let mut object = json!({ "effect": name });
    fields.into_iter().for_each(|(name, value)| object[name] = value);
    object
}

fn words(effect: &Effect) -> (&'static str, Fields) {
    match effect {
        Effect::Open { id, content, tenant, class, deadline, rows } => (
            "open",
            vec![
                ("reservation", json!(id)),
                ("class", json!(class_text(*class))),
                ("deadline", deadline_json(*deadline)),
                ("rows", json!(rows)),
                ("tenant", json!(tenant)),
                ("content", hash(*content)),
            ],
        ),
        Effect::Hold { id, content, tenant, class, deadline, cell, line, sku, place: at, quantity } => {
            let mut fields = vec![
                ("reservation", json!(id)),
                ("class", json!(class_text(*class))),
                ("deadline", deadline_json(*deadline)),
                ("line", json!(line)),
                ("sku", json!(sku)),
            ];
            fields.extend(place(*at));
            fields.extend([
                ("cell", json!(cell)),
                ("quantity", json!(quantity)),
                ("tenant", json!(tenant)),
                ("content", hash(*content)),
            ]);
            ("hold", fields)
        }
        Effect::Touch { slot } => ("touch", vec![("slot", json!(slot))]),
        Effect::Expire { slot, cell, quantity } => {
            ("expire", vec![("slot", json!(slot)), ("cell", json!(cell)), ("quantity", json!(quantity))])
        }
        Effect::Widen { rows } => ("widen", vec![("rows", json!(rows))]),
        Effect::Claim { row, cell, line, sku, place: at, quantity, stage } => {
            let mut fields = vec![("row", json!(row)), ("line", json!(line)), ("sku", json!(sku))];
            fields.extend(place(*at));
            fields.extend([
                ("cell", json!(cell)),
                ("quantity", json!(quantity)),
                ("to", json!(stage_name(*stage))),
            ]);
            ("claim", fields)
        }
        Effect::Move { row, cell, from, to, quantity } => (
            "move",
            vec![
                ("row", json!(row)),
                ("cell", json!(cell)),
                ("quantity", json!(quantity)),
                ("from", json!(stage_name(*from))),
                ("to", json!(stage_name(*to))),
            ],
        ),
        Effect::Wait { row, line, sku, place: at, from, to, quantity, day } => {
            let mut fields = vec![("row", json!(row)), ("line", json!(line)), ("sku", json!(sku))];
            fields.extend(place(*at));
            fields.extend([
                ("quantity", json!(quantity)),
                ("from", json!(stage_name(*from))),
                ("to", json!(stage_name(*to))),
                ("day", json!((*day > 0).then(|| day_text(*day)))),
            ]);
            ("wait", fields)
        }
        Effect::Settle { status: now, deadline } => {
            ("settle", vec![("status", json!(status(*now))), ("deadline", deadline_json(*deadline))])
        }
        Effect::Review { waits } => ("review", vec![("waits", json!(waits))]),
        Effect::Facts { text } => {
            let Facts { order, plans } = Facts::from_bytes(text);
            ("facts", vec![("order", json!(order)), ("plans", json!(plans))])
        }
        Effect::Cells { sku, places } => {
            let places = places.iter().map(|at| place(*at).into_iter().collect::<Value>());
            ("cells", vec![("sku", json!(sku)), ("places", places.collect())])
        }
        Effect::Stock { sku, place: at, on_hand, safety, unsellable, moved, counted } => {
            let mut fields = vec![("sku", json!(sku))];
            fields.extend(place(*at));
            fields.extend([
                ("on_hand", json!(on_hand)),
                ("safety", json!(safety)),
                ("unsellable", json!(unsellable)),
                ("moved", json!(moved)),
                ("counted_by", json!(counted.map(|(source, _)| source))),
                ("counted_as_of", json!(counted.map(|(_, as_of)| moment_text(as_of)))),
            ]);
            ("stock", fields)
        }
        Effect::Outcome { id, content, tenant, outcome, plan } => {
            let plan: Option<Plan> = (!plan.is_empty()).then(|| codec::decode(plan).ok()).flatten();
            (
                "outcome",
                vec![
                    ("command", json!(id)),
                    ("outcome", json!(outcome)),
                    ("plan", json!(plan)),
                    ("tenant", json!(tenant)),
                    ("content", hash(*content)),
                ],
            )
        }
        Effect::Day { node, day, orders, lines, units } => {
            let day = day_text(*day);
            let fields = vec![("node", json!(node)), ("day", json!(day)), ("orders", json!(orders))];
            ("day", [fields, vec![("lines", json!(lines)), ("units", json!(units))]].concat())
        }
        Effect::Supply { sku, place: at, code, quantity, day } => {
            let mut fields = vec![("supply", json!(code)), ("sku", json!(sku))];
            fields.extend(place(*at));
            fields.extend([("quantity", json!(quantity)), ("day", json!(day_text(*day)))]);
            ("supply", fields)
        }
        Effect::Sku { tenant, spec } => ("sku", vec![("tenant", json!(tenant)), ("spec", json!(spec))]),
        Effect::SkuRetired { sku } => ("sku_retired", vec![("sku", json!(sku))]),
        Effect::Node { tenant, spec } => ("node", vec![("tenant", json!(tenant)), ("spec", json!(spec))]),
        Effect::NodeState { node, state } => {
            ("node_state", vec![("node", json!(node)), ("state", json!(state))])
        }
        Effect::Calendar { tenant, spec } => {
            ("calendar", vec![("tenant", json!(tenant)), ("spec", json!(spec))])
        }
        Effect::Policy { tenant, version, text } => {
            ("policy", vec![("tenant", json!(tenant)), ("version", json!(version)), ("text", json!(text))])
        }
        Effect::Tariffs { tenant, version, put } => {
            ("tariffs", vec![("tenant", json!(tenant)), ("version", json!(version)), ("put", json!(put))])
        }
        Effect::Substitutes { sku, substitutes } => {
            ("substitutes", vec![("sku", json!(sku)), ("substitutes", json!(substitutes))])
        }
        Effect::Kit { kit, components } => {
            ("kit", vec![("kit", json!(kit)), ("components", json!(components))])
        }
        Effect::Capacity(capacity) => {
            let numbers = capacity.numbers().into_iter();
            ("capacity", numbers.map(|(setting, number)| (setting, json!(number))).collect())
        }
        Effect::Grace { until } => ("grace", vec![("until", json!(moment_text(*until)))]),
    }
}

fn place(place: u32) -> [(&'static str, Value); 2] {
    let place = Place(place);
    [("node", json!(place.node())), ("segment", json!(place.segment()))]
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Free => "free",
        Stage::Held => "held",
        Stage::Confirmed => "confirmed",
        Stage::Dispatched => "dispatched",
        Stage::Ready => "ready",
        Stage::Shipped => "shipped",
        Stage::Awaited => "awaited",
        Stage::Backordered => "backordered",
    }
}

#[cfg(test)]
mod tests {
    use earmark_engine::CompactReply;
    use earmark_protocol::ids::{CommandId, LineId, SkuIx, Tenant, TimestampMs};
    use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
    use earmark_protocol::reply::Status;

    use super::*;

    #[test]
    fn an_effect_is_one_line_and_one_object_with_the_same_fields() {
        let place = 2 << 12 | 1;
        let (line, sku, stage) = (LineId(1), SkuIx(7), Stage::Held);
        let claim = Effect::Claim { row: 0, cell: 9, line, sku, place, quantity: 3, stage };
        assert_eq!(
            effect_text(&claim),
            "claim: row 0, line 1, sku 7, node 2, segment 1, cell 9, quantity 3, to held"
        );
        let object = effect_json(&claim);
        assert_eq!(
            (&object["effect"], &object["node"], &object["to"]),
            (&json!("claim"), &json!(2), &json!("held"))
        );
        let settle = Effect::Settle { status: Status::Expired, deadline: TimestampMs(0) };
        assert_eq!(effect_text(&settle), "settle: status expired");
        assert_eq!(effect_json(&settle)["deadline"], Value::Null);
        let cells = Effect::Cells { sku, places: vec![place] };
        assert_eq!(effect_text(&cells), r#"cells: sku 7, places [{"node":2,"segment":1}]"#);
        let refusal = Refusal::of(RefusalCode::OutOfStock, Field::Line);
        let outcome = Effect::Outcome {
            id: CommandId([7; 16]),
            content: u64::MAX,
            tenant: Tenant(0),
            outcome: CompactReply::Refused(refusal),
            plan: Vec::new(),
        };
        let object = effect_json(&outcome);
        assert_eq!(object["outcome"]["Refused"]["code"], RefusalCode::OutOfStock.name());
        assert_eq!((&object["content"], &object["plan"]), (&json!("ffffffffffffffff"), &Value::Null));
    }
}
