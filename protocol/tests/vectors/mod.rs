//! The examples of docs/protocol.md, shared by the test that checks them and the program that writes them.

#![allow(unreachable_pub, dead_code, reason = "shared by a test and an example, each using a part")]

pub mod page;
pub mod trace;
