//! Giving a set up from outside.

use tokio::sync::watch;
use umbra_model::{VssCode, VssError, VssResult};

/// Why a set is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelReason {
    /// The call's future was dropped.
    RequesterGone,
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

impl Cancel {
    pub(crate) fn new() -> Self {
        Self {
            reason: watch::Sender::new(None),
        }
    }

    /// Asks for it. The end of the session is never taken back by a lesser reason.
    pub(crate) fn request(&self, reason: CancelReason) {
        self.reason.send_if_modified(|now| {
            let stronger = now.is_none() || *now == Some(CancelReason::RequesterGone);
            if stronger {
                *now = Some(reason);
            }
            stronger
        });
    }

    /// A requester that dropped one call may make another.
    pub(crate) fn forget_dropped_call(&self) {
        self.reason.send_if_modified(|now| {
            let dropped = *now == Some(CancelReason::RequesterGone);
            if dropped {
                *now = None;
            }
            dropped
        });
    }

    /// # Errors
    ///
    /// `VSS_S_ASYNC_CANCELLED` once it was asked for.
    pub(crate) fn check(&self) -> VssResult<()> {
        match *self.reason.borrow() {
            Some(reason) => Err(error(reason)),
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
        error(reason.unwrap_or(CancelReason::ServiceStopping))
    }
}

fn error(reason: CancelReason) -> VssError {
    VssError::new(
        VssCode::AsyncCancelled,
        match reason {
            CancelReason::RequesterGone => {
                "the shadow copy set was given up because its requester went away"
            }
            CancelReason::SessionClosed => {
                "the shadow copy set was given up because its session was closed"
            }
            CancelReason::ServiceStopping => {
                "the shadow copy set was given up because the service is stopping; \
                 try again when it runs"
            }
        },
    )
}
