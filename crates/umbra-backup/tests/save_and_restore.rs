//! Files out of a volume and back, on real file systems.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod place;
mod support;

use place::{Place, all, as_on_the_volume, partial, plan};
use rustix::fs::{XattrFlags, getxattr, setxattr};
use std::{
    ffi::OsStr,
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};
use support::{chosen, group, metadata, rules, rules_for, write};
use umbra_backup::{BackupFolder, EntryError, Volume, Wanted, restore, save};
use umbra_documents::{
    ChosenComponent, Extra, FileRules, FileSet, NewTarget, PathStyle, RestoreRules,
};
use umbra_model::{BackupType, FileRestoreStatus, RestoreMethod, VssCode};
use umbra_testbed::{Format, Testbed};

/// Content, mode, owner, times, extended attributes with access control lists, links,
/// empty folders and names of any bytes, out and back.
#[test]
fn a_tree_comes_back_as_it_was() {
    let place = Place::new();
    write(place.volume("plain"), b"content");
    write(place.volume("private/key"), b"secret");
    write(place.volume("").join(OsStr::from_bytes(b"\xff\n")), b"odd");
    fs::create_dir(place.volume("empty")).unwrap();
    symlink("/nowhere/else", place.volume("link")).unwrap();
    fs::set_permissions(
        place.volume("private/key"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    chown(place.volume("private/key"), Some(1234), Some(4321)).unwrap();
    setxattr(
        place.volume("plain"),
        "user.note",
        b"hello",
        XattrFlags::empty(),
    )
    .unwrap();
    // An access control list: one more user may read.
    let list = [
        2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0, 4, 0, 4, 0, 255,
        255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
    ];
    let acl = "system.posix_acl_access";
    setxattr(place.volume("plain"), acl, &list, XattrFlags::empty()).unwrap();
    fs::set_permissions(place.volume("private"), fs::Permissions::from_mode(0o700)).unwrap();
    let long_ago = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    for name in ["plain", "private", "private/key", "empty"] {
        fs::File::open(place.volume(name))
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
    }
    let report = place.save(&rules(vec![FileSet::tree("/srv")]));
    assert_eq!((report.files, report.failures), (4, vec![]));
    let report = place.restore(&metadata(), &all(), &chosen());
    assert_eq!(
        (report.status, report.failures),
        (FileRestoreStatus::All, vec![])
    );
    as_on_the_volume(&place.volume(""), &place.target("srv"));
    for name in ["plain", "private", "private/key", "empty"] {
        let was = fs::metadata(place.volume(name)).unwrap();
        let is = fs::metadata(place.target("srv").join(name)).unwrap();
        let of = |one: &fs::Metadata| {
            (
                one.mode(),
                one.uid(),
                one.gid(),
                one.mtime(),
                one.mtime_nsec(),
            )
        };
        assert_eq!(of(&is), of(&was), "{name}");
    }
    let mut value = [0; 64];
    let length = getxattr(place.target("srv/plain"), acl, &mut value).unwrap();
    assert_eq!(value[..length], list);
    let length = getxattr(place.target("srv/plain"), "user.note", &mut value).unwrap();
    assert_eq!(&value[..length], b"hello");
}

#[test]
fn holes_stay_holes() {
    let place = Place::new();
    let size = 1 << 30;
    let mut file = fs::File::create(place.volume("sparse")).unwrap();
    file.seek(SeekFrom::Start(512 << 20)).unwrap();
    file.write_all(&[7; 100_000]).unwrap();
    file.set_len(size).unwrap();
    place.save(&rules(vec![FileSet::tree("/srv")]));
    place.restore(&metadata(), &all(), &chosen());
    for path in [
        place.backup.location(Path::new("/srv/sparse")),
        place.target("srv/sparse"),
    ] {
        let there = fs::metadata(&path).unwrap();
        assert_eq!(there.len(), size);
        assert!(
            there.blocks() * 512 < 1 << 20,
            "{path:?} has {} blocks",
            there.blocks()
        );
        let mut content = [0; 8];
        fs::File::open(&path)
            .unwrap()
            .read_at(&mut content, 512 << 20)
            .unwrap();
        assert_eq!(content, [7; 8]);
    }
}

/// "Setting VSS Restore Methods", `VSS_RME_RESTORE_IF_NOT_THERE`: only if none of the
/// files is there; else to the alternate location.
#[test]
fn restore_if_not_there() {
    let place = Place::new();
    write(place.volume("a"), b"new");
    write(place.volume("b"), b"new");
    place.save(&rules(vec![FileSet::tree("/srv")]));
    let method = RestoreMethod::RestoreIfNotThere;
    write(place.target("srv/b"), b"old");
    let report = place.restore(&plan(method, None), &all(), &chosen());
    assert_eq!((report.status, report.files), (FileRestoreStatus::None, 0));
    assert_eq!(report.failures, [EntryError::AlreadyThere("/srv/b".into())]);
    assert!(!place.target("srv/a").exists());
    let mapped = plan(method, Some(("/srv", "/other")));
    let report = place.restore(&mapped, &all(), &chosen());
    assert_eq!((report.status, report.files), (FileRestoreStatus::All, 2));
    assert_eq!(report.mappings.into_iter().collect::<Vec<_>>(), [0]);
    assert_eq!(fs::read(place.target("srv/b")).unwrap(), b"old");
    as_on_the_volume(&place.volume(""), &place.target("other"));
    fs::remove_file(place.target("srv/b")).unwrap();
    let report = place.restore(&mapped, &all(), &chosen());
    assert!(report.mappings.is_empty());
    as_on_the_volume(&place.volume(""), &place.target("srv"));
}

/// The same page, `VSS_RME_RESTORE_IF_CAN_REPLACE`: only if all files can be replaced.
#[test]
fn restore_if_can_replace() {
    let place = Place::new();
    write(place.volume("a"), b"new");
    write(place.volume("b"), b"new");
    place.save(&rules(vec![FileSet::tree("/srv")]));
    let method = RestoreMethod::RestoreIfCanReplace;
    write(place.target("srv/a"), b"old");
    fs::create_dir(place.target("srv/b")).unwrap();
    let report = place.restore(&plan(method, None), &all(), &chosen());
    assert_eq!((report.status, report.failed), (FileRestoreStatus::None, 1));
    assert_eq!(fs::read(place.target("srv/a")).unwrap(), b"old");
    fs::remove_dir(place.target("srv/b")).unwrap();
    let report = place.restore(&plan(method, None), &all(), &chosen());
    assert_eq!(report.status, FileRestoreStatus::All);
    as_on_the_volume(&place.volume(""), &place.target("srv"));
}

/// The same page: what a requester cannot do by itself is refused.
#[test]
fn methods_that_need_more_are_refused() {
    let place = Place::new();
    for method in [RestoreMethod::Custom, RestoreMethod::RestoreAtReboot] {
        let style = PathStyle::Linux;
        let rules = FileRules::for_restore(&[&all()], None, style).unwrap();
        let places = RestoreRules::new(&plan(method, None), &chosen(), style).unwrap();
        let error = restore(&place.backup, &rules, &places, place.target("")).unwrap_err();
        assert_eq!(error.code(), VssCode::NotSupported);
        assert!(error.message().contains(method.name()), "{error}");
    }
}

/// "Working with Alternate Locations during Restore", "Working with New Targets during
/// Restore".
#[test]
fn alternate_locations_and_new_targets() {
    let place = Place::new();
    write(place.volume("data/deep/a"), b"1");
    write(place.volume("data/b.new"), b"2");
    fs::set_permissions(place.volume("data/deep"), fs::Permissions::from_mode(0o750)).unwrap();
    let component = group(vec![FileSet::tree("/srv/data")]);
    place.save(&rules(vec![FileSet::tree("/srv/data")]));
    let chosen = ChosenComponent {
        new_targets: vec![NewTarget {
            path: "/srv/data".into(),
            specification: "*.new".into(),
            recursive: None,
            alternate_path: "/elsewhere".into(),
            extra: Extra::default(),
        }],
        ..chosen()
    };
    let metadata = plan(
        RestoreMethod::RestoreToAlternateLocation,
        Some(("/srv/data", "/alt")),
    );
    let report = place.restore(&metadata, &component, &chosen);
    assert_eq!(
        (report.status, report.failures),
        (FileRestoreStatus::All, vec![])
    );
    assert_eq!(fs::read(place.target("alt/deep/a")).unwrap(), b"1");
    assert_eq!(fs::read(place.target("elsewhere/b.new")).unwrap(), b"2");
    assert!(!place.target("srv").exists());
    let mode = fs::metadata(place.target("alt/deep")).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o750);
}

/// "Working with Alternate Paths during Backup": found there, restored where it
/// belongs.
#[test]
fn alternate_paths_are_not_used_on_restore() {
    let place = Place::new();
    write(place.volume("spit/deep/a"), b"1");
    let component = group(vec![FileSet {
        alternate_path: Some("/srv/spit".into()),
        ..FileSet::tree("/srv/data")
    }]);
    place.save(&rules_for(
        &metadata(),
        &component,
        &chosen(),
        BackupType::Full,
    ));
    place.restore(&metadata(), &component, &chosen());
    assert_eq!(fs::read(place.target("srv/data/deep/a")).unwrap(), b"1");
    assert!(!place.target("srv/spit").exists());
}

/// Somebody who owns a folder of the target cannot lead a restore out of it.
#[test]
fn a_restore_follows_no_link_out() {
    let place = Place::new();
    write(place.volume("home/a"), b"new");
    write(place.volume("home/b"), b"new");
    write(place.folder.path().join("outside/a"), b"untouched");
    place.save(&rules(vec![FileSet::tree("/srv")]));
    // A folder that is a link; upwards, and to an absolute path.
    for link in [
        "../../outside",
        place.folder.path().join("outside").to_str().unwrap(),
    ] {
        fs::create_dir_all(place.target("srv")).unwrap();
        symlink(link, place.target("srv/home")).unwrap();
        let report = place.restore(
            &plan(RestoreMethod::StopRestoreStart, None),
            &all(),
            &chosen(),
        );
        assert_eq!(report.files, 0);
        assert!(
            report
                .failures
                .iter()
                .any(|one| matches!(one, EntryError::LinkOnTheWay(_)))
        );
        let shown = place.target("srv/home").display().to_string();
        let says = |one: &EntryError| one.to_string().contains(&shown);
        assert!(report.failures.iter().any(says), "{:?}", report.failures);
        fs::remove_file(place.target("srv/home")).unwrap();
    }
    // A file that is a link is replaced itself; a partial file is not written through.
    fs::create_dir_all(place.target("srv/home")).unwrap();
    symlink("../../../outside/a", place.target("srv/home/a")).unwrap();
    let partial_chosen = ChosenComponent {
        partial_files: vec![partial("/srv/home", "a", "0:2")],
        ..chosen()
    };
    let report = place.restore(&metadata(), &all(), &partial_chosen);
    assert!(
        matches!(report.failures[..], [EntryError::OtherKind { .. }]),
        "{report:?}"
    );
    place.restore(&metadata(), &all(), &chosen());
    assert!(
        !fs::symlink_metadata(place.target("srv/home/a"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(
        fs::read(place.folder.path().join("outside/a")).unwrap(),
        b"untouched"
    );
    // A document cannot say it either.
    let upwards = ChosenComponent {
        new_targets: vec![NewTarget {
            path: "/srv".into(),
            specification: "*".into(),
            recursive: Some(true),
            alternate_path: "/srv/../../outside".into(),
            extra: Extra::default(),
        }],
        ..chosen()
    };
    assert_eq!(place.restore(&metadata(), &all(), &upwards).files, 0);
    assert_eq!(
        fs::read(place.folder.path().join("outside/a")).unwrap(),
        b"untouched"
    );
}

/// A full disk ends a backup with an error that says so; no half file is left.
#[test]
fn a_full_disk_ends_it() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 16);
    let place = Place::new();
    for number in 0..4 {
        write(place.volume(&format!("{number}")), vec![number; 8 << 20]);
    }
    let backup = BackupFolder::create(disk.mount.join("backup")).unwrap();
    let volume = Volume::shadow_copy(place.volume(""), "/srv").unwrap();
    let rules = rules(vec![FileSet::tree("/srv")]);
    let error = save(&volume, &rules, Wanted::All, &backup).unwrap_err();
    assert_eq!(error.code(), VssCode::InsufficientStorage);
    assert!(error.to_string().contains("cannot"), "{error}");
    for entry in fs::read_dir(backup.location(Path::new("/srv"))).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().len(), 8 << 20, "{entry:?}");
    }
    // The same on the way back: the old file stays.
    place.save(&rules);
    write(disk.mount.join("srv/0"), b"old");
    let places = RestoreRules::new(&metadata(), &chosen(), PathStyle::Linux).unwrap();
    let rules = FileRules::for_restore(&[&all()], None, PathStyle::Linux).unwrap();
    fs::write(disk.mount.join("filler"), b"").unwrap();
    let _ = fs::File::create(disk.mount.join("filler"))
        .unwrap()
        .write_all(&vec![1; 16 << 20]);
    let error = restore(&place.backup, &rules, &places, &disk.mount).unwrap_err();
    assert_eq!(error.code(), VssCode::InsufficientStorage);
    assert_eq!(fs::read(disk.mount.join("srv/0")).unwrap(), b"old");
}

