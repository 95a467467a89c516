//! What a checked condition says of an order, a line, a node and a time.
//!
//! Every evaluation ends, and ends in true or false. A value that is not given, or that arithmetic cannot give, makes
//! the comparison it stands in false; ints and doubles compare by value.

use std::cmp::Ordering;

use earmark_protocol::catalogue::{NodeKind, NodeSpec, capabilities, sku_flags};
use earmark_protocol::ids::{Money, TimestampMs};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::check::{Arithmetic, Comparison, Constant, Term, Test};
use super::schema::Field;

/// How an order reaches the customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    #[default]
    Ship,
    Pickup,
    ToStore,
}

/// What is known of an order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OrderFacts<'a> {
    pub(crate) channel: u16,
    pub(crate) delivery: Way,
    pub(crate) postal: &'a str,
    /// In degrees.
    pub(crate) position: Option<(f64, f64)>,
    pub(crate) lines: i64,
    pub(crate) units: i64,
    pub(crate) value: Option<Money>,
    pub(crate) weight_g: i64,
    /// The flags of all its lines.
    pub(crate) flags: u16,
}

/// What is known of a line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineFacts<'a> {
    pub(crate) sku: &'a str,
    pub(crate) group: &'a str,
    /// Code of the kit that it is of.
    pub(crate) kit: &'a str,
    pub(crate) quantity: i64,
    pub(crate) weight_g: i64,
    pub(crate) flags: u16,
}

/// A time in the policy's time zone.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeFacts {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) weekday: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) date: String,
}

impl TimeFacts {
    /// A time as clocks in this zone show it.
    pub(crate) fn at(now: TimestampMs, zone: &TimeZone) -> Self {
        let shown = i64::try_from(now.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let shown = shown.unwrap_or(Timestamp::MAX).to_zoned(zone.clone());
        Self {
            year: i64::from(shown.year()),
            month: i64::from(shown.month()),
            day: i64::from(shown.day()),
            weekday: i64::from(shown.weekday().to_monday_one_offset()),
            hour: i64::from(shown.hour()),
            minute: i64::from(shown.minute()),
            date: shown.date().to_string(),
        }
    }
}

/// What a condition is asked about. What it does not depend on may be left out.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) order: &'a OrderFacts<'a>,
    pub(crate) line: &'a LineFacts<'a>,
    pub(crate) time: &'a TimeFacts,
    pub(crate) node: Option<&'a NodeSpec>,
    pub(crate) miles: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
}

/// Whether a condition is true.
pub(crate) fn holds(term: &Term, scene: &Scene<'_>) -> bool {
    match term {
        Term::Not(inner) => !holds(inner, scene),
        Term::And(parts) => parts.iter().all(|part| holds(part, scene)),
        Term::Or(parts) => parts.iter().any(|part| holds(part, scene)),
        Term::Given(field) => read(*field, scene).is_some(),
        Term::Compare(comparison, a, b) => match (value(a, scene), value(b, scene)) {
            (Some(a), Some(b)) => compares(*comparison, a, b),
            _ => false,
        },
        Term::In(asked, list) => value(asked, scene).is_some_and(|asked| {
            list.iter().any(|constant| compares(Comparison::Equal, asked, of_constant(constant)))
        }),
        Term::Test(test, of, part) => match (value(of, scene), value(part, scene)) {
            (Some(Value::Text(of)), Some(Value::Text(part))) => match test {
                Test::Contains => of.contains(part),
                Test::StartsWith => of.starts_with(part),
                Test::EndsWith => of.ends_with(part),
            },
            _ => false,
        },
        Term::Choice(parts) => {
            let [condition, then, otherwise] = &**parts;
            holds(if holds(condition, scene) { then } else { otherwise }, scene)
        }
        _ => value(term, scene) == Some(Value::Bool(true)),
    }
}

/// A number that a condition's side gives, where it gives one.
pub(crate) fn number(term: &Term, scene: &Scene<'_>) -> Option<f64> {
    as_double(value(term, scene)?)
}

