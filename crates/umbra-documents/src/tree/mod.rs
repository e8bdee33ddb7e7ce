//! Component trees: what a requester may choose of what writers own, what comes
//! with what it chose, and why the rest is left out ("Working with Selectability
//! and Logical Paths").
//!
//! A requester adds to a [`BackupSelection`] and asks it for the [`BackupSet`]; for
//! a restore, a [`RestoreSelection`] changes the Backup Components Document and
//! tells the [`RestoreSet`]. Both stand on the [`WriterTrees`] of all writers.
//!
//! Invariant: a component that is included and was not added has exactly one
//! component above it that was.

mod backup;
mod backup_set;
mod component_tree;
mod dependencies;
mod designation;
mod error;
mod events;
mod exclusion;
mod logical_path;
mod restore;
mod restore_set;
mod writer_trees;

pub use backup::{BackupSelection, Coverage};
pub use backup_set::{BackupSet, ComponentInBackup, Inclusion, LeftOut, WriterInBackup};
pub use component_tree::{ComponentTree, Standing};
pub use dependencies::{DependencyState, DependencyStatus};
pub use designation::Designation;
pub use error::SelectionError;
pub use events::WriterEvent;
pub use logical_path::canonical_path;
pub use restore::RestoreSelection;
pub use restore_set::{
    ComponentInRestore, NotRestored, RestoreInclusion, RestoreSet, WriterInRestore,
};
pub use writer_trees::{ComponentAt, ComponentChoice, WriterTree, WriterTrees};
