//! Which files a backup has.

use crate::stage::{CLASS, DATA, Stage, component, fails, succeeds};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

/// Gives a file a time of modification in 2001.
fn make_old(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000))
        .unwrap();
}

/// A component with files of which only those changed since 2007 are wanted.
const DIFFERENCED: &str = "<Component componentName=\"TestFiles\"><ComponentFile \
    path=\"VOLUME/data\" filespec=\"*\" recursive=\"yes\"/><DifferencedFile path=\"VOLUME/data\" \
    filespec=\"*\" recursive=\"yes\" year=\"2007\" month=\"1\" day=\"22\" hour=\"12\" minute=\"44\" \
    second=\"17\"/></Component>";

/// A component of text files in `data`, and parts of one of them.
const PARTIAL: &str = "<Component componentName=\"TestFiles\"><ComponentFile \
    path=\"VOLUME/data\" filespec=\"*.txt\"/><PartialFile path=\"VOLUME/data\" \
    filespec=\"partial.txt\" ranges=\"0:5,10:3\"/></Component>";

/// A component with one below it that is not selectable.
const FAMILY: &str = "<Component componentName=\"parent\"><ComponentFile path=\"VOLUME/data/one\" \
    filespec=\"*\"/></Component><Component logicalPath=\"parent\" componentName=\"child\" \
    selectable=\"no\"><ComponentFile path=\"VOLUME/data/two\" filespec=\"*\"/></Component>";

