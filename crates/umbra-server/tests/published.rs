//! What docs/protocol.md says in tables is so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

use std::{collections::BTreeSet, path::Path};
use umbra_documents::{
    ChosenComponent, ComponentFailure, DifferencedFile, DirectedTarget, Extra, PartialFile, Term,
    WriterComponents,
};
use umbra_model::{ComponentType, RestoreTarget, VssCode, WriterId, WriterInstanceId};
use umbra_writer::{EventComponents, WriterEvent};

/// A component as a writer may want to have it.
type Change = fn(&mut ChosenComponent);

/// Each thing that a writer can say at a component, by its name on the wire.
const CHANGES: [(&str, Change); 12] = [
    ("backup_metadata", |one| {
        one.backup_metadata = Some("x".into())
    }),
    ("backup_stamp", |one| one.backup_stamp = Some("x".into())),
    ("partial_files", |one| {
        one.partial_files.push(PartialFile {
            path: "/srv".into(),
            name: "a".into(),
            ranges: Some("0:1".into()),
            ranges_file: None,
            metadata: None,
            extra: Extra::default(),
        });
    }),
    ("differenced_files", |one| {
        one.differenced_files.push(DifferencedFile {
            path: "/srv".into(),
            specification: "*".into(),
            recursive: None,
            lsn: None,
            last_modified: None,
            extra: Extra::default(),
        });
    }),
    ("prepare_for_backup_failure", |one| {
        one.prepare_for_backup_failure = Some("x".into());
    }),
    ("post_snapshot_failure", |one| {
        one.post_snapshot_failure = Some("x".into());
    }),
    ("restore_metadata", |one| {
        one.restore_metadata = Some("x".into())
    }),
    ("restore_target", |one| {
        one.restore_target = Some(Term::Known(RestoreTarget::Alternate));
    }),
    ("directed_targets", |one| {
        one.directed_targets.push(DirectedTarget {
            source_path: "/srv".into(),
            source_name: "a".into(),
            source_ranges: "0:1".into(),
            destination_path: "/srv".into(),
            destination_name: "b".into(),
            destination_ranges: "0:1".into(),
            extra: Extra::default(),
        });
    }),
    ("pre_restore_failure", |one| {
        one.pre_restore_failure = Some("x".into());
    }),
    ("post_restore_failure", |one| {
        one.post_restore_failure = Some("x".into());
    }),
    ("failure", |one| {
        one.failure = Some(ComponentFailure {
            code: VssCode::WriterErrorRetryable.hresult(),
            application_code: None,
            message: None,
            extra: Extra::default(),
        });
    }),
];

const EVENTS: [(&str, WriterEvent); 8] = [
    ("prepare_for_backup", WriterEvent::PrepareForBackup),
    ("prepare_for_snapshot", WriterEvent::PrepareForSnapshot),
    ("freeze", WriterEvent::Freeze),
    ("thaw", WriterEvent::Thaw),
    ("post_snapshot", WriterEvent::PostSnapshot),
    ("backup_complete", WriterEvent::BackupComplete),
    ("pre_restore", WriterEvent::PreRestore),
    ("post_restore", WriterEvent::PostRestore),
];

fn is_allowed(event: WriterEvent, change: Change) -> bool {
    let one = ChosenComponent::new(None, "data", ComponentType::FileGroup);
    let mut all = WriterComponents::new(WriterId::from_u128(1), WriterInstanceId::from_u128(2));
    all.components.push(one.clone());
    let mut changed = one;
    change(&mut changed);
    let at = EventComponents::new(all).at(event);
    at.take_over(vec![changed]).is_ok()
}

/// The words in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn which_changes_belong_to_which_event() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, table) = text
        .split_once("| at | you may change |\n| --- | --- |\n")
        .unwrap();
    let mut published = BTreeSet::new();
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let (at, fields) = row.trim_matches('|').split_once('|').unwrap();
        let every = at.contains("all of these");
        for (event, _) in EVENTS {
            if every || quoted(at).contains(&event) {
                let fields = quoted(fields).into_iter();
                published.extend(fields.map(|field| (event, field)));
            }
        }
    }
    let mut allowed = BTreeSet::new();
    for (event, at) in EVENTS {
        let fields = CHANGES.iter().filter(|(_, change)| is_allowed(at, *change));
        allowed.extend(fields.map(|(field, _)| (event, *field)));
    }
    assert_eq!(published, allowed);
}
