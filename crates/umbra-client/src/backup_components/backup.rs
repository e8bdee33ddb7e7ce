//! The calls of a backup ("Overview of Processing a Backup Under VSS").

use super::{
    BackupComponents, VssAsync,
    chosen::ChosenComponents,
    off_loop,
    order::{Call, Phase, bad_state},
    state::{Session, State},
};
use crate::BackupOutcome;
use std::path::Path;
use umbra_documents::BackupComponentsDocument;
use umbra_model::{
    Context, ProviderId, SetId, ShadowCopyId, ShadowCopySet, Volume, VssCode, VssError, VssResult,
};

/// Why the service could not do it, and the document as it was then.
#[derive(Debug)]
struct Failed {
    error: VssError,
    components: Option<Box<ChosenComponents>>,
}

impl Failed {
    /// With what writers left in the document.
    async fn at(session: &Session, error: VssError) -> Self {
        let components = match session.requester.document().await {
            Ok(Some(document)) => indexed(document).await.ok().map(Box::new),
            // The first error counts.
            Ok(None) | Err(_) => None,
        };
        Self { error, components }
    }
}

impl BackupComponents {
    /// What the set is for (`SetContext`); `VSS_CTX_BACKUP` where it is not called.
    /// With `VSS_CTX_ALL` no set can be made, only [`BackupComponents::query`] and
    /// the other calls about sets that are there ("Shadow Copy Context
    /// Configurations").
    pub async fn set_context(&self, context: Context) -> VssResult<()> {
        let mut call = self.call(Call::SetContext)?;
        if context != Context::All {
            call.session().requester.set_context(context).await?;
        }
        call.state().context = context;
        Ok(())
    }

    /// Starts a set (`StartSnapshotSet`); waits while another is being made. After a
    /// set that failed it starts over, unless [`BackupComponents::abort_backup`] has
    /// ended the backup. VSS asks for a new object then.
    ///
    /// # Errors
    ///
    /// `VSS_E_SNAPSHOT_SET_IN_PROGRESS` when the service's wait limit passed;
    /// `VSS_E_UNSUPPORTED_CONTEXT` in `VSS_CTX_ALL`.
    pub async fn start_snapshot_set(&self) -> VssResult<SetId> {
        let mut call = self.call(Call::StartSnapshotSet)?;
        let context = call.state().context;
        if context == Context::All {
            return Err(VssError::new(
                VssCode::UnsupportedContext,
                "no shadow copy set can be made in the context VSS_CTX_ALL; \
                 choose one such as VSS_CTX_BACKUP",
            ));
        }
        let set = call.session().requester.start_snapshot_set().await?;
        let mut state = call.state();
        state.components.document_mut().snapshot_set_id = Some(set);
        state.is_prepared = false;
        state.phase = Phase::SetStarted;
        Ok(set)
    }

    /// Adds a volume to the set (`AddToSnapshotSet`): a mount point, a block device or
    /// a volume id. The service chooses the provider; naming one makes sure that it is
    /// that.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, `VSS_E_VOLUME_NOT_SUPPORTED`,
    /// `VSS_E_OBJECT_ALREADY_EXISTS`; `VSS_E_PROVIDER_NOT_REGISTERED` and
    /// `VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER` for the provider that was named.
    pub async fn add_to_snapshot_set(
        &self,
        volume: &Path,
        provider: Option<ProviderId>,
    ) -> VssResult<(ShadowCopyId, Volume)> {
        let call = self.call(Call::AddToSnapshotSet)?;
        if let Some(provider) = provider
            && !call.session().is_supported(volume, Some(provider)).await?
        {
            return Err(VssError::new(
                VssCode::VolumeNotSupportedByProvider,
                format!(
                    "cannot add {} with the provider {provider}: it is not the one that \
                     copies this volume; name none",
                    volume.display()
                ),
            ));
        }
        let requester = &call.session().requester;
        requester.add_to_snapshot_set(volume).await
    }

