//! What a requester selects for a restore ("Working with Selectability For Restore
//! and Subcomponents").

use super::{ComponentChoice, RestoreSet, SelectionError, WriterTrees};
use crate::{
    BackupComponentsDocument, ChosenComponent, Extra, RestoreSubcomponent, WriterComponents,
    canonical_path, full_path,
};
use umbra_model::{WriterId, WriterInstanceId};

/// What may be selected for a restore, and the changes to the Backup Components
/// Document of the backup that select it.
///
/// The rules come from the writers' metadata as it was stored at the time of the
/// backup, not from what writers say now ("Definition of Components by Writers").
#[derive(Debug, Clone, Copy)]
pub struct RestoreSelection<'a> {
    stored: &'a WriterTrees,
    running: Option<&'a [(WriterId, WriterInstanceId)]>,
}

impl<'a> RestoreSelection<'a> {
    /// A restore in which the running writers take part.
    pub fn new(stored: &'a WriterTrees, running: &'a [(WriterId, WriterInstanceId)]) -> Self {
        Self {
            stored,
            running: Some(running),
        }
    }

    /// A restore of which it is not known yet which writers run.
    pub fn of_stored(stored: &'a WriterTrees) -> Self {
        Self {
            stored,
            running: None,
        }
    }

    /// Selects a component that was added to the backup (`SetSelectedForRestore`,
    /// `SetSelectedForRestoreEx` where the choice has the running instance that is
    /// to restore it). Whatever was added may be selected, selectable for restore or
    /// not.
    ///
    /// # Errors
    ///
    /// [`SelectionError::WriterNotRunning`], [`SelectionError::NotInBackup`] and
    /// [`SelectionError::WrongKind`]. The document is as it was.
    pub fn select(
        &self,
        document: &mut BackupComponentsDocument,
        choice: &ComponentChoice<'_>,
    ) -> Result<(), SelectionError> {
        let found = self.locate(document, choice)?;
        found.in_document(document).selected_for_restore = Some(true);
        Ok(())
    }

    /// Takes the selection of a component back (`SetSelectedForRestore`), and with
    /// it that of its subcomponents.
    ///
    /// # Errors
    ///
    /// As [`RestoreSelection::select`].
    pub fn deselect(
        &self,
        document: &mut BackupComponentsDocument,
        choice: &ComponentChoice<'_>,
    ) -> Result<(), SelectionError> {
        let found = self.locate(document, choice)?;
        let component = found.in_document(document);
        component.selected_for_restore = Some(false);
        component.restore_subcomponents.clear();
        Ok(())
    }

    /// Selects a component that came with another in the backup
    /// (`AddRestoreSubcomponent`): of the other, only those so selected are restored
    /// then.
    ///
    /// # Errors
    ///
    /// Those of [`RestoreSelection::select`] for the component that was added, which
    /// must be selected ([`SelectionError::NotSelectedYet`]). For the subcomponent,
    /// [`SelectionError::UnknownComponent`], [`SelectionError::DidNotComeWith`],
    /// [`SelectionError::BelongsToOther`],
    /// [`SelectionError::NotSelectableForRestore`] and
    /// [`SelectionError::AlreadyAdded`]. [`SelectionError::UnknownWriter`] where the
    /// writer's metadata was not stored. The document is as it was.
    pub fn add_subcomponent(
        &self,
        document: &mut BackupComponentsDocument,
        choice: &ComponentChoice<'_>,
        logical_path: Option<&str>,
        name: &str,
    ) -> Result<(), SelectionError> {
        let found = self.locate(document, choice)?;
        let writer = &document.writers[found.writer];
        let Some(stored) = stored_writer(self.stored, writer) else {
            return Err(SelectionError::UnknownWriter {
                writer: writer.writer_id,
                instance: Some(writer.instance_id),
            });
        };
        let known = &self.stored.writers()[stored];
        let tree = known.tree();
        let component = choice.full_path();
        let subcomponent = full_path(logical_path, name);
        let upper = tree.find_full(&component);
        let lower = tree.find_full(&subcomponent);
        let (Some(upper), Some(lower)) = (upper, lower) else {
            return Err(SelectionError::UnknownComponent {
                writer: known.name().to_owned(),
                component: if upper.is_some() {
                    subcomponent
                } else {
                    component
                },
            });
        };
        if !tree.subcomponents(upper).contains(&lower) {
            return Err(SelectionError::DidNotComeWith {
                writer: known.name().to_owned(),
                component,
                subcomponent,
            });
        }
        let mut upwards = std::iter::once(lower).chain(tree.ancestors(lower));
        let owner = upwards.find(|index| {
            let one = &known.metadata().components[*index];
            find(writer, one.logical_path.as_deref(), &one.name).is_some()
        });
        if let Some(owner) = owner.filter(|owner| *owner != upper) {
            return Err(SelectionError::BelongsToOther {
                writer: known.name().to_owned(),
                subcomponent,
                owner: known.path(owner),
            });
        }
        let one = &known.metadata().components[lower];
        if !one.selectable_for_restore.is_yes() {
            return Err(SelectionError::NotSelectableForRestore {
                writer: known.name().to_owned(),
                component,
                subcomponent,
            });
        }
        let chosen = found.in_document(document);
        if chosen.selected_for_restore != Some(true) {
            return Err(SelectionError::NotSelectedYet {
                writer: known.name().to_owned(),
                component,
            });
        }
        let mut others = chosen.restore_subcomponents.iter();
        if others.any(|other| tree.find(other.logical_path.as_deref(), &other.name) == Some(lower))
        {
            return Err(SelectionError::AlreadyAdded {
                writer: known.name().to_owned(),
                component: subcomponent,
            });
        }
        chosen.restore_subcomponents.push(RestoreSubcomponent {
            logical_path: one.logical_path.clone(),
            name: one.name.clone(),
            repair: Some(false),
            extra: Extra::default(),
        });
        Ok(())
    }

