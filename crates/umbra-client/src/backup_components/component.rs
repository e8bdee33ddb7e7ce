//! What a requester sets at one component.

use super::{
    BackupComponents, ComponentAddress, chosen::Place, order::Call, state::State,
    writer_checks::Target,
};
use crate::BackupOutcome;
use std::path::Path;
use umbra_documents::{
    AlternateLocation, ChosenComponent, Extra, NewTarget, Recursion, RestoreSelection, Term,
    path_to_text,
};
use umbra_model::{
    BackupSchema, FileRestoreStatus, RollForwardType, VssCode, VssError, VssResult,
    WriterInstanceId,
};

/// Whether a component is to be restored (`SetSelectedForRestore`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreChoice {
    /// It is, with all that came with it unless subcomponents are named.
    Selected,
    /// It is not.
    NotSelected,
}

/// Whether more restores of a component follow this one
/// (`SetAdditionalRestores`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdditionalRestores {
    /// They do: of an incremental or differential backup, or of logs. The writer
    /// should not start on the data yet.
    Follow,
    /// This is the last one.
    None,
}

/// Whether what is restored wins over what other machines have
/// (`SetAuthoritativeRestore`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// It wins.
    Authoritative,
    /// It is brought up to date from the others.
    NotAuthoritative,
}

/// How far logs are applied after a restore (`SetRollForward`,
/// `VSS_ROLLFORWARD_TYPE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollForward<'a> {
    /// Not at all.
    None,
    /// All of them.
    All,
    /// Up to this point, in a form of the writer.
    Partial(&'a str),
}

/// A component of the Backup Components Document (`IVssComponent` and the setters of
/// `IVssBackupComponents` that name one).
///
/// # Errors
///
/// Every setter fails with `VSS_E_BAD_STATE` at another time than its own and with
/// `VSS_E_OBJECT_NOT_FOUND` where the component has left the document.
#[derive(Debug, Clone, Copy)]
pub struct BackupComponent<'a> {
    backup: &'a BackupComponents,
    address: &'a ComponentAddress,
}

impl<'a> BackupComponent<'a> {
    pub(super) fn new(backup: &'a BackupComponents, address: &'a ComponentAddress) -> Self {
        Self { backup, address }
    }

    /// Everything that the document says of it, and what its writer left there: all
    /// that the `Get...` methods of `IVssComponent` to `Ex2` give.
    pub fn get(&self) -> VssResult<ChosenComponent> {
        let state = self.backup.session.state();
        let place = state.components.find(self.address)?;
        Ok(state.components.component(place).clone())
    }

    /// Whether its files were copied, with those of all that came with it
    /// (`SetBackupSucceeded`), after DoSnapshotSet and before BackupComplete.
    pub fn set_backup_succeeded(&self, outcome: BackupOutcome) -> VssResult<()> {
        self.set(Call::SetBackupSucceeded, |one| {
            one.backup_succeeded = Some(outcome == BackupOutcome::Succeeded);
        })
    }

    /// Options for the backup, in a form of the writer (`SetBackupOptions`), before
    /// PrepareForBackup.
    pub fn set_backup_options(&self, options: impl Into<String>) -> VssResult<()> {
        self.set(Call::SetBackupOptions, |one| {
            one.backup_options = Some(options.into());
        })
    }

    /// The stamp that the writer left at the backup on which this one builds
    /// (`SetPreviousBackupStamp`), before PrepareForBackup or PreRestore.
    pub fn set_previous_backup_stamp(&self, stamp: impl Into<String>) -> VssResult<()> {
        self.set(Call::SetPreviousBackupStamp, |one| {
            one.previous_backup_stamp = Some(stamp.into());
        })
    }

    /// Whether it is to be restored (`SetSelectedForRestore`), before PreRestore. What
    /// was added to the backup may be, selectable for restore or not. Not selected, its
    /// subcomponents are not either.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where its writer does not run ("Overview of Preparing
    /// for Restore").
    pub fn set_selected_for_restore(&self, choice: RestoreChoice) -> VssResult<()> {
        self.change(Call::SetSelectedForRestore, |state, place| {
            state.check_running(self.address)?;
            select(state.components.component_mut(place), choice);
            Ok(())
        })
    }

    /// The same, for a writer of which several instances run: this one is to restore
    /// it (`IVssBackupComponentsEx::SetSelectedForRestoreEx`). From now on the
    /// component is addressed with that instance, or with none; so are all of its
    /// writer where it is the instance that was backed up, started again since.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where this instance does not run;
    /// `VSS_E_NOT_SUPPORTED` where it is another one than was backed up and the writer
    /// is not one for that (`VSS_BS_WRITER_SUPPORTS_RESTORE_WITH_MOVE`).
    pub fn set_selected_for_restore_ex(
        &self,
        choice: RestoreChoice,
        instance: WriterInstanceId,
    ) -> VssResult<()> {
        self.change(Call::SetSelectedForRestore, |state, place| {
            let target = state.check_may_move(self.address, place, instance)?;
            let components = &mut state.components;
            let place = match target {
                Target::Same(schema) => components.adopt(place, instance, schema),
                Target::Other(schema) => components.move_to(place, instance, schema),
            };
            select(state.components.component_mut(place), choice);
            Ok(())
        })
    }

