//! Everything that writer and requester said about which files a backup has, made
//! ready for somebody who walks through folders.

use super::{
    backup_request::{
        BackupRequest, ChosenFile, FileRulesError, PartialFileRule, PartialFileSupport, Take,
        ViewKind,
    },
    backup_type::ReadFrom,
    folder_index::{Effect, FolderIndex, Position, folder_and_name, parts},
    range_list::PartialRanges,
    specification::{FileSpecification, PathStyle},
};
use crate::{
    ChosenComponent, Component, FileSet, FileTime, PartialFile, Recursion, WriterMetadata,
    text_to_path,
};
use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};
use umbra_model::BackupType;

#[derive(Debug)]
enum Kind {
    /// A file set.
    Set,
    Differenced(Since),
    /// The number of the partial file.
    Partial(usize),
    Excluded,
    NotInShadowCopy,
}

/// The sooner, the more files it takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Since {
    Ever,
    Lsn(String),
    Time(FileTime),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternate {
    /// Where the files are found.
    found: PathBuf,
    /// The folder that they belong to.
    meant: PathBuf,
}

#[derive(Debug)]
struct Rule {
    kind: Kind,
    read_from: ReadFrom,
    alternate: Option<Alternate>,
}

/// Which files belong to one or more components of a writer.
///
/// What counts, first to last ("Requester Role in VSS Incremental and Differential
/// Backups", "Generating A Backup Set"):
///
/// 1. A partial file: the parts of it that the writer named, whatever else is said
///    of the file.
/// 2. A file that the writer excluded is left out, wherever a backup finds it: the
///    path that counts is the one it belongs to, not the alternate one.
/// 3. A differenced file is taken if it changed. In a full backup or a copy it is
///    taken in any case.
/// 4. A file of a file set that this kind of backup needs is taken. Where several
///    have it and one has an alternate path, that is where it is taken from; where
///    one wants it from the shadow copy, that is what it is read from.
#[derive(Debug)]
pub struct FileRules {
    /// By the path that files belong to.
    by_path: FolderIndex,
    /// By the path that files are found at, where that is another.
    by_alternate: Option<FolderIndex>,
    style: PathStyle,
    rules: Vec<Rule>,
    partial_files: Vec<PartialFileRule>,
    conflicts: Vec<PathBuf>,
}

/// A folder, for somebody who walks: which rules are to be thought of there.
#[derive(Debug, Clone)]
pub struct Place {
    by_path: Position,
    by_alternate: Option<Position>,
}

impl FileRules {
    /// The rules for the backup of a component, together with those that come with
    /// it: what was chosen holds for the whole component set. The first part of
    /// `components` is the chosen one by custom; their order does not matter.
    ///
    /// # Errors
    ///
    /// A partial file of which the ranges cannot be read.
    pub fn for_backup(
        metadata: &WriterMetadata,
        components: &[&Component],
        chosen: Option<&ChosenComponent>,
        request: &BackupRequest,
        style: PathStyle,
    ) -> Result<Self, FileRulesError> {
        let mut rules = Self::empty(style);
        let backup = request.backup_type;
        for set in components.iter().flat_map(|one| one.file_sets_for(backup)) {
            rules.add_set(set, Kind::Set, set.read_from(backup));
        }
        for set in &metadata.excluded {
            rules.add(set, Kind::Excluded, Effect::LeaveOut);
        }
        for set in &metadata.excluded_from_snapshot {
            rules.add(set, Kind::NotInShadowCopy, Effect::Remark);
        }
        if let Some(chosen) = chosen {
            rules.add_differenced(components, chosen, request);
            rules.add_partial(components, chosen, request)?;
        }
        Ok(rules)
    }

    /// The rules for the files that no component of the writer has and that are to be
    /// backed up (`AddIncludeFiles`).
    pub fn for_included(metadata: &WriterMetadata, style: PathStyle) -> Self {
        let mut rules = Self::empty(style);
        for set in &metadata.included {
            rules.add_set(set, Kind::Set, ReadFrom::ShadowCopy);
        }
        for set in &metadata.excluded {
            rules.add(set, Kind::Excluded, Effect::LeaveOut);
        }
        rules
    }

