//! The tracker on real devices. Needs root, BPF, loop devices.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod every_write;
mod lifetime;
mod stage;
