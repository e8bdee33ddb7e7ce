//! The writer: which clusters there are, and what each event does to them.

use super::{
    config::{ClusterConfig, PostgresConfig},
    connect::Access,
    discover::{self, Found, Postmaster},
    failure, layout,
    session::ClusterSession,
};
use crate::{RelayCommand, restore};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    future::Future,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{process::Command, task::JoinSet};
use umbra_documents::{FreezeLevel, WriterIdentity, WriterMetadata};
use umbra_model::{BackupSchema, SessionId, SourceType, WriterId, WriterInstanceId, WriterRestore};
use umbra_writer::{
    RestoreEvent, SetEvent, Writer, WriterFailure, WriterFailureKind, WriterSource,
};

/// The class of the PostgreSQL writer.
pub const POSTGRES_WRITER_ID: WriterId =
    WriterId::from_u128(0x2f6b_1c0e_83d7_4d0b_b1e4_60c5_7a9e_3d01);

/// The PostgreSQL writer, there while a cluster runs or is configured.
pub struct PostgresSource {
    writer: Arc<PostgresWriter>,
}

impl PostgresSource {
    /// A source with this configuration. Connects to nothing.
    pub fn new(config: PostgresConfig, relay: RelayCommand) -> Self {
        Self {
            writer: Arc::new(PostgresWriter {
                identity: WriterIdentity {
                    source: SourceType::TransactedDb,
                    version: crate::version::of_umbra(),
                    ..WriterIdentity::new(
                        POSTGRES_WRITER_ID,
                        WriterInstanceId::random(),
                        "PostgreSQL Writer",
                    )
                },
                config,
                relay,
                sessions: Mutex::default(),
            }),
        }
    }
}

#[async_trait]
impl WriterSource for PostgresSource {
    async fn writers(&self) -> Vec<Arc<dyn Writer>> {
        let config = &self.writer.config;
        if config.clusters.is_empty() && discovered(config).await.is_empty() {
            return Vec::new();
        }
        vec![Arc::clone(&self.writer) as Arc<dyn Writer>]
    }
}

type Clusters = Arc<Vec<Arc<ClusterSession>>>;

/// One for all clusters of the machine; each is a component.
struct PostgresWriter {
    identity: WriterIdentity,
    config: PostgresConfig,
    relay: RelayCommand,
    sessions: Mutex<HashMap<SessionId, Clusters>>,
}

/// A cluster that there is, or should be.
struct Known {
    access: Access,
    /// Of one that was found: it is not reported when it ends meanwhile.
    postmaster: Option<Postmaster>,
}

