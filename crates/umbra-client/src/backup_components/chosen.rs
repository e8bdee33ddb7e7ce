//! The Backup Components Document, with a way to each component that is as short for
//! a hundred thousand of them as for ten.

use super::ComponentAddress;
use std::collections::{HashMap, hash_map::Entry};
use umbra_documents::{
    BackupComponentsDocument, ChosenComponent, Component, SelectionError, WriterComponents,
    WriterMetadata, canonical_path,
};
use umbra_model::{BackupSchema, WriterId, WriterInstanceId};

/// A document and where its components stand.
#[derive(Debug, Default)]
pub(super) struct ChosenComponents {
    document: BackupComponentsDocument,
    /// Of each class, the places of its instances.
    classes: HashMap<WriterId, Vec<usize>>,
    /// Of each writer, its components by canonical full path. Where two have the
    /// same, the first.
    paths: Vec<HashMap<Box<str>, usize>>,
}

/// Where a component stands in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) writer: usize,
    component: usize,
}

impl ChosenComponents {
    /// This document.
    pub(super) fn new(document: BackupComponentsDocument) -> Self {
        let mut classes: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, writer) in document.writers.iter().enumerate() {
            classes.entry(writer.writer_id).or_default().push(place);
        }
        let paths = document.writers.iter().map(paths_of).collect();
        Self {
            document,
            classes,
            paths,
        }
    }

    pub(super) fn document(&self) -> &BackupComponentsDocument {
        &self.document
    }

    /// To change what is said of the backup as a whole; writers and components stay
    /// where they are.
    pub(super) fn document_mut(&mut self) -> &mut BackupComponentsDocument {
        &mut self.document
    }

    pub(super) fn writer(&self, place: usize) -> &WriterComponents {
        &self.document.writers[place]
    }

    pub(super) fn component(&self, place: Place) -> &ChosenComponent {
        &self.document.writers[place.writer].components[place.component]
    }

    pub(super) fn component_mut(&mut self, place: Place) -> &mut ChosenComponent {
        &mut self.document.writers[place.writer].components[place.component]
    }

    /// Where a component stands.
    ///
    /// # Errors
    ///
    /// [`SelectionError::NotInBackup`], [`SelectionError::WrongKind`], and
    /// [`SelectionError::SeveralInstances`] where it is not said which of several.
    pub(super) fn find(&self, address: &ComponentAddress) -> Result<Place, SelectionError> {
        let writers = self.classes.get(&address.writer).into_iter().flatten();
        let path = address.full_path();
        let wanted = canonical_path(&path);
        let mut found = writers.filter_map(|writer| {
            let instance = self.document.writers[*writer].instance_id;
            let is_meant = address.instance.is_none_or(|wanted| wanted == instance);
            let component = is_meant.then(|| self.paths[*writer].get(wanted.as_ref()))??;
            Some(Place {
                writer: *writer,
                component: *component,
            })
        });
        let name = || address.writer.to_string();
        let place = match (found.next(), found.next()) {
            (Some(place), None) => place,
            (None, _) => {
                return Err(SelectionError::NotInBackup {
                    writer: name(),
                    component: path,
                });
            }
            (Some(_), Some(_)) => {
                return Err(SelectionError::SeveralInstances { writer: name() });
            }
        };
        match self.component(place).component_type.known() {
            Some(kind) if kind != address.component_type => Err(SelectionError::WrongKind {
                writer: name(),
                component: path,
                asked: address.component_type,
                kind,
            }),
            _ => Ok(place),
        }
    }

    /// Adds a component of a writer; one that is there stays as it is.
    pub(super) fn add(&mut self, writer: &WriterMetadata, component: &Component) {
        let entry = self.entry(
            writer.identity.id,
            writer.identity.instance,
            writer.backup_schema,
        );
        let chosen = ChosenComponent::new(
            component.logical_path.clone(),
            &component.name,
            component.kind,
        );
        self.insert(entry, chosen);
    }

    /// Gives a component to another instance of its writer
    /// (`SetSelectedForRestoreEx`) and says where it stands now.
    pub(super) fn move_to(
        &mut self,
        place: Place,
        instance: WriterInstanceId,
        schema: BackupSchema,
    ) -> Place {
        let from = &mut self.document.writers[place.writer];
        if from.instance_id == instance {
            return place;
        }
        let class = from.writer_id;
        let component = from.components.remove(place.component);
        self.paths[place.writer] = paths_of(&self.document.writers[place.writer]);
        let entry = self.entry(class, instance, schema);
        self.insert(entry, component)
    }

    /// The place of a writer, which is added where it is not there.
    fn entry(
        &mut self,
        class: WriterId,
        instance: WriterInstanceId,
        schema: BackupSchema,
    ) -> usize {
        let known = self.classes.entry(class).or_default();
        let mut places = known.iter().copied();
        if let Some(place) =
            places.find(|place| self.document.writers[*place].instance_id == instance)
        {
            return place;
        }
        let mut writer = WriterComponents::new(class, instance);
        writer.backup_schema = (schema != BackupSchema::UNDEFINED).then_some(schema);
        self.document.writers.push(writer);
        self.paths.push(HashMap::new());
        let place = self.paths.len() - 1;
        known.push(place);
        place
    }

    fn insert(&mut self, writer: usize, component: ChosenComponent) -> Place {
        let components = &mut self.document.writers[writer].components;
        let component = match self.paths[writer].entry(path_of(&component)) {
            Entry::Occupied(there) => *there.get(),
            Entry::Vacant(free) => {
                components.push(component);
                *free.insert(components.len() - 1)
            }
        };
        Place { writer, component }
    }
}

fn paths_of(writer: &WriterComponents) -> HashMap<Box<str>, usize> {
    let mut paths = HashMap::with_capacity(writer.components.len());
    for (place, component) in writer.components.iter().enumerate() {
        paths.entry(path_of(component)).or_insert(place);
    }
    paths
}

fn path_of(component: &ChosenComponent) -> Box<str> {
    canonical_path(&component.full_path()).into()
}