crate::rows! {
    excluded_files_are_left_out: "vss-test-writer-tool",
        "ExcludeFile: files are not backed up, and do not come back" => || {
        let stage = Stage::new();
        let exclude = "<ExcludeFile path=\"VOLUME/data\" filespec=\"temp*.*\" recursive=\"no\"/>";
        let writer = stage.writer("deleteFiles=\"yes\"", &format!("{exclude}{DATA}"));
        stage.write("data/a.txt", "one");
        stage.write("data/temp1.log", "two");
        stage.write("data/deep/temp2.log", "three");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(stage.has("backup", "data/a.txt") && !stage.has("backup", "data/temp1.log"));
        assert!(stage.has("backup", "data/deep/temp2.log"));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert!(!stage.is_there("data/temp1.log"));
        writer.finds_nothing_wrong();
    };

    restored_excluded_files_are_found: "vss-test-writer-tool",
        "checkExcludes finds an excluded file that a requester restored" => || {
        let stage = Stage::new();
        let exclude = "<ExcludeFile path=\"VOLUME/data\" filespec=\"temp*.*\" recursive=\"no\"/>";
        let writer = stage.writer("deleteFiles=\"yes\"", &format!("{exclude}{DATA}"));
        stage.write("data/a.txt", "one");
        stage.write("data/temp1.log", "two");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        fs::write(stage.in_backup("backup", "data/temp1.log"), "two").unwrap();
        succeeds(stage.restore(&component("TestFiles"), &[]));
        writer.finds_wrong("temp1.log is excluded and was restored");
    };

    file_sets_reach_as_far_as_they_say: "vss-test-writer-tool",
        "filespec and recursive: other names, and folders below, are not backed up" => || {
        let stage = Stage::new();
        let writer = stage.writer("", "<Component componentName=\"TestFiles\"><ComponentFile \
            path=\"VOLUME/data\" filespec=\"*.txt\" recursive=\"no\"/></Component>");
        stage.write("data/a.txt", "one");
        stage.write("data/a.TXT", "two");
        stage.write("data/deep/b.txt", "three");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(stage.has("backup", "data/a.txt") && !stage.has("backup", "data/a.TXT"));
        assert!(!stage.has("backup", "data/deep/b.txt"));
        writer.finds_nothing_wrong();
    };

    names_and_links_survive: "vss-test-writer-tool",
        "Names that are no UTF-8, and symbolic links, which Windows does not have so" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        let odd = stage.path("data").join(OsStr::from_bytes(b"odd \xff\n"));
        fs::write(&odd, "one").unwrap();
        symlink("/nowhere/at all", stage.path("data/link")).unwrap();
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(!odd.exists() && !stage.is_there("data/link"));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(fs::read_to_string(&odd).unwrap(), "one");
        writer.finds_nothing_wrong();
    };

    files_of_a_database: "vss-test-writer-tool",
        "componentType=\"database\"" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", "<Component componentType=\"database\" \
            logicalPath=\"server\\instance\" componentName=\"sales\"><ComponentFile \
            path=\"VOLUME/data\" filespec=\"sales.*\"/></Component>");
        stage.write("data/sales.db", "one");
        let sales = "<Component logicalPath=\"server\\instance\" componentName=\"sales\"/>";
        succeeds(stage.backup(sales, &[]));
        assert!(stage.document("backup").contains("componentType=\"database\""));
        succeeds(stage.restore(sales, &[]));
        writer.finds_nothing_wrong();
    };

    subcomponents_come_with: "working-with-selectability-for-backup",
        "What is below a chosen component is backed up with it" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", FAMILY);
        stage.write("data/one/a", "one");
        stage.write("data/two/b", "two");
        let said = succeeds(stage.backup(&component("parent"), &["-v"]));
        assert!(said.contains("includes parent\\child of Test Writer"), "{said}");
        assert!(stage.has("backup", "data/one/a") && stage.has("backup", "data/two/b"));
        assert!(!stage.document("backup").contains("componentName=\"child\""));
        succeeds(stage.restore(&component("parent"), &[]));
        assert!(stage.is_there("data/two/b"));
        writer.finds_nothing_wrong();
    };

    what_is_not_selectable_is_not_chosen_alone: "working-with-selectability-for-backup",
        "A component that is not selectable cannot be added without its parent" => || {
        let stage = Stage::new();
        let _writer = stage.writer("", FAMILY);
        let child = "<Component logicalPath=\"parent\" componentName=\"child\"/>";
        fails(stage.backup(child, &[]), 2, &["cannot be added by itself: it comes with \"parent\""]);
    };

    selectable_subcomponents_are_chosen_alone: "working-with-selectability-for-backup",
        "A selectable subcomponent is backed up without its parent" => || {
        let stage = Stage::new();
        let family = FAMILY.replace("selectable=\"no\"", "selectable=\"yes\"");
        let writer = stage.writer("", &family);
        stage.write("data/one/a", "one");
        stage.write("data/two/b", "two");
        let child = "<Component logicalPath=\"parent\" componentName=\"child\"/>";
        succeeds(stage.backup(child, &[]));
        assert!(!stage.has("backup", "data/one/a") && stage.has("backup", "data/two/b"));
        writer.finds_nothing_wrong();
    };

    required_components_are_added: "definition-of-components-by-writers",
        "A component at the top that is not selectable is in every backup of its writer" => || {
        let stage = Stage::new();
        let writer = stage.writer("", "<Component componentName=\"chosen\"><ComponentFile \
            path=\"VOLUME/data/one\" filespec=\"*\"/></Component><Component \
            componentName=\"required\" selectable=\"no\"><ComponentFile path=\"VOLUME/data/two\" \
            filespec=\"*\"/></Component>");
        stage.write("data/one/a", "one");
        stage.write("data/two/b", "two");
        let said = succeeds(stage.backup(&component("chosen"), &[]));
        assert!(said.contains("needs required too"), "{said}");
        assert!(stage.has("backup", "data/two/b"));
        writer.finds_nothing_wrong();
    };

    dependencies_are_added:
        "dependencies-between-components-managed-by-different-writers",
        "What a chosen component depends on is backed up too" => || {
        let stage = Stage::new();
        let first = format!("<Component componentName=\"WriterComponent\"><ComponentFile \
            path=\"VOLUME/data/one\" filespec=\"*\"/><Dependency writerId=\"{CLASS}\" \
            logicalPath=\"ComponentPath\" componentName=\"Writer2Component\"/></Component>");
        let second = "<Component logicalPath=\"ComponentPath\" \
            componentName=\"Writer2Component\"><ComponentFile path=\"VOLUME/data/two\" \
            filespec=\"*\"/></Component>";
        let (first, second) = (stage.writer("", &first), stage.writer("", second));
        stage.write("data/one/a", "one");
        stage.write("data/two/b", "two");
        let said = succeeds(stage.backup(&component("WriterComponent"), &[]));
        assert!(said.contains("needs ComponentPath\\Writer2Component too"), "{said}");
        assert!(stage.has("backup", "data/two/b"));
        first.finds_nothing_wrong();
        second.finds_nothing_wrong();
    };

    spit_writers_are_backed_up_from_elsewhere: "working-with-alternate-paths-during-backup",
        "alternatePath: files are read there and restored to where they belong" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", "<Component \
            componentName=\"TestFiles\"><ComponentFile path=\"VOLUME/data\" filespec=\"*.txt\" \
            recursive=\"no\" alternatePath=\"VOLUME/data/spit\"/></Component>");
        stage.write("data/a.txt", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(!stage.is_there("data/a.txt") && !stage.is_there("data/spit/a.txt"));
        assert!(stage.has("backup", "data/a.txt") && !stage.has("backup", "data/spit/a.txt"));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/a.txt"), "one");
        assert!(!stage.is_there("data/spit/a.txt"));
        writer.finds_nothing_wrong();
    };

    spit_writers_keep_their_files: "vss-test-writer-tool",
        "A spit writer that deletes nothing leaves originals and copies" => || {
        let stage = Stage::new();
        let writer = stage.writer("", "<Component componentName=\"TestFiles\"><ComponentFile \
            path=\"VOLUME/data\" filespec=\"*\" recursive=\"yes\" alternatePath=\"VOLUME/spit\"/>\
            </Component>");
        stage.write("data/deep/a.txt", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/deep/a.txt"), "one");
        assert_eq!(stage.read("spit/deep/a.txt"), "one");
        stage.lose_data();
        succeeds(stage.restore(&component("TestFiles"), &[]));
        writer.finds_nothing_wrong();
    };

    spit_writers_have_differenced_files: "requestor-role-in-backing-up-complex-stores",
        "Differenced files of a set with an alternate path are read from there" => || {
        let stage = Stage::new();
        let set = "path=\"VOLUME/data\" filespec=\"*.txt\" recursive=\"no\"";
        let writer = stage.writer("supportsIncremental=\"yes\"", &format!("<Component \
            componentName=\"TestFiles\"><ComponentFile {set} alternatePath=\"VOLUME/spit\"/>\
            <DifferencedFile {set} year=\"2007\" month=\"1\" day=\"22\" hour=\"12\" minute=\"44\" \
            second=\"17\"/></Component>"));
        stage.write("data/old.txt", "one");
        make_old(&stage.path("data/old.txt"));
        stage.write("data/new.txt", "two");
        succeeds(stage.backup(&component("TestFiles"), &["--type", "incremental"]));
        assert!(stage.has("backup", "data/new.txt") && !stage.has("backup", "data/old.txt"));
        stage.lose_data();
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/new.txt"), "two");
        writer.finds_nothing_wrong();
    };

    spit_writers_have_partial_files: "requestor-role-in-backing-up-complex-stores",
        "Parts of a file of a set with an alternate path are read from there" => || {
        let stage = Stage::new();
        let partial = PARTIAL.replace("filespec=\"*.txt\"/>",
            "filespec=\"*.txt\" alternatePath=\"VOLUME/spit\"/>");
        let writer = stage.writer("deletePartialFiles=\"yes\"", &partial);
        stage.write("data/a.txt", "one");
        stage.write("data/partial.txt", "0123456789abcdef");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(!stage.is_there("spit/partial.txt"));
        stage.write("data/partial.txt", "................");
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/partial.txt"), "01234.....abc...");
        writer.finds_nothing_wrong();
    };

    types_of_backup_need_their_files: "requestor-role-in-backing-up-complex-stores",
        "fullBackupRequired and logBackupRequired decide what each type of backup has" => || {
        let stage = Stage::new();
        let writer = stage.writer("supportsLog=\"yes\" deleteFiles=\"yes\"", "<Component \
            componentName=\"TestFiles\"><ComponentFile path=\"VOLUME/data\" filespec=\"*.db\" \
            logBackupRequired=\"no\"/><ComponentFile path=\"VOLUME/data\" filespec=\"*.log\" \
            fullBackupRequired=\"no\"/></Component>");
        stage.write("data/a.db", "one");
        stage.write("data/a.log", "two");
        succeeds(stage.backup_to("full", &component("TestFiles"), &[]));
        assert!(stage.has("full", "data/a.db") && !stage.has("full", "data/a.log"));
        succeeds(stage.backup_to("log", &component("TestFiles"), &["--type", "LOG"]));
        assert!(!stage.has("log", "data/a.db") && stage.has("log", "data/a.log"));
        succeeds(stage.restore_from("full", &component("TestFiles"), &[]));
        succeeds(stage.restore_from("log", &component("TestFiles"), &[]));
        assert!(stage.is_there("data/a.db") && stage.is_there("data/a.log"));
        writer.finds_nothing_wrong();
    };

    files_without_need_of_a_copy_are_read_live: "requestor-role-in-backing-up-complex-stores",
        "fullSnapshotRequired=\"no\": files may be read from the volume itself" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", "<Component \
            componentName=\"TestFiles\"><ComponentFile path=\"VOLUME/data\" filespec=\"*.txt\"/>\
            <ComponentFile path=\"VOLUME/data\" filespec=\"*.live\" \
            fullSnapshotRequired=\"no\"/></Component>");
        stage.write("data/a.txt", "one");
        stage.write("data/b.live", "two");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        // Its writer deleted it once the copy was there.
        assert!(stage.has("backup", "data/a.txt") && !stage.has("backup", "data/b.live"));
        writer.ends();
    };

    unsupported_types_are_noted: "vss-test-writer-tool",
        "A type that the writer does not support is noted, and a full backup made of it" => || {
        let stage = Stage::new();
        let writer = stage.writer("supportsIncremental=\"yes\" deleteFiles=\"yes\"", "<Component \
            componentName=\"TestFiles\"><ComponentFile path=\"VOLUME/data\" filespec=\"*\" \
            diffBackupRequired=\"no\"/></Component>");
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &["--type", "differential"]));
        assert!(stage.has("backup", "data/a"));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        let end = writer.finds_nothing_wrong();
        assert!(end.has("VSS_BT_DIFFERENTIAL, which this writer does not support"), "{end:#?}");
    };

    only_parts_of_a_partial_file_are_backed_up: "working-with-partial-files",
        "Only the ranges come back; the rest of the file stays" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", PARTIAL);
        stage.write("data/a.txt", "one");
        stage.write("data/partial.txt", "0123456789abcdef");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(!stage.is_there("data/a.txt"));
        stage.write("data/partial.txt", "................");
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/partial.txt"), "01234.....abc...");
        writer.finds_nothing_wrong();
    };

    partial_files_are_made_anew: "vss-test-writer-tool",
        "deletePartialFiles: the ranges come back into a new file" => || {
        let stage = Stage::new();
        let writer = stage.writer("deletePartialFiles=\"yes\"", PARTIAL);
        stage.write("data/partial.txt", "0123456789abcdef");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        assert!(!stage.is_there("data/partial.txt"));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/partial.txt"), "01234\0\0\0\0\0abc\0\0\0");
        writer.finds_nothing_wrong();
    };

    partial_files_may_be_new: "vss-test-writer-tool",
        "A partial file that no ComponentFile has is added to the backup" => || {
        let stage = Stage::new();
        let partial = PARTIAL.replace("PartialFile path=\"VOLUME/data\"",
            "PartialFile path=\"VOLUME/other\"");
        let writer = stage.writer("", &partial);
        stage.write("data/partial.txt", "whole");
        stage.write("other/partial.txt", "0123456789abcdef");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        stage.write("other/partial.txt", "................");
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("other/partial.txt"), "01234.....abc...");
        writer.finds_nothing_wrong();
    };

    wrong_parts_are_found: "vss-test-writer-tool",
        "checkIncludes compares the ranges of partial files, and nothing else of them" => || {
        let stage = Stage::new();
        let writer = stage.writer("", PARTIAL);
        stage.write("data/partial.txt", "0123456789abcdef");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        let kept = stage.in_backup("backup", "data/partial.txt");
        fs::write(kept, "01234.....axc...").unwrap();
        succeeds(stage.restore(&component("TestFiles"), &[]));
        writer.finds_wrong("partial.txt has other parts");
    };

    unchanged_files_are_not_in_an_incremental_backup:
        "requestor-role-in-vss-incremental-and-differential-backups",
        "Differenced files are backed up where they changed since the writer's time" => || {
        let stage = Stage::new();
        let attributes = "supportsIncremental=\"yes\" deleteDifferencedFiles=\"yes\"";
        let writer = stage.writer(attributes, DIFFERENCED);
        stage.write("data/old", "one");
        make_old(&stage.path("data/old"));
        stage.write("data/deep/new", "two");
        succeeds(stage.backup(&component("TestFiles"), &["--type", "INCREMENTAL"]));
        assert!(stage.has("backup", "data/deep/new") && !stage.has("backup", "data/old"));
        assert!(stage.is_there("data/old") && !stage.is_there("data/deep/new"));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        writer.finds_nothing_wrong();
    };

    times_of_a_configuration_are_local: "vss-test-writer-tool",
        "DifferencedFile has local times, which requesters see in UTC" => || {
        let stage = Stage::new();
        // Ten hours east of Greenwich: 02:44:17 UTC.
        let writer = stage.writer_in("AAA-10", "supportsIncremental=\"yes\"", DIFFERENCED);
        for (name, hours) in [("before", 2), ("after", 3)] {
            stage.write(&format!("data/{name}"), name);
            let file = fs::File::options().write(true).open(stage.path("data").join(name));
            // From 2007-01-22 00:00 UTC on.
            let time = UNIX_EPOCH + Duration::from_secs(1_169_424_000 + hours * 3600);
            file.unwrap().set_modified(time).unwrap();
        }
        succeeds(stage.backup(&component("TestFiles"), &["--type", "incremental"]));
        assert!(stage.has("backup", "data/after") && !stage.has("backup", "data/before"));
        writer.finds_nothing_wrong();
    };

    incremental_backups_are_restored_in_sequence:
        "restoring-incremental-and-differential-backups",
        "A full backup, told that more follows, and then the incremental one" => || {
        let stage = Stage::new();
        let writer = stage.writer("supportsIncremental=\"yes\"", DIFFERENCED);
        stage.write("data/old", "one");
        make_old(&stage.path("data/old"));
        stage.write("data/new", "before");
        succeeds(stage.backup_to("full", &component("TestFiles"), &[]));
        stage.write("data/new", "after");
        let previous = stage.outside("full.xml");
        let incremental = ["--type", "incremental", "--previous", &previous];
        succeeds(stage.backup_to("incremental", &component("TestFiles"), &incremental));
        stage.lose_data();
        let more = "<Component componentName=\"TestFiles\" additionalRestores=\"yes\"/>";
        succeeds(stage.restore_from("full", more, &[]));
        assert_eq!(stage.read("data/new"), "before");
        succeeds(stage.restore_from("incremental", &component("TestFiles"), &[]));
        assert_eq!((stage.read("data/old"), stage.read("data/new")), ("one".into(), "after".into()));
        writer.finds_nothing_wrong();
    };

    differenced_files_may_be_new: "vss-test-writer-tool",
        "A differenced file set that no ComponentFile has is added to the backup" => || {
        let stage = Stage::new();
        let differenced = DIFFERENCED.replace("DifferencedFile path=\"VOLUME/data\"",
            "DifferencedFile path=\"VOLUME/other\"");
        let writer = stage.writer("supportsIncremental=\"yes\"", &differenced);
        stage.write("data/a", "one");
        stage.write("other/new", "two");
        stage.write("other/old", "three");
        make_old(&stage.path("other/old"));
        succeeds(stage.backup(&component("TestFiles"), &["--type", "incremental"]));
        assert!(stage.has("backup", "data/a") && stage.has("backup", "other/new"));
        assert!(!stage.has("backup", "other/old"));
        fs::remove_file(stage.path("other/new")).unwrap();
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("other/new"), "two");
        writer.finds_nothing_wrong();
    };
}