impl PostgresWriter {
    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Clusters>> {
        // The map is whole after every statement, so a panic elsewhere says
        // nothing about it.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configured clusters, then those found that are not configured.
    async fn known(&self) -> Result<Vec<Known>, WriterFailure> {
        let mut known = Vec::new();
        for cluster in &self.config.clusters {
            known.push(Known {
                access: self.configured(cluster).await?,
                postmaster: None,
            });
        }
        for found in discovered(&self.config).await {
            let is_configured = found.socket_folder.as_ref().is_some_and(|folder| {
                self.config
                    .clusters
                    .iter()
                    .any(|cluster| cluster.port == found.port && same_folder(&cluster.host, folder))
            });
            if !is_configured {
                known.push(self.found(found).await?);
            }
        }
        Ok(known)
    }

    async fn configured(&self, cluster: &ClusterConfig) -> Result<Access, WriterFailure> {
        let os_user = match &cluster.os_user {
            None => None,
            Some(name) => {
                let user = user(name).await.ok_or_else(|| {
                    failure(
                        &cluster.name,
                        WriterFailureKind::NonRetryable,
                        format!("there is no user {name:?}; correct os_user in postgresql.toml"),
                    )
                })?;
                Some((user.uid, user.gid))
            }
        };
        Ok(Access {
            cluster: cluster.name.clone(),
            data: None,
            folder: cluster.host.clone(),
            port: cluster.port,
            roles: vec![cluster.user.clone()],
            database: cluster.database.clone(),
            os_user,
            passfile: cluster.passfile.clone(),
            relay: self.relay.clone(),
        })
    }

    /// A cluster that was found is connected to as its owner, who may do with
    /// it what he likes anyway: first as the role of his own name, which
    /// `initdb` makes, then as `postgres`.
    async fn found(&self, found: Found) -> Result<Known, WriterFailure> {
        let cluster = found.data.display().to_string();
        let Some(folder) = found.socket_folder else {
            return Err(failure(
                &cluster,
                WriterFailureKind::NonRetryable,
                "it has no Unix socket; set unix_socket_directories, or put its data directory \
                 into `except` in writers.d/postgresql.toml",
            ));
        };
        let mut roles = vec!["postgres".to_owned()];
        if let Some(owner) = user(&found.owner.0.to_string()).await
            && owner.name != roles[0]
        {
            roles.insert(0, owner.name);
        }
        Ok(Known {
            access: Access {
                cluster,
                data: Some(found.data),
                folder,
                port: found.port,
                roles,
                database: "postgres".into(),
                os_user: Some(found.owner),
                passfile: None,
                relay: self.relay.clone(),
            },
            postmaster: Some(found.postmaster),
        })
    }

    /// The clusters of a session; connected to at its first event.
    async fn clusters(&self, event: &SetEvent) -> Result<Clusters, WriterFailure> {
        let open = self.sessions().get(&event.session).cloned();
        if let Some(clusters) = open {
            return Ok(clusters);
        }
        let mut known = self.known().await?;
        let mut wanted = Vec::new();
        for component in &event.components {
            if layout::is_configuration(component) {
                continue;
            }
            let found = known
                .iter()
                .position(|known| known.access.cluster == *component);
            let Some(index) = found else {
                return Err(failure(
                    component,
                    WriterFailureKind::Retryable,
                    "it does not run any more; start it, or try again without it",
                ));
            };
            wanted.push(known.swap_remove(index).access);
        }
        let clusters = all(wanted, |access| async move {
            Ok(Arc::new(ClusterSession::open(access).await?))
        })
        .await?;
        for cluster in &clusters {
            cluster.check_volumes(&event.volumes)?;
        }
        let clusters = Arc::new(clusters);
        self.sessions().insert(event.session, Arc::clone(&clusters));
        Ok(clusters)
    }

    /// Whether the cluster of a component runs. One that is configured and does not
    /// answer counts as stopped.
    async fn runs(&self, component: &str) -> Result<bool, WriterFailure> {
        let mut configured = self.config.clusters.iter();
        if let Some(cluster) = configured.find(|cluster| cluster.name == component) {
            let access = self.configured(cluster).await?;
            return Ok(ClusterSession::open(access).await.is_ok());
        }
        Ok(Postmaster::of(Path::new(component)).is_ok_and(Postmaster::is_alive))
    }

    /// The clusters of a session that must have begun.
    fn begun(&self, event: &SetEvent) -> Result<Clusters, WriterFailure> {
        let open = self.sessions().get(&event.session).cloned();
        open.ok_or_else(|| {
            WriterFailure::new(
                WriterFailureKind::NonRetryable,
                "Freeze or Thaw came for PostgreSQL clusters that were not prepared",
            )
        })
    }
}

#[async_trait]
impl Writer for PostgresWriter {
    fn identity(&self) -> &WriterIdentity {
        &self.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        let sessions = all(self.known().await?, |known| async move {
            match ClusterSession::open(known.access).await {
                Ok(session) => Ok(Some(session)),
                // Stopped since it was found: no cluster any more, but files.
                Err(_) if known.postmaster.is_some_and(|found| !found.is_alive()) => Ok(None),
                Err(failure) => Err(failure),
            }
        })
        .await?;
        let mut components = Vec::new();
        let mut excluded = Vec::new();
        for session in sessions.into_iter().flatten() {
            components.extend(session.layout.components(session.cluster()));
            excluded.extend(session.layout.excluded());
        }
        components.sort_by_key(umbra_documents::Component::full_path);
        Ok(WriterMetadata {
            // Programs that keep their data in it are frozen before it.
            level: FreezeLevel::BackEnd,
            // Nothing depends on whether a backup is one of a series.
            backup_schema: BackupSchema::COPY,
            restore: Some(restore::in_place(WriterRestore::Always)),
            components,
            excluded,
            ..WriterMetadata::new(self.identity.clone())
        })
    }

    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.sessions().remove(&event.session);
        self.clusters(event).await.map(drop)
    }

