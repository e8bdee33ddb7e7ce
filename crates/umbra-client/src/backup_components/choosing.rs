//! What a requester chooses for a backup ("Overview of the Backup Discovery Phase").

use super::{
    BackupComponent, BackupComponents, ComponentAddress,
    order::{Call, bad_state},
    state::State,
};
use std::sync::Arc;
use umbra_documents::{BackupSelection, BackupSet, ComponentAt, SelectionError, Standing, Term};
use umbra_model::{BackupType, VssCode, VssError, VssResult};

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
}
