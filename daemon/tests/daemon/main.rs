//! The running daemon, driven by the real client over loopback QUIC: one module per promise.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod bad_bytes;
mod capacity;
mod copies;
mod drain;
mod exactly_once;
mod expiry;
mod first_orders;
mod full_days;
mod hot_sku;
mod images;
mod limits;
mod linearizable;
mod overload;
mod paused_nodes;
mod policies;
mod prices;
mod processors;
mod raw;
mod replan;
mod roles;
mod shortage;
mod slow_reader;
mod tariffs;
mod unix_socket;
mod world;
