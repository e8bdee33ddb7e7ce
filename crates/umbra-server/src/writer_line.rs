//! The line to one writer's process: numbered events out, numbered answers in.
//!
//! Invariant: at most one event waits for its answer at a time.
//! Invariant: once the line has ended, every event fails at once.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;
use umbra_documents::{WriterIdentity, WriterMetadata};
use umbra_model::{VssError, VssResult};
use umbra_protocol::{fields, v1};
use umbra_writer::{WriterFailure, WriterFailureKind};
use v1::{writer_event::Event, writer_reply::Result as Reply};

/// How many events may lie unanswered after the service stopped waiting for
/// them. A writer that is merely late stays below it.
const MAX_ABANDONED: usize = 64;

/// How many events may wait to be sent; more than can be abandoned.
pub(crate) const MAX_QUEUED: usize = 2 * MAX_ABANDONED;

/// An event on its way to the writer, or the error that ends its stream.
pub(crate) type Outgoing = Result<v1::WriterEvent, Status>;

/// What the writer answered.
pub(crate) struct Answer {
    /// How it went; metadata only to Identify.
    pub(crate) result: Result<Option<WriterMetadata>, WriterFailure>,
    /// The components that it changed; none where the event has none.
    pub(crate) changed: Vec<v1::ChosenComponent>,
}

/// The service's end of a writer's stream.
pub(crate) struct Line {
    identity: WriterIdentity,
    /// Whose event is out; the others wait.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// Gone once the line has ended.
    events: Option<mpsc::Sender<Outgoing>>,
    /// The last event's number.
    last: u64,
    open: Option<Open>,
    abandoned: BTreeSet<u64>,
}

/// The event that waits for its answer.
struct Open {
    sequence: u64,
    is_identify: bool,
    /// Whether the writer may leave something at components.
    has_components: bool,
    answer: oneshot::Sender<Answer>,
}

