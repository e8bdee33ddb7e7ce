//! What writers say about their data: their identity, their components and the
//! file sets these are made of.
//!
//! Invariant: nothing in this crate touches a file, a socket or a clock.

mod metadata;

pub use metadata::{
    Component, FileSet, FreezeLevel, MetadataError, Recursion, Selectable, WriterIdentity,
    WriterMetadata,
};
