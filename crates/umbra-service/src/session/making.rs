//! The calls that lead a set on: PrepareForBackup, DoSnapshotSet,
//! BackupComplete.

use super::{
    no_set,
    standing::{Made, SessionInner, State},
};
use crate::{
    SetState,
    blocking::{contained, within},
    cancel::CancelReason,
    choice::Choice,
    create::Making,
    kept_document::KeptDocument,
    messages::{Message, Patience, deliver, first, tell},
    order::{self, Call, bad_state},
    service::lock,
    set::{Listener, Participant},
    taking_part::{self, TakesPart, Wanted},
    undo,
};
use std::sync::Arc;
use umbra_documents::BackupComponentsDocument;
use umbra_model::{ShadowCopySet, VssError, VssResult};
use umbra_writer::{BackupOutcome, BackupState, SetEvent};

impl SessionInner {
    pub(super) async fn prepare_for_backup(self: Arc<Self>) -> VssResult<()> {
        let mut state = self.call(Call::PrepareForBackup).await?;
        let state = &mut *state;
        let with_writers = state.with_writers();
        let making = state.making.as_mut().ok_or_else(no_set)?;
        // Components may be chosen of which no file is needed from a copy.
        let document = state.document.as_ref();
        let by_component = document.is_some_and(KeptDocument::has_components);
        if making.copies.is_empty() && !by_component {
            return Err(bad_state(Call::PrepareForBackup, "AddToSnapshotSet"));
        }
        if with_writers && state.gathered.is_none() {
            return Err(bad_state(Call::PrepareForBackup, "GatherWriterMetadata"));
        }
        let result = contained(self.prepare_writers(state)).await;
        self.settle(state, result).await
    }

    pub(super) async fn prepare_writers(&self, state: &mut State) -> VssResult<()> {
        self.enter(
            SetState::PreparingForBackup,
            "writers are told of the backup",
        )
        .await?;
        let making = state.making.as_mut().ok_or_else(no_set)?;
        // Also where none was selected: those with data there are named then.
        if let (true, Some(gathered)) = (state.context.has_writers(), &state.gathered) {
            let document = state.document.as_ref();
            let backup = document.map_or_else(
                || BackupState {
                    context: state.context,
                    ..BackupState::default()
                },
                |document| document.backup_state(state.context),
            );
            let parts = document.filter(|document| document.is_by_component());
            let parts = parts.map(|document| {
                // What an earlier try left is not of this backup.
                document.forget_what_writers_left();
                document.parts().to_vec()
            });
            let volumes = Arc::clone(&self.service.volumes);
            let (set, known) = (making.volumes(), Arc::clone(gathered));
            let selection = state.selection.clone();
            let what = || "finding the writers' volumes".to_owned();
            let assessed = within(self.service.limits.provider, what, move || {
                let choice = parts.map(|parts| Choice::find(&parts, &known));
                let choice = choice.transpose()?;
                let wanted = Wanted {
                    selection: &selection,
                    choice: choice.as_ref(),
                    backup_type: backup.backup_type,
                };
                taking_part::assess(&known.writers, wanted, &set, volumes.as_ref())
            });
            let (taking_part, assessment) = assessed.await?;
            making.assessment = assessment;
            let volumes = making.volumes();
            let participant = |one: TakesPart| {
                let writer = gathered.writers.get(one.index)?;
                let part = document.zip(one.part);
                let part = part.and_then(|(document, part)| document.parts().get(part));
                let event = SetEvent::new(self.id, making.id, volumes.clone(), one.components);
                Some(Participant {
                    listener: Listener::new(Arc::clone(&writer.writer), writer.identity.clone()),
                    level: one.level,
                    event: SetEvent {
                        backup,
                        chosen: part.map(|part| part.chosen.clone()).unwrap_or_default(),
                        ..event
                    },
                    vouches_for: one.vouches_for,
                    told: false,
                })
            };
            making.participants = taking_part.into_iter().filter_map(participant).collect();
        }
        let patience = Patience::of_set(self.service.limits.prepare_for_backup, &self.cancel);
        let participants = making.participants.iter_mut();
        let message = Message::PrepareForBackup;
        first(tell(&self.service.writers, participants, message, patience).await)?;
        self.enter(SetState::PreparedForBackup, "writers are prepared")
            .await
    }

    pub(super) async fn do_snapshot_set(self: Arc<Self>) -> VssResult<ShadowCopySet> {
        let mut state = self.call(Call::DoSnapshotSet).await?;
        let state = &mut *state;
        let with_writers = state.with_writers();
        let making = state.making.as_mut().ok_or_else(no_set)?;
        if making.copies.is_empty() {
            return Err(bad_state(Call::DoSnapshotSet, "AddToSnapshotSet"));
        }
        if with_writers && self.standing().0 == SetState::SetStarted {
            return Err(bad_state(Call::DoSnapshotSet, "PrepareForBackup"));
        }
        let mut making = Making {
            service: &self.service,
            session: &self,
            set: making,
        };
        let result = contained(making.make()).await;
        let set = self.settle(state, result).await?;
        if let Some(making) = state.making.take() {
            state.remember_told(&making.participants);
            state.made = Some(Made {
                set: Some(set.clone()),
                participants: making.participants,
            });
        }
        // It is made, whoever went away meanwhile: the end of the session deals
        // with it.
        let _ = self.pass(SetState::Created).await;
        tracing::info!(session = %self.id, set = %set.id, "the shadow copy set is made");
        self.announce(SetState::Created, &set.consistency.reason);
        Ok(set)
    }

