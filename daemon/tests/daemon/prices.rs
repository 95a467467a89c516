//! Prices for the future of stock: what is held teaches them, and plans mind them once they are learned.

use std::time::Duration;

use earmark::config::PriceMode;
use earmark_protocol::command::{CommandBody, Order, Reserve};
use earmark_protocol::ids::HoldClass;
use earmark_protocol::query::{Query, Quote};
use earmark_protocol::reply::{Plan, Reply};

use crate::world::{World, config, reserved};

/// How long learning may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// Looks at the price between two orders: so many take long enough that stock lasts for all of the deadline.
const QUOTES_PER_ORDER: usize = 500;

/// A world whose stock is to last for an hour of orders, and does not.
async fn world(mode: PriceMode) -> World {
    let mut config = config();
    (config.routing.prices, config.routing.prices_horizon_ms) = (mode, 3_600_000);
    World::start(config).await
}

async fn quote(world: &World, order: &Order) -> Plan {
    match world.client.query(Query::Quote(Quote { order: order.clone(), best_effort: false })).await.unwrap()
    {
        Reply::Quoted(plan) => plan,
        other => panic!("{other:?}"),
    }
}

async fn reserve(world: &World, order: &Order) {
    let body = CommandBody::Reserve(Reserve {
        order: order.clone(),
        class: HoldClass(0),
        lifetime_ms: 0,
        best_effort: false,
    });
    reserved(&world.client, body).await;
}

#[tokio::test]
async fn orders_that_are_held_teach_what_stock_is_worth_and_plans_are_chosen_by_it() {
    let world = world(PriceMode::Learned).await;
    let order = world.order(&world.skus[..2]);
    assert_eq!(quote(&world, &order).await.price.0, 0, "nothing is learned yet");
    let learned = async {
        loop {
            // Prices are learned once a second, and only where something was held since.
            reserve(&world, &order).await;
            for _ in 0..QUOTES_PER_ORDER {
                let plan = quote(&world, &order).await;
                if plan.price.0 > 0 {
                    return plan;
                }
            }
        }
    };
    let plan = tokio::time::timeout(DEADLINE, learned).await.expect("a price is learned");
    assert!(plan.is_optimal() && plan.weighed().0 == plan.cost.0 + plan.price.0);
    assert!(world.stat("orders").await > 0);
    world.stop().await;
}

#[tokio::test]
async fn where_prices_are_off_none_are_learned() {
    let world = world(PriceMode::Off).await;
    let order = world.order(&world.skus[..2]);
    for _ in 0..20 {
        reserve(&world, &order).await;
    }
    assert_eq!(quote(&world, &order).await.price.0, 0);
    world.stop().await;
}
