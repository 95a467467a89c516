//! How carriers price one order: each node's ways are of a class, the same zones of the same services, and so is what a
//! parcel costs from there.
//!
//! Prices go by steps of weight, so a heavy parcel may cost more than two light ones, or less. What a search needs is a
//! bound that adds up: per class a [`Floor`], a cost once and per gram that no parcel of the order is cheaper than.

use super::lanes::{Band, LaneSet, NOWHERE};
use crate::tariff::fares::{Fare, Fares, Floor, Goods, NEVER};

/// What carriers charge for an order.
#[derive(Clone, Copy)]
pub(crate) struct Carriage<'a> {
    pub(crate) fares: &'a Fares,
    pub(crate) lanes: &'a LaneSet,
    /// Whether the address is a home.
    pub(crate) is_home: bool,
    /// By class.
    pub(crate) floors: &'a [Floor],
}

impl Carriage<'_> {
    /// Whether some service goes from a node.
    #[inline]
    pub(crate) fn reaches(&self, node: u32) -> bool {
        self.lanes.class[node as usize] != NOWHERE
    }

    /// The class of a node's ways, and its floor.
    pub(crate) fn of(&self, node: u32) -> (u32, Floor) {
        let class = self.lanes.class[node as usize];
        (class, self.floors.get(class as usize).copied().unwrap_or_default())
    }

    /// The cheapest service from nodes of a class; `None` where none goes.
    pub(crate) fn fare(&self, class: u32, goods: &Goods) -> Option<Fare> {
        self.fares.cheapest(self.lanes.classes.get(class as usize)?, goods, self.is_home)
    }

    /// What it charges, [`NEVER`] where none goes.
    pub(crate) fn price(&self, class: u32, goods: &Goods) -> i64 {
        let zones = self.lanes.classes.get(class as usize);
        zones.map_or(NEVER, |zones| self.fares.price(zones, goods, self.is_home))
    }

    /// The least that it charges for so many grams or more.
    pub(crate) fn least(&self, class: u32, grams: u64) -> i64 {
        let zones = self.lanes.classes.get(class as usize);
        zones.map_or(NEVER, |zones| self.fares.least(zones, grams, self.is_home))
    }

    /// What parcels of so many grams at most cost at least from nodes of a class.
    pub(crate) fn floor(&self, class: u32, grams: u64) -> Floor {
        let zones = self.lanes.classes.get(class as usize);
        zones.map_or_else(Floor::default, |zones| self.fares.floor(zones, grams, self.is_home))
    }

    /// The least that a parcel from a band costs.
    pub(crate) fn band_price(&self, band: &Band, goods: &Goods) -> i64 {
        band.classes().map(|class| self.price(class, goods)).min().unwrap_or(NEVER)
    }

    /// The least of a band's floors, once and per gram.
    pub(crate) fn band_floor(&self, band: &Band) -> Floor {
        let of = band.classes().map(|class| self.floors[class as usize]);
        of.reduce(Floor::least).unwrap_or_default()
    }

    /// The least that any parcel costs once.
    pub(crate) fn floor_least(&self) -> i64 {
        self.floors.iter().map(|floor| floor.once).min().unwrap_or(0)
    }
}
