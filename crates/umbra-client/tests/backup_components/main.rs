//! `BackupComponents` against a real service on a real socket, with writers that use
//! the document.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

mod archive;
mod backup;
mod calls;
mod many;
#[path = "../../../umbra-server/tests/parts/mod.rs"]
mod parts;
mod restore;
mod snapshots;
