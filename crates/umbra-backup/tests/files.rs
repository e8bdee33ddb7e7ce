//! Which files of a volume belong to a component, on real trees.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use support::{chosen, found, group, metadata, rules, rules_for, sorted, write};
use tempfile::tempdir;
use umbra_backup::{FileKind, Volume, Wanted, component_files};
use umbra_documents::{
    ChosenComponent, DifferencedFile, Extra, FileSet, FileSpecification, FileTime, PathStyle,
    Recursion, WriterMetadata,
};
use umbra_model::{BackupType, FileSpecBackupType as Flags};
use umbra_testbed::{Format, Testbed};

/// Folders f0..f9, three levels, each with files of a few kinds: some 20,000.
fn big_tree(root: &Path) -> usize {
    let mut count = 0;
    for outer in 0..10 {
        for middle in 0..10 {
            for inner in 0..10 {
                let folder = root.join(format!("f{outer}/f{middle}/f{inner}"));
                fs::create_dir_all(&folder).unwrap();
                for file in 0..20 {
                    let kind = ["db", "log", "tmp", "\u{e9}"][file % 4];
                    fs::write(folder.join(format!("{file}.{kind}")), b"").unwrap();
                    count += 1;
                }
            }
        }
    }
    count
}

fn all_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            all_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn is_in(set: &FileSet, path: &Path) -> bool {
    let (folder, name) = (path.parent().unwrap(), path.file_name().unwrap());
    let inside = match set.recursion {
        Recursion::Folder => folder == set.path,
        Recursion::Tree => folder.starts_with(&set.path),
    };
    let specification = FileSpecification::new(&set.specification, PathStyle::Linux);
    inside && specification.matches(name.as_bytes())
}

/// "Generating A Backup Set", against looking at every file and every set.
#[test]
fn a_tree_of_twenty_thousand_files() {
    let folder = tempdir().unwrap();
    assert_eq!(big_tree(folder.path()), 20_000);
    let mut all = Vec::new();
    all_files(folder.path(), &mut all);
    let sets = vec![
        FileSet::new("/srv/f1", "*.db", Recursion::Tree),
        FileSet::new("/srv/f1/f2", "*", Recursion::Tree),
        FileSet::tree("/srv/f3"),
        FileSet::files("/srv/f4/f4/f4", "1?.*"),
        FileSet::files("/srv/f4/f4/f4", "1.log"),
        FileSet::files("/srv/f5/f5/f5", "not-there"),
        FileSet::new("/", "7.*", Recursion::Tree),
        FileSet::tree("/elsewhere"),
    ];
    let excluded = vec![
        FileSet::new("/srv", "*.tmp", Recursion::Tree),
        FileSet::tree("/srv/f3/f3"),
    ];
    let metadata = WriterMetadata {
        excluded: excluded.clone(),
        ..metadata()
    };
    let component = group(sets.clone());
    let rules = rules_for(&metadata, &component, &chosen(), BackupType::Full);
    let volume = Volume::shadow_copy(folder.path(), "/srv").unwrap();
    let (paths, errors) = found(&volume, &rules);
    assert_eq!(errors, [""; 0]);
    let expected: BTreeSet<PathBuf> = all
        .iter()
        .map(|path| Path::new("/srv").join(path.strip_prefix(folder.path()).unwrap()))
        .filter(|path| sets.iter().any(|set| is_in(set, path)))
        .filter(|path| !excluded.iter().any(|set| is_in(set, path)))
        .collect();
    assert!(expected.len() > 2000);
    let (again, _) = found(&volume, &rules);
    assert_eq!(paths, again, "the order is the same");
    let once: BTreeSet<PathBuf> = paths.iter().cloned().collect();
    assert_eq!(once.len(), paths.len(), "each comes once");
    assert_eq!(once, expected);
}

