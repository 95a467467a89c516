//! A node ships so much a day and no more, however many order at once; and what is released makes room again.

use earmark_protocol::catalogue::{CalendarSpec, DayHours, DayLoad};
use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, Order, Reserve};
use earmark_protocol::ids::{CommandId, HoldClass, NodeIx, TimestampMs};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{NodeDay, Reply};

use crate::world::{World, client_config, config, done, step};

const CLIENTS: usize = 4;
const ORDERS: usize = 10;
const A_DAY: u32 = 5;

async fn days(client: &Client, from: u32) -> Vec<NodeDay> {
    match client.query(Query::NodeDays { from: NodeIx(from) }).await.unwrap() {
        Reply::NodeDays(days) => days,
        other => panic!("{other:?}"),
    }
}

/// Reserves the same order again and again; each reservation with its day and when it leaves.
async fn order(client: Client, order: Order) -> Vec<(CommandId, u32, TimestampMs)> {
    let mut made = Vec::new();
    for _ in 0..ORDERS {
        let (id, order) = (client.new_id(), order.clone());
        let body = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: false };
        let reply = client.command_as(id, CommandBody::Reserve(body)).await.unwrap();
        let Reply::Reserved(reserved) = reply else { panic!("{reply:?}") };
        let shipment = &reserved.plan.expect("it is routed").shipments[0];
        made.push((id, shipment.ship_day, shipment.ship_at_ms));
    }
    made
}

#[tokio::test]
async fn no_day_goes_over_its_limit_whoever_orders_at_once() {
    let world = World::start(config()).await;
    let client = &world.client;
    let hours = Some(DayHours { opens_min: 0, closes_min: 1_439, cut_off_min: 1_439 });
    let calendar = CalendarSpec { code: "daily".to_owned(), week: [hours; 7], ..CalendarSpec::default() };
    done(client, CommandBody::PutCalendars(vec![calendar])).await;
    let Reply::Nodes(mut nodes) = client.query(Query::Nodes { from: NodeIx(0) }).await.unwrap() else {
        panic!("nodes are known");
    };
    let mut east = nodes.swap_remove(0).spec;
    (east.calendar, east.day_limit) = ("daily".to_owned(), DayLoad { orders: A_DAY, ..DayLoad::default() });
    done(client, CommandBody::PutNodes(vec![east])).await;

    let only_east = Order { nodes: vec![world.nodes[0]], ..world.order(&world.skus[..2]) };
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let client = Client::connect(client_config(&world.daemon)).await.unwrap();
        clients.spawn(order(client, only_east.clone()));
    }
    let made = clients.join_all().await.concat();
    let taken = days(client, 0).await;
    assert!(taken.iter().all(|of| of.node == world.nodes[0] && of.taken.orders <= A_DAY), "{taken:?}");
    for NodeDay { day, taken, .. } in &taken {
        let of_day: Vec<_> = made.iter().filter(|(_, of, _)| of == day).collect();
        let orders = of_day.len() as u32;
        assert_eq!(*taken, DayLoad { orders, lines: 2 * orders, units: 2 * u64::from(orders) });
        assert!(of_day.iter().all(|(.., leaves)| *leaves == of_day[0].2), "a day has one departure");
    }
    assert_eq!(taken.iter().map(|of| of.taken.orders).sum::<u32>() as usize, CLIENTS * ORDERS);
    assert!(days(client, world.nodes[0].0 + 1).await.is_empty());

    let (first, day, leaves) = made.iter().min_by_key(|(.., leaves)| *leaves).copied().unwrap();
    done(client, CommandBody::Release(step(first))).await;
    assert_eq!(days(client, 0).await[0].taken.orders, A_DAY - 1);
    let (_, again, at) = order(client.clone(), only_east).await[0];
    assert_eq!((again, at), (day, leaves), "the first of ten gets the room");
    world.stop().await;
}
