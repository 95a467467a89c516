//! Tariffs are put while orders run; what is wrong with them is told by field and place, and then nothing changes.

use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, Delivery, Reserve};
use earmark_protocol::ids::{HoldClass, Money, ServiceIx};
use earmark_protocol::query::{Query, Quote};
use earmark_protocol::refusal::{Field, RefusalCode};
use earmark_protocol::reply::{Carriage, Plan, Refused, Reply, Reserved};
use earmark_protocol::tariff::{
    ChartRow, CurrencyRate, PriceStep, PutTariffs, ServiceSpec, TariffsView, ZoneSpec, ZoneTo,
};

use crate::world::{World, config, done};

async fn kept(client: &Client, from: u8) -> TariffsView {
    match client.query(Query::Tariffs { from: ServiceIx(from) }).await.unwrap() {
        Reply::Tariffs(view) => *view,
        other => panic!("{other:?}"),
    }
}

fn service(code: &str, currency: &str, chart: &str) -> ServiceSpec {
    let steps = |dollars: i64| vec![PriceStep { up_to_g: 5_000, price: Money(dollars * 1_000_000) }];
    let miles_max = if chart.is_empty() { 500 } else { 0 };
    ServiceSpec {
        carrier: "van".to_owned(),
        code: code.to_owned(),
        currency: currency.to_owned(),
        chart: chart.to_owned(),
        offered: true,
        zones: vec![ZoneSpec { zone: 1, miles_max, transit_days: 2, steps: steps(6) }],
        ..ServiceSpec::default()
    }
}

#[tokio::test]
async fn tariffs_are_kept_whole_and_a_mistake_changes_nothing() {
    let world = World::start(config()).await;
    let client = &world.client;
    assert_eq!(kept(client, 0).await, TariffsView::default());
    let zone = |zone| vec![ZoneTo { to: "1".to_owned(), zone }];
    let row = |zones| ChartRow { chart: "post".to_owned(), origin: "6".to_owned(), zones };
    let rates = vec![CurrencyRate { currency: "EUR".to_owned(), rate: Money(1_080_000) }];
    let services = vec![service("day", "", ""), service("night", "EUR", "post")];
    let put = PutTariffs { rates, charts: vec![row(zone(1))], services };
    done(client, CommandBody::PutTariffs(put.clone())).await;
    let first = kept(client, 0).await;
    assert_eq!((first.version, &first.rates), (1, &put.rates));
    assert_eq!(first.services.iter().map(|view| view.spec.clone()).collect::<Vec<_>>(), put.services);
    assert_eq!(kept(client, 1).await.services, first.services[1..]);
    assert!(kept(client, 2).await.services.is_empty());

    let alone = |spec| PutTariffs { services: vec![service("day", "", ""), spec], ..PutTariffs::default() };
    let charts = |zones| PutTariffs { charts: vec![row(zones)], ..PutTariffs::default() };
    let mut overlapping = service("noon", "", "");
    overlapping.zones[0].steps.push(PriceStep { up_to_g: 5_000, price: Money(1) });
    let none =
        PutTariffs { rates: vec![CurrencyRate { rate: Money(0), ..put.rates[0].clone() }], ..put.clone() };
    for (put, field, index, detail) in [
        (alone(service("noon", "GBP", "")), Field::Currency, 1, 0),
        (alone(service("noon", "", "rail")), Field::Chart, 1, 0),
        (alone(overlapping), Field::Steps, 1, 1),
        (alone(service("day", "", "")), Field::Service, 1, 0),
        (alone(ServiceSpec { zones: Vec::new(), ..service("noon", "", "") }), Field::Zone, 1, 0),
        (charts(zone(2)), Field::Zone, 0, 0),
        (charts(Vec::new()), Field::Chart, 0, 0),
        (none, Field::Currency, 0, 0),
    ] {
        let reply = client.command(CommandBody::PutTariffs(put)).await.unwrap();
        let Reply::Refused(Refused { refusal: refused, .. }) = reply else { panic!("{reply:?}") };
        assert_eq!((refused.code, refused.field), (RefusalCode::TariffInvalid, field), "{refused}");
        assert_eq!((refused.index, refused.detail), (Some(index), detail), "{refused}");
    }
    assert_eq!(kept(client, 0).await, first);
}

#[tokio::test]
async fn offered_services_price_what_is_shipped() {
    let world = World::start(config()).await;
    let client = &world.client;
    let mut order = world.order(&world.skus[..1]);
    let Delivery::Ship { home, .. } = &mut order.delivery else { panic!("it is shipped") };
    *home = true;
    let quote = || Query::Quote(Quote { order: order.clone(), best_effort: false });
    let planned = |reply: Reply| -> Plan {
        let Reply::Quoted(plan) = reply else { panic!("{reply:?}") };
        plan
    };
    let before = planned(client.query(quote()).await.unwrap());
    assert_eq!(before.shipments[0].carriage, None);

    let far = |code: &str, residential| ServiceSpec {
        residential: Money(residential),
        zones: vec![ZoneSpec { miles_max: 9_000, ..service(code, "", "").zones[0].clone() }],
        ..service(code, "", "")
    };
    let services = vec![far("dear", 3_000_000), far("day", 1_500_000)];
    done(client, CommandBody::PutTariffs(PutTariffs { services, ..PutTariffs::default() })).await;
    let plan = planned(client.query(quote()).await.unwrap());
    let carriage = plan.shipments[0].carriage.expect("a carrier prices it");
    let billable_g = carriage.billable_g;
    let (freight, surcharges) = (Money(6_000_000), Money(1_500_000));
    let expected =
        Carriage { service: ServiceIx(1), zone: 1, transit_days: 2, billable_g, freight, surcharges };
    assert_eq!(carriage, expected);
    assert!(plan.cost.0 >= 7_500_000 && plan.is_optimal(), "{plan:?}");

    let reserve = Reserve { order: order.clone(), class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    let Reply::Reserved(Reserved { plan: Some(held), .. }) =
        client.command(CommandBody::Reserve(reserve)).await.unwrap()
    else {
        panic!("it is held");
    };
    assert_eq!(held.shipments[0].carriage, Some(expected));

    let near = ["dear", "day"].map(|code| {
        let zones = vec![ZoneSpec { miles_max: 1, ..service(code, "", "").zones[0].clone() }];
        ServiceSpec { zones, ..service(code, "", "") }
    });
    done(client, CommandBody::PutTariffs(PutTariffs { services: near.to_vec(), ..PutTariffs::default() }))
        .await;
    let Reply::Refused(Refused { refusal, .. }) = client.query(quote()).await.unwrap() else {
        panic!("nothing goes there");
    };
    assert_eq!(refusal.code, RefusalCode::NoService, "{refusal}");
}
