//! The engine's capacity and rules, from the configuration.

use earmark_engine::{Capacity, Class, Rules, Tariff};
use earmark_protocol::ids::{Money, Segment};

use crate::config::Config;

pub(super) fn capacity(config: &Config) -> Capacity {
    let crate::config::Capacity {
        skus,
        nodes,
        cells,
        reservations,
        lines,
        commands,
        facts_bytes,
        sku_code_bytes,
        movements,
    } = config.capacity;
    Capacity { skus, nodes, cells, reservations, lines, commands, facts_bytes, sku_code_bytes, movements }
}

pub(crate) fn rules(config: &Config) -> Rules {
    let (rules, routing, tariff) = (&config.rules, &config.routing, &config.tariff);
    let money = |micros: u64| Money(i64::try_from(micros).unwrap_or(i64::MAX));
    Rules {
        retry_window_ms: rules.retry_window_ms,
        id_future_ms: rules.id_future_ms,
        lines_max: rules.lines_max,
        shipments_max: rules.shipments_max,
        split_lines: routing.split_lines,
        attempt_lines_max: routing.attempt_lines_max,
        classes: rules
            .classes
            .iter()
            .map(|class| Class {
                name: class.name.clone(),
                lifetime_ms: class.lifetime_ms,
                lifetime_ms_max: class.lifetime_ms_max,
            })
            .collect(),
        channels: rules
            .channels
            .iter()
            .map(|channel| channel.segments.iter().copied().map(Segment).collect())
            .collect(),
        tariff: Tariff {
            shipment_base: money(tariff.shipment_base_micros),
            per_unit: money(tariff.per_unit_micros),
            per_unit_mile: money(tariff.per_unit_mile_micros),
        },
    }
}
