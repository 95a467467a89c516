//! The daemon: configuration, the server over QUIC and a unix socket, the committer.

pub mod cli;
pub mod clock;
pub mod commit;
pub mod config;
pub mod data;
pub mod demo;
mod priority;
mod processors;
pub mod replay;
pub mod security;
pub mod serve;
mod server;
pub mod store;
