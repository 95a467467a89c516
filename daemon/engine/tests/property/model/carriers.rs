//! What carriers charge, in the plainest words: one service by distance, which a tenant offers or does not.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::catalogue::sku_flags;
use earmark_protocol::command::Delivery;
use earmark_protocol::ids::{Money, NodeIx, ServiceIx, SkuIx, Tenant};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Carriage, Shipment};
use earmark_protocol::tariff::{CurrencyRate, PriceStep, PutTariffs, ServiceSpec, ZoneSpec};

use super::catalogue::listed;
use super::{Model, Wish, Yes};

/// Tariffs: how many rates are put, and of how many services, offered or not.
pub(crate) const TARIFFS: [(usize, usize, bool); 6] =
    [(1, 0, false), (0, 1, false), (2, 1, true), (0, 0, false), (1, 2, true), (0, 1, true)];

/// A zone: miles up to which it reaches, days on the way, and prices by grams.
type Zone = (u16, u8, [(u32, i64); 3]);

const ZONES: [Zone; 2] = [
    (600, 2, [(900, 4_000_001), (7_000, 9_500_000), (20_000, 15_000_000)]),
    (900, 5, [(900, 6_200_000), (7_000, 11_000_003), (20_000, 38_000_000)]),
];
const RESIDENTIAL: i64 = 1_250_000;
const OVERSIZE: i64 = 3_000_000;
const HAZMAT: i64 = 2_400_000;
const FUEL_BP: u16 = 1_230;
const DIVISOR: u32 = 5_000;

/// What one of [`TARIFFS`] puts.
pub(crate) fn tariffs(&(rates, services, offered): &(usize, usize, bool)) -> PutTariffs {
    let rate = |place| CurrencyRate { currency: format!("C{place}"), rate: Money(1_000_000 + place as i64) };
    let zone = |(zone, (miles_max, transit_days, steps)): (u8, &Zone)| ZoneSpec {
        zone,
        miles_max: *miles_max,
        transit_days: *transit_days,
        steps: steps
            .iter()
            .map(|(up_to_g, price)| PriceStep { up_to_g: *up_to_g, price: Money(*price) })
            .collect(),
    };
    let service = ServiceSpec {
        carrier: "c".into(),
        code: "s".into(),
        volume_divisor: DIVISOR,
        fuel_bp: FUEL_BP,
        residential: Money(RESIDENTIAL),
        oversize: Money(OVERSIZE),
        hazmat: Money(HAZMAT),
        offered,
        zones: (1..).zip(&ZONES).map(zone).collect(),
        ..ServiceSpec::default()
    };
    PutTariffs {
        rates: (0..rates).map(rate).collect(),
        charts: Vec::new(),
        services: vec![service; services],
    }
}

impl Model {
    /// What tariffs are sound is judged elsewhere: here each is, but for one that is empty and one with a service twice.
    pub(super) fn put_tariffs(&mut self, tenant: Tenant, put: &PutTariffs) -> Result<Yes, Refusal> {
        match (put.rates.len() + put.services.len(), &put.services[..]) {
            (_, [_, _, ..]) => Err(Refusal::of(RefusalCode::TariffInvalid, Field::Service).at(1)),
            (0, _) => Err(Refusal::of(RefusalCode::EmptyList, Field::Service)),
            (changed, services) => {
                match services {
                    [service] if service.offered => _ = self.carried.insert(tenant),
                    [_, ..] => _ = self.carried.remove(&tenant),
                    [] => {}
                }
                Ok(listed(changed))
            }
        }
    }

    /// Whether a carrier prices what is shipped.
    pub(super) fn is_carried(&self, wish: &Wish<'_>) -> bool {
        !wish.is_pickup() && self.carried.contains(&wish.tenant)
    }

    /// The zone of the way from a node, by place.
    fn zone(&self, wish: &Wish<'_>, node: NodeIx) -> Option<usize> {
        let miles = self.miles(wish, node);
        ZONES.iter().position(|zone| miles <= u32::from(zone.0))
    }

