//! The engine against a naive model.
mod model;
