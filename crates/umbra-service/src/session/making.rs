//! The calls that lead a set on: PrepareForBackup, DoSnapshotSet,
//! BackupComplete.

use super::{
    no_set,
    standing::{Made, SessionInner, State},
};
use crate::{
    SetState,
    blocking::{contained, within},
    create::Making,
    messages::{Message, Patience, first, tell},
    order::{Call, bad_state},
    service::lock,
    set::Participant,
    taking_part, undo,
};
use std::sync::Arc;
use umbra_model::{ShadowCopySet, VssError, VssResult};
use umbra_writer::{BackupOutcome, SetEvent};

impl SessionInner {
    pub(super) async fn prepare_for_backup(self: Arc<Self>) -> VssResult<()> {
        let mut state = self.call(Call::PrepareForBackup).await?;
        let state = &mut *state;
        let with_writers = state.with_writers();
        let making = state.making.as_mut().ok_or_else(no_set)?;
        if making.copies.is_empty() {
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
            let volumes = Arc::clone(&self.service.volumes);
            let (set, known) = (making.volumes(), gathered.clone());
            let selection = state.selection.clone();
            let what = || "finding the writers' volumes".to_owned();
            let assessed = within(self.service.limits.provider, what, move || {
                taking_part::assess(&known, &selection, &set, volumes.as_ref())
            });
            let (taking_part, assessment) = assessed.await?;
            making.assessment = assessment;
            let volumes = making.volumes();
            making.participants = taking_part
                .into_iter()
                .filter_map(|one| {
                    let writer = gathered.get(one.index)?;
                    Some(Participant {
                        writer: Arc::clone(&writer.writer),
                        identity: writer.identity.clone(),
                        level: one.level,
                        event: SetEvent::new(self.id, making.id, volumes.clone(), one.components),
                        told: false,
                    })
                })
                .collect();
        }
        let patience = Patience {
            limit: self.service.limits.prepare_for_backup,
            window: None,
            cancel: Some(&self.cancel),
        };
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
                set: set.clone(),
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
        let failures = self.tell_backup_complete(&mut state, outcome).await;
        self.enter(SetState::BackupComplete, "the backup is complete")
            .await?;
        first(failures)
    }

    pub(super) async fn tell_backup_complete(
        &self,
        state: &mut State,
        outcome: BackupOutcome,
    ) -> Vec<VssError> {
        let participants = state
            .made
            .iter_mut()
            .flat_map(|made| &mut made.participants);
        let patience = Patience::hear_all(self.service.limits.backup_complete);
        let message = Message::BackupComplete(outcome);
        tell(&self.service.writers, participants, message, patience).await
    }
}
