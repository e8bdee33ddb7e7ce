//! The service as a whole, on a machine in memory: no root, no storage.
//!
//! The clock is paused: time-outs pass at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod administration;
mod crash;
mod faults;
mod sim;
mod way;