    /// Restores of what came with it only this and others that are so named
    /// (`AddRestoreSubcomponent`), after [`BackupComponent::set_selected_for_restore`]
    /// ("Working with Selectability For Restore and Subcomponents").
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` where the component is not selected yet;
    /// `VSS_E_OBJECT_NOT_FOUND` for a subcomponent that is not there, `E_INVALIDARG` for
    /// one that did not come with it or is not selectable for restore,
    /// `VSS_E_OBJECT_ALREADY_EXISTS` the second time.
    pub fn add_restore_subcomponent(
        &self,
        logical_path: Option<&str>,
        name: &str,
    ) -> VssResult<()> {
        self.change(Call::AddRestoreSubcomponent, |state, _| {
            let gathered = state.gathered(Call::AddRestoreSubcomponent)?;
            let running: Vec<_> = gathered
                .instances(self.address.writer)
                .map(|writer| (writer.identity.id, writer.identity.instance))
                .collect();
            let stored = state.stored.as_ref().unwrap_or(&gathered.trees);
            let stored = std::sync::Arc::clone(stored);
            // Which instance was backed up says the document.
            let choice = umbra_documents::ComponentChoice {
                instance: None,
                ..self.address.choice()
            };
            let document = state.components.document_mut();
            RestoreSelection::new(&stored, &running).add_subcomponent(
                document,
                &choice,
                logical_path,
                name,
            )?;
            Ok(())
        })
    }

    /// Options for the restore (`SetRestoreOptions`), before PreRestore: in a form of
    /// the writer, or as "Setting VSS Restore Options" has it.
    pub fn set_restore_options(&self, options: impl Into<String>) -> VssResult<()> {
        self.set(Call::SetRestoreOptions, |one| {
            one.restore_options = Some(options.into());
        })
    }

    /// Whether more restores follow (`SetAdditionalRestores`), before PostRestore.
    pub fn set_additional_restores(&self, more: AdditionalRestores) -> VssResult<()> {
        self.set(Call::SetAdditionalRestores, |one| {
            one.additional_restores = Some(more == AdditionalRestores::Follow);
        })
    }

    /// Whether it wins over replicas
    /// (`IVssBackupComponentsEx2::SetAuthoritativeRestore`), before PreRestore.
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED` where the writer's schema is without
    /// `VSS_BS_AUTHORITATIVE_RESTORE` ("Writer Backup Schema Support").
    pub fn set_authoritative_restore(&self, authority: Authority) -> VssResult<()> {
        let call = Call::SetAuthoritativeRestore;
        self.change(call, |state, place| {
            state.check_schema(call, place, BackupSchema::AUTHORITATIVE_RESTORE)?;
            state.components.component_mut(place).authoritative_restore =
                Some(authority == Authority::Authoritative);
            Ok(())
        })
    }

    /// How far logs are applied (`IVssBackupComponentsEx2::SetRollForward`), before
    /// PreRestore.
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED` where the writer's schema is without
    /// `VSS_BS_ROLLFORWARD_RESTORE`; `E_INVALIDARG` for an empty point.
    pub fn set_roll_forward(&self, roll_forward: RollForward<'_>) -> VssResult<()> {
        let call = Call::SetRollForward;
        self.change(call, |state, place| {
            state.check_schema(call, place, BackupSchema::ROLLFORWARD_RESTORE)?;
            let (kind, point) = match roll_forward {
                RollForward::None => (RollForwardType::None, None),
                RollForward::All => (RollForwardType::All, None),
                RollForward::Partial(point) => {
                    not_empty(call, "point", point)?;
                    (RollForwardType::Partial, Some(point.to_owned()))
                }
            };
            let one = state.components.component_mut(place);
            one.roll_forward = Some(Term::Known(kind));
            one.roll_forward_point = point;
            Ok(())
        })
    }

    /// The name that it gets (`IVssBackupComponentsEx2::SetRestoreName`), before
    /// PreRestore.
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED` where the writer's schema is without
    /// `VSS_BS_RESTORE_RENAME`; `E_INVALIDARG` for an empty name.
    pub fn set_restore_name(&self, name: &str) -> VssResult<()> {
        let call = Call::SetRestoreName;
        self.change(call, |state, place| {
            state.check_schema(call, place, BackupSchema::RESTORE_RENAME)?;
            not_empty(call, "name", name)?;
            state.components.component_mut(place).restore_name = Some(name.to_owned());
            Ok(())
        })
    }

