//! Plans and reservations in words and as JSON, codes instead of handles. The daemon's types are the source of
//! both; nothing is computed here but sums.

use std::collections::BTreeMap;

use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::ids::{Money, TimestampMs};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{
    Carriage, Eliminated, Plan, PolicyView, ReservationView, RowView, Shipment, Status, Substituted, Upgrade,
};
use serde_json::{Value, json};

use super::codes::Names;
use super::table::Table;
use super::text::{class_text, moment_text};
use crate::data::field::day_text;
pub(super) use crate::data::field::money_text as money;

/// An amount for people, rounded to cents.
#[must_use]
pub(super) fn cents(amount: Money) -> String {
    format!("{:.2}", amount.0 as f64 / 1e6)
}

/// A status in a word.
#[must_use]
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Held => "held",
        Status::Confirmed => "confirmed",
        Status::Dispatched => "dispatched",
        Status::Ready => "ready",
        Status::Shipped => "shipped",
        Status::Collected => "collected",
        Status::Released => "released",
        Status::Expired => "expired",
        Status::Cancelled => "cancelled",
    }
}

/// A moment as JSON: `null` where there is none.
#[must_use]
pub(super) fn deadline_json(deadline: TimestampMs) -> Value {
    if deadline.0 == 0 { Value::Null } else { json!(moment_text(deadline)) }
}

/// A plan as JSON. Costs are texts, exact to the micro. Nothing is said to be the cheapest where nothing was chosen.
#[must_use]
pub(super) fn plan_json(plan: &Plan, names: &Names) -> Value {
    let mut json = cells_json(plan, names);
    if !plan.shipments.is_empty() {
        json["proven_cheapest"] = json!(plan.is_optimal());
    }
    json
}

/// What a hold of named cells got, in the form of a plan.
#[must_use]
pub(super) fn cells_json(plan: &Plan, names: &Names) -> Value {
    let shipments = plan.shipments.iter().map(|shipment| {
        let lines = shipment.lines.iter().map(|line| {
            json!({ "line": line.line, "sku": names.sku(line.sku), "segment": line.segment, "quantity": line.quantity })
        });
        json!({
            "node": names.node(shipment.node),
            "seller": names.seller(shipment.node),
            "miles": shipment.miles,
            "cost": money(shipment.cost),
            "policy_cost": money(shipment.policy_cost),
            "carriage": shipment.carriage.as_ref().map(|carriage| carriage_json(carriage, names)),
            "ship_at": deadline_json(shipment.ship_at_ms),
            "promise_at": deadline_json(shipment.promise_at_ms),
            "ship_day": (shipment.ship_day > 0).then(|| day_text(shipment.ship_day)),
            "supply_day": shipment.waits().then(|| day_text(shipment.supply_day)),
            "lines": lines.collect::<Vec<_>>(),
        })
    });
    let unfilled = plan.unfilled.iter().map(|unfilled| {
        json!({ "line": unfilled.line, "quantity": unfilled.quantity, "reason": unfilled.reason.name() })
    });
    let substituted = plan.substituted.iter().map(|Substituted { line, ordered, sent }| {
        json!({ "line": line, "ordered": names.sku(*ordered), "sent": names.sku(*sent) })
    });
    json!({
        "cost": money(plan.cost),
        "price": money(plan.price),
        "bound": money(plan.bound),
        "proven_cheapest": null,
        "policy": plan.policy,
        "eliminated": plan.eliminated,
        "review": plan.review,
        "substituted": substituted.collect::<Vec<_>>(),
        "saved": plan.saved.map(money),
        "upgrades": plan.upgrades,
        "shipments": shipments.collect::<Vec<_>>(),
        "unfilled": unfilled.collect::<Vec<_>>(),
    })
}

fn carriage_json(carriage: &Carriage, names: &Names) -> Value {
    json!({
        "service": names.service(carriage.service),
        "zone": carriage.zone,
        "transit_days": carriage.transit_days,
        "billable_g": carriage.billable_g,
        "freight": money(carriage.freight),
        "surcharges": money(carriage.surcharges),
    })
}

