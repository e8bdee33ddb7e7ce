//! Which files a backup takes, case by case, each with the page that says so.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use umbra_documents::{
    BackupRequest, ChosenComponent, Component, DifferencedFile, Extra, FileRules, FileSet,
    FileSpecification, FileTime, PartialFile, PartialFileSupport, PathStyle, ReadFrom, Recursion,
    Take, ViewKind, WriterIdentity, WriterMetadata,
};
use umbra_model::{
    BackupType, ComponentType, FileSpecBackupType as Flags, WriterId, WriterInstanceId,
};

fn metadata() -> WriterMetadata {
    let (id, instance) = (WriterId::from_u128(1), WriterInstanceId::from_u128(2));
    WriterMetadata::new(WriterIdentity::new(id, instance, "Test Writer"))
}

fn group(files: Vec<FileSet>) -> Component {
    Component {
        files,
        ..Component::file_group("group")
    }
}

fn chosen() -> ChosenComponent {
    ChosenComponent::new(None, "group", ComponentType::FileGroup)
}

fn partial(path: &str, name: &str, ranges: &str) -> PartialFile {
    PartialFile {
        path: path.into(),
        name: name.into(),
        ranges: Some(ranges.into()),
        ranges_file: None,
        metadata: None,
        extra: Extra::default(),
    }
}

fn differenced(path: &str, specification: &str, since: Option<u64>) -> DifferencedFile {
    DifferencedFile {
        path: path.into(),
        specification: specification.into(),
        recursive: Some(true),
        lsn: None,
        last_modified: since.map(FileTime::from_units),
        extra: Extra::default(),
    }
}

fn backup(
    metadata: &WriterMetadata,
    component: &Component,
    chosen: &ChosenComponent,
    backup: BackupType,
) -> FileRules {
    let request = BackupRequest::new(backup);
    FileRules::for_backup(
        metadata,
        &[component],
        Some(chosen),
        &request,
        PathStyle::Linux,
    )
    .unwrap()
}

/// What is taken of a file that is found there: one word for each way.
fn taken(rules: &FileRules, path: &str, view: ViewKind) -> Vec<String> {
    let path = Path::new(path);
    let (folder, name) = (path.parent().unwrap(), path.file_name().unwrap());
    let place = rules.place(folder);
    let mut files = Vec::new();
    rules.files(&place, folder, name.as_encoded_bytes(), view, &mut files);
    let searched = rules.is_searched(&place);
    assert!(
        files.is_empty() || searched,
        "{path:?} is taken and not looked for"
    );
    if let (true, Some(only)) = (searched, rules.only_names(&place)) {
        assert!(files.is_empty() || only.contains(&name.as_encoded_bytes()));
    }
    let words = files.iter().map(|file| {
        let how = match file.take {
            Take::Whole => "whole".to_owned(),
            Take::ModifiedSince(time) => format!("since {}", time.units()),
            Take::SinceLsn(lsn) => format!("lsn {lsn}"),
            Take::Ranges(_) => "ranges".to_owned(),
        };
        let from = match file.read_from {
            ReadFrom::ShadowCopy => "",
            ReadFrom::LiveVolume => " live",
        };
        let original = file.original.as_ref();
        let as_what = original.map(|path| format!(" as {}", path.display()));
        format!("{how}{from}{}", as_what.unwrap_or_default())
    });
    words.collect()
}

#[track_caller]
fn check(rules: &FileRules, path: &str, expected: &[&str]) {
    assert_eq!(taken(rules, path, ViewKind::ShadowCopy), expected, "{path}");
}

