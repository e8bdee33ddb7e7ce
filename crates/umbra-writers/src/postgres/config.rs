//! `writers.d/postgresql.toml`.

use serde::Deserialize;
use std::{collections::HashSet, path::PathBuf};

/// What the PostgreSQL writer is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// Whether running clusters are found by themselves.
    pub discover: bool,
    /// Whose clusters are found: names of users. Anybody can run a PostgreSQL;
    /// not everybody may take part in the machine's backups.
    pub users: Vec<String>,
    /// Only clusters whose data directory is one of these folders or below.
    pub below: Vec<PathBuf>,
    /// No clusters whose data directory is one of these folders or below.
    pub except: Vec<PathBuf>,
    /// Clusters that are not found, or that need more to be connected to; one
    /// `[[cluster]]` each. Takes precedence over one that is found.
    #[serde(rename = "cluster")]
    pub clusters: Vec<ClusterConfig>,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            discover: true,
            users: vec!["postgres".into()],
            below: vec![PathBuf::from("/")],
            except: Vec::new(),
            clusters: Vec::new(),
        }
    }
}

/// One cluster and how to connect to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// The component's name; must stay the same.
    pub name: String,
    /// The folder of its Unix socket (`unix_socket_directories`).
    pub host: PathBuf,
    /// Its port, which is in the name of the socket.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The role to connect as: a superuser, or a member of `pg_monitor` and
    /// `pg_checkpoint`.
    #[serde(default = "default_role")]
    pub user: String,
    /// The database to connect to.
    #[serde(default = "default_role")]
    pub database: String,
    /// The operating system's user to connect as, for peer authentication;
    /// otherwise the service's own.
    #[serde(default)]
    pub os_user: Option<String>,
    /// A password file as of `libpq` (`.pgpass`), readable by its owner only.
    #[serde(default)]
    pub passfile: Option<PathBuf>,
}

fn default_port() -> u16 {
    5432
}

fn default_role() -> String {
    "postgres".into()
}

impl PostgresConfig {
    /// The rules that TOML cannot say.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut names = HashSet::new();
        for cluster in &self.clusters {
            let name = &cluster.name;
            if name.is_empty() || name.contains('\\') {
                return Err(format!("{name:?} cannot be the name of a cluster"));
            }
            if !names.insert(name) {
                return Err(format!("the cluster {name:?} is there twice"));
            }
            if !cluster.host.is_absolute() {
                return Err(format!(
                    "the host {:?} of the cluster {name:?} is not the folder of a Unix socket; \
                     only clusters of this machine can be copied",
                    cluster.host
                ));
            }
            if let Some(file) = cluster.passfile.iter().find(|file| !file.is_absolute()) {
                return Err(format!("the passfile {file:?} of {name:?} is not absolute"));
            }
        }
        for folder in self.below.iter().chain(&self.except) {
            if !folder.is_absolute() {
                return Err(format!("the folder {folder:?} is not absolute"));
            }
        }
        Ok(())
    }
}
