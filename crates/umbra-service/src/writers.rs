//! The writers there are: registered ones and those of in-box sources.

use crate::writer_status::{Standing, Standings};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};
use umbra_documents::{WriterIdentity, WriterMetadata, WriterTrees};
use umbra_model::{VssCode, VssError, VssResult, WriterInstanceId, WriterState};
use umbra_writer::{
    ExpressWriters, Subscription, Writer, WriterEvent, WriterFailure, WriterFailureKind,
    WriterSource,
};

/// A writer and how it is doing (`GatherWriterStatus`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterReport {
    /// Who it is; what it owns only where it could say.
    pub metadata: WriterMetadata,
    /// How it is doing.
    pub state: WriterState,
    /// Its last failure.
    pub failure: Option<VssError>,
    /// The writer's own code for it (`GetWriterStatusEx`).
    pub application_code: Option<u32>,
    /// Where it runs.
    pub origin: String,
}

/// A writer as it answered Identify.
#[derive(Clone)]
pub(crate) struct Gathered {
    pub(crate) writer: Arc<dyn Writer>,
    pub(crate) identity: WriterIdentity,
    pub(crate) metadata: VssResult<Arc<WriterMetadata>>,
    pub(crate) origin: String,
}

/// All writers as they answered Identify.
pub(crate) struct Gathering {
    pub(crate) writers: Vec<Gathered>,
    trees: OnceLock<Arc<WriterTrees>>,
}

impl Gathering {
    /// Their components as trees, in the same order; a writer that failed has none.
    pub(crate) fn trees(&self) -> &Arc<WriterTrees> {
        self.trees.get_or_init(|| {
            let metadata = self.writers.iter().map(|writer| match &writer.metadata {
                Ok(metadata) => Arc::clone(metadata),
                Err(_) => Arc::new(empty_metadata(&writer.identity)),
            });
            Arc::new(metadata.collect())
        })
    }
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
    standings: Standings,
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
        known.standings.gone(self.instance);
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

    /// Who keeps the documents of express writers, if anybody does.
    pub(crate) fn express(&self) -> Option<Arc<dyn ExpressWriters>> {
        self.sources
            .iter()
            .find_map(|source| source.express_writers())
    }

    pub(crate) fn registered(&self) -> usize {
        lock(&self.known).registered.len()
    }

    /// Asks every writer to identify itself, all at the same time.
    pub(crate) async fn gather(&self, limit: Duration) -> Gathering {
        let mut all = lock(&self.known).registered.clone();
        for source in &self.sources {
            // A source that looks for databases may find none that answers.
            let found = timeout(limit, source.writers()).await.unwrap_or_default();
            let origin = source.origin();
            all.extend(found.into_iter().map(|writer| (writer, origin.to_owned())));
        }
        let mut seen = HashSet::new();
        all.retain(|(writer, _)| seen.insert(writer.identity().instance));
        lock(&self.known).standings.keep_only(&seen);

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
        let writers = all
            .into_iter()
            .zip(answers)
            .map(|((writer, origin), answer)| {
                let identity = writer.identity().clone();
                let answer = answer.unwrap_or_else(|| Err(no_answer()));
                let metadata = match answer {
                    Ok(metadata) => {
                        lock(&self.known).standings.identified(identity.instance);
                        Ok(Arc::new(metadata))
                    }
                    Err(failure) => {
                        let code = failure.application_code;
                        let error = failure.into_error(&identity.name, "Identify");
                        self.failed(identity.instance, WriterEvent::Identify, &error, code);
                        Err(error)
                    }
                };
                Gathered {
                    writer,
                    identity,
                    metadata,
                    origin,
                }
            });
        Gathering {
            writers: writers.collect(),
            trees: OnceLock::new(),
        }
    }

    /// How the gathered writers are doing now. One that is not there any more is in
    /// no state and does not respond.
    pub(crate) fn report(&self, gathering: &Gathering) -> Vec<WriterReport> {
        let known = lock(&self.known);
        let report = |writer: &Gathered| {
            let standing = known.standings.of(writer.identity.instance);
            let standing = standing.cloned().unwrap_or_else(|| Standing {
                state: WriterState::Unknown,
                failure: Some(is_gone(&writer.identity.name)),
                application_code: None,
            });
            WriterReport {
                metadata: match &writer.metadata {
                    Ok(metadata) => WriterMetadata::clone(metadata),
                    Err(_) => empty_metadata(&writer.identity),
                },
                state: standing.state,
                failure: standing.failure,
                application_code: standing.application_code,
                origin: writer.origin.clone(),
            }
        };
        gathering.writers.iter().map(report).collect()
    }

    /// A writer answered an event.
    pub(crate) fn answered(
        &self,
        instance: WriterInstanceId,
        event: WriterEvent,
        subscription: Subscription,
    ) {
        let mut known = lock(&self.known);
        known.standings.answered(instance, event, subscription);
    }

    /// A writer failed at an event, with a code of its own where it has one.
    pub(crate) fn failed(
        &self,
        instance: WriterInstanceId,
        event: WriterEvent,
        error: &VssError,
        application_code: Option<u32>,
    ) {
        let mut known = lock(&self.known);
        let error = error.clone();
        known
            .standings
            .failed(instance, event, error, application_code);
    }
}

fn is_gone(name: &str) -> VssError {
    VssError::new(
        VssCode::WriterNotResponding,
        format!("the writer {name:?} is not there any more; start it, and begin a new session"),
    )
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