    async fn prepare_for_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let clusters = self.clusters(event).await?;
        all(clusters.iter().cloned(), |cluster| async move {
            cluster.check_no_exclusive_backup().await?;
            cluster.checkpoint().await
        })
        .await
        .map(drop)
    }

    /// Stops nothing: the set's one instant is a state that PostgreSQL recovers
    /// from, by its write-ahead log, as from a power cut (`docs/writers.md`).
    /// What must hold for that was checked before; here only that the cluster
    /// is still the one that was checked.
    async fn freeze(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let clusters = self.begun(event)?;
        all(clusters.iter().cloned(), |cluster| async move {
            cluster.check_same().await
        })
        .await
        .map(drop)
    }

    async fn thaw(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let clusters = self.begun(event)?;
        self.sessions().remove(&event.session);
        all(clusters.iter().cloned(), |cluster| async move {
            cluster.check_same().await
        })
        .await
        .map(drop)
    }

    /// Vetoes where a cluster runs whose files are to be put back.
    async fn pre_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        for component in restore::put_back(event) {
            if !layout::is_configuration(&component) && self.runs(&component).await? {
                return Err(failure(
                    &component,
                    WriterFailureKind::Retryable,
                    "it runs, and its files cannot be put back under it; stop it, move what is \
                     left in its folders away, and restore it again",
                ));
            }
        }
        Ok(())
    }

    async fn backup_shutdown(&self, session: SessionId) {
        self.sessions().remove(&session);
    }

    async fn abort(&self, event: &SetEvent) {
        self.sessions().remove(&event.session);
    }
}

/// Does the same to many at once, in the order given; the first failure ends
/// the others, and so does dropping the future.
async fn all<I, T, F>(
    items: impl IntoIterator<Item = I>,
    action: impl Fn(I) -> F,
) -> Result<Vec<T>, WriterFailure>
where
    F: Future<Output = Result<T, WriterFailure>> + Send + 'static,
    T: Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (index, item) in items.into_iter().enumerate() {
        let task = action(item);
        tasks.spawn(async move { task.await.map(|value| (index, value)) });
    }
    let mut done = Vec::new();
    while let Some(result) = tasks.join_next().await {
        done.push(result.map_err(|error| {
            WriterFailure::new(
                WriterFailureKind::NotResponding,
                format!("a task of the PostgreSQL writer ended: {error}"),
            )
        })??);
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, value)| value).collect())
}

/// The running clusters that the configuration lets in.
async fn discovered(config: &PostgresConfig) -> Vec<Found> {
    if !config.discover {
        return Vec::new();
    }
    // Nothing to find is nothing to report, also when the thread was ended.
    let running = tokio::task::spawn_blocking(discover::running)
        .await
        .unwrap_or_default();
    let below = |data: &Path, folders: &[std::path::PathBuf]| {
        folders
            .iter()
            .any(|folder| data.starts_with(folder.canonicalize().as_deref().unwrap_or(folder)))
    };
    let mut found = Vec::new();
    for cluster in running {
        if !below(&cluster.data, &config.below) || below(&cluster.data, &config.except) {
            continue;
        }
        if let Some(owner) = user(&cluster.owner.0.to_string()).await
            && config.users.contains(&owner.name)
        {
            found.push(cluster);
        }
    }
    found
}

fn same_folder(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

struct User {
    name: String,
    uid: u32,
    gid: u32,
}

/// A user by name or number, from every source that the system is set up for.
async fn user(key: &str) -> Option<User> {
    let output = Command::new("getent")
        .args(["passwd", "--", key])
        .kill_on_drop(true)
        .output()
        .await
        .ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    let mut fields = line.trim_end().split(':');
    Some(User {
        name: fields.next().filter(|name| !name.is_empty())?.to_owned(),
        uid: fields.nth(1)?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
    })
}
