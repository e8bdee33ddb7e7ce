//! The trait, its events and what they are told.

use crate::{EventComponents, ExpressWriters, WriterFailure};
use async_trait::async_trait;
use std::{fmt, fs, os::unix::fs::MetadataExt, path::Path, sync::Arc, time::Duration};
use umbra_documents::{WriterIdentity, WriterMetadata};
use umbra_model::{
    BackupType, Consistency, Context, RestoreType, SessionId, SetId, ShadowCopyId, SubscribeMask,
    Volume, VolumeId,
};

/// The events that a writer answers, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriterEvent {
    /// Say what you own.
    Identify,
    /// A backup is coming: `OnPrepareBackup`.
    PrepareForBackup,
    /// A set is about to be made: bring your data into shape, slowly if need be.
    PrepareForSnapshot,
    /// Stop writing.
    Freeze,
    /// Go on writing.
    Thaw,
    /// The copies exist.
    PostSnapshot,
    /// The requester has, or has not, backed your data up.
    BackupComplete,
    /// The session is over.
    BackupShutdown,
    /// The set is not made after all; whatever you stopped goes on.
    Abort,
    /// Your files are about to be put back.
    PreRestore,
    /// Your files were put back, or were not.
    PostRestore,
}

impl fmt::Display for WriterEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a requester said of its backup (`SetBackupState`, `SetContext`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupState {
    /// What the set is for (`CVssWriter::GetContext`).
    pub context: Context,
    /// Whether components were chosen one by one
    /// (`CVssWriter::AreComponentsSelected`).
    pub components_selected: bool,
    /// Whether the state that the system needs to start is backed up
    /// (`CVssWriter::IsBootableSystemStateBackedUp`).
    pub bootable_system_state: bool,
    /// What kind of backup it is (`CVssWriter::GetBackupType`).
    pub backup_type: BackupType,
    /// Whether parts of files may be backed up
    /// (`CVssWriter::IsPartialFileSupportEnabled`).
    pub partial_files: bool,
}

impl Default for BackupState {
    /// A full backup of whole volumes.
    fn default() -> Self {
        Self {
            context: Context::Backup,
            components_selected: false,
            bootable_system_state: false,
            backup_type: BackupType::Full,
            partial_files: false,
        }
    }
}

/// What a writer is told with each event of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetEvent {
    /// The requester's session (`CVssWriterEx2::GetSessionId`).
    pub session: SessionId,
    /// The set (`CVssWriter::GetCurrentSnapshotSetId`).
    pub set: SetId,
    /// The volumes of the set (`CVssWriter::GetCurrentVolumeArray`,
    /// `GetCurrentVolumeCount`).
    pub volumes: Vec<Volume>,
    /// The writer's own components that are in the set, by full path, those that
    /// come with their parents too.
    pub components: Vec<String>,
    /// What the requester said.
    pub backup: BackupState,
    /// The copies, once they exist: from PostSnapshot on
    /// (`CVssWriter::GetSnapshotDeviceName`).
    pub copies: Vec<(VolumeId, ShadowCopyId)>,
    /// What the requester chose of the writer, and where the writer leaves what it
    /// has to say. Nothing where the requester chose no components.
    pub chosen: EventComponents,
}

impl SetEvent {
    /// An event of a set for which no components were chosen one by one.
    pub fn new(
        session: SessionId,
        set: SetId,
        volumes: Vec<Volume>,
        components: Vec<String>,
    ) -> Self {
        Self {
            session,
            set,
            volumes,
            components,
            backup: BackupState::default(),
            copies: Vec::new(),
            chosen: EventComponents::default(),
        }
    }

    /// Whether a path lies on a volume of the set (`CVssWriter::IsPathAffected`);
    /// for a path that is not there, whether the nearest folder above it does.
    pub fn is_path_affected(&self, path: &Path) -> bool {
        let there = path.ancestors().find_map(|path| fs::metadata(path).ok());
        let Some(device) = there.map(|found| found.dev()) else {
            return false;
        };
        self.volumes.iter().any(|volume| {
            let number = volume.number;
            device == rustix::fs::makedev(number.major, number.minor)
        })
    }

    /// The copy of a volume, once it exists (`CVssWriter::GetSnapshotDeviceName`).
    pub fn copy_of(&self, volume: &VolumeId) -> Option<ShadowCopyId> {
        let mut copies = self.copies.iter();
        copies.find(|(of, _)| of == volume).map(|(_, copy)| *copy)
    }
}

