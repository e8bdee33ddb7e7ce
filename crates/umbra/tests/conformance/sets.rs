//! What becomes of the set, the session, and several writers.

use crate::{
    stage::{DATA, Stage, component, fails, succeeds},
    support::Running,
};
use umbra_testbed::Format;

crate::rows! {
    copies_go_with_the_session: "vss-backup-state",
        "Without /P the shadow copies are gone when the requester is" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert_eq!(stage.sets(), 0);
        writer.finds_nothing_wrong();
    };

    persistent_copies_stay: "betest-tool",
        "/P: the shadow copy is there afterwards, and shows the files as they were" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &["--persistent"]));
        assert_eq!(stage.sets(), 1);
        stage.umbra.ok(["delete", "--all", "--yes"]);
        writer.finds_nothing_wrong();
    };

    rollback_copies_stay: "betest-tool",
        "/Rollback: a copy in the context VSS_CTX_APP_ROLLBACK" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &["/Rollback"]));
        let sets = stage.umbra.json(["list", "--json"]);
        assert!(sets.to_string().contains("VSS_CTX_APP_ROLLBACK"), "{sets:#}");
        stage.umbra.ok(["delete", "--all", "--yes"]);
        writer.finds_nothing_wrong();
    };

    a_set_alone: "betest-tool",
        "/Snapshot: a set is made, and no file is copied" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        let folder = stage.outside("backup");
        let line = ["--snapshot", "-D", &folder];
        let said = succeeds(stage.betest(&component("TestFiles"), &line));
        assert!(said.contains("set ") && !said.contains("backed up"), "{said}");
        assert!(!stage.bed.folder().join("backup").exists());
        assert_eq!(writer.finds_nothing_wrong().times("PostSnapshot"), 1);
    };

    backup_complete_is_left_out: "betest-tool",
        "/NBC: the end of the session tells the writers that the backup failed" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &["--no-backup-complete"]));
        assert!(stage.has("backup", "data/a"));
        let end = writer.ends();
        assert!(end.has("the backup Failed") && !end.has("the backup Succeeded"), "{end:#?}");
    };

    backup_complete_alone_is_out_of_order: "betest-tool",
        "/BC: BackupComplete without a set is VSS_E_BAD_STATE" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        fails(
            stage.betest(&component("TestFiles"), &["--backup-complete-only"]),
            100,
            &["BackupComplete was called"],
        );
        assert_eq!(writer.finds_nothing_wrong().times("BackupComplete"), 0);
    };

    several_instances_take_part: "vss-test-writer-tool",
        "Two instances of the test writer: one class, components of both" => || {
        let stage = Stage::new();
        let first = stage.writer("", DATA);
        let second = stage.writer("", "<Component componentName=\"Others\"><ComponentFile \
            path=\"VOLUME/others\" filespec=\"*\"/></Component>");
        stage.write("data/a", "one");
        stage.write("others/b", "two");
        let both = component("TestFiles") + &component("Others");
        succeeds(stage.backup(&both, &[]));
        stage.lose_data();
        std::fs::remove_file(stage.path("others/b")).unwrap();
        succeeds(stage.restore(&both, &[]));
        for writer in [first, second] {
            let end = writer.finds_nothing_wrong();
            assert_eq!(end.times("Freeze"), 1);
            assert!(end.has("1 of 1 files are restored"), "{end:#?}");
        }
    };

    one_of_several_instances_takes_part: "vss-test-writer-tool",
        "Only the instance whose component was chosen is frozen" => || {
        let stage = Stage::new();
        let first = stage.writer("", DATA);
        let second = stage.writer("", "<Component componentName=\"Others\"><ComponentFile \
            path=\"VOLUME/others\" filespec=\"*\"/></Component>");
        stage.write("data/a", "one");
        stage.write("others/b", "two");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert_eq!(first.finds_nothing_wrong().times("Freeze"), 1);
        assert_eq!(second.finds_nothing_wrong().times("Freeze"), 0);
    };

    requesters_wait_for_each_other: "overview-of-pre-backup-tasks",
        "Two backups at once: one set after the other, both succeed" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        let file = stage.selection(&component("TestFiles"));
        let file = file.to_str().unwrap();
        let start = |name: &str| {
            let folder = stage.outside(name);
            let line = ["betest", "-B", "-X", file, "-D", &folder];
            Running::start(stage.umbra.command(line))
        };
        let both = ["first", "second"].map(start);
        for backup in both {
            succeeds(backup.end());
        }
        assert!(stage.has("first", "data/a") && stage.has("second", "data/a"));
        assert_eq!(writer.finds_nothing_wrong().times("Freeze"), 2);
    };

    components_on_several_volumes: "overview-of-pre-backup-tasks",
        "A component on two volumes has both in its set, at one instant" => || {
        let stage = Stage::new();
        let other = stage.bed.disk_in(stage.bed.folder(), Format::Btrfs, 128);
        let other = other.mount.to_str().unwrap();
        let writer = stage.writer("deleteFiles=\"yes\"", &format!("<Component \
            componentName=\"TestFiles\"><ComponentFile path=\"VOLUME/data\" filespec=\"*\"/>\
            <ComponentFile path=\"{other}\" filespec=\"*\"/></Component>"));
        stage.write("data/a", "one");
        std::fs::write(format!("{other}/b"), "two").unwrap();
        let said = succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(said.contains("backed up TestFiles: 2 files"), "{said}");
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(std::fs::read_to_string(format!("{other}/b")).unwrap(), "two");
        writer.finds_nothing_wrong();
    };

    without_selected_components_all_take_part: "vss-backup-state",
        "A set without a Backup Components Document: every component on its volumes" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        let volume = stage.path("");
        stage.umbra.ok(["create", volume.to_str().unwrap()]);
        assert!(!stage.is_there("data/a"));
        stage.umbra.ok(["delete", "--all", "--yes"]);
        let end = writer.finds_nothing_wrong();
        assert!(end.has("TestFiles: 1 files to back up"), "{end:#?}");
    };

    in_box_writers_need_no_service: "in-box-vss-writers",
        "A requester with the service in itself backs up what in-box writers own" => || {
        let stage = Stage::new();
        let database = stage.path("data/a.db");
        let rows = rusqlite::Connection::open(&database).unwrap();
        rows.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (42);").unwrap();
        let text = format!("[[database]]\npath = '{}'\n", database.display());
        stage.umbra.write("etc/umbra/writers.d/sqlite.toml", &text);
        let Stage { umbra, disk, daemon, bed } = stage;
        daemon.stop();
        let folder = bed.folder().join("backup");
        let line = ["betest", "-B", "-D", folder.to_str().unwrap()];
        let said = succeeds(umbra.run(line));
        assert!(said.contains("backed up ") && said.contains(", 0 failed"), "{said}");
        let kept = folder.join("files").join(database.strip_prefix("/").unwrap());
        let kept = rusqlite::Connection::open(kept).unwrap();
        let number: i64 = kept.query_row("SELECT n FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(number, 42);
        drop((rows, disk));
    };

    the_writer_s_document_is_whole: "working-with-the-writer-metadata-document",
        "The Writer Metadata Document of a test writer has what its configuration says" => || {
        let stage = Stage::new();
        let method = "<RestoreMethod method=\"RESTORE_TO_ALTERNATE_LOCATION\" \
            writerRestore=\"always\" rebootRequired=\"no\"><AlternateLocationMapping \
            path=\"VOLUME/data\" filespec=\"*\" recursive=\"yes\" alternatePath=\"VOLUME/other\"/>\
            </RestoreMethod><ExcludeFile path=\"VOLUME/data\" filespec=\"temp*.*\" \
            recursive=\"no\"/>";
        let writer = stage.writer_with(method, "supportsLog=\"yes\"", DATA);
        let document = stage.umbra.ok(["writers", "Test Writer", "--xml"]);
        for words in [
            "method=\"RESTORE_TO_ALTERNATE_LOCATION\"",
            "ALTERNATE_LOCATION_MAPPING",
            "EXCLUDE_FILES",
            "filespec=\"temp*.*\"",
            "componentName=\"TestFiles\"",
            "usage=\"USER_DATA\"",
        ] {
            assert!(document.contains(words), "no {words} in {document}");
        }
        let file = stage.file("writer.xml", &document);
        stage.umbra.ok(["document", "--check", file.to_str().unwrap()]);
        writer.finds_nothing_wrong();
    };

    the_document_is_kept: "backup-components-document-contents",
        "The saved Backup Components Document has what requester and writer set" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        let chosen = "<Component componentName=\"TestFiles\" backupOptions=\"gently\"/>";
        succeeds(stage.backup(chosen, &["--bootable"]));
        let document = stage.document("backup");
        for words in [
            "componentName=\"TestFiles\"",
            "backupOptions=\"gently\"",
            "backupSucceeded=\"yes\"",
            "bootableSystemStateBackup=\"yes\"",
            "backupType=\"full\"",
            "backupMetadata=\"test writer, set ",
        ] {
            assert!(document.contains(words), "no {words} in {document}");
        }
        let file = stage.outside("backup.xml");
        stage.umbra.ok(["document", "--check", &file]);
        writer.finds_nothing_wrong();
    };
}
