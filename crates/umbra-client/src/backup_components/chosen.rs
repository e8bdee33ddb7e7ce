//! The Backup Components Document, with a way to each component that is as short for
//! a hundred thousand of them as for ten.

use super::ComponentAddress;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};
use umbra_documents::{
    BackupComponentsDocument, ChosenComponent, Component, SelectionError, WriterComponents,
    WriterMetadata, canonical_path,
};
use umbra_model::{BackupSchema, WriterId, WriterInstanceId};

/// A document and where its components stand.
#[derive(Debug, Default)]
pub(super) struct ChosenComponents {
    /// Shared with a call that sends or writes it, which lets nobody change it.
    document: Arc<BackupComponentsDocument>,
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
            document: Arc::new(document),
            classes,
            paths,
        }
    }

    pub(super) fn document(&self) -> &BackupComponentsDocument {
        &self.document
    }

    /// The document as it is now, without a copy.
    pub(super) fn shared(&self) -> Arc<BackupComponentsDocument> {
        Arc::clone(&self.document)
    }

    /// To change what is said of the backup as a whole; writers and components stay
    /// where they are.
    pub(super) fn document_mut(&mut self) -> &mut BackupComponentsDocument {
        Arc::make_mut(&mut self.document)
    }

    pub(super) fn writer(&self, place: usize) -> &WriterComponents {
        &self.document.writers[place]
    }

    pub(super) fn component(&self, place: Place) -> &ChosenComponent {
        &self.document.writers[place.writer].components[place.component]
    }

    pub(super) fn component_mut(&mut self, place: Place) -> &mut ChosenComponent {
        &mut self.document_mut().writers[place.writer].components[place.component]
    }

    /// Whether the same components of the same writers stand in both, whatever is
    /// said of them.
    pub(super) fn is_same_choice(&self, other: &Self) -> bool {
        self.choice().eq(other.choice())
    }

    fn choice(
        &self,
    ) -> impl Iterator<Item = (WriterId, WriterInstanceId, Option<&str>, &str)> + '_ {
        self.document.writers.iter().flat_map(|writer| {
            writer.components.iter().map(|one| {
                let path = one.logical_path.as_deref();
                (writer.writer_id, writer.instance_id, path, &*one.name)
            })
        })
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
        let from = &mut Arc::make_mut(&mut self.document).writers[place.writer];
        if from.instance_id == instance {
            return place;
        }
        let class = from.writer_id;
        let component = from.components.remove(place.component);
        self.paths[place.writer] = paths_of(&self.document.writers[place.writer]);
        let entry = self.entry(class, instance, schema);
        self.insert(entry, component)
    }

    /// Gives all components of a writer to the instance that it is now, after it was
    /// started again, and says where this one stands.
    pub(super) fn adopt(
        &mut self,
        place: Place,
        instance: WriterInstanceId,
        schema: BackupSchema,
    ) -> Place {
        let class = self.document.writers[place.writer].writer_id;
        let mut others = self.classes.get(&class).into_iter().flatten();
        if others.any(|other| self.document.writers[*other].instance_id == instance) {
            return self.move_to(place, instance, schema);
        }
        self.document_mut().writers[place.writer].instance_id = instance;
        place
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
        Arc::make_mut(&mut self.document).writers.push(writer);
        self.paths.push(HashMap::new());
        let place = self.paths.len() - 1;
        known.push(place);
        place
    }

    fn insert(&mut self, writer: usize, component: ChosenComponent) -> Place {
        let components = &mut Arc::make_mut(&mut self.document).writers[writer].components;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};
    use umbra_documents::WriterIdentity;
    use umbra_model::ComponentType;

    const WRITER: WriterId = WriterId::from_u128(1);
    const NOW: WriterInstanceId = WriterInstanceId::from_u128(2);

    fn writer(number: u128) -> WriterMetadata {
        let instance = WriterInstanceId::from_u128(number);
        WriterMetadata::new(WriterIdentity::new(WRITER, instance, "writer"))
    }

    fn below(path: &str, name: &str) -> Component {
        Component {
            logical_path: Some(path.into()),
            ..Component::file_group(name)
        }
    }

    fn address(name: &str) -> ComponentAddress {
        ComponentAddress::new(WRITER, ComponentType::FileGroup, name)
    }

    #[test]
    fn components_are_found_by_what_names_them() {
        let mut chosen = ChosenComponents::default();
        chosen.add(&writer(2), &Component::file_group("a"));
        chosen.add(&writer(2), &below("p\\q", "b"));
        chosen.add(&writer(3), &Component::file_group("a"));
        chosen.add(&writer(3), &Component::file_group("a"));
        assert_eq!(chosen.document().writers.len(), 2);
        assert_eq!(chosen.document().writers[1].components.len(), 1);

        let b = chosen.find(&address("b").below("\\p\\q\\")).unwrap();
        assert_eq!(chosen.component(b).full_path(), "p\\q\\b");
        let a = chosen.find(&address("a").of_instance(NOW)).unwrap();
        assert_eq!(chosen.writer(a.writer).instance_id, NOW);

        let fails = |address: ComponentAddress, expected: &str| {
            let error = chosen.find(&address).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            error.code().name()
        };
        let several = fails(address("a"), "several instances");
        assert_eq!(several, "E_INVALIDARG");
        let missing = fails(address("b"), "was not added to the backup");
        assert_eq!(missing, "VSS_E_OBJECT_NOT_FOUND");
        let database = ComponentAddress::new(WRITER, ComponentType::Database, "b").below("p\\q");
        assert_eq!(
            fails(database, "VSS_CT_FILEGROUP"),
            "VSS_E_OBJECT_NOT_FOUND"
        );
    }

    #[test]
    fn a_component_moves_to_another_instance_with_all_that_is_set() {
        let mut chosen = ChosenComponents::default();
        for name in ["a", "b", "c"] {
            chosen.add(&writer(3), &Component::file_group(name));
        }
        let b = chosen.find(&address("b")).unwrap();
        chosen.component_mut(b).restore_options = Some("x".into());
        let moved = chosen.move_to(b, NOW, BackupSchema::UNDEFINED);
        assert_eq!(chosen.writer(moved.writer).instance_id, NOW);
        assert_eq!(chosen.find(&address("b")), Ok(moved));
        let options = chosen.component(moved).restore_options.as_deref();
        assert_eq!(options, Some("x"));
        let c = chosen.find(&address("c")).unwrap();
        assert_eq!(chosen.component(c).name, "c", "those behind it are found");
        let there = chosen.move_to(moved, NOW, BackupSchema::UNDEFINED);
        assert_eq!(there, moved, "to where it is");
    }

    #[test]
    fn a_writer_that_was_started_again_takes_its_components_along() {
        let mut chosen = ChosenComponents::default();
        for name in ["a", "b"] {
            chosen.add(&writer(3), &Component::file_group(name));
        }
        let a = chosen.find(&address("a")).unwrap();
        assert_eq!(chosen.adopt(a, NOW, BackupSchema::UNDEFINED), a);
        assert!(chosen.find(&address("b").of_instance(NOW)).is_ok());
        assert_eq!(chosen.document().writers.len(), 1);
    }

    #[test]
    fn a_document_that_was_read_is_the_same() {
        let mut chosen = ChosenComponents::default();
        chosen.add(&writer(2), &Component::file_group("a"));
        chosen.add(&writer(3), &below("p", "b"));
        let xml = chosen.document().to_xml().unwrap();
        let document = BackupComponentsDocument::from_xml(xml.as_bytes()).unwrap();
        let mut again = ChosenComponents::new(document);
        assert_eq!(again.document(), chosen.document());
        assert!(again.is_same_choice(&chosen));
        let b = address("b").below("p");
        assert_eq!(again.find(&b), chosen.find(&b));
        again.add(&writer(3), &below("p", "c"));
        assert!(!again.is_same_choice(&chosen));
    }

    /// A way through all of them each time would take minutes.
    #[test]
    fn a_hundred_thousand_components_take_no_longer_each_than_ten() {
        let begun = Instant::now();
        let (one, many) = (writer(2), 100_000);
        let mut chosen = ChosenComponents::default();
        for number in 0..many {
            chosen.add(&one, &below("p", &number.to_string()));
        }
        for number in 0..many {
            let address = address(&number.to_string()).below("p");
            assert!(chosen.find(&address).is_ok());
        }
        assert_eq!(chosen.document().writers[0].components.len(), many);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
