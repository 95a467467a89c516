//! What carriers charge: each tenant's services, charts of zones and rates of currencies, as they are kept and shown.
//!
//! Whether what a client puts is sound, [`check`] says. This room prices nothing.

pub mod check;
pub(crate) mod fares;

use std::collections::BTreeMap;
use std::sync::Arc;

use earmark_protocol::ids::{Money, ServiceIx, Tenant};
use earmark_protocol::tariff::{
    ChartRow, ChartView, CurrencyRate, PutTariffs, SERVICES_MAX, ServiceSpec, ServiceView, TariffsView,
    ZoneTo,
};

/// Rows of zones by origin, each sorted by destination.
pub(crate) type Chart = BTreeMap<String, Arc<[ZoneTo]>>;

/// Some of a tenant's services, a bit each by handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Services(pub(crate) u32);

impl Services {
    /// Those of which it is true, in the order of handles.
    pub(crate) fn of(truths: impl Iterator<Item = bool>) -> Self {
        Self((0..SERVICES_MAX).zip(truths).fold(0, |bits, (at, truth)| bits | u32::from(truth) << at))
    }

    /// Those of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn has(self, service: ServiceIx) -> bool {
        self.0 >> service.0 & 1 == 1
    }
}

/// What carriers charge a tenant.
#[derive(Clone, Debug, Default)]
pub struct Tariffs {
    /// Grows by 1 with every change.
    pub(crate) version: u32,
    pub(crate) rates: BTreeMap<String, Money>,
    pub(crate) charts: BTreeMap<String, Chart>,
    /// The place in this list is the handle.
    pub(crate) services: Vec<Arc<ServiceSpec>>,
}

impl Tariffs {
    /// Takes what was found sound.
    pub(crate) fn put(&mut self, put: &PutTariffs) {
        self.version += 1;
        for CurrencyRate { currency, rate } in &put.rates {
            self.rates.insert(currency.clone(), *rate);
        }
        for ChartRow { chart, origin, zones } in &put.charts {
            let rows = self.charts.entry(chart.clone()).or_default();
            if zones.is_empty() {
                rows.remove(origin);
            } else {
                let mut zones = zones.clone();
                zones.sort_unstable_by(|a, b| a.to.cmp(&b.to));
                rows.insert(origin.clone(), zones.into());
            }
        }
        self.charts.retain(|_, rows| !rows.is_empty());
        for spec in &put.services {
            match self.services.iter_mut().find(|known| is_same(known, spec)) {
                Some(known) => *known = Arc::new(spec.clone()),
                None => self.services.push(Arc::new(spec.clone())),
            }
        }
    }

    /// All of it in pieces that make the same tariffs, but for the version, when they are put one after the other.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = PutTariffs> {
        let rates = self.rates.iter().map(|(currency, rate)| PutTariffs {
            rates: vec![CurrencyRate { currency: currency.clone(), rate: *rate }],
            ..PutTariffs::default()
        });
        let rows = self.charts.iter().flat_map(|(chart, rows)| rows.iter().map(move |row| (chart, row)));
        let rows = rows.map(|(chart, (origin, zones))| PutTariffs {
            charts: vec![ChartRow { chart: chart.clone(), origin: origin.clone(), zones: zones.to_vec() }],
            ..PutTariffs::default()
        });
        let services = self
            .services
            .iter()
            .map(|spec| PutTariffs { services: vec![ServiceSpec::clone(spec)], ..PutTariffs::default() });
        rates.chain(rows).chain(services)
    }

    /// Tariffs as clients see them, with services from this handle on as long as `takes` has room for one.
    pub(crate) fn view(&self, from: ServiceIx, mut takes: impl FnMut(&ServiceSpec) -> bool) -> TariffsView {
        let charts = self.charts.iter().map(|(chart, rows)| ChartView {
            chart: chart.clone(),
            origins: rows.len() as u32,
            pairs: rows.values().map(|zones| zones.len() as u32).sum(),
        });
        let services = (0..).map(ServiceIx).zip(&self.services).skip(usize::from(from.0));
        TariffsView {
            version: self.version,
            rates: self
                .rates
                .iter()
                .map(|(currency, rate)| CurrencyRate { currency: currency.clone(), rate: *rate })
                .collect(),
            charts: charts.collect(),
            services: services
                .take_while(|(_, spec)| takes(spec))
                .map(|(service, spec)| ServiceView { service, spec: ServiceSpec::clone(spec) })
                .collect(),
        }
    }
}

/// Whether both are the same service, perhaps in other versions.
fn is_same(one: &ServiceSpec, other: &ServiceSpec) -> bool {
    one.carrier == other.carrier && one.code == other.code
}

/// The tariffs of all tenants.
#[derive(Clone, Debug, Default)]
pub(crate) struct TariffTable {
    tenants: BTreeMap<Tenant, Arc<Tariffs>>,
}

impl TariffTable {
    /// A tenant's tariffs.
    pub(crate) fn of(&self, tenant: Tenant) -> Option<&Arc<Tariffs>> {
        self.tenants.get(&tenant)
    }

    /// Takes a tenant's change that was found sound, or a piece of what is in an image; the version afterwards is this.
    pub(crate) fn put(&mut self, tenant: Tenant, version: u32, put: &PutTariffs) {
        let tariffs = Arc::make_mut(self.tenants.entry(tenant).or_default());
        tariffs.put(put);
        tariffs.version = version;
    }

    /// All tenants that have any.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (Tenant, &Tariffs)> {
        self.tenants.iter().map(|(tenant, tariffs)| (*tenant, &**tariffs))
    }
}