fn value<'a>(term: &'a Term, scene: &Scene<'a>) -> Option<Value<'a>> {
    match term {
        Term::Value(constant) => Some(of_constant(constant)),
        Term::Field(field) => read(*field, scene),
        Term::Negate(inner) => match value(inner, scene)? {
            Value::Int(number) => number.checked_neg().map(Value::Int),
            Value::Double(number) => Some(Value::Double(-number)),
            Value::Bool(_) | Value::Text(_) => None,
        },
        Term::Arithmetic(operation, a, b) => match (value(a, scene)?, value(b, scene)?) {
            (Value::Int(a), Value::Int(b)) => match operation {
                Arithmetic::Add => a.checked_add(b),
                Arithmetic::Subtract => a.checked_sub(b),
                Arithmetic::Multiply => a.checked_mul(b),
                Arithmetic::Divide => a.checked_div(b),
                Arithmetic::Remainder => a.checked_rem(b),
            }
            .map(Value::Int),
            (a, b) => {
                let (a, b) = (as_double(a)?, as_double(b)?);
                let made = match operation {
                    Arithmetic::Add => a + b,
                    Arithmetic::Subtract => a - b,
                    Arithmetic::Multiply => a * b,
                    Arithmetic::Divide => a / b,
                    Arithmetic::Remainder => return None,
                };
                made.is_finite().then_some(Value::Double(made))
            }
        },
        Term::Choice(parts) => {
            let [condition, then, otherwise] = &**parts;
            value(if holds(condition, scene) { then } else { otherwise }, scene)
        }
        Term::Size(of) => match value(of, scene)? {
            Value::Text(text) => Some(Value::Int(text.chars().count() as i64)),
            _ => None,
        },
        Term::Not(_) | Term::And(_) | Term::Or(_) | Term::Given(_) => Some(Value::Bool(holds(term, scene))),
        Term::Compare(..) | Term::In(..) | Term::Test(..) => Some(Value::Bool(holds(term, scene))),
    }
}

fn of_constant(constant: &Constant) -> Value<'_> {
    match constant {
        Constant::Bool(value) => Value::Bool(*value),
        Constant::Int(number) => Value::Int(*number),
        Constant::Double(number) => Value::Double(*number),
        Constant::Text(text) => Value::Text(text),
    }
}

fn as_double(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Int(number) => Some(number as f64),
        Value::Double(number) => Some(number),
        Value::Bool(_) | Value::Text(_) => None,
    }
}

fn compares(comparison: Comparison, a: Value<'_>, b: Value<'_>) -> bool {
    let order = match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(&b),
        (Value::Int(a), Value::Double(b)) => compare_mixed(a, b),
        (Value::Double(a), Value::Int(b)) => compare_mixed(b, a).map(Ordering::reverse),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
        _ => None,
    };
    order.is_some_and(|order| comparison.takes(order))
}

/// Compares by value, without losing what a double cannot hold of an int.
pub(crate) fn compare_mixed(a: i64, b: f64) -> Option<Ordering> {
    // 2^63: below it a double's whole part is an i64.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() {
        None
    } else if b >= LIMIT {
        Some(Ordering::Less)
    } else if b < -LIMIT {
        Some(Ordering::Greater)
    } else {
        let whole = b.trunc() as i64;
        Some(a.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&(b - b.trunc())).unwrap_or(Ordering::Equal)))
    }
}

impl Comparison {
    /// Whether two values in this order compare so.
    pub(crate) fn takes(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// Money as conditions see it. A quotient of two whole numbers below 2^53 is the double nearest to its decimal form, so
/// `order.value == 19.99` is exact.
fn amount(Money(micros): Money) -> Value<'static> {
    Value::Double(micros as f64 / 1e6)
}

/// A kind of node as conditions name it.
pub(crate) fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Dc => "dc",
        NodeKind::Store => "store",
        NodeKind::ThirdParty => "3pl",
        NodeKind::Vendor => "vendor",
        NodeKind::Supplier => "supplier",
    }
}

