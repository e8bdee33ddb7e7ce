//! The calls of a backup ("Overview of Processing a Backup Under VSS").

use super::{
    BackupComponent, BackupComponents, ComponentAddress, VssAsync,
    chosen::ChosenComponents,
    off_loop,
    order::{Call, Phase, bad_state},
    state::State,
};
use crate::BackupOutcome;
use std::path::Path;
use umbra_documents::{BackupSet, Component, Term, WriterMetadata};
use umbra_model::{
    BackupType, Context, ProviderId, SetId, ShadowCopyId, ShadowCopySet, Volume, VssCode, VssError,
    VssResult,
};

/// What kind of backup it is (`SetBackupState`, "VSS Backup State").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupState {
    /// Whether components are chosen one by one: the component mode. Otherwise every
    /// component on the volumes of the set takes part, and the requester backs up
    /// whole volumes.
    pub select_components: bool,
    /// Whether the state that the system needs to start is backed up.
    pub bootable_system_state: bool,
    /// What kind.
    pub backup_type: BackupType,
    /// Whether the requester can back up and restore parts of files.
    pub partial_file_support: bool,
}

impl BackupState {
    /// A backup of this type, of components that are chosen one by one.
    pub fn of_components(backup_type: BackupType) -> Self {
        Self {
            select_components: true,
            bootable_system_state: false,
            backup_type,
            partial_file_support: false,
        }
    }

