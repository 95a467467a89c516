//! Whether tariffs are sound: what they name is there, their steps rise without holes, and every zone has prices.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use earmark_protocol::catalogue::{CODE_LEN_MAX, POSTAL_LEN_MAX};
use earmark_protocol::ids::Money;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::tariff::{PutTariffs, SERVICES_MAX, STEPS_MAX, ServiceSpec, ZONES_MAX};

use super::{Tariffs, is_same};

/// Amounts stay below this many micros, in every currency, so that sums over any order fit 64 bits.
const AMOUNT_MAX: i64 = 1_000_000_000_000;
/// A rate stays below this many micros.
const RATE_MAX: i64 = 1_000_000_000_000;
/// Fuel of 100 %.
const FUEL_BP_MAX: u16 = 10_000;

/// What is wrong with tariffs, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// In which part.
    pub part: Part,
    /// Of which field.
    pub field: Field,
    /// What stands in the way, and what to do.
    pub reason: String,
}

/// A part of what was put, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A rate.
    Rate(usize),
    /// A row of a chart.
    ChartRow(usize),
    /// A service as a whole.
    Service(usize),
    /// A zone of a service.
    Zone {
        /// The service.
        service: usize,
        /// The zone's place in it.
        zone: usize,
    },
    /// A price step of a zone of a service.
    Step {
        /// The service.
        service: usize,
        /// The zone's place in it.
        zone: usize,
        /// The step's place in the zone.
        step: usize,
    },
}

impl Mistake {
    /// The refusal that says where it is.
    pub(crate) fn refusal(&self, put: &PutTariffs) -> Refusal {
        let refusal = Refusal::of(RefusalCode::TariffInvalid, self.field);
        match self.part {
            Part::Rate(index) | Part::ChartRow(index) | Part::Service(index) => refusal.at(index),
            Part::Zone { service, zone } | Part::Step { service, zone, .. } => {
                refusal.at(service).detail(i64::from(put.services[service].zones[zone].zone))
            }
        }
    }
}

/// Collects what is wrong.
#[derive(Default)]
struct Found(Vec<Mistake>);

impl Found {
    fn push(&mut self, part: Part, field: Field, reason: impl fmt::Display) {
        self.0.push(Mistake { part, field, reason: reason.to_string() });
    }

    fn text(&mut self, part: Part, field: Field, text: &str, len_max: usize) {
        if text.is_empty() || text.len() > len_max || text.chars().any(char::is_control) {
            let reason = format!("{text:?} is no name; give 1 to {len_max} bytes without control characters");
            self.push(part, field, reason);
        }
    }

    fn amount(&mut self, part: Part, field: Field, amount: Money) {
        if !(0..=AMOUNT_MAX).contains(&amount.0) {
            self.push(part, field, format!("an amount is below 0, or above {}", AMOUNT_MAX / 1_000_000));
        }
    }
}

/// All that is wrong with `put` where these are the tariffs so far.
#[must_use]
pub fn mistakes(before: &Tariffs, put: &PutTariffs) -> Vec<Mistake> {
    let mut found = Found::default();
    rates(put, &mut found);
    charts(put, &mut found);
    services(before, put, &mut found);
    if found.0.is_empty() {
        let mut after = before.clone();
        after.put(put);
        references(&after, put, &mut found);
    }
    found.0
}

fn rates(put: &PutTariffs, found: &mut Found) {
    let mut seen = HashSet::new();
    for (index, rate) in put.rates.iter().enumerate() {
        let part = Part::Rate(index);
        found.text(part, Field::Currency, &rate.currency, CODE_LEN_MAX);
        if !(1..=RATE_MAX).contains(&rate.rate.0) {
            found.push(
                part,
                Field::Currency,
                format!("a rate is above 0 and at most {}", RATE_MAX / 1_000_000),
            );
        }
        if !seen.insert(&rate.currency) {
            found.push(part, Field::Currency, format!("{:?} has a rate already; give one", rate.currency));
        }
    }
}

fn charts(put: &PutTariffs, found: &mut Found) {
    let mut seen = HashSet::new();
    for (index, row) in put.charts.iter().enumerate() {
        let part = Part::ChartRow(index);
        found.text(part, Field::Chart, &row.chart, CODE_LEN_MAX);
        found.text(part, Field::Postal, &row.origin, CODE_LEN_MAX);
        if !seen.insert((&row.chart, &row.origin)) {
            let reason = format!("origin {:?} stands twice in chart {:?}", row.origin, row.chart);
            found.push(part, Field::Postal, reason);
        }
        let mut to = HashSet::new();
        for pair in &row.zones {
            found.text(part, Field::Postal, &pair.to, POSTAL_LEN_MAX);
            if !to.insert(&pair.to) {
                let reason = format!("destination {:?} stands twice for origin {:?}", pair.to, row.origin);
                found.push(part, Field::Zone, reason);
            }
        }
    }
}

