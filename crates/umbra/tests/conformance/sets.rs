//! What becomes of the set, the session, and several writers.

use crate::stage::{DATA, Stage, component, fails, succeeds};
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
        assert!(writer.has_said("PostSnapshot"));
        writer.finds_nothing_wrong();
    };

    backup_complete_is_left_out: "betest-tool",
        "/NBC: the end of the session tells the writers that the backup failed" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &["--no-backup-complete"]));
        assert!(stage.has("backup", "data/a"));
        assert!(!writer.has_said("the backup Succeeded"));
        drop(writer);
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
        assert_eq!(writer.times("BackupComplete"), 0);
        writer.finds_nothing_wrong();
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
            assert_eq!(writer.times("Freeze"), 1);
            let said = writer.finds_nothing_wrong();
            assert!(said.iter().any(|line| line.contains("1 of 1 files are restored")), "{said:?}");
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
        assert_eq!((first.times("Freeze"), second.times("Freeze")), (1, 0));
        first.finds_nothing_wrong();
        second.finds_nothing_wrong();
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
