//! Which writers, and which of their components, a Backup Components Document
//! speaks of.

use crate::{kept_document::Part, writers::Gathering};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use umbra_documents::{
    BackupSelection, ChosenComponent, ComponentAt, SelectionError, WriterComponents, WriterTrees,
};
use umbra_model::{VssCode, VssError, VssResult, WriterId, WriterInstanceId};

/// What was chosen for a backup, by the writers' places in what was gathered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    of: HashMap<usize, ChosenOf>,
}

/// What was chosen of one writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChosenOf {
    /// The place of its part in the document.
    pub(crate) part: usize,
    /// Which of its components are in the backup: those that were chosen, and those
    /// that come with them.
    pub(crate) included: Vec<bool>,
}

impl ChosenOf {
    pub(crate) fn includes(&self, component: usize) -> bool {
        self.included
            .get(component)
            .is_some_and(|included| *included)
    }
}

impl Choice {
    pub(crate) fn of(&self, writer: usize) -> Option<&ChosenOf> {
        self.of.get(&writer)
    }

    /// Finds every component of the document among those of the writers ("Use of
    /// Components by the Requester"). A writer of which the document has no
    /// component is not chosen.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a writer or a component that is not there, a
    /// writer's failure at Identify, or what stands against adding a component
    /// ([`BackupSelection::add_at`]).
    pub(crate) fn find(parts: &[Part], gathering: &Gathering) -> VssResult<Self> {
        let trees = gathering.trees();
        let mut selection = BackupSelection::new(Arc::clone(trees));
        let owners = Owners::new(parts, trees);
        let mut of = HashMap::new();
        for (part, one) in parts.iter().enumerate() {
            one.chosen.with(|components| {
                let components = components.map_or(&[][..], |all| &all.components);
                if components.is_empty() {
                    return Ok(());
                }
                let writer = owners.of_backup(one.writer, one.instance, components)?;
                if let Some(Err(failure)) = gathering.writers.get(writer).map(|one| &one.metadata) {
                    return Err(failure.clone());
                }
                let included = included(&mut selection, trees, writer, components)?;
                match of.insert(writer, ChosenOf { part, included }) {
                    None => Ok(()),
                    Some(_) => Err(twice(trees, writer)),
                }
            })?;
        }
        Ok(Self { of })
    }
}

fn twice(trees: &WriterTrees, writer: usize) -> VssError {
    let name = trees.writers().get(writer).map_or("", |one| one.name());
    VssError::new(
        VssCode::ObjectAlreadyExists,
        format!("the writer {name:?} is in the document twice; put its components in one place"),
    )
}

/// Adds the components to the selection, and says which are in the backup then.
fn included(
    selection: &mut BackupSelection,
    trees: &WriterTrees,
    writer: usize,
    components: &[ChosenComponent],
) -> VssResult<Vec<bool>> {
    let known = &trees.writers()[writer];
    let tree = known.tree();
    let mut included = vec![false; tree.len()];
    for chosen in components {
        let Some(component) = tree.find(chosen.logical_path.as_deref(), &chosen.name) else {
            return Err(SelectionError::UnknownComponent {
                writer: known.name().to_owned(),
                component: chosen.full_path(),
            }
            .into());
        };
        let at = ComponentAt { writer, component };
        let kind = trees.component(at).kind;
        if let Some(asked) = chosen.component_type.known().filter(|asked| *asked != kind) {
            return Err(SelectionError::WrongKind {
                writer: known.name().to_owned(),
                component: chosen.full_path(),
                asked,
                kind,
            }
            .into());
        }
        selection.add_at(at)?;
        included[component] = true;
        for below in tree.subcomponents(component) {
            included[*below] = true;
        }
    }
    Ok(included)
}

/// Whose a part of a document is.
pub(crate) struct Owners<'a> {
    trees: &'a WriterTrees,
    /// The writers whose very instances are in the document.
    named: HashSet<usize>,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(parts: &[Part], trees: &'a WriterTrees) -> Self {
        let parts = parts.iter();
        let named = parts.filter_map(|part| exact(trees, part.writer, part.instance));
        Self {
            trees,
            named: named.collect(),
        }
    }

    /// The writer that a part is of: the instance it names; where that is not there
    /// any more, the one of its class that no other part names, and of several the
    /// one that has all the components.
    fn of_backup(
        &self,
        class: WriterId,
        instance: WriterInstanceId,
        components: &[ChosenComponent],
    ) -> Result<usize, SelectionError> {
        let candidates = self.candidates(class, instance, |_| true);
        match candidates[..] {
            [] => Err(SelectionError::UnknownWriter {
                writer: class,
                instance: Some(instance),
            }),
            [one] => Ok(one),
            [first, ..] => {
                let has_all = |writer: &usize| {
                    let tree = self.trees.writers()[*writer].tree();
                    let mut components = components.iter();
                    components
                        .all(|one| tree.find(one.logical_path.as_deref(), &one.name).is_some())
                };
                self.only(candidates.into_iter().filter(has_all), first)
            }
        }
    }

    /// The running writer that is to restore a part, as [`Owners::of_backup`] among
    /// those that take part in restores. The components need not be there now: a
    /// database that was dropped is a reason for a restore ("Use of Components by
    /// the Requester"). Of several, the only one that has any of them.
    ///
    /// Nothing where no such writer runs.
    pub(crate) fn of_restore(
        &self,
        part: &WriterComponents,
        takes_part: impl Fn(usize) -> bool,
    ) -> Result<Option<usize>, SelectionError> {
        let candidates = self.candidates(part.writer_id, part.instance_id, takes_part);
        match candidates[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [first, ..] => {
                let has_any = |writer: &usize| {
                    let tree = self.trees.writers()[*writer].tree();
                    let mut paths = part.components.iter().map(ChosenComponent::full_path);
                    paths.any(|path| tree.find_full(&path).is_some())
                };
                let found = self.only(candidates.into_iter().filter(has_any), first)?;
                Ok(Some(found))
            }
        }
    }

    fn candidates(
        &self,
        class: WriterId,
        instance: WriterInstanceId,
        takes_part: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        match exact(self.trees, class, instance) {
            Some(writer) => Some(writer)
                .into_iter()
                .filter(|one| takes_part(*one))
                .collect(),
            None => {
                let instances = self.trees.instances(class).iter().copied();
                instances
                    .filter(|writer| !self.named.contains(writer) && takes_part(*writer))
                    .collect()
            }
        }
    }

    fn only(
        &self,
        mut found: impl Iterator<Item = usize>,
        first: usize,
    ) -> Result<usize, SelectionError> {
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(SelectionError::SeveralInstances {
                writer: self.trees.writers()[first].name().to_owned(),
            }),
        }
    }
}

fn exact(trees: &WriterTrees, class: WriterId, instance: WriterInstanceId) -> Option<usize> {
    let mut instances = trees.instances(class).iter().copied();
    instances.find(|writer| trees.writers()[*writer].metadata().identity.instance == instance)
}
