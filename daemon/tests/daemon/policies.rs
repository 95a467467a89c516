//! A policy takes effect with the next order while orders run, loses none of them, and a bad one changes nothing.

use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, Reserve, SetPolicy, Step};
use earmark_protocol::ids::{HoldClass, NodeIx};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::{Field, RefusalCode};
use earmark_protocol::reply::{Plan, PolicyView, Reply, Reviews, Status};

use crate::world::{World, client_config, config, done, refusal, reserved};

fn set(text: &str) -> CommandBody {
    CommandBody::SetPolicy(SetPolicy { text: text.to_owned() })
}

fn excluding(node: &str) -> String {
    format!("name = 'not {node}'\n[[rule]]\nname = 'closed'\nexclude = 'node.code == \"{node}\"'\n")
}

async fn in_force(client: &Client, version: u32) -> Option<PolicyView> {
    match client.query(Query::Policy { version }).await.unwrap() {
        Reply::Policy(view) => view,
        other => panic!("{other:?}"),
    }
}

async fn reserve(world: &World, client: &Client) -> Reply {
    let order = world.order(&world.skus[..2]);
    let body = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    client.command(CommandBody::Reserve(body)).await.unwrap()
}

fn plan(reply: &Reply) -> &Plan {
    match reply {
        Reply::Reserved(reserved) => reserved.plan.as_ref().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn from(plan: &Plan) -> Vec<NodeIx> {
    plan.shipments.iter().map(|shipment| shipment.node).collect()
}

#[tokio::test]
async fn a_policy_rules_from_the_next_order_on_and_a_bad_one_changes_nothing() {
    let world = World::start(config()).await;
    let client = &world.client;
    assert_eq!(in_force(client, 0).await, None);
    let free = reserve(&world, client).await;
    assert_eq!((from(plan(&free)), plan(&free).policy), (vec![world.nodes[0]], 0));

    done(client, set(&excluding("east"))).await;
    let ruled = reserve(&world, client).await;
    assert_eq!((from(plan(&ruled)), plan(&ruled).policy), (vec![world.nodes[1]], 1));
    assert_eq!(
        plan(&ruled).eliminated.iter().map(|rule| (rule.rule, rule.nodes)).collect::<Vec<_>>(),
        [(0, 1)]
    );

    let bad =
        client.command(set("name = 'bad'\n[[rule]]\nname = 'a'\nexclude = 'node.knd == 1'\n")).await.unwrap();
    let Reply::Refused(refused) = &bad else { panic!("{bad:?}") };
    let told = (refused.refusal.code, refused.refusal.field, refused.refusal.index, refused.refusal.detail);
    assert_eq!(told, (RefusalCode::PolicyInvalid, Field::Policy, Some(4), 12));
    assert_eq!(
        from(plan(&reserve(&world, client).await)),
        [world.nodes[1]],
        "the policy before it is in force"
    );

    done(
        client,
        set("name = 'far'\n[[rule]]\nname = 'west first'\nprefer = 'node.code == \"west\"'\ncost = 1000\n"),
    )
    .await;
    let far = reserve(&world, client).await;
    assert_eq!((from(plan(&far)), plan(&far).policy), (vec![world.nodes[2]], 2));
    let view = in_force(client, 1).await.unwrap();
    assert_eq!((view.version, view.name.as_str(), view.rules), (1, "not east", vec!["closed".to_owned()]));
    assert_eq!(in_force(client, 0).await.map(|view| view.version), Some(2));
    assert_eq!(in_force(client, 3).await, None);
    world.stop().await;
}

#[tokio::test]
async fn what_the_policy_wants_reviewed_cannot_be_confirmed_before_it_is_approved() {
    let world = World::start(config()).await;
    let client = &world.client;
    let confirm =
        |reservation| CommandBody::Confirm(Step { reservation, lines: Vec::new(), best_effort: false });
    let show = async |id| match client.query(Query::Show(id)).await.unwrap() {
        Reply::Shown(view) => *view,
        other => panic!("{other:?}"),
    };
    let waiting = async || match client.query(Query::Reviews { from: 0 }).await.unwrap() {
        Reply::Reviews(Reviews { next: None, waiting }) => waiting,
        other => panic!("{other:?}"),
    };
    done(client, set("name = 'careful'\nreview_when = 'order.units > 1'\n")).await;

    let order = world.order(&world.skus[..2]);
    let body = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    let (waits, answer) = reserved(client, CommandBody::Reserve(body.clone())).await;
    assert!(answer.plan.as_ref().is_some_and(|plan| plan.review) && show(waits).await.in_review);
    let refused = client.command(confirm(waits)).await.unwrap();
    assert_eq!(refusal(&refused), Some(RefusalCode::InReview));
    let [view] = waiting().await[..] else { panic!("one reservation waits") };
    assert_eq!((view.reservation, view.units, view.value, view.policy), (waits, 2, None, 1));
    assert_eq!(view.deadline, answer.deadline);
    done(client, CommandBody::Approve(waits)).await;
    assert_eq!(waiting().await, Vec::new());
    let again = client.command(CommandBody::Approve(waits)).await.unwrap();
    assert_eq!(refusal(&again), Some(RefusalCode::WrongStatus), "it waits no more");
    done(client, confirm(waits)).await;
    assert_eq!((show(waits).await.status, show(waits).await.in_review), (Status::Confirmed, false));

    let order = world.order(&world.skus[..1]);
    let (small, answer) = reserved(client, CommandBody::Reserve(Reserve { order, ..body })).await;
    assert!(answer.plan.is_some_and(|plan| !plan.review));
    done(client, confirm(small)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_change_of_policy_loses_no_order_and_none_after_it_obeys_the_old_one() {
    let daemon = earmark::serve::Daemon::start(config()).unwrap();
    let client = Client::connect(client_config(&daemon)).await.unwrap();
    let world = std::sync::Arc::new(World::stock(daemon, client, 4, 1_000_000).await);
    done(&world.client, set(&excluding("middle"))).await;
    let stop = tokio::sync::watch::channel(false);
    let mut workers = Vec::new();
    for _ in 0..6 {
        let (world, stop) = (std::sync::Arc::clone(&world), stop.1.clone());
        let client = Client::connect(client_config(&world.daemon)).await.unwrap();
        workers.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            while !*stop.borrow() {
                let reply = reserve(&world, &client).await;
                let Reply::Reserved(reserved) = &reply else {
                    assert_eq!(refusal(&reply), Some(RefusalCode::Contended), "{reply:?}");
                    continue;
                };
                seen.push((reserved.lsn, plan(&reply).policy, from(plan(&reply))));
            }
            seen
        }));
    }
    let mut changes = Vec::new();
    for turn in 0..20_u64 {
        let before = world.stat("commands").await;
        while world.stat("commands").await < before + 20 {
            tokio::task::yield_now().await;
        }
        let node = if turn % 2 == 0 { "east" } else { "middle" };
        changes.push(done(&world.client, set(&excluding(node))).await.lsn);
    }
    stop.0.send(true).unwrap();
    let mut orders = 0;
    for worker in workers {
        for (lsn, version, nodes) in worker.await.unwrap() {
            let in_force = 1 + changes.iter().filter(|change| **change < lsn).count() as u32;
            assert_eq!(version, in_force, "an order at lsn {lsn}");
            let closed = if version % 2 == 0 { world.nodes[0] } else { world.nodes[1] };
            assert!(!nodes.contains(&closed), "version {version} excludes {closed}");
            orders += 1;
        }
    }
    assert!(orders > 100, "{orders} orders");
    std::sync::Arc::into_inner(world).unwrap().stop().await;
}
