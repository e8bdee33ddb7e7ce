//! What is in a backup, and why the rest is not ("Generating A Backup Set").

use super::{
    BackupSelection, ComponentAt, DependencyState, Standing, WriterEvent, WriterTrees,
    dependencies::states, exclusion::spread,
};
use crate::{ChosenComponent, WriterComponents};
use serde::Serialize;
use std::fmt;
use umbra_model::{BackupSchema, SubscribeMask, WriterId, WriterInstanceId};

/// What was selected of every writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupSet {
    /// Every writer, in the order of the [`WriterTrees`].
    pub writers: Vec<WriterInBackup>,
}

/// What was selected of a writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriterInBackup {
    /// Its class.
    pub id: WriterId,
    /// Its instance.
    pub instance: WriterInstanceId,
    /// Its name.
    pub name: String,
    /// Every component of it, in the order of its metadata.
    pub components: Vec<ComponentInBackup>,
    /// What the included components need of other writers.
    pub dependencies: Vec<DependencyState>,
}

/// A component, and whether it is in the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentInBackup {
    /// Logical path and name.
    pub path: String,
    /// What a requester may do with it.
    pub standing: Standing,
    /// Whether it is included.
    pub inclusion: Inclusion,
}

/// Whether a component is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "inclusion", rename_all = "kebab-case")]
pub enum Inclusion {
    /// It was added, and stands in the Backup Components Document.
    Explicit,
    /// It comes with one above it. What is set or told about it is set and told
    /// there ("Selectability and Working with Component Properties").
    Implicit {
        /// Logical path and name of the component that was added.
        with: String,
    },
    /// It is left out.
    LeftOut(LeftOut),
}

impl Inclusion {
    /// Whether it is in the backup, either way.
    pub fn is_included(&self) -> bool {
        !matches!(self, Self::LeftOut(_))
    }
}

/// Why a component is not in a backup. As text, what stands behind "the component X
/// is left out: ".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeftOut {
    /// It could have been added and was not.
    NotChosen,
    /// It comes only with a component that was not added.
    AncestorNotChosen {
        /// The nearest such component.
        ancestor: String,
    },
    /// It must be added, since another of the writer was, and was not.
    RequiredNotChosen,
    /// The requester leaves it out.
    NotWanted,
    /// The requester leaves its writer out.
    WriterNotWanted,
    /// Some of its files are on no volume of the shadow copy set.
    OutsideTheSet {
        /// The folder.
        path: String,
        /// The volume that it, or a part of it, lies on, where that is known.
        volume: Option<String>,
    },
    /// It is a unit with one below it, which is left out.
    SubcomponentLeftOut {
        /// The component below it.
        subcomponent: String,
    },
    /// It comes only with components that are left out.
    AncestorLeftOut {
        /// One of them.
        ancestor: String,
    },
    /// Its writer is left out as a whole, since something required of it is.
    RequiredLeftOut {
        /// The required component.
        required: String,
    },
    /// It depends on a component of another writer, which is left out.
    DependencyLeftOut {
        /// The name of the other writer.
        writer: String,
        /// Logical path and name of the other component.
        component: String,
    },
}

impl LeftOut {
    /// Whether something stands against the component, rather than nobody having
    /// asked for it.
    pub fn is_hindrance(&self) -> bool {
        !matches!(self, Self::NotChosen | Self::AncestorNotChosen { .. })
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotChosen => f.write_str("it was not chosen"),
            Self::AncestorNotChosen { ancestor } => {
                write!(f, "it comes only with {ancestor}, which was not chosen")
            }
            Self::RequiredNotChosen => f.write_str(
                "it was not chosen, but must be, since other components of its writer are",
            ),
            Self::NotWanted => f.write_str("it was excluded"),
            Self::WriterNotWanted => f.write_str("its writer was excluded"),
            Self::OutsideTheSet {
                path,
                volume: Some(volume),
            } if path == volume => write!(f, "it lies on {volume}, which is not in the set"),
            Self::OutsideTheSet {
                path,
                volume: Some(volume),
            } => write!(
                f,
                "it has files in {path}, on {volume}, which is not in the set"
            ),
            Self::OutsideTheSet { path, volume: None } => {
                write!(
                    f,
                    "it has files in {path}, which is on no volume of the set"
                )
            }
            Self::SubcomponentLeftOut { subcomponent } => write!(
                f,
                "it can only be backed up with {subcomponent}, which is left out"
            ),
            Self::AncestorLeftOut { ancestor } => {
                write!(f, "it comes only with {ancestor}, which is left out")
            }
            Self::RequiredLeftOut { required } => write!(
                f,
                "its writer can only be backed up with {required}, which is left out"
            ),
            Self::DependencyLeftOut { writer, component } => write!(
                f,
                "it depends on {component} of the writer {writer}, which is left out"
            ),
        }
    }
}

impl WriterInBackup {
    /// Whether any component of it is in the backup. A writer of which there is none
    /// takes no part: it gets no events ("Working with Selectability and Logical
    /// Paths").
    pub fn takes_part(&self) -> bool {
        let mut components = self.components.iter();
        components.any(|component| component.inclusion.is_included())
    }

    /// The events that it gets from now on, where it subscribed so.
    pub fn events(&self, mask: SubscribeMask) -> Vec<WriterEvent> {
        WriterEvent::of(&WriterEvent::BACKUP, self.takes_part(), mask)
    }

    /// The components that are required and were not added. A requester has to add
    /// them ([`BackupSelection::add_what_is_needed`]).
    pub fn missing(&self) -> impl Iterator<Item = &ComponentInBackup> {
        self.components.iter().filter(|component| {
            component.inclusion == Inclusion::LeftOut(LeftOut::RequiredNotChosen)
        })
    }

