//! Backups and restores as a whole.

use crate::stage::{CLASS, DATA, Stage, component, fails, succeeds};
use umbra_testbed::Format;

crate::rows! {
    a_backup_comes_back: "betest-tool",
        "What was backed up, deleted and restored is as it was" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        stage.write("data/deep/er/b.txt", "two");
        let said = succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(said.contains("backed up TestFiles: 2 files, 6 bytes, 0 failed"), "{said}");
        stage.lose_data();
        let said = succeeds(stage.restore(&component("TestFiles"), &[]));
        assert!(said.contains("restored TestFiles: 2 files"), "{said}");
        assert_eq!(stage.read("data/deep/er/b.txt"), "two");
        let said = writer.finds_nothing_wrong();
        assert!(said.has("2 of 2 files are restored"), "{said:#?}");
    };

    a_backup_of_ext4_comes_back: "betest-tool",
        "The same on a file system that is frozen for its copy" => || {
        let stage = Stage::on_ext4();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        stage.write("data/a.txt", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/a.txt"), "one");
        writer.finds_nothing_wrong();
    };

    both_at_once: "betest-tool",
        "/B and /R in one run: the files are replaced where they are" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        let said = succeeds(stage.backup(&component("TestFiles"), &["--restore"]));
        assert!(said.contains("restored TestFiles: 1 files"), "{said}");
        writer.finds_nothing_wrong();
    };

    a_wrong_restore_is_found: "vss-test-writer-tool",
        "checkIncludes finds a restored file that is not as it was" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        stage.write("data/b.txt", "two");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        stage.lose_data();
        std::fs::write(stage.in_backup("backup", "data/a.txt"), "eno").unwrap();
        succeeds(stage.restore(&component("TestFiles"), &[]));
        writer.finds_wrong("data/a.txt is not as it was backed up");
    };

    a_missing_file_is_found: "vss-test-writer-tool",
        "checkIncludes finds a file that was not restored" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        stage.write("data/b.txt", "two");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        stage.lose_data();
        std::fs::remove_file(stage.in_backup("backup", "data/b.txt")).unwrap();
        succeeds(stage.restore(&component("TestFiles"), &[]));
        writer.finds_wrong("data/b.txt is not restored");
    };

    files_are_read_from_the_copy: "vss-test-writer-tool",
        "deleteFiles: the files are only in the shadow copy when they are backed up" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        stage.write("data/a.txt", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(!stage.is_there("data/a.txt"));
        assert!(stage.has("backup", "data/a.txt"));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        writer.finds_nothing_wrong();
    };

    events_of_a_backup_are_in_order: "overview-of-processing-a-backup-under-vss",
        "Identify, PrepareForBackup, PrepareForSnapshot, Freeze, Thaw, PostSnapshot, \
         BackupComplete, BackupShutdown" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert_eq!(writer.finds_nothing_wrong().events(), [
            "Identify", "PrepareForBackup", "PrepareForSnapshot", "Freeze", "Thaw",
            "PostSnapshot", "BackupComplete", "BackupShutdown",
        ]);
    };

    events_of_a_restore_are_in_order: "overview-of-processing-a-restore-under-vss",
        "PreRestore before the files, PostRestore after them" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        let end = writer.finds_nothing_wrong();
        assert_eq!(end.events()[8..], ["Identify", "PreRestore", "PostRestore"], "{end:#?}");
    };

    without_a_folder_nothing_is_copied: "betest-tool",
        "Without /D the set is made and writers are told, but no file is copied" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        let document = stage.outside("backup.xml");
        succeeds(stage.betest(&component("TestFiles"), &["--backup", "-S", &document]));
        assert!(stage.document("backup").contains("backupSucceeded=\"yes\""));
        assert!(writer.finds_nothing_wrong().has("the backup Succeeded"));
    };

    the_older_file_selects_components: "betest-tool",
        "/C: components by writer id and names in quotation marks" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        let list = stage.file("list.txt", &format!("\"{CLASS}\" : \"TestFiles\";\n"));
        let folder = stage.outside("backup");
        let line = ["betest", "/B", "/C", list.to_str().unwrap(), "/D", &folder];
        let said = succeeds(stage.umbra.run(line));
        assert!(said.contains("backed up TestFiles: 1 files"), "{said}");
        writer.finds_nothing_wrong();
    };

    options_are_spelled_as_in_betest: "betest-tool",
        "/B /S /D /X /V, and /R, as the usage example has them" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        let text = format!(
            "<BETest>\n    <Writer writerid=\"{CLASS}\">\n        <Component \
             componentName=\"TestFiles\">\n        </Component>\n    </Writer>\n</BETest>\n"
        );
        let sample = stage.file("BetestSample.xml", &text);
        let (folder, document) = (stage.outside("backup"), stage.outside("backup.xml"));
        let run = |task: &str| stage.umbra.run([
            "betest", task, "/S", &document, "/D", &folder, "/X", sample.to_str().unwrap(), "/V",
        ]);
        let said = succeeds(run("/B"));
        assert!(said.contains("VSS_WS_STABLE"), "{said}");
        stage.lose_data();
        succeeds(run("/R"));
        assert_eq!(stage.read("data/a.txt"), "one");
        writer.finds_nothing_wrong();
    };

    writers_hear_that_the_backup_failed: "overview-of-backup-termination",
        "SetBackupSucceeded: a backup that could not be written is told as failed" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        let file = stage.file("no folder", "");
        let line = ["--backup", "-D", file.to_str().unwrap()];
        let outcome = stage.betest(&component("TestFiles"), &line);
        assert!(!outcome.status.success(), "{outcome:#?}");
        assert!(outcome.stderr.contains("the folder of the backup"), "{outcome:#?}");
        let end = writer.finds_nothing_wrong();
        assert!(end.has("the backup Failed"), "{end:#?}");
    };

    everything_is_chosen_without_a_file: "betest-tool",
        "Without /X and /C: every component on volumes that can be copied" => || {
        let stage = Stage::new();
        let other = stage.bed.disk(Format::Xfs, 400);
        let writer = stage.writer("", &format!("{DATA}<Component logicalPath=\"TestFiles\" \
            componentName=\"part\"><ComponentFile path=\"VOLUME/part\" filespec=\"*\"/></Component>\
            <Component componentName=\"Elsewhere\"><ComponentFile path=\"{}\" filespec=\"*\"/>\
            </Component>", other.mount.display()));
        stage.write("data/a.txt", "one");
        stage.write("part/b.txt", "two");
        let folder = stage.outside("backup");
        let said = succeeds(stage.umbra.run(["betest", "--backup", "--directory", &folder]));
        assert!(said.contains("backed up TestFiles: 2 files"), "{said}");
        assert!(said.contains("leaves out Elsewhere: "), "{said}");
        writer.finds_nothing_wrong();
    };

    unknown_components_are_refused: "betest-tool",
        "A component that no writer has cannot be chosen" => || {
        let stage = Stage::new();
        let _writer = stage.writer("", DATA);
        fails(
            stage.backup(&component("Others"), &[]),
            101,
            &["no writer of the class", "has a component \"Others\""],
        );
    };
}
