//! Futures: orders that may come, drawn from what is known now.
//!
//! An order of a future goes where a recent one went, with as many lines and units; which skus they are is drawn anew, by
//! what lies there, since that was bought for the orders to come, and by what sold lately. Quantities are in lots, a sku's usual
//! line, so that prices of what sells by the dozen are as small as they should be. Orders that are still to come are never looked at. The draw is a fixed sequence of numbers: the same window and stock give the same future.

use std::collections::HashMap;

use earmark_protocol::command::OrderLine;
use earmark_protocol::ids::{SkuIx, Tenant};

use super::super::case::Candidate;
use super::super::demand::Demand;
use super::super::scope::Scope;
use super::super::sequence::Sequence;
use super::ascent::{Door, Draw, Future, Offer, WANTS_MAX};
use super::freight::Freight;
use crate::Reader;
use crate::inventory::cell::{word_available, word_place};
use crate::sync::Ordering;

/// Of a catalogue of at most so many skus all are drawn, of a larger one those that sold lately.
const SKUS_MAX: u32 = 1 << 16;
/// Weight of what sold lately, beside what lies there.
const SOLD_SHARE: f64 = 0.1;
/// Nodes that could serve a want, the cheapest first: the next ones hardly matter to prices.
const NEAR: usize = 12;

/// What sold lately of a sku.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sold {
    pub(super) units: f64,
    pub(super) lines: f64,
}

impl Sold {
    /// Units of a usual line.
    fn lot(self) -> f64 {
        if self.lines > 0.0 { self.units / self.lines } else { 1.0 }
    }
}

/// A sku, and where its cells begin and end in [`Outlook::nodes`].
#[derive(Clone, Copy)]
struct Shelf {
    sku: SkuIx,
    flags: u16,
    lot: f64,
    first: u32,
    end: u32,
}

/// What an order wants of a sku, in lots.
struct Wanted {
    shelf: Shelf,
    units: f64,
}

impl Wanted {
    /// What it costs from a node in a shipment of its own, carriers aside.
    fn alone(&self, from: &Candidate) -> i64 {
        from.rates().shipment(1, (self.units * self.shelf.lot).round() as u64).0
    }
}

/// A tenant's skus, with the sums of their weights so far.
#[derive(Default)]
struct Range {
    shelves: Vec<u32>,
    sums: Vec<f64>,
}

/// What may be ordered, and what there is of it.
#[derive(Default)]
pub(super) struct Outlook {
    shelves: Vec<Shelf>,
    /// By cell: its node, and what it has, in lots.
    nodes: Vec<u32>,
    pub(super) stock: Vec<f64>,
    ranges: HashMap<Tenant, Range>,
    demand: Demand,
}

impl Outlook {
    /// Reads the stock of the skus; `sold` says how much of each sold lately.
    pub(super) fn read(reader: &Reader, sold: &HashMap<SkuIx, Sold>) -> Self {
        let mut all = Sold::default();
        let mut known: Vec<_> = sold.iter().collect();
        known.sort_unstable_by_key(|(sku, _)| **sku);
        known.iter().for_each(|(_, sold)| {
            (all.units, all.lines) = (all.units + sold.units, all.lines + sold.lines);
        });
        let mut skus: Vec<SkuIx> = match reader.skus_len() {
            len if len <= SKUS_MAX => (0..len).map(SkuIx).collect(),
            _ => sold.keys().copied().collect(),
        };
        skus.sort_unstable();
        let mut outlook = Self::default();
        let mut weights: HashMap<Tenant, (f64, f64)> = HashMap::new();
        let mut kept = Vec::new();
        for sku in skus {
            let Some(facts) = reader.sku(sku).filter(|facts| !facts.retired) else { continue };
            let of_sku = sold.get(&sku).copied();
            let lot = of_sku.unwrap_or(all).lot();
            let there = outlook.shelve(reader, sku, facts.flags, lot);
            if there > 0.0 {
                let of_tenant = weights.entry(facts.tenant).or_default();
                let sold = of_sku.map_or(0.0, |sold| sold.lines);
                (of_tenant.0, of_tenant.1) = (of_tenant.0 + sold, of_tenant.1 + there);
                kept.push((facts.tenant, sold, there));
            }
        }
        for (shelf, (tenant, sold, there)) in (0..).zip(kept) {
            let (all_sold, all_there) = weights[&tenant];
            let sold_share = if all_sold > 0.0 { SOLD_SHARE } else { 0.0 };
            let weight = sold_share * sold / all_sold.max(1.0) + (1.0 - sold_share) * there / all_there;
            let range = outlook.ranges.entry(tenant).or_default();
            range.shelves.push(shelf);
            range.sums.push(range.sums.last().copied().unwrap_or(0.0) + weight);
        }
        outlook
    }