/// "Generating A Backup Set", steps 2, 4 and 6.
#[test]
fn excluded_files_are_left_out_of_file_sets() {
    let metadata = WriterMetadata {
        excluded: vec![
            FileSet::new("/srv/data", "*.tmp", Recursion::Tree),
            FileSet::tree("/srv/data/cache"),
        ],
        ..metadata()
    };
    let component = group(vec![
        FileSet::tree("/srv/data"),
        FileSet::files("/etc", "a.conf"),
    ]);
    let rules = backup(&metadata, &component, &chosen(), BackupType::Full);
    check(&rules, "/srv/data/file", &["whole"]);
    check(&rules, "/srv/data/a/b/c", &["whole"]);
    check(&rules, "/srv/data/a/b/c.tmp", &[]);
    check(&rules, "/srv/data/cache/x", &[]);
    check(&rules, "/srv/other", &[]);
    check(&rules, "/etc/a.conf", &["whole"]);
    check(&rules, "/etc/b.conf", &[]);
    assert!(!rules.is_searched(&rules.place(Path::new("/srv/data/cache/a"))));
    // The folders themselves belong to the backup, even when they are empty.
    let data = rules.place(Path::new("/srv/data"));
    let folder = |name: &[u8]| rules.is_folder_taken(&data, &rules.enter(&data, name));
    assert!(folder(b"a") && folder(b"cache"));
    let cache = rules.enter(&data, b"cache");
    assert!(!rules.is_folder_taken(&cache, &rules.enter(&cache, b"a")));
}

/// "Working with Alternate Paths during Backup": the path is used to find files, the
/// specification and recursion stay; "Generating A Backup Set", step 6: excluded
/// files are told by the path that they belong to.
#[test]
fn files_with_an_alternate_path_are_found_there() {
    let metadata = WriterMetadata {
        excluded: vec![
            FileSet::files("/srv/data/sub", "*.tmp"),
            FileSet::tree("/spit/no"),
        ],
        ..metadata()
    };
    let component = group(vec![
        FileSet::tree("/srv/data"),
        FileSet {
            alternate_path: Some("/spit".into()),
            ..FileSet::new("/srv/data", "*.db", Recursion::Tree)
        },
    ]);
    let rules = backup(&metadata, &component, &chosen(), BackupType::Full);
    check(&rules, "/spit/a.db", &["whole as /srv/data/a.db"]);
    check(&rules, "/spit/sub/a.db", &["whole as /srv/data/sub/a.db"]);
    check(&rules, "/spit/a.txt", &[]);
    check(&rules, "/spit/no/a.db", &["whole as /srv/data/no/a.db"]);
    check(&rules, "/spit/sub/a.tmp", &[]);
    // The file set without one has the rest, and not what comes from there.
    check(&rules, "/srv/data/a.txt", &["whole"]);
    check(&rules, "/srv/data/a.db", &[]);
}

/// Alternate paths that meet: each path of the backup comes from one place.
#[test]
fn each_path_of_the_backup_comes_from_one_place() {
    let spit = |path: &str, alternate: &str| FileSet {
        alternate_path: Some(alternate.into()),
        ..FileSet::tree(path)
    };
    let component = group(vec![
        spit("/a", "/spit"),
        spit("/b", "/spit"),
        spit("/a", "/other"),
        FileSet::tree("/spit"),
    ]);
    let rules = backup(&metadata(), &component, &chosen(), BackupType::Full);
    check(
        &rules,
        "/spit/x",
        &["whole", "whole as /a/x", "whole as /b/x"],
    );
    check(&rules, "/other/x", &[]);
}

/// "Requester Role in Backing Up Complex Stores": the masks, and backup without a
/// shadow copy.
#[test]
fn masks_say_which_files_and_from_where() {
    let marked = |path: &str, bits: Flags| FileSet {
        backup_type: bits,
        ..FileSet::tree(path)
    };
    let component = group(vec![
        marked(
            "/full",
            Flags::FULL_BACKUP_REQUIRED.with(Flags::FULL_SNAPSHOT_REQUIRED),
        ),
        marked("/live", Flags::ALL_BACKUP_REQUIRED),
        marked(
            "/live/copy",
            Flags::ALL_BACKUP_REQUIRED.with(Flags::ALL_SNAPSHOT_REQUIRED),
        ),
    ]);
    let full = backup(&metadata(), &component, &chosen(), BackupType::Full);
    check(&full, "/full/a", &["whole"]);
    check(&full, "/live/a", &["whole live"]);
    check(&full, "/live/copy/a", &["whole"]);
    let copy = backup(&metadata(), &component, &chosen(), BackupType::Copy);
    check(&copy, "/full/a", &["whole"]);
    let more = backup(&metadata(), &component, &chosen(), BackupType::Incremental);
    check(&more, "/full/a", &[]);
    assert!(!more.is_searched(&more.place(Path::new("/full"))));
    check(&more, "/live/a", &["whole live"]);
}

