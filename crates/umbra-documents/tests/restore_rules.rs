//! Where files go on restore, case by case, each with the page that says so.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::path::{Path, PathBuf};
use umbra_documents::{
    AlternateLocation, ChosenComponent, DestinationReason, DirectedTarget, Extra, FileSet,
    NewTarget, PathStyle, RestorePlan, RestoreRules, Term, WriterIdentity, WriterMetadata,
};
use umbra_model::{
    ComponentType, RestoreMethod, RestoreTarget, WriterId, WriterInstanceId, WriterRestore,
};

fn metadata(method: RestoreMethod) -> WriterMetadata {
    let (id, instance) = (WriterId::from_u128(1), WriterInstanceId::from_u128(2));
    WriterMetadata {
        restore: Some(RestorePlan {
            method,
            service: None,
            user_procedure: None,
            writer_restore: WriterRestore::Never,
            reboot_required: false,
            alternate_locations: vec![AlternateLocation {
                files: FileSet::tree("/srv/data"),
                destination: "/srv/other".into(),
            }],
        }),
        ..WriterMetadata::new(WriterIdentity::new(id, instance, "Test Writer"))
    }
}

fn chosen(target: Option<RestoreTarget>) -> ChosenComponent {
    ChosenComponent {
        restore_target: target.map(Term::Known),
        ..ChosenComponent::new(None, "group", ComponentType::FileGroup)
    }
}

#[track_caller]
fn check(method: RestoreMethod, chosen: &ChosenComponent, path: &str, expected: &str) {
    let rules = RestoreRules::new(&metadata(method), chosen, PathStyle::Linux).unwrap();
    let found = match rules.destination(Path::new(path)) {
        Ok(to) => {
            let reason = match to.reason {
                DestinationReason::Original => "original",
                DestinationReason::NewTarget => "new",
                DestinationReason::AlternateLocation(_) => "alternate",
            };
            let otherwise = to
                .otherwise
                .map(|other| format!(" or {}", other.path.display()));
            format!(
                "{reason} {}{}",
                to.path.display(),
                otherwise.unwrap_or_default()
            )
        }
        Err(error) => {
            assert!(error.to_string().contains(path));
            "none".to_owned()
        }
    };
    assert_eq!(found, expected, "{path}");
}

/// "Setting VSS Restore Methods", "Setting VSS Restore Targets", "Working with
/// Alternate Locations during Restore".
#[test]
fn method_and_target_say_where_files_go() {
    use RestoreMethod as Method;
    use RestoreTarget as Target;
    let cases = [
        (
            Method::StopRestoreStart,
            None,
            "/srv/data/a/b",
            "original /srv/data/a/b",
        ),
        (
            Method::RestoreIfNotThere,
            None,
            "/srv/data/a/b",
            "original /srv/data/a/b or /srv/other/a/b",
        ),
        (
            Method::RestoreIfCanReplace,
            None,
            "/srv/data/a",
            "original /srv/data/a or /srv/other/a",
        ),
        (
            Method::RestoreIfCanReplace,
            None,
            "/etc/a",
            "original /etc/a",
        ),
        (
            Method::RestoreToAlternateLocation,
            None,
            "/srv/data/a",
            "alternate /srv/other/a",
        ),
        (Method::RestoreToAlternateLocation, None, "/etc/a", "none"),
        (
            Method::RestoreIfCanReplace,
            Some(Target::Alternate),
            "/srv/data/a",
            "alternate /srv/other/a",
        ),
        (
            Method::RestoreIfCanReplace,
            Some(Target::Alternate),
            "/etc/a",
            "none",
        ),
        (
            Method::RestoreIfCanReplace,
            Some(Target::Original),
            "/srv/data/a",
            "original /srv/data/a or /srv/other/a",
        ),
        (
            Method::RestoreToAlternateLocation,
            Some(Target::Original),
            "/srv/data/a",
            "alternate /srv/other/a",
        ),
        (
            Method::RestoreToAlternateLocation,
            Some(Target::OriginalLocation),
            "/srv/data/a",
            "original /srv/data/a",
        ),
        (
            Method::Undefined,
            None,
            "/srv/data/a",
            "original /srv/data/a",
        ),
    ];
    for (method, target, path, expected) in cases {
        check(method, &chosen(target), path, expected);
    }
}

/// "Working with New Targets during Restore", "Overview of Actual File Restoration":
/// all other locations are ignored.
#[test]
fn a_new_target_wins() {
    let chosen = ChosenComponent {
        new_targets: vec![NewTarget {
            path: "/srv/data".into(),
            specification: "*.db".into(),
            recursive: Some(true),
            alternate_path: "/mnt/new".into(),
            extra: Extra::default(),
        }],
        ..chosen(Some(RestoreTarget::Alternate))
    };
    let method = RestoreMethod::RestoreIfCanReplace;
    check(method, &chosen, "/srv/data/x/a.db", "new /mnt/new/x/a.db");
    check(
        method,
        &chosen,
        "/srv/data/x/a.txt",
        "alternate /srv/other/x/a.txt",
    );
}

fn directed(source_ranges: &str, destination_ranges: &str) -> DirectedTarget {
    DirectedTarget {
        source_path: "/WriterData".into(),
        source_name: "Index.dat".into(),
        source_ranges: source_ranges.into(),
        destination_path: "/WriterData".into(),
        destination_name: "OldIndex.dat".into(),
        destination_ranges: destination_ranges.into(),
        extra: Extra::default(),
    }
}

/// "Working with Directed Targets": only where the restore target says so, range for
/// range.
#[test]
fn directed_targets_go_range_by_range() {
    let rules = |target, from: &str, to: &str| {
        let chosen = ChosenComponent {
            directed_targets: vec![directed(from, to)],
            ..chosen(target)
        };
        let metadata = metadata(RestoreMethod::RestoreIfCanReplace);
        RestoreRules::new(&metadata, &chosen, PathStyle::Linux)
    };
    let source = Path::new("/WriterData/Index.dat");
    let (from, to) = ("64:448,0x1239E8577A:65536", "0:448,448:65536");
    let directed = rules(Some(RestoreTarget::Directed), from, to).unwrap();
    let [part] = directed.directed(source) else {
        panic!("{directed:?}");
    };
    assert_eq!(part.destination, PathBuf::from("/WriterData/OldIndex.dat"));
    assert!(
        directed
            .directed(Path::new("/WriterData/Other.dat"))
            .is_empty()
    );
    assert!(rules(None, from, to).unwrap().directed(source).is_empty());
    let error = rules(Some(RestoreTarget::Directed), from, "0:448").unwrap_err();
    assert_eq!(error.path, source);
}
