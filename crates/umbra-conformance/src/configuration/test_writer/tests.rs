//! The examples of the page "VSS Test Writer Tool", with paths of Linux, and what
//! is wrong with others.

use super::*;
use std::path::Path;
use umbra_documents::Recursion;

fn read(text: &str) -> Parsed<TestWriterConfiguration> {
    TestWriterConfiguration::read_in(text.as_bytes(), &TimeZone::UTC)
}

fn with(attributes: &str, elements: &str) -> String {
    format!(
        "<TestWriter {attributes}><RestoreMethod method=\"RESTORE_IF_CAN_BE_REPLACED\" \
         writerRestore=\"always\" rebootRequired=\"no\"/>{elements}</TestWriter>"
    )
}

/// A component with these elements and one file set.
fn component_of(elements: &str) -> ConfiguredComponent {
    let text = with(
        "",
        &format!(
            "<Component componentType=\"filegroup\" logicalPath=\"\" \
             componentName=\"WriterComponent\" selectable=\"yes\"><ComponentFile path=\"/files\" \
             filespec=\"*.txt\" recursive=\"no\"/>{elements}</Component>"
        ),
    );
    read(&text).unwrap().components.remove(0)
}

#[test]
fn the_sample_of_the_page() {
    let configuration = read(
        "<TestWriter usage=\"USER_DATA\">\n\n    <RestoreMethod method=\"RESTORE_IF_CAN_BE_REPLACED\"\n\
         writerRestore=\"always\"\n rebootRequired=\"no\" />\n\n <ExcludeFile \
         path=\"/writerData/notTheseFiles\" filespec=\"excludeThisFile.txt\" recursive=\"no\"/>\n\
         <Component componentType=\"filegroup\" componentName=\"TestFiles\">\n <ComponentFile \
         path=\"/writerData/myFilesHere\" filespec=\"*\" recursive=\"no\" />\n </Component>\n\n\
         </TestWriter>",
    )
    .unwrap();
    assert_eq!(configuration.usage, UsageType::UserData);
    assert_eq!(configuration.verbosity, Verbosity::Medium);
    assert_eq!(configuration.deletions, Deletions::default());
    assert_eq!(configuration.checks, Checks::default());
    assert_eq!(
        configuration.schema,
        BackupSchema::WRITER_SUPPORTS_NEW_TARGET
    );
    let restore = &configuration.restore;
    assert_eq!(restore.method, RestoreMethod::RestoreIfCanReplace);
    assert_eq!(restore.writer_restore, WriterRestore::Always);
    assert!(!restore.reboot_required);
    assert_eq!(
        configuration.excluded,
        [FileSet::files(
            "/writerData/notTheseFiles",
            "excludeThisFile.txt"
        )]
    );
    let component = &configuration.components[0].component;
    assert_eq!(component.kind, ComponentType::FileGroup);
    assert_eq!(component.name, "TestFiles");
    assert_eq!(component.selectable, Selectable::Yes);
    assert_eq!(
        component.files,
        [FileSet::files("/writerData/myFilesHere", "*")]
    );
}

#[test]
fn attributes_of_the_writer() {
    let text = with(
        "verbosity=\"HIGH\" deleteFiles=\"yes\" deletePartialFiles=\"yes\" \
         deleteDifferencedFiles=\"yes\" checkIncludes=\"yes\" checkExcludes=\"Yes\" \
         supportsCopy=\"yes\" supportsDifferential=\"yes\" supportsIncremental=\"no\" \
         supportsLog=\"yes\" supportsNewTarget=\"no\"",
        "",
    );
    let configuration = read(&text).unwrap();
    assert_eq!(configuration.verbosity, Verbosity::High);
    assert!(configuration.deletions.files && configuration.deletions.partial_files);
    assert!(configuration.deletions.differenced_files);
    assert!(configuration.checks.includes && configuration.checks.excludes);
    let schema = [BackupSchema::DIFFERENTIAL, BackupSchema::LOG];
    let schema = schema
        .into_iter()
        .fold(BackupSchema::COPY, BackupSchema::with);
    assert_eq!(configuration.schema, schema);
    assert!(configuration.supports(BackupType::Log));
    assert!(configuration.supports(BackupType::Full));
    assert!(!configuration.supports(BackupType::Incremental));
}

