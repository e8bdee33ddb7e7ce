//! The writers there are: registered ones and those of in-box sources.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};
use umbra_documents::{WriterIdentity, WriterMetadata};
use umbra_model::{VssCode, VssError, VssResult, WriterInstanceId, WriterState};
use umbra_writer::{Writer, WriterEvent, WriterFailure, WriterFailureKind, WriterSource};

/// A writer and how it is doing (`GatherWriterStatus`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterReport {
    /// Who it is; what it owns only where it could say.
    pub metadata: WriterMetadata,
    /// How it is doing.
    pub state: WriterState,
    /// Its last failure.
    pub failure: Option<VssError>,
    /// Where it runs.
    pub origin: String,
}

/// A writer as it answered Identify.
#[derive(Clone)]
pub(crate) struct Gathered {
    pub(crate) writer: Arc<dyn Writer>,
    pub(crate) identity: WriterIdentity,
    pub(crate) metadata: VssResult<WriterMetadata>,
    pub(crate) origin: String,
}

/// The writers that registered, and how all writers are doing.
pub(crate) struct Writers {
    sources: Vec<Arc<dyn WriterSource>>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// In the order in which they came.
    registered: Vec<(Arc<dyn Writer>, String)>,
    standing: HashMap<WriterInstanceId, (WriterState, Option<VssError>)>,
}

/// A writer's registration (`CVssWriter::Subscribe`). Dropping it ends it.
pub struct WriterRegistration {
    known: Arc<Mutex<Known>>,
    instance: WriterInstanceId,
}

impl Drop for WriterRegistration {
    fn drop(&mut self) {
        let mut known = lock(&self.known);
        known
            .registered
            .retain(|(writer, _)| writer.identity().instance != self.instance);
        known.standing.remove(&self.instance);
    }
}

impl Writers {
    pub(crate) fn new(sources: Vec<Arc<dyn WriterSource>>) -> Self {
        Self {
            sources,
            known: Arc::default(),
        }
    }

    /// # Errors
    ///
    /// `VSS_E_WRITER_ALREADY_SUBSCRIBED` for an instance that is registered,
    /// `E_INVALIDARG` for a name that breaks the rules.
    pub(crate) fn register(
        &self,
        writer: Arc<dyn Writer>,
        origin: String,
    ) -> VssResult<WriterRegistration> {
        let identity = writer.identity().clone();
        empty_metadata(&identity).validate().map_err(|error| {
            VssError::new(
                VssCode::InvalidArgument,
                format!("cannot register the writer from {origin}; give it a proper name"),
            )
            .caused_by(error)
        })?;
        let instance = identity.instance;
        let mut known = lock(&self.known);
        let there = known
            .registered
            .iter()
            .any(|(other, _)| other.identity().instance == instance);
        if there {
            return Err(VssError::new(
                VssCode::WriterAlreadySubscribed,
                format!(
                    "the instance {instance} of the writer {:?} is registered already; \
                     use a new instance id for each start of a writer",
                    identity.name
                ),
            ));
        }
        known.registered.push((writer, origin));
        Ok(WriterRegistration {
            known: Arc::clone(&self.known),
            instance,
        })
    }

    pub(crate) fn registered(&self) -> usize {
        lock(&self.known).registered.len()
    }

    /// Asks every writer to identify itself, all at the same time.
    pub(crate) async fn gather(&self, limit: Duration) -> Vec<Gathered> {
        let mut all = lock(&self.known).registered.clone();
        for source in &self.sources {
            // A source that looks for databases may find none that answers.
            let found = timeout(limit, source.writers()).await.unwrap_or_default();
            all.extend(
                found
                    .into_iter()
                    .map(|writer| (writer, "in-box".to_owned())),
            );
        }
        let mut seen = std::collections::HashSet::new();
        all.retain(|(writer, _)| seen.insert(writer.identity().instance));
        lock(&self.known)
            .standing
            .retain(|instance, _| seen.contains(instance));

        let mut asked = JoinSet::new();
        let mut place = HashMap::new();
        for (index, (writer, _)) in all.iter().enumerate() {
            let writer = Arc::clone(writer);
            let task = asked.spawn(async move { identify(writer.as_ref(), limit).await });
            place.insert(task.id(), index);
        }
        let mut answers: Vec<_> = all.iter().map(|_| None).collect();
        while let Some(joined) = asked.join_next_with_id().await {
            let (task, answer) = match joined {
                Ok((task, answer)) => (task, answer),
                Err(panic) => (panic.id(), Err(broke_off(&panic))),
            };
            if let Some(slot) = place.get(&task).and_then(|index| answers.get_mut(*index)) {
                *slot = Some(answer);
            }
        }
        all.into_iter()
            .zip(answers)
            .map(|((writer, origin), answer)| {
                let identity = writer.identity().clone();
                let metadata = answer
                    .unwrap_or_else(|| Err(no_answer()))
                    .map_err(|failure| failure.into_error(&identity.name, "Identify"));
                match &metadata {
                    Ok(_) => self.identified(identity.instance),
                    Err(error) => self.failed(identity.instance, WriterEvent::Identify, error),
                }
                Gathered {
                    writer,
                    identity,
                    metadata,
                    origin,
                }
            })
            .collect()
    }

