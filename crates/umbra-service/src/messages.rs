//! Telling writers of an event, all at the same time, and what they answer.

use crate::{
    cancel::Cancel,
    set::{Listener, Participant},
    writers::{Writers, broke_off},
};
use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use umbra_documents::{ChosenComponent, ComponentFailure, Extra};
use umbra_model::{SessionId, SubscribeMask, VssCode, VssError};
use umbra_writer::{
    BackupOutcome, EventComponents, RestoreEvent, SetEvent, Writer, WriterEvent, WriterFailure,
    WriterFailureKind,
};

/// How long the futures of events that are given up may take to be dropped.
const LET_GO: Duration = Duration::from_secs(1);

/// An event of a set and what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    PrepareForBackup,
    PrepareForSnapshot,
    Freeze,
    Thaw,
    PostSnapshot,
    BackupComplete(BackupOutcome),
    Abort,
}

impl Message {
    pub(crate) fn event(self) -> WriterEvent {
        match self {
            Self::PrepareForBackup => WriterEvent::PrepareForBackup,
            Self::PrepareForSnapshot => WriterEvent::PrepareForSnapshot,
            Self::Freeze => WriterEvent::Freeze,
            Self::Thaw => WriterEvent::Thaw,
            Self::PostSnapshot => WriterEvent::PostSnapshot,
            Self::BackupComplete(_) => WriterEvent::BackupComplete,
            Self::Abort => WriterEvent::Abort,
        }
    }

    async fn deliver(self, writer: &dyn Writer, set: &SetEvent) -> Result<(), WriterFailure> {
        match self {
            Self::PrepareForBackup => writer.prepare_for_backup(set).await,
            Self::PrepareForSnapshot => writer.prepare_for_snapshot(set).await,
            Self::Freeze => writer.freeze(set).await,
            Self::Thaw => writer.thaw(set).await,
            Self::PostSnapshot => writer.post_snapshot(set).await,
            Self::BackupComplete(outcome) => writer.backup_complete(set, outcome).await,
            Self::Abort => {
                writer.abort(set).await;
                Ok(())
            }
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<(), WriterFailure>> + Send>>;

/// An event on its way to one writer.
pub(crate) struct Delivery {
    listener: Listener,
    event: WriterEvent,
    /// The writer's part of the document, at no event.
    part: EventComponents,
    answer: Answer,
}

impl Listener {
    /// Whether it gets an event (`CVssWriter::Subscribe`). What leads it through a
    /// freeze comes in any case.
    pub(crate) fn gets(&self, event: WriterEvent) -> bool {
        let group = match event {
            WriterEvent::Identify
            | WriterEvent::PrepareForSnapshot
            | WriterEvent::Freeze
            | WriterEvent::Thaw
            | WriterEvent::Abort => return true,
            WriterEvent::PrepareForBackup
            | WriterEvent::BackupComplete
            | WriterEvent::BackupShutdown => SubscribeMask::BACKUP_EVENTS_FLAG,
            WriterEvent::PostSnapshot => SubscribeMask::POST_SNAPSHOT_FLAG,
            WriterEvent::PreRestore | WriterEvent::PostRestore => {
                SubscribeMask::RESTORE_EVENTS_FLAG
            }
        };
        self.subscription.events.contains(group)
    }

    /// BackupShutdown, where the writer gets it.
    pub(crate) fn shutdown(&self, session: SessionId) -> Option<Delivery> {
        let writer = Arc::clone(&self.writer);
        self.gets(WriterEvent::BackupShutdown).then(|| Delivery {
            listener: self.clone(),
            event: WriterEvent::BackupShutdown,
            part: EventComponents::default(),
            answer: Box::pin(async move {
                writer.backup_shutdown(session).await;
                Ok(())
            }),
        })
    }

    /// PreRestore, or else PostRestore.
    pub(crate) fn restore(&self, event: WriterEvent, restore: &RestoreEvent) -> Option<Delivery> {
        let writer = Arc::clone(&self.writer);
        let part = restore.chosen.clone();
        let restore = RestoreEvent {
            chosen: part.at(event),
            ..restore.clone()
        };
        self.gets(event).then(|| Delivery {
            listener: self.clone(),
            event,
            part,
            answer: Box::pin(async move {
                if event == WriterEvent::PreRestore {
                    writer.pre_restore(&restore).await
                } else {
                    writer.post_restore(&restore).await
                }
            }),
        })
    }
}

impl Participant {
    /// A message of the set, where the writer gets it. It counts as told from now on.
    pub(crate) fn delivery(&mut self, message: Message) -> Option<Delivery> {
        let event = message.event();
        if !self.listener.gets(event) {
            return None;
        }
        self.told = true;
        let writer = Arc::clone(&self.listener.writer);
        let part = self.event.chosen.clone();
        let set = SetEvent {
            chosen: part.at(event),
            ..self.event.clone()
        };
        Some(Delivery {
            listener: self.listener.clone(),
            event,
            part,
            answer: Box::pin(async move { message.deliver(writer.as_ref(), &set).await }),
        })
    }
}

/// How long answers are waited for.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    /// Each writer's time.
    pub(crate) limit: Duration,
    /// The time of the set as a whole, and the code for when it passes.
    pub(crate) window: Option<(Instant, VssCode)>,
    /// Who may break it off; then nobody is waited for.
    pub(crate) cancel: Option<&'a Cancel>,
    /// What becomes of the others when a writer fails.
    pub(crate) others: Others,
}

/// The writers that have not answered when one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// They are left to the abort path.
    Left,
    /// They are heard out.
    Heard,
}

impl<'a> Patience<'a> {
    /// For events that every writer must get, whatever the others answer.
    pub(crate) fn hear_all(limit: Duration) -> Self {
        Self {
            limit,
            window: None,
            cancel: None,
            others: Others::Heard,
        }
    }

