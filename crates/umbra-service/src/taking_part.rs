//! Which writers take part in a set, and with which components.

use crate::{consistency::join, writers::Gathered};
use std::path::{Path, PathBuf};
use umbra_documents::{Component, FileSet, FreezeLevel, Recursion, WriterIdentity};
use umbra_model::{Consistency, Volume, VolumeId, VssCode, VssError, VssResult};
use umbra_volume::{VolumeListing, Volumes};

/// Which writers a requester wants. Names are compared without case; class and
/// instance ids work too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WriterSelection {
    /// Every writer with data on a volume of the set.
    #[default]
    All,
    /// None.
    None,
    /// These; each must have data on the volumes of the set.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl WriterSelection {
    pub(crate) fn includes(&self, writer: &WriterIdentity) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(names) => names.iter().any(|name| is_called(writer, name)),
            Self::Except(names) => !names.iter().any(|name| is_called(writer, name)),
        }
    }

    /// The names in it.
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Self::All | Self::None => &[],
            Self::Only(names) | Self::Except(names) => names,
        }
    }

    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a name that no writer has.
    pub(crate) fn check(&self, writers: &[Gathered]) -> VssResult<()> {
        let unknown = self.names().iter().find(|name| {
            !writers
                .iter()
                .any(|writer| is_called(&writer.identity, name))
        });
        let Some(unknown) = unknown else {
            return Ok(());
        };
        let there: Vec<_> = writers
            .iter()
            .map(|writer| format!("{:?}", writer.identity.name))
            .collect();
        Err(VssError::new(
            VssCode::ObjectNotFound,
            if there.is_empty() {
                format!("there is no writer {unknown:?}; there are no writers now")
            } else {
                format!("there is no writer {unknown:?}; there is {}", join(&there))
            },
        ))
    }
}

fn is_called(writer: &WriterIdentity, name: &str) -> bool {
    let bare = name.trim_start_matches('{').trim_end_matches('}');
    writer.name.to_lowercase() == name.to_lowercase()
        || writer.id.to_string().eq_ignore_ascii_case(bare)
        || writer.instance.to_string().eq_ignore_ascii_case(bare)
}

/// A writer that takes part: its place in what was gathered, and the components
/// that lie wholly on the volumes of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakesPart {
    pub(crate) index: usize,
    pub(crate) level: FreezeLevel,
    pub(crate) components: Vec<String>,
}

/// Who vouches for the data, and every reason for doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assessment {
    /// The names of the writers that take part and bring their data into shape.
    pub(crate) vouching: Vec<String>,
    /// The names of those that only say where it is, such as express writers. They
    /// neither raise what the set promises nor lower it.
    pub(crate) naming: Vec<String>,
    /// Why there is none, where there is none.
    pub(crate) absence: Absence,
    /// Components that lie only partly on the volumes.
    pub(crate) partial: Vec<Partial>,
    /// Writers with data on the volumes that the requester left out.
    pub(crate) left_out: Vec<String>,
    /// Writers that failed Identify; they may own data on the volumes.
    pub(crate) unidentified: Vec<String>,
}

/// Why no writer takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The context is one without writers.
    Context,
    /// The requester wants none.
    NoneSelected,
    /// None has data there.
    NoData,
}

/// A component that lies only partly on the volumes of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) writer: String,
    pub(crate) component: String,
    pub(crate) path: PathBuf,
    pub(crate) lies_on: String,
}

impl Assessment {
    /// Without any writer.
    pub(crate) fn without(absence: Absence) -> Self {
        Self {
            vouching: Vec::new(),
            naming: Vec::new(),
            absence,
            partial: Vec::new(),
            left_out: Vec::new(),
            unidentified: Vec::new(),
        }
    }

