//! Load on a running Earmark, and what became of it.
//!
//! Workloads say what is asked ([`workload`]), a pace says when ([`pace`]), lanes carry it over pipes and note every
//! answer ([`lane`], [`meter`]), and a result says how it went ([`outcome`]). It speaks to the daemon through
//! `earmark-protocol` alone and knows nothing of how the daemon is built.

mod cli;
mod clock;
mod connect;
mod drive;
mod error;
mod generate;
mod lane;
mod meter;
mod outcome;
mod pace;
mod process;
mod requests;
mod run;
mod ticker;
mod workload;
mod world;

pub use cli::command_line;