/// A file became a folder, or a folder a file: that one fails, the rest goes on.
#[test]
fn what_changed_its_kind_is_an_error_and_stays() {
    let place = Place::new();
    write(place.volume("file"), b"new");
    write(place.volume("folder/inside"), b"new");
    write(place.volume("rest"), b"new");
    place.save(&rules(vec![FileSet::tree("/srv")]));
    write(place.target("srv/file/inside"), b"kept");
    write(place.target("srv/folder"), b"kept");
    let method = RestoreMethod::StopRestoreStart;
    let report = place.restore(&plan(method, None), &all(), &chosen());
    assert_eq!(
        (report.status, report.files),
        (FileRestoreStatus::Failed, 1)
    );
    let kinds = report
        .failures
        .iter()
        .filter(|one| matches!(one, EntryError::OtherKind { .. }));
    assert_eq!(kinds.count() as u64, report.failed);
    assert_eq!(fs::read(place.target("srv/file/inside")).unwrap(), b"kept");
    assert_eq!(fs::read(place.target("srv/folder")).unwrap(), b"kept");
    assert_eq!(fs::read(place.target("srv/rest")).unwrap(), b"new");
}

/// The other way round: from a volume that goes on changing.
#[test]
fn files_that_vanish_from_a_live_volume_fail_alone() {
    let place = Place::new();
    for number in 0..2000 {
        write(place.volume(&format!("{number}")), b"content");
    }
    let root = place.volume("");
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..2000).rev() {
                fs::remove_file(root.join(number.to_string())).unwrap();
            }
        });
        place.save(&rules(vec![FileSet::tree("/srv")]))
    });
    assert!(report.files + report.failed <= 2000);
    for error in report.failures {
        assert!(matches!(error, EntryError::System { .. }), "{error}");
    }
    let backup = place.backup.location(Path::new("/srv"));
    for entry in fs::read_dir(backup).unwrap() {
        assert_eq!(fs::read(entry.unwrap().path()).unwrap(), b"content");
    }
}