#[test]
fn alternate_location_mappings_under_either_name_of_the_method() {
    let configuration = read(
        "<TestWriter><RestoreMethod method=\"RESTORE_IF_CAN_REPLACE\" writerRestore=\"always\" \
         rebootRequired=\"no\"><AlternateLocationMapping path=\"/files\" filespec=\"*.txt\" \
         recursive=\"no\" alternatePath=\"/altfiles\"/></RestoreMethod><Component \
         componentName=\"a\"><ComponentFile path=\"/files\" filespec=\"*.txt\"/></Component>\
         </TestWriter>",
    )
    .unwrap();
    let plan = configuration.restore;
    assert_eq!(plan.method, RestoreMethod::RestoreIfCanReplace);
    assert_eq!(
        plan.alternate_locations,
        [AlternateLocation {
            files: FileSet::files("/files", "*.txt"),
            destination: "/altfiles".into(),
        }]
    );
}

#[test]
fn a_spit_writer_and_types_of_backup() {
    let component = component_of(
        "<ComponentFile path=\"/files\" filespec=\"*.log\" recursive=\"yes\" \
         alternatePath=\"/files/spit\" fullBackupRequired=\"no\" logSnapshotRequired=\"no\"/>",
    );
    let set = &component.component.files[1];
    assert_eq!(set.alternate_path, Some("/files/spit".into()));
    assert_eq!(set.recursion, Recursion::Tree);
    assert_eq!(set.backup_type.bits(), 0xf0f & !0x1 & !0x800);
    let every = &component.component.files[0].backup_type;
    assert_eq!(every.bits(), 0xf0f);
}

#[test]
fn dependencies() {
    let component = component_of(
        "<Dependency writerId=\"{5AFFB034-969F-4919-8875-88F830D0EF89}\" \
         logicalPath=\"ComponentPath\" componentName=\"Writer2Component\"/>",
    );
    assert_eq!(
        component.component.dependencies,
        [Dependency {
            writer: crate::test_writer::TEST_WRITER_ID,
            logical_path: Some("ComponentPath".into()),
            name: "Writer2Component".into(),
        }]
    );
}

#[test]
fn files_of_a_database() {
    let text = with(
        "",
        "<Component componentType=\"database\" logicalPath=\"a\\b\" componentName=\"c\" \
         selectable=\"no\"><ComponentFile path=\"/db\" filespec=\"c.db\"/></Component>",
    );
    let component = &read(&text).unwrap().components[0].component;
    assert_eq!(component.full_path(), "a\\b\\c");
    assert_eq!(component.selectable, Selectable::No);
    assert_eq!(component.database_files, [FileSet::files("/db", "c.db")]);
}

#[test]
fn failing_events_in_both_spellings() {
    let check = |attributes: &str, event, kind, times| {
        let text = with("", &format!("<FailEvent {attributes}/>"));
        let expected = FailEvent { event, kind, times };
        assert_eq!(read(&text).unwrap().failures, [expected]);
    };
    check(
        "writerEvent=\"Freeze\" retryable=\"no\"",
        WriterEvent::Freeze,
        FailureKind::NonRetryable,
        None,
    );
    check(
        "writerEvent=\"Freeze\" retryable=\"yes\" numFailures=\"2\"",
        WriterEvent::Freeze,
        FailureKind::Retryable,
        Some(2),
    );
    for spelling in ["PrepareForSnapsot", "PrepareForSnapshot"] {
        check(
            &format!("writerEvent=\"{spelling}\""),
            WriterEvent::PrepareForSnapshot,
            FailureKind::NonRetryable,
            None,
        );
    }
}

