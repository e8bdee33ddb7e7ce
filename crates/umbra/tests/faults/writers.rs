//! A writer misbehaves at every event. The others are thawed, nothing is kept,
//! and the error names it.

use crate::{
    puppet::{Misdeed, Puppet},
    stage::{Stage, assert_failed, exec_over},
    support::{Outcome, Running, eventually},
};

/// The events up to the copies; a failure at one of these fails the set.
const BEFORE: [&str; 5] = [
    "PrepareForBackup",
    "PrepareForSnapshot",
    "Freeze",
    "Thaw",
    "PostSnapshot",
];

const LIMITS: &str = "identify = \"500ms\"\nprepare_for_backup = \"500ms\"\n\
    prepare_for_snapshot = \"500ms\"\nfreeze = \"500ms\"\nthaw = \"500ms\"\n\
    post_snapshot = \"500ms\"\nbackup_complete = \"500ms\"\nbackup_shutdown = \"500ms\"\n\
    abort = \"500ms\"";

/// Has a writer misbehave at each of these events, beside a good one.
fn misbehave(misdeed: Misdeed, events: &[&str], check: impl Fn(&str, &Outcome)) {
    let stage = Stage::new();
    stage.limits(LIMITS);
    let mut daemon = stage.daemon();
    let ext4 = &stage.bench.ext4.mount;
    for event in events {
        eprintln!("{misdeed:?} at {event}");
        let good = Puppet::good(&stage, "Good", ext4);
        let bad = Puppet::bad(&stage, "Bad", ext4, event, misdeed);
        let set = [ext4.as_path(), stage.bench.btrfs.mount.as_path()];
        let outcome = Running::start(exec_over(&stage.bench, &set, "echo ran")).end();
        eprintln!("{outcome:?}");
        check(event, &outcome);
        assert!(good.is_thawed(), "{:?}", good.heard());
        assert!(
            bad.heard().iter().any(|heard| heard == event),
            "{:?}",
            bad.heard()
        );
        let last = good.heard().last().cloned();
        assert_eq!(
            last.as_deref(),
            Some("BackupShutdown"),
            "{:?}",
            good.heard()
        );
        drop((good, bad));
        eventually("no writer", || {
            stage.bench.umbra.json(["status", "--json"])["connected_writers"] == 0
        });
        stage.assert_clean(Some(&mut daemon));
    }
    stage.assert_works();
    stage.assert_clean(Some(&mut daemon));
    assert!(daemon.stop().status.success());
}

/// The copies were read, so the command's exit code counts; the failure is said.
fn ran_but_says(outcome: &Outcome, words: &[&str]) {
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.stdout, "ran\n");
    for word in words {
        assert!(outcome.stderr.contains(word), "no {word:?} in {outcome:?}");
    }
}

#[test]
fn a_writer_vetoes() {
    misbehave(Misdeed::Veto, &BEFORE, |event, outcome| {
        let words = ["\"Bad\"", event, "the disk is on fire"];
        assert_failed(outcome, 105, &words);
    });
}

#[test]
fn a_writer_hangs() {
    misbehave(Misdeed::Hang, &BEFORE, |event, outcome| {
        assert_failed(outcome, 105, &["\"Bad\"", event, "did not answer within"]);
    });
}

#[test]
fn a_writer_leaves() {
    misbehave(Misdeed::Leave, &BEFORE, |event, outcome| {
        assert_failed(outcome, 105, &["\"Bad\"", event, "no longer connected"]);
    });
}

/// The first answer may have been taken before the second one is read; then the
/// writer has failed at its next event.
#[test]
fn a_writer_answers_twice() {
    misbehave(Misdeed::AnswerTwice, &BEFORE[..4], |event, outcome| {
        let at = BEFORE.iter().position(|one| *one == event).unwrap();
        assert_failed(outcome, 105, &["\"Bad\""]);
        let named = BEFORE[at..]
            .iter()
            .any(|event| outcome.stderr.contains(event));
        assert!(named, "{outcome:?}");
    });
}

