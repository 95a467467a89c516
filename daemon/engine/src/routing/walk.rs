//! The nodes in the order of what an order would cost from them, nearest first, band by band.
//!
//! How far a plan looks is said by [`Near`]. This room looks at no stock and leaves no node out: whether a node may
//! serve the order is asked by whoever walks.

use super::demand::Demand;
use super::lanes::{Band, LaneSet};
use super::scope::Scope;
use crate::tariff::fares::NEVER;

/// How many nodes are near: at least so many; then, up to so many, those from where the whole order would cost not more
/// than this extra.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near {
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) extra: i64,
}

/// Each time an answer is not proven, so many times more nodes are near.
pub(crate) const WIDEN: usize = 4;

impl Near {
    /// Takes in more nodes.
    pub(crate) fn widen(&mut self) {
        self.least = self.least.saturating_mul(WIDEN);
        self.most = self.most.saturating_mul(WIDEN);
        self.extra = self.extra.saturating_mul(WIDEN as i64);
    }
}

/// Where a walk stands in a band.
struct Ahead {
    /// Its next node, by place in the lanes' order, and where it ends.
    at: u32,
    end: u32,
    /// What the order costs from any of its nodes at least, units aside.
    once: i64,
    /// What a unit costs from its next node, where it has one; and the whole order.
    unit: Option<i64>,
    floor: i64,
}

/// A walk over all nodes of the sheet, by what the whole order costs from a node at least.
pub(crate) struct Walk<'a> {
    scope: &'a Scope<'a>,
    lanes: &'a LaneSet,
    skus: i64,
    units: i64,
    /// Whether a unit costs the same from all nodes of a band.
    is_level: bool,
    bands: Vec<Ahead>,
    /// The band that the next node is in, and what the order costs from there at least.
    next: Option<(usize, i64)>,
}

impl<'a> Walk<'a> {
    /// `None` where the order names its nodes and no carrier prices: then there is nothing to choose first.
    pub(crate) fn new(scope: &'a Scope<'a>, demand: &Demand) -> Option<Self> {
        let lanes = scope.lanes.filter(|_| scope.named.is_empty() || scope.carriage.is_some())?;
        let units = demand.wants.iter().map(|want| want.units).sum();
        let skus = demand.wants.len() as i64;
        let goods = scope.carriage.map(|_| demand.goods()).unwrap_or_default();
        let mut at = 0;
        let mut fares = Vec::new();
        scope.carriage.inspect(|carriage| carriage.prices(&goods, &mut fares));
        let ahead = |(band, end): (&Band, &u32)| {
            let of_band = || band.classes().map(|class| fares[class as usize]).min().unwrap_or(NEVER);
            let fare = if scope.carriage.is_some() { of_band() } else { 0 };
            let lines = band.line.saturating_mul(skus);
            let once = scope.band_fixed(band).saturating_add(fare).saturating_add(lines);
            let mut ahead = Ahead { at, end: *end, once, unit: None, floor: 0 };
            ahead.look(scope, lanes, units);
            at = *end;
            ahead
        };
        let bands = lanes.bands.iter().zip(&lanes.ends).map(ahead).collect();
        let is_level = scope.carriage.is_some() && scope.sheet.bands_are_uniform();
        let mut walk = Self { scope, lanes, skus, units, is_level, bands, next: None };
        walk.look_around();
        Some(walk)
    }

    /// The band that the next node is in, and what the order costs at least from there and from all later ones.
    pub(crate) fn next(&self) -> Option<(usize, i64)> {
        self.next
    }

    fn look_around(&mut self) {
        let floor = |(band, ahead): (usize, &Ahead)| ahead.unit.map(|_| (band, ahead.floor));
        self.next = self.bands.iter().enumerate().filter_map(floor).min_by_key(|next| next.1);
    }

    /// The next node of a band.
    pub(crate) fn take(&mut self, band: usize) -> u32 {
        let ahead = &mut self.bands[band];
        let (node, floor) = (self.lanes.order[ahead.at as usize], ahead.floor);
        ahead.at += 1;
        if self.is_level && ahead.at < ahead.end {
            return node;
        }
        ahead.look(self.scope, self.lanes, self.units);
        // Where the node after it costs the same, nothing has changed: so it is most often where carriers price.
        if ahead.unit.is_none() || ahead.floor != floor {
            self.look_around();
        }
        node
    }

    /// Leaves out what is left of a band.
    pub(crate) fn leave(&mut self, band: usize) {
        self.bands[band].unit = None;
        self.look_around();
    }

    /// By band: what a unit costs from its next node, where it has one.
    pub(crate) fn ahead(&self) -> impl Iterator<Item = Option<i64>> {
        self.bands.iter().map(|ahead| ahead.unit)
    }

    /// What a plan of two shipments or more costs at least, asked before the first node is taken.
    pub(crate) fn pair_floor(&self) -> i64 {
        let line = self.lanes.bands.iter().map(|band| band.line).min().unwrap_or(0);
        let unit = self.ahead().flatten().min().unwrap_or(0);
        let fixed = self.scope.fixed_least().saturating_mul(2);
        fixed.saturating_add(line.saturating_mul(self.skus)).saturating_add(unit.saturating_mul(self.units))
    }
}

impl Ahead {
    fn look(&mut self, scope: &Scope<'_>, lanes: &LaneSet, units: i64) {
        self.unit = (self.at < self.end).then(|| scope.unit_from(lanes.order[self.at as usize]));
        self.floor = self.once.saturating_add(self.unit.unwrap_or(0).saturating_mul(units));
    }
}
