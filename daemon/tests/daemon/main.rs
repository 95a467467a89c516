//! The running daemon, driven by the real client over loopback QUIC: one module per promise.

mod first_orders;
mod world;