/// The System Writer of a Windows server has 18,960 file sets, nearly all exact names.
#[test]
fn twenty_thousand_file_sets_are_no_trouble() {
    let folder = tempdir().unwrap();
    let mut sets = Vec::new();
    for number in 0..20_000 {
        let path = format!("/bin/d{}", number % 20);
        sets.push(FileSet::files(&path, format!("file{number}")));
        if number % 2 == 0 {
            write(
                folder
                    .path()
                    .join(format!("bin/d{}/file{number}", number % 20)),
                b"",
            );
        }
    }
    let volume = Volume::shadow_copy(folder.path(), "/").unwrap();
    let begun = std::time::Instant::now();
    let (paths, errors) = found(&volume, &rules(sets));
    assert_eq!((paths.len(), errors.len()), (10_000, 0));
    // Some 50 ms; looking at each set for each file would take minutes.
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn names_of_any_bytes_are_found() {
    let folder = tempdir().unwrap();
    let names: [&[u8]; 4] = [
        b"\xff\xfe.db",
        b"new\nline.db",
        b"*.db",
        "\u{f7ff}.db".as_bytes(),
    ];
    for name in names {
        write(folder.path().join(OsStr::from_bytes(name)), b"");
    }
    let volume = Volume::shadow_copy(folder.path(), "/srv").unwrap();
    let (paths, _) = found(&volume, &rules(vec![FileSet::files("/srv", "*.db")]));
    assert_eq!(paths.len(), 4);
    for name in names {
        let set = FileSet::files("/srv", FileSpecification::text_of_name(name));
        let (paths, _) = found(&volume, &rules(vec![set]));
        assert_eq!(paths, [Path::new("/srv").join(OsStr::from_bytes(name))]);
    }
}

/// A writer may say anything; nothing of it leads out of the folder it names, and one
/// impossible name does not hide the others.
#[test]
fn names_that_no_file_can_have_find_nothing() {
    let folder = tempdir().unwrap();
    write(folder.path().join("data/file"), b"");
    write(folder.path().join("data/sub/file"), b"");
    write(folder.path().join("outside"), b"");
    let long = "x".repeat(2000);
    let names = [
        "..",
        "../outside",
        "sub/file",
        "a\0b",
        "",
        long.as_str(),
        "file",
    ];
    let mut sets = names.map(|name| FileSet::files("/srv/data", name)).to_vec();
    sets.push(FileSet::tree("/srv/data/../.."));
    let volume = Volume::shadow_copy(folder.path(), "/srv").unwrap();
    let expected = vec![PathBuf::from("/srv/data/file")];
    assert_eq!(found(&volume, &rules(sets)), (expected, vec![]));
}

/// What is part of a component, and what is not.
#[test]
fn links_are_taken_as_such_and_never_followed() {
    let folder = tempdir().unwrap();
    let outside = tempdir().unwrap();
    write(outside.path().join("secret"), b"");
    let root = folder.path();
    write(root.join("data/file"), b"");
    fs::create_dir(root.join("data/empty")).unwrap();
    symlink(outside.path(), root.join("data/out")).unwrap();
    symlink("file", root.join("data/link")).unwrap();
    symlink("data", root.join("alias")).unwrap();
    let _socket = UnixListener::bind(root.join("data/socket")).unwrap();
    let volume = Volume::shadow_copy(root, "/srv").unwrap();
    let found_kinds = |rules: &_| {
        let mut found: Vec<_> = component_files(&volume, rules, Wanted::All)
            .unwrap()
            .map(|file| {
                let file = file.unwrap();
                (file.original().to_owned(), file.kind)
            })
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    };
    let expected = [
        ("/srv/data", FileKind::Folder),
        ("/srv/data/empty", FileKind::Folder),
        ("/srv/data/file", FileKind::File),
        ("/srv/data/link", FileKind::Link),
        ("/srv/data/out", FileKind::Link),
    ]
    .map(|(path, kind)| (PathBuf::from(path), kind));
    assert_eq!(
        found_kinds(&rules(vec![FileSet::tree("/srv/data")])),
        expected
    );
    // A file set that leads through a link finds nothing, and says why.
    let sets = vec![
        FileSet::tree("/srv/alias"),
        FileSet::tree("/srv/data/out/deeper"),
    ];
    let (paths, errors) = found(&volume, &rules(sets));
    assert!(paths.is_empty());
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("is a symbolic link"), "{errors:?}");
}

#[test]
fn what_cannot_be_read_is_one_item_and_the_rest_goes_on() {
    let folder = tempdir().unwrap();
    write(folder.path().join("a/file"), b"");
    write(folder.path().join("b/file"), b"");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(folder.path().join("a"), fs::Permissions::from_mode(0o000)).unwrap();
    let volume = Volume::shadow_copy(folder.path(), "/srv").unwrap();
    let rules = rules(vec![FileSet::tree("/srv")]);
    // Root may read everything: look as nobody, in a thread of its own.
    let (paths, errors) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let nobody = rustix::fs::Uid::from_raw(65534);
            rustix::thread::set_thread_uid(nobody).unwrap();
            found(&volume, &rules)
        });
        looking.join().unwrap()
    });
    assert_eq!(paths, [PathBuf::from("/srv/b/file")]);
    assert_eq!(errors, ["cannot read the folder \"/srv/a\""]);
}

