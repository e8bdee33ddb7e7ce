//! Where a session and its set stand.

use std::fmt;

/// Where a session and its set stand, in the order in which a set goes through
/// it. A session is one of a backup or one of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetState {
    /// The session is open.
    Idle,
    /// The context is set or writers were asked; no set yet.
    Initialized,
    /// StartSnapshotSet: volumes can be added.
    SetStarted,
    /// Writers are told PrepareForBackup.
    PreparingForBackup,
    /// They are prepared.
    PreparedForBackup,
    /// The set is in the catalog; providers do their slow work.
    EndPrepare,
    /// Writers do theirs.
    PrepareForSnapshot,
    /// Writers stop writing, level by level.
    Freeze,
    /// Providers' last call before the hold.
    PreCommit,
    /// File systems are held, copies made.
    Hold,
    /// Copies become durable.
    PostCommit,
    /// Writers go on writing.
    Thaw,
    /// Before writers see the copies.
    PreFinalCommit,
    /// Writers see the copies.
    PostSnapshot,
    /// Copies are sealed.
    PostFinalCommit,
    /// The set becomes durable in the catalog.
    Catalog,
    /// The set is made.
    Created,
    /// The requester's backup ended.
    BackupComplete,
    /// The requester gave its backup up after the set was made.
    BackupAborted,
    /// Writers were told PreRestore; files are put back.
    Restoring,
    /// Writers were told PostRestore.
    Restored,
    /// The set is being undone.
    Aborting,
    /// The session is over.
    Closed,
}

impl SetState {
    /// Whether there is a set that is not made yet.
    pub(crate) fn is_making(self) -> bool {
        (Self::SetStarted..Self::Created).contains(&self)
    }
}

impl fmt::Display for SetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The set went on to another state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub state: SetState,
    /// A line for people.
    pub message: String,
}
