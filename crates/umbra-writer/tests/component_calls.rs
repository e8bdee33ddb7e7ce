//! Every call of `IVssWriterComponents`, `IVssComponent`, `Ex` and `Ex2`: what a
//! requester's document says is what a writer reads, and what a writer leaves is in
//! the document ("Working with the Backup Components Document").
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use umbra_documents::{
    BackupComponentsDocument, DirectedTarget, Extra, FileSet, FileTime, Recursion, Term,
};
use umbra_model::{
    ComponentType, FileRestoreStatus, RestoreTarget, RollForwardType, WriterId, WriterInstanceId,
};
use umbra_writer::{EventComponent, EventComponents, WriterEvent, WriterFailureKind};

const DOCUMENT: &str = r#"<BACKUP_COMPONENTS xmlns="x-schema:#VssComponentMetadata" version="1.2"
    bootableSystemStateBackup="no" selectComponents="yes" backupType="full">
  <WRITER_COMPONENTS instanceId="00000000-0000-0000-0000-000000000002"
      writerId="00000000-0000-0000-0000-000000000001">
    <COMPONENT logicalPath="db" componentName="a" componentType="database"
        backupSucceeded="yes" backupOptions="slowly" backupMetadata="kept" backupStamp="now"
        previousBackupStamp="then" selectedForRestore="yes" additionalRestores="yes"
        restoreOptions="gently" restoreMetadata="halfway" restoreTarget="ALTERNATE"
        restoreName="b" authoritativeRestore="yes" rollType="PARTIAL" rollForwardPoint="noon"
        fileRestoreStatus="ALL" prepareForBackupFailureMsg="p" postSnapshotFailureMsg="q"
        preRestoreFailureMsg="r" postRestoreFailureMsg="s">
      <ALTERNATE_LOCATION_MAPPING path="/a" filespec="*" recursive="no" alternatePath="/b"/>
      <PARTIAL_FILE path="/a" filename="f" ranges="0:5" metadata="m"/>
      <DIFFERENCED_FILE path="/a" filespec="*" recursive="yes" lastModifyTime="9"/>
      <DIFFERENCED_FILE path="/a" filespec="*" recursive="no" lsnString="7"/>
      <DIRECTED_TARGET sourcePath="/a" sourceFilename="f" sourceRangeList="0:5"
          destinationPath="/b" destinationFilename="g" destinationRangeList="5:5"/>
      <NEW_TARGET path="/a" fileName="*" recursive="no" alternatePath="/c"/>
      <RESTORE_SUBCOMPONENT subComponentLogicalPath="db\a" subComponentName="c" repair="no"/>
      <FAILURE hr="2147754996" hrApplication="5" applicationMessage="out of paper"/>
    </COMPONENT>
    <COMPONENT componentName="second" componentType="filegroup"/>
  </WRITER_COMPONENTS>
</BACKUP_COMPONENTS>"#;

fn components() -> EventComponents {
    let document = BackupComponentsDocument::from_xml(DOCUMENT.as_bytes()).unwrap();
    EventComponents::new(document.writers[0].clone())
}

#[test]
fn a_writer_finds_its_components() {
    let components = components();
    let document = components.document().unwrap();
    assert_eq!(document.writer_id, WriterId::from_u128(1));
    assert_eq!(document.instance_id, WriterInstanceId::from_u128(2));
    let all = components.all();
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].get().name, "second");
    assert!(components.find(Some("db"), "a").is_some());
    assert!(EventComponents::default().all().is_empty());
}

#[test]
fn a_writer_reads_what_the_document_says() {
    let one = components().find(Some("db"), "a").unwrap().get();
    let text = |text: &Option<String>| text.clone().unwrap();
    assert_eq!(text(&one.logical_path), "db");
    assert_eq!(one.name, "a");
    assert_eq!(one.component_type, Term::Known(ComponentType::Database));
    assert_eq!(one.backup_succeeded, Some(true));
    assert_eq!(text(&one.backup_options), "slowly");
    assert_eq!(text(&one.backup_metadata), "kept");
    assert_eq!(text(&one.backup_stamp), "now");
    assert_eq!(text(&one.previous_backup_stamp), "then");
    assert_eq!(one.selected_for_restore, Some(true));
    assert_eq!(one.additional_restores, Some(true));
    assert_eq!(text(&one.restore_options), "gently");
    assert_eq!(text(&one.restore_metadata), "halfway");
    assert_eq!(
        one.restore_target,
        Some(Term::Known(RestoreTarget::Alternate))
    );
    assert_eq!(text(&one.restore_name), "b");
    assert_eq!(one.authoritative_restore, Some(true));
    assert_eq!(
        one.roll_forward,
        Some(Term::Known(RollForwardType::Partial))
    );
    assert_eq!(text(&one.roll_forward_point), "noon");
    assert_eq!(
        one.file_restore_status,
        Some(Term::Known(FileRestoreStatus::All))
    );
    assert_eq!(text(&one.prepare_for_backup_failure), "p");
    assert_eq!(text(&one.post_snapshot_failure), "q");
    assert_eq!(text(&one.pre_restore_failure), "r");
    assert_eq!(text(&one.post_restore_failure), "s");

    let mapping = one.alternate_locations[0].to_location();
    assert_eq!(mapping.files, FileSet::files("/a", "*"));
    assert_eq!(mapping.destination.to_str(), Some("/b"));
    let partial = &one.partial_files[0];
    assert_eq!((&*partial.path, &*partial.name), ("/a", "f"));
    assert_eq!(text(&partial.ranges), "0:5");
    assert_eq!(text(&partial.metadata), "m");
    let [by_time, by_lsn] = &one.differenced_files[..] else {
        panic!("{:?}", one.differenced_files);
    };
    assert_eq!(by_time.last_modified, Some(FileTime::from_units(9)));
    assert_eq!(text(&by_lsn.lsn), "7");
    let directed = &one.directed_targets[0];
    assert_eq!(directed.source_ranges, "0:5");
    assert_eq!(directed.destination_name, "g");
    assert_eq!(one.new_targets[0].alternate_path, "/c");
    assert_eq!(one.restore_subcomponents[0].name, "c");
    let failure = one.failure.unwrap();
    assert_eq!(
        failure.code,
        WriterFailureKind::NonRetryable.code().hresult()
    );
    assert_eq!(failure.application_code, Some(5));
    assert_eq!(text(&failure.message), "out of paper");
}

