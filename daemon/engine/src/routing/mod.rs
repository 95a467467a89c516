//! Routing: which nodes serve an order, priced, with a proof of how good the answer is.
//!
//! The way through: an order's lines become demands ([`demand`]), which nodes it may use at which cost is settled
//! ([`setting`], [`scope`]), lanes say how far each node is ([`lanes`], [`walk`]), the nodes worth a look are gathered with what they
//! have ([`candidates`], or guessed to have: [`presume`]), how much of each want there is ([`settle`]), a good node set is found ([`heuristic`], [`split`]), improved
//! and proven ([`solve`]: [`exact`] and [`bound`], or [`branch`] by [`shares`] and [`knapsack`]; at once for few skus: [`few`], [`subsets`]; node by node where prices go by steps: [`steps`], or for many skus by who carries what: [`broad`], [`covers`]), and written down as a plan ([`planner`], [`write`]); all its plans share one [`allowance`] of work.
//! Lines of kits are taken apart first ([`kits`]), other skus stand for those that cannot be had ([`substitutes`]), what is not in stock may wait for supply ([`awaiting`], [`coming`], [`stops`], [`ways`]), whose lines are whose narrows their nodes ([`sellers`]), and by which services an order goes, its lanes ([`upgrades`]). What a node gives up is an order of its own ([`rest`]). What others decided is priced the same way ([`given`]), and so is what orders would cost elsewhere ([`arrange`]). All of them price by [`price`]; what stock is worth to orders to come is learned in [`prices`]. Nothing here changes state, reads a clock or draws a random number: the same order over the same
//! stock gives the same plan, whatever order nodes were put in.

mod allowance;
mod arrange;
mod awaiting;
mod bonds;
mod bound;
mod branch;
mod broad;
mod buffers;
mod candidates;
mod carriage;
mod carried;
mod case;
mod columns;
mod coming;
mod covers;
mod days;
mod demand;
mod exact;
mod few;
mod fills;
mod given;
mod heuristic;
mod kits;
mod knapsack;
mod lanes;
mod late;
mod obey;
mod parcels;
mod parting;
mod planner;
mod presume;
pub mod price;
mod prices;
mod repair;
mod rest;
mod scope;
mod sellers;
mod sequence;
mod setting;
mod settle;
mod shares;
mod solve;
mod split;
mod steps;
mod stops;
mod subsets;
mod substitutes;
mod sums;
mod upgrades;
mod walk;
mod ways;
mod write;

use earmark_protocol::ids::{LineId, NodeIx, Segment, SkuIx};
use earmark_protocol::reply::Plan;

pub(crate) use arrange::{Arranged, Portion};
pub use given::{Priced, Take};
pub(crate) use kits::take_apart;
pub use lanes::LaneBook;
pub use planner::{PRICED_SKUS_MAX, Planner};
pub use prices::{Learner, PriceBook, Prices, hindsight};
pub use rest::Rest;

/// A quantity of a line, to be taken from one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The client's id of the line.
    pub line: LineId,
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Segment.
    pub segment: Segment,
    /// Units.
    pub quantity: u32,
}

/// A plan that nothing is held for yet: the committer checks it against what is there when its turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The plan epoch it was made in.
    pub epoch: u64,
    /// What to hold of what is in stock, by shipment.
    pub picks: Vec<Pick>,
    /// The same, as the client sees it; and behind it, in shipments with a `supply_day`, what waits for supply.
    pub plan: Plan,
}