/// A plan as a table, with a line that says whether it is proven cheapest, where anything was chosen.
#[must_use]
pub(super) fn plan_text(plan: &Plan, names: &Names) -> String {
    let text = cells_text(plan, names);
    if plan.shipments.is_empty() { text } else { text + &format!("  {}\n", cost_text(plan)) }
}

/// The same of a hold of named cells: nothing was chosen or priced.
#[must_use]
pub(super) fn cells_text(plan: &Plan, names: &Names) -> String {
    let priced = plan.shipments.iter().any(|shipment| shipment.carriage.is_some());
    let waits = plan.shipments.iter().any(Shipment::waits);
    let mut columns = vec!["node", ">miles", ">cost", "ships at", "there by", ">line", "sku", ">quantity"];
    columns.extend(waits.then_some("waits for supply of"));
    if priced {
        columns.insert(3, "by");
    }
    let sold = plan.shipments.iter().any(|shipment| !names.seller(shipment.node).is_empty());
    if sold {
        columns.insert(1, "seller");
    }
    let mut table = Table::new(&columns);
    for shipment in &plan.shipments {
        for (place, line) in shipment.lines.iter().enumerate() {
            let first = |text: String| if place == 0 { text } else { String::new() };
            let mut row = vec![
                first(names.node(shipment.node)),
                first(shipment.miles.to_string()),
                first(cents(shipment.cost)),
                first(known_moment(shipment.ship_at_ms)),
                first(known_moment(shipment.promise_at_ms)),
                line.line.to_string(),
                names.sku(line.sku),
                line.quantity.to_string(),
            ];
            let day = shipment.waits().then(|| day_text(shipment.supply_day));
            row.extend(waits.then(|| day.unwrap_or_default()));
            if priced {
                let by = shipment.carriage.map(|carriage| names.service(carriage.service));
                row.insert(3, first(by.unwrap_or_default()));
            }
            if sold {
                row.insert(1, first(names.seller(shipment.node).to_owned()));
            }
            table.row(row);
        }
    }
    let mut text = if plan.shipments.is_empty() { String::new() } else { table.text("  ") };
    for unfilled in &plan.unfilled {
        let (line, quantity, reason) = (unfilled.line, unfilled.quantity, unfilled.reason);
        text +=
            &format!("  line {line}: {quantity} not filled, {}: {}\n", reason.name(), without_detail(reason));
    }
    text += &substituted_text(plan, names);
    if plan.review {
        text += "  the policy wants it reviewed: it has to be approved before it can be confirmed\n";
    }
    text
}

/// Which lines are sent as other skus than were ordered.
fn substituted_text(plan: &Plan, names: &Names) -> String {
    let of_line = |Substituted { line, ordered, sent }: &Substituted| {
        format!(
            "  line {line}: {} is sent for {}, of which there is too little\n",
            names.sku(*sent),
            names.sku(*ordered)
        )
    };
    plan.substituted.iter().map(of_line).collect()
}

/// A moment; empty where it is not known.
fn known_moment(moment: TimestampMs) -> String {
    if moment.0 == 0 { String::new() } else { moment_text(moment) }
}

/// What a plan costs and whether that is proven cheapest.
#[must_use]
pub(super) fn cost_text(plan: &Plan) -> String {
    let cost = match plan.price {
        Money(0) => cents(plan.cost),
        price => {
            format!("{} and {} of price for what orders to come may need", cents(plan.cost), cents(price))
        }
    };
    let shipments = plural(plan.shipments.len(), "shipment");
    match plan.saved {
        Some(Money(saved)) if saved < 0 => {
            let more = cents(Money(-saved));
            return format!(
                "{shipments}, {cost} in all, {more} more than before: another order saves more than that"
            );
        }
        Some(saved) => return format!("{shipments}, {cost} in all, {} less than before", cents(saved)),
        None => {}
    }
    if plan.is_optimal() {
        let waits = plan.shipments.iter().any(Shipment::waits);
        let of = if waits { " of those that send at once what is in stock" } else { "" };
        return format!("{shipments}, {cost} in all; proven cheapest{of}");
    }
    let gap = Money(plan.weighed().0 - plan.bound.0);
    format!("{shipments}, {cost} in all; at most {} above the cheapest there can be", cents(gap))
}

