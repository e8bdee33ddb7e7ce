//! What a requester adds to a backup, component by component.

use super::{
    BackupSet, ComponentAt, ComponentChoice, LeftOut, SelectionError, Standing, WriterTrees,
    dependencies::{Target, target},
};
use crate::{BackupComponentsDocument, ReadFrom, Recursion, path_to_text};
use std::{path::Path, sync::Arc};
use umbra_model::BackupType;

/// Whether a path lies on a volume of the shadow copy set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// It does, with all that is meant to be backed up below it.
    Inside,
    /// It, or something below it, lies on another volume, of this name.
    Outside(String),
    /// Nobody knows on which volume it lies.
    Unknown,
}

/// What a requester has added so far (`IVssBackupComponents::AddComponent`, "Use of
/// Components by the Requester").
///
/// ```
/// # use umbra_documents::*;
/// # use umbra_model::*;
/// # let identity = WriterIdentity::new(WriterId::from_u128(1), WriterInstanceId::from_u128(2), "W");
/// # let mut metadata = WriterMetadata::new(identity);
/// # metadata.components = vec![Component::file_group("mail")];
/// let writers = WriterTrees::from_iter([metadata]);
/// let mut selection = BackupSelection::new(writers.into());
/// selection.add(&ComponentChoice {
///     writer: WriterId::from_u128(1),
///     instance: None,
///     kind: Some(ComponentType::FileGroup),
///     logical_path: None,
///     name: "mail",
/// })?;
/// let set = selection.backup_set();
/// assert_eq!(set.writers[0].components[0].inclusion, Inclusion::Explicit);
/// # Ok::<(), SelectionError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BackupSelection {
    pub(super) writers: Arc<WriterTrees>,
    pub(super) chosen: Vec<Chosen>,
    /// What cannot be in the backup of itself, by writer and component.
    pub(super) left_out: Vec<Vec<Option<LeftOut>>>,
}

/// What was added of one writer.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    /// Whether it was the writer as a whole.
    pub(super) whole: bool,
    pub(super) added: Vec<bool>,
    /// How many components below each were added.
    below: Vec<usize>,
}

impl Chosen {
    pub(super) fn is_anything(&self) -> bool {
        self.whole || self.added.contains(&true)
    }
}

impl BackupSelection {
    /// Nothing of these writers yet.
    pub fn new(writers: Arc<WriterTrees>) -> Self {
        let sizes = || writers.writers().iter().map(|writer| writer.tree().len());
        let chosen = sizes().map(|size| Chosen {
            whole: false,
            added: vec![false; size],
            below: vec![0; size],
        });
        Self {
            chosen: chosen.collect(),
            left_out: sizes().map(|size| vec![None; size]).collect(),
            writers,
        }
    }

    /// The writers that it chooses among.
    pub fn writers(&self) -> &Arc<WriterTrees> {
        &self.writers
    }

    /// Adds a component (`AddComponent`). What comes with it comes by itself.
    ///
    /// # Errors
    ///
    /// As [`WriterTrees::find`] and [`BackupSelection::add_at`].
    pub fn add(&mut self, choice: &ComponentChoice<'_>) -> Result<ComponentAt, SelectionError> {
        let at = self.writers.find(choice)?;
        self.add_at(at)?;
        Ok(at)
    }

    /// Adds a component by its place.
    ///
    /// # Errors
    ///
    /// [`SelectionError::ComesOnlyWith`], and [`SelectionError::AlreadyAdded`],
    /// [`SelectionError::AlreadyComesWith`] and
    /// [`SelectionError::PartAlreadyAdded`] for what would be in the backup twice:
    /// a selectable subcomponent is never added beside the component that it comes
    /// with ("Logical Pathing of Components").
    pub fn add_at(&mut self, at: ComponentAt) -> Result<(), SelectionError> {
        self.check(at)?;
        self.mark(at);
        Ok(())
    }

