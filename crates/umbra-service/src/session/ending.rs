//! How a session, or a set whose requester dawdles, ends.

use super::{
    broke_off,
    standing::{SessionInner, State},
};
use crate::{
    SetState,
    blocking::within,
    cancel::CancelReason,
    messages::{Patience, deliver, first},
    service::lock,
};
use std::sync::{Arc, Weak};
use tokio::time::{Instant, sleep_until};
use umbra_model::{Context, SetId, VssCode, VssError, VssResult};
use umbra_writer::BackupOutcome;

impl SessionInner {
    /// Ends the session, on its own, so that nobody can interrupt it.
    pub(crate) async fn close(self: &Arc<Self>, reason: CancelReason) -> VssResult<()> {
        self.cancel.request(reason);
        let inner = Arc::clone(self);
        let running = self.service.tasks.begin();
        let closing = tokio::spawn(async move {
            let mut state = Arc::clone(&inner.state).lock_owned().await;
            let failures = inner.clean_up(&mut state).await;
            drop(running);
            first(failures)
        });
        closing
            .await
            .unwrap_or_else(|panic| Err(broke_off().caused_by(panic)))
    }

    pub(super) async fn clean_up(&self, state: &mut State) -> Vec<VssError> {
        let stands = self.standing().0;
        if stands == SetState::Closed {
            return Vec::new();
        }
        let mut failures = Vec::new();
        if let Err(gone) = self.cancel.check()
            && state.making.is_some()
        {
            let ended: VssResult<()> = self.settle(state, Err(gone)).await;
            failures.extend(ended.err().iter().flat_map(|error| error.later().to_vec()));
        }
        if stands == SetState::Created {
            failures.extend(
                self.tell_backup_complete(state, BackupOutcome::Failed)
                    .await,
            );
        }
        if stands == SetState::Restoring {
            let told = state.restoring.drain(..);
            state.told.extend(told.map(|one| one.listener));
        }
        let told = state.told.iter();
        let shutdown = told.filter_map(|one| one.shutdown(self.id)).collect();
        let patience = Patience::hear_all(self.service.limits.backup_shutdown);
        failures.extend(deliver(&self.service.writers, shutdown, patience).await);
        if let Some(set) = state.made.take().and_then(|made| made.set) {
            failures.extend(self.let_go(set.id, state.context).await);
        }
        let _ = self.pass(SetState::Closed).await;
        self.service.session_ended(self.id);
        tracing::info!(session = %self.id, "the session is closed");
        self.announce(SetState::Closed, "the session is closed");
        failures
    }

    /// Lets go of the set's copies, and deletes them where they go with the
    /// session.
    pub(super) async fn let_go(&self, set: SetId, context: Context) -> Vec<VssError> {
        let mut failures = Vec::new();
        let _alone = self.service.administration.lock().await;
        // As the catalog has them: one may be exposed, or deleted, meanwhile.
        match self.service.finished_sets().await {
            Ok(sets) => {
                let copies = sets.into_iter().filter(|one| one.id == set);
                for copy in copies.flat_map(|set| set.copies) {
                    failures.extend(if context.is_auto_release() {
                        self.service.delete_copy(copy).await.err()
                    } else {
                        let service = Arc::clone(&self.service);
                        let what = || "letting go of a shadow copy".to_owned();
                        let limit = self.service.limits.provider;
                        let dropped = within(limit, what, move || {
                            service.drop_surface(copy.id);
                            Ok(())
                        });
                        dropped.await.err()
                    });
                }
            }
            Err(error) => failures.push(error),
        }
        self.service.active.remove(set);
        failures
    }
}

/// Gives a set up whose requester makes no call, so that others get their turn.
pub(super) async fn give_up_when_idle(session: Weak<SessionInner>, set: SetId) {
    loop {
        let Some(live) = session.upgrade() else {
            return;
        };
        let limit = live.service.limits.idle_set;
        let end = *lock(&live.last_call) + limit;
        if Instant::now() >= end
            && let Ok(mut state) = Arc::clone(&live.state).try_lock_owned()
        {
            if state.making.as_ref().is_some_and(|making| making.id == set) {
                let why = format!(
                    "the set was given up after {} s without a call",
                    limit.as_secs()
                );
                state.given_up = Some(why.clone());
                let running = live.service.tasks.begin();
                let cause = VssError::new(VssCode::BadState, why);
                let ended: VssResult<()> = live.settle(&mut state, Err(cause)).await;
                if let Err(error) = ended {
                    live.warn_of(&error);
                }
                drop(running);
            }
            return;
        }
        drop(live);
        // A call that is running now counts from its end.
        sleep_until(end.max(Instant::now() + limit / 10)).await;
    }
}
