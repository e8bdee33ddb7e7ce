//! Where a cluster keeps its files, as it says itself, and the component that
//! makes of it.

use super::{connect::query_failure, failure};
use std::{
    ffi::OsStr,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use tokio_postgres::{Client, error::SqlState};
use umbra_documents::{Component, FileSet, Recursion, Selectable};
use umbra_writer::{WriterFailure, WriterFailureKind};

/// Folders in the data directory whose contents PostgreSQL makes anew at each
/// start. `pg_basebackup` leaves them out too; it also leaves out
/// `pg_replslot`, which a copy of the same cluster needs.
const MADE_ANEW: [&str; 6] = [
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
];

/// The oldest version that is known to work, as `server_version_num`.
const OLDEST: i32 = 120_000;

/// The name of the component with configuration files of a cluster.
const CONFIGURATION: &str = "configuration";

/// Facts of a running cluster. All paths are resolved.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// As `server_version_num`: 150004 is 15.4.
    pub(super) version: i32,
    pub(super) data: PathBuf,
    /// The WAL directory, and any other folder of the data directory, that is
    /// a link out of it or a mount point.
    elsewhere: Vec<PathBuf>,
    tablespaces: Vec<PathBuf>,
    /// Configuration files that are not in the data directory.
    configuration: Vec<PathBuf>,
    /// The folder of its server log, where it is in the data directory.
    log: Option<PathBuf>,
    /// When its postmaster started, as PostgreSQL prints it.
    pub(super) started: String,
    pub(super) fsync: bool,
    pub(super) full_page_writes: bool,
    caption: String,
}

impl Layout {
    /// Asks a cluster.
    pub(super) async fn read(
        cluster: &str,
        role: &str,
        client: &Client,
    ) -> Result<Self, WriterFailure> {
        let broken = |error: tokio_postgres::Error| {
            if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
                failure(
                    cluster,
                    WriterFailureKind::NonRetryable,
                    format!(
                        "role {role} may not ask where its files are; \
                         run: GRANT pg_monitor TO {role:?}"
                    ),
                )
            } else {
                query_failure(cluster, "cannot ask where its files are", &error)
            }
        };
        let row = client
            .query_one(
                "SELECT current_setting('server_version_num'),
                        current_setting('data_directory'),
                        current_setting('log_directory'),
                        current_setting('fsync'),
                        current_setting('full_page_writes'),
                        pg_postmaster_start_time()::text,
                        current_setting('server_version'),
                        current_setting('port')",
                &[],
            )
            .await
            .map_err(broken)?;
        let text = |column: usize| row.get::<_, String>(column);
        let version: i32 = text(0).parse().unwrap_or_default();
        if version < OLDEST {
            return Err(failure(
                cluster,
                WriterFailureKind::NonRetryable,
                format!(
                    "PostgreSQL {} is too old, 12 is needed; put its data directory into \
                     `except` in writers.d/postgresql.toml to copy it as plain files",
                    text(6)
                ),
            ));
        }
        let data = resolve(cluster, Path::new(&text(1)))?;
        let tablespaces = client
            .query(
                "SELECT pg_tablespace_location(oid) FROM pg_tablespace ORDER BY spcname",
                &[],
            )
            .await
            .map_err(broken)?
            .iter()
            .map(|row| PathBuf::from(row.get::<_, String>(0)))
            // The built-in ones have none, and those made in place a relative
            // one: both are in the data directory.
            .filter(|location| location.is_absolute())
            .map(|location| resolve(cluster, &location))
            .collect::<Result<_, _>>()?;
        let configuration = client
            .query(
                "SELECT setting FROM pg_settings
                  WHERE name IN ('config_file', 'hba_file', 'ident_file') AND setting <> ''
                 UNION SELECT sourcefile FROM pg_settings WHERE sourcefile <> ''",
                &[],
            )
            .await
            .map_err(broken)?
            .iter()
            .filter_map(|row| Path::new(&row.get::<_, String>(0)).canonicalize().ok())
            .filter(|file| !file.starts_with(&data))
            .collect();
        let log = data
            .join(text(2))
            .canonicalize()
            .ok()
            .filter(|folder| folder.starts_with(&data) && *folder != data);
        Ok(Self {
            version,
            elsewhere: elsewhere(cluster, &data, log.as_deref())?,
            tablespaces,
            configuration,
            log,
            started: text(5),
            fsync: text(3) == "on",
            full_page_writes: text(4) == "on",
            caption: format!("PostgreSQL {} on port {}", text(6), text(7)),
            data,
        })
    }

    /// The folders without which the data is worth nothing.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        [&self.data]
            .into_iter()
            .chain(&self.elsewhere)
            .chain(&self.tablespaces)
            .map(PathBuf::as_path)
    }

    /// The cluster itself and, where it has configuration files elsewhere, a
    /// component for those: `/etc` is often on a volume that is not in the set,
    /// and the data is whole without it.
    pub(super) fn components(&self, name: &str) -> Vec<Component> {
        let data = Component {
            caption: Some(self.caption.clone()),
            files: self.folders().map(FileSet::tree).collect(),
            ..Component::file_group(name)
        };
        let files: Vec<FileSet> = self
            .configuration
            .iter()
            .filter_map(|file| {
                let name = file.file_name().and_then(OsStr::to_str)?;
                Some(FileSet::files(file.parent()?, name))
            })
            .collect();
        let configuration = (!files.is_empty()).then(|| Component {
            logical_path: Some(name.to_owned()),
            caption: Some(format!("Configuration of {}", self.caption)),
            // Either is of use without the other.
            selectable_for_restore: Selectable::Yes,
            files,
            ..Component::file_group(CONFIGURATION)
        });
        [data].into_iter().chain(configuration).collect()
    }

    /// What a backup should leave out: what a start makes anew, and the log.
    pub(super) fn excluded(&self) -> Vec<FileSet> {
        let data = &self.data;
        let everywhere = |specification: &str| FileSet::new(data, specification, Recursion::Tree);
        ["postmaster.pid", "postmaster.opts"]
            .into_iter()
            .map(|file| FileSet::files(data, file))
            .chain(
                MADE_ANEW
                    .iter()
                    .map(|folder| FileSet::tree(data.join(folder))),
            )
            .chain([
                everywhere("pg_internal.init*"),
                FileSet::tree(data.join("base/pgsql_tmp")),
            ])
            .chain(self.log.iter().map(FileSet::tree))
            .collect()
    }
}