    /// How the gathered writers are doing now.
    pub(crate) fn report(&self, gathered: &[Gathered]) -> Vec<WriterReport> {
        let known = lock(&self.known);
        gathered
            .iter()
            .map(|writer| {
                let (state, failure) = known
                    .standing
                    .get(&writer.identity.instance)
                    .cloned()
                    .unwrap_or((WriterState::Unknown, None));
                WriterReport {
                    metadata: writer
                        .metadata
                        .clone()
                        .unwrap_or_else(|_| empty_metadata(&writer.identity)),
                    state,
                    failure,
                    origin: writer.origin.clone(),
                }
            })
            .collect()
    }

    fn identified(&self, instance: WriterInstanceId) {
        let mut known = lock(&self.known);
        let standing = known
            .standing
            .entry(instance)
            .or_insert((WriterState::Stable, None));
        if standing.0 == WriterState::FailedAtIdentify {
            *standing = (WriterState::Stable, None);
        }
    }

    /// A writer answered an event.
    pub(crate) fn answered(&self, instance: WriterInstanceId, event: WriterEvent) {
        let state = match event {
            WriterEvent::PrepareForSnapshot => WriterState::WaitingForFreeze,
            WriterEvent::Freeze => WriterState::WaitingForThaw,
            WriterEvent::Thaw => WriterState::WaitingForPostSnapshot,
            WriterEvent::PostSnapshot => WriterState::WaitingForBackupComplete,
            WriterEvent::Identify
            | WriterEvent::PreRestore
            | WriterEvent::PostRestore
            | WriterEvent::PrepareForBackup
            | WriterEvent::BackupComplete
            | WriterEvent::BackupShutdown
            | WriterEvent::Abort => WriterState::Stable,
        };
        let ends_a_set = matches!(event, WriterEvent::BackupShutdown | WriterEvent::Abort);
        let mut known = lock(&self.known);
        let standing = known
            .standing
            .entry(instance)
            .or_insert((WriterState::Stable, None));
        // The end of a set that it failed leaves its failure to be seen.
        if !(ends_a_set && standing.1.is_some()) {
            *standing = (state, None);
        }
    }

    /// A writer failed at an event.
    pub(crate) fn failed(&self, instance: WriterInstanceId, event: WriterEvent, error: &VssError) {
        let state = match event {
            WriterEvent::Identify => WriterState::FailedAtIdentify,
            WriterEvent::PrepareForBackup => WriterState::FailedAtPrepareBackup,
            WriterEvent::PrepareForSnapshot => WriterState::FailedAtPrepareSnapshot,
            WriterEvent::Freeze => WriterState::FailedAtFreeze,
            WriterEvent::Thaw => WriterState::FailedAtThaw,
            WriterEvent::PostSnapshot => WriterState::FailedAtPostSnapshot,
            WriterEvent::BackupComplete => WriterState::FailedAtBackupComplete,
            WriterEvent::BackupShutdown => WriterState::FailedAtBackupShutdown,
            WriterEvent::PreRestore => WriterState::FailedAtPreRestore,
            WriterEvent::PostRestore => WriterState::FailedAtPostRestore,
            WriterEvent::Abort => WriterState::Unknown,
        };
        lock(&self.known)
            .standing
            .insert(instance, (state, Some(error.clone())));
    }
}

async fn identify(writer: &dyn Writer, limit: Duration) -> Result<WriterMetadata, WriterFailure> {
    let metadata = timeout(limit, writer.identify()).await.map_err(|_| {
        WriterFailure::new(
            WriterFailureKind::Timeout,
            format!("it did not answer within {} s", limit.as_secs_f32()),
        )
    })??;
    if metadata.identity != *writer.identity() {
        return Err(WriterFailure::new(
            WriterFailureKind::NotResponding,
            format!("it says that it is {:?}", metadata.identity.name),
        ));
    }
    metadata.validate().map_err(|error| {
        WriterFailure::new(
            WriterFailureKind::NonRetryable,
            format!("what it says breaks the rules: {error}"),
        )
    })?;
    Ok(metadata)
}

fn empty_metadata(identity: &WriterIdentity) -> WriterMetadata {
    WriterMetadata::new(identity.clone())
}

pub(crate) fn broke_off(panic: &tokio::task::JoinError) -> WriterFailure {
    WriterFailure::new(
        WriterFailureKind::NotResponding,
        format!("it broke off: {panic}"),
    )
}

fn no_answer() -> WriterFailure {
    WriterFailure::new(WriterFailureKind::NotResponding, "it gave no answer")
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