    fn check(&self, at: ComponentAt) -> Result<(), SelectionError> {
        let tree = self.writers.writers()[at.writer].tree();
        let chosen = &self.chosen[at.writer];
        let writer = || self.writers.writers()[at.writer].name().to_owned();
        let path = |component| self.writers.writers()[at.writer].path(component);
        let component = || path(at.component);
        if !tree.standing(at.component).may_be_added() {
            let with = tree.selectable_ancestors(at.component).next();
            return Err(SelectionError::ComesOnlyWith {
                writer: writer(),
                component: component(),
                with: with.map(path).unwrap_or_default(),
            });
        }
        if chosen.whole || chosen.added[at.component] {
            return Err(SelectionError::AlreadyAdded {
                writer: writer(),
                component: component(),
            });
        }
        let mut above = tree.selectable_ancestors(at.component);
        if let Some(with) = above.find(|above| chosen.added[*above]) {
            return Err(SelectionError::AlreadyComesWith {
                writer: writer(),
                component: component(),
                with: path(with),
            });
        }
        if tree.standing(at.component).is_selectable() && chosen.below[at.component] > 0 {
            let mut below = tree.below(at.component).iter();
            let below = below.find(|below| chosen.added[**below]);
            return Err(SelectionError::PartAlreadyAdded {
                writer: writer(),
                component: component(),
                below: below.map(|below| path(*below)).unwrap_or_default(),
            });
        }
        Ok(())
    }

    fn mark(&mut self, at: ComponentAt) {
        let tree = self.writers.writers()[at.writer].tree();
        let chosen = &mut self.chosen[at.writer];
        chosen.added[at.component] = true;
        for above in tree.ancestors(at.component) {
            chosen.below[above] += 1;
        }
    }

    fn unmark(&mut self, at: ComponentAt) {
        let tree = self.writers.writers()[at.writer].tree();
        let chosen = &mut self.chosen[at.writer];
        chosen.added[at.component] = false;
        for above in tree.ancestors(at.component) {
            chosen.below[above] -= 1;
        }
    }

    /// Adds a writer as a whole: what must be added, and the topmost selectable
    /// components. Where one of these cannot be in the backup, the selectable ones
    /// below it are added in its place.
    ///
    /// # Panics
    ///
    /// There is no such writer.
    pub fn add_writer(&mut self, writer: usize) {
        self.chosen[writer].whole = true;
    }

    /// Adds every writer as a whole.
    pub fn add_everything(&mut self) {
        for chosen in &mut self.chosen {
            chosen.whole = true;
        }
    }

    /// Adds the components that are in a document, and says which of them cannot be
    /// added.
    pub fn add_document(&mut self, document: &BackupComponentsDocument) -> Vec<SelectionError> {
        let mut errors = Vec::new();
        for writer in &document.writers {
            let mut components: Vec<_> = writer.components.iter().collect();
            // Upper ones first, so that they win over what comes with them.
            components.sort_by_cached_key(|one| one.full_path().matches('\\').count());
            for component in components {
                let added = self.add(&ComponentChoice {
                    writer: writer.writer_id,
                    instance: Some(writer.instance_id),
                    kind: component.component_type.known(),
                    logical_path: component.logical_path.as_deref(),
                    name: &component.name,
                });
                errors.extend(added.err());
            }
        }
        errors
    }

    /// Adds what else must be added of the writers of which anything was ("Definition
    /// of Components by Writers").
    pub fn add_required(&mut self) {
        let writers = Arc::clone(&self.writers);
        for (writer, known) in writers.writers().iter().enumerate() {
            if self.chosen[writer].whole || !self.chosen[writer].is_anything() {
                continue;
            }
            for component in known.tree().required() {
                if !self.chosen[writer].added[component] {
                    self.mark(ComponentAt { writer, component });
                }
            }
        }
    }

    /// Adds whatever the components that were added need: what else of their
    /// writers must be added, and what they depend on, on and on. Gives what was
    /// added ("Dependencies between Components Managed by Different Writers").
    pub fn add_what_is_needed(&mut self) -> Vec<ComponentAt> {
        let writers = Arc::clone(&self.writers);
        let mut needed = Needed {
            covered: self
                .left_out
                .iter()
                .map(|components| vec![false; components.len()])
                .collect(),
            todo: Vec::new(),
            added: Vec::new(),
        };
        for (writer, known) in writers.writers().iter().enumerate() {
            if self.chosen[writer].whole {
                needed.cover(writer, 0..known.tree().len());
                continue;
            }
            for component in 0..known.tree().len() {
                if self.chosen[writer].added[component] {
                    needed.cover_set(&writers, ComponentAt { writer, component });
                }
            }
            if self.chosen[writer].is_anything() {
                self.need_required(&mut needed, writer);
            }
        }
        while let Some(at) = needed.todo.pop() {
            for dependency in &writers.component(at).dependencies {
                if let Target::Here(on) = target(&writers, dependency) {
                    self.add_needed(&mut needed, on);
                }
            }
        }
        needed.added.sort_unstable();
        needed.added
    }

    fn need_required(&mut self, needed: &mut Needed, writer: usize) {
        let writers = Arc::clone(&self.writers);
        for component in writers.writers()[writer].tree().required() {
            let at = ComponentAt { writer, component };
            if !self.chosen[writer].added[component] {
                self.mark(at);
                needed.added.push(at);
                needed.cover(writer, [component]);
            }
        }
    }