    /// Whether a shipment can go from a node, by the carrier where one prices.
    pub(super) fn is_reached(&self, wish: &Wish<'_>, node: NodeIx) -> bool {
        !self.is_carried(wish) || self.zone(wish, node).is_some()
    }

    /// What the carrier takes for these units from a node.
    pub(super) fn carriage(&self, wish: &Wish<'_>, node: NodeIx, parts: &[(SkuIx, i64)]) -> Option<Carriage> {
        let place = self.zone(wish, node).filter(|_| self.is_carried(wish))?;
        let (mut grams, mut mm3, mut flags) = (0, 0, 0);
        for (sku, units) in parts {
            let spec = &self.catalogue.skus[sku.0 as usize].spec;
            grams += i64::from(spec.weight_g) * units;
            mm3 += spec.size_mm.iter().map(|side| i64::from(*side)).product::<i64>() * units;
            flags |= spec.flags;
        }
        let billable = grams.max((mm3 + i64::from(DIVISOR) - 1) / i64::from(DIVISOR)).max(1);
        let is_home = matches!(wish.order.delivery, Delivery::Ship { home: true, .. });
        let (_, transit_days, steps) = &ZONES[place];
        let (mut left, mut freight, mut surcharges) = (billable, 0, 0);
        while left > 0 {
            let step = steps.iter().find(|step| left <= i64::from(step.0)).unwrap_or(&steps[2]);
            freight += step.1 + (step.1 * i64::from(FUEL_BP) + 5_000) / 10_000;
            surcharges += if is_home { RESIDENTIAL } else { 0 };
            surcharges += if flags & sku_flags::OVERSIZE != 0 { OVERSIZE } else { 0 };
            surcharges += if flags & sku_flags::HAZMAT != 0 { HAZMAT } else { 0 };
            left -= i64::from(step.0);
        }
        Some(Carriage {
            service: ServiceIx(0),
            zone: place as u8 + 1,
            transit_days: *transit_days,
            billable_g: billable as u64,
            freight: Money(freight),
            surcharges: Money(surcharges),
        })
    }

    /// What is in a shipment, by sku.
    pub(super) fn parts(shipment: &Shipment) -> Vec<(SkuIx, i64)> {
        let mut parts = BTreeMap::new();
        for line in &shipment.lines {
            *parts.entry(line.sku).or_default() += i64::from(line.quantity);
        }
        parts.into_iter().collect()
    }

    /// The least that these quantities can cost by the carrier, where each of them comes from one node: by trying all ways.
    pub(super) fn least_cost_carried(&self, wish: &Wish<'_>, demands: &[(SkuIx, i64)]) -> Option<i64> {
        let able = |(sku, demand): &(SkuIx, i64)| -> Vec<NodeIx> {
            let nodes = self.nodes_for(wish, *sku).into_iter();
            nodes.filter(|node| self.depth(wish, *sku, *node) >= *demand).collect()
        };
        let choices: Vec<_> = demands.iter().map(able).collect();
        let ways: usize = choices.iter().map(Vec::len).product();
        let cost = |way: usize| {
            let mut rest = way;
            let from: Vec<NodeIx> = choices
                .iter()
                .map(|nodes| {
                    let node = nodes[rest % nodes.len()];
                    rest /= nodes.len();
                    node
                })
                .collect();
            let used: BTreeSet<NodeIx> = from.iter().copied().collect();
            let parcel = |node: &NodeIx| {
                let parts =
                    demands.iter().zip(&from).filter(|(_, from)| *from == node).map(|(part, _)| *part);
                self.parcel_cost(wish, *node, &parts.collect::<Vec<_>>())
            };
            (used.len() <= self.shipments_max(wish)).then(|| used.iter().map(parcel).sum::<i64>())
        };
        (0..ways).filter_map(cost).min()
    }
}