/// A path far longer than any that a system call takes, and far deeper than there may
/// be open files.
#[test]
fn very_deep_folders_are_walked() {
    let folder = tempdir().unwrap();
    let depth = 2500;
    let mut at = openat(CWD, folder.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&at, "deeper", Mode::RWXU).unwrap();
        at = openat(&at, "deeper", OFlags::DIRECTORY, Mode::empty()).unwrap();
        let flags = OFlags::CREATE | OFlags::WRONLY;
        // On both sides of the folder in whatever order the file system has.
        for name in ["a", "b", "c"] {
            openat(&at, name, flags, Mode::RWXU).unwrap();
        }
    }
    drop(at);
    let volume = Volume::shadow_copy(folder.path(), "/srv").unwrap();
    let (paths, errors) = found(&volume, &rules(vec![FileSet::tree("/srv")]));
    assert_eq!((paths.len(), errors.len()), (3 * depth, 0), "{errors:?}");
    let once: BTreeSet<&PathBuf> = paths.iter().collect();
    assert_eq!(once.len(), paths.len());
}

/// "Working with Mounted Folders and Reparse Points": each volume has its own files.
#[test]
fn other_volumes_are_not_entered() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let root = disk.mount.parent().unwrap();
    write(root.join("here/file"), b"");
    write(disk.mount.join("there"), b"");
    let rules = rules(vec![
        FileSet::tree(root.join("here")),
        FileSet::tree(&disk.mount),
    ]);
    let outer = Volume::live(root).unwrap();
    assert_eq!(
        found(&outer, &rules),
        (vec![root.join("here/file")], vec![])
    );
    let inner = Volume::live(&disk.mount).unwrap();
    assert_eq!(
        found(&inner, &rules),
        (vec![disk.mount.join("there")], vec![])
    );
    // In a shadow copy there is a folder where the other volume was mounted: what it
    // hides is not what the path means.
    let copy = tempdir().unwrap();
    write(copy.path().join("data/file"), b"");
    write(copy.path().join("data/mounted/hidden"), b"");
    let rules = self::rules(vec![FileSet::tree("/srv")]);
    let plain = Volume::shadow_copy(copy.path(), "/srv").unwrap();
    assert_eq!(found(&plain, &rules).0.len(), 2);
    let plain = plain.with_mounts(["/srv/data/mounted".into()]);
    assert_eq!(found(&plain, &rules).0, [PathBuf::from("/srv/data/file")]);
}

/// A subvolume is a volume of its own, without being mounted.
#[test]
fn subvolumes_are_not_entered() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Btrfs, 128);
    let made = std::process::Command::new("btrfs")
        .args(["-q", "subvolume", "create"])
        .arg(disk.mount.join("sub"))
        .status();
    assert!(made.unwrap().success());
    write(disk.mount.join("sub/inside"), b"");
    write(disk.mount.join("file"), b"");
    let volume = Volume::live(&disk.mount).unwrap();
    let rules = rules(vec![FileSet::tree(&disk.mount)]);
    assert_eq!(
        found(&volume, &rules),
        (vec![disk.mount.join("file")], vec![])
    );
}

/// "Requester Role in Backing Up Complex Stores": backup by last modify time, and
/// without a shadow copy.
#[test]
fn differenced_files_and_places_to_read_from() {
    let folder = tempdir().unwrap();
    let old = SystemTime::now() - Duration::from_secs(7200);
    for name in ["data/old", "data/new", "log/live"] {
        write(folder.path().join(name), b"");
    }
    let file = fs::File::options()
        .write(true)
        .open(folder.path().join("data/old"))
        .unwrap();
    file.set_modified(old).unwrap();
    let since = FileTime::from_system(SystemTime::now() - Duration::from_secs(3600));
    let chosen = ChosenComponent {
        differenced_files: vec![DifferencedFile {
            path: "/srv/data".into(),
            specification: "*".into(),
            recursive: Some(true),
            lsn: None,
            last_modified: since,
            extra: Extra::default(),
        }],
        ..chosen()
    };
    let logs = FileSet {
        backup_type: Flags::ALL_BACKUP_REQUIRED,
        ..FileSet::files("/srv/log", "*")
    };
    let component = group(vec![FileSet::tree("/srv/data"), logs]);
    let volume = Volume::shadow_copy(folder.path(), "/srv").unwrap();
    let rules = rules_for(&metadata(), &component, &chosen, BackupType::Incremental);
    let names = |wanted| -> Vec<PathBuf> {
        let files = component_files(&volume, &rules, wanted)
            .unwrap()
            .map(Result::unwrap);
        let files = files.filter(|file| file.kind == FileKind::File);
        sorted(files.map(|file| file.original().to_owned()).collect())
    };
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(
        names(Wanted::All),
        paths(&["/srv/data/new", "/srv/log/live"])
    );
    assert_eq!(names(Wanted::OfShadowCopy), paths(&["/srv/data/new"]));
    assert_eq!(names(Wanted::OfLiveVolume), paths(&["/srv/log/live"]));
}