/// A reservation as JSON.
#[must_use]
pub(super) fn reservation_json(view: &ReservationView, names: &Names) -> Value {
    let rows = view.rows.iter().map(|row| {
        json!({
            "line": row.line,
            "sku": names.sku(row.sku),
            "node": names.node(row.node),
            "segment": row.segment,
            "held": row.held,
            "confirmed": row.confirmed,
            "dispatched": row.dispatched,
            "ready": row.ready,
            "shipped": row.shipped,
            "awaited": row.awaited,
            "backordered": row.backordered,
        })
    });
    let of_plan = if view.order.is_some() { plan_json } else { cells_json };
    json!({
        "id": view.id,
        "lsn": view.lsn,
        "status": status(view.status),
        "class": class_text(view.class),
        "deadline": deadline_json(view.deadline),
        "rows": rows.collect::<Vec<_>>(),
        "order": view.order.as_ref().map(|order| order_json(order, names)),
        "plans": view.plans.iter().map(|plan| of_plan(plan, names)).collect::<Vec<_>>(),
        "in_review": view.in_review,
    })
}

fn order_json(order: &Order, names: &Names) -> Value {
    let delivery = match &order.delivery {
        Delivery::Ship { position, postal, home } => json!({
            "ship": {
                "lat": f64::from(position.lat_udeg) / 1e6,
                "lon": f64::from(position.lon_udeg) / 1e6,
                "postal": postal,
                "home": home,
            }
        }),
        Delivery::Pickup { node } => json!({ "pickup": names.node(*node) }),
        Delivery::ToStore { node } => json!({ "to_store": names.node(*node) }),
    };
    let lines = order
        .lines
        .iter()
        .map(|line| json!({ "line": line.line, "sku": names.sku(line.sku), "quantity": line.quantity }));
    json!({
        "channel": order.channel,
        "delivery": delivery,
        "nodes": order.nodes.iter().map(|&node| names.node(node)).collect::<Vec<_>>(),
        "shipments_max": order.shipments_max,
        "value": order.value.map(money),
        "lines": lines.collect::<Vec<_>>(),
        "sellers": order.sellers,
        "substitutable": order.substitutable,
        "supply_by": order.supply_by.map(day_text),
    })
}

/// A reservation as a table.
#[must_use]
pub(super) fn reservation_text(view: &ReservationView, names: &Names) -> String {
    let mut text =
        format!("reservation {}: {}, class {}", view.id, status(view.status), class_text(view.class));
    if view.deadline.0 > 0 {
        text += &format!(", held until {}", moment_text(view.deadline));
    }
    if view.in_review {
        text += ", waiting for review";
    }
    text += &format!(", made at lsn {}\n", view.lsn);
    let mut columns =
        vec![">line", "sku", "node", ">segment", ">held", ">confirmed", ">dispatched", ">ready", ">shipped"];
    let waits = view.rows.iter().any(|row| row.awaited + row.backordered > 0);
    columns.extend(waits.then_some([">awaited", ">backordered"]).into_iter().flatten());
    let mut table = Table::new(&columns);
    for row in &view.rows {
        let RowView { line, sku, node, segment, held, confirmed, dispatched, ready, shipped, .. } = *row;
        let mut fields = vec![line.to_string(), names.sku(sku), names.node(node), segment.to_string()];
        fields.extend([held, confirmed, dispatched, ready, shipped].map(|units| units.to_string()));
        let of_supply = [row.awaited, row.backordered].map(|units| units.to_string());
        fields.extend(waits.then_some(of_supply).into_iter().flatten());
        table.row(fields);
    }
    let substituted = view.plans.iter().map(|plan| substituted_text(plan, names));
    text + &table.text("  ") + &kits_text(view, names) + &substituted.collect::<String>()
}