    /// Takes a sku's cells that have something, node by node. Returns what they have together; a sku without any is left out.
    fn shelve(&mut self, reader: &Reader, sku: SkuIx, flags: u16, lot: f64) -> f64 {
        let first = self.nodes.len();
        let read = reader.read_words(sku, |words| {
            self.nodes.truncate(first);
            self.stock.truncate(first);
            for word in words {
                let word = word.load(Ordering::Relaxed);
                let (node, available) = (word_place(word).node().0, f64::from(word_available(word)));
                match self.nodes[first..].last() {
                    _ if available <= 0.0 => {}
                    Some(last) if *last == node => self.stock[self.nodes.len() - 1] += available,
                    _ => {
                        self.nodes.push(node);
                        self.stock.push(available);
                    }
                }
            }
        });
        if read.is_none() {
            self.nodes.truncate(first);
            self.stock.truncate(first);
        }
        self.stock[first..].iter_mut().for_each(|units| *units /= lot);
        let there = self.stock[first..].iter().sum();
        if there > 0.0 {
            let (first, end) = (first as u32, self.nodes.len() as u32);
            self.shelves.push(Shelf { sku, flags, lot, first, end });
        }
        there
    }

    /// Sku and node of each cell, and the units of its lot.
    pub(super) fn cells(&self) -> impl Iterator<Item = (SkuIx, u32, f64)> {
        self.shelves.iter().flat_map(|shelf| {
            let nodes = &self.nodes[shelf.first as usize..shelf.end as usize];
            nodes.iter().map(|node| (shelf.sku, *node, shelf.lot))
        })
    }

    /// Draws an order like this one into the future; one of many skus comes as several.
    pub(super) fn draw(
        &mut self,
        future: &mut Future,
        scope: &Scope<'_>,
        tenant: Tenant,
        lines: &[OrderLine],
        sequence: &mut Sequence,
    ) {
        self.demand.read(lines);
        let mut wants: Vec<(u32, f64)> = Vec::with_capacity(self.demand.wants.len());
        if let Some(range) = self.ranges.get(&tenant) {
            for want in &self.demand.wants {
                let at = sequence.share() * range.sums.last().copied().unwrap_or(0.0);
                let place = range.sums.partition_point(|sum| *sum <= at).min(range.sums.len() - 1);
                let shelf = range.shelves[place];
                if wants.iter().all(|(other, _)| *other != shelf) {
                    // As much more or less than usual as the line was that it is drawn like.
                    let usual = self.place(want.sku).map_or(1.0, |place| self.shelves[place].lot);
                    wants.push((shelf, want.units as f64 / usual));
                }
            }
        }
        wants.chunks(WANTS_MAX).for_each(|wants| self.add(future, scope, wants, NEAR));
    }

    /// Takes this very order into the future, unit by unit, and any node that could serve it. `false` where it is one of too
    /// many units.
    pub(super) fn take(&mut self, future: &mut Future, scope: &Scope<'_>, lines: &[OrderLine]) -> bool {
        self.demand.read(lines);
        let mut wants = Vec::new();
        for want in &self.demand.wants {
            let Some(place) = self.place(want.sku) else { continue };
            let there: f64 = self.of(&self.shelves[place]).1.iter().sum();
            wants.extend((0..want.units.min(there as i64)).map(|_| (place as u32, 1.0)));
        }
        if wants.len() <= WANTS_MAX && !wants.is_empty() {
            self.add(future, scope, &wants, usize::MAX);
        }
        wants.len() <= WANTS_MAX
    }

