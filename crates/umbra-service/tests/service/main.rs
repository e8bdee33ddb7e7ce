//! The service as a whole, on a machine in memory: no root, no storage.
//!
//! The clock is paused: time-outs pass at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod aborting;
mod administration;
mod components;
mod crash;
mod faults;
mod restores;
mod sim;
mod subscriptions;
mod way;
