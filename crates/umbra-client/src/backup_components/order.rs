//! The order of calls ("Overview of Processing a Backup Under VSS", "Overview of
//! Processing a Restore Under VSS").

use umbra_model::{VssCode, VssError, VssResult};

/// Where the object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Neither for a backup nor for a restore yet.
    Opened,
    /// For a backup.
    Backup,
    /// The writers are known.
    BackupGathered,
    /// A set is started, volumes may be added.
    SetStarted,
    /// Writers are prepared.
    Prepared,
    /// The shadow copies are there; files are copied from them.
    SetMade,
    /// Writers were told how it ended.
    BackupEnded,
    /// PrepareForBackup or DoSnapshotSet failed or was cancelled. Whether anything is
    /// left of the set is known to the service, which answers accordingly.
    BackupFailed,
    /// Given up by the requester.
    Aborted,
    /// For a restore.
    Restore,
    /// The writers are known.
    RestoreGathered,
    /// Writers are prepared; files are put back.
    PreRestored,
    /// Writers were told how it went.
    RestoreEnded,
}

macro_rules! calls {
    ($($call:ident in $($phase:ident)|+;)*) => {
        /// The calls, by their names in `IVssBackupComponents` to `Ex4`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Call {
            $($call,)*
        }

        impl Call {
            /// The name in the reference.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$call => stringify!($call),)* }
            }

            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$call,)*];

            /// The phases in which it may come.
            fn phases(self) -> &'static [Phase] {
                match self {
                    $(Self::$call => &[$(Phase::$phase,)+],)*
                }
            }
        }
    };
}

// The row of each call; the pages named above have the order.
calls! {
    InitializeForBackup in Opened;
    InitializeForRestore in Opened;
    SetContext in Backup;
    SetBackupState in Backup | BackupGathered | SetStarted;
    SetRestoreState in Restore | RestoreGathered;
    LoadFromXML in Restore | RestoreGathered;
    EnableWriterClasses in Backup | Restore;
    DisableWriterClasses in Backup | Restore;
    DisableWriterInstances in Backup | Restore;
    GatherWriterMetadata in Backup | Restore;
    FreeWriterMetadata in BackupGathered | SetStarted | Prepared | SetMade | BackupEnded
        | BackupFailed | Aborted | RestoreGathered | PreRestored | RestoreEnded;
    AddComponent in BackupGathered | SetStarted | BackupFailed;
    SetBackupOptions in BackupGathered | SetStarted | BackupFailed;
    SetPreviousBackupStamp in BackupGathered | SetStarted | BackupFailed | RestoreGathered;
    StartSnapshotSet in Backup | BackupGathered | BackupFailed;
    AddToSnapshotSet in SetStarted | BackupFailed;
    PrepareForBackup in SetStarted | BackupFailed;
    DoSnapshotSet in SetStarted | Prepared;
    Surface in SetMade | BackupEnded;
    SetBackupSucceeded in SetMade;
    BackupComplete in SetMade;
    AbortBackup in SetStarted | Prepared | SetMade | BackupFailed;
    GatherWriterStatus in BackupGathered | SetStarted | Prepared | SetMade | BackupEnded
        | BackupFailed | Aborted | RestoreGathered | PreRestored | RestoreEnded;
    SetSelectedForRestore in RestoreGathered;
    AddRestoreSubcomponent in RestoreGathered;
    SetRestoreOptions in RestoreGathered;
    SetAuthoritativeRestore in RestoreGathered;
    SetRollForward in RestoreGathered;
    SetRestoreName in RestoreGathered;
    SetAdditionalRestores in RestoreGathered | PreRestored;
    AddNewTarget in RestoreGathered | PreRestored;
    AddAlternativeLocationMapping in RestoreGathered | PreRestored;
    SetRangesFilePath in RestoreGathered | PreRestored;
    PreRestore in RestoreGathered;
    SetFileRestoreStatus in PreRestored;
    PostRestore in PreRestored;
    SaveAsXML in Backup | BackupGathered | SetStarted | Prepared | SetMade | BackupEnded
        | BackupFailed | Aborted | Restore | RestoreGathered | PreRestored | RestoreEnded;
    IsVolumeSupported in Backup | BackupGathered | SetStarted;
    Query in Backup | BackupGathered | SetStarted | Prepared | SetMade | BackupEnded
        | BackupFailed | Aborted;
    GetSnapshotProperties in Backup | BackupGathered | SetStarted | Prepared | SetMade
        | BackupEnded | BackupFailed | Aborted;
    DeleteSnapshots in Backup | BackupGathered | SetStarted | Prepared | SetMade | BackupEnded
        | BackupFailed | Aborted;
    ExposeSnapshot in Backup | BackupGathered | SetStarted | Prepared | SetMade | BackupEnded
        | BackupFailed | Aborted;
    UnexposeSnapshot in Backup | BackupGathered | SetStarted | Prepared | SetMade | BackupEnded
        | BackupFailed | Aborted;
}

