//! Futures: orders that may come, drawn from what is known now.
//!
//! An order of a future goes where a recent one went, with as many lines and units; which skus they are is drawn anew, by
//! what lies there, since that was bought for the orders to come, and by what sold lately. Quantities are in lots, a sku's usual
//! line, so that prices of what sells by the dozen are as small as they should be. Orders that are still to come are never looked at. The draw is a fixed sequence of numbers: the same window and stock give the same future.

use std::collections::HashMap;

use earmark_protocol::command::OrderLine;
use earmark_protocol::ids::{SkuIx, Tenant};

use super::super::demand::Demand;
use super::super::scope::Scope;
use super::super::sequence::Sequence;
use super::ascent::{Door, Draw, Future, Offer, WANTS_MAX};
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
    doors: Vec<u32>,
    near: Vec<(i64, u32)>,
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
    fn add(&mut self, future: &mut Future, scope: &Scope<'_>, wants: &[(u32, f64)], nearest: usize) {
        let mut units = [0.0; WANTS_MAX];
        let (mut doors, mut near) = (std::mem::take(&mut self.doors), std::mem::take(&mut self.near));
        doors.clear();
        for ((shelf, wanted), units) in wants.iter().zip(&mut units) {
            let shelf = self.shelves[*shelf as usize];
            let (nodes, stock) = self.of(&shelf);
            // What no node has whole is taken for what one has: how it is split is no question of prices.
            let most = stock.iter().copied().fold(0.0, f64::max);
            *units = most.min(*wanted);
            near.clear();
            for (node, there) in nodes.iter().zip(stock) {
                if there >= units && scope.allows(*node) && scope.is_capable(shelf.flags, *node) {
                    near.push((scope.candidate(*node).unit, *node));
                }
            }
            near.sort_unstable();
            doors.extend(near.iter().take(nearest).map(|near| near.1));
        }
        doors.sort_unstable();
        doors.dedup();
        let first = future.doors.len() as u32;
        let mut alone = [f64::INFINITY; WANTS_MAX];
        for node in &doors {
            let candidate = scope.candidate(*node);
            let from = future.offers.len() as u32;
            for ((want, (shelf, _)), units) in (0..).zip(wants).zip(units) {
                let shelf = &self.shelves[*shelf as usize];
                let (nodes, stock) = self.of(shelf);
                let Ok(place) = nodes.binary_search(node) else { continue };
                if stock[place] >= units && scope.is_capable(shelf.flags, *node) {
                    let cost = candidate.line as f64 + candidate.unit as f64 * units * shelf.lot;
                    future.offers.push(Offer { want, cell: shelf.first + place as u32, cost });
                    let alone = &mut alone[want as usize];
                    *alone = alone.min(candidate.fixed as f64 + cost);
                }
            }
            let end = future.offers.len() as u32;
            future.doors.push(Door { fixed: candidate.fixed as f64, first: from, end });
        }
        let end = future.doors.len() as u32;
        // A want that nobody could serve costs nothing, whatever prices are.
        alone.iter_mut().filter(|cost| cost.is_infinite()).for_each(|cost| *cost = 0.0);
        future.draws.push(Draw { wants: wants.len() as u32, units, alone, first, end });
        (self.doors, self.near) = (doors, near);
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