fn read<'a>(field: Field, scene: &Scene<'a>) -> Option<Value<'a>> {
    use Value::{Bool, Double, Int, Text};
    let Scene { order, line, time, node, miles } = *scene;
    let flag = |flags: u16, flag: u16| Some(Bool(flags & flag != 0));
    let degrees = |micros: i32| Some(Double(f64::from(micros) / 1e6));
    match field {
        Field::OrderChannel => Some(Int(i64::from(order.channel))),
        Field::OrderDelivery => Some(Text(match order.delivery {
            Way::Ship => "ship",
            Way::Pickup => "pickup",
            Way::ToStore => "to_store",
        })),
        Field::OrderPostal => Some(Text(order.postal)),
        Field::OrderLat => order.position.map(|position| Double(position.0)),
        Field::OrderLon => order.position.map(|position| Double(position.1)),
        Field::OrderLines => Some(Int(order.lines)),
        Field::OrderUnits => Some(Int(order.units)),
        Field::OrderValue => order.value.map(amount),
        Field::OrderWeight => Some(Int(order.weight_g)),
        Field::OrderHazmat => flag(order.flags, sku_flags::HAZMAT),
        Field::OrderOversize => flag(order.flags, sku_flags::OVERSIZE),
        Field::OrderCold => flag(order.flags, sku_flags::COLD),
        Field::LineSku => Some(Text(line.sku)),
        Field::LineGroup => Some(Text(line.group)),
        Field::LineKit => Some(Text(line.kit)),
        Field::LineQuantity => Some(Int(line.quantity)),
        Field::LineWeight => Some(Int(line.weight_g)),
        Field::LineHazmat => flag(line.flags, sku_flags::HAZMAT),
        Field::LineOversize => flag(line.flags, sku_flags::OVERSIZE),
        Field::LineCold => flag(line.flags, sku_flags::COLD),
        Field::NodeCode => node.map(|node| Text(&node.code)),
        Field::NodeKind => node.map(|node| Text(kind_name(node.kind))),
        Field::NodeGroup => node.map(|node| Text(&node.group)),
        Field::NodeSeller => node.map(|node| Text(&node.seller)),
        Field::NodeTimeZone => node.map(|node| Text(&node.time_zone)),
        Field::NodePriority => node.map(|node| Int(i64::from(node.priority))),
        Field::NodeLat => node.and_then(|node| degrees(node.position.lat_udeg)),
        Field::NodeLon => node.and_then(|node| degrees(node.position.lon_udeg)),
        Field::NodeHazmat => node.and_then(|node| flag(node.capabilities, sku_flags::HAZMAT)),
        Field::NodeOversize => node.and_then(|node| flag(node.capabilities, sku_flags::OVERSIZE)),
        Field::NodeCold => node.and_then(|node| flag(node.capabilities, sku_flags::COLD)),
        Field::NodeShips => node.and_then(|node| flag(node.capabilities, capabilities::SHIP)),
        Field::NodePickup => node.and_then(|node| flag(node.capabilities, capabilities::PICKUP)),
        Field::NodeCostPerOrder => node.map(|node| amount(node.cost_per_order)),
        Field::NodeCostPerLine => node.map(|node| amount(node.cost_per_line)),
        Field::NodeCostPerUnit => node.map(|node| amount(node.cost_per_unit)),
        Field::NodeMiles => Some(Int(miles)),
        Field::TimeYear => Some(Int(time.year)),
        Field::TimeMonth => Some(Int(time.month)),
        Field::TimeDay => Some(Int(time.day)),
        Field::TimeWeekday => Some(Int(time.weekday)),
        Field::TimeHour => Some(Int(time.hour)),
        Field::TimeMinute => Some(Int(time.minute)),
        Field::TimeDate => Some(Text(&time.date)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check::condition;

    fn says(text: &str) -> bool {
        let node = NodeSpec {
            code: "CHI-1".to_owned(),
            kind: NodeKind::Store,
            capabilities: capabilities::SHIP,
            cost_per_order: Money(250_000),
            ..NodeSpec::default()
        };
        let order =
            OrderFacts { postal: "60601", lines: 2, units: 5, weight_g: 900, ..OrderFacts::default() };
        let order = OrderFacts { value: text.contains("value").then_some(Money(19_990_000)), ..order };
        let line = LineFacts { sku: "S-1", quantity: 3, flags: sku_flags::COLD, ..LineFacts::default() };
        let time = TimeFacts { weekday: 6, hour: 23, date: "2026-11-28".to_owned(), ..TimeFacts::default() };
        let scene = Scene { order: &order, line: &line, time: &time, node: Some(&node), miles: 120 };
        holds(&condition(text).expect(text), &scene)
    }

    #[test]
    fn conditions_say_what_they_seem_to_say() {
        for text in [
            "node.kind == 'store' && node.code.startsWith(\"CHI\")",
            "order.value == 19.99 && order.value > 19 && order.value < 20",
            "node.miles <= order.units * 24",
            "time.weekday >= 6 ? line.cold : false",
            "line.quantity in [1, 3.0]",
            "order.units / 2 == 2 && order.units % 2 == 1 && order.units / 2.0 == 2.5",
            "size(order.postal) == 5 && order.postal.endsWith('01') && order.postal.contains('060')",
            "time.date >= '2026-11-27' && time.date <= '2026-11-30'",
            "node.cost_per_order == 0.25 && -node.priority == 0",
            "9007199254740993 != 9007199254740992.0",
            "order.hazmat == false && order.delivery != 'pickup'",
        ] {
            assert!(says(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_given_compares_with_nothing() {
        for text in
            ["order.lat > 0", "order.lat <= 0", "order.lat == 1", "order.lat != 1", "order.lat in [0]"]
        {
            assert!(!says(text), "{text}");
            assert!(says(&format!("!({text})")), "!({text})");
        }
        assert!(says("!has(order.lat) && has(node.kind)"));
    }

    #[test]
    fn arithmetic_that_cannot_be_done_compares_with_nothing() {
        for text in [
            "order.units / 0 == 0",
            "order.units % 0 >= 0",
            "order.units / 0.0 > 0",
            "order.units + 9223372036854775807 != 0",
            "order.units * 9223372036854775807 < 0",
        ] {
            assert!(!says(text), "{text}");
        }
    }
}