    /// What the included components depend on and does not take part.
    pub fn unmet(&self) -> impl Iterator<Item = &DependencyState> {
        self.dependencies.iter().filter(|one| !one.status.is_met())
    }

    /// A sentence for each component that is left out although it was asked for,
    /// must be included, or comes with one that was asked for.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        self.components
            .iter()
            .filter_map(|one| match &one.inclusion {
                Inclusion::LeftOut(reason) if reason.is_hindrance() => Some(format!(
                    "the component {} of the writer {} is left out: {reason}",
                    one.path, self.name
                )),
                _ => None,
            })
    }
}

impl BackupSet {
    /// The components that are in the backup, with the component that each comes
    /// with: itself where it was added. The files of a backup are the file sets of
    /// all of them.
    pub fn included(&self) -> impl Iterator<Item = ComponentAt> {
        let writers = self.writers.iter().enumerate();
        writers.flat_map(|(writer, one)| {
            let components = one.components.iter().enumerate();
            components
                .filter(|(_, component)| component.inclusion.is_included())
                .map(move |(component, _)| ComponentAt { writer, component })
        })
    }

    /// What a Backup Components Document says of it: the writers that take part,
    /// with the components that were added.
    ///
    /// # Panics
    ///
    /// `writers` are not those that were selected from.
    pub fn writer_components(&self, writers: &WriterTrees) -> Vec<WriterComponents> {
        let mut all = Vec::new();
        for (writer, one) in writers.writers().iter().zip(&self.writers) {
            if !one.takes_part() {
                continue;
            }
            let metadata = writer.metadata();
            let mut components = WriterComponents::new(one.id, one.instance);
            components.backup_schema = (metadata.backup_schema != BackupSchema::default())
                .then_some(metadata.backup_schema);
            let known = metadata.components.iter().zip(&one.components);
            components.components = known
                .filter(|(_, component)| component.inclusion == Inclusion::Explicit)
                .map(|(known, _)| {
                    ChosenComponent::new(known.logical_path.clone(), &known.name, known.kind)
                })
                .collect();
            all.push(components);
        }
        all
    }

    pub(super) fn of(selection: &BackupSelection) -> Self {
        let trees = &selection.writers;
        let left_out = spread(trees, selection.left_out.clone());
        let mut writers: Vec<WriterInBackup> = Vec::with_capacity(trees.writers().len());
        for (index, left_out) in left_out.into_iter().enumerate() {
            writers.push(writer_in_backup(selection, index, left_out));
        }
        let mut set = Self { writers };
        for index in 0..set.writers.len() {
            let components = 0..set.writers[index].components.len();
            let included = components
                .map(|component| ComponentAt {
                    writer: index,
                    component,
                })
                .filter(|at| set.is_included(*at));
            set.writers[index].dependencies = states(trees, included, |at| set.is_included(at));
        }
        set
    }

    /// Whether a component is in the backup.
    ///
    /// # Panics
    ///
    /// There is no such component.
    pub fn is_included(&self, at: ComponentAt) -> bool {
        let component = &self.writers[at.writer].components[at.component];
        component.inclusion.is_included()
    }
}

fn writer_in_backup(
    selection: &BackupSelection,
    index: usize,
    mut left_out: Vec<Option<LeftOut>>,
) -> WriterInBackup {
    let writer = &selection.writers.writers()[index];
    let (tree, chosen) = (writer.tree(), &selection.chosen[index]);
    let explicit = selection.explicit(index, &left_out);
    let mut with = vec![None; tree.len()];
    for component in &explicit {
        with[*component] = Some(*component);
        for below in tree.subcomponents(*component) {
            with[*below] = Some(*component);
        }
    }
    // What would come with what was added, were that not left out.
    let mut would_come_with = vec![None; tree.len()];
    for component in (0..tree.len()).filter(|component| chosen.added[*component]) {
        for below in tree.subcomponents(component) {
            would_come_with[*below] = Some(component);
        }
    }
    let is_anything = chosen.is_anything();
    let mut reason = |component: usize| {
        let standing = tree.standing(component);
        let is_required = standing == Standing::Required;
        let because = left_out[component].take();
        if chosen.whole || chosen.added[component] || (is_required && is_anything) {
            return match because {
                Some(because) => because,
                None if is_required && !explicit.is_empty() => LeftOut::RequiredNotChosen,
                None => LeftOut::NotChosen,
            };
        }
        if let Some(above) = would_come_with[component] {
            return because.unwrap_or_else(|| LeftOut::AncestorLeftOut {
                ancestor: writer.path(above),
            });
        }
        match tree.selectable_ancestors(component).next() {
            Some(above) if standing == Standing::Subcomponent => LeftOut::AncestorNotChosen {
                ancestor: writer.path(above),
            },
            _ => LeftOut::NotChosen,
        }
    };
    let components = (0..tree.len())
        .map(|component| ComponentInBackup {
            path: writer.path(component),
            standing: tree.standing(component),
            inclusion: match with[component] {
                Some(itself) if itself == component => Inclusion::Explicit,
                Some(above) => Inclusion::Implicit {
                    with: writer.path(above),
                },
                None => Inclusion::LeftOut(reason(component)),
            },
        })
        .collect();
    let identity = &writer.metadata().identity;
    WriterInBackup {
        id: identity.id,
        instance: identity.instance,
        name: identity.name.clone(),
        components,
        dependencies: Vec::new(),
    }
}
