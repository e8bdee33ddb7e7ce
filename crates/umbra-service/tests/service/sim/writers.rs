//! Writers that say what they are told and do what the script says.

use super::{Fault, Machine};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use umbra_documents::{Component, FileSet, FreezeLevel, WriterIdentity, WriterMetadata};
use umbra_model::{SessionId, WriterId, WriterInstanceId};
use umbra_writer::{
    BackupOutcome, EventComponents, RestoreEvent, SetEvent, Subscription, Writer, WriterEvent,
    WriterFailure, WriterFailureKind,
};

/// The code of its own that a scripted veto has.
pub const APPLICATION_CODE: u32 = 4711;

type Act = Box<dyn Fn(&EventComponents) + Send + Sync>;

pub struct ScriptedWriter {
    machine: Arc<Machine>,
    metadata: WriterMetadata,
    subscription: Subscription,
    acts: Mutex<HashMap<WriterEvent, Act>>,
    /// What it was told last with each event.
    seen: Mutex<HashMap<WriterEvent, SetEvent>>,
}

pub fn component(name: &str, paths: &[&str]) -> Component {
    Component {
        files: paths.iter().map(FileSet::tree).collect(),
        ..Component::file_group(name)
    }
}

impl ScriptedWriter {
    pub fn new(
        machine: &Arc<Machine>,
        name: &str,
        level: FreezeLevel,
        components: Vec<Component>,
    ) -> Arc<Self> {
        let (id, instance) = (WriterId::random(), WriterInstanceId::random());
        let metadata = WriterMetadata {
            level,
            components,
            ..WriterMetadata::new(WriterIdentity::new(id, instance, name))
        };
        Self::of(machine, metadata, Subscription::default())
    }

    pub fn of(
        machine: &Arc<Machine>,
        metadata: WriterMetadata,
        subscription: Subscription,
    ) -> Arc<Self> {
        Arc::new(Self {
            machine: Arc::clone(machine),
            metadata,
            subscription,
            acts: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// What it does with what was chosen of it at an event, before it answers.
    pub fn at(&self, event: WriterEvent, act: impl Fn(&EventComponents) + Send + Sync + 'static) {
        self.acts.lock().unwrap().insert(event, Box::new(act));
    }

    /// What it was told with an event.
    pub fn seen(&self, event: WriterEvent) -> SetEvent {
        self.seen.lock().unwrap()[&event].clone()
    }

    pub fn metadata(&self) -> &WriterMetadata {
        &self.metadata
    }

    fn name(&self) -> &str {
        &self.metadata.identity.name
    }

    async fn on(&self, event: WriterEvent, set: &SetEvent) -> Result<(), WriterFailure> {
        self.seen.lock().unwrap().insert(event, set.clone());
        self.act(event, &set.chosen);
        self.pass(&event.to_string()).await
    }

    fn act(&self, event: WriterEvent, chosen: &EventComponents) {
        if let Some(act) = self.acts.lock().unwrap().get(&event) {
            act(chosen);
        }
    }

    async fn pass(&self, event: &str) -> Result<(), WriterFailure> {
        let point = format!("{} {event}", self.name());
        self.machine.say(&point);
        let failure = |kind| {
            let failure = WriterFailure::new(kind, "as scripted");
            Err(failure.with_application_code(APPLICATION_CODE))
        };
        match self.machine.fault(&point) {
            None | Some(Fault::BreakCatalog) => Ok(()),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Veto) => failure(WriterFailureKind::NonRetryable),
            Some(Fault::Disconnect) => failure(WriterFailureKind::NotResponding),
            Some(Fault::Panic) => panic!("scripted panic at {point}"),
        }
    }

    fn thawed(&self) {
        self.machine
            .frozen_writers
            .lock()
            .unwrap()
            .remove(self.name());
    }
}

#[async_trait]
impl Writer for ScriptedWriter {
    fn identity(&self) -> &WriterIdentity {
        &self.metadata.identity
    }
    fn subscription(&self) -> Subscription {
        self.subscription
    }
    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        self.pass("Identify").await?;
        Ok(self.metadata.clone())
    }
    async fn prepare_for_backup(&self, set: &SetEvent) -> Result<(), WriterFailure> {
        self.on(WriterEvent::PrepareForBackup, set).await
    }
    async fn prepare_for_snapshot(&self, set: &SetEvent) -> Result<(), WriterFailure> {
        self.on(WriterEvent::PrepareForSnapshot, set).await
    }
    async fn freeze(&self, set: &SetEvent) -> Result<(), WriterFailure> {
        self.machine
            .frozen_writers
            .lock()
            .unwrap()
            .insert(self.name().to_owned());
        self.on(WriterEvent::Freeze, set).await
    }
    async fn thaw(&self, set: &SetEvent) -> Result<(), WriterFailure> {
        self.on(WriterEvent::Thaw, set).await?;
        self.thawed();
        Ok(())
    }
    async fn post_snapshot(&self, set: &SetEvent) -> Result<(), WriterFailure> {
        self.on(WriterEvent::PostSnapshot, set).await
    }
    async fn backup_complete(
        &self,
        set: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        let event = WriterEvent::BackupComplete;
        self.seen.lock().unwrap().insert(event, set.clone());
        self.act(event, &set.chosen);
        self.pass(&format!("BackupComplete {outcome:?}")).await
    }
    async fn pre_restore(&self, restore: &RestoreEvent) -> Result<(), WriterFailure> {
        self.act(WriterEvent::PreRestore, &restore.chosen);
        self.pass(&format!("PreRestore {}", restore.restore_type))
            .await
    }
    async fn post_restore(&self, restore: &RestoreEvent) -> Result<(), WriterFailure> {
        self.act(WriterEvent::PostRestore, &restore.chosen);
        self.pass("PostRestore").await
    }
    async fn backup_shutdown(&self, _: SessionId) {
        let _ = self.pass("BackupShutdown").await;
    }
    async fn abort(&self, _: &SetEvent) {
        self.thawed();
        let _ = self.pass("Abort").await;
    }
}