#[test]
fn partial_files() {
    let component = component_of(
        "<PartialFile path=\"/files\" filespec=\"partial.txt\" ranges=\"0:5,100:20\"/>\
         <PartialFile path=\"/files2\" filespec=\"partial.txt\" ranges=\"64:448, 0x1239:65536\"/>",
    );
    let [first, second] = &component.partial_files[..] else {
        panic!("{component:?}");
    };
    assert_eq!(first.path(), Path::new("/files/partial.txt"));
    assert_eq!(first.ranges, "0:5,100:20");
    assert_eq!(first.parsed, [(0, 5), (100, 20)]);
    assert_eq!(second.parsed, [(64, 448), (0x1239, 65536)]);
}

#[test]
fn differenced_files_have_local_times() {
    let text = with(
        "",
        "<Component componentName=\"a\"><DifferencedFile path=\"/files\" filespec=\"*.txt\" \
         year=\"2007\" month=\"1\" day=\"22\" hour=\"12\" minute=\"44\" second=\"17\"/></Component>",
    );
    let seconds = |zone: &TimeZone| {
        let configuration = TestWriterConfiguration::read_in(text.as_bytes(), zone).unwrap();
        let since = configuration.components[0].differenced_files[0].since;
        let since = since.to_system().unwrap();
        since
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    // 2007-01-22 12:44:17 UTC.
    assert_eq!(seconds(&TimeZone::UTC), 1_169_469_857);
    let east = TimeZone::fixed(jiff::tz::offset(2));
    assert_eq!(seconds(&east), 1_169_469_857 - 2 * 3600);
    let metadata = read(&text).unwrap().metadata(WriterIdentity::new(
        WriterId::from_u128(1),
        umbra_model::WriterInstanceId::from_u128(2),
        "a",
    ));
    assert!(metadata.backup_schema.contains(BackupSchema::LAST_MODIFY));
}

#[test]
fn what_is_wrong_has_a_place() {
    let check = |text: &str, line, column, words: &str| match read(text).unwrap_err() {
        ConfigurationError::At {
            line: at,
            column: across,
            problem,
        } => {
            assert_eq!((at, across), (line, column), "{problem}");
            assert!(problem.contains(words), "{problem}");
        }
        other => panic!("{other}"),
    };
    check("<Writer/>", 1, 1, "it must be TestWriter");
    check("<TestWriter/>", 1, 1, "must be RestoreMethod");
    check(
        "<TestWriter>\n  <Component componentName=\"a\"/></TestWriter>",
        2,
        3,
        "must be RestoreMethod",
    );
    check(
        "<TestWriter\n deleteFile=\"yes\"/>",
        2,
        2,
        "the attribute deleteFile of TestWriter is unknown; known are",
    );
    check(
        "<TestWriter checkIncludes=\"maybe\"/>",
        1,
        13,
        "must be yes or no",
    );
    check("<TestWriter>\n<a b></TestWriter>", 2, 5, "expected '='");
    check("<!DOCTYPE a><TestWriter/>", 1, 1, "DTD");
}

#[test]
fn what_is_wrong_inside() {
    let check = |elements: &str, words: &str| {
        let error = read(&with("", elements)).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(error.starts_with("line 1, column "), "{error}");
    };
    let inside = |elements: &str| format!("<Component componentName=\"a\">{elements}</Component>");
    check("<Components/>", "Components is unknown in TestWriter");
    check("words", "has text in it");
    check(
        "<Component/>",
        "Component needs the attribute componentName",
    );
    check(
        "<Component componentName=\"a\"/><Component componentName=\"a\"/>",
        "a second component \"a\"",
    );
    check(
        "<FailEvent writerEvent=\"Melt\"/>",
        "must be one of Identify",
    );
    check(
        "<FailEvent writerEvent=\"Thaw\"/><FailEvent writerEvent=\"Thaw\"/>",
        "a second FailEvent for Thaw",
    );
    check(
        "<ExcludeFile path=\"files\" filespec=\"a\"/>",
        "must be an absolute path",
    );
    check(
        "<ExcludeFile path=\"/files/../etc\" filespec=\"a\"/>",
        "must be an absolute path",
    );
    check(
        &inside("<ComponentFile path=\"/a\" filespec=\"a/b\"/>"),
        "filespec=\"a/b\"",
    );
    for ranges in ["", "1", "a:b", "0:5,3:1", "0:18446744073709551615,1:1"] {
        check(
            &inside(&format!(
                "<PartialFile path=\"/a\" filespec=\"a\" ranges=\"{ranges}\"/>"
            )),
            "OFFSET:LENGTH",
        );
    }
    check(
        &inside("<PartialFile path=\"/a\" filespec=\"*\" ranges=\"0:1\"/>"),
        "the name of one file",
    );
    check(
        &inside(
            "<DifferencedFile path=\"/a\" filespec=\"a\" year=\"2007\" month=\"2\" day=\"30\" \
             hour=\"0\" minute=\"0\" second=\"0\"/>",
        ),
        "is no time",
    );
    check(
        &inside("<Dependency writerId=\"x\" componentName=\"a\"/>"),
        "must be a GUID",
    );
    let mapping = "<TestWriter><RestoreMethod method=\"CUSTOM\"><AlternateLocationMapping \
                   path=\"/a\" filespec=\"*\" alternatePath=\"/b\"/></RestoreMethod></TestWriter>";
    let error = read(mapping).unwrap_err().to_string();
    assert!(error.contains("matches no ComponentFile"), "{error}");
}

#[test]
fn large_or_deep_files_are_refused_quickly() {
    let large = vec![b' '; (1 << 20) + 1];
    assert!(matches!(
        TestWriterConfiguration::read(&large),
        Err(ConfigurationError::TooLarge(_))
    ));
    assert_eq!(
        TestWriterConfiguration::read(b"\xff"),
        Err(ConfigurationError::NoText)
    );
    let began = std::time::Instant::now();
    assert!(read(&"<a>".repeat(300_000)).is_err());
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
}

/// Everything that the format has, once.
fn whole() -> String {
    with(
        "usage=\"USER_DATA\" verbosity=\"low\" supportsLog=\"yes\"",
        "<ExcludeFile path=\"/a\" filespec=\"b\"/><Component componentType=\"database\" \
         logicalPath=\"a\" componentName=\"b\" selectable=\"no\"><ComponentFile path=\"/a\" \
         filespec=\"*\" alternatePath=\"/b\" fullBackupRequired=\"no\"/><PartialFile path=\"/a\" \
         filespec=\"b\" ranges=\"0:0x5,100:20\"/><DifferencedFile path=\"/a\" filespec=\"b\" \
         year=\"2007\" month=\"1\" day=\"22\" hour=\"12\" minute=\"44\" second=\"17\"/><Dependency \
         writerId=\"5affb034-969f-4919-8875-88f830d0ef89\" componentName=\"c\"/></Component>\
         <FailEvent writerEvent=\"Thaw\" retryable=\"yes\" numFailures=\"3\"/>",
    )
}

proptest::proptest! {
    /// Whatever stands in a file, it is a configuration or an error.
    #[test]
    fn no_file_makes_it_panic(
        at in 0_usize..1200,
        length in 0_usize..20,
        instead in "[<>\"=/ a-c0-9:,.*\u{fc}-]{0,12}",
    ) {
        let mut text = whole();
        let boundary = |at: usize| at.min(text.len());
        let (from, to) = (boundary(at), boundary(at + length));
        text.replace_range(from..to, &instead);
        let _ = read(&text);
        let _ = crate::configuration::BetestConfiguration::read(text.as_bytes());
        let _ = crate::configuration::BetestConfiguration::read_component_list(text.as_bytes());
    }
}

#[test]
fn everything_at_once() {
    let configuration = read(&whole()).unwrap();
    assert_eq!(configuration.components[0].partial_files.len(), 1);
    assert_eq!(configuration.failures[0].times, Some(3));
}
