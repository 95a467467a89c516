//! The price of a parcel: a tenant's offered services, compiled, and the cheapest of them for what is in it.
//!
//! A service's price goes by zone and billable weight, the larger of what a parcel weighs and what its volume counts for.
//! What is heavier than the heaviest step goes as so many parcels of that weight and one of the rest. Fuel is a share of
//! the price, in the service's currency; price and fuel together, and surcharges together, are each converted once. All
//! rounding is half up. This room knows no node and no stock.

use std::sync::Arc;

use earmark_protocol::catalogue::sku_flags;
use earmark_protocol::ids::{Money, ServiceIx};
use earmark_protocol::tariff::{PriceStep, SERVICES_MAX, ServiceSpec, ZoneSpec, ZoneTo};

use super::{Chart, Services, Tariffs};

/// What no service carries; prices that come near it are not added up.
pub(crate) const NEVER: i64 = i64::MAX / 64;

/// Goods that go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Goods {
    pub(crate) grams: u64,
    pub(crate) mm3: u64,
    /// The flags of all of them.
    pub(crate) flags: u16,
}

impl Goods {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            grams: self.grams.saturating_add(other.grams),
            mm3: self.mm3.saturating_add(other.mm3),
            flags: self.flags | other.flags,
        }
    }

    /// So many times the same.
    pub(crate) fn times(self, units: u64) -> Self {
        Self {
            grams: self.grams.saturating_mul(units),
            mm3: self.mm3.saturating_mul(units),
            flags: self.flags,
        }
    }
}

/// What the cheapest service charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fare {
    pub(crate) service: ServiceIx,
    pub(crate) zone: u8,
    pub(crate) transit_days: u8,
    pub(crate) billable_g: u64,
    /// Price and fuel, and surcharges, in micros of the accounting currency.
    pub(crate) freight: i64,
    pub(crate) surcharges: i64,
}

impl Fare {
    pub(crate) fn total(&self) -> i64 {
        self.freight + self.surcharges
    }
}

/// A line that no price is below: micros once, and per gram of billable weight. Neither is below 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) once: i64,
    pub(crate) gram: i64,
}

impl Floor {
    /// What is below both.
    pub(crate) fn least(self, other: Self) -> Self {
        Self { once: self.once.min(other.once), gram: self.gram.min(other.gram) }
    }
}

/// A service's price up to a weight, fuel included, converted.
#[derive(Clone, Copy, Debug)]
struct Step {
    up_to_g: u64,
    price: i64,
    /// The least price of this and all heavier steps: nothing so heavy costs less.
    least: i64,
}

/// An offered service.
#[derive(Debug)]
struct Offer {
    service: ServiceIx,
    /// By place in the service's zones.
    zones: Vec<Vec<Step>>,
    /// The same, where their steps end at the same weights.
    table: Option<Table>,
    /// Whether goods are billed as the offer before this one bills them, and their steps are found at the same places.
    bills_alike: bool,
    spec: Arc<ServiceSpec>,
    /// Of a parcel, converted as one sum: by whether it goes to a home, and whether it is oversize and hazmat, a bit each.
    surcharges: [i64; 8],
}

/// The zones of a way, by offered service: its place in the service's zones plus one; 0 where the service does not go.
pub(crate) type Zones = [u8; SERVICES_MAX];

/// What a node's chart rows are, by offered service: the more exact an origin fits, the further at the front its row.
pub(crate) type Rows = Vec<Vec<Arc<[ZoneTo]>>>;

/// A tenant's offered services.
#[derive(Debug)]
pub(crate) struct Fares {
    offers: Vec<Offer>,
    charts: Vec<Option<Chart>>,
    /// Bytes of a destination's postal code that zones depend on.
    pub(crate) postal_len: usize,
}

/// Half up.
fn share(amount: i64, numerator: i64, denominator: i64) -> i64 {
    let product = i128::from(amount) * i128::from(numerator);
    let rounded = (2 * product + i128::from(denominator)).div_euclid(2 * i128::from(denominator));
    i64::try_from(rounded).unwrap_or(NEVER).min(NEVER)
}