/// What a writer is told with the events of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreEvent {
    /// The requester's session (`CVssWriterEx2::GetSessionId`).
    pub session: SessionId,
    /// What kind of restore it is (`CVssWriter::GetRestoreType`).
    pub restore_type: RestoreType,
    /// The writer's components in the Backup Components Document.
    pub chosen: EventComponents,
}

/// Which events a writer wants, and how long it may take over one
/// (`CVssWriter::Subscribe`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// Which groups of events. Freeze, Thaw and Abort come in any case.
    pub events: SubscribeMask,
    /// How long it may be between Freeze and Thaw before it goes on by itself;
    /// none for the service's own time-out. The shorter one counts.
    pub freeze_to_thaw: Option<Duration>,
}

impl Default for Subscription {
    /// Every event, with the service's time-out.
    fn default() -> Self {
        Self {
            events: SubscribeMask::ALL_FLAGS,
            freeze_to_thaw: None,
        }
    }
}

/// How the backup of a writer's data ended (`SetBackupSucceeded`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupOutcome {
    /// Its data was backed up.
    Succeeded,
    /// It was not.
    Failed,
}

/// Who owns data and answers events.
///
/// The service never has two sets at once, so the events between
/// PrepareForSnapshot and PostSnapshot or Abort come for one set at a time;
/// Identify may come at any moment. Every event has a time-out: when it passes,
/// the returned future is dropped and the writer counts as failed.
///
/// Answers to `CVssWriter`.
#[async_trait]
pub trait Writer: Send + Sync {
    /// Who this is (`CVssWriter::Initialize`, `CVssWriterEx::InitializeEx`). The same
    /// for the life of the value.
    fn identity(&self) -> &WriterIdentity;

    /// Which events it wants. The same for the life of the value.
    fn subscription(&self) -> Subscription {
        Subscription::default()
    }

    /// What its part in a set is worth: `Application` where it brings its data into
    /// shape. One that only says where its files are, as an express writer does,
    /// is no reason to call a set consistent for applications.
    fn vouches_for(&self) -> Consistency {
        Consistency::Application
    }

    /// What it owns, now (`CVssWriter::OnIdentify`, `CVssWriterEx::OnIdentifyEx`).
    async fn identify(&self) -> Result<WriterMetadata, WriterFailure>;

    /// A backup of the named components is coming (`CVssWriter::OnPrepareBackup`).
    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// Do all slow work: checkpoint, flush, rotate (`CVssWriter::OnPrepareSnapshot`).
    async fn prepare_for_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// Bring the data to a state that can be copied and keep it there
    /// (`CVssWriter::OnFreeze`).
    async fn freeze(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// Go on (`CVssWriter::OnThaw`). An error here means that the frozen state did not
    /// last.
    async fn thaw(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// The copies exist (`CVssWriter::OnPostSnapshot`); an error here still fails the
    /// set.
    async fn post_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// The requester's backup ended (`CVssWriter::OnBackupComplete`).
    async fn backup_complete(
        &self,
        event: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        let _ = (event, outcome);
        Ok(())
    }

    /// Files of the components are about to be put back
    /// (`CVssWriter::OnPreRestore`): stop what uses them, say where they go.
    async fn pre_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// The requester is done (`CVssWriter::OnPostRestore`); each component says
    /// how it went (`GetFileRestoreStatus`).
    async fn post_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        let _ = event;
        Ok(())
    }

    /// The session ended (`CVssWriter::OnBackupShutdown`).
    async fn backup_shutdown(&self, session: SessionId) {
        let _ = session;
    }

    /// The set failed (`CVssWriter::OnAbort`). May come at any point after PrepareForBackup, also when
    /// this writer had answered nothing yet, and must undo a Freeze.
    async fn abort(&self, event: &SetEvent) {
        let _ = event;
    }
}

/// Where writers come from: looked at each time metadata is gathered, so that a
/// database started a minute ago takes part.
#[async_trait]
pub trait WriterSource: Send + Sync {
    /// The writers there are now.
    async fn writers(&self) -> Vec<Arc<dyn Writer>>;

    /// Where its writers run, in a word or two.
    fn origin(&self) -> &'static str {
        "in-box"
    }

    /// The documents of express writers, where this is who keeps them.
    fn express_writers(&self) -> Option<Arc<dyn ExpressWriters>> {
        None
    }
}
