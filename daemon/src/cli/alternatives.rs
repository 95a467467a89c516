//! What else an order could have had: in one shipment, without each of the nodes that ship, and from the nearest nodes that
//! do not. The daemon is asked for a quote of each, so no plan is made here; and since it is asked one after the other, each
//! is of its own moment.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use earmark_protocol::catalogue::{DayLoad, NodeState, capabilities};
use earmark_protocol::client::Client;
use earmark_protocol::command::{Delivery, Order};
use earmark_protocol::ids::{LineId, Money, NodeIx};
use earmark_protocol::query::{Query, Quote};
use earmark_protocol::refusal::{Refusal, RefusalCode};
use earmark_protocol::reply::{NodeView, Plan, Reply, Substituted};
use serde_json::{Value, json};

use super::codes::{Names, Unnamed, all_nodes};
use super::outcome::Failure;
use super::words::{Policies, cents, gave_way_text, plan_json, plural, without_detail};

/// Chosen nodes that are left out, one at a time, at most: those whose shipments cost most.
const WITHOUT_MAX: usize = 6;
/// Nearest nodes that do not ship, and are asked why.
const NEAR_MAX: usize = 3;

/// What a quote says.
type Quoted = Result<Plan, Refusal>;

/// What else there would be.
pub(super) struct Alternatives {
    /// All in one shipment, where the plan has more.
    one: Option<Quoted>,
    /// Without a node that ships.
    without: Vec<(NodeIx, Quoted)>,
    /// Where that could not be asked: how many nodes would have to be named, and how many an order may name.
    too_many: Option<(usize, usize)>,
    /// From one near node alone, as far as it goes.
    near: Vec<Near>,
}

/// A near node that ships nothing.
struct Near {
    node: NodeIx,
    miles: u32,
    state: NodeState,
    able: bool,
    /// Whether the order wishes a time.
    wished: bool,
    /// Whether its days take so much and no more.
    limited: bool,
    quoted: Quoted,
}

/// Asks for a quote.
pub(super) async fn ask(
    client: &Client,
    order: Order,
    best_effort: bool,
    attempted: &str,
) -> Result<Quoted, Failure> {
    let reply = client.query(Query::Quote(Quote { order, best_effort })).await;
    match reply.map_err(|error| Failure::client(attempted, &error))? {
        Reply::Quoted(plan) => Ok(Ok(plan)),
        Reply::Refused(refused) => Ok(Err(refused.refusal)),
        _ => Err(Failure::unexpected(attempted)),
    }
}

/// Asks what else there would be than this plan. `None` for a pickup: there is nothing to choose.
pub(super) async fn alternatives(
    client: &Client,
    order: &Order,
    plan: &Plan,
    best_effort: bool,
) -> Result<Option<Alternatives>, Failure> {
    let attempted = "asking for alternatives";
    if matches!(order.delivery, Delivery::Pickup { .. }) {
        return Ok(None);
    }
    let nodes = all_nodes(client).await?;
    let to = match &order.delivery {
        Delivery::Ship { position, .. } => Some(*position),
        Delivery::Pickup { node } | Delivery::ToStore { node } => {
            nodes.iter().find(|view| view.node == *node).map(|view| view.spec.position)
        }
    };
    let Some(to) = to.map(|position| position.zone().centre()) else { return Ok(None) };
    let one = match plan.shipments.len() {
        0 | 1 => None,
        _ => Some(ask(client, Order { shipments_max: 1, ..order.clone() }, false, attempted).await?),
    };
    let may_serve = |node: &&NodeView| order.nodes.is_empty() || order.nodes.contains(&node.node);
    let listed: Vec<NodeIx> = nodes.iter().filter(may_serve).map(|node| node.node).collect();
    let chosen = dearest_first(plan);
    let mut without = Vec::new();
    let (others, room) = (listed.len().saturating_sub(1), client.hello().limits.lines_max as usize);
    let too_many = (others > room && !chosen.is_empty()).then_some((others, room));
    for node in chosen.iter().take(WITHOUT_MAX).filter(|_| (1..=room).contains(&others)) {
        let others = listed.iter().copied().filter(|other| other != node).collect();
        let asked = Order { nodes: others, ..order.clone() };
        without.push((*node, ask(client, asked, best_effort, attempted).await?));
    }
    let ships = |node: &NodeView| plan.shipments.iter().any(|shipment| shipment.node == node.node);
    let mut idle: Vec<_> = nodes.iter().filter(may_serve).filter(|node| !ships(node)).collect();
    idle.sort_by_cached_key(|node| (node.spec.position.miles_to(to), node.spec.code.clone()));
    let mut near = Vec::new();
    for node in idle.into_iter().take(NEAR_MAX) {
        let alone = Order { nodes: vec![node.node], ..order.clone() };
        near.push(Near {
            node: node.node,
            miles: node.spec.position.miles_to(to),
            state: node.state,
            able: node.spec.capabilities & capabilities::SHIP != 0,
            wished: order.deliver_by_ms.is_some(),
            limited: node.spec.day_limit != DayLoad::default(),
            quoted: ask(client, alone, true, attempted).await?,
        });
    }
    Ok(Some(Alternatives { one, without, too_many, near }))
}