/// "Excluding Files from Shadow Copies".
#[test]
fn files_excluded_from_the_shadow_copy_are_not_looked_for_there() {
    let metadata = WriterMetadata {
        excluded_from_snapshot: vec![FileSet::files("/srv", "big")],
        ..metadata()
    };
    let component = group(vec![FileSet::tree("/srv")]);
    let rules = backup(&metadata, &component, &chosen(), BackupType::Full);
    check(&rules, "/srv/big", &[]);
    assert_eq!(taken(&rules, "/srv/big", ViewKind::LiveVolume), ["whole"]);
}

/// "VSS Test Writer Tool", adding partial files: the example with one partial file
/// that matches a file set and one that does not.
#[test]
fn a_partial_file_takes_the_place_of_the_whole_one_or_is_added() {
    let component = group(vec![FileSet::files("/files", "*.txt")]);
    let chosen = ChosenComponent {
        partial_files: vec![
            partial("/files", "partial.txt", "0:5,100:20"),
            partial("/files2", "partial.txt", "0:5,100:20"),
        ],
        ..chosen()
    };
    let rules = backup(&metadata(), &component, &chosen, BackupType::Full);
    check(&rules, "/files/a.txt", &["whole"]);
    check(&rules, "/files/partial.txt", &["ranges"]);
    check(&rules, "/files2/partial.txt", &["ranges"]);
    check(&rules, "/files2/a.txt", &[]);
    let whole = BackupRequest {
        partial_files: PartialFileSupport::Unsupported,
        ..BackupRequest::new(BackupType::Full)
    };
    let style = PathStyle::Linux;
    let rules =
        FileRules::for_backup(&metadata(), &[&component], Some(&chosen), &whole, style).unwrap();
    check(&rules, "/files/partial.txt", &["whole"]);
}

/// "Writer Role in VSS Incremental and Differential Backups": a partial file
/// supersedes the mask; "Requester Role in Backing Up Complex Stores": it has the
/// alternate path of its file set; backup without a shadow copy: a log that grows.
#[test]
fn a_partial_file_is_taken_where_its_file_set_is() {
    let component = group(vec![
        FileSet {
            alternate_path: Some("/spit".into()),
            backup_type: Flags::FULL_BACKUP_REQUIRED.with(Flags::ALL_SNAPSHOT_REQUIRED),
            ..FileSet::tree("/srv")
        },
        FileSet {
            backup_type: Flags::ALL_BACKUP_REQUIRED,
            ..FileSet::files("/log", "*")
        },
    ]);
    let metadata = WriterMetadata {
        excluded: vec![FileSet::files("/log", "excluded")],
        ..metadata()
    };
    let chosen = ChosenComponent {
        partial_files: vec![
            partial("/srv/deep", "data", "0:1"),
            partial("/log", "log", "0:1"),
            partial("/log", "excluded", "0:1"),
        ],
        ..chosen()
    };
    let rules = backup(&metadata, &component, &chosen, BackupType::Incremental);
    check(&rules, "/spit/deep/data", &["ranges as /srv/deep/data"]);
    check(&rules, "/srv/deep/data", &[]);
    check(&rules, "/spit/deep/other", &[]);
    check(&rules, "/log/log", &["ranges live"]);
    check(&rules, "/log/excluded", &["ranges live"]);
    assert_eq!(
        rules.partial_files()[0].location,
        PathBuf::from("/spit/deep/data")
    );
}

