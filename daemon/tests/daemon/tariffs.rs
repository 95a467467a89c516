//! Tariffs are put while orders run; what is wrong with them is told by field and place, and then nothing changes.

use earmark_protocol::client::Client;
use earmark_protocol::command::CommandBody;
use earmark_protocol::ids::{Money, ServiceIx};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::{Field, RefusalCode};
use earmark_protocol::reply::{Refused, Reply};
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