    /// The rules by which the files of a backup are told apart: every file set counts
    /// whatever its mask, under the path that files belong to ("Generating A Restore
    /// Set"). What was excluded is not in the backup.
    ///
    /// # Errors
    ///
    /// A partial file of which the ranges cannot be read.
    pub fn for_restore(
        components: &[&Component],
        chosen: Option<&ChosenComponent>,
        style: PathStyle,
    ) -> Result<Self, FileRulesError> {
        let mut rules = Self::empty(style);
        for set in components.iter().flat_map(|one| one.file_sets()) {
            rules.add(set, Kind::Set, Effect::Search);
        }
        if let Some(chosen) = chosen {
            let request = BackupRequest::new(BackupType::Full);
            rules.add_differenced(&[], chosen, &request);
            rules.add_partial(&[], chosen, &request)?;
        }
        Ok(rules)
    }

    fn empty(style: PathStyle) -> Self {
        Self {
            by_path: FolderIndex::new(style),
            by_alternate: None,
            style,
            rules: Vec::new(),
            partial_files: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    /// A rule for files under the path that they belong to.
    fn add(&mut self, set: &FileSet, kind: Kind, effect: Effect) {
        let rule = self.rules.len() as u32;
        self.by_path
            .add(&set.path, &set.specification, set.recursion, effect, rule);
        self.rules.push(Rule {
            kind,
            read_from: ReadFrom::ShadowCopy,
            alternate: None,
        });
    }

    /// A rule that takes files, from the alternate path where there is one.
    fn add_set(&mut self, set: &FileSet, kind: Kind, read_from: ReadFrom) {
        let rule = self.rules.len() as u32;
        let (specification, recursion) = (&set.specification, set.recursion);
        let mut effect = Effect::Search;
        if let Some(found) = &set.alternate_path {
            effect = Effect::Remark;
            let index = self
                .by_alternate
                .get_or_insert_with(|| FolderIndex::new(self.style));
            index.add(found, specification, recursion, Effect::Search, rule);
        }
        self.by_path
            .add(&set.path, specification, recursion, effect, rule);
        let alternate = set.alternate_path.clone().map(|found| Alternate {
            found,
            meant: set.path.clone(),
        });
        self.rules.push(Rule {
            kind,
            read_from,
            alternate,
        });
    }

    /// A differenced file set that is one of the component's has that set's
    /// alternate path; any other is added as it is ("Requester Role in Backing Up
    /// Complex Stores", file specification rules).
    fn add_differenced(
        &mut self,
        components: &[&Component],
        chosen: &ChosenComponent,
        request: &BackupRequest,
    ) {
        let backup = request.backup_type;
        for differenced in &chosen.differenced_files {
            let recursion = Recursion::from(differenced.recursive.unwrap_or_default());
            let path = text_to_path(&differenced.path);
            let alone = FileSet::new(path, &*differenced.specification, recursion);
            let mut sets = components.iter().flat_map(|one| one.file_sets());
            let set = sets.find(|set| set.is_same_place(&alone)).unwrap_or(&alone);
            let since = match backup {
                BackupType::Incremental | BackupType::Differential | BackupType::Log => {
                    let time = differenced.last_modified.filter(|time| time.units() != 0);
                    let lsn = differenced.lsn.clone().filter(|lsn| !lsn.is_empty());
                    match (lsn, time.or(request.last_backup)) {
                        (Some(lsn), _) => Since::Lsn(lsn),
                        (None, Some(time)) => Since::Time(time),
                        (None, None) => Since::Ever,
                    }
                }
                _ => Since::Ever,
            };
            self.add_set(set, Kind::Differenced(since), set.read_from(backup));
        }
    }

    fn add_partial(
        &mut self,
        components: &[&Component],
        chosen: &ChosenComponent,
        request: &BackupRequest,
    ) -> Result<(), FileRulesError> {
        if chosen.partial_files.is_empty() {
            return Ok(());
        }
        let sets: Vec<&FileSet> = components.iter().flat_map(|one| one.file_sets()).collect();
        let mut index = FolderIndex::new(self.style);
        for (number, set) in sets.iter().enumerate() {
            let (path, specification) = (&set.path, &set.specification);
            index.add(
                path,
                specification,
                set.recursion,
                Effect::Remark,
                number as u32,
            );
        }
        for partial in &chosen.partial_files {
            self.add_partial_file(partial, &sets, &index, chosen, request)?;
        }
        Ok(())
    }

    fn add_partial_file(
        &mut self,
        partial: &PartialFile,
        sets: &[&FileSet],
        index: &FolderIndex,
        chosen: &ChosenComponent,
        request: &BackupRequest,
    ) -> Result<(), FileRulesError> {
        let original = partial.full_path();
        let failed = |cause| FileRulesError {
            path: original.clone(),
            component: chosen.full_path(),
            cause,
        };
        let ranges = partial.partial_ranges().map_err(failed)?;
        let folder = text_to_path(&partial.path);
        let name = crate::text_to_bytes(&partial.name);
        // Whatever kind of backup its file sets are for, it is where they are.
        let mut covering = Vec::new();
        index.rules(&index.find(&folder), &name, &mut covering);
        covering.sort_unstable();
        let covering: Vec<&FileSet> = covering
            .iter()
            .filter_map(|number| sets.get(*number as usize).copied())
            .collect();
        let alternate = covering.iter().find_map(|set| {
            let found = set.alternate_path.as_ref()?;
            Some(found.join(below(&folder, &set.path, self.style)?))
        });
        let live = |set: &&FileSet| set.read_from(request.backup_type) == ReadFrom::LiveVolume;
        let read_from = if !covering.is_empty() && covering.iter().all(live) {
            ReadFrom::LiveVolume
        } else {
            ReadFrom::ShadowCopy
        };
        if self.is_differenced(&folder, &name) {
            self.conflicts.push(original);
            return Ok(());
        }
        if let PartialRanges::File(path) = &ranges
            && let Some((folder, name)) = folder_and_name(path, self.style)
        {
            let set = FileSet::files(folder, FileSpecification::text_of_name(name));
            self.add_set(&set, Kind::Set, ReadFrom::LiveVolume);
        }
        let kind = match request.partial_files {
            PartialFileSupport::Supported => Kind::Partial(self.partial_files.len()),
            PartialFileSupport::Unsupported => Kind::Set,
        };
        let set = FileSet {
            alternate_path: alternate,
            ..FileSet::files(folder, FileSpecification::text_of_name(&name))
        };
        let location = set.alternate_path.as_ref().unwrap_or(&set.path);
        self.partial_files.push(PartialFileRule {
            location: location.join(OsStr::from_bytes(&name)),
            original,
            ranges,
        });
        self.add_set(&set, kind, read_from);
        Ok(())
    }

    fn is_differenced(&self, folder: &Path, name: &[u8]) -> bool {
        let mut rules = Vec::new();
        self.by_path
            .rules(&self.by_path.find(folder), name, &mut rules);
        let kinds = rules.iter().map(|rule| &self.rules[*rule as usize].kind);
        kinds
            .into_iter()
            .any(|kind| matches!(kind, Kind::Differenced(_)))
    }

    /// Files that the writer named both as partial and as differenced, which is an
    /// error of the writer; they are backed up as differenced ("Requester Role in VSS
    /// Incremental and Differential Backups").
    pub fn conflicts(&self) -> &[PathBuf] {
        &self.conflicts
    }

    /// The partial files, in the order of the document.
    pub fn partial_files(&self) -> &[PartialFileRule] {
        &self.partial_files
    }

    /// A folder by its path.
    pub fn place(&self, folder: &Path) -> Place {
        Place {
            by_path: self.by_path.find(folder),
            by_alternate: self.by_alternate.as_ref().map(|index| index.find(folder)),
        }
    }

    /// The folder of this name in another.
    pub fn enter(&self, place: &Place, name: &[u8]) -> Place {
        let by_alternate = self.by_alternate.as_ref().zip(place.by_alternate.as_ref());
        Place {
            by_path: self.by_path.enter(&place.by_path, name),
            by_alternate: by_alternate.map(|(index, position)| index.enter(position, name)),
        }
    }

    /// Whether there can be files of the backup in the folder or below it.
    pub fn is_searched(&self, place: &Place) -> bool {
        self.searched(place).next().is_some()
    }

    /// The only names in the folder with any file of the backup at or below them,
    /// sorted; none where it can be any name.
    pub fn only_names<'r>(&'r self, place: &Place) -> Option<Vec<&'r [u8]>> {
        let mut all = Vec::new();
        for (index, position) in self.searched(place) {
            all.extend(index.only_names(position)?);
        }
        all.sort_unstable();
        all.dedup();
        Some(all)
    }

