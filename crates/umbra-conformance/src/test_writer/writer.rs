//! The test writer as the service sees it.

use super::{events::State, report::Report};
use crate::configuration::TestWriterConfiguration;
use async_trait::async_trait;
use std::sync::Arc;
use umbra_documents::{WriterIdentity, WriterMetadata};
use umbra_model::{SessionId, WriterId, WriterInstanceId};
use umbra_writer::{
    BackupOutcome, RestoreEvent, SetEvent, Writer, WriterFailure, WriterFailureKind,
};

/// The class of every test writer, as the sample configuration of BETest names
/// it. Instances that run at once differ by their instance id; their components
/// must have different names.
pub const TEST_WRITER_ID: WriterId = WriterId::from_u128(0x5aff_b034_969f_4919_8875_88f8_30d0_ef89);

/// A writer that does what a configuration file says.
pub struct TestWriter {
    identity: WriterIdentity,
    state: Arc<State>,
}

impl TestWriter {
    /// A new instance, which says what there is to say line by line.
    pub fn new(
        configuration: TestWriterConfiguration,
        print: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let mut identity =
            WriterIdentity::new(TEST_WRITER_ID, WriterInstanceId::random(), "Test Writer");
        identity.usage = configuration.usage;
        let report = Report::new(configuration.verbosity, Box::new(print));
        Self {
            identity: identity.clone(),
            state: Arc::new(State::new(configuration, identity, report)),
        }
    }

    /// To be called once the service knows the writer: from now on Identify is an
    /// event, which may have to fail. The metadata with which a writer subscribes
    /// is none.
    pub fn subscribed(&self) {
        self.state.subscribed();
    }

    /// How much requesters did wrong so far.
    pub fn wrongs(&self) -> usize {
        self.state.report.count()
    }

    /// Files are read, copied and deleted off the thread that listens.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State) -> Result<T, WriterFailure> + Send + 'static,
    ) -> Result<T, WriterFailure> {
        let state = Arc::clone(&self.state);
        let done = tokio::task::spawn_blocking(move || work(&state)).await;
        done.unwrap_or_else(|_| {
            Err(WriterFailure::new(
                WriterFailureKind::NonRetryable,
                "the test writer has a defect: its work panicked",
            ))
        })
    }
}

#[async_trait]
impl Writer for TestWriter {
    fn identity(&self) -> &WriterIdentity {
        &self.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        self.state.identify()
    }

    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let event = event.clone();
        self.work(move |state| state.prepare_for_backup(&event))
            .await
    }

    async fn prepare_for_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let event = event.clone();
        self.work(move |state| state.prepare_for_snapshot(&event))
            .await
    }

    async fn freeze(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let event = event.clone();
        self.work(move |state| state.freeze(&event)).await
    }

    async fn thaw(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.state.thaw()
    }

    async fn post_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        let event = event.clone();
        self.work(move |state| state.post_snapshot(&event)).await
    }

    async fn backup_complete(
        &self,
        event: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        self.state.backup_complete(event, outcome)
    }

    async fn pre_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        let event = event.clone();
        self.work(move |state| state.pre_restore(&event)).await
    }

    async fn post_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        let event = event.clone();
        self.work(move |state| state.post_restore(&event)).await
    }

    async fn backup_shutdown(&self, _: SessionId) {
        self.state.report.event("BackupShutdown");
    }

    async fn abort(&self, _: &SetEvent) {
        self.state.abort();
    }
}