    /// Tells the writers of the backup (`PrepareForBackup`); they add to the document.
    /// When a writer fails the set is given up, see
    /// [`BackupComponents::abort_backup`]; what it left at its components to say why is
    /// in the document all the same, here and with
    /// [`BackupComponents::do_snapshot_set`].
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` without SetBackupState; what the service finds wrong with the
    /// components; a writer's veto.
    pub fn prepare_for_backup(&self) -> VssAsync<()> {
        let call = self.call(Call::PrepareForBackup).and_then(|mut call| {
            if call.state().has_backup_state {
                Ok(call)
            } else {
                Err(bad_state(Call::PrepareForBackup, "SetBackupState"))
            }
        });
        self.run(
            call,
            |session| async move {
                let document = session.state().components.shared();
                match session.requester.prepare_for_backup_of(&document).await {
                    Ok(document) => indexed(document).await.map(Ok),
                    Err(error) => Ok(Err(Failed::at(&session, error).await)),
                }
            },
            |state, prepared| {
                state.components = state.or_failed(prepared)?;
                state.is_prepared = true;
                state.phase = Phase::Prepared;
                Ok(())
            },
        )
    }

    /// Makes the shadow copies (`DoSnapshotSet`); writers add to the document. Without
    /// writers it may come directly after AddToSnapshotSet. Cancelling it aborts the
    /// set.
    ///
    /// # Errors
    ///
    /// Whatever failed first; nothing is kept and nothing is frozen then.
    pub fn do_snapshot_set(&self) -> VssAsync<ShadowCopySet> {
        let call = self.call(Call::DoSnapshotSet);
        self.run(
            call,
            |session| async move {
                if !session.state().is_prepared {
                    let set = session.requester.do_snapshot_set().await?;
                    return Ok(Ok((set, None)));
                }
                match session.requester.do_snapshot_set_of().await {
                    Ok((set, document)) => Ok(Ok((set, Some(indexed(document).await?)))),
                    Err(error) => Ok(Err(Failed::at(&session, error).await)),
                }
            },
            |state, made| {
                let (set, components) = state.or_failed(made)?;
                if let Some(components) = components {
                    state.components = components;
                }
                state.components.document_mut().snapshot_set_id = Some(set.id);
                state.phase = Phase::SetMade;
                Ok(set)
            },
        )
    }

    /// Tells the writers that the files were copied (`BackupComplete`), each with how
    /// the backup of its components ended
    /// ([`super::BackupComponent::set_backup_succeeded`]). Whether it fails or not, the
    /// backup is over.
    ///
    /// # Errors
    ///
    /// A writer's failure.
    pub fn backup_complete(&self) -> VssAsync<()> {
        let call = self.call(Call::BackupComplete);
        self.run(
            call,
            |session| async move {
                let requester = &session.requester;
                if !session.state().is_prepared {
                    requester.backup_complete(BackupOutcome::Succeeded).await?;
                    return Ok(None);
                }
                let document = session.state().components.shared();
                let document = requester.backup_complete_of(&document).await?;
                indexed(document).await.map(Some)
            },
            |state, told| {
                let is_over = !matches!(&told, Err(error) if error.code() == VssCode::BadState);
                if is_over {
                    state.phase = Phase::BackupEnded;
                }
                if let Some(components) = told? {
                    state.components = components;
                }
                Ok(())
            },
        )
    }

    /// Gives the backup up (`AbortBackup`): the set in the making is aborted, or the
    /// writers are told that the backup failed. Fine also after PrepareForBackup or
    /// DoSnapshotSet has failed, when it may have happened already ("Aborting VSS
    /// Operations"). While one of them goes on, cancel that.
    ///
    /// # Errors
    ///
    /// What failed while undoing.
    pub async fn abort_backup(&self) -> VssResult<()> {
        let mut call = self.call(Call::AbortBackup)?;
        let has_failed = call.state().phase == Phase::BackupFailed;
        let aborted = call.session().requester.abort_backup().await;
        let aborted = if has_failed {
            fine_where_over(aborted)
        } else {
            aborted
        };
        if !matches!(&aborted, Err(error) if error.code() == VssCode::BadState) {
            call.state().phase = Phase::Aborted;
        }
        aborted
    }
}

impl State {
    /// After a failure other than a call in the wrong order, the set may have been
    /// given up; the service knows.
    fn or_failed<T>(&mut self, result: VssResult<Result<T, Failed>>) -> VssResult<T> {
        let Failed { error, components } = match result {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failed)) => failed,
            Err(error) => Failed {
                error,
                components: None,
            },
        };
        if error.code() != VssCode::BadState {
            self.phase = Phase::BackupFailed;
            self.is_prepared = false;
        }
        // One that was refused is not what the service has.
        if let Some(components) = components.filter(|its| its.is_same_choice(&self.components)) {
            self.components = *components;
        }
        Err(error)
    }
}

/// A document from the service.
async fn indexed(document: BackupComponentsDocument) -> VssResult<ChosenComponents> {
    off_loop(move || Ok(ChosenComponents::new(document))).await
}

/// Aborting what has been aborted by itself is no failure.
fn fine_where_over(aborted: VssResult<()>) -> VssResult<()> {
    match aborted {
        Err(error) if error.code() == VssCode::BadState => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_leaves_the_set_and_a_failed_one_does_not() {
        let fail = |code| {
            let mut state = State::new();
            state.phase = Phase::Prepared;
            let result = state.or_failed::<()>(Err(VssError::new(code, "no")));
            assert_eq!(result.unwrap_err().code(), code);
            state.phase
        };
        assert_eq!(fail(VssCode::BadState), Phase::Prepared);
        assert_eq!(fail(VssCode::WriterErrorRetryable), Phase::BackupFailed);
        assert_eq!(fail(VssCode::AsyncCancelled), Phase::BackupFailed);
    }
}