/// Lets a writer make its calls at an event, each on a component that has nothing yet.
fn at(event: WriterEvent, calls: impl Fn(&EventComponent)) -> umbra_documents::ChosenComponent {
    let components = components();
    calls(&components.at(event).find(None, "second").unwrap());
    let document = components.document().unwrap();
    document.component(None, "second").unwrap().clone()
}

#[test]
fn what_a_writer_leaves_during_a_backup_is_in_the_document() {
    let files = FileSet::new("/a", "*.db", Recursion::Tree);
    let left = at(WriterEvent::PrepareForBackup, |one| {
        one.set_backup_metadata("kept").unwrap();
        one.set_backup_stamp("now").unwrap();
        one.set_prepare_for_backup_failure("no room").unwrap();
    });
    assert_eq!(left.backup_metadata.as_deref(), Some("kept"));
    assert_eq!(left.backup_stamp.as_deref(), Some("now"));
    assert_eq!(left.prepare_for_backup_failure.as_deref(), Some("no room"));

    let left = at(WriterEvent::PostSnapshot, |one| {
        one.add_partial_file("/a".as_ref(), "f", "0:5,100:20", Some("m"))
            .unwrap();
        let since = FileTime::from_units(9);
        one.add_differenced_files_by_time(&files, since).unwrap();
        one.add_differenced_files_by_lsn(&files, "7").unwrap();
        one.set_post_snapshot_failure("no copy").unwrap();
        let kind = WriterFailureKind::OutOfResources;
        one.set_failure(kind, Some(5), Some("out of paper"))
            .unwrap();
    });
    assert_eq!(left.partial_files[0].ranges.as_deref(), Some("0:5,100:20"));
    let [by_time, by_lsn] = &left.differenced_files[..] else {
        panic!("{:?}", left.differenced_files);
    };
    assert_eq!(by_time.last_modified, Some(FileTime::from_units(9)));
    assert_eq!((by_time.recursive, &by_time.lsn), (Some(true), &None));
    assert_eq!(by_lsn.lsn.as_deref(), Some("7"));
    assert_eq!(left.post_snapshot_failure.as_deref(), Some("no copy"));
    let failure = left.failure.unwrap();
    assert_eq!(
        failure.code,
        WriterFailureKind::OutOfResources.code().hresult()
    );
    assert_eq!(failure.message.as_deref(), Some("out of paper"));
}

#[test]
fn what_a_writer_leaves_during_a_restore_is_in_the_document() {
    let target = DirectedTarget {
        source_path: "/a".into(),
        source_name: "f".into(),
        source_ranges: "0:5".into(),
        destination_path: "/b".into(),
        destination_name: "g".into(),
        destination_ranges: "5:5".into(),
        extra: Extra::default(),
    };
    let left = at(WriterEvent::PreRestore, |one| {
        one.set_restore_metadata("halfway").unwrap();
        one.set_restore_target(RestoreTarget::Directed).unwrap();
        one.add_directed_target(target.clone()).unwrap();
        one.set_pre_restore_failure("busy").unwrap();
    });
    assert_eq!(left.restore_metadata.as_deref(), Some("halfway"));
    assert_eq!(
        left.restore_target,
        Some(Term::Known(RestoreTarget::Directed))
    );
    assert_eq!(left.directed_targets, [target]);
    assert_eq!(left.pre_restore_failure.as_deref(), Some("busy"));

    let left = at(WriterEvent::PostRestore, |one| {
        one.set_post_restore_failure("not recovered").unwrap();
    });
    assert_eq!(left.post_restore_failure.as_deref(), Some("not recovered"));
}