    fn searched<'r, 'p>(
        &'r self,
        place: &'p Place,
    ) -> impl Iterator<Item = (&'r FolderIndex, &'p Position)> + use<'r, 'p> {
        let alternate = self.by_alternate.as_ref().zip(place.by_alternate.as_ref());
        let both = [Some((&self.by_path, &place.by_path)), alternate];
        both.into_iter()
            .flatten()
            .filter(|(index, position)| index.is_searched(position))
    }

    /// Whether a file set names the folder, or one below it.
    pub fn is_named(&self, place: &Place) -> bool {
        self.searched(place)
            .any(|(index, position)| index.is_named(position))
    }

    /// Whether a folder of the given place, inside the other, belongs to the backup
    /// itself, even with nothing in it: it does where a file set takes a whole tree.
    pub fn is_folder_taken(&self, outer: &Place, folder: &Place) -> bool {
        outer.by_path.is_whole() || folder.by_path.is_whole()
    }

    /// What the backup takes of the file of this name in the folder: nothing, or it
    /// under one path, or, where alternate paths meet, under several. `folder` is the
    /// folder's path.
    pub fn files<'r>(
        &'r self,
        place: &Place,
        folder: &Path,
        name: &[u8],
        view: ViewKind,
        chosen: &mut Vec<ChosenFile<'r>>,
    ) {
        let mut matching = Vec::new();
        self.by_path.rules(&place.by_path, name, &mut matching);
        if let Some(found) = self.judge(&mut matching, view)
            && self.rules[found.1 as usize].alternate.is_none()
        {
            chosen.push(found.0);
        }
        let Some((index, position)) = self.by_alternate.as_ref().zip(place.by_alternate.as_ref())
        else {
            return;
        };
        let mut found_here = Vec::new();
        index.rules(position, name, &mut found_here);
        found_here.sort_unstable();
        for rule in found_here {
            let Some(alternate) = &self.rules[rule as usize].alternate else {
                continue;
            };
            let Some(inside) = below(folder, &alternate.found, self.style) else {
                continue;
            };
            let folder = alternate.meant.join(inside);
            let original = folder.join(OsStr::from_bytes(name));
            matching.clear();
            let meant = self.by_path.find(&folder);
            self.by_path.rules(&meant, name, &mut matching);
            let Some((mut file, winner)) = self.judge(&mut matching, view) else {
                continue;
            };
            let again = chosen
                .iter()
                .any(|one| one.original.as_ref() == Some(&original));
            if winner == rule && !again {
                file.original = Some(original);
                chosen.push(file);
            }
        }
    }

    /// What the rules that a file falls under come to, and the rule that decided.
    fn judge(&self, matching: &mut [u32], view: ViewKind) -> Option<(ChosenFile<'_>, u32)> {
        if matching.is_empty() {
            return None;
        }
        matching.sort_unstable();
        let rules = || matching.iter().map(|id| (*id, &self.rules[*id as usize]));
        let chosen = |rule: &Rule, take| ChosenFile {
            original: None,
            take,
            read_from: rule.read_from,
        };
        for (id, rule) in rules() {
            if let Kind::Partial(number) = rule.kind {
                let take = Take::Ranges(&self.partial_files[number]);
                return Some((chosen(rule, take), id));
            }
        }
        let excluded = |rule: &Rule| match rule.kind {
            Kind::Excluded => true,
            Kind::NotInShadowCopy => view == ViewKind::ShadowCopy,
            _ => false,
        };
        if rules().any(|(_, rule)| excluded(rule)) {
            return None;
        }
        let differenced = rules().filter_map(|(id, rule)| match &rule.kind {
            Kind::Differenced(since) => Some((since, id, rule)),
            _ => None,
        });
        if let Some((since, id, rule)) = differenced.min_by_key(|(since, ..)| *since) {
            let take = match since {
                Since::Ever => Take::Whole,
                Since::Lsn(lsn) => Take::SinceLsn(lsn),
                Since::Time(time) => Take::ModifiedSince(*time),
            };
            return Some((chosen(rule, take), id));
        }
        let sets = || rules().filter(|(_, rule)| matches!(rule.kind, Kind::Set));
        let alternate = sets().find(|(_, rule)| rule.alternate.is_some());
        let (id, rule) = alternate.or(sets().next())?;
        let mut file = chosen(rule, Take::Whole);
        let from_copy = |rule: &Rule| rule.read_from == ReadFrom::ShadowCopy;
        if rule.alternate.is_none() && sets().any(|(_, rule)| from_copy(rule)) {
            file.read_from = ReadFrom::ShadowCopy;
        }
        Some((file, id))
    }
}

/// What leads from one folder to another inside it; none where it is not inside.
pub(super) fn below(folder: &Path, outer: &Path, style: PathStyle) -> Option<PathBuf> {
    let mut inner = parts(folder, style);
    for part in parts(outer, style) {
        let name = inner.next()?;
        let same =
            super::specification::folded(name, style) == super::specification::folded(part, style);
        if !same {
            return None;
        }
    }
    Some(inner.map(OsStr::from_bytes).collect())
}
