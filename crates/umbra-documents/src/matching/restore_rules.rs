//! Where the files of a backup go on restore.

use super::{
    folder_index::{Effect, FolderIndex, folder_and_name},
    range_list::{ByteRange, RangeList, RangeListError},
    specification::PathStyle,
};
use crate::{AlternateLocation, ChosenComponent, FileSet, Recursion, WriterMetadata, text_to_path};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};
use umbra_model::{RestoreMethod, RestoreTarget};

/// Why a file goes where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DestinationReason {
    /// It is where it was.
    Original,
    /// The requester wants it there (`AddNewTarget`).
    NewTarget,
    /// The writer wants it there (`AddAlternateLocationMapping`): which of its
    /// mappings, counted from 0.
    AlternateLocation(usize),
}

/// Where a file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The path.
    pub path: PathBuf,
    /// Why there.
    pub reason: DestinationReason,
    /// Where it goes instead, if it cannot go there and the restore method allows
    /// ("Setting VSS Restore Methods").
    pub otherwise: Option<AlternateDestination>,
}

/// A place that a writer named for files that cannot go where they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlternateDestination {
    /// The path.
    pub path: PathBuf,
    /// Which of the writer's alternate location mappings, counted from 0.
    pub mapping: usize,
}

/// A file that must go to an alternate location and has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} must be restored to an alternate location, and its writer has named none for it")]
pub struct NoAlternateLocation(
    /// The path that the file had.
    pub PathBuf,
);

/// Parts of a file that go to parts of another, or of itself ("Working with Directed
/// Targets").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectedPart {
    /// The file in the backup, as it is named there.
    pub source: PathBuf,
    /// The file to write to.
    pub destination: PathBuf,
    /// Each of its parts with the one that it goes to, which is as long.
    pub ranges: Vec<(ByteRange, ByteRange)>,
}

/// Folders that take the place of others.
#[derive(Debug)]
struct Mappings {
    index: FolderIndex,
    from_to: Vec<(PathBuf, PathBuf)>,
    style: PathStyle,
}

impl Mappings {
    fn new<'a>(sets: impl Iterator<Item = (FileSet, &'a Path)>, style: PathStyle) -> Self {
        let mut index = FolderIndex::new(style);
        let mut from_to = Vec::new();
        for (set, to) in sets {
            let rule = from_to.len() as u32;
            let (path, specification) = (&set.path, &set.specification);
            index.add(path, specification, set.recursion, Effect::Remark, rule);
            from_to.push((set.path, to.to_owned()));
        }
        Self {
            index,
            from_to,
            style,
        }
    }

    /// The first of them that means the file.
    fn find(&self, path: &Path) -> Option<AlternateDestination> {
        if self.from_to.is_empty() {
            return None;
        }
        let (folder, name) = folder_and_name(path, self.style)?;
        let mut rules = Vec::new();
        self.index
            .rules(&self.index.find(&folder), name, &mut rules);
        let mapping = *rules.iter().min()? as usize;
        let (from, to) = self.from_to.get(mapping)?;
        let inside = super::file_rules::below(path, from, self.style)?;
        let path = to.join(inside);
        Some(AlternateDestination { path, mapping })
    }
}

/// Where the files of a component go, after PreRestore, when writer and requester
/// have said what they want ("Generating A Restore Set").
///
/// What counts, first to last: a new target of the requester; directed targets, where
/// the restore target says so; the alternate location, where restore target or
/// restore method want it; the place that the file had.
#[derive(Debug)]
pub struct RestoreRules {
    new_targets: Mappings,
    alternate_locations: Mappings,
    directed: HashMap<PathBuf, Vec<DirectedPart>>,
    method: RestoreMethod,
    target: RestoreTarget,
}

