//! The conformance table: the test writer and the test requester of VSS against
//! each other and against a real service, on real file systems. Each row names the
//! page of the VSS documentation that it shows; docs/conformance.md has the table.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends at what it does not expect"
)]

#[path = "../support/mod.rs"]
mod support;

mod backups;
mod commands;
mod failures;
mod files;
mod restores;
mod sets;
mod stage;
mod table;

/// The rows of the table: a test, the page that it shows, and what it shows.
macro_rules! rows {
    ($($name:ident: $page:literal, $shows:literal => $test:expr;)*) => {
        pub const ROWS: &[crate::table::Row] = &[$(crate::table::Row {
            name: stringify!($name),
            page: $page,
            shows: $shows,
        },)*];

        $(#[test]
        fn $name() {
            let test: fn() = $test;
            test();
        })*
    };
}
pub(crate) use rows;
