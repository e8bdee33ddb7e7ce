//! Where restored files go, and which.

use crate::stage::{DATA, Stage, TestWriter, component, fails, succeeds};
use std::fs;

/// A restore method with a mapping of `data` to `other`.
fn mapping(method: &str) -> String {
    format!(
        "<RestoreMethod method=\"{method}\" writerRestore=\"always\"><AlternateLocationMapping \
         path=\"VOLUME/data\" filespec=\"*\" recursive=\"yes\" alternatePath=\"VOLUME/other\"/>\
         </RestoreMethod>"
    )
}

fn plain(method: &str) -> String {
    format!("<RestoreMethod method=\"{method}\" writerRestore=\"always\"/>")
}

/// A component `TestFiles` whose files are restored to another folder.
fn to_new(stage: &Stage) -> String {
    let volume = stage.path("");
    let volume = volume.to_str().unwrap().trim_end_matches('/');
    format!(
        "<Component componentName=\"TestFiles\"><NewTarget path=\"{volume}/data\" filespec=\"*\" \
         recursive=\"yes\" alternatePath=\"{volume}/new\"/></Component>"
    )
}

/// A parent with two children, one of which may be restored alone.
const FAMILY: &str = "<Component componentName=\"parent\"><ComponentFile path=\"VOLUME/data/one\" \
    filespec=\"*\"/></Component><Component logicalPath=\"parent\" componentName=\"child\" \
    selectable=\"no\" selectableForRestore=\"yes\"><ComponentFile path=\"VOLUME/data/two\" \
    filespec=\"*\"/></Component><Component logicalPath=\"parent\" componentName=\"sibling\" \
    selectable=\"no\"><ComponentFile path=\"VOLUME/data/three\" filespec=\"*\"/></Component>";

/// A backup of the family, of which everything is lost.
fn family() -> (Stage, TestWriter) {
    let stage = Stage::new();
    let writer = stage.writer("deleteFiles=\"yes\"", FAMILY);
    for folder in ["one", "two", "three"] {
        stage.write(&format!("data/{folder}/file"), folder);
    }
    succeeds(stage.backup(&component("parent"), &[]));
    (stage, writer)
}

fn only(child: &str) -> String {
    format!(
        "<Component componentName=\"parent\"><RestoreSubcomponent logicalPath=\"parent\" \
         componentName=\"{child}\"/></Component>"
    )
}

