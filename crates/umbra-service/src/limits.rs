//! How long each thing may take.

use std::time::Duration;

/// Time limits. The default values are those of VSS where VSS has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A writer's answer to Identify.
    pub identify: Duration,
    /// A writer's answer to PrepareForBackup.
    pub prepare_for_backup: Duration,
    /// A writer's answer to PrepareForSnapshot: checkpoints may be slow.
    pub prepare_for_snapshot: Duration,
    /// A writer's answer to Freeze. Less than `freeze_to_thaw`, so that a writer
    /// that hangs is found before the time of the set as a whole is over.
    pub freeze: Duration,
    /// A writer's answer to Thaw.
    pub thaw: Duration,
    /// A writer's answer to PostSnapshot.
    pub post_snapshot: Duration,
    /// A writer's answer to BackupComplete.
    pub backup_complete: Duration,
    /// A writer's answer to BackupShutdown.
    pub backup_shutdown: Duration,
    /// A writer's answer to Abort.
    pub abort: Duration,
    /// A writer's answer to PreRestore: it may have to stop a database.
    pub pre_restore: Duration,
    /// A writer's answer to PostRestore: it may have to recover one.
    pub post_restore: Duration,
    /// From the first writer's Freeze to the last one's Thaw (VSS: 60 s).
    pub freeze_to_thaw: Duration,
    /// From the first file system's freeze to the last one's thaw (VSS: 10 s).
    pub hold: Duration,
    /// How long the holding process may give no sign of life.
    pub stall: Duration,
    /// One call into a provider or into the machine's storage.
    pub provider: Duration,
    /// How long a requester waits for its turn to make a set.
    pub wait_for_set: Duration,
    /// How long a requester may keep its turn without a call.
    pub idle_set: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            identify: Duration::from_secs(30),
            prepare_for_backup: minutes(10),
            prepare_for_snapshot: minutes(10),
            freeze: Duration::from_secs(50),
            thaw: Duration::from_secs(50),
            post_snapshot: minutes(10),
            backup_complete: minutes(1),
            backup_shutdown: Duration::from_secs(15),
            abort: minutes(1),
            pre_restore: minutes(10),
            post_restore: minutes(10),
            freeze_to_thaw: minutes(1),
            hold: Duration::from_secs(10),
            stall: Duration::from_secs(1),
            provider: minutes(10),
            wait_for_set: minutes(1),
            idle_set: minutes(5),
        }
    }
}
