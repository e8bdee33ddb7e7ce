//! The PostgreSQL writer.

mod config;
mod connect;
mod discover;
mod layout;
mod passfile;
mod session;
mod writer;

pub use config::{ClusterConfig, PostgresConfig};
pub use writer::{POSTGRES_WRITER_ID, PostgresSource};

use std::fmt::Display;
use umbra_writer::{WriterFailure, WriterFailureKind};

/// A failure that names the cluster.
fn failure(cluster: &str, kind: WriterFailureKind, why: impl Display) -> WriterFailure {
    WriterFailure::new(kind, format!("the PostgreSQL cluster {cluster}: {why}"))
}