impl Fares {
    /// Those of these services alone, where it is said. `None` where nothing is offered and nothing said: what has to go by
    /// some services goes by no other way.
    pub(crate) fn compile(tariffs: &Tariffs, among: Option<Services>) -> Option<Self> {
        let is_among = |service| among.is_none_or(|among| among.has(service));
        let services = (0..).map(ServiceIx).zip(&tariffs.services);
        let offered = services.filter(|(service, spec)| spec.offered && is_among(*service));
        let offer = |(service, spec): (ServiceIx, &Arc<ServiceSpec>)| {
            let rate = tariffs.rates.get(&spec.currency).map_or(1_000_000, |Money(rate)| *rate);
            let zones: Vec<_> = spec.zones.iter().map(|zone| steps(zone, spec.fuel_bp, rate)).collect();
            let surcharges = std::array::from_fn(|applies| {
                let amounts = [spec.residential, spec.oversize, spec.hazmat];
                let sum = amounts.iter().enumerate().filter(|(bit, _)| applies >> bit & 1 == 1);
                share(sum.map(|(_, amount)| amount.0).sum(), rate, 1_000_000)
            });
            let (table, spec) = (Table::of(&zones), Arc::clone(spec));
            Offer { service, zones, table, bills_alike: false, spec, surcharges }
        };
        let mut offers: Vec<_> = offered.map(offer).collect();
        for at in 1..offers.len() {
            offers[at].bills_alike = offers[at].bills_like(&offers[at - 1]);
        }
        if offers.is_empty() && among.is_none() {
            return None;
        }
        let charts: Vec<_> =
            offers.iter().map(|offer| tariffs.charts.get(&offer.spec.chart).cloned()).collect();
        let longest =
            |chart: &Chart| chart.values().flat_map(|row| row.iter().map(|pair| pair.to.len())).max();
        let postal_len = charts.iter().flatten().filter_map(longest).max().unwrap_or(0);
        Some(Self { offers, charts, postal_len })
    }

    /// The largest divisor of a volume, where all services bill by volume; 0 where one does not.
    pub(crate) fn divisor_max(&self) -> u32 {
        let divisors = self.offers.iter().map(|offer| offer.spec.volume_divisor);
        if divisors.clone().any(|divisor| divisor == 0) { 0 } else { divisors.max().unwrap_or(0) }
    }

    /// The chart rows of a node: of its code, then of the beginnings of its postal code, the longest first.
    pub(crate) fn rows(&self, code: &str, postal: &str) -> Rows {
        let origins = || std::iter::once(code).chain(beginnings(postal));
        let of_chart = |chart: &Chart| origins().filter_map(|origin| chart.get(origin).cloned()).collect();
        self.charts.iter().map(|chart| chart.as_ref().map_or_else(Vec::new, of_chart)).collect()
    }

    /// The zones of a way of so many miles, from a node of these rows.
    pub(crate) fn zones(&self, rows: &Rows, miles: u32, postal: &str) -> Zones {
        let place = |(offer, rows): (&Offer, &Vec<Arc<[ZoneTo]>>)| {
            let zones = &offer.spec.zones;
            if offer.spec.chart.is_empty() {
                return zones.iter().position(|zone| miles <= u32::from(zone.miles_max));
            }
            let number = rows.iter().find_map(|row| zone_to(row, postal))?;
            zones.iter().position(|zone| zone.zone == number)
        };
        let mut found = [0; SERVICES_MAX];
        for (zone, offer) in found.iter_mut().zip(self.offers.iter().zip(rows)) {
            *zone = place(offer).map_or(0, |place| place as u8 + 1);
        }
        found
    }

