//! What carriers charge for an order of a future, looked up once when the order is drawn: for each set of its wants as one
//! shipment, by weight, zone and steps, as a plan would pay it.

use earmark_protocol::ids::SkuIx;

use super::super::carriage::Carriage;
use super::super::scope::Scope;
use crate::tariff::fares::Goods;

/// What carriers charge for one order.
pub(super) struct Freight<'a> {
    carriage: Carriage<'a>,
    /// By set of wants, a bit each: all that is in it.
    goods: Vec<Goods>,
    /// By want and class of nodes: what is charged for it alone.
    alone: Vec<Vec<i64>>,
    /// The classes whose sets were looked up, and where they begin in the future's.
    known: Vec<(u32, u32)>,
}

impl<'a> Freight<'a> {
    /// Of wants of these skus, flags and units. `None` where no carrier prices.
    pub(super) fn of(scope: &Scope<'a>, wants: impl Iterator<Item = (SkuIx, u16, f64)>) -> Option<Self> {
        let carriage = scope.carriage?;
        let (mut goods, mut alone) = (vec![Goods::default()], Vec::new());
        for (sku, flags, units) in wants {
            let (weight_g, size_mm) = scope.reader.sku_measures(sku).unwrap_or_default();
            let mm3 = size_mm.iter().map(|side| u64::from(*side)).product();
            // Quantities of a future are shares of lots; what is shipped is units.
            let units = units.round().max(1.0) as u64;
            let want = Goods { grams: u64::from(weight_g), mm3, flags }.times(units);
            for set in 0..goods.len() {
                goods.push(goods[set].and(want));
            }
            let mut fares = Vec::with_capacity(carriage.lanes.classes.len());
            carriage.prices(&want, &mut fares);
            alone.push(fares);
        }
        Some(Self { carriage, goods, alone, known: Vec::new() })
    }

    /// What is charged for a want alone from nodes of a class.
    pub(super) fn alone(&self, want: usize, class: u32) -> i64 {
        self.alone[want][class as usize]
    }

    /// Where the fares of a class begin in the future's, by set of wants; they are looked up the first time.
    pub(super) fn of_class(&mut self, future: &mut Vec<f64>, class: u32) -> u32 {
        if let Some((_, first)) = self.known.iter().find(|(known, _)| *known == class) {
            return *first;
        }
        let first = future.len() as u32;
        // The empty set is no shipment.
        let fares = self.goods.iter().skip(1).map(|goods| self.carriage.price(class, goods) as f64);
        future.extend(std::iter::once(0.0).chain(fares));
        self.known.push((class, first));
        first
    }
}
