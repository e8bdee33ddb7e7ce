//! Many file sets in one tree of folders, so that the rules for a name are found
//! without looking at all of them: a writer may have twenty thousand.

use super::specification::{FileSpecification, PathStyle, folded};
use crate::Recursion;
use std::{
    collections::HashMap,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a rule means for someone who looks for files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Files are looked for where it says.
    Search,
    /// It says something of files that are found for another reason.
    Remark,
    /// As `Remark`; and what it takes out of the backup need not be looked at.
    LeaveOut,
}

#[derive(Debug, Default)]
struct Names {
    exact: HashMap<Box<[u8]>, Vec<u32>>,
    patterns: Vec<(FileSpecification, u32)>,
}

impl Names {
    fn add(&mut self, specification: FileSpecification, rule: u32) {
        match specification.exact_name() {
            Some(name) => self.exact.entry(name.into()).or_default().push(rule),
            None => self.patterns.push((specification, rule)),
        }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    fn find(&self, name: &[u8], folded: &[u8], rules: &mut Vec<u32>) {
        if !self.exact.is_empty()
            && let Some(found) = self.exact.get(folded)
        {
            rules.extend(found);
        }
        let patterns = self.patterns.iter();
        rules.extend(
            patterns
                .filter(|(specification, _)| specification.matches(name))
                .map(|(_, rule)| *rule),
        );
    }
}

/// A folder that a rule names, or one above such.
#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<[u8]>, u32>,
    here: Names,
    below: Names,
    /// Whether a rule here or further down searches.
    searched: bool,
    /// Whether a rule here searches by `*` and `?`; in all folders below; and there
    /// for everything.
    searched_by_pattern: bool,
    searched_below: bool,
    whole_below: bool,
    left_out_below: bool,
}

/// The rules of many file sets by folder.
#[derive(Debug)]
pub(super) struct FolderIndex {
    style: PathStyle,
    nodes: Vec<Node>,
}

/// Where somebody stands who walks down folders: which rules are to be thought of.
#[derive(Debug, Clone)]
pub(super) struct Position {
    node: Option<u32>,
    /// Folders at or above this one with rules for everything below them.
    inherited: Arc<[u32]>,
    searched: bool,
    whole: bool,
    left_out: bool,
}

impl Position {
    /// Whether everything in the folder belongs to a rule that searches: so do
    /// folders with nothing in them.
    pub(super) fn is_whole(&self) -> bool {
        self.whole && !self.left_out
    }
}

impl FolderIndex {
    pub(super) fn new(style: PathStyle) -> Self {
        Self {
            style,
            nodes: vec![Node::default()],
        }
    }

    pub(super) fn add(
        &mut self,
        folder: &Path,
        specification: &str,
        recursion: Recursion,
        effect: Effect,
        rule: u32,
    ) {
        let specification = FileSpecification::new(specification, self.style);
        let mut at = 0;
        self.nodes[at].searched |= effect == Effect::Search;
        for part in parts(folder, self.style) {
            let next = self.nodes.len() as u32;
            let name = folded(part, self.style).into_owned().into_boxed_slice();
            let child = *self.nodes[at].children.entry(name).or_insert(next);
            if child == next {
                self.nodes.push(Node::default());
            }
            at = child as usize;
            self.nodes[at].searched |= effect == Effect::Search;
        }
        let node = &mut self.nodes[at];
        if effect == Effect::Search {
            let tree = recursion == Recursion::Tree;
            node.searched_below |= tree;
            node.whole_below |= tree && specification.is_everything();
            node.searched_by_pattern |= specification.exact_name().is_none();
        }
        if effect == Effect::LeaveOut && recursion == Recursion::Tree {
            node.left_out_below |= specification.is_everything();
        }
        match recursion {
            Recursion::Folder => node.here.add(specification, rule),
            Recursion::Tree => node.below.add(specification, rule),
        }
    }

    fn at(&self, node: Option<u32>, above: &Position) -> Position {
        let mut position = Position {
            node,
            inherited: above.inherited.clone(),
            searched: above.searched,
            whole: above.whole,
            left_out: above.left_out,
        };
        if let Some(index) = node {
            let node = &self.nodes[index as usize];
            position.searched |= node.searched_below;
            position.whole |= node.whole_below;
            position.left_out |= node.left_out_below;
            if !node.below.is_empty() {
                let all = above.inherited.iter().copied().chain([index]);
                position.inherited = all.collect();
            }
        }
        position
    }

    /// The top of all folders.
    pub(super) fn top(&self) -> Position {
        let above = Position {
            node: None,
            inherited: Arc::new([]),
            searched: false,
            whole: false,
            left_out: false,
        };
        self.at(Some(0), &above)
    }