/// "Working with Partial Files": the ranges file must be backed up.
#[test]
fn the_ranges_file_is_backed_up_too() {
    let chosen = ChosenComponent {
        partial_files: vec![PartialFile {
            ranges: None,
            ranges_file: Some("/run/writer/ranges".into()),
            ..partial("/srv", "data", "")
        }],
        ..chosen()
    };
    let rules = backup(&metadata(), &group(vec![]), &chosen, BackupType::Full);
    check(&rules, "/srv/data", &["ranges"]);
    check(&rules, "/run/writer/ranges", &["whole live"]);
}

/// "Requester Role in Backing Up Complex Stores", backup by last modify time, and the
/// backup type full; "Writer Role in VSS Incremental and Differential Backups": the
/// mask of a differenced file is ignored.
#[test]
fn differenced_files_are_taken_when_they_changed() {
    let component = group(vec![
        FileSet {
            backup_type: Flags::FULL_BACKUP_REQUIRED,
            alternate_path: Some("/spit".into()),
            ..FileSet::tree("/srv")
        },
        FileSet::tree("/rest"),
    ]);
    let chosen = ChosenComponent {
        differenced_files: vec![
            differenced("/srv", "*", Some(77)),
            differenced("/added", "*.dat", Some(0)),
            DifferencedFile {
                lsn: Some("0/1A".into()),
                ..differenced("/lsn", "*", None)
            },
        ],
        ..chosen()
    };
    let rules = backup(&metadata(), &component, &chosen, BackupType::Incremental);
    check(&rules, "/spit/a/b", &["since 77 live as /srv/a/b"]);
    check(&rules, "/srv/a/b", &[]);
    check(&rules, "/added/x/y.dat", &["whole"]);
    check(&rules, "/added/x/y.txt", &[]);
    check(&rules, "/lsn/x", &["lsn 0/1A"]);
    check(&rules, "/rest/x", &["whole"]);
    let known = BackupRequest {
        last_backup: Some(FileTime::from_units(55)),
        ..BackupRequest::new(BackupType::Differential)
    };
    let style = PathStyle::Linux;
    let rules =
        FileRules::for_backup(&metadata(), &[&component], Some(&chosen), &known, style).unwrap();
    check(&rules, "/added/y.dat", &["since 55"]);
    let full = backup(&metadata(), &component, &chosen, BackupType::Full);
    check(&full, "/spit/a/b", &["whole live as /srv/a/b"]);
}

/// "Requester Role in VSS Incremental and Differential Backups": a file named both
/// ways is an error of the writer, and is taken as differenced.
#[test]
fn differenced_wins_over_partial_and_is_reported() {
    let chosen = ChosenComponent {
        partial_files: vec![partial("/srv", "a", "0:1"), partial("/srv2", "a", "0:1")],
        differenced_files: vec![differenced("/srv", "*", Some(77))],
        ..chosen()
    };
    let rules = backup(
        &metadata(),
        &group(vec![]),
        &chosen,
        BackupType::Incremental,
    );
    assert_eq!(rules.conflicts(), [PathBuf::from("/srv/a")]);
    check(&rules, "/srv/a", &["since 77"]);
    check(&rules, "/srv2/a", &["ranges"]);
}

#[test]
fn a_partial_file_without_readable_ranges_is_refused() {
    let chosen = ChosenComponent {
        partial_files: vec![partial("/srv", "a", "0:x")],
        ..chosen()
    };
    let request = BackupRequest::new(BackupType::Full);
    let style = PathStyle::Linux;
    let error = FileRules::for_backup(&metadata(), &[], Some(&chosen), &request, style);
    let error = error.unwrap_err();
    assert_eq!(error.path, PathBuf::from("/srv/a"));
    assert!(error.cause.to_string().contains("range 1 is \"0:x\""));
}