/// The nodes that ship, each once, those first whose shipments cost most.
fn dearest_first(plan: &Plan) -> Vec<NodeIx> {
    let mut costs: BTreeMap<NodeIx, i64> = BTreeMap::new();
    for shipment in &plan.shipments {
        *costs.entry(shipment.node).or_default() += shipment.cost.0;
    }
    let mut nodes: Vec<_> = costs.into_iter().map(|(node, cost)| (Reverse(cost), Reverse(node))).collect();
    nodes.sort_unstable();
    nodes.into_iter().map(|(_, Reverse(node))| node).collect()
}

impl Alternatives {
    /// The plans of all of them.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Plan> {
        let quoted = self.one.iter().chain(self.without.iter().map(|(_, quoted)| quoted));
        quoted.chain(self.near.iter().map(|near| &near.quoted)).flatten()
    }

    /// What needs a name.
    pub(super) fn unnamed(&self, unnamed: &mut Unnamed) {
        self.plans().for_each(|plan| unnamed.plan(plan));
        self.without.iter().for_each(|(node, _)| unnamed.node(*node));
        self.near.iter().for_each(|near| unnamed.node(near.node));
    }

    /// In words, beside the plan they are alternatives to.
    pub(super) fn text(&self, plan: &Plan, names: &Names, policies: &Policies) -> String {
        let mut text = String::new();
        if let Some(one) = &self.one {
            text += &match one {
                Ok(other) => format!("  In one shipment: {}.\n", beside(plan, other, names, policies)),
                Err(refusal) => format!("  In one shipment it cannot be had: {}.\n", why(refusal)),
            };
        }
        for (node, quoted) in &self.without {
            let node = names.node(*node);
            text += &match quoted {
                Ok(other) => format!("  Without {node}: {}.\n", beside(plan, other, names, policies)),
                Err(refusal) => format!("  Without {node} it cannot be had: {}.\n", why(refusal)),
            };
        }
        if let Some((others, room)) = self.too_many {
            text += &format!(
                "  Without a node that ships: not asked, since an order names at most {room} nodes, not {others}.\n"
            );
        }
        for near in &self.near {
            text += &format!(
                "  {}, {} miles away, ships nothing: {}.\n",
                names.node(near.node),
                near.miles,
                near.reason(plan, names, policies)
            );
        }
        text
    }

    /// As JSON.
    pub(super) fn json(&self, names: &Names) -> Value {
        let quoted = |quoted: &Quoted| match quoted {
            Ok(plan) => json!({ "plan": plan_json(plan, names), "refused": null }),
            Err(refusal) => json!({ "plan": null, "refused": refusal.code.name() }),
        };
        let of = |node: NodeIx, of: &Quoted| {
            let mut json = quoted(of);
            json["node"] = json!(names.node(node));
            json
        };
        let near = self.near.iter().map(|near| {
            let mut json = of(near.node, &near.quoted);
            json["miles"] = json!(near.miles);
            json
        });
        let without: Vec<_> = self.without.iter().map(|(node, quoted)| of(*node, quoted)).collect();
        json!({
            "one_shipment": self.one.as_ref().map(quoted),
            "without": self.too_many.is_none().then_some(without),
            "near": near.collect::<Vec<_>>(),
        })
    }
}

