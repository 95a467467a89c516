//! The files `rates`, `zones`, `services` and `tariffs`: what carriers charge. Together they are one change of a tenant's
//! tariffs, checked here by what the daemon checks them by, so that each mistake has its line.

use std::collections::HashMap;

use earmark_engine::tariff::Tariffs;
use earmark_engine::tariff::check::{Mistake, Part, mistakes};
use earmark_protocol::ids::Money;
use earmark_protocol::refusal::Field;
use earmark_protocol::tariff::{
    ChartRow, CurrencyRate, PriceStep, PutTariffs, ServiceSpec, ZoneSpec, ZoneTo,
};

use super::DataFile;
use super::field;
use super::table::{Column, Located, Row, optional, required};
use super::trouble::BadRows;

/// Columns of `rates`.
pub const RATE_COLUMNS: &[Column] = &[required("currency"), required("rate")];

/// Columns of `zones`.
pub const ZONE_COLUMNS: &[Column] =
    &[required("chart"), required("origin"), required("destination"), required("zone")];

/// Columns of `services`.
pub const SERVICE_COLUMNS: &[Column] = &[
    required("carrier"),
    required("service"),
    optional("currency"),
    optional("chart"),
    optional("volume_divisor"),
    optional("fuel_percent"),
    optional("residential"),
    optional("oversize"),
    optional("hazmat"),
    optional("offered"),
];

/// Columns of `tariffs`.
pub const STEP_COLUMNS: &[Column] = &[
    required("carrier"),
    required("service"),
    required("zone"),
    optional("miles_max"),
    optional("transit_days"),
    optional("over_g"),
    required("up_to_g"),
    required("price"),
];

/// A row of `zones`.
#[derive(Clone, Debug)]
pub struct ZoneRow {
    chart: String,
    origin: String,
    pair: ZoneTo,
}

/// A row of `tariffs`.
#[derive(Clone, Debug)]
pub struct StepRow {
    carrier: String,
    service: String,
    zone: u8,
    miles_max: Option<u16>,
    transit_days: Option<u8>,
    over_g: Option<u32>,
    step: PriceStep,
}

/// The four files, as far as a directory has them.
#[derive(Clone, Debug, Default)]
pub struct TariffFiles {
    /// Rates of currencies.
    pub rates: Option<DataFile<CurrencyRate>>,
    /// Charts of zones.
    pub zones: Option<DataFile<ZoneRow>>,
    /// Services.
    pub services: Option<DataFile<ServiceSpec>>,
    /// Price steps.
    pub steps: Option<DataFile<StepRow>>,
}

/// Reads one row of `rates`.
pub fn rate(row: &mut Row<'_>) -> Option<CurrencyRate> {
    let currency = row.required("currency", field::code);
    let rate = row.required("rate", field::money);
    Some(CurrencyRate { currency: currency?, rate: rate? })
}

/// Reads one row of `zones`.
pub fn zone(row: &mut Row<'_>) -> Option<ZoneRow> {
    let chart = row.required("chart", field::code);
    let origin = row.required("origin", field::code);
    let to = row.required("destination", field::postal);
    let zone = row.required("zone", field::number);
    Some(ZoneRow { chart: chart?, origin: origin?, pair: ZoneTo { to: to?, zone: zone? } })
}

/// Reads one row of `services`.
pub fn service(row: &mut Row<'_>) -> Option<ServiceSpec> {
    let carrier = row.required("carrier", field::code);
    let code = row.required("service", field::code);
    let currency = row.optional("currency", field::code).unwrap_or_default();
    let chart = row.optional("chart", field::code).unwrap_or_default();
    let volume_divisor = row.optional("volume_divisor", field::number).unwrap_or_default();
    let fuel_bp = row.optional("fuel_percent", field::percent).unwrap_or_default();
    let residential = row.optional("residential", field::money).unwrap_or_default();
    let oversize = row.optional("oversize", field::money).unwrap_or_default();
    let hazmat = row.optional("hazmat", field::money).unwrap_or_default();
    let offered = row.optional("offered", field::yes_or_no).unwrap_or(true);
    Some(ServiceSpec {
        carrier: carrier?,
        code: code?,
        currency,
        chart,
        volume_divisor,
        fuel_bp,
        residential,
        oversize,
        hazmat,
        offered,
        zones: Vec::new(),
    })
}

