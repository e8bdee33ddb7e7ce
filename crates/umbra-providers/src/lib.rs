//! The in-box providers