    /// Every reason why the set is not application-consistent.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let plural = |names: &[String], one: &'static str, more: &'static str| {
            if names.len() == 1 { one } else { more }
        };
        let mut doubts = Vec::new();
        if self.vouching.is_empty() && self.partial.is_empty() {
            match self.absence {
                Absence::Context => {
                    doubts.push("the context is one without writers".to_owned());
                }
                Absence::NoneSelected => doubts.push("no writer was selected".to_owned()),
                Absence::NoData if !self.naming.is_empty() => doubts.push(format!(
                    "{} only {} where the data is and {} nothing to it",
                    join(&self.naming),
                    plural(&self.naming, "says", "say"),
                    plural(&self.naming, "does", "do")
                )),
                Absence::NoData if self.left_out.is_empty() => {
                    doubts.push("no writer has data on these volumes".to_owned());
                }
                Absence::NoData => {}
            }
        }
        for partial in &self.partial {
            doubts.push(format!(
                "{} does not vouch for {:?}: its path {} lies on {}, which is not in the set",
                partial.writer,
                partial.component,
                partial.path.display(),
                partial.lies_on
            ));
        }
        if !self.left_out.is_empty() {
            let names = &self.left_out;
            doubts.push(format!(
                "{} {} on these volumes and {} left out",
                join(names),
                plural(names, "has data", "have data"),
                plural(names, "was", "were")
            ));
        }
        if !self.unidentified.is_empty() {
            let names = &self.unidentified;
            doubts.push(format!(
                "{} could not say what {}, which may be on these volumes",
                join(names),
                plural(names, "it owns", "they own")
            ));
        }
        doubts
    }
}

/// Decides who takes part. Blocks: it asks the storage where paths lie.
///
/// # Errors
///
/// A writer that was asked for by name cannot take part: its failure at
/// Identify, or `VSS_E_UNSELECTED_VOLUME` where no component of it lies wholly
/// on the volumes of the set. Or the mount table cannot be read.
pub(crate) fn assess(
    gathered: &[Gathered],
    selection: &WriterSelection,
    set: &[Volume],
    volumes: &dyn Volumes,
) -> VssResult<(Vec<TakesPart>, Assessment)> {
    let absence = match selection {
        WriterSelection::None => Absence::NoneSelected,
        _ => Absence::NoData,
    };
    let mut assessment = Assessment::without(absence);
    let mut taking_part = Vec::new();
    let map = Map {
        set,
        volumes,
        listing: volumes.list()?,
    };
    for (index, writer) in gathered.iter().enumerate() {
        let name = writer.identity.name.clone();
        let selected = selection.includes(&writer.identity);
        let by_name = selected && matches!(selection, WriterSelection::Only(_));
        let metadata = match &writer.metadata {
            Ok(metadata) => metadata,
            Err(failure) if by_name => return Err(failure.clone()),
            Err(_) => {
                assessment.unidentified.push(name);
                continue;
            }
        };
        let mut whole = Vec::new();
        let mut partial = Vec::new();
        let mut elsewhere = Vec::new();
        for component in &metadata.components {
            match map.place(component) {
                Place::Inside => whole.push(component.full_path()),
                Place::Outside(lies_on) => elsewhere.extend(lies_on),
                Place::Partly { path, lies_on } => partial.push(Partial {
                    writer: name.clone(),
                    component: component.full_path(),
                    path,
                    lies_on,
                }),
            }
        }
        if !selected {
            let has_data = !whole.is_empty() || !partial.is_empty();
            // One that does nothing to its data is missed by nobody.
            if has_data && writer.writer.vouches_for() == Consistency::Application {
                assessment.left_out.push(name);
            }
            continue;
        }
        if by_name && whole.is_empty() {
            elsewhere.extend(partial.into_iter().map(|partial| partial.lies_on));
            return Err(not_on_the_set(&name, elsewhere));
        }
        assessment.partial.extend(partial);
        if !whole.is_empty() {
            match writer.writer.vouches_for() {
                Consistency::Application => assessment.vouching.push(name),
                Consistency::Filesystem | Consistency::Crash => assessment.naming.push(name),
            }
            taking_part.push(TakesPart {
                index,
                level: metadata.level,
                components: whole,
            });
        }
    }
    Ok((taking_part, assessment))
}