    /// The offers that go a way, and the place of the zone.
    fn going<'a>(&'a self, zones: &'a Zones) -> impl Iterator<Item = (&'a Offer, usize)> + Clone {
        let goes = |(offer, zone): (&'a Offer, &u8)| (*zone > 0).then(|| (offer, usize::from(*zone) - 1));
        self.offers.iter().zip(zones).filter_map(goes)
    }

    /// The cheapest service a way; of equals the one put first.
    pub(crate) fn cheapest(&self, zones: &Zones, goods: &Goods, is_home: bool) -> Option<Fare> {
        let fares = self.going(zones).map(|(offer, zone)| offer.fare(zone, goods, is_home));
        fares.min_by_key(|fare| (fare.total(), fare.service))
    }

    /// What the cheapest service charges; [`NEVER`] where none goes.
    pub(crate) fn price(&self, zones: &Zones, goods: &Goods, is_home: bool) -> i64 {
        let mut least = NEVER;
        self.each_offer(goods, is_home, |at, offer, billed| {
            if let Some(zone) = usize::from(zones[at]).checked_sub(1) {
                least = least.min(offer.price(zone, billed));
            }
        });
        least
    }

    /// The same of many ways at once: how much is billed is the same by all of them, and most often the step of it.
    pub(crate) fn prices(&self, ways: &[Zones], goods: &Goods, is_home: bool, prices: &mut Vec<i64>) {
        let first = prices.len();
        prices.resize(first + ways.len(), NEVER);
        self.each_offer(goods, is_home, |at, offer, billed| {
            for (least, zones) in prices[first..].iter_mut().zip(ways) {
                let Some(zone) = usize::from(zones[at]).checked_sub(1) else { continue };
                *least = (*least).min(offer.price(zone, billed));
            }
        });
    }

    /// Asks about each offer, with goods as it bills them. Most often all bill alike.
    #[inline]
    fn each_offer(&self, goods: &Goods, is_home: bool, mut ask: impl FnMut(usize, &Offer, &Billed)) {
        let mut billed = Billed::default();
        for (at, offer) in self.offers.iter().enumerate() {
            if !offer.bills_alike {
                billed = offer.billed(goods);
            }
            billed.surcharge = offer.surcharge(is_home, goods.flags).min(NEVER);
            ask(at, offer, &billed);
        }
    }

    /// Flags of goods for which carriers ask a surcharge.
    pub(crate) const SURCHARGED: u16 = sku_flags::OVERSIZE | sku_flags::HAZMAT;

    /// What no price a way is below, of all that is billed for so many grams or more and has these flags.
    pub(crate) fn least(&self, zones: &Zones, grams: u64, flags: u16, is_home: bool) -> i64 {
        let of = |(offer, zone): (&Offer, usize)| {
            let home = offer.surcharge(is_home, flags);
            let (steps, grams) = (&offer.zones[zone], grams.max(1));
            let heaviest = steps[steps.len() - 1];
            let full = (grams - 1) / heaviest.up_to_g;
            let rest = grams - full * heaviest.up_to_g;
            let last = steps[steps.partition_point(|step| step.up_to_g < rest)].least;
            let full = i64::try_from(full).unwrap_or(NEVER);
            full.saturating_mul(heaviest.price + home).saturating_add(last + home).min(NEVER)
        };
        self.going(zones).map(of).min().unwrap_or(NEVER)
    }

    /// What no price a way is below, for parcels of an order that is billed for at least so many grams. It touches the
    /// cheapest price of that many grams where it can.
    pub(crate) fn floor(&self, zones: &Zones, grams: u64, is_home: bool) -> Floor {
        let grams = grams.max(1);
        let tables =
            || self.going(zones).map(|(offer, zone)| (&*offer.zones[zone], offer.surcharge(is_home, 0)));
        let per_gram = || {
            let of_step = |step: &Step| step.price / step.up_to_g as i64;
            let of = |(table, _): (&[Step], i64)| table.iter().map(of_step).min();
            Floor { once: 0, gram: tables().filter_map(of).min().unwrap_or(0) }
        };
        let is_beyond = |table: &[Step]| table.last().is_none_or(|step| step.up_to_g < grams);
        if tables().any(|(table, _)| is_beyond(table)) {
            return per_gram();
        }
        let at_end = |(table, home): (&[Step], i64)| {
            table[table.partition_point(|step| step.up_to_g < grams)].least.saturating_add(home)
        };
        let Some(end) = tables().map(at_end).min() else { return Floor { once: NEVER, gram: 0 } };
        // Where each step ends it is nearest to the line. Slopes are compared as fractions: a division for each takes long.
        let lighter = tables().flat_map(|(table, home)| {
            let ends = table.iter().take_while(|step| step.up_to_g < grams);
            ends.map(move |step| (end - step.least - home, (grams - step.up_to_g) as i64))
        });
        let steeper = |a: (i64, i64), b: (i64, i64)| {
            let is_less = i128::from(a.0) * i128::from(b.1) < i128::from(b.0) * i128::from(a.1);
            if is_less { b } else { a }
        };
        let (rise, run) = lighter.fold((0, 1), steeper);
        let gram = rise.div_euclid(run) + i64::from(rise.rem_euclid(run) > 0);
        let once = i128::from(end) - i128::from(gram) * i128::from(grams);
        if once < 0 { per_gram() } else { Floor { once: i64::try_from(once).unwrap_or(0), gram } }
    }
}

