//! What is restored, and why the rest of a backup is not ("Generating a Restore
//! Set").

use super::{
    ComponentAt, DependencyState, Standing, WriterEvent, WriterTrees, dependencies::states,
    restore::stored_writer,
};
use crate::{BackupComponentsDocument, ChosenComponent, WriterComponents, canonical_path};
use serde::Serialize;
use std::{collections::HashSet, fmt};
use umbra_model::{SubscribeMask, WriterId, WriterInstanceId};

/// What was selected of a backup for a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreSet {
    /// The writers of the Backup Components Document, in its order.
    pub writers: Vec<WriterInRestore>,
}

/// What was selected of a writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriterInRestore {
    /// Its class.
    pub id: WriterId,
    /// The instance that the backup was of.
    pub instance: WriterInstanceId,
    /// Its name, where its metadata was stored.
    pub name: Option<String>,
    /// The components that were in the backup, those that came with others too.
    pub components: Vec<ComponentInRestore>,
    /// What the restored components need of other writers.
    pub dependencies: Vec<DependencyState>,
    takes_part: bool,
}

/// A component of a backup, and whether it is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentInRestore {
    /// Logical path and name.
    pub path: String,
    /// Where its file sets are; nowhere if its metadata was not stored.
    #[serde(skip)]
    pub at: Option<ComponentAt>,
    /// What a requester may do with it in a backup, where that is known.
    pub standing: Option<Standing>,
    /// Whether it is restored.
    pub inclusion: RestoreInclusion,
}

/// Whether a component is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "inclusion", rename_all = "kebab-case")]
pub enum RestoreInclusion {
    /// It was added to the backup and is selected for restore
    /// (`SetSelectedForRestore`).
    Explicit,
    /// It was added as a subcomponent of one that is (`AddRestoreSubcomponent`).
    Subcomponent {
        /// The component that was added to the backup.
        of: String,
    },
    /// It comes with one above it.
    Implicit {
        /// The component that is selected for restore, or was added as a
        /// subcomponent.
        with: String,
    },
    /// It is not restored.
    NotRestored(NotRestored),
}

impl RestoreInclusion {
    /// Whether it is restored.
    pub fn is_included(&self) -> bool {
        !matches!(self, Self::NotRestored(_))
    }
}

/// Why a component of a backup is not restored. As text, what stands behind "the
/// component X is not restored: ".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NotRestored {
    /// It is not selected for restore.
    NotSelected,
    /// It is not selected for restore, but must be: others of its writer are, and
    /// its writer is backed up and restored only with it.
    RequiredNotSelected,
    /// It came with a component that is not selected for restore.
    AncestorNotSelected {
        /// The component that was added to the backup.
        ancestor: String,
    },
    /// Of the component that was added to the backup, only subcomponents are
    /// restored, and it is none of them.
    OnlySubcomponents {
        /// The component that was added to the backup.
        of: String,
    },
}

impl fmt::Display for NotRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelected => f.write_str("it is not selected for restore"),
            Self::RequiredNotSelected => f.write_str(
                "it is not selected for restore, but must be, since other components of its \
                 writer are",
            ),
            Self::AncestorNotSelected { ancestor } => {
                write!(
                    f,
                    "it comes with {ancestor}, which is not selected for restore"
                )
            }
            Self::OnlySubcomponents { of } => {
                write!(
                    f,
                    "only other subcomponents of {of} are selected for restore"
                )
            }
        }
    }
}

impl WriterInRestore {
    /// Whether any component of it is selected for restore. A writer of which none is
    /// gets no events ("Use of Components by the Requester").
    pub fn takes_part(&self) -> bool {
        self.takes_part
    }

    /// The events that it gets from now on, where it subscribed so.
    pub fn events(&self, mask: SubscribeMask) -> Vec<WriterEvent> {
        WriterEvent::of(&WriterEvent::RESTORE, self.takes_part, mask)
    }

    /// What the restored components depend on and does not take part.
    pub fn unmet(&self) -> impl Iterator<Item = &DependencyState> {
        self.dependencies.iter().filter(|one| !one.status.is_met())
    }
}

