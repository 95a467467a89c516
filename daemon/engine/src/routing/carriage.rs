//! How carriers price one order: each node's ways are of a class, the same zones of the same services, and so is what a
//! parcel costs from there.
//!
//! Prices go by steps of weight, so a heavy parcel may cost more than two light ones, or less. What a search needs is a
//! bound that adds up: per class a [`Floor`], a cost once and per gram that no parcel of the order is cheaper than.

use std::cell::OnceCell;

use super::lanes::{Band, LaneSet, NOWHERE};
use crate::tariff::fares::{Fare, Fares, Floor, Goods, NEVER};

/// What carriers charge for an order.
#[derive(Clone, Copy)]
pub(crate) struct Carriage<'a> {
    pub(crate) fares: &'a Fares,
    pub(crate) lanes: &'a LaneSet,
    /// Whether the address is a home.
    pub(crate) is_home: bool,
    /// What the order is billed for at least.
    pub(crate) grams: u64,
    /// By class; nothing until somebody asks.
    pub(crate) known_floors: &'a OnceCell<Vec<Floor>>,
}

impl Carriage<'_> {
    /// Whether some service goes from a node.
    #[inline]
    pub(crate) fn reaches(&self, node: u32) -> bool {
        self.lanes.class[node as usize] != NOWHERE
    }

    /// By class: what carriers charge for the order at least. Plans that price every shipment as a whole do without.
    fn floors(&self) -> &[Floor] {
        let floor = |zones| self.fares.floor(zones, self.grams, self.is_home);
        self.known_floors.get_or_init(|| self.lanes.classes.iter().map(floor).collect())
    }

    /// The class of a node's ways.
    pub(crate) fn class(&self, node: u32) -> u32 {
        self.lanes.class[node as usize]
    }

    /// The floor of a node's class.
    pub(crate) fn floor_of(&self, node: u32) -> Floor {
        self.floors().get(self.class(node) as usize).copied().unwrap_or_default()
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

    /// The least that it charges for so many grams or more, with the surcharges of these flags.
    pub(crate) fn least(&self, class: u32, grams: u64, flags: u16) -> i64 {
        let zones = self.lanes.classes.get(class as usize);
        zones.map_or(NEVER, |zones| self.fares.least(zones, grams, flags, self.is_home))
    }

    /// What parcels of so many grams at most cost at least from nodes of a class.
    pub(crate) fn floor(&self, class: u32, grams: u64) -> Floor {
        let zones = self.lanes.classes.get(class as usize);
        zones.map_or_else(Floor::default, |zones| self.fares.floor(zones, grams, self.is_home))
    }

    /// Adds what a parcel costs from each class.
    pub(crate) fn prices(&self, goods: &Goods, prices: &mut Vec<i64>) {
        self.fares.prices(&self.lanes.classes, goods, self.is_home, prices);
    }

    /// The least of a band's floors, once and per gram.
    pub(crate) fn band_floor(&self, band: &Band) -> Floor {
        let floors = self.floors();
        let of = band.classes().map(|class| floors[class as usize]);
        of.reduce(Floor::least).unwrap_or_default()
    }

    /// The least that any parcel costs once.
    pub(crate) fn floor_least(&self) -> i64 {
        self.floors().iter().map(|floor| floor.once).min().unwrap_or(0)
    }
}
