//! Writers that fail ("Failing Events", "Writer Errors and Vetoes").

use crate::{
    stage::{DATA, Stage, TestWriter, component, fails, succeeds},
    support::{Running, eventually},
};
use rustix::process::Signal;

/// A stage with a writer that fails at an event.
fn failing(event: &str, attributes: &str) -> (Stage, TestWriter) {
    let stage = Stage::new();
    let elements = format!("{DATA}<FailEvent writerEvent=\"{event}\" {attributes}/>");
    let writer = stage.writer("", &elements);
    stage.write("data/a", "one");
    (stage, writer)
}

/// A failure for good before the set is made.
fn vetoes(event: &str, state: &str) {
    let (stage, writer) = failing(event, "retryable=\"no\"");
    fails(
        stage.backup(&component("TestFiles"), &[]),
        105,
        &[state, "VSS_E_WRITERERROR_NONRETRYABLE, do not try again"],
    );
    assert_eq!(stage.sets(), 0);
    assert!(!stage.has("backup", "data/a"));
    writer.finds_nothing_wrong();
}

/// A failure at an event of a restore.
fn fails_restore(event: &str, state: &str) -> Stage {
    let (stage, writer) = failing(event, "retryable=\"no\"");
    succeeds(stage.backup(&component("TestFiles"), &[]));
    stage.lose_data();
    fails(
        stage.restore(&component("TestFiles"), &[]),
        105,
        &[
            state,
            "VSS_E_WRITERERROR_NONRETRYABLE",
            &format!("component TestFiles: its configuration says that {event} fails"),
        ],
    );
    writer.finds_nothing_wrong();
    stage
}

/// Two writers of which the first fails at an event.
fn one_of_two_fails(event: &str) -> (Stage, TestWriter, TestWriter) {
    let (stage, first) = failing(event, "retryable=\"no\"");
    let second = stage.writer(
        "",
        "<Component componentName=\"Others\"><ComponentFile path=\"VOLUME/others\" \
         filespec=\"*\"/></Component>",
    );
    stage.write("others/b", "two");
    (stage, first, second)
}

fn both() -> String {
    component("TestFiles") + &component("Others")
}