/// Which of a reservation's lines are of kits: their rows are of other skus.
fn kits_text(view: &ReservationView, names: &Names) -> String {
    let is_kit = |line: &&OrderLine| {
        let mut substituted = view.plans.iter().flat_map(|plan| &plan.substituted);
        view.rows.iter().any(|row| row.line == line.line && row.sku != line.sku)
            && substituted.all(|substituted| substituted.line != line.line)
    };
    let lines = view.order.iter().flat_map(|order| &order.lines).filter(is_kit);
    lines
        .map(|line| {
            format!("  line {} is of the kit {}, {} ordered\n", line.line, names.sku(line.sku), line.quantity)
        })
        .collect()
}

/// Why a reservation lies where it lies.
#[must_use]
pub(super) fn explanation(view: &ReservationView, names: &Names, policies: &Policies) -> String {
    let Some(order) = &view.order else {
        return format!("reservation {} is a plain hold of named cells: nothing was routed.\n", view.id);
    };
    let units: u64 = order.lines.iter().map(|line| u64::from(line.quantity)).sum();
    let wanted = format!("{} of {}", plural(units as usize, "unit"), plural(order.lines.len(), "line"));
    let mut text = match &order.delivery {
        Delivery::Ship { position, postal, home } => {
            let (lat, lon) = (f64::from(position.lat_udeg) / 1e6, f64::from(position.lon_udeg) / 1e6);
            let postal = if postal.is_empty() { String::new() } else { format!(" ({postal})") };
            let home = if *home { ", a home" } else { "" };
            format!("reservation {}: {wanted}, to be shipped to {lat}, {lon}{postal}{home}.\n", view.id)
        }
        Delivery::Pickup { node } => {
            format!("reservation {}: {wanted}, to be picked up at {}.\n", view.id, names.node(*node))
        }
        Delivery::ToStore { node } => {
            let node = names.node(*node);
            format!("reservation {}: {wanted}, to be shipped to {node} and picked up there.\n", view.id)
        }
    };
    if !order.nodes.is_empty() {
        let only: Vec<_> = order.nodes.iter().map(|&node| names.node(node)).collect();
        text += &format!("Only these nodes were allowed: {}.\n", only.join(", "));
    }
    if order.shipments_max > 0 {
        text += &format!("At most {} were allowed.\n", plural(order.shipments_max.into(), "shipment"));
    }
    if let Some(wished) = order.deliver_by_ms {
        text += &format!("It should be there by {}.\n", moment_text(wished));
    }
    for (place, plan) in view.plans.iter().enumerate() {
        text += &if place == 0 {
            "\nThe plan it was reserved with:\n".to_owned()
        } else if plan.saved.is_some() {
            format!("\nMoved ({place}), all of it, to where it costs less:\n")
        } else {
            format!("\nRouted again ({place}) after a node rejected it:\n")
        };
        for shipment in &plan.shipments {
            let lines: Vec<_> = shipment
                .lines
                .iter()
                .map(|line| format!("{} × {}", line.quantity, names.sku(line.sku)))
                .collect();
            let (node, miles, cost) = (names.node(shipment.node), shipment.miles, cents(shipment.cost));
            let of_policy = match shipment.policy_cost {
                Money(0) => String::new(),
                added => format!(", {} of it added by the policy", cents(added)),
            };
            let is_pickup = matches!(order.delivery, Delivery::Pickup { .. });
            let when = match shipment.ship_at_ms {
                TimestampMs(0) => String::new(),
                moment if is_pickup => format!("; it is ready at {}", moment_text(moment)),
                moment => format!("; it leaves at {}", moment_text(moment)),
            };
            let there = match shipment.promise_at_ms {
                moment if is_pickup || moment.0 == 0 => String::new(),
                moment => format!(" and is there by {}", moment_text(moment)),
            };
            let day = match shipment.ship_day {
                0 => String::new(),
                day => format!("; it counts against the node's limit for {}", day_text(day)),
            };
            let waits = match shipment.supply_day {
                0 => String::new(),
                day => format!("; it waits for supply of {}", day_text(day)),
            };
            let lines = lines.join(", ");
            text += &format!(
                "  {node} sends {lines} over {miles} miles for {cost}{of_policy}{waits}{when}{there}{day}.\n"
            );
            text += &carriage_text(shipment, names);
        }
        for Substituted { line, ordered, sent } in &plan.substituted {
            let (ordered, sent) = (names.sku(*ordered), names.sku(*sent));
            text += &format!(
                "  For line {line} it sends {sent}: there is too little of {ordered}, which was ordered.\n"
            );
        }
        for unfilled in &plan.unfilled {
            let (line, quantity, reason) = (unfilled.line, unfilled.quantity, unfilled.reason);
            text += &format!("  Line {line}: {quantity} found no place. {}\n", without_detail(reason));
        }
        // What was routed again in vain costs nothing, and obeys nothing.
        if !plan.shipments.is_empty() {
            text += &format!("  {}.\n", cost_text(plan));
            text += &policy_text(plan, policies);
        }
    }
    text
}

