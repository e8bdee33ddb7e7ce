//! The order of calls in a session.

use crate::SetState;
use umbra_model::{VssCode, VssError, VssResult};

/// The calls whose order matters, by their names in `IVssBackupComponents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    SetContext,
    GatherWriterMetadata,
    SelectWriters,
    AddComponent,
    StartSnapshotSet,
    AddToSnapshotSet,
    PrepareForBackup,
    DoSnapshotSet,
    Surface,
    BackupComplete,
    AbortBackup,
    PreRestore,
    PostRestore,
    GatherWriterStatus,
}

#[cfg(test)]
impl Call {
    const ALL: [Self; 14] = [
        Self::SetContext,
        Self::GatherWriterMetadata,
        Self::SelectWriters,
        Self::AddComponent,
        Self::StartSnapshotSet,
        Self::AddToSnapshotSet,
        Self::PrepareForBackup,
        Self::DoSnapshotSet,
        Self::Surface,
        Self::BackupComplete,
        Self::AbortBackup,
        Self::PreRestore,
        Self::PostRestore,
        Self::GatherWriterStatus,
    ];
}

/// Checks that a call may come now.
///
/// # Errors
///
/// `VSS_E_BAD_STATE`, naming the call that was expected.
pub(crate) fn check(call: Call, state: SetState) -> VssResult<()> {
    use SetState::{
        BackupAborted, BackupComplete, Closed, Created, Idle, Initialized, PreparedForBackup,
        Restoring, SetStarted,
    };
    if call == Call::GatherWriterStatus && state != Closed {
        return Ok(());
    }
    let allowed: &[SetState] = match call {
        Call::SetContext => &[Idle],
        Call::GatherWriterMetadata => &[Idle, Initialized, SetStarted],
        Call::SelectWriters | Call::StartSnapshotSet | Call::PreRestore => &[Idle, Initialized],
        Call::AddComponent => &[Idle, Initialized, SetStarted],
        Call::AddToSnapshotSet | Call::PrepareForBackup => &[SetStarted],
        Call::DoSnapshotSet => &[SetStarted, PreparedForBackup],
        Call::Surface => &[Created, BackupComplete, BackupAborted],
        Call::BackupComplete => &[PreparedForBackup, Created],
        Call::AbortBackup => &[
            Idle,
            Initialized,
            SetStarted,
            PreparedForBackup,
            Created,
            BackupAborted,
        ],
        Call::PostRestore => &[Restoring],
        Call::GatherWriterStatus => &[],
    };
    if allowed.contains(&state) {
        Ok(())
    } else {
        Err(bad_state(call, expected(state)))
    }
}

/// `VSS_E_BAD_STATE` for a call that came when another was expected.
pub(crate) fn bad_state(call: Call, expected: &str) -> VssError {
    VssError::new(
        VssCode::BadState,
        format!("{call:?} was called where {expected} was expected"),
    )
}

fn expected(state: SetState) -> &'static str {
    match state {
        SetState::Idle => "SetContext, GatherWriterMetadata or StartSnapshotSet",
        SetState::Initialized => "GatherWriterMetadata or StartSnapshotSet",
        SetState::SetStarted => "AddToSnapshotSet or PrepareForBackup",
        SetState::PreparedForBackup => "DoSnapshotSet",
        SetState::Created => "BackupComplete or the end of the session",
        SetState::BackupComplete | SetState::BackupAborted | SetState::Restored => {
            "the end of the session"
        }
        SetState::Restoring => "PostRestore",
        SetState::Closed => "a new session",
        _ => "the end of the call before it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_in_the_order_of_vss() {
        let only = |state: SetState, allowed: &[Call], next: &str| {
            for call in Call::ALL {
                match check(call, state) {
                    Ok(()) => assert!(allowed.contains(&call), "{call:?} in {state}"),
                    Err(error) => {
                        assert!(!allowed.contains(&call), "{call:?} in {state}");
                        assert_eq!(error.code(), VssCode::BadState);
                        assert!(error.message().contains(next), "{error}");
                    }
                }
            }
        };
        use Call::*;
        only(
            SetState::Idle,
            &[
                SetContext,
                GatherWriterMetadata,
                SelectWriters,
                AddComponent,
                StartSnapshotSet,
                AbortBackup,
                PreRestore,
                GatherWriterStatus,
            ],
            "StartSnapshotSet",
        );
        only(
            SetState::Initialized,
            &[
                GatherWriterMetadata,
                SelectWriters,
                AddComponent,
                StartSnapshotSet,
                AbortBackup,
                PreRestore,
                GatherWriterStatus,
            ],
            "StartSnapshotSet",
        );
        only(
            SetState::SetStarted,
            &[
                GatherWriterMetadata,
                AddComponent,
                AddToSnapshotSet,
                PrepareForBackup,
                DoSnapshotSet,
                AbortBackup,
                GatherWriterStatus,
            ],
            "AddToSnapshotSet",
        );
        only(
            SetState::PreparedForBackup,
            &[
                DoSnapshotSet,
                BackupComplete,
                AbortBackup,
                GatherWriterStatus,
            ],
            "DoSnapshotSet",
        );
        only(
            SetState::Created,
            &[Surface, BackupComplete, AbortBackup, GatherWriterStatus],
            "BackupComplete",
        );
        only(
            SetState::BackupComplete,
            &[Surface, GatherWriterStatus],
            "the end of the session",
        );
        only(
            SetState::BackupAborted,
            &[Surface, AbortBackup, GatherWriterStatus],
            "the end of the session",
        );
        only(
            SetState::Restoring,
            &[PostRestore, GatherWriterStatus],
            "PostRestore",
        );
        only(
            SetState::Restored,
            &[GatherWriterStatus],
            "the end of the session",
        );
        only(SetState::Closed, &[], "a new session");
    }
}
