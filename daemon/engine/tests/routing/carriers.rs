//! What carriers charge, in the plainest words: no envelope, no table, one service and one parcel after the other.

use earmark_protocol::catalogue::{NodeSpec, sku_flags};
use earmark_protocol::ids::Money;
use earmark_protocol::tariff::{
    ChartRow, CurrencyRate, PriceStep, PutTariffs, ServiceSpec, ZoneSpec, ZoneTo,
};

/// Carriers, and what they ask of skus.
#[derive(Clone, Debug)]
pub(crate) struct Carriers {
    pub(crate) put: PutTariffs,
    pub(crate) weights_g: Vec<u32>,
    pub(crate) sizes_mm: Vec<[u16; 3]>,
}

/// Goods that go together.
pub(crate) struct Goods {
    pub(crate) grams: u64,
    pub(crate) mm3: u64,
    pub(crate) flags: u16,
    pub(crate) home: bool,
}

/// What a service charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fare {
    pub(crate) service: usize,
    pub(crate) billable_g: u64,
    pub(crate) freight: i64,
    pub(crate) surcharges: i64,
}

impl Fare {
    pub(crate) fn total(&self) -> i64 {
        self.freight + self.surcharges
    }
}

/// Half up.
fn times(amount: i64, numerator: i64, denominator: i64) -> i64 {
    (amount * numerator * 2 + denominator) / (denominator * 2)
}

impl Carriers {
    /// Up to three services with few steps, by distance or by a chart, some dear where they are heavy, some not everywhere.
    pub(crate) fn random(random: &mut fastrand::Rng, nodes: &mut [NodeSpec], skus: usize) -> Self {
        for node in nodes.iter_mut() {
            node.postal = ["606", "75201", "9", ""][random.usize(..4)].to_owned();
        }
        let service = |at: usize, random: &mut fastrand::Rng| {
            let by_chart = random.bool();
            let zones = (1..=random.u8(2..4)).map(|zone| {
                let mut up_to_g = 0;
                let steps = (0..random.usize(1..5)).map(|_| {
                    up_to_g += random.u32(1..8) * 250;
                    PriceStep { up_to_g, price: Money(random.i64(1..40) * 500_001) }
                });
                let steps = steps.collect();
                let miles_max = if by_chart { 0 } else { u16::from(zone) * 700 };
                ZoneSpec { zone, miles_max, transit_days: zone, steps }
            });
            let zones: Vec<_> = zones.collect();
            ServiceSpec {
                carrier: "c".to_owned(),
                code: format!("s{at}"),
                currency: ["", "EUR"][random.usize(..2)].to_owned(),
                chart: if by_chart { "post".to_owned() } else { String::new() },
                volume_divisor: [0, 5_000, 3_000][random.usize(..3)],
                fuel_bp: [0, 1_234][random.usize(..2)],
                residential: Money(random.i64(0..3) * 1_300_001),
                oversize: Money(random.i64(0..3) * 1_700_001),
                hazmat: Money(random.i64(0..3) * 900_001),
                offered: at == 0 || random.u8(..5) > 0,
                zones,
            }
        };
        let services = (0..random.usize(1..4)).map(|at| service(at, random)).collect();
        let pair = |to: &str, random: &mut fastrand::Rng| ZoneTo { to: to.to_owned(), zone: random.u8(1..3) };
        let row = |origin: &str, random: &mut fastrand::Rng| ChartRow {
            chart: "post".to_owned(),
            origin: origin.to_owned(),
            zones: [&["1", "10"][..], &["1", "10"], &["1"], &["10"], &["5"]][random.usize(..5)]
                .iter()
                .map(|to| pair(to, random))
                .collect(),
        };
        let mut charts: Vec<_> = ["6", "60", "752", "9"].map(|origin| row(origin, random)).into();
        if random.bool() {
            charts.push(row(&nodes[0].code, random));
        }
        let rates = vec![CurrencyRate { currency: "EUR".to_owned(), rate: Money(1_083_217) }];
        Self {
            put: PutTariffs { rates, charts, services },
            weights_g: (0..skus).map(|_| random.u32(0..900)).collect(),
            sizes_mm: (0..skus).map(|_| [random.u16(0..200), 100, 100]).collect(),
        }
    }

    /// The zone of a way; `None` where the service does not go.
    pub(crate) fn zone<'a>(
        &self,
        service: &'a ServiceSpec,
        from: &NodeSpec,
        miles: i64,
        postal: &str,
    ) -> Option<&'a ZoneSpec> {
        if service.chart.is_empty() {
            return service.zones.iter().find(|zone| miles <= i64::from(zone.miles_max));
        }
        let of_chart = || self.put.charts.iter().filter(|row| row.chart == service.chart);
        let exactness = |row: &ChartRow| {
            let of_postal = from.postal.starts_with(&row.origin).then_some((false, row.origin.len()));
            if row.origin == from.code { Some((true, 0)) } else { of_postal }
        };
        let lanes = of_chart().flat_map(|row| row.zones.iter().map(move |pair| (exactness(row), pair)));
        let fitting = lanes.filter(|(origin, pair)| origin.is_some() && postal.starts_with(&pair.to));
        let (_, pair) = fitting.max_by_key(|(origin, pair)| (*origin, pair.to.len()))?;
        service.zones.iter().find(|zone| zone.zone == pair.zone)
    }

    /// What a service charges over a zone.
    pub(crate) fn charge(&self, service: usize, zone: &ZoneSpec, goods: &Goods) -> Fare {
        let spec = &self.put.services[service];
        let rate = if spec.currency.is_empty() { 1_000_000 } else { self.put.rates[0].rate.0 };
        let volume_g = match spec.volume_divisor {
            0 => 0,
            divisor => goods.mm3.div_ceil(u64::from(divisor)),
        };
        let billable_g = goods.grams.max(volume_g).max(1);
        let (mut left, mut freight, mut surcharges) = (billable_g, 0, 0);
        while left > 0 {
            let fits = zone.steps.iter().find(|step| left <= u64::from(step.up_to_g));
            let step = fits.or(zone.steps.last()).expect("a zone has prices");
            let price = step.price.0 + times(step.price.0, i64::from(spec.fuel_bp), 10_000);
            freight += times(price, rate, 1_000_000);
            let mut extra = if goods.home { spec.residential.0 } else { 0 };
            if goods.flags & sku_flags::OVERSIZE != 0 {
                extra += spec.oversize.0;
            }
            if goods.flags & sku_flags::HAZMAT != 0 {
                extra += spec.hazmat.0;
            }
            surcharges += times(extra, rate, 1_000_000);
            left = left.saturating_sub(u64::from(step.up_to_g));
        }
        Fare { service, billable_g, freight, surcharges }
    }
}
