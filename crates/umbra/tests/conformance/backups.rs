//! Backups and restores as a whole.

use crate::stage::{DATA, Stage, component, fails, succeeds};

crate::rows! {
    a_backup_comes_back: "betest-tool",
        "What was backed up is deleted, restored, and as it was" => || {
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
        assert!(said.iter().any(|line| line.contains("2 of 2 files are restored")), "{said:#?}");
    };

    a_wrong_restore_is_found: "vss-test-writer-tool",
        "checkIncludes finds a restored file that is not as it was, and one that is missing" => || {
        let stage = Stage::new();
        let writer = stage.writer("", DATA);
        stage.write("data/a.txt", "one");
        stage.write("data/b.txt", "two");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        stage.lose_data();
        let kept = stage.path("data/a.txt");
        let kept = kept.strip_prefix("/").unwrap();
        let kept = stage.bed.folder().join("backup/files").join(kept);
        std::fs::write(&kept, "eno").unwrap();
        succeeds(stage.restore(&component("TestFiles"), &[]));
        writer.finds_wrong("data/a.txt is not as it was backed up");
        let _ = fails;
    };
}
