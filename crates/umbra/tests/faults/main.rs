//! Faults that Umbra survives: real programs that are really killed, on real
//! file systems. After each, nothing is frozen and nothing is left, and whoever
//! asked gets a clear error.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod endurance;
mod full_disk;
mod providers;
mod puppet;
mod queue;
mod requester_gone;
mod service_killed;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod volumes;
mod writers;
