//! The disk under the catalog is full at each of its writes. The set fails,
//! nothing of it is kept, and with room made the service goes on.

use crate::{
    puppet::Puppet,
    stage::{Stage, assert_failed},
    support::Outcome,
};
use serde_json::Value;
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::symlink,
    path::PathBuf,
};
use umbra_testbed::Format;

/// A stage whose catalog lies on a file system of its own, which has little room.
struct Tight {
    stage: Stage,
    filler: PathBuf,
}

impl Tight {
    fn new() -> Self {
        let stage = Stage::new();
        let disk = stage.bench.bed.disk(Format::Ext4, 8);
        let state = stage.bench.umbra.root().join("var/lib/umbra");
        fs::create_dir_all(state.parent().unwrap()).unwrap();
        symlink(&disk.mount, &state).unwrap();
        Self {
            stage: stage.starting_now(),
            filler: disk.mount.join("filler"),
        }
    }

    /// Takes the last block.
    fn fill(&self) {
        let mut filler = fs::File::create(&self.filler).unwrap();
        loop {
            match filler.write_all(&[0; 1024]).and_then(|()| filler.flush()) {
                Ok(()) => {}
                Err(full) if full.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
        filler.sync_all().unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(&self.filler).unwrap();
    }
}

/// No copy is left: what the catalog could not forget is not there any more.
fn assert_no_copies(stage: &Stage) {
    let list = stage.bench.umbra.json(["list", "--json"]);
    assert_eq!(list, Value::Array(Vec::new()));
    let traces = stage.bench.traces();
    assert!(
        !traces.iter().any(|trace| trace.contains(".umbra")),
        "{traces:#?}"
    );
}

#[test]
fn the_disk_is_full_before_the_first_set() {
    let tight = Tight::new();
    let stage = &tight.stage;
    let mut daemon = stage.daemon();
    let writer = Puppet::good(stage, "Good", &stage.bench.ext4.mount);
    tight.fill();
    let outcome = stage.exec("echo ran").end();
    assert_failed(&outcome, 109, &["the catalog", "make room and try again"]);
    let heard = writer.heard();
    assert!(!heard.contains(&"Freeze".to_owned()), "{heard:?}");
    drop(writer);
    assert_no_copies(stage);
    tight.make_room();
    stage.assert_clean(Some(&mut daemon));
    stage.assert_works();
    stage.assert_clean(Some(&mut daemon));
}

/// A catalog has room in it for some sets, and then wants to grow.
#[test]
fn the_disk_is_full_when_the_catalog_grows() {
    let tight = Tight::new();
    let stage = &tight.stage;
    let umbra = &stage.bench.umbra;
    let mut daemon = stage.daemon();
    let btrfs = stage.bench.btrfs.mount.to_str().unwrap();
    let mut made = 5;
    for _ in 0..made {
        umbra.ok(["create", btrfs]);
    }
    tight.fill();
    let outcome = loop {
        let outcome = umbra.run(["create", btrfs]);
        if !outcome.status.success() {
            break outcome;
        }
        made += 1;
        assert!(made < 200, "the catalog never grows");
    };
    eprintln!("{made} sets, then {outcome:?}");
    assert_failed(&outcome, 109, &["the catalog", "make room and try again"]);
    let listed = umbra.json(["list", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), made);
    let subvolumes = stage.bench.traces();
    let copies = subvolumes
        .iter()
        .filter(|trace| trace.starts_with("subvolume"));
    assert_eq!(copies.count(), made, "{subvolumes:#?}");
    // Deleting may need room for a moment as well, and says so then.
    let deleted: Outcome = umbra.run(["delete", "--all", "--yes"]);
    eprintln!("{deleted:?}");
    if !deleted.status.success() {
        assert_eq!(deleted.status.code(), Some(109), "{deleted:?}");
        assert!(
            deleted.stderr.contains("make room and try again"),
            "{deleted:?}"
        );
    }
    tight.make_room();
    umbra.ok(["delete", "--all", "--yes"]);
    stage.assert_clean(Some(&mut daemon));
    stage.assert_works();
    stage.assert_clean(Some(&mut daemon));
}

/// It had room for the intent, and has none for the set with all that there is
/// to say about it.
#[test]
fn the_disk_is_full_between_intent_and_finish() {
    let tight = Tight::new();
    let stage = &tight.stage;
    let mut daemon = stage.daemon_with("set::PostFinalCommit=1*sleep(1000)");
    let writer = Puppet::scattered(
        stage,
        "Scattered",
        [&stage.bench.ext4.mount, stage.bench.bed.folder()],
        200,
    );
    let requester = stage.exec("echo ran");
    stage.until_state("PostFinalCommit");
    tight.fill();
    let outcome = requester.end();
    assert_failed(&outcome, 109, &["the catalog", "make room and try again"]);
    drop(writer);
    assert_no_copies(stage);
    tight.make_room();
    stage.assert_works();
    stage.assert_clean(Some(&mut daemon));
}

#[test]
fn every_write_of_the_catalog_fails() {
    let stage = Stage::new();
    for (fail_points, code, words) in [
        ("catalog::begin=1*return", 109, "catalog::begin"),
        (
            "catalog::begin=1*return;catalog::remove=1*return",
            109,
            "catalog::begin",
        ),
        ("catalog::finish=1*return", 109, "catalog::finish"),
        (
            "catalog::finish=1*return;catalog::remove=1*return",
            109,
            "catalog::remove",
        ),
        (
            "set::Thaw=1*return;catalog::remove=1*return",
            100,
            "catalog::remove",
        ),
    ] {
        eprintln!("{fail_points}");
        let mut daemon = stage.daemon_with(fail_points);
        let outcome = stage.exec("echo ran").end();
        assert_failed(&outcome, code, &[words]);
        assert_no_copies(&stage);
        stage.assert_works();
        stage.assert_clean(Some(&mut daemon));
        assert!(daemon.stop().status.success());
    }
}

/// The copies are gone, and the catalog forgets them later.
#[test]
fn the_catalog_cannot_forget_what_is_deleted() {
    let stage = Stage::new();
    let umbra = &stage.bench.umbra;
    let mut daemon = stage.daemon_with("catalog::remove_copy=1*return");
    let outcome = stage.exec("echo ran").end();
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(
        outcome.stderr.contains("catalog::remove_copy"),
        "{outcome:?}"
    );
    stage.assert_works();
    stage.assert_clean(Some(&mut daemon));
    assert!(daemon.stop().status.success());

    let mut daemon = stage.daemon_with("catalog::remove_copy=1*return");
    umbra.ok(["create", stage.volumes()[0].to_str().unwrap()]);
    let outcome = umbra.run(["delete", "--all"]);
    assert_failed(&outcome, 109, &["catalog::remove_copy"]);
    umbra.ok(["delete", "--all"]);
    stage.assert_clean(Some(&mut daemon));
}