/// "Generating A Restore Set": masks and alternate paths do not count.
#[test]
fn on_restore_files_are_told_by_the_path_they_belong_to() {
    let component = group(vec![FileSet {
        alternate_path: Some("/spit".into()),
        backup_type: Flags::LOG_BACKUP_REQUIRED,
        ..FileSet::tree("/srv")
    }]);
    let chosen = ChosenComponent {
        partial_files: vec![partial("/srv", "a", "0:1")],
        differenced_files: vec![differenced("/more", "*", Some(77))],
        ..chosen()
    };
    let rules = FileRules::for_restore(&[&component], Some(&chosen), PathStyle::Linux).unwrap();
    let check = |path: &str, expected: &[&str]| {
        assert_eq!(
            taken(&rules, path, ViewKind::LiveVolume),
            expected,
            "{path}"
        );
    };
    check("/srv/b", &["whole"]);
    check("/srv/a", &["ranges"]);
    check("/spit/b", &[]);
    check("/more/b", &["whole"]);
}

/// `AddIncludeFiles`: files that no component has.
#[test]
fn included_files_have_rules_of_their_own() {
    let metadata = WriterMetadata {
        included: vec![FileSet::tree("/opt/app")],
        excluded: vec![FileSet::files("/opt/app", "*.tmp")],
        ..metadata()
    };
    let rules = FileRules::for_included(&metadata, PathStyle::Linux);
    check(&rules, "/opt/app/a", &["whole"]);
    check(&rules, "/opt/app/a.tmp", &[]);
}

/// Documents from Windows can be reasoned about.
#[test]
fn rules_of_a_windows_document() {
    let metadata = WriterMetadata {
        excluded: vec![FileSet::new("%SystemRoot%\\Temp", "*.*", Recursion::Tree)],
        ..metadata()
    };
    let component = group(vec![FileSet::new("%systemroot%\\", "*", Recursion::Tree)]);
    let request = BackupRequest::new(BackupType::Full);
    let style = PathStyle::Windows;
    let rules = FileRules::for_backup(&metadata, &[&component], None, &request, style).unwrap();
    let count = |folder: &str, name: &[u8]| {
        let mut files = Vec::new();
        let folder = Path::new(folder);
        rules.files(
            &rules.place(folder),
            folder,
            name,
            ViewKind::ShadowCopy,
            &mut files,
        );
        files.len()
    };
    assert_eq!(count("%SystemRoot%\\System32", b"kernel32.dll"), 1);
    assert_eq!(count("%SYSTEMROOT%\\temp\\x", b"y"), 0);
}

fn any_set() -> impl Strategy<Value = FileSet> {
    let folder =
        || prop::collection::vec("[ab]", 0..3).prop_map(|parts| format!("/{}", parts.join("/")));
    let masks = prop_oneof![
        Just(Flags::FULL_BACKUP_REQUIRED.with(Flags::FULL_SNAPSHOT_REQUIRED)),
        Just(Flags::ALL_BACKUP_REQUIRED),
        Just(Flags::INCREMENTAL_BACKUP_REQUIRED),
    ];
    let parts = (folder(), "[ab*?]{1,2}", any::<bool>(), masks);
    parts.prop_map(|(path, specification, recursive, backup_type)| FileSet {
        backup_type,
        ..FileSet::new(path, specification, Recursion::from(recursive))
    })
}