/// The price steps of a zone, with fuel, in the accounting currency.
fn steps(zone: &ZoneSpec, fuel_bp: u16, rate: i64) -> Vec<Step> {
    let mut least = i64::MAX;
    let step = |step: &PriceStep| {
        let Money(price) = step.price;
        let price = share(price + share(price, i64::from(fuel_bp), 10_000), rate, 1_000_000);
        least = least.min(price);
        Step { up_to_g: u64::from(step.up_to_g), price, least }
    };
    let mut steps: Vec<_> = zone.steps.iter().rev().map(step).collect();
    steps.reverse();
    steps
}

/// Most places of a table in which steps are looked up.
const PLACES_MAX: u64 = 256;

/// Prices of steps that end at the same weights in all zones.
#[derive(Debug)]
struct Table {
    ends: Vec<u64>,
    /// By the leading bits of a weight, without so many others: the first step that it could be.
    firsts: Vec<u32>,
    shift: u32,
    /// By step, then zone.
    prices: Vec<i64>,
    zones: usize,
}

impl Table {
    /// `None` where steps end at other weights in other zones.
    fn of(zones: &[Vec<Step>]) -> Option<Self> {
        let ends_of = |steps: &Vec<Step>| steps.iter().map(|step| step.up_to_g).collect::<Vec<_>>();
        let ends = ends_of(zones.first()?);
        let heaviest = *ends.last()?;
        if zones.iter().any(|steps| ends_of(steps) != ends) {
            return None;
        }
        let shift = (0..u64::BITS).find(|shift| heaviest >> shift < PLACES_MAX)?;
        let first = |place: u64| ends.partition_point(|end| *end < place << shift) as u32;
        let firsts = (0..=heaviest >> shift).map(first).collect();
        let of_step = |step: usize| zones.iter().map(move |steps| steps[step].price.min(NEVER));
        let prices = (0..ends.len()).flat_map(of_step).collect();
        Some(Self { ends, firsts, shift, prices, zones: zones.len() })
    }

    /// How so much weight goes.
    #[inline]
    fn parcels(&self, billable_g: u64) -> Parcels {
        Parcels::of(billable_g, self.ends[self.ends.len() - 1], |grams| {
            let first = self.firsts[(grams >> self.shift) as usize] as usize;
            first + self.ends[first..].iter().take_while(|end| **end < grams).count()
        })
    }
}

/// How some weight goes: so many parcels of the heaviest step, and one more of this step.
#[derive(Clone, Copy, Debug, Default)]
struct Parcels {
    full: u64,
    step: usize,
}

impl Parcels {
    /// `step` finds the step of a weight that is no more than the heaviest.
    #[inline]
    fn of(billable_g: u64, heaviest_g: u64, step: impl FnOnce(u64) -> usize) -> Self {
        if billable_g <= heaviest_g {
            return Self { full: 0, step: step(billable_g) };
        }
        let full = (billable_g - 1) / heaviest_g;
        Self { full, step: step(billable_g - full * heaviest_g) }
    }
}

/// Goods as a service bills them: the weight, what comes on top of each parcel, and how it goes, where that is the same in all zones.
#[derive(Default)]
struct Billed {
    billable_g: u64,
    surcharge: i64,
    parcels: Option<Parcels>,
}

/// The prices of so many parcels and a last one, together, and what comes on top of each.
#[inline]
fn times(full: u64, price: i64, last: i64, surcharge: i64) -> (i64, i64) {
    let full = i64::try_from(full).unwrap_or(NEVER);
    let freight = full.saturating_mul(price).min(NEVER).saturating_add(last).min(NEVER);
    (freight, (full + 1).saturating_mul(surcharge).min(NEVER))
}

