//! The writer: which databases, and what each event does to them.

use super::{
    config::SqliteConfig,
    database::{Keeper, failure},
};
use crate::{coverage, restore};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use umbra_documents::{Component, FileSet, FreezeLevel, WriterIdentity, WriterMetadata};
use umbra_model::{BackupSchema, SessionId, SourceType, WriterId, WriterInstanceId, WriterRestore};
use umbra_writer::{SetEvent, Writer, WriterFailure, WriterFailureKind, WriterSource};

/// The class of the SQLite writer.
pub const SQLITE_WRITER_ID: WriterId =
    WriterId::from_u128(0x7d0c_4b5f_94f1_4a0e_9a53_52d1_1d5b_7a02);

/// The SQLite writer, there when at least one database is configured.
pub struct SqliteSource {
    writer: Option<Arc<SqliteWriter>>,
}

impl SqliteSource {
    /// A source with this configuration. Opens nothing.
    pub fn new(config: SqliteConfig) -> Self {
        let writer = (!config.databases.is_empty()).then(|| {
            Arc::new(SqliteWriter {
                identity: WriterIdentity {
                    source: SourceType::TransactedDb,
                    version: crate::version::of_umbra(),
                    ..WriterIdentity::new(
                        SQLITE_WRITER_ID,
                        WriterInstanceId::random(),
                        "SQLite Writer",
                    )
                },
                config,
                sessions: Mutex::default(),
            })
        });
        Self { writer }
    }
}

#[async_trait]
impl WriterSource for SqliteSource {
    async fn writers(&self) -> Vec<Arc<dyn Writer>> {
        self.writer
            .iter()
            .map(|writer| Arc::clone(writer) as Arc<dyn Writer>)
            .collect()
    }
}

/// One for all configured databases; each is a component, named by its path.
struct SqliteWriter {
    identity: WriterIdentity,
    config: SqliteConfig,
    sessions: Mutex<HashMap<SessionId, Arc<Vec<Keeper>>>>,
}

impl SqliteWriter {
    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Vec<Keeper>>>> {
        // The map is whole after every statement, so a panic elsewhere says
        // nothing about it.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open databases of a session; opened at its first event.
    async fn keepers(&self, event: &SetEvent) -> Result<Arc<Vec<Keeper>>, WriterFailure> {
        let known = self.sessions().get(&event.session).cloned();
        if let Some(keepers) = known {
            return Ok(keepers);
        }
        let mut keepers = Vec::new();
        for component in &event.components {
            let path = self
                .config
                .databases
                .iter()
                .map(|database| &database.path)
                .find(|path| path.to_string_lossy() == component.as_str())
                .ok_or_else(|| {
                    WriterFailure::new(
                        WriterFailureKind::NonRetryable,
                        format!("{component:?} is not a configured SQLite database"),
                    )
                })?;
            let file = resolve(path)?;
            coverage::volume_of(
                &format!("the SQLite database {component}"),
                &file,
                &event.volumes,
            )?;
            keepers.push(Keeper::open(&file).await?);
        }
        let keepers = Arc::new(keepers);
        self.sessions().insert(event.session, Arc::clone(&keepers));
        Ok(keepers)
    }
}

#[async_trait]
impl Writer for SqliteWriter {
    fn identity(&self) -> &WriterIdentity {
        &self.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        let components = self
            .config
            .databases
            .iter()
            .map(|database| component(&database.path))
            .collect::<Result<_, _>>()?;
        Ok(WriterMetadata {
            // Programs with writers of their own, frozen before, may still
            // write to their databases while they come to rest.
            level: FreezeLevel::BackEnd,
            // A database opens wherever its files are.
            backup_schema: BackupSchema::COPY.with(BackupSchema::WRITER_SUPPORTS_NEW_TARGET),
            // Who has a database open cannot be seen, so there is nothing to veto.
            restore: Some(restore::in_place(WriterRestore::Never)),
            components,
            ..WriterMetadata::new(self.identity.clone())
        })
    }

    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.sessions().remove(&event.session);
        self.keepers(event).await.map(drop)
    }

    async fn prepare_for_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        for keeper in self.keepers(event).await?.iter() {
            keeper.checkpoint().await?;
        }
        Ok(())
    }

    /// Holds the write lock of every database until Thaw or Abort.
    async fn freeze(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let keepers = self.keepers(event).await?;
        for keeper in keepers.iter() {
            let locked = keeper.lock(self.config.lock_wait()).await;
            if locked.is_err() {
                self.sessions().remove(&event.session);
            }
            locked?;
        }
        Ok(())
    }

    async fn thaw(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let keepers = self.sessions().remove(&event.session).ok_or_else(|| {
            WriterFailure::new(
                WriterFailureKind::NonRetryable,
                "Thaw came for SQLite databases that were not frozen",
            )
        })?;
        // Every lock is given back, also after a failure.
        let mut result = Ok(());
        for keeper in keepers.iter() {
            result = result.and(keeper.unlock().await);
        }
        result
    }

    async fn backup_shutdown(&self, session: SessionId) {
        self.sessions().remove(&session);
    }

    async fn abort(&self, event: &SetEvent) {
        self.sessions().remove(&event.session);
    }
}

fn component(path: &Path) -> Result<Component, WriterFailure> {
    let file = resolve(path)?;
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|n| n.to_str()))
    else {
        return Err(failure(
            path,
            WriterFailureKind::NonRetryable,
            "its name is not UTF-8; rename it",
        ));
    };
    Ok(Component {
        caption: Some(format!("SQLite database {name}")),
        files: ["", "-wal", "-shm", "-journal"]
            .into_iter()
            .map(|suffix| FileSet::files(folder, format!("{name}{suffix}")))
            .collect(),
        ..Component::file_group(path.to_string_lossy())
    })
}

/// The database's file itself, behind symbolic links: SQLite names the journal
/// after it. Only looked at, never opened (see the crate's invariants).
fn resolve(path: &Path) -> Result<PathBuf, WriterFailure> {
    let check = || {
        let file = path.canonicalize()?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ))
        }
    };
    check().map_err(|error| {
        failure(
            path,
            WriterFailureKind::NonRetryable,
            format!("{error}; correct its path in sqlite.toml, or take it out there"),
        )
    })
}
