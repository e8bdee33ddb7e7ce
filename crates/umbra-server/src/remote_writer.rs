//! A writer in another process, as the service sees it.

use crate::writer_line::Line;
use async_trait::async_trait;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use umbra_documents::{WriterIdentity, WriterMetadata};
use umbra_model::SessionId;
use umbra_protocol::v1;
use umbra_writer::{BackupOutcome, SetEvent, Writer, WriterFailure};
use v1::writer_event::Event;

/// Passes every event on over the writer's line.
pub(crate) struct RemoteWriter {
    line: Arc<Line>,
    /// What it said last.
    metadata: Mutex<WriterMetadata>,
    /// Between PrepareForSnapshot and Thaw or Abort.
    busy: AtomicBool,
}

impl RemoteWriter {
    pub(crate) fn new(line: Arc<Line>, metadata: WriterMetadata) -> Self {
        Self {
            line,
            metadata: Mutex::new(metadata),
            busy: AtomicBool::new(false),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, WriterMetadata> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn tell(&self, event: Event) -> Result<(), WriterFailure> {
        self.line.ask(event).await.map(drop)
    }
}

#[async_trait]
impl Writer for RemoteWriter {
    fn identity(&self) -> &WriterIdentity {
        self.line.identity()
    }

    /// Another requester's Identify must not stand in the way of a Thaw, since
    /// there is one event at a time on the line: a writer that is busy with a
    /// set has said what it owns.
    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        if self.busy.load(Ordering::Acquire) {
            return Ok(self.known().clone());
        }
        let said = self.line.ask(Event::Identify(v1::Identify {})).await?;
        let mut known = self.known();
        if let Some(metadata) = said {
            *known = metadata;
        }
        Ok(known.clone())
    }

    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.tell(Event::PrepareForBackup(wire(event))).await
    }

    async fn prepare_for_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.busy.store(true, Ordering::Release);
        self.tell(Event::PrepareForSnapshot(wire(event))).await
    }

    async fn freeze(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.tell(Event::Freeze(wire(event))).await
    }

    async fn thaw(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.busy.store(false, Ordering::Release);
        self.tell(Event::Thaw(wire(event))).await
    }

    async fn post_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.tell(Event::PostSnapshot(wire(event))).await
    }

    async fn backup_complete(
        &self,
        event: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        self.tell(Event::BackupComplete(v1::BackupCompleteEvent {
            set: Some(wire(event)),
            succeeded: outcome == BackupOutcome::Succeeded,
        }))
        .await
    }

    async fn backup_shutdown(&self, session: SessionId) {
        let event = v1::BackupShutdown {
            session_id: session.to_string(),
        };
        // The contract has no failure here: a writer that is gone is gone.
        let _ = self.tell(Event::BackupShutdown(event)).await;
    }

    async fn abort(&self, event: &SetEvent) {
        self.busy.store(false, Ordering::Release);
        // As above.
        let _ = self.tell(Event::Abort(wire(event))).await;
    }
}

fn wire(event: &SetEvent) -> v1::SetEvent {
    v1::SetEvent {
        session_id: event.session.to_string(),
        set_id: event.set.to_string(),
        volumes: event.volumes.iter().cloned().map(Into::into).collect(),
        components: event.components.clone(),
        ..v1::SetEvent::default()
    }
}