    /// A full backup of whole volumes.
    pub fn of_volumes() -> Self {
        Self {
            select_components: false,
            ..Self::of_components(BackupType::Full)
        }
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

    /// What kind of backup it is (`SetBackupState`). Every backup with writers must say
    /// it before PrepareForBackup.
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` for `VSS_BT_UNDEFINED`.
    pub fn set_backup_state(&self, backup: BackupState) -> VssResult<()> {
        let mut call = self.call(Call::SetBackupState)?;
        if backup.backup_type == BackupType::Undefined {
            return Err(VssError::new(
                VssCode::InvalidArgument,
                "SetBackupState was called with VSS_BT_UNDEFINED; name a type such as VSS_BT_FULL",
            ));
        }
        let mut state = call.state();
        state.has_backup_state = true;
        let document = state.components.document_mut();
        document.select_components = Some(backup.select_components);
        document.bootable_system_state = Some(backup.bootable_system_state);
        document.backup_type = Some(Term::Known(backup.backup_type));
        document.partial_file_support = Some(backup.partial_file_support);
        Ok(())
    }

    /// Adds a component to the backup (`AddComponent`); what is below it comes with it
    /// ("Working with Selectability for Backup").
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a writer or a component that is not there;
    /// `VSS_E_OBJECT_ALREADY_EXISTS` for one that was added, or that comes with one
    /// that was; `E_INVALIDARG` for one that comes only with another, and where
    /// several instances of the writer have it and none is named.
    pub fn add_component<'a>(
        &'a self,
        address: &'a ComponentAddress,
    ) -> VssResult<BackupComponent<'a>> {
        let mut call = self.call(Call::AddComponent)?;
        call.state().add(address)?;
        Ok(BackupComponent::new(self, address))
    }

    /// Adds what the components that were added cannot do without: the components
    /// of their writers that must be in every backup, and what they depend on at other
    /// writers. Gives what was added ("Overview of the Backup Discovery Phase",
    /// "Dependencies between Components Managed by Different Writers").
    pub fn add_what_is_needed(&self) -> VssResult<Vec<ComponentAddress>> {
        let mut call = self.call(Call::AddComponent)?;
        call.state().add_what_is_needed()
    }

    /// Every component of every writer: whether it is in the backup, or why not
    /// ("Generating A Backup Set").
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` where the writers are not known.
    pub fn backup_set(&self) -> VssResult<BackupSet> {
        let state = self.session.state();
        let selection = state.selection.as_ref();
        let selection = selection.ok_or_else(|| {
            VssError::new(
                VssCode::BadState,
                "the writers are not known; GatherWriterMetadata was expected",
            )
        })?;
        Ok(selection.backup_set())
    }

    /// A component that was added, to set and read what belongs to it
    /// (`IVssComponent`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a component that is not in the document;
    /// `E_INVALIDARG` where several instances of the writer have it and none is named.
    pub fn component<'a>(
        &'a self,
        address: &'a ComponentAddress,
    ) -> VssResult<BackupComponent<'a>> {
        self.session.state().components.find(address)?;
        Ok(BackupComponent::new(self, address))
    }

    /// Starts a set (`StartSnapshotSet`); waits while another is being made. After a
    /// set that failed, gives up what is left of it and starts over.
    ///
    /// # Errors
    ///
    /// `VSS_E_SNAPSHOT_SET_IN_PROGRESS` when the service's wait limit passed;
    /// `VSS_E_UNSUPPORTED_CONTEXT` in `VSS_CTX_ALL`.
    pub async fn start_snapshot_set(&self) -> VssResult<SetId> {
        let mut call = self.call(Call::StartSnapshotSet)?;
        let (phase, context) = {
            let state = call.state();
            (state.phase, state.context)
        };
        if context == Context::All {
            return Err(VssError::new(
                VssCode::UnsupportedContext,
                "no shadow copy set can be made in the context VSS_CTX_ALL; \
                 choose one such as VSS_CTX_BACKUP",
            ));
        }
        let requester = &call.session().requester;
        if phase == Phase::BackupFailed {
            fine_where_over(requester.abort_backup().await)?;
        }
        let set = requester.start_snapshot_set().await?;
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
    /// After a failure the set is given up; see
    /// [`BackupComponents::abort_backup`].
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
                let document = session.state().components.document().clone();
                let document = session.requester.prepare_for_backup_of(&document).await?;
                off_loop(move || Ok(ChosenComponents::new(document))).await
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
                    return Ok((session.requester.do_snapshot_set().await?, None));
                }
                let (set, document) = session.requester.do_snapshot_set_of().await?;
                let components = off_loop(move || Ok(ChosenComponents::new(document))).await?;
                Ok((set, Some(components)))
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
    /// ([`BackupComponent::set_backup_succeeded`]). Whether it fails or not, the
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
                let document = session.state().components.document().clone();
                let document = requester.backup_complete_of(&document).await?;
                off_loop(move || Ok(Some(ChosenComponents::new(document)))).await
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
    fn add(&mut self, address: &ComponentAddress) -> VssResult<()> {
        let at = self.selection(Call::AddComponent)?.add(&address.choice())?;
        let gathered = self.gathered(Call::AddComponent)?;
        let writer = std::sync::Arc::clone(&gathered.writers[at.writer]);
        self.components
            .add(&writer, &writer.components[at.component]);
        Ok(())
    }

    fn add_what_is_needed(&mut self) -> VssResult<Vec<ComponentAddress>> {
        let added = self.selection(Call::AddComponent)?.add_what_is_needed();
        let writers = self.gathered(Call::AddComponent)?.writers.clone();
        let component = |at: &umbra_documents::ComponentAt| -> (&WriterMetadata, &Component) {
            let writer = &writers[at.writer];
            (writer, &writer.components[at.component])
        };
        let mut addresses = Vec::with_capacity(added.len());
        for (writer, component) in added.iter().map(component) {
            self.components.add(writer, component);
            addresses.push(ComponentAddress::of(writer, component));
        }
        Ok(addresses)
    }

    fn selection(&mut self, call: Call) -> VssResult<&mut umbra_documents::BackupSelection> {
        let selection = self.selection.as_mut();
        selection.ok_or_else(|| bad_state(call, "GatherWriterMetadata, and no FreeWriterMetadata,"))
    }

    /// After a failure other than a call in the wrong order, the set is given up.
    fn or_failed<T>(&mut self, result: VssResult<T>) -> VssResult<T> {
        if let Err(error) = &result
            && error.code() != VssCode::BadState
        {
            self.phase = Phase::BackupFailed;
            self.is_prepared = false;
            self.components.document_mut().snapshot_set_id = None;
        }
        result
    }
}

/// Aborting what has been aborted by itself is no failure.
fn fine_where_over(aborted: VssResult<()>) -> VssResult<()> {
    match aborted {
        Err(error) if error.code() == VssCode::BadState => Ok(()),
        other => other,
    }
}
