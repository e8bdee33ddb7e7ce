//! How each writer is doing ("Determining Writer Status").

use std::collections::{HashMap, HashSet};
use umbra_model::{SubscribeMask, VssError, WriterInstanceId, WriterState};
use umbra_writer::{Subscription, WriterEvent};

/// How a writer is doing (`IVssBackupComponentsEx3::GetWriterStatus`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: WriterState,
    /// Its last failure.
    pub(crate) failure: Option<VssError>,
    /// The writer's own code for it.
    pub(crate) application_code: Option<u32>,
}

impl Standing {
    fn well(state: WriterState) -> Self {
        Self {
            state,
            failure: None,
            application_code: None,
        }
    }
}

/// How all writers are doing.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    by_instance: HashMap<WriterInstanceId, Standing>,
}

impl Standings {
    pub(crate) fn of(&self, instance: WriterInstanceId) -> Option<&Standing> {
        self.by_instance.get(&instance)
    }

    /// Forgets every writer but these.
    pub(crate) fn keep_only(&mut self, seen: &HashSet<WriterInstanceId>) {
        self.by_instance
            .retain(|instance, _| seen.contains(instance));
    }

    /// A writer went away. What it failed with before stays to be seen until
    /// writers are gathered again.
    pub(crate) fn gone(&mut self, instance: WriterInstanceId) {
        let standing = self.by_instance.get(&instance);
        if standing.is_none_or(|standing| standing.failure.is_none()) {
            self.by_instance.remove(&instance);
        }
    }

    /// A writer answered Identify, which says nothing of a backup that it takes
    /// part in.
    pub(crate) fn identified(&mut self, instance: WriterInstanceId) {
        let standing = self.entry(instance);
        if standing.state == WriterState::FailedAtIdentify {
            *standing = Standing::well(WriterState::Stable);
        }
    }

    /// A writer answered an event.
    pub(crate) fn answered(
        &mut self,
        instance: WriterInstanceId,
        event: WriterEvent,
        subscription: Subscription,
    ) {
        let ends_a_set = matches!(event, WriterEvent::BackupShutdown | WriterEvent::Abort);
        let standing = self.entry(instance);
        // The end of a set that it failed leaves its failure to be seen.
        if !(ends_a_set && standing.failure.is_some()) {
            *standing = Standing::well(state_after(event, subscription.events));
        }
    }

    /// A writer failed at an event.
    pub(crate) fn failed(
        &mut self,
        instance: WriterInstanceId,
        event: WriterEvent,
        error: VssError,
        application_code: Option<u32>,
    ) {
        let standing = Standing {
            state: state_after_failure(event),
            failure: Some(error),
            application_code,
        };
        self.by_instance.insert(instance, standing);
    }

    fn entry(&mut self, instance: WriterInstanceId) -> &mut Standing {
        let entry = self.by_instance.entry(instance);
        entry.or_insert_with(|| Standing::well(WriterState::Stable))
    }
}

/// What a writer waits for once it answered an event, of those that it gets.
fn state_after(event: WriterEvent, events: SubscribeMask) -> WriterState {
    let complete = if events.contains(SubscribeMask::BACKUP_EVENTS_FLAG) {
        WriterState::WaitingForBackupComplete
    } else {
        WriterState::Stable
    };
    match event {
        WriterEvent::PrepareForSnapshot => WriterState::WaitingForFreeze,
        WriterEvent::Freeze => WriterState::WaitingForThaw,
        WriterEvent::Thaw if events.contains(SubscribeMask::POST_SNAPSHOT_FLAG) => {
            WriterState::WaitingForPostSnapshot
        }
        WriterEvent::Thaw | WriterEvent::PostSnapshot => complete,
        WriterEvent::Identify
        | WriterEvent::PreRestore
        | WriterEvent::PostRestore
        | WriterEvent::PrepareForBackup
        | WriterEvent::BackupComplete
        | WriterEvent::BackupShutdown
        | WriterEvent::Abort => WriterState::Stable,
    }
}