fn services(before: &Tariffs, put: &PutTariffs, found: &mut Found) {
    let mut new = 0;
    for (index, spec) in put.services.iter().enumerate() {
        let part = Part::Service(index);
        found.text(part, Field::Service, &spec.carrier, CODE_LEN_MAX);
        found.text(part, Field::Service, &spec.code, CODE_LEN_MAX);
        if put.services[..index].iter().any(|earlier| is_same(earlier, spec)) {
            let reason = format!("service {:?} of carrier {:?} stands twice", spec.code, spec.carrier);
            found.push(part, Field::Service, reason);
        }
        new += usize::from(!before.services.iter().any(|known| is_same(known, spec)));
        if before.services.len() + new > SERVICES_MAX {
            found.push(
                part,
                Field::Service,
                format!("there are {SERVICES_MAX} services already, the most there can be"),
            );
        }
        for amount in [spec.residential, spec.oversize, spec.hazmat] {
            found.amount(part, Field::Cost, amount);
        }
        if spec.fuel_bp > FUEL_BP_MAX {
            found.push(part, Field::Cost, "fuel is above 100 %");
        }
        zones(index, spec, found);
    }
}

fn zones(service: usize, spec: &ServiceSpec, found: &mut Found) {
    let whole = Part::Service(service);
    if spec.zones.is_empty() {
        found.push(
            whole,
            Field::Zone,
            format!("service {:?} has no prices; give at least one zone", spec.code),
        );
    }
    if spec.zones.len() > ZONES_MAX {
        found.push(whole, Field::Zone, format!("it has more than {ZONES_MAX} zones"));
    }
    if spec.zones.iter().map(|zone| zone.steps.len()).sum::<usize>() > STEPS_MAX {
        found.push(whole, Field::Steps, format!("it has more than {STEPS_MAX} price steps"));
    }
    let mut miles = 0;
    for (place, zone) in spec.zones.iter().enumerate() {
        let part = Part::Zone { service, zone: place };
        if spec.zones[..place].iter().any(|earlier| earlier.zone == zone.zone) {
            found.push(part, Field::Zone, format!("zone {} stands twice", zone.zone));
        }
        if spec.chart.is_empty() {
            if zone.miles_max <= miles {
                let reason = format!(
                    "zone {} reaches {} miles and the one before it {miles}; each must reach farther",
                    zone.zone, zone.miles_max
                );
                found.push(part, Field::Zone, reason);
            }
            miles = zone.miles_max;
        } else if zone.miles_max != 0 {
            found.push(part, Field::Zone, "it reaches some miles, but its service's zones come from a chart");
        }
        if zone.steps.is_empty() {
            found.push(part, Field::Steps, format!("zone {} has no prices", zone.zone));
        }
        let mut heaviest = 0;
        for (step, price) in zone.steps.iter().enumerate() {
            let part = Part::Step { service, zone: place, step };
            if price.up_to_g <= heaviest {
                let reason = format!(
                    "a step up to {} g overlaps the one before it, which ends at {heaviest} g",
                    price.up_to_g
                );
                found.push(part, Field::Steps, reason);
            }
            heaviest = price.up_to_g;
            found.amount(part, Field::Cost, price.price);
        }
    }
}

/// Whether all that services name is there afterwards.
fn references(after: &Tariffs, put: &PutTariffs, found: &mut Found) {
    for spec in after.services.iter().filter(|spec| spec.offered) {
        let given = put.services.iter().position(|given| is_same(given, spec));
        // A service that was not put can only have lost rows of its chart.
        let row = put.charts.iter().position(|row| row.chart == spec.chart);
        let Some(part) = given.map(Part::Service).or(row.map(Part::ChartRow)) else { continue };
        let rate = after.rates.get(&spec.currency);
        if !spec.currency.is_empty() && rate.is_none() {
            found.push(part, Field::Currency, format!("currency {:?} has no rate; put one", spec.currency));
        }
        let rate = rate.map_or(1_000_000, |rate| rate.0);
        let prices = spec.zones.iter().flat_map(|zone| &zone.steps).map(|step| step.price);
        let dearest = prices.chain([spec.residential, spec.oversize, spec.hazmat]).map(|price| price.0).max();
        if i128::from(dearest.unwrap_or(0)) * i128::from(rate) > i128::from(AMOUNT_MAX) * 1_000_000 {
            let reason = format!("an amount is above {} in the accounting currency", AMOUNT_MAX / 1_000_000);
            found.push(part, Field::Cost, reason);
        }
        if spec.chart.is_empty() {
            continue;
        }
        let Some(chart) = after.charts.get(&spec.chart) else {
            let reason = format!("service {:?} needs chart {:?}, which has no rows", spec.code, spec.chart);
            found.push(part, Field::Chart, reason);
            continue;
        };
        let zones: BTreeSet<u8> = chart.values().flat_map(|row| row.iter().map(|pair| pair.zone)).collect();
        for zone in zones.into_iter().filter(|zone| !spec.zones.iter().any(|priced| priced.zone == *zone)) {
            let reason =
                format!("zone {zone} of chart {:?} has no prices in service {:?}", spec.chart, spec.code);
            found.push(part, Field::Zone, reason);
        }
    }
}