/// Reads one row of `tariffs`.
pub fn step(row: &mut Row<'_>) -> Option<StepRow> {
    let carrier = row.required("carrier", field::code);
    let service = row.required("service", field::code);
    let zone = row.required("zone", field::number);
    let miles_max = row.optional("miles_max", field::number);
    let transit_days = row.optional("transit_days", field::number);
    let over_g = row.optional("over_g", field::number);
    let up_to_g = row.required("up_to_g", field::number);
    let price: Option<Money> = row.required("price", field::money);
    let step = PriceStep { up_to_g: up_to_g?, price: price? };
    Some(StepRow { carrier: carrier?, service: service?, zone: zone?, miles_max, transit_days, over_g, step })
}

/// Where each part of the change stands: a line of its file.
#[derive(Default)]
struct Lines {
    rates: Vec<u64>,
    rows: Vec<u64>,
    services: Vec<u64>,
    /// By service and zone: of each step.
    steps: Vec<Vec<Vec<u64>>>,
}

impl TariffFiles {
    /// Whether the directory has any of them.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.rates.is_some() || self.zones.is_some() || self.services.is_some() || self.steps.is_some()
    }

    /// What the daemon has to know already, since no file says it: rates of currencies, each with the line that needs it.
    #[must_use]
    pub fn needs(&self) -> Vec<String> {
        let Some(services) = self.services.as_ref().filter(|_| self.rates.is_none()) else {
            return Vec::new();
        };
        let foreign = services.rows.iter().filter(|row| row.value.offered && !row.value.currency.is_empty());
        foreign
            .map(|row| {
                let (file, line, currency) = (&services.name, row.line, &row.value.currency);
                format!(
                    "{file}:{line}: the daemon has to know a rate of currency {currency:?}: there is no file rates"
                )
            })
            .collect()
    }

    /// What they say together. What is wrong is noted.
    #[must_use]
    pub fn join(&self, bad: &mut BadRows) -> PutTariffs {
        let before = bad.total();
        let mut put = PutTariffs::default();
        let mut lines = Lines::default();
        for row in self.rates.iter().flat_map(|file| &file.rows) {
            put.rates.push(row.value.clone());
            lines.rates.push(row.line);
        }
        self.join_charts(&mut put, &mut lines, bad);
        for row in self.services.iter().flat_map(|file| &file.rows) {
            put.services.push(row.value.clone());
            lines.services.push(row.line);
            lines.steps.push(Vec::new());
        }
        self.join_steps(&mut put, &mut lines, bad);
        if bad.total() == before {
            for mistake in mistakes(&Tariffs::default(), &put) {
                self.note(&mistake, &lines, bad);
            }
        }
        put
    }

    fn join_charts(&self, put: &mut PutTariffs, lines: &mut Lines, bad: &mut BadRows) {
        let Some(file) = &self.zones else { return };
        let mut places: HashMap<(&str, &str), usize> = HashMap::new();
        let mut pairs: HashMap<(usize, &str), u64> = HashMap::new();
        for Located { line, value } in &file.rows {
            let ZoneRow { chart, origin, pair } = value;
            let place = *places.entry((chart, origin)).or_insert_with(|| {
                let (chart, origin) = (chart.clone(), origin.clone());
                put.charts.push(ChartRow { chart, origin, zones: Vec::new() });
                lines.rows.push(*line);
                put.charts.len() - 1
            });
            match pairs.insert((place, &pair.to), *line) {
                Some(before) => {
                    let reason = format!("{origin:?} to {:?} stands in line {before} already", pair.to);
                    bad.push(&file.name, *line, "destination", reason);
                }
                None => put.charts[place].zones.push(pair.clone()),
            }
        }
    }

    /// Puts steps into the zones of their services, by weight. What only rows can say is checked here: steps that begin
    /// elsewhere than the ones before them end, and rows of one zone that differ.
    fn join_steps(&self, put: &mut PutTariffs, lines: &mut Lines, bad: &mut BadRows) {
        let Some(file) = &self.steps else { return };
        let mut rows: Vec<_> = file.rows.iter().collect();
        rows.sort_by_key(|row| (row.value.step.up_to_g, row.line));
        for Located { line, value } in rows {
            let of = |spec: &ServiceSpec| spec.carrier == value.carrier && spec.code == value.service;
            let Some(service) = put.services.iter().position(of) else {
                let (service, carrier) = (&value.service, &value.carrier);
                let reason =
                    format!("{service:?} of carrier {carrier:?} stands in no row of the file services");
                bad.push(&file.name, *line, "service", reason);
                continue;
            };
            let zones = &mut put.services[service].zones;
            let zone = zones.iter().position(|zone| zone.zone == value.zone).unwrap_or_else(|| {
                zones.push(ZoneSpec { zone: value.zone, ..ZoneSpec::default() });
                lines.steps[service].push(Vec::new());
                zones.len() - 1
            });
            let zone_lines = &mut lines.steps[service][zone];
            let is_first = zone_lines.is_empty();
            zone_lines.push(*line);
            let zone = &mut zones[zone];
            let ends = zone.steps.last().map_or(0, |step| step.up_to_g);
            if let Some(over_g) = value.over_g.filter(|over_g| *over_g != ends) {
                let what = if over_g > ends { "a hole" } else { "an overlap" };
                let reason =
                    format!("it begins at {over_g} g and the step before it ends at {ends} g: {what}");
                bad.push(&file.name, *line, "over_g", reason);
            }
            let differs = "it differs from the zone's lightest step; say the same or nothing";
            if is_first {
                zone.miles_max = value.miles_max.unwrap_or_default();
                zone.transit_days = value.transit_days.unwrap_or_default();
            } else {
                if value.miles_max.is_some_and(|given| given != zone.miles_max) {
                    bad.push(&file.name, *line, "miles_max", differs);
                }
                if value.transit_days.is_some_and(|given| given != zone.transit_days) {
                    bad.push(&file.name, *line, "transit_days", differs);
                }
            }
            zone.steps.push(value.step);
        }
        for (spec, lines) in put.services.iter_mut().zip(&mut lines.steps) {
            let mut order: Vec<_> = (0..spec.zones.len()).collect();
            order.sort_by_key(|place| (spec.zones[*place].miles_max, spec.zones[*place].zone));
            spec.zones = order.iter().map(|place| spec.zones[*place].clone()).collect();
            *lines = order.iter().map(|place| lines[*place].clone()).collect();
        }
    }

    /// Notes a mistake at its line. What other files would have to say is left to the daemon where there are none.
    fn note(&self, mistake: &Mistake, lines: &Lines, bad: &mut BadRows) {
        let name = |file: Option<&String>| file.cloned().unwrap_or_default();
        let rates = self.rates.as_ref().map(|file| &file.name);
        let zones = self.zones.as_ref().map(|file| &file.name);
        let services = self.services.as_ref().map(|file| &file.name);
        let steps = self.steps.as_ref().map(|file| &file.name);
        match mistake.part {
            Part::Service(_) if mistake.field == Field::Currency && rates.is_none() => {}
            Part::Service(_) if mistake.field == Field::Chart && zones.is_none() => {}
            Part::Rate(rate) => bad.push(&name(rates), lines.rates[rate], "rate", &*mistake.reason),
            Part::ChartRow(row) => {
                let column = if mistake.field == Field::Zone { "zone" } else { "origin" };
                bad.push(&name(zones), lines.rows[row], column, &*mistake.reason);
            }
            Part::Service(service) => {
                let column = match mistake.field {
                    Field::Currency => "currency",
                    Field::Chart => "chart",
                    _ => "service",
                };
                bad.push(&name(services), lines.services[service], column, &*mistake.reason);
            }
            Part::Zone { service, zone } => {
                let line = lines.steps[service][zone].first().copied().unwrap_or_default();
                bad.push(&name(steps), line, "zone", &*mistake.reason);
            }
            Part::Step { service, zone, step } => {
                let column = if mistake.field == Field::Cost { "price" } else { "up_to_g" };
                bad.push(&name(steps), lines.steps[service][zone][step], column, &*mistake.reason);
            }
        }
    }
}
