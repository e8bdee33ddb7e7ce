//! One cluster of a set, over one connection from PrepareForBackup to Thaw.

use super::{
    connect::{Access, Connected, query_failure},
    discover::Postmaster,
    failure,
    layout::Layout,
};
use crate::coverage;
use std::{path::Path, time::Duration};
use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::{CancelToken, Client, error::SqlState};
use umbra_model::Volume;
use umbra_writer::{WriterFailure, WriterFailureKind};

/// How long a cluster may take to say that it is there, inside the freeze.
const SIGN_OF_LIFE_LIMIT: Duration = Duration::from_secs(10);

/// File systems that are copied without being held first.
const NEVER_HELD: [&str; 3] = ["btrfs", "zfs", "bcachefs"];

/// The first version with the role `pg_checkpoint`.
const CHECKPOINT_ROLE_SINCE: i32 = 150_000;

pub(super) struct ClusterSession {
    access: Access,
    role: String,
    client: Client,
    postmaster: Postmaster,
    pub(super) layout: Layout,
}

impl ClusterSession {
    /// Connects, and asks where the files are.
    pub(super) async fn open(access: Access) -> Result<Self, WriterFailure> {
        let Connected { client, role } = access.connect().await?;
        let cluster = &access.cluster;
        // The server's own limits would end a checkpoint or this connection.
        client
            .batch_execute(
                "SET statement_timeout = 0; SET lock_timeout = 0;
                 SELECT set_config(name, '0', false) FROM pg_settings
                  WHERE name = 'idle_session_timeout'",
            )
            .await
            .map_err(|error| query_failure(cluster, "cannot set up the session", &error))?;
        let layout = Layout::read(cluster, &role, &client).await?;
        if access
            .data
            .as_ref()
            .is_some_and(|data| *data != layout.data)
        {
            return Err(failure(
                cluster,
                WriterFailureKind::NonRetryable,
                format!(
                    "behind its socket in {} is another cluster, with its data in {}",
                    access.folder.display(),
                    layout.data.display()
                ),
            ));
        }
        let postmaster = Postmaster::of(&layout.data).map_err(|error| {
            failure(
                cluster,
                WriterFailureKind::NonRetryable,
                format!(
                    "no postmaster of this machine runs on {}: {error}",
                    layout.data.display()
                ),
            )
        })?;
        Ok(Self {
            access,
            role,
            client,
            postmaster,
            layout,
        })
    }

    pub(super) fn cluster(&self) -> &str {
        &self.access.cluster
    }

    /// Vetoes a set of which no whole cluster could be made again.
    pub(super) fn check_volumes(&self, volumes: &[Volume]) -> Result<(), WriterFailure> {
        let component = format!("the PostgreSQL cluster {}", self.cluster());
        for folder in self.layout.folders() {
            let volume = coverage::volume_of(&component, folder, volumes)?;
            if NEVER_HELD.contains(&volume.file_system.as_str()) {
                self.check_safe_without_hold(folder, volume)?;
            }
        }
        Ok(())
    }

    /// A held file system shows every write before one moment and none after
    /// it, page by page. One that is copied without a hold promises only what
    /// a power cut leaves: then the cluster must be ready for one.
    fn check_safe_without_hold(&self, folder: &Path, volume: &Volume) -> Result<(), WriterFailure> {
        let settings = [
            ("fsync", self.layout.fsync),
            ("full_page_writes", self.layout.full_page_writes),
        ];
        match settings.into_iter().find(|(_, on)| !on) {
            None => Ok(()),
            Some((setting, _)) => Err(failure(
                self.cluster(),
                WriterFailureKind::NonRetryable,
                format!(
                    "its setting {setting} is off, and {} lies on {}, which cannot be held \
                     still while it is copied: the copy might not recover; turn {setting} on",
                    folder.display(),
                    volume.file_system
                ),
            )),
        }
    }

    /// An exclusive backup (before PostgreSQL 15) leaves a `backup_label` from
    /// which a copy would recover wrongly.
    pub(super) async fn check_no_exclusive_backup(&self) -> Result<(), WriterFailure> {
        if self.layout.version >= CHECKPOINT_ROLE_SINCE {
            return Ok(());
        }
        let row = self
            .client
            .query_one("SELECT pg_is_in_backup()", &[])
            .await
            .map_err(|error| query_failure(self.cluster(), "cannot ask for backups", &error))?;
        if row.get(0) {
            return Err(failure(
                self.cluster(),
                WriterFailureKind::Retryable,
                "another program runs an exclusive backup of it; wait for its pg_stop_backup()",
            ));
        }
        Ok(())
    }

    /// Writes all that is in memory to the files, so that the next start of a
    /// copy has little to recover and the hold little to flush. Cancelled on
    /// the server when the future is dropped.
    pub(super) async fn checkpoint(&self) -> Result<(), WriterFailure> {
        let mut cancel = CancelOnDrop {
            token: Some(self.client.cancel_token()),
            access: &self.access,
        };
        let done = self.client.batch_execute("CHECKPOINT").await;
        cancel.token = None;
        done.map_err(|error| {
            if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
                let role = &self.role;
                let remedy = if self.layout.version >= CHECKPOINT_ROLE_SINCE {
                    format!("run: GRANT pg_checkpoint TO {role:?}")
                } else {
                    "before PostgreSQL 15 the role must be a superuser".to_owned()
                };
                failure(
                    self.cluster(),
                    WriterFailureKind::NonRetryable,
                    format!("role {role} may not make a checkpoint; {remedy}"),
                )
            } else {
                query_failure(self.cluster(), "the checkpoint failed", &error)
            }
        })
    }

    /// Makes sure that it is the same postmaster, alive and answering.
    pub(super) async fn check_same(&self) -> Result<(), WriterFailure> {
        let gone = || {
            failure(
                self.cluster(),
                WriterFailureKind::Retryable,
                "its postmaster ended while the set was made; start it, and try again",
            )
        };
        if !self.postmaster.is_alive() {
            return Err(gone());
        }
        let answer = self
            .client
            .query_one("SELECT pg_postmaster_start_time()::text", &[]);
        let row = timeout(SIGN_OF_LIFE_LIMIT, answer)
            .await
            .map_err(|_| {
                failure(
                    self.cluster(),
                    WriterFailureKind::Timeout,
                    format!("no sign of life for {} s", SIGN_OF_LIFE_LIMIT.as_secs()),
                )
            })?
            .map_err(|error| {
                query_failure(
                    self.cluster(),
                    "the connection did not last while the set was made",
                    &error,
                )
            })?;
        if row.get::<_, String>(0) == self.layout.started {
            Ok(())
        } else {
            Err(gone())
        }
    }
}

/// Asks the server to stop when nobody waits for the answer any more.
struct CancelOnDrop<'a> {
    token: Option<CancelToken>,
    access: &'a Access,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let (Some(token), Ok(runtime)) = (self.token.take(), Handle::try_current()) {
            let access = self.access.clone();
            runtime.spawn(async move { access.cancel(token).await });
        }
    }
}