/// Checks that a call may come now.
///
/// # Errors
///
/// `VSS_E_BAD_STATE`, naming the call that was expected.
pub(super) fn check(call: Call, phase: Phase) -> VssResult<()> {
    if call.phases().contains(&phase) {
        Ok(())
    } else {
        Err(bad_state(call, expected(phase)))
    }
}

/// `VSS_E_BAD_STATE` for a call that came when another was expected.
pub(super) fn bad_state(call: Call, expected: &str) -> VssError {
    VssError::new(
        VssCode::BadState,
        format!("{call:?} was called where {expected} was expected"),
    )
}

/// `VSS_E_BAD_STATE` for a call that came before the end of another.
pub(super) fn still_pending(call: Call, pending: Call) -> VssError {
    VssError::new(
        VssCode::BadState,
        format!(
            "{call:?} was called while {pending:?} is still pending; wait for its end or cancel it"
        ),
    )
}

fn expected(phase: Phase) -> &'static str {
    match phase {
        Phase::Opened => "InitializeForBackup or InitializeForRestore",
        Phase::Backup => "SetContext, SetBackupState or GatherWriterMetadata",
        Phase::BackupGathered => "AddComponent or StartSnapshotSet",
        Phase::SetStarted => "AddToSnapshotSet or PrepareForBackup",
        Phase::Prepared => "DoSnapshotSet",
        Phase::SetMade => "SetBackupSucceeded or BackupComplete",
        Phase::BackupEnded => "SaveAsXML or the end of the session",
        Phase::BackupFailed => "AbortBackup, or a new attempt,",
        Phase::Aborted => "the end of the session",
        Phase::Restore => "SetRestoreState or GatherWriterMetadata",
        Phase::RestoreGathered => "SetSelectedForRestore or PreRestore",
        Phase::PreRestored => "SetFileRestoreStatus or PostRestore",
        Phase::RestoreEnded => "SaveAsXML or the end of the session",
    }
}

#[cfg(test)]
mod tests {
    use super::{Call::*, *};

    /// What may come at any time once the object is for a backup.
    const ANY_TIME_OF_A_BACKUP: &[Call] = &[
        SaveAsXML,
        Query,
        GetSnapshotProperties,
        DeleteSnapshots,
        ExposeSnapshot,
        UnexposeSnapshot,
    ];

    fn only(phase: Phase, allowed: &[&[Call]], next: &str) {
        let allowed = allowed.concat();
        for call in Call::ALL {
            match check(*call, phase) {
                Ok(()) => assert!(allowed.contains(call), "{call:?} in {phase:?}"),
                Err(error) => {
                    assert!(!allowed.contains(call), "{call:?} in {phase:?}");
                    assert_eq!(error.code(), VssCode::BadState);
                    assert!(error.message().contains(next), "{error}");
                    assert!(error.message().starts_with(&format!("{call:?}")), "{error}");
                }
            }
        }
    }

