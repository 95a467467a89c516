//! `earmark demo`.

pub mod baskets;
pub mod generated;
pub mod ledger;
pub mod metros;
pub mod nearest;
pub mod network;
pub mod real_files;
pub mod scenario;
pub mod stock;