proptest! {
    /// The rules say of each file what looking at every set in turn says.
    #[test]
    fn the_rules_agree_with_looking_at_every_set(
        sets in prop::collection::vec(any_set(), 0..6),
        excluded in prop::collection::vec(any_set(), 0..3),
        files in prop::collection::vec(prop::collection::vec("[ab]{1,2}", 1..4), 1..8),
    ) {
        let matches = |set: &FileSet, folder: &Path, name: &str| {
            let inside = match set.recursion {
                Recursion::Folder => folder == set.path,
                Recursion::Tree => folder.starts_with(&set.path),
            };
            let specification = FileSpecification::new(&set.specification, PathStyle::Linux);
            inside && specification.matches(name.as_bytes())
        };
        let metadata = WriterMetadata { excluded: excluded.clone(), ..metadata() };
        let component = group(sets.clone());
        let rules = backup(&metadata, &component, &chosen(), BackupType::Full);
        for parts in files {
            let path = format!("/{}", parts.join("/"));
            let name = parts.last().unwrap();
            let folder = Path::new(&path).parent().unwrap();
            let matching: Vec<&FileSet> = sets.iter()
                .filter(|set| set.is_needed_by(BackupType::Full) && matches(set, folder, name))
                .collect();
            let out = excluded.iter().any(|set| matches(set, folder, name));
            let copy = matching.iter()
                .any(|set| set.read_from(BackupType::Full) == ReadFrom::ShadowCopy);
            let expected: &[&str] = match (matching.is_empty() || out, copy) {
                (true, _) => &[],
                (false, true) => &["whole"],
                (false, false) => &["whole live"],
            };
            prop_assert_eq!(taken(&rules, &path, ViewKind::ShadowCopy), expected, "{}", path);
        }
    }

    /// The same with alternate paths: every file is found where the set that decides has
    /// it, under the path that it belongs to, and no path comes from two places.
    #[test]
    fn alternate_paths_agree_with_looking_at_every_set(
        sets in prop::collection::vec((any_set(), prop::option::of("/[ab](/[ab])?")), 0..6),
        excluded in prop::collection::vec(any_set(), 0..2),
        files in prop::collection::btree_set(prop::collection::vec("[ab]{1,2}", 1..5), 1..12),
    ) {
        let sets: Vec<FileSet> = sets
            .into_iter()
            .map(|(set, alternate)| FileSet {
                alternate_path: alternate.map(PathBuf::from),
                backup_type: Flags::ALL_BACKUP_REQUIRED,
                ..set
            })
            .collect();
        let means = |set: &FileSet, base: &Path, path: &Path| {
            let (folder, name) = (path.parent()?, path.file_name()?);
            let inside = folder.strip_prefix(base).ok()?;
            let deep_enough = set.recursion == Recursion::Tree || inside == Path::new("");
            let specification = FileSpecification::new(&set.specification, PathStyle::Linux);
            let fits = deep_enough && specification.matches(name.as_encoded_bytes());
            fits.then(|| set.path.join(inside).join(name))
        };
        let decides = |original: &Path| {
            let covering = || sets.iter().enumerate()
                .filter(|(_, set)| means(set, &set.path, original).is_some());
            let alternate = covering().find(|(_, set)| set.alternate_path.is_some());
            alternate.or(covering().next()).map(|(number, _)| number)
        };
        let metadata = WriterMetadata { excluded: excluded.clone(), ..metadata() };
        let rules = backup(&metadata, &group(sets.clone()), &chosen(), BackupType::Full);
        let mut all = std::collections::HashSet::new();
        for parts in files {
            let path = PathBuf::from(format!("/{}", parts.join("/")));
            let expected: std::collections::BTreeSet<PathBuf> = sets.iter().enumerate()
                .filter_map(|(number, set)| {
                    let base = set.alternate_path.as_ref().unwrap_or(&set.path);
                    let original = means(set, base, &path)?;
                    let out = excluded.iter().any(|set| means(set, &set.path, &original).is_some());
                    (decides(&original) == Some(number) && !out).then_some(original)
                })
                .collect();
            let (folder, name) = (path.parent().unwrap(), path.file_name().unwrap());
            let mut chosen = Vec::new();
            let place = rules.place(folder);
            let view = ViewKind::ShadowCopy;
            rules.files(&place, folder, name.as_encoded_bytes(), view, &mut chosen);
            let found: Vec<PathBuf> = chosen.iter()
                .map(|file| file.original.clone().unwrap_or_else(|| path.clone()))
                .collect();
            prop_assert!(found.is_empty() || rules.is_searched(&place));
            prop_assert!(found.iter().all(|original| all.insert(original.clone())));
            let once: std::collections::BTreeSet<PathBuf> = found.iter().cloned().collect();
            prop_assert_eq!(once.len(), found.len());
            prop_assert_eq!(once, expected, "{:?}", path);
        }
    }
}
