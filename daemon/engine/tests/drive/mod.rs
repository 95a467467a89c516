//! d
mod commands;
mod dice;