/// By which service a shipment goes, and what its cost is made of; empty where no carrier prices it.
#[must_use]
pub(super) fn carriage_text(shipment: &Shipment, names: &Names) -> String {
    let Some(Carriage { service, zone, transit_days, billable_g, freight, surcharges }) = shipment.carriage
    else {
        return String::new();
    };
    let own = shipment.cost.0 - shipment.policy_cost.0 - freight.0 - surcharges.0;
    let parts = [("freight", freight.0), ("surcharges", surcharges.0), ("the node", own)];
    let parts = parts.into_iter().filter(|(what, amount)| *what == "freight" || *amount != 0);
    let parts: Vec<_> = parts.map(|(what, amount)| format!("{what} {}", cents(Money(amount)))).collect();
    let (service, days) = (names.service(service), plural(transit_days.into(), "day"));
    let parts = parts.join(", ");
    format!("    by {service}, zone {zone}, {days} on the way, billed for {billable_g} g: {parts}\n")
}

/// Policies by version, as far as the daemon keeps them.
pub(super) type Policies = BTreeMap<u32, Option<PolicyView>>;

/// Which policy a plan obeys, and how many nodes each of its rules excluded.
#[must_use]
pub(super) fn policy_text(plan: &Plan, policies: &Policies) -> String {
    let version = plan.policy;
    if version == 0 {
        return "  No policy was in force.\n".to_owned();
    }
    let view = policies.get(&version).and_then(Option::as_ref);
    let name = |rule| rule_name(version, rule, policies);
    let mut text = match view {
        Some(view) => format!("  It obeys version {version} of the policy, {:?}", view.name),
        None => format!("  It obeys version {version} of the policy, whose text is kept no more"),
    };
    let (gave_way, excluded): (Vec<&Eliminated>, Vec<&Eliminated>) =
        plan.eliminated.iter().partition(|told| told.nodes == Eliminated::GAVE_WAY);
    for (place, eliminated) in excluded.iter().enumerate() {
        let rule = match eliminated.rule {
            Eliminated::LATE => "coming too late".to_owned(),
            rule => name(rule),
        };
        let nodes = plural(eliminated.nodes as usize, "node");
        text +=
            &if place == 0 { format!(": {rule} excluded {nodes}") } else { format!(", {rule} {nodes} more") };
    }
    if excluded.is_empty() {
        text += ": no rule excluded a node";
    }
    text += ".\n";
    for told in gave_way {
        let rule = name(told.rule);
        text += &format!(
            "  {rule} gave way where too little could be had by it: there its `otherwise` counted.\n"
        );
    }
    for Upgrade { rule, gave_way } in &plan.upgrades {
        let rule = name(*rule);
        text += &if *gave_way {
            format!(
                "  By {rule} it would go by the services that this rule names; they bring too little of it, so those of its \
                 `otherwise` may serve, too.\n"
            )
        } else {
            format!("  By {rule} it goes by the services that this rule names, and by no other.\n")
        };
    }
    text
}

/// What a rule of a version of the policy is called.
fn rule_name(version: u32, rule: u16, policies: &Policies) -> String {
    let view = policies.get(&version).and_then(Option::as_ref);
    match view.and_then(|view| view.rules.get(usize::from(rule))) {
        Some(name) => format!("{name:?}"),
        None => format!("rule {}", rule + 1),
    }
}