    /// "Overview of Backup Initialization" to "Overview of Backup Termination".
    #[test]
    fn calls_of_a_backup_come_in_the_order_of_vss() {
        let choosing: &[Call] = &[AddComponent, SetBackupOptions, SetPreviousBackupStamp];
        let after_gather: &[Call] = &[FreeWriterMetadata, GatherWriterStatus];
        let any = ANY_TIME_OF_A_BACKUP;
        only(
            Phase::Opened,
            &[&[InitializeForBackup, InitializeForRestore]],
            "InitializeForBackup",
        );
        only(
            Phase::Backup,
            &[
                any,
                &[
                    SetContext,
                    SetBackupState,
                    EnableWriterClasses,
                    DisableWriterClasses,
                    DisableWriterInstances,
                    GatherWriterMetadata,
                    StartSnapshotSet,
                    IsVolumeSupported,
                ],
            ],
            "GatherWriterMetadata",
        );
        only(
            Phase::BackupGathered,
            &[
                any,
                choosing,
                after_gather,
                &[SetBackupState, StartSnapshotSet, IsVolumeSupported],
            ],
            "StartSnapshotSet",
        );
        only(
            Phase::SetStarted,
            &[
                any,
                choosing,
                after_gather,
                &[
                    SetBackupState,
                    AddToSnapshotSet,
                    PrepareForBackup,
                    DoSnapshotSet,
                    AbortBackup,
                    IsVolumeSupported,
                ],
            ],
            "AddToSnapshotSet",
        );
        only(
            Phase::Prepared,
            &[any, after_gather, &[DoSnapshotSet, AbortBackup]],
            "DoSnapshotSet",
        );
        only(
            Phase::SetMade,
            &[
                any,
                after_gather,
                &[SetBackupSucceeded, BackupComplete, Surface, AbortBackup],
            ],
            "BackupComplete",
        );
        only(
            Phase::BackupEnded,
            &[any, after_gather, &[Surface]],
            "the end of the session",
        );
    }

    /// "Aborting VSS Operations".
    #[test]
    fn a_backup_that_failed_is_aborted_or_tried_again() {
        let any = ANY_TIME_OF_A_BACKUP;
        let after_gather: &[Call] = &[FreeWriterMetadata, GatherWriterStatus];
        only(
            Phase::BackupFailed,
            &[
                any,
                after_gather,
                &[
                    AbortBackup,
                    StartSnapshotSet,
                    AddToSnapshotSet,
                    PrepareForBackup,
                    AddComponent,
                    SetBackupOptions,
                    SetPreviousBackupStamp,
                ],
            ],
            "AbortBackup",
        );
        only(
            Phase::Aborted,
            &[any, after_gather],
            "the end of the session",
        );
    }

    /// "Overview of Restore Initialization" to "Overview of Restore Clean up and
    /// Termination". "Aborts are not supported for restore operations."
    #[test]
    fn calls_of_a_restore_come_in_the_order_of_vss() {
        let after_gather: &[Call] = &[FreeWriterMetadata, GatherWriterStatus, SaveAsXML];
        let either: &[Call] = &[
            SetAdditionalRestores,
            AddNewTarget,
            AddAlternativeLocationMapping,
            SetRangesFilePath,
        ];
        only(
            Phase::Restore,
            &[&[
                SetRestoreState,
                LoadFromXML,
                EnableWriterClasses,
                DisableWriterClasses,
                DisableWriterInstances,
                GatherWriterMetadata,
                SaveAsXML,
            ]],
            "GatherWriterMetadata",
        );
        only(
            Phase::RestoreGathered,
            &[
                after_gather,
                either,
                &[
                    SetRestoreState,
                    LoadFromXML,
                    SetSelectedForRestore,
                    AddRestoreSubcomponent,
                    SetRestoreOptions,
                    SetAuthoritativeRestore,
                    SetRollForward,
                    SetRestoreName,
                    SetPreviousBackupStamp,
                    PreRestore,
                ],
            ],
            "PreRestore",
        );
        only(
            Phase::PreRestored,
            &[after_gather, either, &[SetFileRestoreStatus, PostRestore]],
            "PostRestore",
        );
        only(
            Phase::RestoreEnded,
            &[after_gather],
            "the end of the session",
        );
    }

    #[test]
    fn a_pending_call_is_named() {
        let error = still_pending(AddComponent, GatherWriterMetadata);
        assert_eq!(
            error.to_string(),
            "AddComponent was called while GatherWriterMetadata is still pending; wait for its \
             end or cancel it (VSS_E_BAD_STATE)"
        );
    }
}