    /// After a failure, takes the set through the abort path.
    pub(super) async fn settle<T>(&self, state: &mut State, result: VssResult<T>) -> VssResult<T> {
        let cause = match result {
            Ok(value) => return Ok(value),
            Err(cause) => cause,
        };
        let Some(making) = state.making.take() else {
            return Err(cause);
        };
        state.remember_told(&making.participants);
        let error = undo::abort(&self.service, self, making, cause).await;
        *lock(&self.standing) = (SetState::Initialized, None);
        Err(error)
    }

    pub(super) async fn backup_complete(self: Arc<Self>, outcome: BackupOutcome) -> VssResult<()> {
        let mut state = self.call(Call::BackupComplete).await?;
        self.do_without_set(&mut state);
        let failures = self.tell_backup_complete(&mut state, outcome).await;
        self.enter(SetState::BackupComplete, "the backup is complete")
            .await?;
        first(failures)
    }

    pub(super) async fn backup_complete_of(
        self: Arc<Self>,
        theirs: BackupComponentsDocument,
    ) -> VssResult<()> {
        let mut state = self.call(Call::BackupComplete).await?;
        let nothing = KeptDocument::new(BackupComponentsDocument::new());
        state.document.get_or_insert(nothing).take_over(theirs)?;
        self.do_without_set(&mut state);
        let participants = participants(&mut state);
        let deliveries = participants.filter_map(|one| {
            let outcome = outcome_of(&one.event);
            one.delivery(Message::BackupComplete(outcome))
        });
        let deliveries = deliveries.collect();
        let patience = Patience::hear_all(self.service.limits.backup_complete);
        let failures = deliver(&self.service.writers, deliveries, patience).await;
        self.enter(SetState::BackupComplete, "the backup is complete")
            .await?;
        first(failures)
    }

    /// Ends the turn of a backup that needs no copies: nothing of the set was begun
    /// ("Overview of Pre-Backup Tasks").
    fn do_without_set(&self, state: &mut State) {
        if let Some(making) = state.making.take() {
            state.remember_told(&making.participants);
            self.service.active.remove(making.id);
            lock(&self.standing).1 = None;
            state.made = Some(Made {
                set: None,
                participants: making.participants,
            });
        }
    }

    pub(super) async fn tell_backup_complete(
        &self,
        state: &mut State,
        outcome: BackupOutcome,
    ) -> Vec<VssError> {
        if let Some(document) = &state.document {
            document.set_outcome(outcome);
        }
        let patience = Patience::hear_all(self.service.limits.backup_complete);
        let message = Message::BackupComplete(outcome);
        tell(
            &self.service.writers,
            participants(state),
            message,
            patience,
        )
        .await
    }

    /// Gives the set in the making up, whoever works on it now; after it is made,
    /// tells the writers.
    pub(super) async fn abort_backup(self: Arc<Self>) -> VssResult<()> {
        // A call that waits for its turn, or works on the set, ends with it.
        if self.standing().0 < SetState::Created {
            self.cancel.request(CancelReason::BackupAborted);
        }
        let mut state = Arc::clone(&self.state).lock_owned().await;
        let result = self.abort_between_calls(&mut state).await;
        self.cancel.forget_given_up_set();
        result
    }

    async fn abort_between_calls(&self, state: &mut State) -> VssResult<()> {
        let stands = self.standing().0;
        order::check(Call::AbortBackup, stands)?;
        if state.making.is_some() {
            return self.give_up(state, CancelReason::BackupAborted).await;
        }
        if stands != SetState::Created {
            return Ok(());
        }
        let patience = Patience::hear_all(self.service.limits.abort);
        let told = participants(state).filter(|one| one.told);
        let failures = tell(&self.service.writers, told, Message::Abort, patience).await;
        // The end of the session deals with the copies.
        let _ = self.pass(SetState::BackupAborted).await;
        self.announce(SetState::BackupAborted, "the requester aborted the backup");
        first(failures)
    }

    /// Takes the set in the making through the abort path.
    ///
    /// # Errors
    ///
    /// What failed while undoing.
    pub(super) async fn give_up(&self, state: &mut State, why: CancelReason) -> VssResult<()> {
        let ended: VssResult<()> = self.settle(state, Err(why.error())).await;
        match ended {
            Ok(()) => Ok(()),
            Err(error) => first(error.later().to_vec()),
        }
    }

    /// Gives the set in the making up that stands here, if any; says whether there
    /// is one (`AbortAllSnapshotsInProgress`).
    pub(crate) fn abort_set(self: &Arc<Self>) -> bool {
        let (stands, set) = self.standing();
        if !stands.is_making() {
            return false;
        }
        self.cancel.request(CancelReason::AllAborted);
        let session = Arc::clone(self);
        let running = self.service.tasks.begin();
        tokio::spawn(async move {
            let mut state = Arc::clone(&session.state).lock_owned().await;
            // A call that worked on it has seen to it.
            let now = state.making.as_ref().map(|making| making.id);
            if now.is_some() && set.is_none_or(|set| now == Some(set)) {
                state.given_up = Some(CancelReason::AllAborted.error().message().to_owned());
                if let Err(error) = session.give_up(&mut state, CancelReason::AllAborted).await {
                    session.warn_of(&error);
                }
            }
            session.cancel.forget_given_up_set();
            drop(running);
        });
        true
    }
}

fn participants(state: &mut State) -> impl Iterator<Item = &mut Participant> {
    let made = state.made.iter_mut();
    made.flat_map(|made| &mut made.participants)
}

/// Succeeded where every component of the writer did.
fn outcome_of(event: &SetEvent) -> BackupOutcome {
    let all = event.chosen.with(|part| {
        let mut components = part.iter().flat_map(|part| &part.components);
        components.all(|component| component.backup_succeeded == Some(true))
    });
    if all {
        BackupOutcome::Succeeded
    } else {
        BackupOutcome::Failed
    }
}