#[test]
fn a_writer_answers_out_of_order() {
    for misdeed in [Misdeed::AnswerAhead, Misdeed::AnswerBehind] {
        misbehave(misdeed, &BEFORE, |event, outcome| {
            assert_failed(outcome, 105, &["\"Bad\"", event]);
        });
    }
}

/// A writer that cannot say what it owns takes no part; the set is not said to
/// be consistent for it.
#[test]
fn a_writer_misbehaves_at_identify() {
    for misdeed in [
        Misdeed::Veto,
        Misdeed::Hang,
        Misdeed::Leave,
        Misdeed::AnswerAhead,
        Misdeed::AnswerBehind,
    ] {
        misbehave(misdeed, &["Identify"], |_, outcome| {
            ran_but_says(outcome, &["filesystem consistency", "Bad"]);
        });
    }
}

/// The copies exist and were read by then.
#[test]
fn a_writer_misbehaves_after_the_backup() {
    for misdeed in [
        Misdeed::Veto,
        Misdeed::Hang,
        Misdeed::Leave,
        Misdeed::AnswerAhead,
        Misdeed::AnswerBehind,
    ] {
        misbehave(
            misdeed,
            &["BackupComplete", "BackupShutdown"],
            |event, outcome| {
                if event == "BackupComplete" {
                    ran_but_says(outcome, &["\"Bad\"", event]);
                } else {
                    ran_but_says(outcome, &[]);
                }
            },
        );
    }
    misbehave(
        Misdeed::AnswerTwice,
        &["PostSnapshot", "BackupComplete", "BackupShutdown"],
        |_, outcome| ran_but_says(outcome, &[]),
    );
}

/// A persistent set is made by then and stays; what its writer said is an error.
#[test]
fn a_writer_vetoes_a_persistent_set_when_it_is_complete() {
    let stage = Stage::new();
    let mut daemon = stage.daemon();
    let (umbra, ext4) = (&stage.bench.umbra, &stage.bench.ext4.mount);
    let bad = Puppet::bad(&stage, "Bad", ext4, "BackupComplete", Misdeed::Veto);
    let outcome = umbra.run(["create", ext4.to_str().unwrap()]);
    assert_eq!(outcome.status.code(), Some(105), "{outcome:?}");
    for word in ["\"Bad\"", "BackupComplete", "the disk is on fire"] {
        assert!(outcome.stderr.contains(word), "{outcome:?}");
    }
    let sets = umbra.json(["list", "--json"]);
    let id = sets[0]["id"].as_str().unwrap();
    assert!(outcome.stdout.contains(id), "{outcome:?}");
    umbra.ok(["delete", "--set", id]);
    drop(bad);
    stage.assert_clean(Some(&mut daemon));
}

/// Undoing a set goes on past a writer that cannot even hear of it.
#[test]
fn a_writer_misbehaves_at_abort() {
    let stage = Stage::new();
    stage.limits(LIMITS);
    let mut daemon = stage.daemon();
    let ext4 = &stage.bench.ext4.mount;
    for misdeed in [
        Misdeed::Veto,
        Misdeed::Hang,
        Misdeed::Leave,
        Misdeed::AnswerTwice,
        Misdeed::AnswerAhead,
        Misdeed::AnswerBehind,
    ] {
        eprintln!("{misdeed:?}");
        let good = Puppet::good(&stage, "Good", ext4);
        let bad = Puppet::bad(&stage, "Bad", ext4, "Abort", misdeed);
        let vetoes = Puppet::bad(&stage, "Vetoes", ext4, "Freeze", Misdeed::Veto);
        let outcome = Running::start(exec_over(&stage.bench, &[ext4], "echo ran")).end();
        assert_failed(&outcome, 105, &["\"Vetoes\"", "Freeze"]);
        assert!(
            good.heard().contains(&"Abort".to_owned()),
            "{:?}",
            good.heard()
        );
        assert!(
            bad.heard().contains(&"Abort".to_owned()),
            "{:?}",
            bad.heard()
        );
        drop((good, bad, vetoes));
        eventually("no writer", || {
            stage.bench.umbra.json(["status", "--json"])["connected_writers"] == 0
        });
        stage.assert_clean(Some(&mut daemon));
    }
    stage.assert_works();
}
