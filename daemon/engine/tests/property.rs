//! The engine against a naive model.
mod drive;
mod model;
