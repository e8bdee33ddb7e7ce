//! The in-box writers
