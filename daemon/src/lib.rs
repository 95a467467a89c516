//! Earmark's daemon: configuration, server, commit, command line.

pub mod data;
pub mod demo;
