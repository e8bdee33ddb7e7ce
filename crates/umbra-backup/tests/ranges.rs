//! Parts of files out of a volume and back, on real file systems.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod place;
mod support;

use place::{Place, all, partial, plan};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use support::{chosen, group, metadata, rules, rules_for, write};
use umbra_backup::EntryError;
use umbra_documents::{ChosenComponent, DirectedTarget, Extra, FileSet, PartialFile, Term};
use umbra_model::{BackupType, RestoreMethod, RestoreTarget};

/// "Working with Partial Files"; "VSS Test Writer Tool": only the ranges are backed
/// up and come back, into the file that is there.
#[test]
fn partial_files_are_ranges() {
    let place = Place::new();
    write(place.volume("log"), b"0123456789abcdefghij");
    let chosen = ChosenComponent {
        partial_files: vec![partial("/srv", "log", "2:3,0xa:4")],
        ..chosen()
    };
    let rules = rules_for(&metadata(), &all(), &chosen, BackupType::Incremental);
    let report = place.save(&rules);
    assert_eq!(report.bytes, 7);
    assert_eq!(report.partial_files, [PathBuf::from("/srv/log")]);
    let stored = fs::read(place.backup.location(Path::new("/srv/log"))).unwrap();
    assert_eq!(stored, b"\0\x00234\0\0\0\0\0abcd\0\0\0\0\0\0");
    write(place.target("srv/log"), b"ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    let report = place.restore(&metadata(), &all(), &chosen);
    assert_eq!((report.files, report.failed), (1, 0));
    assert_eq!(
        fs::read(place.target("srv/log")).unwrap(),
        b"AB234FGHIJabcdOPQRSTUVWXYZ"
    );
    // A missing file is made, with nothing else in it.
    fs::remove_file(place.target("srv/log")).unwrap();
    place.restore(&metadata(), &all(), &chosen);
    assert_eq!(fs::read(place.target("srv/log")).unwrap(), stored);
}

/// The same page: zeros in a range are content.
#[test]
fn zeros_in_a_range_are_written_too() {
    let place = Place::new();
    write(place.volume("log"), [0; 100_000]);
    let chosen = ChosenComponent {
        partial_files: vec![partial("/srv", "log", "10:90000")],
        ..chosen()
    };
    place.save(&rules_for(&metadata(), &all(), &chosen, BackupType::Full));
    write(place.target("srv/log"), [1; 100_000]);
    place.restore(&metadata(), &all(), &chosen);
    let there = fs::read(place.target("srv/log")).unwrap();
    assert!(there[10..90_010].iter().all(|byte| *byte == 0));
    assert!(
        there[..10]
            .iter()
            .chain(&there[90_010..])
            .all(|byte| *byte == 1)
    );
}

/// The same page: the ranges may be in a file, which is kept with the backup.
#[test]
fn a_ranges_file_is_kept_in_the_backup() {
    let place = Place::new();
    write(place.volume("log"), b"0123456789");
    let ranges = place.folder.path().join("ranges");
    let list: umbra_documents::RangeList = "1:2,8:1".parse().unwrap();
    write(&ranges, list.to_file_content());
    let chosen = ChosenComponent {
        partial_files: vec![PartialFile {
            ranges: None,
            ranges_file: Some(ranges.to_str().unwrap().into()),
            ..partial("/srv", "log", "")
        }],
        ..chosen()
    };
    let report = place.save(&rules_for(&metadata(), &all(), &chosen, BackupType::Full));
    assert_eq!(report.failures, []);
    fs::remove_file(&ranges).unwrap();
    // That the list is there does not mean that the file is.
    write(
        place.target(ranges.strip_prefix("/").unwrap().to_str().unwrap()),
        b"old",
    );
    let method = RestoreMethod::RestoreIfNotThere;
    let report = place.restore(&plan(method, None), &all(), &chosen);
    assert_eq!(report.failures, []);
    assert_eq!(
        fs::read(place.target("srv/log")).unwrap(),
        b"\x0012\0\0\0\0\x008\0"
    );
    // One that is none is an error that says so, and nothing of the file is kept.
    write(&ranges, b"nonsense!");
    let report = place.save(&rules_for(&metadata(), &all(), &chosen, BackupType::Full));
    assert!(matches!(
        report.failures[..],
        [EntryError::RangesFile { .. }]
    ));
}

/// A partial file is a file.
#[test]
fn a_link_has_no_ranges() {
    let place = Place::new();
    symlink("/etc/passwd", place.volume("log")).unwrap();
    let chosen = ChosenComponent {
        partial_files: vec![partial("/srv", "log", "0:3")],
        ..chosen()
    };
    let report = place.save(&rules_for(&metadata(), &all(), &chosen, BackupType::Full));
    assert!(matches!(
        report.failures[..],
        [EntryError::OtherKind { .. }]
    ));
}

#[test]
fn a_range_behind_the_end_is_an_error() {
    let place = Place::new();
    write(place.volume("log"), b"0123456789");
    let chosen = ChosenComponent {
        partial_files: vec![partial("/srv", "log", "8:3")],
        ..chosen()
    };
    let report = place.save(&rules_for(&metadata(), &all(), &chosen, BackupType::Full));
    assert!(matches!(
        report.failures[..],
        [EntryError::RangeBehindEnd { size: 10, .. }]
    ));
}

/// "Working with Directed Targets": the header and the newest data of a file become a
/// smaller one.
#[test]
fn directed_targets_move_ranges() {
    let place = Place::new();
    write(place.volume("Index.dat"), b"0123456789abcdefghij");
    let chosen = ChosenComponent {
        restore_target: Some(Term::Known(RestoreTarget::Directed)),
        directed_targets: vec![DirectedTarget {
            source_path: "/srv".into(),
            source_name: "Index.dat".into(),
            source_ranges: "0:4,16:4".into(),
            destination_path: "/srv/small".into(),
            destination_name: "OldIndex.dat".into(),
            destination_ranges: "0:4,4:4".into(),
            extra: Extra::default(),
        }],
        ..chosen()
    };
    place.save(&rules(vec![FileSet::tree("/srv")]));
    let report = place.restore(&metadata(), &all(), &chosen);
    assert_eq!((report.files, report.failed), (1, 0));
    assert_eq!(
        fs::read(place.target("srv/small/OldIndex.dat")).unwrap(),
        b"0123ghij"
    );
    assert!(!place.target("srv/Index.dat").exists());
}

/// Two components, one with a file whole and one with ranges of it: nothing is lost,
/// in whatever order they come.
#[test]
fn a_partial_file_does_not_spoil_a_whole_one() {
    let place = Place::new();
    write(place.volume("shared"), b"0123456789");
    place.save(&rules(vec![FileSet::tree("/srv")]));
    let chosen = ChosenComponent {
        partial_files: vec![partial("/srv", "shared", "2:3")],
        ..chosen()
    };
    place.save(&rules_for(
        &metadata(),
        &group(vec![]),
        &chosen,
        BackupType::Full,
    ));
    let stored = fs::read(place.backup.location(Path::new("/srv/shared"))).unwrap();
    assert_eq!(stored, b"0123456789");
}