impl Line {
    pub(crate) fn new(identity: WriterIdentity, events: mpsc::Sender<Outgoing>) -> Self {
        Self {
            identity,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                events: Some(events),
                last: 0,
                open: None,
                abandoned: BTreeSet::new(),
            }),
        }
    }

    /// Who is at the other end.
    pub(crate) fn identity(&self) -> &WriterIdentity {
        &self.identity
    }

    /// Sends an event and waits for the answer. Dropping the future abandons the
    /// event: the writer may still answer it, and nobody listens.
    ///
    /// # Errors
    ///
    /// The writer does not answer; a veto is an answer.
    pub(crate) async fn ask(&self, event: Event) -> Result<Answer, WriterFailure> {
        let _turn = self.turn.lock().await;
        let (answer, _abandon) = self.send(event)?;
        answer.await.map_err(|_| gone())
    }

    fn send(
        &self,
        event: Event,
    ) -> Result<(oneshot::Receiver<Answer>, Abandon<'_>), WriterFailure> {
        let mut state = self.lock();
        let sequence = state.last + 1;
        let is_identify = matches!(event, Event::Identify(_));
        let has_components = !matches!(
            event,
            Event::Identify(_) | Event::Abort(_) | Event::BackupShutdown(_)
        );
        let events = state.events.as_ref().ok_or_else(gone)?;
        events
            .try_send(Ok(v1::WriterEvent {
                sequence,
                event: Some(event),
            }))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => not_responding("it does not read its events"),
                mpsc::error::TrySendError::Closed(_) => gone(),
            })?;
        let (answer, receiver) = oneshot::channel();
        state.last = sequence;
        state.open = Some(Open {
            sequence,
            is_identify,
            has_components,
            answer,
        });
        Ok((
            receiver,
            Abandon {
                line: self,
                sequence,
            },
        ))
    }

    /// Takes an answer from the writer.
    ///
    /// # Errors
    ///
    /// The rule that it breaks; the line is to be ended then.
    pub(crate) fn answer(&self, reply: v1::WriterReply) -> VssResult<()> {
        let sequence = reply.sequence;
        let mut state = self.lock();
        let Some(open) = state.open.take_if(|open| open.sequence == sequence) else {
            if state.abandoned.remove(&sequence) {
                return Ok(());
            }
            return Err(broken(if sequence > state.last {
                format!("it answered event {sequence}, which was not sent")
            } else {
                format!("it answered event {sequence}, which was answered already")
            }));
        };
        if !reply.changed.is_empty() && !open.has_components {
            return Err(broken(format!(
                "its answer to event {sequence} changes components, and that event has none to change"
            )));
        }
        let result = match reply.result {
            None => {
                return Err(broken(format!(
                    "its answer to event {sequence} has no result"
                )));
            }
            Some(Reply::Veto(veto)) => Err(failure(veto)),
            Some(Reply::Done(v1::WriterDone { metadata: None })) if open.is_identify => {
                return Err(broken("its answer to Identify has no metadata"));
            }
            Some(Reply::Done(v1::WriterDone { metadata: Some(_) })) if !open.is_identify => {
                return Err(broken(format!(
                    "its answer to event {sequence} has metadata, and that event is not Identify"
                )));
            }
            Some(Reply::Done(done)) => match done.metadata.map(checked).transpose() {
                Err(why) => Err(WriterFailure::new(WriterFailureKind::NonRetryable, why)),
                Ok(Some(metadata)) if metadata.identity != self.identity => {
                    return Err(broken("it answered Identify as another writer"));
                }
                Ok(metadata) => Ok(metadata),
            },
        };
        // Nobody listens where the event was abandoned just now.
        let _ = open.answer.send(Answer {
            result,
            changed: reply.changed,
        });
        Ok(())
    }

    /// Whether the writer leaves too many events unanswered.
    ///
    /// # Errors
    ///
    /// That it does; the line is to be ended then.
    pub(crate) fn check_patience(&self) -> VssResult<()> {
        let unanswered = self.lock().abandoned.len();
        if unanswered > MAX_ABANDONED {
            Err(broken(format!("it left {unanswered} events unanswered")))
        } else {
            Ok(())
        }
    }

    /// Ends the line, with a last word for the writer or without. An event that
    /// waits fails at once.
    pub(crate) fn end(&self, last_word: Option<Status>) {
        let mut state = self.lock();
        if let (Some(events), Some(status)) = (state.events.take(), last_word) {
            // A writer that does not read gets none.
            let _ = events.try_send(Err(status));
        }
        state.open = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks an event as abandoned, unless it was answered.
struct Abandon<'a> {
    line: &'a Line,
    sequence: u64,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        let open = state.open.take_if(|open| open.sequence == self.sequence);
        if open.is_some() {
            state.abandoned.insert(self.sequence);
        }
    }
}

/// The metadata, if its form and what it says are in order.
pub(crate) fn checked(metadata: v1::WriterMetadata) -> Result<WriterMetadata, String> {
    let metadata = WriterMetadata::try_from(metadata).map_err(|error| error.to_string())?;
    metadata
        .validate()
        .map_err(|error| format!("what it says it owns breaks a rule: {error}"))?;
    Ok(metadata)
}

fn failure(veto: v1::WriterVeto) -> WriterFailure {
    let kind = match veto.kind() {
        v1::WriterFailureKind::InconsistentSnapshot => WriterFailureKind::InconsistentSnapshot,
        v1::WriterFailureKind::OutOfResources => WriterFailureKind::OutOfResources,
        v1::WriterFailureKind::Timeout => WriterFailureKind::Timeout,
        v1::WriterFailureKind::Retryable => WriterFailureKind::Retryable,
        v1::WriterFailureKind::Unspecified | v1::WriterFailureKind::NonRetryable => {
            WriterFailureKind::NonRetryable
        }
    };
    let message = match veto.message.is_empty() {
        true => "it gave no reason".to_owned(),
        false => veto.message,
    };
    WriterFailure {
        application_code: veto.application_code,
        ..WriterFailure::new(kind, message)
    }
}

fn gone() -> WriterFailure {
    not_responding("its process is no longer connected")
}

fn not_responding(why: &str) -> WriterFailure {
    WriterFailure::new(WriterFailureKind::NotResponding, why)
}

/// The error for a writer that breaks a rule of the wire.
pub(crate) fn broken(rule: impl std::fmt::Display) -> VssError {
    fields::invalid("WriterMessage", rule)
}
