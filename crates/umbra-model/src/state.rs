//! The states that VSS gives shadow copies and writers.

named_values! {
    /// Where a shadow copy stands (`VSS_SNAPSHOT_STATE`).
    SnapshotState {
        Unknown = "VSS_SS_UNKNOWN", 0;
        Preparing = "VSS_SS_PREPARING", 1;
        ProcessingPrepare = "VSS_SS_PROCESSING_PREPARE", 2;
        Prepared = "VSS_SS_PREPARED", 3;
        ProcessingPreCommit = "VSS_SS_PROCESSING_PRECOMMIT", 4;
        PreCommitted = "VSS_SS_PRECOMMITTED", 5;
        ProcessingCommit = "VSS_SS_PROCESSING_COMMIT", 6;
        Committed = "VSS_SS_COMMITTED", 7;
        ProcessingPostCommit = "VSS_SS_PROCESSING_POSTCOMMIT", 8;
        ProcessingPreFinalCommit = "VSS_SS_PROCESSING_PREFINALCOMMIT", 9;
        PreFinalCommitted = "VSS_SS_PREFINALCOMMITTED", 10;
        ProcessingPostFinalCommit = "VSS_SS_PROCESSING_POSTFINALCOMMIT", 11;
        Created = "VSS_SS_CREATED", 12;
        Aborted = "VSS_SS_ABORTED", 13;
        Deleted = "VSS_SS_DELETED", 14;
        PostCommitted = "VSS_SS_POSTCOMMITTED", 15;
    }
}

named_values! {
    /// How a writer is doing (`VSS_WRITER_STATE`).
    WriterState {
        Unknown = "VSS_WS_UNKNOWN", 0;
        Stable = "VSS_WS_STABLE", 1;
        WaitingForFreeze = "VSS_WS_WAITING_FOR_FREEZE", 2;
        WaitingForThaw = "VSS_WS_WAITING_FOR_THAW", 3;
        WaitingForPostSnapshot = "VSS_WS_WAITING_FOR_POST_SNAPSHOT", 4;
        WaitingForBackupComplete = "VSS_WS_WAITING_FOR_BACKUP_COMPLETE", 5;
        FailedAtIdentify = "VSS_WS_FAILED_AT_IDENTIFY", 6;
        FailedAtPrepareBackup = "VSS_WS_FAILED_AT_PREPARE_BACKUP", 7;
        FailedAtPrepareSnapshot = "VSS_WS_FAILED_AT_PREPARE_SNAPSHOT", 8;
        FailedAtFreeze = "VSS_WS_FAILED_AT_FREEZE", 9;
        FailedAtThaw = "VSS_WS_FAILED_AT_THAW", 10;
        FailedAtPostSnapshot = "VSS_WS_FAILED_AT_POST_SNAPSHOT", 11;
        FailedAtBackupComplete = "VSS_WS_FAILED_AT_BACKUP_COMPLETE", 12;
        FailedAtPreRestore = "VSS_WS_FAILED_AT_PRE_RESTORE", 13;
        FailedAtPostRestore = "VSS_WS_FAILED_AT_POST_RESTORE", 14;
        FailedAtBackupShutdown = "VSS_WS_FAILED_AT_BACKUPSHUTDOWN", 15;
    }
}