    /// Adds an order of these shelves and units, and for each of them so many of the nodes that could serve it.
    fn add(&self, future: &mut Future, scope: &Scope<'_>, wants: &[(u32, f64)], nearest: usize) {
        let wants: Vec<Wanted> = wants.iter().map(|(shelf, units)| self.wanted(*shelf, *units)).collect();
        let goods = wants.iter().map(|want| (want.shelf.sku, want.shelf.flags, want.units * want.shelf.lot));
        let mut freight = Freight::of(scope, goods);
        let first = future.doors.len() as u32;
        let mut draw = Draw { wants: wants.len() as u32, first, ..Draw::default() };
        draw.units.iter_mut().zip(&wants).for_each(|(units, want)| *units = want.units);
        draw.alone.fill(f64::INFINITY);
        for node in self.nearest(scope, &wants, freight.as_ref(), nearest) {
            self.open(future, scope, (&wants, &mut draw), freight.as_mut(), node);
        }
        draw.end = future.doors.len() as u32;
        // A want that nobody could serve costs nothing, whatever prices are.
        draw.alone.iter_mut().filter(|cost| cost.is_infinite()).for_each(|cost| *cost = 0.0);
        future.draws.push(draw);
    }

    /// A want of an order. What no node has whole is taken for what one has: how it is split is no question of prices.
    fn wanted(&self, shelf: u32, units: f64) -> Wanted {
        let shelf = self.shelves[shelf as usize];
        let (_, stock) = self.of(&shelf);
        Wanted { shelf, units: stock.iter().copied().fold(0.0, f64::max).min(units) }
    }

    /// For each want so many of the nodes that could serve it, those first from where it costs least; all of them, sorted.
    fn nearest(
        &self,
        scope: &Scope<'_>,
        wants: &[Wanted],
        freight: Option<&Freight<'_>>,
        nearest: usize,
    ) -> Vec<u32> {
        let (mut doors, mut near) = (Vec::new(), Vec::new());
        for (want, wanted) in wants.iter().enumerate() {
            let (nodes, stock) = self.of(&wanted.shelf);
            let able = nodes.iter().zip(stock).filter(|(node, there)| {
                **there >= wanted.units
                    && scope.allows(**node)
                    && scope.is_capable(wanted.shelf.flags, **node)
            });
            near.clear();
            near.extend(able.map(|(node, _)| {
                let from = scope.sender(*node);
                let charged = |freight: &Freight<'_>| wanted.alone(&from) + freight.alone(want, from.class);
                (freight.map_or(from.unit, charged), *node)
            }));
            near.sort_unstable();
            doors.extend(near.iter().take(nearest).map(|near| near.1));
        }
        doors.sort_unstable();
        doors.dedup();
        doors
    }

    /// Opens a node's door to an order, with its offers to the wants that it could serve.
    fn open(
        &self,
        future: &mut Future,
        scope: &Scope<'_>,
        (wants, draw): (&[Wanted], &mut Draw),
        mut freight: Option<&mut Freight<'_>>,
        node: u32,
    ) {
        let from = scope.sender(node);
        let fares = freight.as_mut().map(|freight| freight.of_class(&mut future.fares, from.class));
        let (first, fixed) = (future.offers.len() as u32, from.fixed as f64);
        for (want, wanted) in wants.iter().enumerate() {
            let Wanted { shelf, units } = wanted;
            let (nodes, stock) = self.of(shelf);
            let Ok(place) = nodes.binary_search(&node) else { continue };
            if stock[place] >= *units && scope.is_capable(shelf.flags, node) {
                let cost = from.line as f64 + from.unit as f64 * units * shelf.lot;
                future.offers.push(Offer { want: want as u32, cell: shelf.first + place as u32, cost });
                let charged = freight.as_ref().map(|freight| freight.alone(want, from.class) as f64);
                let shipment = fixed + charged.unwrap_or(0.0);
                draw.alone[want] = draw.alone[want].min(shipment + cost);
                draw.dearest[want] = draw.dearest[want].max(shipment);
            }
        }
        let end = future.offers.len() as u32;
        future.doors.push(Door { fixed, fares, first, end });
    }

    /// A sku's place in the shelves.
    fn place(&self, sku: SkuIx) -> Option<usize> {
        self.shelves.binary_search_by_key(&sku, |shelf| shelf.sku).ok()
    }

    /// Nodes and stock of a shelf.
    fn of(&self, shelf: &Shelf) -> (&[u32], &[f64]) {
        let cells = shelf.first as usize..shelf.end as usize;
        (&self.nodes[cells.clone()], &self.stock[cells])
    }
}