fn state_after_failure(event: WriterEvent) -> WriterState {
    match event {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use umbra_model::VssCode;

    /// A row for each event: the state once it was answered, the state once it
    /// failed, and the page of the reference that has the event.
    #[test]
    fn each_event_leaves_the_state_of_the_reference() {
        use WriterEvent as Event;
        use WriterState::*;
        let table = [
            (
                Event::Identify,
                Stable,
                FailedAtIdentify,
                "determining-writer-status",
            ),
            (
                Event::PrepareForBackup,
                Stable,
                FailedAtPrepareBackup,
                "overview-of-pre-backup-tasks",
            ),
            (
                Event::PrepareForSnapshot,
                WaitingForFreeze,
                FailedAtPrepareSnapshot,
                "overview-of-pre-backup-tasks",
            ),
            (
                Event::Freeze,
                WaitingForThaw,
                FailedAtFreeze,
                "overview-of-pre-backup-tasks",
            ),
            (
                Event::Thaw,
                WaitingForPostSnapshot,
                FailedAtThaw,
                "overview-of-pre-backup-tasks",
            ),
            (
                Event::PostSnapshot,
                WaitingForBackupComplete,
                FailedAtPostSnapshot,
                "overview-of-pre-backup-tasks",
            ),
            (
                Event::BackupComplete,
                Stable,
                FailedAtBackupComplete,
                "overview-of-actual-backup-of-files",
            ),
            (
                Event::BackupShutdown,
                Stable,
                FailedAtBackupShutdown,
                "handling-backupshutdown-events",
            ),
            (Event::Abort, Stable, Unknown, "aborting-vss-operations"),
            (
                Event::PreRestore,
                Stable,
                FailedAtPreRestore,
                "overview-of-preparing-for-restore",
            ),
            (
                Event::PostRestore,
                Stable,
                FailedAtPostRestore,
                "overview-of-restore-clean-up-and-termination",
            ),
        ];
        let instance = WriterInstanceId::from_u128(1);
        for (event, answered, failed, page) in table {
            let mut standings = Standings::default();
            standings.answered(instance, event, Subscription::default());
            let standing = standings.of(instance).unwrap();
            assert_eq!(*standing, Standing::well(answered), "{event}: {page}");

            let error = VssError::new(VssCode::WriterErrorRetryable, "busy");
            standings.failed(instance, event, error.clone(), Some(7));
            let standing = standings.of(instance).unwrap();
            assert_eq!(standing.state, failed, "{event}: {page}");
            assert_eq!(standing.failure.as_ref(), Some(&error), "{event}: {page}");
            assert_eq!(standing.application_code, Some(7), "{event}: {page}");
        }
    }

    #[test]
    fn nobody_waits_for_an_event_that_it_does_not_get() {
        let without = |events| Subscription {
            events,
            ..Subscription::default()
        };
        let state = |event, events| {
            let instance = WriterInstanceId::from_u128(1);
            let mut standings = Standings::default();
            standings.answered(instance, event, without(events));
            standings.of(instance).unwrap().state
        };
        let backup = SubscribeMask::BACKUP_EVENTS_FLAG;
        let none = SubscribeMask::default();
        assert_eq!(
            state(WriterEvent::Thaw, backup),
            WriterState::WaitingForBackupComplete
        );
        assert_eq!(state(WriterEvent::Thaw, none), WriterState::Stable);
        let post = SubscribeMask::POST_SNAPSHOT_FLAG;
        assert_eq!(state(WriterEvent::PostSnapshot, post), WriterState::Stable);
    }

    #[test]
    fn a_failure_stays_to_be_seen() {
        let instance = WriterInstanceId::from_u128(1);
        let mut standings = Standings::default();
        let error = VssError::new(VssCode::WriterErrorTimeout, "slow");
        standings.failed(instance, WriterEvent::Freeze, error, None);
        let all = Subscription::default();
        standings.answered(instance, WriterEvent::Abort, all);
        standings.identified(instance);
        standings.gone(instance);
        let standing = standings.of(instance).unwrap();
        assert_eq!(standing.state, WriterState::FailedAtFreeze);
        standings.answered(instance, WriterEvent::PrepareForBackup, all);
        standings.gone(instance);
        assert_eq!(standings.of(instance), None);
    }
}
