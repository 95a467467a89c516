//! The nodes in the order of what an order would cost from them, nearest first, band by band.
//!
//! How far a plan looks is said by [`Near`]. This room looks at no stock and leaves no node out: whether a node may
//! serve the order is asked by whoever walks.

use super::demand::Demand;
use super::lanes::{BANDS_MAX, Band, LaneSet};
use super::price::unit_to_address;
use super::scope::Scope;

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

/// A walk over all nodes of the sheet, by what the whole order costs from a node at least.
pub(crate) struct Walk<'a> {
    scope: &'a Scope<'a>,
    lanes: &'a LaneSet,
    skus: i64,
    units: i64,
    at: [u32; BANDS_MAX],
    /// By band: what a unit costs from its next node, where it has one.
    pub(crate) next: [Option<i64>; BANDS_MAX],
}

impl<'a> Walk<'a> {
    /// `None` where the order names its nodes.
    pub(crate) fn new(scope: &'a Scope<'a>, demand: &Demand) -> Option<Self> {
        let lanes = scope.lanes.filter(|_| scope.named.is_empty())?;
        let units = demand.wants.iter().map(|want| want.units).sum();
        let skus = demand.wants.len() as i64;
        let mut walk = Self { scope, lanes, skus, units, at: [0; BANDS_MAX], next: [None; BANDS_MAX] };
        for band in 0..scope.sheet.bands.len() {
            walk.at[band] = if band == 0 { 0 } else { lanes.ends[band - 1] };
            walk.look_ahead(band);
        }
        Some(walk)
    }

    fn look_ahead(&mut self, band: usize) {
        self.next[band] = (self.at[band] < self.lanes.ends[band]).then(|| {
            let node = self.lanes.order[self.at[band] as usize] as usize;
            let miles = u32::from(self.lanes.miles[node]);
            unit_to_address(self.scope.tariff, self.scope.sheet.costs(node as u32).unit, miles)
        });
    }

    /// The band that the next node is in, and what the order costs at least from there and from all later ones.
    pub(crate) fn next(&self) -> Option<(usize, i64)> {
        let floor = |(band, floor): (usize, &Band)| {
            let units = self.next[band]?.saturating_mul(self.units);
            let lines = floor.line.saturating_mul(self.skus);
            Some((band, self.scope.band_fixed(floor).saturating_add(lines).saturating_add(units)))
        };
        self.scope.sheet.bands.iter().enumerate().filter_map(floor).min_by_key(|next| next.1)
    }

    /// The next node of a band.
    pub(crate) fn take(&mut self, band: usize) -> u32 {
        let node = self.lanes.order[self.at[band] as usize];
        self.at[band] += 1;
        self.look_ahead(band);
        node
    }

    /// What a plan of two shipments or more costs at least, asked before the first node is taken.
    pub(crate) fn pair_floor(&self) -> i64 {
        let bands = &self.scope.sheet.bands;
        let line = bands.iter().map(|band| band.line).min().unwrap_or(0);
        let unit = self.next.iter().flatten().min().copied().unwrap_or(0);
        let fixed = self.scope.fixed_least().saturating_mul(2);
        fixed.saturating_add(line.saturating_mul(self.skus)).saturating_add(unit.saturating_mul(self.units))
    }
}
