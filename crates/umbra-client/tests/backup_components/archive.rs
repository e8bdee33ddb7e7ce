//! A writer with a tree of components that leaves something at each of them and
//! writes down what it finds there.

use crate::parts::{Served, VOLUME};
use async_trait::async_trait;
use std::sync::{Arc, Mutex};
use umbra_client::{BackupComponents, BackupOutcome, BackupState, ComponentAddress};
use umbra_documents::{
    ChosenComponent, Component, FileSet, Selectable, WriterIdentity, WriterMetadata,
};
use umbra_model::{
    BackupSchema, BackupType, ComponentType, RestoreTarget, SessionId, WriterId, WriterInstanceId,
};
use umbra_service::WriterRegistration;
use umbra_writer::{
    EventComponent, RestoreEvent, SetEvent, Writer, WriterFailure, WriterFailureKind,
};

/// The class of every archive.
pub const CLASS: WriterId = WriterId::from_u128(0xa);

/// `mail`, with `mail\ann` (selectable for restore) and `mail\bob` (not) below, and
/// `settings`, which must be in every backup.
pub struct Archive {
    pub metadata: WriterMetadata,
    /// What it was told, with what it found.
    pub diary: Mutex<Vec<String>>,
    /// The event at which it fails.
    fails_at: Option<&'static str>,
    /// The event that never ends.
    hangs_at: Option<&'static str>,
}

impl Archive {
    pub fn new(instance: u128) -> Self {
        let instance = WriterInstanceId::from_u128(instance);
        let identity = WriterIdentity {
            instance_name: Some(format!("archive {instance}")),
            ..WriterIdentity::new(CLASS, instance, "Archive")
        };
        let below = |name, selectable_for_restore| Component {
            logical_path: Some("mail".into()),
            selectable: Selectable::No,
            selectable_for_restore,
            files: vec![FileSet::tree(VOLUME)],
            ..Component::file_group(name)
        };
        let on_volume = |component| Component {
            files: vec![FileSet::tree(VOLUME)],
            ..component
        };
        let metadata = WriterMetadata {
            backup_schema: BackupSchema::ROLLFORWARD_RESTORE,
            components: vec![
                on_volume(Component::file_group("mail")),
                below("ann", Selectable::Yes),
                below("bob", Selectable::No),
                Component {
                    selectable: Selectable::No,
                    ..on_volume(Component::file_group("settings"))
                },
            ],
            ..WriterMetadata::new(identity)
        };
        Self {
            metadata,
            diary: Mutex::default(),
            fails_at: None,
            hangs_at: None,
        }
    }

    pub fn with_schema(mut self, schema: BackupSchema) -> Self {
        self.metadata.backup_schema = schema;
        self
    }

    pub fn failing_at(self, event: &'static str) -> Self {
        Self {
            fails_at: Some(event),
            ..self
        }
    }

    pub fn hanging_at(self, event: &'static str) -> Self {
        Self {
            hangs_at: Some(event),
            ..self
        }
    }

    pub fn found(&self) -> Vec<String> {
        self.diary.lock().unwrap().clone()
    }

    async fn told(&self, event: &'static str, what: Option<String>) -> Result<(), WriterFailure> {
        let line = match what {
            Some(what) => format!("{event}: {what}"),
            None => event.to_owned(),
        };
        self.diary.lock().unwrap().push(line);
        if self.hangs_at == Some(event) {
            std::future::pending::<()>().await;
        }
        if self.fails_at == Some(event) {
            let failure = WriterFailure::new(WriterFailureKind::Retryable, "the shelf is wet");
            return Err(failure.with_application_code(77));
        }
        Ok(())
    }
}

/// A line of what a field says at each component.
fn line<T: std::fmt::Debug>(
    components: &[EventComponent],
    field: impl Fn(&ChosenComponent) -> T,
) -> Option<String> {
    let one = |component: &EventComponent| {
        let component = component.get();
        format!("{} {:?}", component.full_path(), field(&component))
    };
    Some(components.iter().map(one).collect::<Vec<_>>().join(", "))
}

#[async_trait]
impl Writer for Archive {
    fn identity(&self) -> &WriterIdentity {
        &self.metadata.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        if self.fails_at == Some("Identify") {
            let kind = WriterFailureKind::NonRetryable;
            return Err(WriterFailure::new(kind, "no shelf"));
        }
        Ok(self.metadata.clone())
    }

    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let chosen = event.chosen.all();
        let what = line(&chosen, |one| one.backup_options.clone());
        let told = self.told("PrepareForBackup", what).await;
        if told.is_err() {
            let mail = event.chosen.find(None, "mail").unwrap();
            mail.set_prepare_for_backup_failure("ann is writing")
                .unwrap();
        }
        told?;
        for component in &chosen {
            component.set_backup_metadata("shelf 3").unwrap();
        }
        Ok(())
    }

    async fn freeze(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.told("Freeze", None).await
    }

    async fn post_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let chosen = event.chosen.all();
        let what = line(&chosen, |one| one.previous_backup_stamp.clone());
        self.told("PostSnapshot", what).await?;
        for component in &chosen {
            component.set_backup_stamp("stamp 2").unwrap();
            let folder = VOLUME.as_ref();
            component
                .add_partial_file(folder, "big", "0:4096", None)
                .unwrap();
        }
        Ok(())
    }

    async fn backup_complete(
        &self,
        event: &SetEvent,
        _: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        let what = line(&event.chosen.all(), |one| one.backup_succeeded);
        self.told("BackupComplete", what).await
    }

    async fn pre_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        let chosen = event.chosen.all();
        let what = line(&chosen, |one| {
            let options = one.restore_options.clone();
            (one.selected_for_restore, options)
        });
        self.told("PreRestore", what).await?;
        for component in &chosen {
            component
                .set_restore_target(RestoreTarget::Alternate)
                .unwrap();
        }
        Ok(())
    }

    async fn post_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        let what = line(&event.chosen.all(), |one| {
            one.file_restore_status
                .clone()
                .and_then(|term| term.known())
        });
        self.told("PostRestore", what).await
    }

    async fn backup_shutdown(&self, _: SessionId) {
        let _ = self.told("BackupShutdown", None).await;
    }

    async fn abort(&self, _: &SetEvent) {
        let _ = self.told("Abort", None).await;
    }
}

/// Lets a writer take part.
pub fn register(served: &Served, archive: Archive) -> (Arc<Archive>, WriterRegistration) {
    let archive = Arc::new(archive);
    let registered = served
        .service
        .register_writer(Arc::clone(&archive) as Arc<dyn Writer>, "the test".into());
    (archive, registered.unwrap())
}

/// A component at the top of an archive's tree.
pub fn at(name: &str) -> ComponentAddress {
    ComponentAddress::new(CLASS, ComponentType::FileGroup, name)
}

pub async fn open(served: &Served) -> BackupComponents {
    let connection = served.connect().await;
    BackupComponents::open(&connection, "test").await.unwrap()
}

/// A backup in which `mail` and what must be are added, up to PrepareForBackup.
pub async fn chosen(served: &Served) -> BackupComponents {
    let backup = open(served).await;
    backup.initialize_for_backup().unwrap();
    let state = BackupState::of_components(BackupType::Incremental);
    backup.set_backup_state(state).unwrap();
    backup.gather_writer_metadata().await.unwrap();
    backup.add_component(&at("mail")).unwrap();
    backup.add_what_is_needed().unwrap();
    backup.start_snapshot_set().await.unwrap();
    let volume = VOLUME.as_ref();
    backup.add_to_snapshot_set(volume, None).await.unwrap();
    backup
}
