//! Earmark's words, messages and bytes.
//!
//! This crate holds what both ends of a pipe must agree on: the identifiers ([`ids`]), what a client may ask
//! ([`command`], [`query`]), what the daemon answers ([`reply`], [`refusal`]), and how it all lies in bytes
//! ([`frame`], [`receive`], [`codec`], [`hello`], [`hold_one`], [`wire_error`]). It never opens a socket, reads a
//! clock or keeps state, except for the `client` behind the feature of that name.

pub mod catalogue;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
pub mod command;
pub mod digest;
pub mod frame;
pub mod geo;
pub mod hello;
pub mod hold_one;
pub mod ids;
pub mod kit;
pub mod query;
pub mod receive;
pub mod refusal;
pub mod reply;
pub mod substitute;
pub mod supply;
pub mod tariff;
pub mod wire_error;
