//! A writer in another process, as the service sees it.

use crate::{
    writer_events::{restore_event, set_event, take_over},
    writer_line::Line,
};
use async_trait::async_trait;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use umbra_documents::{WriterIdentity, WriterMetadata};
use umbra_model::SessionId;
use umbra_protocol::v1;
use umbra_writer::{
    BackupOutcome, EventComponents, RestoreEvent, SetEvent, Subscription, Writer, WriterFailure,
};
use v1::writer_event::Event;

/// Passes every event on over the writer's line.
pub(crate) struct RemoteWriter {
    line: Arc<Line>,
    subscription: Subscription,
    /// What it said last.
    metadata: Mutex<WriterMetadata>,
    /// Between PrepareForSnapshot and Thaw or Abort.
    in_set: AtomicBool,
    /// How many events of restores it is at, or has waiting.
    restoring: AtomicUsize,
}

impl RemoteWriter {
    pub(crate) fn new(
        line: Arc<Line>,
        metadata: WriterMetadata,
        subscription: Subscription,
    ) -> Self {
        Self {
            line,
            subscription,
            metadata: Mutex::new(metadata),
            in_set: AtomicBool::new(false),
            restoring: AtomicUsize::new(0),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, WriterMetadata> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_busy(&self) -> bool {
        self.in_set.load(Ordering::Acquire) || self.restoring.load(Ordering::Acquire) > 0
    }

    /// Sends an event, and takes over what the writer changed at the components.
    async fn tell(&self, event: Event, chosen: &EventComponents) -> Result<(), WriterFailure> {
        let answer = self.line.ask(event).await?;
        take_over(chosen, answer.changed, answer.result.map(drop)).await
    }

    async fn tell_of_restore(
        &self,
        event: Event,
        chosen: &EventComponents,
    ) -> Result<(), WriterFailure> {
        let _restoring = Counted::new(&self.restoring);
        self.tell(event, chosen).await
    }
}

/// Counts itself for as long as it lives: an event may be dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[async_trait]
impl Writer for RemoteWriter {
    fn identity(&self) -> &WriterIdentity {
        self.line.identity()
    }

    fn subscription(&self) -> Subscription {
        self.subscription
    }

    /// Another requester's Identify must not stand in the way of a Thaw, since
    /// there is one event at a time on the line: a writer that is busy with a
    /// set or a restore has said what it owns.
    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        if self.is_busy() {
            return Ok(self.known().clone());
        }
        let answer = self.line.ask(Event::Identify(v1::Identify {})).await?;
        let said = answer.result?;
        let mut known = self.known();
        if let Some(metadata) = said {
            *known = metadata;
        }
        Ok(known.clone())
    }

    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.tell(Event::PrepareForBackup(set_event(event)), &event.chosen)
            .await
    }

    async fn prepare_for_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.in_set.store(true, Ordering::Release);
        self.tell(Event::PrepareForSnapshot(set_event(event)), &event.chosen)
            .await
    }

    async fn freeze(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.tell(Event::Freeze(set_event(event)), &event.chosen)
            .await
    }

    async fn thaw(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.in_set.store(false, Ordering::Release);
        self.tell(Event::Thaw(set_event(event)), &event.chosen)
            .await
    }

    async fn post_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.tell(Event::PostSnapshot(set_event(event)), &event.chosen)
            .await
    }

    async fn backup_complete(
        &self,
        event: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        let told = v1::BackupCompleteEvent {
            set: Some(set_event(event)),
            succeeded: outcome == BackupOutcome::Succeeded,
        };
        self.tell(Event::BackupComplete(told), &event.chosen).await
    }

    async fn pre_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        self.tell_of_restore(Event::PreRestore(restore_event(event)), &event.chosen)
            .await
    }

    async fn post_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        self.tell_of_restore(Event::PostRestore(restore_event(event)), &event.chosen)
            .await
    }

    async fn backup_shutdown(&self, session: SessionId) {
        let event = v1::BackupShutdown {
            session_id: session.to_string(),
        };
        // The contract has no failure here: a writer that is gone is gone.
        let _ = self.line.ask(Event::BackupShutdown(event)).await;
    }

    async fn abort(&self, event: &SetEvent) {
        self.in_set.store(false, Ordering::Release);
        // As above.
        let _ = self.line.ask(Event::Abort(set_event(event))).await;
    }
}
