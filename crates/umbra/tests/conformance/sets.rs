//! Rows.

crate::rows! {}