fn not_on_the_set(writer: &str, mut elsewhere: Vec<String>) -> VssError {
    elsewhere.sort();
    elsewhere.dedup();
    VssError::new(
        VssCode::UnselectedVolume,
        if elsewhere.is_empty() {
            format!(
                "the writer {writer:?} was asked for, but says that it owns no files; leave it out"
            )
        } else {
            format!(
                "the writer {writer:?} was asked for, but no component of it lies wholly on the \
                 volumes of the set; it has data on {}; add that, or leave the writer out",
                join(&elsewhere)
            )
        },
    )
}

/// Where the files of a component are.
enum Place {
    /// Wholly on volumes of the set.
    Inside,
    /// Not there at all, but on these.
    Outside(Vec<String>),
    /// This path of it is not.
    Partly { path: PathBuf, lies_on: String },
}

struct Map<'a> {
    set: &'a [Volume],
    volumes: &'a dyn Volumes,
    listing: Vec<VolumeListing>,
}

impl Map<'_> {
    fn place(&self, component: &Component) -> Place {
        let mut inside = false;
        let mut outside = Vec::new();
        for files in &component.files {
            match self.containing(&files.path) {
                Ok(volume) if self.has(&volume.id) => {
                    inside = true;
                    outside.extend(self.below(files));
                }
                Ok(volume) => {
                    let lies_on = format!("the volume {}", volume.mount_point.display());
                    outside.push((files.path.clone(), lies_on));
                    // A tree may reach from outside into a volume of the set.
                    inside |= self.reaches_into_the_set(files);
                }
                Err(why) => {
                    let lies_on = format!("no volume ({})", why.message());
                    outside.push((files.path.clone(), lies_on));
                    inside |= self.reaches_into_the_set(files);
                }
            }
        }
        match (inside, outside.is_empty()) {
            (true, true) => Place::Inside,
            (false, _) => Place::Outside(outside.into_iter().map(|(_, on)| on).collect()),
            (true, false) => {
                let (path, lies_on) = outside.swap_remove(0);
                Place::Partly { path, lies_on }
            }
        }
    }

    /// The file systems of a tree that are mounted below its path and are not in
    /// the set.
    fn below(&self, files: &FileSet) -> Option<(PathBuf, String)> {
        self.mounted_below(files)
            .find(|listing| !matches!(&listing.volume, Ok(volume) if self.has(&volume.id)))
            .map(|listing| {
                let mount_point = &listing.mount_point;
                (
                    mount_point.clone(),
                    format!("the file system at {}", mount_point.display()),
                )
            })
    }

    fn reaches_into_the_set(&self, files: &FileSet) -> bool {
        self.mounted_below(files)
            .any(|listing| matches!(&listing.volume, Ok(volume) if self.has(&volume.id)))
    }

    fn mounted_below(&self, files: &FileSet) -> impl Iterator<Item = &VolumeListing> {
        // Mount points have no symbolic links in them; the path may have.
        let path = std::fs::canonicalize(&files.path).unwrap_or_else(|_| files.path.clone());
        let tree = files.recursion == Recursion::Tree;
        self.listing.iter().filter(move |listing| {
            tree && listing.mount_point != path && listing.mount_point.starts_with(&path)
        })
    }

    /// The volume of a path, or of the nearest folder above it that there is.
    fn containing(&self, path: &Path) -> VssResult<Volume> {
        let mut path = path;
        loop {
            match (self.volumes.containing(path), path.parent()) {
                (Err(error), Some(parent))
                    if error.code() == VssCode::ObjectNotFound
                        && std::fs::symlink_metadata(path).is_err() =>
                {
                    path = parent;
                }
                (found, _) => return found,
            }
        }
    }

    fn has(&self, id: &VolumeId) -> bool {
        self.set.iter().any(|volume| volume.id == *id)
    }
}
