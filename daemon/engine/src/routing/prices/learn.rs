//! Learning prices from recent orders, a little each time.

use std::collections::{HashMap, VecDeque};

use earmark_protocol::command::{Delivery, Order};
use earmark_protocol::ids::{Money, NodeIx, SkuIx, Tenant, TimestampMs};
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::super::lanes::Bookmark;
use super::super::scope::Sight;
use super::super::sequence::Sequence;
use super::Prices;
use super::ascent::{Future, Terms, ascend};
use super::outlook::{Outlook, Sold};
use crate::Reader;

/// Orders of one future; where more are expected each of them stands for several.
const ORDERS_MAX: u64 = 1000;
/// Recent orders that are remembered.
const WINDOW: usize = 16_384;
/// Rounds of looking for the prices of one future, and for the bound of what was.
const ROUNDS: usize = 60;
const HINDSIGHT_ROUNDS: usize = 600;
/// By so many units a cell counts for less than it has.
const MARGIN: f64 = 0.15;
/// A want without stock costs so many of the dearest shipments more than it costs alone.
const PENALTY_SHIPMENTS: f64 = 1.0;
/// Each time prices move so far towards those of the future drawn then; at first farther, as a mean does.
const DAMPING: f64 = 0.03;
/// A lower price of a unit is none, in micros.
const LEAST: f64 = 1_000.0;
/// Where shortage costs a smaller share of what all orders of a future cost, stock is plentiful and nothing has a price. Of the
/// literature's orders, the first hundred aside, it costs 0.02 to 0.22 % where there is ten times what they want, and 0.4 to 2.9 %
/// at three times, carriers' prices or none.
const SHORTAGE: f64 = 0.003;

/// Learns prices; what it has learned so far is kept in it.
#[derive(Default)]
pub struct Learner {
    /// Oldest first.
    window: VecDeque<(Tenant, Order)>,
    prices: HashMap<(SkuIx, u32), f64, Xxh3DefaultBuilder>,
    bookmark: Bookmark,
    rounds: u64,
}

impl Learner {
    /// Notes an order that was held. One that is picked up, or names its nodes, has no choice and teaches nothing.
    pub fn note(&mut self, tenant: Tenant, order: Order) {
        if !matches!(order.delivery, Delivery::Pickup { .. })
            && order.nodes.is_empty()
            && !order.lines.is_empty()
        {
            if self.window.len() == WINDOW {
                self.window.pop_front();
            }
            self.window.push_back((tenant, order));
        }
    }

    /// The prices, after one more future of `ahead` orders; `now` is the time they are ordered at.
    pub fn learn(&mut self, reader: &Reader, now: TimestampMs, ahead: u64) -> Prices {
        self.rounds += 1;
        let damping = DAMPING.max(1.0 / self.rounds as f64);
        self.prices.values_mut().for_each(|price| *price *= 1.0 - damping);
        let count = ahead.min(ORDERS_MAX);
        let is_short = count > 0
            && !self.window.is_empty()
            && self.draw_and_ascend(reader, now, count, ahead as f64 / count as f64, damping);
        self.prices.retain(|_, price| *price > LEAST * damping);
        let told = self.prices.iter().filter(|(_, price)| is_short && **price >= LEAST);
        Prices::new(told.map(|((sku, node), price)| (*sku, NodeIx(*node), Money(price.round() as i64))))
    }

    /// Moves the prices towards those of one more future. Returns whether stock is short there.
    fn draw_and_ascend(
        &mut self,
        reader: &Reader,
        now: TimestampMs,
        count: u64,
        weight: f64,
        damping: f64,
    ) -> bool {
        let mut sold = HashMap::new();
        for line in self.window.iter().flat_map(|(_, order)| &order.lines) {
            let of_sku: &mut Sold = sold.entry(line.sku).or_default();
            of_sku.units += f64::from(line.quantity);
            of_sku.lines += 1.0;
        }
        let mut outlook = Outlook::read(reader, &sold);
        let (mut future, mut sequence) = (Future::default(), Sequence(self.rounds.rotate_left(32)));
        for _ in 0..count {
            let (tenant, order) = &self.window[sequence.below(self.window.len())];
            let sight = Sight::of(&mut self.bookmark, reader, reader.lanes(), *tenant, order, now);
            let scope = sight.scope(reader, &[], &[], &[]);
            outlook.draw(&mut future, &scope, *tenant, &order.lines, &mut sequence);
        }
        list_cells(&mut future);
        let terms = Terms { weight, penalty: PENALTY_SHIPMENTS, margin: MARGIN, rounds: ROUNDS };
        let ascent = ascend(&future, &outlook.stock, terms);
        let is_short = ascent.bound > (1.0 + SHORTAGE) * ascent.unlimited;
        for ((sku, node, lot), price) in outlook.cells().zip(ascent.prices).filter(|(_, price)| *price > 0.0)
        {
            *self.prices.entry((sku, node)).or_default() += damping * price / lot;
        }
        is_short
    }
}

/// What these orders of one tenant cost at least from what there is now, served as far as it goes by someone who knew all of
/// them beforehand. `None` where one has too many units for that.
#[must_use]
pub fn hindsight(reader: &Reader, now: TimestampMs, tenant: Tenant, orders: &[Order]) -> Option<Money> {
    let mut bookmark = Bookmark::default();
    let lines = orders.iter().flat_map(|order| &order.lines);
    // Lots of one unit.
    let unit = Sold { units: 1.0, lines: 1.0 };
    let mut outlook = Outlook::read(reader, &lines.map(|line| (line.sku, unit)).collect());
    let mut future = Future::default();
    for order in orders {
        let sight = Sight::of(&mut bookmark, reader, reader.lanes(), tenant, order, now);
        if !outlook.take(&mut future, &sight.scope(reader, &[], &[], &[]), &order.lines) {
            return None;
        }
    }
    list_cells(&mut future);
    let terms = Terms { weight: 1.0, penalty: f64::INFINITY, margin: 0.0, rounds: HINDSIGHT_ROUNDS };
    Some(Money(ascend(&future, &outlook.stock, terms).bound.floor() as i64))
}

/// Lists the cells of a future.
fn list_cells(future: &mut Future) {
    future.cells.extend(future.offers.iter().map(|offer| offer.cell));
    future.cells.sort_unstable();
    future.cells.dedup();
}
