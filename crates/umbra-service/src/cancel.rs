//! Giving a set up from outside.

use tokio::sync::watch;
use umbra_model::{VssCode, VssError, VssResult};

/// Why a set is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelReason {
    /// The call's future was dropped.
    RequesterGone,
    /// `AbortBackup`.
    BackupAborted,
    /// `AbortAllSnapshotsInProgress`.
    AllAborted,
    /// The session is ending.
    SessionClosed,
    /// The service is ending.
    ServiceStopping,
}

/// Seen between the steps of a set, and by everything that waits in between.
#[derive(Debug)]
pub(crate) struct Cancel {
    reason: watch::Sender<Option<CancelReason>>,
}

impl CancelReason {
    /// Whether the session ends with it.
    fn ends_session(self) -> bool {
        matches!(self, Self::SessionClosed | Self::ServiceStopping)
    }
}

impl Cancel {
    pub(crate) fn new() -> Self {
        Self {
            reason: watch::Sender::new(None),
        }
    }

    /// Asks for it. The end of the session is never taken back by a lesser reason.
    pub(crate) fn request(&self, reason: CancelReason) {
        self.reason.send_if_modified(|now| {
            let stronger = now.is_none_or(|now| !now.ends_session());
            if stronger {
                *now = Some(reason);
            }
            stronger
        });
    }

    /// A requester that dropped one call, or whose set was given up, may make
    /// another.
    pub(crate) fn forget_given_up_set(&self) {
        self.reason.send_if_modified(|now| {
            let forgotten = now.is_some_and(|now| !now.ends_session());
            if forgotten {
                *now = None;
            }
            forgotten
        });
    }

    /// # Errors
    ///
    /// `VSS_S_ASYNC_CANCELLED` once it was asked for.
    pub(crate) fn check(&self) -> VssResult<()> {
        match *self.reason.borrow() {
            Some(reason) => Err(reason.error()),
            None => Ok(()),
        }
    }

    /// Comes back once it was asked for.
    pub(crate) async fn requested(&self) -> VssError {
        let mut seen = self.reason.subscribe();
        let reason = seen
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|now| *now);
        reason.unwrap_or(CancelReason::ServiceStopping).error()
    }
}

impl CancelReason {
    /// What a set fails with that is given up for it.
    pub(crate) fn error(self) -> VssError {
        VssError::new(VssCode::AsyncCancelled, self.sentence())
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::RequesterGone => {
                "the shadow copy set was given up because its requester went away"
            }
            Self::BackupAborted => {
                "the shadow copy set was given up because its requester aborted the backup"
            }
            Self::AllAborted => {
                "the shadow copy set was given up because an administrator aborted all sets \
                 in the making"
            }
            Self::SessionClosed => {
                "the shadow copy set was given up because its session was closed"
            }
            Self::ServiceStopping => {
                "the shadow copy set was given up because the service is stopping; \
                 try again when it runs"
            }
        }
    }
}