crate::rows! {
    fails_at_identify: "vss-test-writer-tool",
        "Identify: the writer is not reported, so its components cannot be chosen" => || {
        let (stage, writer) = failing("Identify", "retryable=\"no\"");
        fails(
            stage.backup(&component("TestFiles"), &[]),
            101,
            &["VSS_WS_FAILED_AT_IDENTIFY", "no writer of the class"],
        );
        writer.finds_nothing_wrong();
    };

    fails_at_prepare_for_backup: "vss-test-writer-tool",
        "PrepareForBackup, not retryable" => ||
        vetoes("PrepareForBackup", "VSS_WS_FAILED_AT_PREPARE_BACKUP");

    fails_at_prepare_for_snapshot: "vss-test-writer-tool",
        "PrepareForSnapsot, as the page spells it, not retryable" => ||
        vetoes("PrepareForSnapsot", "VSS_WS_FAILED_AT_PREPARE_SNAPSHOT");

    fails_at_freeze: "vss-test-writer-tool",
        "Freeze, not retryable" => || vetoes("Freeze", "VSS_WS_FAILED_AT_FREEZE");

    fails_at_thaw: "vss-test-writer-tool",
        "Thaw, not retryable" => || vetoes("Thaw", "VSS_WS_FAILED_AT_THAW");

    fails_at_post_snapshot: "vss-test-writer-tool",
        "PostSnapshot, not retryable" => ||
        vetoes("PostSnapshot", "VSS_WS_FAILED_AT_POST_SNAPSHOT");

    fails_at_backup_complete: "vss-test-writer-tool",
        "BackupComplete: the backup is there, and the failure is told" => || {
        let (stage, writer) = failing("BackupComplete", "retryable=\"no\"");
        fails(
            stage.backup(&component("TestFiles"), &[]),
            105,
            &["VSS_WS_FAILED_AT_BACKUP_COMPLETE", "backed up TestFiles"],
        );
        assert!(stage.has("backup", "data/a"));
        writer.finds_nothing_wrong();
    };

    fails_at_pre_restore: "vss-test-writer-tool",
        "PreRestore, not retryable" => || {
        fails_restore("PreRestore", "VSS_WS_FAILED_AT_PRE_RESTORE");
    };

    fails_at_post_restore: "vss-test-writer-tool",
        "PostRestore: the files are back, and the failure is told" => || {
        let stage = fails_restore("PostRestore", "VSS_WS_FAILED_AT_POST_RESTORE");
        assert_eq!(stage.read("data/a"), "one");
    };

    fails_at_abort: "vss-test-writer-tool",
        "Abort: what went wrong before it is what is told" => || {
        let stage = Stage::new();
        let writer = stage.writer("", &format!("{DATA}<FailEvent writerEvent=\"Freeze\"/>\
            <FailEvent writerEvent=\"Abort\"/>"));
        fails(
            stage.backup(&component("TestFiles"), &[]),
            105,
            &["VSS_WS_FAILED_AT_FREEZE"],
        );
        assert_eq!(writer.finds_nothing_wrong().times("Abort"), 1);
    };

    retryable_failures_are_told_apart: "writer-errors-and-vetoes",
        "retryable=\"yes\": one of the codes after which trying again may help" => || {
        let (stage, writer) = failing("Freeze", "retryable=\"yes\"");
        let said = fails(
            stage.backup(&component("TestFiles"), &[]),
            105,
            &["VSS_WS_FAILED_AT_FREEZE", ", try again"],
        );
        let codes = ["OUTOFRESOURCES", "TIMEOUT", "RETRYABLE"];
        let is_told = |code: &&str| said.contains(&format!(" VSS_E_WRITERERROR_{code},"));
        assert_eq!(codes.iter().filter(|code| is_told(code)).count(), 1, "{said}");
        writer.finds_nothing_wrong();
    };

    retryable_failures_of_a_backup: "writer-errors-and-vetoes",
        "PrepareForBackup, PrepareForSnapshot, Thaw, PostSnapshot and BackupComplete, retryable" => || {
        for (event, state) in [
            ("PrepareForBackup", "VSS_WS_FAILED_AT_PREPARE_BACKUP"),
            ("PrepareForSnapshot", "VSS_WS_FAILED_AT_PREPARE_SNAPSHOT"),
            ("Thaw", "VSS_WS_FAILED_AT_THAW"),
            ("PostSnapshot", "VSS_WS_FAILED_AT_POST_SNAPSHOT"),
            ("BackupComplete", "VSS_WS_FAILED_AT_BACKUP_COMPLETE"),
        ] {
            let (stage, writer) = failing(event, "retryable=\"yes\" numFailures=\"1\"");
            fails(stage.backup(&component("TestFiles"), &[]), 105, &[state, ", try again"]);
            succeeds(stage.backup(&component("TestFiles"), &[]));
            writer.finds_nothing_wrong();
        }
    };

    retryable_failures_of_a_restore: "writer-errors-and-vetoes",
        "PreRestore and PostRestore, retryable: the second restore succeeds" => || {
        for (event, state) in [
            ("PreRestore", "VSS_WS_FAILED_AT_PRE_RESTORE"),
            ("PostRestore", "VSS_WS_FAILED_AT_POST_RESTORE"),
        ] {
            let (stage, writer) = failing(event, "retryable=\"yes\" numFailures=\"1\"");
            succeeds(stage.backup(&component("TestFiles"), &[]));
            stage.lose_data();
            fails(stage.restore(&component("TestFiles"), &[]), 105, &[state, ", try again"]);
            succeeds(stage.restore(&component("TestFiles"), &[]));
            assert_eq!(stage.read("data/a"), "one");
            writer.finds_nothing_wrong();
        }
    };

    trying_again_helps: "vss-test-writer-tool",
        "numFailures=\"2\": the third backup succeeds" => || {
        let (stage, writer) = failing("Freeze", "retryable=\"yes\" numFailures=\"2\"");
        for _ in 0..2 {
            fails(stage.backup(&component("TestFiles"), &[]), 105, &["VSS_WS_FAILED_AT_FREEZE"]);
        }
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert_eq!(writer.finds_nothing_wrong().times("Freeze"), 3);
    };

    all_writers_hear_of_a_veto: "overview-of-backup-termination",
        "A veto of one writer aborts the set for the other" => || {
        let (stage, first, second) = one_of_two_fails("PostSnapshot");
        fails(stage.backup(&both(), &[]), 105, &["VSS_WS_FAILED_AT_POST_SNAPSHOT"]);
        first.finds_nothing_wrong();
        let second = second.finds_nothing_wrong();
        assert_eq!((second.times("Abort"), second.times("BackupComplete")), (1, 0), "{second:#?}");
    };

    others_are_restored: "writer-errors-and-vetoes",
        "A writer that fails at PreRestore does not keep others from being restored" => || {
        let (stage, first, second) = one_of_two_fails("PreRestore");
        succeeds(stage.backup(&both(), &[]));
        std::fs::remove_file(stage.path("others/b")).unwrap();
        fails(stage.restore(&both(), &[]), 105, &["VSS_WS_FAILED_AT_PRE_RESTORE"]);
        assert_eq!(stage.read("others/b"), "two");
        first.finds_nothing_wrong();
        second.finds_nothing_wrong();
    };

    the_first_failure_is_the_end: "betest-tool",
        "/StopError: nothing is restored after the first writer has failed" => || {
        let (stage, first, second) = one_of_two_fails("PreRestore");
        succeeds(stage.backup(&both(), &[]));
        std::fs::remove_file(stage.path("others/b")).unwrap();
        let outcome = stage.restore(&both(), &["/StopError"]);
        fails(outcome, 105, &["VSS_WS_FAILED_AT_PRE_RESTORE"]);
        assert!(!stage.is_there("others/b"));
        first.finds_nothing_wrong();
        second.finds_nothing_wrong();
    };

    a_requester_gives_up: "aborting-vss-operations",
        "A requester that is ended before Freeze: the writers hear Abort, nothing is kept" => || {
        let stage = Stage::with("set::Freeze=sleep(2000)");
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        let file = stage.selection(&component("TestFiles"));
        let line = ["betest", "/B", "/X", file.to_str().unwrap()];
        let mut backup = Running::start(stage.umbra.command(line));
        eventually("the writer prepares", || writer.has_said("PrepareForSnapshot"));
        backup.signal(Signal::INT);
        assert_eq!(backup.end().status.code(), Some(130));
        eventually("the writer hears of it", || writer.has_said("Abort"));
        eventually("nothing is kept", || stage.sets() == 0);
        assert_eq!(writer.finds_nothing_wrong().times("PostSnapshot"), 0);
    };

    a_writer_goes_away: "event-and-error-handling-under-vss",
        "A writer that is killed before Freeze: VSS_E_WRITER_NOT_RESPONDING" => || {
        let stage = Stage::with("set::Freeze=sleep(3000)");
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        let file = stage.selection(&component("TestFiles"));
        let line = ["betest", "/B", "/X", file.to_str().unwrap()];
        let backup = Running::start(stage.umbra.command(line));
        eventually("the writer prepares", || writer.has_said("PrepareForSnapshot"));
        writer.kill();
        fails(backup.end(), 105, &["VSS_E_WRITER_NOT_RESPONDING"]);
        assert_eq!(stage.sets(), 0);
    };

    a_writer_stands_still: "event-and-error-handling-under-vss",
        "A writer that is stopped before Freeze: VSS_E_WRITER_NOT_RESPONDING, and no wait" => || {
        let stage = Stage::with("set::Freeze=sleep(3000)");
        let mut writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        let file = stage.selection(&component("TestFiles"));
        let line = ["betest", "/B", "/X", file.to_str().unwrap()];
        let backup = Running::start(stage.umbra.command(line));
        eventually("the writer prepares", || writer.has_said("PrepareForSnapshot"));
        writer.signal(Signal::STOP);
        fails(backup.end(), 105, &["VSS_E_WRITER_NOT_RESPONDING"]);
        assert_eq!(stage.sets(), 0);
        writer.kill();
    };
}
