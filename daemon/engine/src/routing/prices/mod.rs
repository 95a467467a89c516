//! Prices for the future of stock: what a unit of a sku at a node is worth to the orders to come.
//!
//! A plan that takes the last unit near many customers saves little today and costs more tomorrow. So each plan pays, beside
//! what it costs, a price for every unit it takes from a (sku, node) that is scarce; where stock is plentiful the price is
//! nothing. [`Learner`] learns prices from recent orders: it draws futures like them ([`outlook`]), priced by the
//! carriers where they price ([`freight`]), and raises the price of
//! every cell that a future would empty until the orders that can go elsewhere do ([`ascent`]). [`PriceBook`] is where
//! planners find the newest prices. They are a hint: no rule depends on them, and nothing of them is logged.

mod ascent;
mod freight;
mod learn;
mod outlook;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use earmark_protocol::ids::{Money, NodeIx, SkuIx};
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

pub use learn::{Learner, hindsight};

use crate::sync::{AtomicU64, Ordering};

/// The price of a unit, by sku and node; nothing where none is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    by_sku: HashMap<SkuIx, Box<[(NodeIx, Money)]>, Xxh3DefaultBuilder>,
}

impl Prices {
    /// These prices; none may be below 0.
    #[must_use]
    pub fn new(prices: impl IntoIterator<Item = (SkuIx, NodeIx, Money)>) -> Self {
        let mut all: Vec<_> = prices.into_iter().filter(|price| price.2.0 > 0).collect();
        all.sort_unstable_by_key(|(sku, node, _)| (*sku, *node));
        let of_sku = |run: &[(SkuIx, NodeIx, Money)]| {
            (run[0].0, run.iter().map(|(_, node, price)| (*node, *price)).collect())
        };
        Self { by_sku: all.chunk_by(|a, b| a.0 == b.0).map(of_sku).collect() }
    }

    /// The nodes that have a price of a sku, sorted.
    #[must_use]
    pub fn of(&self, sku: SkuIx) -> &[(NodeIx, Money)] {
        self.by_sku.get(&sku).map_or(&[], |prices| prices)
    }

    /// The price of a unit of a sku at a node.
    #[must_use]
    pub fn at(&self, sku: SkuIx, node: NodeIx) -> Money {
        let prices = self.of(sku);
        prices.binary_search_by_key(&node, |price| price.0).map_or(Money(0), |at| prices[at].1)
    }

    /// How many (sku, node) have one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_sku.values().map(|prices| prices.len()).sum()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_sku.is_empty()
    }
}

/// The newest prices of one daemon, swapped in whole.
#[derive(Default)]
pub struct PriceBook {
    newest: Mutex<Arc<Prices>>,
    version: AtomicU64,
}

impl PriceBook {
    /// Takes these prices instead of those it has.
    pub fn publish(&self, prices: Prices) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(prices);
        // Release: pairs with the Acquire load of `version`; who sees the number finds these prices or newer ones.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The newest, under a lock for the length of one pointer copy: keep them and ask [`PriceBook::version`].
    #[must_use]
    pub fn newest(&self) -> Arc<Prices> {
        // A holder only clones or replaces the pointer, so a poisoned lock guards a whole value.
        Arc::clone(&self.newest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes when prices do.
    #[must_use]
    pub fn version(&self) -> u64 {
        // Acquire: pairs with the Release add of `publish`.
        self.version.load(Ordering::Acquire)
    }
}