impl Near {
    /// Why it ships nothing.
    fn reason(&self, plan: &Plan, names: &Names, policies: &Policies) -> String {
        match (&self.quoted, self.state) {
            (_, NodeState::Paused) => "it is paused".to_owned(),
            (_, NodeState::Retired) => "it is retired".to_owned(),
            (_, NodeState::Active) if !self.able => "it ships nothing to addresses".to_owned(),
            (Ok(alone), _) if alone.unfilled.is_empty() => {
                let (cost, compared) = (cents(alone.cost), compared(plan, alone));
                format!(
                    "all of it from there would cost {cost}, {compared}{}{}",
                    sent_text(alone, names),
                    gave_way_text(alone, policies)
                )
            }
            (Ok(alone), _) => {
                let mut lines: Vec<LineId> = alone.unfilled.iter().map(|unfilled| unfilled.line).collect();
                lines.dedup();
                let (first, more) = (lines[0], lines.len() - 1);
                let more =
                    if more == 0 { String::new() } else { format!(" and {}", plural(more, "other line")) };
                let reason = alone.unfilled[0].reason;
                format!("it could not serve line {first}{more} whole: {}", lower(&without_detail(reason)))
            }
            (Err(Refusal { code: RefusalCode::NoNode, .. }), _) => {
                let late = if self.wished { ", or it would come too late" } else { "" };
                let full = if self.limited { ", or its day is full" } else { "" };
                format!("a rule of the policy keeps it out{late}{full}")
            }
            (Err(refusal), _) => why(refusal),
        }
    }
}

/// A plan in half a sentence, beside the one that was chosen.
fn beside(plan: &Plan, other: &Plan, names: &Names, policies: &Policies) -> String {
    let nodes = other.shipments.iter().map(|shipment| {
        let waits = if shipment.waits() { " (when supply has come)" } else { "" };
        names.node(shipment.node) + waits
    });
    let nodes = nodes.collect::<Vec<_>>().join(" + ");
    let (sent, gave_way) = (sent_text(other, names), gave_way_text(other, policies));
    let missing: u64 = other.unfilled.iter().map(|unfilled| u64::from(unfilled.quantity)).sum();
    let missed: u64 = plan.unfilled.iter().map(|unfilled| u64::from(unfilled.quantity)).sum();
    if missing > missed {
        let less = plural((missing - missed) as usize, "unit");
        return format!("{nodes} for {}, but {less} less{sent}{gave_way}", cents(other.cost));
    }
    format!("{nodes} for {}, {}{sent}{gave_way}", cents(other.cost), compared(plan, other))
}

/// What a plan sends for what was ordered, as a part of a sentence; empty where it sends just that.
fn sent_text(plan: &Plan, names: &Names) -> String {
    let of_line = |Substituted { ordered, sent, .. }: &Substituted| {
        format!(", {} sent for {}", names.sku(*sent), names.sku(*ordered))
    };
    plan.substituted.iter().map(of_line).collect()
}

/// How a cost compares.
fn compared(plan: &Plan, other: &Plan) -> String {
    let apart = Money((other.cost.0 - plan.cost.0).abs());
    match other.cost.cmp(&plan.cost) {
        // What it saves today is worth more to orders to come.
        Ordering::Less | Ordering::Equal if other.price > plan.price => {
            let price = Money(other.price.0 - plan.price.0);
            format!(
                "{} less, but {} more of price for what orders to come may need",
                cents(apart),
                cents(price)
            )
        }
        Ordering::Greater => format!("{} more", cents(apart)),
        Ordering::Equal => "the same".to_owned(),
        Ordering::Less => format!("{} less", cents(apart)),
    }
}