crate::rows! {
    the_writer_s_other_place_is_used: "working-with-alternate-locations-during-restore",
        "RESTORE_TO_ALTERNATE_LOCATION: files go to the mapping, and the writer is told" => || {
        let stage = Stage::new();
        let method = mapping("RESTORE_TO_ALTERNATE_LOCATION");
        let writer = stage.writer_with(&method, "deleteFiles=\"yes\"", DATA);
        stage.write("data/deep/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("other/deep/a"), "one");
        assert!(!stage.is_there("data/deep/a"));
        writer.finds_nothing_wrong();
    };

    the_other_place_is_for_what_cannot_be_replaced:
        "working-with-alternate-locations-during-restore",
        "RESTORE_IF_CAN_REPLACE: where one file cannot be replaced, all go to the mapping" => || {
        let stage = Stage::new();
        let method = mapping("RESTORE_IF_CAN_REPLACE");
        let writer = stage.writer_with(&method, "deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        stage.write("data/b", "two");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        // A folder cannot be replaced by a file.
        stage.write("data/b/c", "in the way");
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!((stage.read("other/a"), stage.read("other/b")), ("one".into(), "two".into()));
        assert!(!stage.is_there("data/a"));
        writer.finds_nothing_wrong();
    };

    mappings_are_left_alone_where_they_are_not_needed:
        "working-with-alternate-locations-during-restore",
        "RESTORE_IF_CAN_REPLACE: what can be replaced is, whatever mappings there are" => || {
        let stage = Stage::new();
        let method = mapping("RESTORE_IF_CAN_REPLACE");
        let writer = stage.writer_with(&method, "", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        stage.write("data/a", "changed");
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/a"), "one");
        assert!(!stage.is_there("other"));
        writer.finds_nothing_wrong();
    };

    files_that_are_there_are_not_touched: "setting-vss-restore-methods",
        "RESTORE_IF_NOT_THERE: nothing is restored where one file is there" => || {
        let stage = Stage::new();
        let writer = stage.writer_with(&plain("RESTORE_IF_NOT_THERE"), "deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        stage.write("data/b", "two");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        stage.write("data/b", "there");
        fails(stage.restore(&component("TestFiles"), &[]), 2, &["VSS_RS_NONE", "is there already"]);
        assert_eq!(stage.read("data/b"), "there");
        assert!(!stage.is_there("data/a"));
        writer.finds_nothing_wrong();
    };

    files_that_are_not_there_come_back: "setting-vss-restore-methods",
        "RESTORE_IF_NOT_THERE: everything is restored where none is there" => || {
        let stage = Stage::new();
        let writer = stage.writer_with(&plain("RESTORE_IF_NOT_THERE"), "deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/a"), "one");
        writer.finds_nothing_wrong();
    };

    custom_methods_are_not_guessed: "custom-backups-and-restores",
        "CUSTOM: the requester restores nothing, and says so to the writer" => || {
        let stage = Stage::new();
        let writer = stage.writer_with(&plain("CUSTOM"), "deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        fails(stage.restore(&component("TestFiles"), &[]), 102, &["VSS_RME_CUSTOM"]);
        assert!(!stage.is_there("data/a"));
        assert!(writer.finds_nothing_wrong().has("the requester says VSS_RS_FAILED"));
    };

    the_requester_s_own_place_is_used: "working-with-new-targets-during-restore",
        "AddNewTarget: files go where the requester wants them, and the writer looks there" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        stage.write("data/deep/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        let said = succeeds(stage.restore(&to_new(&stage), &[]));
        assert_eq!(stage.read("new/deep/a"), "one", "{said}");
        assert!(!stage.is_there("data/deep/a"));
        writer.finds_nothing_wrong();
    };

    partial_files_go_to_new_targets_too: "working-with-new-targets-during-restore",
        "Parts of a file go into the file at the new target" => || {
        let stage = Stage::new();
        let writer = stage.writer("", "<Component componentName=\"TestFiles\"><ComponentFile \
            path=\"VOLUME/data\" filespec=\"*\"/><PartialFile path=\"VOLUME/data\" filespec=\"p\" \
            ranges=\"2:3\"/></Component>");
        stage.write("data/p", "0123456789");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        stage.write("data/p", "----------");
        stage.write("new/p", "..........");
        succeeds(stage.restore(&to_new(&stage), &[]));
        assert_eq!(stage.read("new/p"), "..234.....");
        assert_eq!(stage.read("data/p"), "----------");
        writer.finds_nothing_wrong();
    };

    new_targets_need_support: "working-with-new-targets-during-restore",
        "supportsNewTarget=\"no\": AddNewTarget is refused with VSS_E_NOT_SUPPORTED" => || {
        let stage = Stage::new();
        let writer = stage.writer("supportsNewTarget=\"no\" deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        fails(stage.restore(&to_new(&stage), &[]), 102, &["VSS_E_NOT_SUPPORTED"]);
        assert!(!stage.is_there("new"));
        writer.finds_nothing_wrong();
    };

    other_components_stay: "overview-of-preparing-for-restore",
        "Only what is selected for restore is restored" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", "<Component componentName=\"one\">\
            <ComponentFile path=\"VOLUME/data/one\" filespec=\"*\"/></Component><Component \
            componentName=\"two\"><ComponentFile path=\"VOLUME/data/two\" filespec=\"*\"/>\
            </Component>");
        stage.write("data/one/a", "one");
        stage.write("data/two/b", "two");
        let both = component("one") + &component("two");
        succeeds(stage.backup(&both, &[]));
        succeeds(stage.restore(&component("two"), &[]));
        assert!(!stage.is_there("data/one/a") && stage.is_there("data/two/b"));
        writer.finds_nothing_wrong();
    };

    what_was_not_backed_up_is_told: "overview-of-preparing-for-restore",
        "A component that is not in the backup is an error, and the others are restored" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        let more = component("TestFiles") + &component("Others");
        fails(stage.restore(&more, &[]), 101, &["\"Others\"", "was not chosen for this backup"]);
        assert!(stage.is_there("data/a"));
        writer.finds_nothing_wrong();
    };

    subcomponents_come_back: "working-with-selectability-for-restore-and-subcomponents",
        "What came with a component in the backup comes back with it" => || {
        let (stage, writer) = family();
        succeeds(stage.restore(&component("parent"), &[]));
        for folder in ["one", "two", "three"] {
            assert_eq!(stage.read(&format!("data/{folder}/file")), folder);
        }
        writer.finds_nothing_wrong();
    };

    a_subcomponent_comes_back_alone: "working-with-selectability-for-restore-and-subcomponents",
        "AddRestoreSubcomponent: of what came with a component, only that" => || {
        let (stage, writer) = family();
        succeeds(stage.restore(&only("child"), &[]));
        assert!(stage.is_there("data/two/file"));
        assert!(!stage.is_there("data/one/file") && !stage.is_there("data/three/file"));
        writer.finds_nothing_wrong();
    };

    not_every_subcomponent_comes_back_alone:
        "working-with-selectability-for-restore-and-subcomponents",
        "One that is not selectable for restore cannot be restored alone" => || {
        let (stage, writer) = family();
        fails(stage.restore(&only("sibling"), &[]), 2, &["sibling"]);
        assert!(!stage.is_there("data/three/file"));
        writer.finds_nothing_wrong();
    };

    a_writer_that_was_started_again_takes_part: "overview-of-restore-initialization",
        "The instance that was backed up is gone; another of its class hears of the restore" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        writer.finds_nothing_wrong();
        let writer = stage.writer("", DATA);
        succeeds(stage.restore(&component("TestFiles"), &[]));
        assert_eq!(stage.read("data/a"), "one");
        let end = writer.finds_nothing_wrong();
        assert_eq!(end.events(), ["Identify", "PreRestore", "PostRestore"]);
        assert!(end.has("this instance saw no such backup"));
    };

    without_its_writer_nothing_is_restored: "overview-of-preparing-for-restore",
        "A component whose writer does not run is not restored behind its back" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        writer.finds_nothing_wrong();
        fails(stage.restore(&component("TestFiles"), &[]), 101, &["does not restore TestFiles"]);
        assert!(!stage.is_there("data/a"));
    };

    restored_to_the_live_place_only_through_real_folders:
        "overview-of-actual-file-restoration",
        "A symbolic link in the place of a folder is not followed, and the writer is told" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        stage.write("data/deep/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        fs::remove_dir_all(stage.path("data/deep")).unwrap();
        fs::create_dir(stage.path("trap")).unwrap();
        std::os::unix::fs::symlink(stage.path("trap"), stage.path("data/deep")).unwrap();
        let outcome = stage.restore(&component("TestFiles"), &[]);
        assert!(!outcome.status.success(), "{outcome:#?}");
        assert!(!stage.is_there("trap/a"));
        writer.finds_nothing_wrong();
    };

    authority_needs_support: "betest-tool",
        "/Auth: refused for a writer that is none for authoritative restores" => || {
        let stage = Stage::new();
        let writer = stage.writer("deleteFiles=\"yes\"", DATA);
        stage.write("data/a", "one");
        succeeds(stage.backup(&component("TestFiles"), &[]));
        fails(
            stage.restore(&component("TestFiles"), &["--auth"]),
            102,
            &["VSS_BS_AUTHORITATIVE_RESTORE"],
        );
        writer.finds_nothing_wrong();
    };
}