impl RestoreSet {
    /// The components that are restored. The files of a restore are the file sets
    /// of all of them.
    pub fn included(&self) -> impl Iterator<Item = ComponentAt> {
        let components = self.writers.iter().flat_map(|writer| &writer.components);
        components
            .filter(|component| component.inclusion.is_included())
            .filter_map(|component| component.at)
    }

    pub(super) fn of(stored: &WriterTrees, document: &BackupComponentsDocument) -> Self {
        let writers = document.writers.iter();
        let mut set = Self {
            writers: writers
                .map(|writer| writer_in_restore(stored, writer))
                .collect(),
        };
        let included: HashSet<ComponentAt> = set.included().collect();
        for writer in &mut set.writers {
            let components = writer
                .components
                .iter()
                .filter_map(|component| component.at);
            let components = components.filter(|at| included.contains(at));
            writer.dependencies = states(stored, components, |at| included.contains(&at));
        }
        set
    }
}

fn writer_in_restore(stored: &WriterTrees, writer: &WriterComponents) -> WriterInRestore {
    let index = stored_writer(stored, writer);
    let is_selected = |one: &ChosenComponent| one.selected_for_restore == Some(true);
    let takes_part = writer.components.iter().any(is_selected);
    let mut components = Vec::new();
    // What was added, so that nothing counts as having come with something else.
    let added: HashSet<usize> = index.map_or_else(HashSet::new, |index| {
        let tree = stored.writers()[index].tree();
        let paths = writer.components.iter().map(ChosenComponent::full_path);
        paths.filter_map(|path| tree.find_full(&path)).collect()
    });
    for one in &writer.components {
        let path = canonical_path(&one.full_path()).into_owned();
        let place = index.and_then(|index| {
            let component = stored.writers()[index].tree().find_full(&path)?;
            Some(ComponentAt {
                writer: index,
                component,
            })
        });
        let standing = place.map(|at| {
            let tree = stored.writers()[at.writer].tree();
            tree.standing(at.component)
        });
        let is_required = standing == Some(Standing::Required);
        let inclusion = match (is_selected(one), one.restore_subcomponents.is_empty()) {
            (true, true) => RestoreInclusion::Explicit,
            (true, false) => {
                RestoreInclusion::NotRestored(NotRestored::OnlySubcomponents { of: path.clone() })
            }
            (false, _) if is_required && takes_part => {
                RestoreInclusion::NotRestored(NotRestored::RequiredNotSelected)
            }
            (false, _) => RestoreInclusion::NotRestored(NotRestored::NotSelected),
        };
        components.push(ComponentInRestore {
            path: path.clone(),
            at: place,
            standing,
            inclusion,
        });
        let Some(at) = place else { continue };
        let known = &stored.writers()[at.writer];
        let tree = known.tree();
        let chosen: HashSet<usize> = one
            .restore_subcomponents
            .iter()
            .filter_map(|below| tree.find(below.logical_path.as_deref(), &below.name))
            .collect();
        for below in tree.subcomponents(at.component) {
            let owner = tree.ancestors(*below).find(|above| added.contains(above));
            if added.contains(below) || owner != Some(at.component) {
                continue;
            }
            let mut above = tree.ancestors(*below);
            let inclusion = if !is_selected(one) {
                RestoreInclusion::NotRestored(NotRestored::AncestorNotSelected {
                    ancestor: path.clone(),
                })
            } else if chosen.contains(below) {
                RestoreInclusion::Subcomponent { of: path.clone() }
            } else if one.restore_subcomponents.is_empty() {
                RestoreInclusion::Implicit { with: path.clone() }
            } else if let Some(with) = above.find(|above| chosen.contains(above)) {
                RestoreInclusion::Implicit {
                    with: known.path(with),
                }
            } else {
                RestoreInclusion::NotRestored(NotRestored::OnlySubcomponents { of: path.clone() })
            };
            components.push(ComponentInRestore {
                path: known.path(*below),
                at: Some(ComponentAt {
                    writer: at.writer,
                    component: *below,
                }),
                standing: Some(tree.standing(*below)),
                inclusion,
            });
        }
    }
    WriterInRestore {
        id: writer.writer_id,
        instance: writer.instance_id,
        name: index.map(|index| stored.writers()[index].name().to_owned()),
        components,
        dependencies: Vec::new(),
        takes_part,
    }
}
