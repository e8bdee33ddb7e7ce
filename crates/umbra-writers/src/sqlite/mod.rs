//! The SQLite writer.

mod config;
mod database;
mod writer;

pub use config::{DatabaseConfig, SqliteConfig};
pub use writer::{SQLITE_WRITER_ID, SqliteSource};