/// The rules that gave way for a plan, as a part of a sentence; empty where none did.
#[must_use]
pub(super) fn gave_way_text(plan: &Plan, policies: &Policies) -> String {
    let of_nodes = plan.eliminated.iter().filter(|told| told.nodes == Eliminated::GAVE_WAY);
    let of_services = plan.upgrades.iter().filter(|upgrade| upgrade.gave_way);
    let gave_way = of_nodes.map(|told| told.rule).chain(of_services.map(|upgrade| upgrade.rule));
    gave_way.map(|rule| format!(", and {} gives way", rule_name(plan.policy, rule, policies))).collect()
}

/// A number of things.
#[must_use]
pub(super) fn plural(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// What a refusal means, where nothing says its detail.
pub(super) fn without_detail(code: RefusalCode) -> String {
    let meaning = code.meaning();
    meaning.split_once("; detail ").map_or_else(|| meaning.to_owned(), |(said, _)| format!("{said}."))
}

#[cfg(test)]
mod tests {
    use earmark_protocol::ids::NodeIx;

    use super::*;

    #[test]
    fn a_meaning_without_its_detail_is_a_sentence() {
        assert_eq!(without_detail(RefusalCode::OutOfStock), "Not enough is available.");
        assert_eq!(without_detail(RefusalCode::SkuRetired), "The sku is out of sale.");
        for code in RefusalCode::ALL.iter().filter(|code| code.number() >= 70) {
            assert!(!without_detail(*code).contains("detail says the limit"), "{code:?}");
        }
    }

    #[test]
    fn a_plan_says_which_rules_excluded_nodes_and_which_gave_way() {
        let told = |rule, nodes| Eliminated { rule, nodes };
        let gave_way = |rule| told(rule, Eliminated::GAVE_WAY);
        let eliminated = vec![told(0, 3), gave_way(0), gave_way(1), told(Eliminated::LATE, 1)];
        let plan = Plan { policy: 4, eliminated, ..Plan::default() };
        let lines: Vec<_> =
            policy_text(&plan, &Policies::new()).lines().map(|line| line.trim().to_owned()).collect();
        assert!(lines[0].ends_with(": rule 1 excluded 3 nodes, coming too late 1 node more."), "{lines:?}");
        assert!(
            lines[1].starts_with("rule 1 gave way") && lines[2].starts_with("rule 2 gave way"),
            "{lines:?}"
        );
        assert_eq!(
            (lines.len(), gave_way_text(&plan, &Policies::new())),
            (3, ", and rule 1 gives way, and rule 2 gives way".to_owned())
        );
        let plan = Plan { eliminated: vec![gave_way(0)], ..plan };
        assert!(policy_text(&plan, &Policies::new()).contains(": no rule excluded a node.\n"));
    }

    #[test]
    fn what_was_not_routed_is_not_called_the_cheapest() {
        let (plan, names) = (Plan::default(), Names::default());
        assert_eq!(plan_text(&plan, &names), "");
        assert_eq!(plan_json(&plan, &names)["proven_cheapest"], Value::Null);
        let shipment = Shipment {
            node: NodeIx(0),
            miles: 0,
            cost: Money(0),
            policy_cost: Money(0),
            carriage: None,
            ship_at_ms: TimestampMs(0),
            promise_at_ms: TimestampMs(0),
            ship_day: 0,
            supply_day: 0,
            lines: Vec::new(),
        };
        let plan = Plan { shipments: vec![shipment], ..plan };
        assert!(plan_text(&plan, &names).contains("proven cheapest"));
        assert!(!cells_text(&plan, &names).contains("proven cheapest"));
        assert_eq!(plan_json(&plan, &names)["proven_cheapest"], true);
        assert_eq!(cells_json(&plan, &names)["proven_cheapest"], Value::Null);
    }

    #[test]
    fn a_plan_says_whether_it_is_proven_cheapest() {
        let plan = Plan { cost: Money(2_000_000), bound: Money(2_000_000), ..Plan::default() };
        assert_eq!(cost_text(&plan), "0 shipments, 2.00 in all; proven cheapest");
        let plan = Plan { bound: Money(1_750_000), ..plan };
        assert_eq!(
            cost_text(&plan),
            "0 shipments, 2.00 in all; at most 0.25 above the cheapest there can be"
        );
    }
}