impl Offer {
    /// Whether both bill all goods for the same weight, in the same parcels.
    fn bills_like(&self, other: &Self) -> bool {
        let ends = |offer: &Self| offer.table.as_ref().map(|table| table.ends.clone());
        self.spec.volume_divisor == other.spec.volume_divisor && ends(self) == ends(other)
    }

    /// What comes on top of a parcel's price.
    fn surcharge(&self, is_home: bool, flags: u16) -> i64 {
        let is_any = |flag: u16| usize::from(flags & flag != 0);
        let applies =
            usize::from(is_home) | is_any(sku_flags::OVERSIZE) << 1 | is_any(sku_flags::HAZMAT) << 2;
        self.surcharges[applies]
    }

    /// What of goods is the same in all zones, surcharges aside.
    #[inline]
    fn billed(&self, goods: &Goods) -> Billed {
        let billable_g = self.billable_g(goods);
        let parcels = self.table.as_ref().map(|table| table.parcels(billable_g));
        Billed { billable_g, surcharge: 0, parcels }
    }

    /// What they cost in a zone.
    #[inline]
    fn price(&self, zone: usize, billed: &Billed) -> i64 {
        let (freight, surcharges) = self.freight(zone, billed);
        freight + surcharges
    }

    /// The weight that goods are billed for.
    fn billable_g(&self, goods: &Goods) -> u64 {
        let by_volume = match self.spec.volume_divisor {
            0 => 0,
            divisor => goods.mm3.div_ceil(u64::from(divisor)),
        };
        goods.grams.max(by_volume).max(1)
    }

    /// What goods cost in a zone: price and fuel, and so much on top of each parcel.
    #[inline]
    fn freight(&self, zone: usize, billed: &Billed) -> (i64, i64) {
        let Some((Table { prices, zones, .. }, parcels)) = self.table.as_ref().zip(billed.parcels) else {
            return self.freight_by_zone(zone, billed);
        };
        let last = prices[parcels.step * zones + zone];
        if parcels.full == 0 {
            return (last, billed.surcharge);
        }
        times(parcels.full, prices[prices.len() - zones + zone], last, billed.surcharge)
    }

    /// The same where steps end at other weights in other zones.
    #[inline(never)]
    fn freight_by_zone(&self, zone: usize, billed: &Billed) -> (i64, i64) {
        let steps = &*self.zones[zone];
        let heaviest = steps[steps.len() - 1];
        let step = |grams: u64| steps.partition_point(|step| step.up_to_g < grams);
        let Parcels { full, step } = Parcels::of(billed.billable_g, heaviest.up_to_g, step);
        times(full, heaviest.price, steps[step].price, billed.surcharge)
    }

    fn fare(&self, zone: usize, goods: &Goods, is_home: bool) -> Fare {
        let surcharge = self.surcharge(is_home, goods.flags).min(NEVER);
        let billed = Billed { surcharge, ..self.billed(goods) };
        let (freight, surcharges) = self.freight(zone, &billed);
        let ZoneSpec { zone, transit_days, .. } = self.spec.zones[zone];
        Fare { service: self.service, zone, transit_days, billable_g: billed.billable_g, freight, surcharges }
    }
}

/// The zone that a chart's row says of a postal code: that of the longest beginning of it.
fn zone_to(row: &[ZoneTo], postal: &str) -> Option<u8> {
    let pair = |to: &str| row.binary_search_by(|pair| pair.to.as_str().cmp(to)).ok();
    Some(row[beginnings(postal).find_map(pair)?].zone)
}

/// The beginnings of a postal code, the longest first.
fn beginnings(postal: &str) -> impl Iterator<Item = &str> {
    (1..=postal.len()).rev().filter_map(|len| postal.get(..len))
}

/// The beginning of a postal code that zones depend on, as a number: it is at most 16 bytes.
pub(crate) fn postal_key(postal: &str, len: usize) -> u128 {
    let mut bytes = [0; 16];
    let len = len.min(postal.len()).min(bytes.len());
    bytes[..len].copy_from_slice(&postal.as_bytes()[..len]);
    u128::from_le_bytes(bytes)
}
