//! Earmark's state machine: stock, reservations, routing.
//!
//! No I/O, no clock, no threads, no randomness. One writer owns a [`State`]: [`decide()`] holds every rule and changes
//! nothing, [`apply()`] changes the state and knows no rule, and a [`Record`] is what passes between them and into the
//! log. Everyone else reads through a [`Reader`], without locks and without waiting.

mod apply;
mod arena;
mod bytes;
pub mod catalogue;
mod counts;
mod days;
pub mod decide;
mod digest;
mod expire;
mod facts;
pub mod image;
mod inventory;
#[cfg(all(test, loom))]
mod loom_tests;
mod movements;
mod outcomes;
pub mod policy;
mod prefetch;
pub mod promise;
mod reader;
mod record;
mod replan;
mod reservations;
pub mod resume;
pub mod routing;
mod rules;
mod runs;
mod shortage;
mod state;
mod supply;
mod sync;
pub mod tariff;

pub use apply::apply;
pub use catalogue::{Node, NodeTable, SkuFacts};
pub use decide::{
    CommandRef, Decision, Goods, Outcome, Planned, Submission, check_lines, check_order, decide,
};
pub use digest::{digest, quantities};
pub use expire::expire;
pub use facts::Facts;
pub use inventory::{CellStock, Place, SHARDS, shard_of};
pub use outcomes::CompactReply;
pub use prefetch::{PREFETCH, prefetch, prefetch_records};
pub use reader::Reader;
pub use record::{Effect, Record, Stage};
pub use replan::{Look, Replanner};
pub use rules::{Capacity, Class, Rules, Tariff};
pub use shortage::CellClaim;
pub use state::{ReserveError, State};
