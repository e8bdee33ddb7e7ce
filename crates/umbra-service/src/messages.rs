//! Telling writers of an event, all at the same time, and what they answer.

use crate::{
    cancel::Cancel,
    set::Participant,
    writers::{Writers, broke_off},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use umbra_model::{VssCode, VssError};
use umbra_writer::{
    BackupOutcome, SetEvent, Writer, WriterEvent, WriterFailure, WriterFailureKind,
};

/// How long the futures of events that are given up may take to be dropped.
const LET_GO: Duration = Duration::from_secs(1);

/// An event and what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    PrepareForBackup,
    PrepareForSnapshot,
    Freeze,
    Thaw,
    PostSnapshot,
    BackupComplete(BackupOutcome),
    BackupShutdown,
    Abort,
}

impl Message {
    fn event(self) -> WriterEvent {
        match self {
            Self::PrepareForBackup => WriterEvent::PrepareForBackup,
            Self::PrepareForSnapshot => WriterEvent::PrepareForSnapshot,
            Self::Freeze => WriterEvent::Freeze,
            Self::Thaw => WriterEvent::Thaw,
            Self::PostSnapshot => WriterEvent::PostSnapshot,
            Self::BackupComplete(_) => WriterEvent::BackupComplete,
            Self::BackupShutdown => WriterEvent::BackupShutdown,
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
            Self::BackupShutdown => {
                writer.backup_shutdown(set.session).await;
                Ok(())
            }
            Self::Abort => {
                writer.abort(set).await;
                Ok(())
            }
        }
    }
}

/// How long answers are waited for.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    /// Each writer's time.
    pub(crate) limit: Duration,
    /// The time of the set as a whole, and the code for when it passes.
    pub(crate) window: Option<(Instant, VssCode)>,
    /// Who may give the set up; where nobody may, every writer is heard out.
    pub(crate) cancel: Option<&'a Cancel>,
}

impl Patience<'_> {
    /// For events that every writer must get, whatever the others answer.
    pub(crate) fn hear_all(limit: Duration) -> Self {
        Self {
            limit,
            window: None,
            cancel: None,
        }
    }
}

/// Tells these writers. With somebody who may give the set up, the first
/// failure ends the waiting: the rest are left to the abort path. Without, all
/// are heard out and the failures come back in the order they happened.
pub(crate) async fn tell<'a>(
    registry: &Writers,
    told: impl Iterator<Item = &'a mut Participant>,
    message: Message,
    patience: Patience<'_>,
) -> Vec<VssError> {
    let event = message.event();
    let own_end = Instant::now() + patience.limit;
    let (end, window_first) = match patience.window {
        Some((window, code)) if window < own_end => (window, Some(code)),
        _ => (own_end, None),
    };
    let mut asked = JoinSet::new();
    let mut who = HashMap::new();
    for participant in told {
        participant.told = true;
        let writer = Arc::clone(&participant.writer);
        let set = participant.event.clone();
        let task = asked
            .spawn(async move { timeout_at(end, message.deliver(writer.as_ref(), &set)).await });
        who.insert(
            task.id(),
            (
                participant.identity.instance,
                participant.identity.name.clone(),
            ),
        );
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
        let Some((instance, name)) = who.get(&task) else {
            continue;
        };
        let error = match answer {
            Ok(Ok(())) => {
                registry.answered(*instance, event);
                continue;
            }
            Ok(Err(failure)) => failure.into_error(name, &event.to_string()),
            Err(_) => too_late(name, event, window_first, patience.limit),
        };
        registry.failed(*instance, event, &error);
        failures.push(error);
        if patience.cancel.is_some() {
            break;
        }
    }
    // A writer must not go on with an event after it was told Abort, so what is
    // left must have ended; a writer that blocks its thread is not waited for.
    let _ = timeout(LET_GO, asked.shutdown()).await;
    failures
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
) -> VssError {
    match window_first {
        Some(code) => VssError::new(
            code,
            format!(
                "the writer {name:?} had not answered {event} when the time from Freeze to Thaw \
                 was over"
            ),
        ),
        None => WriterFailure::new(
            WriterFailureKind::Timeout,
            format!("it did not answer within {} s", limit.as_secs_f32()),
        )
        .into_error(name, &event.to_string()),
    }
}

/// The first failure with the others attached.
pub(crate) fn first(failures: Vec<VssError>) -> Result<(), VssError> {
    let mut failures = failures.into_iter();
    match failures.next() {
        None => Ok(()),
        Some(first) => Err(failures.fold(first, VssError::followed_by)),
    }
}