/// Whether a component is the configuration of a cluster, which no event
/// concerns.
pub(super) fn is_configuration(component: &str) -> bool {
    component.ends_with(&format!("\\{CONFIGURATION}"))
}

/// The folders right in the data directory that are not really in it, sorted. Those whose contents do not matter are left out; the
/// tablespaces are asked for.
fn elsewhere(
    cluster: &str,
    data: &Path,
    log: Option<&Path>,
) -> Result<Vec<PathBuf>, WriterFailure> {
    let unreadable = |error: io::Error| {
        failure(
            cluster,
            WriterFailureKind::NonRetryable,
            format!("cannot look into its folder {}: {error}", data.display()),
        )
    };
    let device = data.metadata().map_err(unreadable)?.dev();
    let mut found = Vec::new();
    for entry in data.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_needed = path
            .file_name()
            .and_then(OsStr::to_str)
            .is_none_or(|name| name != "pg_tblspc" && !MADE_ANEW.contains(&name));
        // Files come and go while the cluster runs; folders stay.
        let Ok(facts) = path.metadata() else { continue };
        if !is_needed || !facts.is_dir() || log == Some(&path) {
            continue;
        }
        let folder = resolve(cluster, &path)?;
        if !folder.starts_with(data) || facts.dev() != device {
            found.push(folder);
        }
    }
    found.sort();
    Ok(found)
}

fn resolve(cluster: &str, path: &Path) -> Result<PathBuf, WriterFailure> {
    path.canonicalize().map_err(|error| {
        failure(
            cluster,
            WriterFailureKind::NonRetryable,
            format!(
                "its folder {} cannot be seen from here: {error}; a cluster in a container \
                 needs a writer there",
                path.display()
            ),
        )
    })
}