impl RestoreRules {
    /// The rules for a component that was chosen, and those that came with it.
    ///
    /// # Errors
    ///
    /// A directed target of which the ranges cannot be read or do not fit.
    pub fn new(
        metadata: &WriterMetadata,
        chosen: &ChosenComponent,
        style: PathStyle,
    ) -> Result<Self, super::FileRulesError> {
        let plan = metadata.restore.as_ref();
        let locations: &[AlternateLocation] =
            plan.map_or(&[], |plan| plan.alternate_locations.as_slice());
        let new_targets: Vec<(FileSet, PathBuf)> = chosen
            .new_targets
            .iter()
            .map(|target| {
                let recursion = Recursion::from(target.recursive.unwrap_or_default());
                let path = text_to_path(&target.path);
                let set = FileSet::new(path, &*target.specification, recursion);
                (set, text_to_path(&target.alternate_path))
            })
            .collect();
        let target = chosen.restore_target.as_ref();
        let target = target.and_then(crate::Term::known);
        let mut directed: HashMap<PathBuf, Vec<DirectedPart>> = HashMap::new();
        if target == Some(RestoreTarget::Directed) {
            for part in &chosen.directed_targets {
                let source = text_to_path(&part.source_path).join(text_to_path(&part.source_name));
                let failed = |cause: RangeListError| super::FileRulesError {
                    path: source.clone(),
                    component: chosen.full_path(),
                    cause,
                };
                let from: RangeList = part.source_ranges.parse().map_err(failed)?;
                let to: RangeList = part.destination_ranges.parse().map_err(failed)?;
                let ranges = from.paired_with(&to).map_err(failed)?.collect();
                let destination =
                    text_to_path(&part.destination_path).join(text_to_path(&part.destination_name));
                directed
                    .entry(source.clone())
                    .or_default()
                    .push(DirectedPart {
                        source,
                        destination,
                        ranges,
                    });
            }
        }
        Ok(Self {
            new_targets: Mappings::new(
                new_targets
                    .iter()
                    .map(|(set, to)| (set.clone(), to.as_path())),
                style,
            ),
            alternate_locations: Mappings::new(
                locations
                    .iter()
                    .map(|one| (one.files.clone(), one.destination.as_path())),
                style,
            ),
            directed,
            method: plan.map_or(RestoreMethod::Undefined, |plan| plan.method),
            target: target.unwrap_or(RestoreTarget::Undefined),
        })
    }

    /// How the writer wants its files put back.
    pub fn method(&self) -> RestoreMethod {
        self.method
    }

    /// The parts that a file is restored in, instead of being restored whole; none
    /// for a file that is not directed.
    pub fn directed(&self, original: &Path) -> &[DirectedPart] {
        if self.new_targets.find(original).is_some() {
            return &[];
        }
        self.directed.get(original).map_or(&[], Vec::as_slice)
    }

    /// Where the file of this path goes.
    ///
    /// # Errors
    ///
    /// It must go to an alternate location and has none.
    pub fn destination(&self, original: &Path) -> Result<Destination, NoAlternateLocation> {
        let to = |path, reason| Destination {
            path,
            reason,
            otherwise: None,
        };
        if let Some(found) = self.new_targets.find(original) {
            return Ok(to(found.path, DestinationReason::NewTarget));
        }
        let mapped = self.alternate_locations.find(original);
        let must = match self.target {
            RestoreTarget::Alternate => true,
            RestoreTarget::OriginalLocation => false,
            _ => self.method == RestoreMethod::RestoreToAlternateLocation,
        };
        if must {
            let found = mapped.ok_or_else(|| NoAlternateLocation(original.to_owned()))?;
            let reason = DestinationReason::AlternateLocation(found.mapping);
            return Ok(to(found.path, reason));
        }
        let otherwise = match self.method {
            RestoreMethod::RestoreIfNotThere | RestoreMethod::RestoreIfCanReplace
                if self.target != RestoreTarget::OriginalLocation =>
            {
                mapped
            }
            _ => None,
        };
        Ok(Destination {
            otherwise,
            ..to(original.to_owned(), DestinationReason::Original)
        })
    }
}
