//! The engine against a naive model, and against the page that says what it promises.
//!
//! `model` tells every promise once more with plain maps and imports nothing from the engine; `drive` gives both the
//! same commands and compares; the other rooms are the tests.

mod churn;
mod drive;
mod model;
mod page;
mod retries;
mod sequences;