/// Deeper than a path of one system call, out and back.
#[test]
fn a_very_deep_file_comes_back() {
    let place = Place::new();
    let name = "a-folder-with-quite-a-long-name-that-fills-paths-quickly";
    let deep = [name; 120].join("/");
    assert!(deep.len() > 6000);
    let script =
        format!("for i in $(seq 120); do mkdir {name}; cd {name}; done; echo hello > file");
    let run = |folder: PathBuf, script: &str| {
        let ran = Command::new("bash")
            .args(["-c", script])
            .current_dir(folder)
            .output();
        String::from_utf8(ran.unwrap().stdout).unwrap()
    };
    run(place.volume(""), &script);
    let report = place.save(&rules(vec![FileSet::tree("/srv")]));
    assert_eq!((report.files, report.failures), (1, vec![]));
    let report = place.restore(&metadata(), &all(), &chosen());
    assert_eq!((report.files, report.failures), (1, vec![]));
    let script = format!("for i in $(seq 120); do cd {name}; done; cat file");
    assert_eq!(run(place.target("srv"), &script), "hello\n");
}

/// Whoever may not give files away still gets their content, and hears of it; nothing
/// runs as somebody else than was meant.
#[test]
fn content_is_kept_where_attributes_cannot_be() {
    let place = Place::new();
    write(place.volume("program"), b"content");
    fs::set_permissions(place.volume("program"), fs::Permissions::from_mode(0o4755)).unwrap();
    for folder in ["", "backup", "backup/files", "volume"] {
        let folder = place.folder.path().join(folder);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let files = place.folder.path().join("backup/files");
    chown(&files, Some(65534), Some(65534)).unwrap();
    let report = std::thread::scope(|scope| {
        let saving = scope.spawn(|| {
            rustix::thread::set_thread_uid(rustix::fs::Uid::from_raw(65534)).unwrap();
            place.save(&rules(vec![FileSet::tree("/srv")]))
        });
        saving.join().unwrap()
    });
    assert_eq!(report.files, 1);
    let errors: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(
        errors.contains(&"cannot keep all attributes of \"/srv/program\"".to_owned()),
        "{errors:?}"
    );
    let stored = place.backup.location(Path::new("/srv/program"));
    assert_eq!(fs::read(&stored).unwrap(), b"content");
    assert_eq!(fs::metadata(&stored).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn no_temporary_file_is_left() {
    let place = Place::new();
    write(place.volume("a"), b"1");
    symlink("a", place.volume("b")).unwrap();
    place.save(&rules(vec![FileSet::tree("/srv")]));
    place.save(&rules(vec![FileSet::tree("/srv")]));
    place.restore(&metadata(), &all(), &chosen());
    place.restore(&metadata(), &all(), &chosen());
    as_on_the_volume(&place.volume(""), &place.target("srv"));
    as_on_the_volume(&place.volume(""), &place.backup.location(Path::new("/srv")));
}
