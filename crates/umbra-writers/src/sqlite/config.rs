//! `writers.d/sqlite.toml`.

use serde::Deserialize;
use std::{collections::HashSet, path::PathBuf, time::Duration};

/// What the SQLite writer is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteConfig {
    /// How long, in seconds, Freeze waits for another program's transaction to
    /// end before it vetoes.
    pub lock_wait_seconds: u32,
    /// The databases, one `[[database]]` each.
    #[serde(rename = "database")]
    pub databases: Vec<DatabaseConfig>,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            lock_wait_seconds: 10,
            databases: Vec::new(),
        }
    }
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Its main file: an absolute path.
    pub path: PathBuf,
}

impl SqliteConfig {
    pub(crate) fn lock_wait(&self) -> Duration {
        Duration::from_secs(self.lock_wait_seconds.into())
    }

    /// The rules that TOML cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        for database in &self.databases {
            let path = &database.path;
            if !path.is_absolute() {
                return Err(format!("the path {path:?} is not absolute"));
            }
            if !seen.insert(path) {
                return Err(format!("the database {path:?} is there twice"));
            }
        }
        Ok(())
    }
}