    /// The folder of this name below.
    pub(super) fn enter(&self, position: &Position, name: &[u8]) -> Position {
        let node = position.node.and_then(|node| {
            let children = &self.nodes[node as usize].children;
            if children.is_empty() {
                return None;
            }
            children.get(&*folded(name, self.style)).copied()
        });
        self.at(node, position)
    }

    /// A folder by its path.
    pub(super) fn find(&self, folder: &Path) -> Position {
        let parts = parts(folder, self.style);
        parts.fold(self.top(), |position, part| self.enter(&position, part))
    }

    /// The rules that a name in the folder falls under, in no order.
    pub(super) fn rules(&self, position: &Position, name: &[u8], rules: &mut Vec<u32>) {
        let folded = folded(name, self.style);
        if let Some(node) = position.node {
            self.nodes[node as usize].here.find(name, &folded, rules);
        }
        for node in &*position.inherited {
            self.nodes[*node as usize].below.find(name, &folded, rules);
        }
    }

    /// Whether a rule that searches names the folder or one below it.
    pub(super) fn is_named(&self, position: &Position) -> bool {
        let node = position.node;
        node.is_some_and(|node| self.nodes[node as usize].searched)
    }

    /// Whether there can be files to find in the folder or below.
    pub(super) fn is_searched(&self, position: &Position) -> bool {
        self.is_named(position) || (position.searched && !position.left_out)
    }

    /// The only names in the folder with anything to find at or below them, sorted;
    /// none where it can be any name.
    pub(super) fn only_names(&self, position: &Position) -> Option<Vec<&[u8]>> {
        let node = &self.nodes[position.node? as usize];
        let by_name = !node.searched_by_pattern && self.style == PathStyle::Linux;
        if !by_name || (position.searched && !position.left_out) {
            return None;
        }
        let searched = |child: &u32| self.nodes[*child as usize].searched;
        let children = node.children.iter();
        let folders = children
            .filter(|(_, child)| searched(child))
            .map(|(name, _)| &**name);
        // Names that only remarks are about may be among them: they are few.
        let files = node.here.exact.keys().chain(node.below.exact.keys());
        let mut names: Vec<&[u8]> = folders.chain(files.map(|name| &**name)).collect();
        // What is no name must not lead anywhere either.
        names.retain(|name| is_name(name));
        names.sort_unstable();
        names.dedup();
        Some(names)
    }
}

/// Whether a file can have this name.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// The names in a path, without what says nothing.
pub(super) fn parts(path: &Path, style: PathStyle) -> impl Iterator<Item = &[u8]> {
    let bytes = path.as_os_str().as_bytes();
    let separates =
        move |byte: &u8| *byte == b'/' || (style == PathStyle::Windows && *byte == b'\\');
    let parts = bytes.split(separates);
    parts.filter(|part| !part.is_empty() && *part != b".")
}