fn why(refusal: &Refusal) -> String {
    lower(&without_detail(refusal.code))
}

/// A sentence as a part of another.
fn lower(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    letters
        .next()
        .map(|first| first.to_lowercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use earmark_protocol::ids::{SkuIx, TimestampMs};
    use earmark_protocol::reply::{Shipment, Upgrade};

    use super::*;

    #[test]
    fn a_node_with_two_shipments_is_left_out_once_and_by_what_both_cost() {
        let shipment = |node, cost| Shipment {
            node: NodeIx(node),
            miles: 0,
            cost: Money(cost),
            policy_cost: Money(0),
            carriage: None,
            ship_at_ms: TimestampMs(0),
            promise_at_ms: TimestampMs(0),
            ship_day: 0,
            supply_day: 0,
            lines: Vec::new(),
        };
        let shipments = vec![shipment(4, 5), shipment(2, 7), shipment(4, 3)];
        let plan = Plan { shipments, ..Plan::default() };
        assert_eq!(dearest_first(&plan), [NodeIx(4), NodeIx(2)]);
    }

    #[test]
    fn an_alternative_says_which_rule_gives_way_for_it() {
        let upgrades = vec![Upgrade { rule: 3, gave_way: true }, Upgrade { rule: 4, gave_way: false }];
        let other = Plan { cost: Money(1_500_000), policy: 2, upgrades, ..Plan::default() };
        let said = beside(&Plan::default(), &other, &Names::default(), &Policies::new());
        assert_eq!(said, " for 1.50, 1.50 more, and rule 4 gives way");
    }

    #[test]
    fn what_cannot_be_asked_of_so_many_nodes_is_said() {
        let others = Alternatives {
            one: None,
            without: Vec::new(),
            too_many: Some((12_000, 10_000)),
            near: Vec::new(),
        };
        let names = Names::default();
        let text = others.text(&Plan::default(), &names, &Policies::new());
        assert!(text.contains("an order names at most 10000 nodes, not 12000"), "{text}");
        assert_eq!(others.json(&names)["without"], Value::Null);
    }

    #[test]
    fn an_alternative_says_what_it_sends_for_what_was_ordered() {
        let substituted = vec![Substituted { line: LineId(1), ordered: SkuIx(7), sent: SkuIx(9) }];
        let other = Plan { cost: Money(1_500_000), substituted, ..Plan::default() };
        let (names, policies) = (Names::default(), Policies::new());
        let (ordered, sent) = (names.sku(SkuIx(7)), names.sku(SkuIx(9)));
        let said = beside(&Plan::default(), &other, &names, &policies);
        assert_eq!(said, format!(" for 1.50, 1.50 more, {sent} sent for {ordered}"));
        let near = Near {
            node: NodeIx(0),
            miles: 3,
            state: NodeState::Active,
            able: true,
            wished: false,
            limited: false,
            quoted: Ok(other),
        };
        let said = near.reason(&Plan::default(), &names, &policies);
        assert_eq!(
            said,
            format!("all of it from there would cost 1.50, 1.50 more, {sent} sent for {ordered}")
        );
    }

    #[test]
    fn costs_are_compared_in_words() {
        let plan = |cost| Plan { cost: Money(cost), ..Plan::default() };
        assert_eq!(compared(&plan(1_000_000), &plan(1_500_000)), "0.50 more");
        assert_eq!(compared(&plan(1_000_000), &plan(1_000_000)), "the same");
        assert_eq!(compared(&plan(1_000_000), &plan(750_000)), "0.25 less");
        assert_eq!(lower("Not enough is available."), "not enough is available");
    }
}
