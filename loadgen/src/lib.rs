//! Load on a running Earmark, and what became of it.
//!
//! Workloads say what is asked ([`workload`]), a pace says when ([`pace`]), lanes carry it over pipes and note every
//! answer ([`lane`], [`meter`]), and a result says how it went ([`outcome`], [`report`]). [`sweep`] runs one load after
//! the other, [`verify`] keeps an [`account`] of every answer. It speaks to the daemon through `earmark-protocol` alone
//! and knows nothing of how the daemon is built.

mod account;
mod baskets;
mod cli;
mod clock;
mod connect;
mod curve;
mod drive;
mod error;
mod generate;
mod lane;
mod meter;
mod obeyed;
mod outcome;
mod pace;
mod process;
mod report;
mod requests;
mod run;
mod shape;
mod sweep;
mod ticker;
mod verify;
mod workload;
mod world;

pub use cli::command_line;