/// The folder and the name of a file; none for what has no name.
pub(super) fn folder_and_name(path: &Path, style: PathStyle) -> Option<(PathBuf, &[u8])> {
    let name = parts(path, style).last()?;
    let bytes = path.as_os_str().as_bytes();
    // The name is a part of the path: what stands before it is the folder.
    let at = bytes.windows(name.len()).rposition(|part| part == name)?;
    let folder = std::ffi::OsStr::from_bytes(&bytes[..at]);
    Some((PathBuf::from(folder), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(index: &FolderIndex, path: &str) -> Vec<u32> {
        let (folder, name) = folder_and_name(Path::new(path), index.style).unwrap();
        let mut rules = Vec::new();
        index.rules(&index.find(&folder), name, &mut rules);
        rules.sort_unstable();
        rules
    }

    fn index(style: PathStyle, sets: &[(&str, &str, Recursion)]) -> FolderIndex {
        let mut index = FolderIndex::new(style);
        for (rule, (folder, specification, recursion)) in sets.iter().enumerate() {
            let folder = Path::new(folder);
            index.add(
                folder,
                specification,
                *recursion,
                Effect::Search,
                rule as u32,
            );
        }
        index
    }

    #[test]
    fn rules_are_found_by_folder_and_name() {
        use Recursion::{Folder, Tree};
        let index = index(
            PathStyle::Linux,
            &[
                ("/srv/", "*", Tree),
                ("/srv/a", "x*", Folder),
                ("/srv/./a", "xy", Folder),
                ("/", "xy", Tree),
            ],
        );
        let check = |path: &str, rules: &[u32]| assert_eq!(names(&index, path), rules, "{path}");
        check("/srv/a/xy", &[0, 1, 2, 3]);
        check("/srv/a/b/xy", &[0, 3]);
        check("/srv/a/xz", &[0, 1]);
        check("/srv/A/xz", &[0]);
        check("/etc/passwd", &[]);
        check("/xy", &[3]);
    }

    #[test]
    fn paths_of_windows_have_no_case() {
        use Recursion::{Folder, Tree};
        let index = index(
            PathStyle::Windows,
            &[
                ("%SystemRoot%\\System32", "*.dll", Tree),
                ("C:\\Data", "*.*", Folder),
            ],
        );
        let check = |path: &str, rules: &[u32]| assert_eq!(names(&index, path), rules, "{path}");
        check("%systemroot%\\SYSTEM32\\a\\B.DLL", &[0]);
        check("c:\\data\\file", &[1]);
        check("c:/data\\file", &[1]);
        check("d:\\data\\file", &[]);
        check("c:\\data\\a\\file", &[]);
    }

    #[test]
    fn only_what_can_have_files_is_searched() {
        use Recursion::{Folder, Tree};
        let mut index = index(
            PathStyle::Linux,
            &[
                ("/srv/a", "*", Tree),
                ("/srv/b", "one", Folder),
                ("/srv/b", "two", Folder),
            ],
        );
        index.add(Path::new("/srv/a/tmp"), "*", Tree, Effect::LeaveOut, 9);
        index.add(
            Path::new("/srv/a/tmp/keep"),
            "x",
            Folder,
            Effect::Search,
            10,
        );
        let searched = |path: &str| index.is_searched(&index.find(Path::new(path)));
        assert!(searched("/") && searched("/srv") && searched("/srv/a/any/thing"));
        assert!(!searched("/etc") && !searched("/srv/b/below"));
        assert!(!searched("/srv/a/tmp/other") && searched("/srv/a/tmp"));
        let only = |path: &str| index.only_names(&index.find(Path::new(path)));
        assert_eq!(only("/"), Some(vec![&b"srv"[..]]));
        assert_eq!(only("/srv/b"), Some(vec![&b"one"[..], b"two"]));
        assert_eq!(only("/srv/a"), None);
        assert_eq!(only("/srv/a/tmp"), Some(vec![&b"keep"[..]]));
    }

    #[test]
    fn what_is_no_name_leads_nowhere() {
        let sets = ["..", "a/b", "/etc/passwd", ""].map(|no| ("/srv", no, Recursion::Folder));
        let index = index(PathStyle::Linux, &sets);
        let only = index.only_names(&index.find(Path::new("/srv")));
        assert_eq!(only, Some(vec![]));
        let upwards = self::index(PathStyle::Linux, &[("/srv/..", "a", Recursion::Folder)]);
        let only = upwards.only_names(&upwards.find(Path::new("/srv")));
        assert_eq!(only, Some(vec![]));
    }

    fn any_set() -> impl Strategy<Value = (String, String, Recursion)> {
        let folder = prop::collection::vec("[abAB]{1,2}", 0..4);
        let recursion = any::<bool>().prop_map(Recursion::from);
        (folder, "[abAB*?]{1,3}", recursion).prop_map(|(parts, specification, recursion)| {
            (format!("/{}", parts.join("/")), specification, recursion)
        })
    }

    proptest! {
        /// The index says of every file what looking at each set in turn says.
        #[test]
        fn the_index_agrees_with_looking_at_each_set(
            sets in prop::collection::vec(any_set(), 0..12),
            files in prop::collection::vec(prop::collection::vec("[abAB]{1,2}", 1..5), 1..12),
            style in prop_oneof![Just(PathStyle::Linux), Just(PathStyle::Windows)],
        ) {
            let mut index = FolderIndex::new(style);
            for (rule, (folder, specification, recursion)) in sets.iter().enumerate() {
                let folder = Path::new(folder);
                index.add(folder, specification, *recursion, Effect::Search, rule as u32);
            }
            let fold = |text: &str| match style {
                PathStyle::Linux => text.to_owned(),
                PathStyle::Windows => text.to_uppercase(),
            };
            for file in files {
                let (name, folders) = file.split_last().unwrap();
                let expected: Vec<u32> = sets.iter().enumerate()
                    .filter(|(_, (folder, specification, recursion))| {
                        let wanted: Vec<String> =
                            folder.split('/').filter(|part| !part.is_empty()).map(fold).collect();
                        let there: Vec<String> = folders.iter().map(|part| fold(part)).collect();
                        let inside = match recursion {
                            Recursion::Folder => there == wanted,
                            Recursion::Tree => there.starts_with(&wanted),
                        };
                        inside && FileSpecification::new(specification, style).matches(name.as_bytes())
                    })
                    .map(|(rule, _)| rule as u32)
                    .collect();
                prop_assert_eq!(names(&index, &format!("/{}", file.join("/"))), expected.clone());
                let position = index.find(Path::new(&format!("/{}", folders.join("/"))));
                prop_assert!(expected.is_empty() || index.is_searched(&position));
                if let Some(only) = index.only_names(&position) {
                    prop_assert!(expected.is_empty() || only.contains(&name.as_bytes()));
                }
            }
        }
    }
}
