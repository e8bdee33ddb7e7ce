//! `umbra express`.

use super::ListingArguments;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use umbra_model::WriterId;

pub(super) const ABOUT: &str = "An express writer is a Writer Metadata Document that stands for a \
    writer without a process: it says where an application's files are, which components they make \
    and what a backup leaves out. Its files are copied as the instant of the set finds them.\n\n\
    Documents are in etc/umbra/writers.d, one XML file each. A package may put one there; it must \
    belong to root, and nobody else may write to it.";

pub(super) const EXAMPLE: &str = "Examples:\n  umbra express list\n  umbra express register wiki.xml\n  \
    umbra express unregister 5d8f14c5-0d0a-4f0c-9c1f-3b6f9d8c2f01";

/// `umbra express`.
#[derive(Debug, Args)]
pub struct ExpressArguments {
    /// What to do.
    #[command(subcommand)]
    pub task: ExpressTask,
}

/// What can be done with express writers.
#[derive(Debug, Subcommand)]
pub enum ExpressTask {
    /// List the documents, and why one makes no writer
    List(ListingArguments),
    /// Keep the document of an express writer from now on (root only)
    Register(RegisterArguments),
    /// Remove the document of an express writer (root only)
    Unregister(UnregisterArguments),
}

/// `umbra express register`.
#[derive(Debug, Args)]
pub struct RegisterArguments {
    /// A Writer Metadata Document
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `umbra express unregister`.
#[derive(Debug, Args)]
pub struct UnregisterArguments {
    /// The writer's class id, as `umbra express list` prints it
    #[arg(value_name = "ID")]
    pub id: WriterId,
}
