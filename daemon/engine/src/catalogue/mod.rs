//! What a tenant sells and from where: skus in a table that grows in place, nodes in a table that is published whole.

pub(crate) mod kits;
pub(crate) mod nodes;
pub(crate) mod skus;
pub(crate) mod substitutes;

pub use nodes::{Node, NodeTable};
pub use skus::SkuFacts;
