//! All writers with their trees, and how a component is named among them.

use super::{ComponentTree, SelectionError};
use crate::{Component, WriterMetadata, canonical_path, full_path};
use std::{collections::HashMap, sync::Arc};
use umbra_model::{ComponentType, WriterId, WriterInstanceId};

/// A component among those of all writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentAt {
    /// Which writer, by its place in the list.
    pub writer: usize,
    /// Which of its components, by its place in the writer's metadata.
    pub component: usize,
}

/// A component as a requester names it (`AddComponent`,
/// `SetSelectedForRestoreEx`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComponentChoice<'a> {
    /// The class of the writer.
    pub writer: WriterId,
    /// The instance of it; none where there is only one, or for whichever has the
    /// component.
    pub instance: Option<WriterInstanceId>,
    /// The type of the component; none for whichever it has.
    pub kind: Option<ComponentType>,
    /// Where it stands in the writer's tree.
    pub logical_path: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
}

impl ComponentChoice<'_> {
    /// The logical path and the name, joined as VSS prints them.
    pub fn full_path(&self) -> String {
        full_path(self.logical_path, self.name)
    }
}

/// A writer and the tree of its components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterTree {
    metadata: Arc<WriterMetadata>,
    tree: ComponentTree,
}

impl WriterTree {
    /// The tree of a writer.
    pub fn new(metadata: impl Into<Arc<WriterMetadata>>) -> Self {
        let metadata = metadata.into();
        let tree = ComponentTree::new(&metadata.components);
        Self { metadata, tree }
    }

    /// What the writer said.
    pub fn metadata(&self) -> &WriterMetadata {
        &self.metadata
    }

    /// Its components by their logical paths.
    pub fn tree(&self) -> &ComponentTree {
        &self.tree
    }

    /// The name that people see.
    pub fn name(&self) -> &str {
        &self.metadata.identity.name
    }

    /// Logical path and name of a component.
    ///
    /// # Panics
    ///
    /// There is no such component.
    pub fn path(&self, component: usize) -> String {
        let path = self.metadata.components[component].full_path();
        canonical_path(&path).into_owned()
    }
}

/// The writers of a machine, each with its tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterTrees {
    writers: Vec<WriterTree>,
    classes: HashMap<WriterId, Vec<usize>>,
}

impl<M: Into<Arc<WriterMetadata>>> FromIterator<M> for WriterTrees {
    fn from_iter<I: IntoIterator<Item = M>>(metadata: I) -> Self {
        let writers: Vec<WriterTree> = metadata.into_iter().map(WriterTree::new).collect();
        let mut classes: HashMap<_, Vec<usize>> = HashMap::new();
        for (index, writer) in writers.iter().enumerate() {
            let class = writer.metadata.identity.id;
            classes.entry(class).or_default().push(index);
        }
        Self { writers, classes }
    }
}

impl WriterTrees {
    /// The writers, in the order in which they were given.
    pub fn writers(&self) -> &[WriterTree] {
        &self.writers
    }

    /// The instances of a class of writer, by their places in the list.
    pub fn instances(&self, class: WriterId) -> &[usize] {
        self.classes.get(&class).map_or(&[], Vec::as_slice)
    }

    /// The component there.
    ///
    /// # Panics
    ///
    /// There is no such component.
    pub fn component(&self, at: ComponentAt) -> &Component {
        &self.writers[at.writer].metadata.components[at.component]
    }

    /// Logical path and name of the component there.
    ///
    /// # Panics
    ///
    /// There is no such component.
    pub fn path(&self, at: ComponentAt) -> String {
        self.writers[at.writer].path(at.component)
    }

    /// The writer of a class, and of an instance where that is said.
    ///
    /// # Errors
    ///
    /// [`SelectionError::UnknownWriter`], and [`SelectionError::SeveralInstances`]
    /// where there is more than one and it is not said which.
    pub fn writer(
        &self,
        class: WriterId,
        instance: Option<WriterInstanceId>,
    ) -> Result<usize, SelectionError> {
        let mut found = self.matching(class, instance);
        match (found.next(), found.next()) {
            (None, _) => Err(SelectionError::UnknownWriter {
                writer: class,
                instance,
            }),
            (Some(writer), None) => Ok(writer),
            (Some(writer), Some(_)) => Err(SelectionError::SeveralInstances {
                writer: self.writers[writer].name().to_owned(),
            }),
        }
    }

    fn matching(
        &self,
        class: WriterId,
        instance: Option<WriterInstanceId>,
    ) -> impl Iterator<Item = usize> + '_ {
        let instances = self.instances(class).iter().copied();
        instances.filter(move |writer| {
            let identity = &self.writers[*writer].metadata.identity;
            instance.is_none_or(|wanted| identity.instance == wanted)
        })
    }

    /// The component that a requester names. Logical path and name are unique
    /// among the instances of a class, so the instance need not be said.
    ///
    /// # Errors
    ///
    /// [`SelectionError::UnknownWriter`], [`SelectionError::UnknownComponent`],
    /// [`SelectionError::WrongKind`], and [`SelectionError::SeveralInstances`] where
    /// more than one has it all the same.
    pub fn find(&self, choice: &ComponentChoice<'_>) -> Result<ComponentAt, SelectionError> {
        let path = choice.full_path();
        let mut writers = self.matching(choice.writer, choice.instance).peekable();
        let Some(first) = writers.peek().copied() else {
            return Err(SelectionError::UnknownWriter {
                writer: choice.writer,
                instance: choice.instance,
            });
        };
        let mut found = writers.filter_map(|writer| {
            let component = self.writers[writer].tree.find_full(&path)?;
            Some(ComponentAt { writer, component })
        });
        let writer = || self.writers[first].name().to_owned();
        let at = match (found.next(), found.next()) {
            (Some(at), None) => at,
            (Some(_), Some(_)) => {
                return Err(SelectionError::SeveralInstances { writer: writer() });
            }
            (None, _) => {
                return Err(SelectionError::UnknownComponent {
                    writer: writer(),
                    component: path,
                });
            }
        };
        let kind = self.component(at).kind;
        match choice.kind {
            Some(asked) if asked != kind => Err(SelectionError::WrongKind {
                writer: self.writers[at.writer].name().to_owned(),
                component: path,
                asked,
                kind,
            }),
            _ => Ok(at),
        }
    }
}