    /// Puts files of it, or of what came with it, into a folder that the writer knows
    /// nothing of (`AddNewTarget`), before PostRestore ("Working with New Targets during
    /// Restore").
    ///
    /// # Errors
    ///
    /// `VSS_E_NOT_SUPPORTED` where the writer's schema is without
    /// `VSS_BS_WRITER_SUPPORTS_NEW_TARGET`; `E_INVALIDARG` for an empty path or file
    /// specification.
    pub fn add_new_target(&self, target: &AlternateLocation) -> VssResult<()> {
        let call = Call::AddNewTarget;
        self.change(call, |state, place| {
            state.check_schema(call, place, BackupSchema::WRITER_SUPPORTS_NEW_TARGET)?;
            check_location(call, target)?;
            let one = state.components.component_mut(place);
            one.new_targets.push(NewTarget {
                path: path_to_text(&target.files.path),
                specification: target.files.specification.clone(),
                recursive: Some(target.files.recursion == Recursion::Tree),
                alternate_path: path_to_text(&target.destination),
                extra: Extra::default(),
            });
            Ok(())
        })
    }

    /// Says that files were put where an alternate location mapping of the writer
    /// wants them (`AddAlternativeLocationMapping`), before PostRestore ("Working with
    /// Alternate Locations during Restore").
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` for an empty path or file specification.
    pub fn add_alternative_location_mapping(&self, used: &AlternateLocation) -> VssResult<()> {
        let call = Call::AddAlternativeLocationMapping;
        self.change(call, |state, place| {
            check_location(call, used)?;
            let one = state.components.component_mut(place);
            one.alternate_locations.push(used.to_element());
            Ok(())
        })
    }

    /// Says where the file with the ranges of a partial file was put
    /// (`SetRangesFilePath`), before PostRestore; the partial file by its place in
    /// [`ChosenComponent::partial_files`] ("Working with Partial Files").
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a partial file that is not there; `E_INVALIDARG` for
    /// an empty path.
    pub fn set_ranges_file_path(&self, partial_file: usize, path: &Path) -> VssResult<()> {
        let call = Call::SetRangesFilePath;
        self.change(call, |state, place| {
            not_empty(call, "path", path)?;
            let component = state.components.component_mut(place);
            let count = component.partial_files.len();
            let Some(file) = component.partial_files.get_mut(partial_file) else {
                return Err(VssError::new(
                    VssCode::ObjectNotFound,
                    format!(
                        "SetRangesFilePath was called for the partial file {partial_file} of \
                         {:?}, which has {count}; they are counted from 0",
                        self.address.full_path()
                    ),
                ));
            };
            file.ranges_file = Some(path_to_text(path));
            Ok(())
        })
    }

    /// How the restore of its files went, with those of all that came with it
    /// (`SetFileRestoreStatus`), between PreRestore and PostRestore.
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` for `VSS_RS_UNDEFINED`.
    pub fn set_file_restore_status(&self, status: FileRestoreStatus) -> VssResult<()> {
        self.change(Call::SetFileRestoreStatus, |state, place| {
            if status == FileRestoreStatus::Undefined {
                return Err(VssError::new(
                    VssCode::InvalidArgument,
                    "SetFileRestoreStatus was called with VSS_RS_UNDEFINED; \
                     say VSS_RS_NONE, VSS_RS_ALL or VSS_RS_FAILED",
                ));
            }
            state.components.component_mut(place).file_restore_status = Some(Term::Known(status));
            Ok(())
        })
    }

    fn set(&self, call: Call, change: impl FnOnce(&mut ChosenComponent)) -> VssResult<()> {
        self.change(call, |state, place| {
            change(state.components.component_mut(place));
            Ok(())
        })
    }

    fn change(
        &self,
        call: Call,
        change: impl FnOnce(&mut State, Place) -> VssResult<()>,
    ) -> VssResult<()> {
        let mut state = self.backup.session.state();
        state.check(call)?;
        let place = state.components.find(self.address)?;
        change(&mut state, place)
    }
}

fn select(component: &mut ChosenComponent, choice: RestoreChoice) {
    component.selected_for_restore = Some(choice == RestoreChoice::Selected);
    if choice == RestoreChoice::NotSelected {
        component.restore_subcomponents.clear();
    }
}

fn check_location(call: Call, location: &AlternateLocation) -> VssResult<()> {
    not_empty(call, "path", &location.files.path)?;
    not_empty(call, "file specification", &location.files.specification)?;
    not_empty(call, "destination", &location.destination)
}

fn not_empty(call: Call, what: &str, value: impl AsRef<std::ffi::OsStr>) -> VssResult<()> {
    if value.as_ref().is_empty() {
        Err(VssError::new(
            VssCode::InvalidArgument,
            format!("{call:?} was called with an empty {what}"),
        ))
    } else {
        Ok(())
    }
}
