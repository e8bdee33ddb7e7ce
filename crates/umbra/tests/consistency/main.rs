//! Consistency under load: sets of volumes that real programs write to as fast
//! as they can, and what the copies must have in them.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod alternation;
mod copies;
mod ledger;
mod postgresql;
mod sqlite;
#[path = "../support/mod.rs"]
mod support;