    /// Everything that was in the backup: what is restored, and why the rest is not.
    pub fn restore_set(&self, document: &BackupComponentsDocument) -> RestoreSet {
        RestoreSet::of(self.stored, document)
    }

    /// The component of the document that a requester names.
    fn locate(
        &self,
        document: &BackupComponentsDocument,
        choice: &ComponentChoice<'_>,
    ) -> Result<Located, SelectionError> {
        let name = || {
            let instances = self.stored.instances(choice.writer);
            instances.first().map_or_else(
                || choice.writer.to_string(),
                |writer| self.stored.writers()[*writer].name().to_owned(),
            )
        };
        if let Some(running) = self.running {
            let is_meant = |(class, instance): &(WriterId, WriterInstanceId)| {
                *class == choice.writer && choice.instance.is_none_or(|wanted| wanted == *instance)
            };
            if !running.iter().any(is_meant) {
                return Err(SelectionError::WriterNotRunning { writer: name() });
            }
        }
        let mut writers = document.writers.iter().enumerate();
        let found = writers.find_map(|(writer, one)| {
            let is_meant = one.writer_id == choice.writer;
            let component = is_meant.then(|| find(one, choice.logical_path, choice.name))??;
            Some(Located { writer, component })
        });
        let Some(found) = found else {
            return Err(SelectionError::NotInBackup {
                writer: name(),
                component: choice.full_path(),
            });
        };
        let component = &document.writers[found.writer].components[found.component];
        match (choice.kind, component.component_type.known()) {
            (Some(asked), Some(kind)) if asked != kind => Err(SelectionError::WrongKind {
                writer: name(),
                component: choice.full_path(),
                asked,
                kind,
            }),
            _ => Ok(found),
        }
    }
}

/// Where a component stands in the document.
#[derive(Clone, Copy)]
struct Located {
    writer: usize,
    component: usize,
}

impl Located {
    fn in_document(self, document: &mut BackupComponentsDocument) -> &mut ChosenComponent {
        &mut document.writers[self.writer].components[self.component]
    }
}

/// The place of a component in what was chosen of a writer.
fn find(writer: &WriterComponents, logical_path: Option<&str>, name: &str) -> Option<usize> {
    let wanted = full_path(logical_path, name);
    let wanted = canonical_path(&wanted);
    let mut components = writer.components.iter();
    components.position(|one| canonical_path(&one.full_path()) == wanted)
}

/// The stored metadata of a writer of the document: that of the same instance, or of
/// the only one of its class.
pub(super) fn stored_writer(stored: &WriterTrees, writer: &WriterComponents) -> Option<usize> {
    let instance = Some(writer.instance_id);
    let exact = stored.writer(writer.writer_id, instance);
    exact
        .or_else(|_| stored.writer(writer.writer_id, None))
        .ok()
}