    /// Adds a component, or the nearest one that it comes with.
    fn add_needed(&mut self, needed: &mut Needed, on: ComponentAt) {
        if needed.covered[on.writer][on.component] {
            return;
        }
        let writers = Arc::clone(&self.writers);
        let tree = writers.writers()[on.writer].tree();
        let component = if tree.standing(on.component).may_be_added() {
            Some(on.component)
        } else {
            tree.selectable_ancestors(on.component).next()
        };
        let Some(component) = component else { return };
        let at = ComponentAt {
            writer: on.writer,
            component,
        };
        for below in tree.subcomponents(component) {
            if self.chosen[on.writer].added[*below] {
                self.unmark(ComponentAt {
                    writer: on.writer,
                    component: *below,
                });
            }
        }
        let first = !self.chosen[on.writer].is_anything();
        self.mark(at);
        needed.added.push(at);
        needed.cover_set(&writers, at);
        if first {
            self.need_required(needed, on.writer);
        }
    }

    /// Leaves a component out, and with it everything that cannot do without.
    pub fn leave_out(&mut self, at: ComponentAt) {
        self.left_out[at.writer][at.component] = Some(LeftOut::NotWanted);
    }

    /// Leaves a writer out as a whole.
    pub fn leave_out_writer(&mut self, writer: usize) {
        self.left_out[writer].fill(Some(LeftOut::WriterNotWanted));
    }

    /// Leaves out what does not lie wholly on volumes of the shadow copy set, as
    /// `where_lies` says of a path. A file set that a backup of this type does not
    /// need from the shadow copy may lie anywhere. Asked is for the folder where the
    /// backup finds the files: the alternate path where there is one.
    pub fn leave_out_what_is_outside(
        &mut self,
        backup: BackupType,
        mut where_lies: impl FnMut(&Path, Recursion) -> Coverage,
    ) {
        for (writer, left_out) in self.writers.writers().iter().zip(&mut self.left_out) {
            for (component, reason) in writer.metadata().components.iter().zip(left_out) {
                if reason.is_some() {
                    continue;
                }
                let mut sets = component.file_sets();
                *reason = sets.find_map(|files| {
                    if files.read_from(backup) != ReadFrom::ShadowCopy {
                        return None;
                    }
                    let path = files.alternate_path.as_ref().unwrap_or(&files.path);
                    let volume = match where_lies(path, files.recursion) {
                        Coverage::Inside => return None,
                        Coverage::Outside(volume) => Some(volume),
                        Coverage::Unknown => None,
                    };
                    Some(LeftOut::OutsideTheSet {
                        path: path_to_text(path),
                        volume,
                    })
                });
            }
        }
    }

    /// Everything of every writer: what is in the backup, and why the rest is not.
    pub fn backup_set(&self) -> BackupSet {
        BackupSet::of(self)
    }
}

/// The walk along what is needed.
struct Needed {
    covered: Vec<Vec<bool>>,
    /// Components the dependencies of which have not been looked at.
    todo: Vec<ComponentAt>,
    added: Vec<ComponentAt>,
}

impl Needed {
    fn cover(&mut self, writer: usize, components: impl IntoIterator<Item = usize>) {
        for component in components {
            if !std::mem::replace(&mut self.covered[writer][component], true) {
                self.todo.push(ComponentAt { writer, component });
            }
        }
    }

    fn cover_set(&mut self, writers: &WriterTrees, at: ComponentAt) {
        let tree = writers.writers()[at.writer].tree();
        self.cover(at.writer, [at.component]);
        self.cover(at.writer, tree.subcomponents(at.component).iter().copied());
    }
}

impl BackupSelection {
    /// The components that are added of a writer when those left out are known.
    pub(super) fn explicit(&self, writer: usize, left_out: &[Option<LeftOut>]) -> Vec<usize> {
        let tree = self.writers.writers()[writer].tree();
        let chosen = &self.chosen[writer];
        let is_there = |component: usize| left_out[component].is_none();
        let is_topmost = |component| !tree.selectable_ancestors(component).any(is_there);
        (0..tree.len())
            .filter(|component| is_there(*component))
            .filter(|component| match tree.standing(*component) {
                _ if !chosen.whole => chosen.added[*component],
                Standing::Required | Standing::Selectable => true,
                Standing::SelectableSubcomponent => is_topmost(*component),
                Standing::Subcomponent => false,
            })
            .collect()
    }
}
