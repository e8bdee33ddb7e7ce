//! The calls of a backup ("Overview of Processing a Backup Under VSS").

use super::{
    BackupComponent, BackupComponents, ComponentAddress, VssAsync,
    chosen::ChosenComponents,
    off_loop,
    order::{Call, Phase, bad_state},
    state::State,
};
use crate::BackupOutcome;
use std::{path::Path, sync::Arc};
use umbra_documents::{BackupSelection, BackupSet, ComponentAt, SelectionError, Standing, Term};
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

    /// Adds every component of every writer: those that must be in every backup, and
    /// the topmost ones that may be added; the others come with them. Gives what was
    /// added.
    pub fn add_everything(&self) -> VssResult<Vec<ComponentAddress>> {
        let mut call = self.call(Call::AddComponent)?;
        call.state().add_everything()
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
    /// When a writer fails the set is given up; see
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
        let writer = Arc::clone(&gathered.writers[at.writer]);
        self.components
            .add(&writer, &writer.components[at.component]);
        Ok(())
    }

    fn add_everything(&mut self) -> VssResult<Vec<ComponentAddress>> {
        // A copy, so that nothing is added where something cannot be.
        let mut selection = self.selection(Call::AddComponent)?.clone();
        let writers = Arc::clone(selection.writers());
        let mut added = Vec::new();
        for (writer, known) in writers.writers().iter().enumerate() {
            for component in 0..known.tree().len() {
                let is_topmost = matches!(
                    known.tree().standing(component),
                    Standing::Required | Standing::Selectable
                );
                let at = ComponentAt { writer, component };
                if !is_topmost {
                    continue;
                }
                match selection.add_at(at) {
                    Ok(()) => added.push(at),
                    Err(SelectionError::AlreadyAdded { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        self.selection = Some(selection);
        self.put_in_document(&added)
    }

    fn add_what_is_needed(&mut self) -> VssResult<Vec<ComponentAddress>> {
        let added = self.selection(Call::AddComponent)?.add_what_is_needed();
        self.put_in_document(&added)
    }

    fn put_in_document(&mut self, added: &[ComponentAt]) -> VssResult<Vec<ComponentAddress>> {
        let writers = self.gathered(Call::AddComponent)?.writers.clone();
        let mut addresses = Vec::with_capacity(added.len());
        for at in added {
            let writer = &writers[at.writer];
            let component = &writer.components[at.component];
            self.components.add(writer, component);
            addresses.push(ComponentAddress::of(writer, component));
        }
        Ok(addresses)
    }

    fn selection(&mut self, call: Call) -> VssResult<&mut BackupSelection> {
        let selection = self.selection.as_mut();
        selection.ok_or_else(|| bad_state(call, "GatherWriterMetadata, and no FreeWriterMetadata,"))
    }

    /// After a failure other than a call in the wrong order, the set may have been
    /// given up; the service knows.
    fn or_failed<T>(&mut self, result: VssResult<T>) -> VssResult<T> {
        if let Err(error) = &result
            && error.code() != VssCode::BadState
        {
            self.phase = Phase::BackupFailed;
            self.is_prepared = false;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup_components::gather::Gathered;
    use umbra_documents::{Component, Dependency, Selectable, WriterIdentity, WriterMetadata};
    use umbra_model::{ComponentType, WriterId, WriterInstanceId};

    const MAIL: WriterId = WriterId::from_u128(1);
    const DIRECTORY: WriterId = WriterId::from_u128(2);

    fn component(path: &str, name: &str, selectable: Selectable) -> Component {
        Component {
            logical_path: Some(path.to_owned()).filter(|path| !path.is_empty()),
            selectable,
            ..Component::file_group(name)
        }
    }

    fn gathered() -> State {
        let writer = |id, components| WriterMetadata {
            components,
            ..WriterMetadata::new(WriterIdentity::new(
                id,
                WriterInstanceId::random(),
                "writer",
            ))
        };
        let users = Component {
            dependencies: vec![Dependency {
                writer: DIRECTORY,
                logical_path: None,
                name: "people".into(),
            }],
            ..component("", "users", Selectable::Yes)
        };
        let writers = [
            writer(
                MAIL,
                vec![
                    users,
                    component("users", "ann", Selectable::No),
                    component("users", "bob", Selectable::Yes),
                    component("", "settings", Selectable::No),
                ],
            ),
            writer(DIRECTORY, vec![component("", "people", Selectable::Yes)]),
        ];
        let mut state = State::new();
        let gathered = Gathered::new(writers.into_iter().map(Arc::new).collect(), Vec::new());
        state.selection = Some(BackupSelection::new(Arc::clone(&gathered.trees)));
        state.gathered = Some(gathered);
        state
    }

    fn mail(path: &str, name: &str) -> ComponentAddress {
        ComponentAddress::new(MAIL, ComponentType::FileGroup, name).below(path)
    }

    /// "Working with Selectability for Backup".
    #[test]
    fn what_may_be_added_stands_in_the_document() {
        let mut state = gathered();
        let mut refused = |address: ComponentAddress| {
            let error = state.add(&address).unwrap_err();
            error.code().name()
        };
        assert_eq!(refused(mail("users", "ann")), "E_INVALIDARG");
        assert_eq!(refused(mail("users", "eve")), "VSS_E_OBJECT_NOT_FOUND");
        let nobody = ComponentAddress {
            writer: WriterId::from_u128(9),
            ..mail("", "users")
        };
        assert_eq!(refused(nobody), "VSS_E_OBJECT_NOT_FOUND");
        let database = ComponentAddress {
            component_type: ComponentType::Database,
            ..mail("", "users")
        };
        assert_eq!(refused(database), "VSS_E_OBJECT_NOT_FOUND");
        assert!(state.components.document().writers.is_empty());

        state.add(&mail("", "users")).unwrap();
        for twice in [mail("", "users"), mail("users", "bob")] {
            let error = state.add(&twice).unwrap_err();
            assert_eq!(error.code(), VssCode::ObjectAlreadyExists, "{error}");
        }
        let writers = &state.components.document().writers;
        assert_eq!(writers.len(), 1);
        assert_eq!(writers[0].components[0].full_path(), "users");
    }

    /// "Overview of the Backup Discovery Phase", "Dependencies between Components
    /// Managed by Different Writers".
    #[test]
    fn what_is_needed_is_added_too() {
        let mut state = gathered();
        state.add(&mail("", "users")).unwrap();
        let added = state.add_what_is_needed().unwrap();
        let paths: Vec<_> = added.iter().map(ComponentAddress::full_path).collect();
        assert_eq!(paths, ["settings", "people"]);
        assert!(added.iter().all(|one| state.components.find(one).is_ok()));
        assert_eq!(state.add_what_is_needed(), Ok(Vec::new()));
    }

    #[test]
    fn everything_is_what_is_topmost() {
        let mut state = gathered();
        state.add(&mail("", "settings")).unwrap();
        let added = state.add_everything().unwrap();
        let paths: Vec<_> = added.iter().map(ComponentAddress::full_path).collect();
        assert_eq!(paths, ["users", "people"]);
        assert_eq!(state.add_everything(), Ok(Vec::new()));

        let mut state = gathered();
        state.add(&mail("users", "bob")).unwrap();
        let error = state.add_everything().unwrap_err();
        assert_eq!(
            error.code(),
            VssCode::ObjectAlreadyExists,
            "bob comes with users"
        );
        assert_eq!(state.components.document().writers[0].components.len(), 1);
    }

    #[test]
    fn nothing_is_added_where_nobody_knows_the_writers() {
        let mut state = State::new();
        let error = state.add(&mail("", "users")).unwrap_err();
        assert_eq!(error.code(), VssCode::BadState);
        assert!(error.message().contains("GatherWriterMetadata"), "{error}");
    }

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
