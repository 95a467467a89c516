//! What carriers charge: services with tables of prices by zone and weight, charts of zones, and rates of currencies.

use serde::{Deserialize, Serialize};

use crate::ids::{Money, ServiceIx};

/// Most services of a tenant, withdrawn ones included: a set of them is 32 bits.
pub const SERVICES_MAX: usize = 32;

/// Most zones of a service.
pub const ZONES_MAX: usize = 64;

/// Most price steps of a service, over all its zones.
pub const STEPS_MAX: usize = 8_192;

/// Tariffs added or changed, all of it in one step, or refused. A rate is replaced by its currency, a row of a chart by
/// chart and origin, a service by carrier and code; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutTariffs {
    /// Rates of currencies.
    pub rates: Vec<CurrencyRate>,
    /// Rows of charts.
    pub charts: Vec<ChartRow>,
    /// Services.
    pub services: Vec<ServiceSpec>,
}

/// What one unit of a currency is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencyRate {
    /// The currency's code, `EUR`.
    pub currency: String,
    /// Micros of the accounting currency; at least 1.
    pub rate: Money,
}

/// The zones of one origin in a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartRow {
    /// The chart's name.
    pub chart: String,
    /// A node's code; or the beginning of nodes' postal codes, of which the longest one that fits counts.
    pub origin: String,
    /// Zones of destinations. Empty to take the origin out of the chart.
    pub zones: Vec<ZoneTo>,
}

/// The zone of a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneTo {
    /// The beginning of its postal code; of those of a row the longest one that fits counts.
    pub to: String,
    /// The zone.
    pub zone: u8,
}

/// A service of a carrier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// The carrier's code.
    pub carrier: String,
    /// The service's code, unique with its carrier.
    pub code: String,
    /// The currency of all its amounts; empty for the accounting currency.
    pub currency: String,
    /// The chart its zones come from; empty where they go by distance.
    pub chart: String,
    /// Cubic millimetres that count as one gram where that is more than what a parcel weighs; 0 to go by weight alone.
    pub volume_divisor: u32,
    /// Fuel, in hundredths of a percent of the price.
    pub fuel_bp: u16,
    /// Added for a home address.
    pub residential: Money,
    /// Added where something in the parcel is oversize.
    pub oversize: Money,
    /// Added where something in the parcel is hazardous.
    pub hazmat: Money,
    /// Whether parcels may go by it.
    pub offered: bool,
    /// Its zones; by distance the nearest first.
    pub zones: Vec<ZoneSpec>,
}

/// A zone of a service: which parcels are in it and what they cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSpec {
    /// Its number.
    pub zone: u8,
    /// By distance, the miles up to which it reaches; 0 with a chart.
    pub miles_max: u16,
    /// Days from ship date to delivery.
    pub transit_days: u8,
    /// Prices by billable weight, the lightest first.
    pub steps: Vec<PriceStep>,
}

/// The price of parcels up to a weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceStep {
    /// The heaviest of them, in grams of billable weight.
    pub up_to_g: u32,
    /// The price.
    pub price: Money,
}

/// A tenant's tariffs as they are: a page of services, with what stands beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffsView {
    /// Grows by 1 with every `PutTariffs`; 0 where there was none.
    pub version: u32,
    /// Rates of currencies.
    pub rates: Vec<CurrencyRate>,
    /// Charts.
    pub charts: Vec<ChartView>,
    /// Services, from the handle that was asked for on.
    pub services: Vec<ServiceView>,
}

/// How large a chart is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartView {
    /// Its name.
    pub chart: String,
    /// Origins.
    pub origins: u32,
    /// Pairs of origin and destination.
    pub pairs: u32,
}

/// A service as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Its handle, which it keeps.
    pub service: ServiceIx,
    /// The rest.
    pub spec: ServiceSpec,
}