    /// For events of a set, which one failure ends.
    pub(crate) fn of_set(limit: Duration, cancel: &'a Cancel) -> Self {
        Self {
            limit,
            window: None,
            cancel: Some(cancel),
            others: Others::Left,
        }
    }
}

/// Tells participants of a set.
pub(crate) async fn tell<'a>(
    registry: &Writers,
    told: impl Iterator<Item = &'a mut Participant>,
    message: Message,
    patience: Patience<'_>,
) -> Vec<VssError> {
    let deliveries = told.filter_map(|one| one.delivery(message)).collect();
    deliver(registry, deliveries, patience).await
}

/// Delivers events, all at the same time. Gives the failures in the order in which
/// they happened.
pub(crate) async fn deliver(
    registry: &Writers,
    deliveries: Vec<Delivery>,
    patience: Patience<'_>,
) -> Vec<VssError> {
    let own_end = Instant::now() + patience.limit;
    let (end, window_first) = match patience.window {
        Some((window, code)) if window < own_end => (window, Some(code)),
        _ => (own_end, None),
    };
    let mut asked = JoinSet::new();
    let mut who = HashMap::with_capacity(deliveries.len());
    for delivery in deliveries {
        let Delivery {
            listener,
            event,
            part,
            answer,
        } = delivery;
        let task = asked.spawn(timeout_at(end, answer));
        who.insert(task.id(), (listener, event, part));
    }
    let mut failures = Vec::new();
    loop {
        let joined = tokio::select! {
            biased;
            joined = asked.join_next_with_id() => joined,
            cancelled = cancelled(patience.cancel) => {
                failures.push(cancelled);
                break;
            }
        };
        let Some(joined) = joined else { break };
        let (task, answer) = match joined {
            Ok((task, answer)) => (task, answer),
            Err(panic) => (panic.id(), Ok(Err(broke_off(&panic)))),
        };
        let Some((listener, event, part)) = who.get(&task) else {
            continue;
        };
        part.end_event();
        let (instance, name) = (listener.identity.instance, &listener.identity.name);
        let (failure, error) = match answer {
            Ok(Ok(())) => {
                registry.answered(instance, *event, listener.subscription);
                continue;
            }
            Ok(Err(failure)) => {
                let error = failure.clone().into_error(name, &event.to_string());
                (failure, error)
            }
            Err(_) => too_late(name, *event, window_first, patience.limit),
        };
        leave_failure(part, *event, &failure);
        registry.failed(instance, *event, &error, failure.application_code);
        failures.push(error);
        if patience.others == Others::Left {
            break;
        }
    }
    // A writer must not go on with an event after it was told Abort, so what is
    // left must have ended; a writer that blocks its thread is not waited for.
    let _ = timeout(LET_GO, asked.shutdown()).await;
    for (_, _, part) in who.values() {
        part.end_event();
    }
    failures
}

/// A component at which the writer says why it failed gets the failure's codes too
/// (`IVssComponentEx2::GetFailure`), unless the writer set those.
fn leave_failure(part: &EventComponents, event: WriterEvent, failure: &WriterFailure) {
    let said = |one: &ChosenComponent| match event {
        WriterEvent::PrepareForBackup => one.prepare_for_backup_failure.clone(),
        WriterEvent::PostSnapshot => one.post_snapshot_failure.clone(),
        WriterEvent::PreRestore => one.pre_restore_failure.clone(),
        WriterEvent::PostRestore => one.post_restore_failure.clone(),
        _ => None,
    };
    part.update(|part| {
        for component in &mut part.components {
            let (Some(message), None) = (said(component), &component.failure) else {
                continue;
            };
            component.failure = Some(ComponentFailure {
                code: failure.kind.code().hresult(),
                application_code: failure.application_code,
                message: Some(message),
                extra: Extra::default(),
            });
        }
    });
}

async fn cancelled(cancel: Option<&Cancel>) -> VssError {
    match cancel {
        Some(cancel) => cancel.requested().await,
        None => std::future::pending().await,
    }
}

fn too_late(
    name: &str,
    event: WriterEvent,
    window_first: Option<VssCode>,
    limit: Duration,
) -> (WriterFailure, VssError) {
    let message = format!("it did not answer within {} s", limit.as_secs_f32());
    let failure = WriterFailure::new(WriterFailureKind::Timeout, message);
    let error = match window_first {
        Some(code) => VssError::new(
            code,
            format!(
                "the writer {name:?} had not answered {event} when the time from Freeze to Thaw \
                 was over"
            ),
        ),
        None => failure.clone().into_error(name, &event.to_string()),
    };
    (failure, error)
}

/// The first failure with the others attached.
pub(crate) fn first(failures: Vec<VssError>) -> Result<(), VssError> {
    let mut failures = failures.into_iter();
    match failures.next() {
        None => Ok(()),
        Some(first) => Err(failures.fold(first, VssError::followed_by)),
    }
}
