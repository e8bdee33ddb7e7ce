//! One module for each figure.

mod atomic;
pub mod components;
pub mod fan_out;
pub mod hold;
pub mod size;
pub mod stall;
pub mod volumes;
pub mod walk;
