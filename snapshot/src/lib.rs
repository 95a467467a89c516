//! Everything of Earmark that touches a disk, and the gate that replies wait at.
//!
//! The committer hands each batch of records to a [`Log`]; the log says how far they are durable through the
//! [`Gate`], and a reply leaves when the gate has passed the place it was decided at. This crate knows bytes
//! and their places in the one total order (`lsn`, 1 for the first record), never what a record means.

mod gate;
pub mod image;
pub mod log;
pub mod storage;

pub use gate::{Acknowledger, Gate, Watcher};
pub use log::{Batch, Log, Position};
