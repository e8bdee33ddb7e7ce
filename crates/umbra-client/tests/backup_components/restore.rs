//! Whole restores ("Overview of Processing a Restore Under VSS").

use crate::{
    archive::{Archive, at, chosen, open, register},
    parts::{Served, within},
};
use umbra_client::{
    AdditionalRestores, Authority, BackupComponents, BackupOutcome, RestoreChoice, RollForward,
};
use umbra_documents::{AlternateLocation, FileSet, Term, WriterMetadata};
use umbra_model::{
    BackupSchema, FileRestoreStatus, RestoreTarget, RestoreType, RollForwardType, VssCode,
    WriterInstanceId,
};

/// Backs an archive up and gives the document and the metadata that a requester keeps.
async fn backed_up(served: &Served) -> (String, WriterMetadata) {
    let (archive, _registration) = register(served, Archive::new(1));
    let backup = chosen(served).await;
    backup.prepare_for_backup().await.unwrap();
    within(backup.do_snapshot_set()).await.unwrap();
    let mail = at("mail");
    let one = backup.component(&mail).unwrap();
    one.set_backup_succeeded(BackupOutcome::Succeeded).unwrap();
    backup.backup_complete().await.unwrap();
    let xml = backup.save_as_xml().await.unwrap();
    within(backup.close()).await.unwrap();
    (xml, archive.metadata.clone())
}

/// A restore of it, with the writers known.
async fn restoring(served: &Served, xml: &str, stored: WriterMetadata) -> BackupComponents {
    let restore = open(served).await;
    restore
        .initialize_for_restore(xml.as_bytes())
        .await
        .unwrap();
    restore.set_restore_state(RestoreType::ByCopy).unwrap();
    restore.use_stored_metadata([stored]).unwrap();
    restore.gather_writer_metadata().await.unwrap();
    restore
}

fn moved() -> AlternateLocation {
    AlternateLocation {
        files: FileSet::tree("/srv/one"),
        destination: "/srv/two".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_requester_and_writer_leave_each_other_arrives() {
    let served = Served::start().await;
    let (xml, stored) = backed_up(&served).await;
    // Started again since: another instance.
    let (archive, _registration) = register(&served, Archive::new(2));
    let restore = restoring(&served, &xml, stored).await;
    let mail = at("mail");
    let one = restore.component(&mail).unwrap();
    assert_eq!(one.get().unwrap().backup_stamp.as_deref(), Some("stamp 2"));
    one.set_selected_for_restore(RestoreChoice::Selected)
        .unwrap();
    one.add_restore_subcomponent(Some("mail"), "ann").unwrap();
    one.set_restore_options("\"Authoritative\"=\"All\"")
        .unwrap();
    one.set_roll_forward(RollForward::Partial("noon")).unwrap();
    one.set_previous_backup_stamp("stamp 2").unwrap();

    assert_eq!(within(restore.pre_restore()).await, Ok(Vec::new()));
    let after = one.get().unwrap();
    assert_eq!(
        after.restore_target,
        Some(Term::Known(RestoreTarget::Alternate))
    );
    assert_eq!(
        after.roll_forward,
        Some(Term::Known(RollForwardType::Partial))
    );
    assert_eq!(after.roll_forward_point.as_deref(), Some("noon"));
    assert_eq!(after.restore_subcomponents[0].name, "ann");
    one.add_alternative_location_mapping(&moved()).unwrap();
    one.set_ranges_file_path(0, "/srv/ranges".as_ref()).unwrap();
    one.set_additional_restores(AdditionalRestores::None)
        .unwrap();
    one.set_file_restore_status(FileRestoreStatus::All).unwrap();
    assert_eq!(within(restore.post_restore()).await, Ok(Vec::new()));

    let end = one.get().unwrap();
    assert_eq!(end.alternate_locations[0].to_location(), moved());
    assert_eq!(
        end.partial_files[0].ranges_file.as_deref(),
        Some("/srv/ranges")
    );
    assert_eq!(end.additional_restores, Some(false));
    within(restore.close()).await.unwrap();
    let found = archive.found();
    assert!(
        found[0].starts_with("PreRestore: mail (Some(true), Some("),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("PostRestore: mail Some(All)"),
        "{found:?}"
    );
}

/// The failure of a writer does not end a restore ("Writer Errors and Vetoes").
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_writers_are_given_and_the_requester_goes_on() {
    let served = Served::start().await;
    let (xml, stored) = backed_up(&served).await;
    let (_archive, _registration) = register(&served, Archive::new(1).failing_at("PreRestore"));
    let restore = restoring(&served, &xml, stored).await;
    let mail = at("mail");
    let one = restore.component(&mail).unwrap();
    one.set_selected_for_restore(RestoreChoice::Selected)
        .unwrap();
    let failures = within(restore.pre_restore()).await.unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].code(), VssCode::WriterErrorRetryable);
    one.set_file_restore_status(FileRestoreStatus::None)
        .unwrap();
    within(restore.post_restore()).await.unwrap();
    within(restore.close()).await.unwrap();
}

/// "Working with Selectability For Restore and Subcomponents", "Writer Backup Schema
/// Support".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_writer_does_not_support_is_refused() {
    let served = Served::start().await;
    let (xml, stored) = backed_up(&served).await;
    let (_archive, _registration) = register(&served, Archive::new(1));
    let restore = restoring(&served, &xml, stored).await;
    let mail = at("mail");
    let one = restore.component(&mail).unwrap();
    let code = |result: umbra_model::VssResult<()>| result.unwrap_err().code().name();

    assert_eq!(code(one.set_restore_name("post")), "VSS_E_NOT_SUPPORTED");
    let authority = one.set_authoritative_restore(Authority::Authoritative);
    assert_eq!(code(authority), "VSS_E_NOT_SUPPORTED");
    assert_eq!(code(one.add_new_target(&moved())), "VSS_E_NOT_SUPPORTED");
    let nowhere = RollForward::Partial("");
    assert_eq!(code(one.set_roll_forward(nowhere)), "E_INVALIDARG");
    one.set_roll_forward(RollForward::All).unwrap();

    let early = one.add_restore_subcomponent(Some("mail"), "ann");
    assert_eq!(code(early), "VSS_E_BAD_STATE");
    one.set_selected_for_restore(RestoreChoice::Selected)
        .unwrap();
    let bob = one.add_restore_subcomponent(Some("mail"), "bob");
    assert_eq!(code(bob), "E_INVALIDARG");
    let eve = one.add_restore_subcomponent(Some("mail"), "eve");
    assert_eq!(code(eve), "VSS_E_OBJECT_NOT_FOUND");
    one.add_restore_subcomponent(Some("mail"), "ann").unwrap();
    let twice = one.add_restore_subcomponent(Some("mail"), "ann");
    assert_eq!(code(twice), "VSS_E_OBJECT_ALREADY_EXISTS");
    one.set_selected_for_restore(RestoreChoice::NotSelected)
        .unwrap();
    assert_eq!(one.get().unwrap().restore_subcomponents, []);

    let file = one.set_ranges_file_path(1, "/srv/ranges".as_ref());
    assert_eq!(code(file), "VSS_E_OBJECT_NOT_FOUND");
    let nobody = WriterInstanceId::from_u128(9);
    let gone = one.set_selected_for_restore_ex(RestoreChoice::Selected, nobody);
    assert_eq!(code(gone), "VSS_E_OBJECT_NOT_FOUND");
    within(restore.close()).await.unwrap();
}

/// "Writer Backup Schema Support", "Working with New Targets during Restore".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_writer_supports_is_in_the_document() {
    let served = Served::start().await;
    let (xml, stored) = backed_up(&served).await;
    let schema = BackupSchema::AUTHORITATIVE_RESTORE
        .with(BackupSchema::RESTORE_RENAME)
        .with(BackupSchema::WRITER_SUPPORTS_NEW_TARGET);
    let (_archive, _registration) = register(&served, Archive::new(1).with_schema(schema));
    let restore = restoring(&served, &xml, stored).await;
    let mail = at("mail");
    let one = restore.component(&mail).unwrap();
    one.set_restore_name("post").unwrap();
    one.set_authoritative_restore(Authority::Authoritative)
        .unwrap();
    one.add_new_target(&moved()).unwrap();
    let all = one.set_roll_forward(RollForward::All).unwrap_err();
    assert_eq!(all.code(), VssCode::NotSupported);
    let nowhere = AlternateLocation {
        destination: "".into(),
        ..moved()
    };
    for refused in [
        one.add_new_target(&nowhere),
        one.add_alternative_location_mapping(&nowhere),
        one.set_restore_name(""),
        one.set_ranges_file_path(0, "".as_ref()),
    ] {
        assert_eq!(refused.unwrap_err().code(), VssCode::InvalidArgument);
    }
    let chosen = one.get().unwrap();
    assert_eq!(chosen.restore_name.as_deref(), Some("post"));
    assert_eq!(chosen.authoritative_restore, Some(true));
    assert_eq!(chosen.new_targets[0].alternate_path, "/srv/two");
    within(restore.close()).await.unwrap();
}

/// "Writer Backup Schema Support", Restore with Move.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_goes_to_another_instance() {
    let served = Served::start().await;
    let (xml, stored) = backed_up(&served).await;
    let moves = BackupSchema::WRITER_SUPPORTS_RESTORE_WITH_MOVE;
    let (first, _first) = register(&served, Archive::new(1).with_schema(moves));
    let (second, _second) = register(&served, Archive::new(2).with_schema(moves));
    let restore = restoring(&served, &xml, stored).await;
    let mail = at("mail");
    let one = restore.component(&mail).unwrap();
    let other = second.metadata.identity.instance;
    one.set_selected_for_restore_ex(RestoreChoice::Selected, other)
        .unwrap();
    assert_eq!(within(restore.pre_restore()).await, Ok(Vec::new()));
    assert_eq!(first.found(), [""; 0]);
    assert!(second.found()[0].starts_with("PreRestore: mail"));
    within(restore.post_restore()).await.unwrap();
    within(restore.close()).await.unwrap();
}

/// "Overview of Preparing for Restore", "Restores without Writer Participation".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_a_writer_that_is_gone_cannot_be_selected() {
    let served = Served::start().await;
    let (xml, stored) = backed_up(&served).await;
    let restore = restoring(&served, &xml, stored).await;
    let mail = at("mail");
    let one = restore.component(&mail).unwrap();
    let error = one
        .set_selected_for_restore(RestoreChoice::Selected)
        .unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound);
    assert_eq!(within(restore.pre_restore()).await, Ok(Vec::new()));
    assert_eq!(within(restore.post_restore()).await, Ok(Vec::new()));
    within(restore.close()).await.unwrap();
}

/// `SetSelectedForRestoreEx`: of two instances, the one that is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_instance_that_is_named_restores() {
    let served = Served::start().await;
    let (xml, stored) = backed_up(&served).await;
    let (first, _first) = register(&served, Archive::new(1));
    let (second, _second) = register(&served, Archive::new(2));
    let restore = restoring(&served, &xml, stored).await;
    let mail = at("mail");
    let one = restore.component(&mail).unwrap();
    let (kept, other) = (
        first.metadata.identity.instance,
        second.metadata.identity.instance,
    );
    let error = one
        .set_selected_for_restore_ex(RestoreChoice::Selected, other)
        .unwrap_err();
    assert_eq!(error.code(), VssCode::NotSupported, "no restore with move");
    one.set_selected_for_restore_ex(RestoreChoice::Selected, kept)
        .unwrap();
    assert_eq!(within(restore.pre_restore()).await, Ok(Vec::new()));
    assert!(first.found()[0].starts_with("PreRestore: mail"));
    assert_eq!(second.found(), [""; 0]);
    within(restore.post_restore()).await.unwrap();
    within(restore.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_document_is_refused_and_nothing_has_begun() {
    let served = Served::start().await;
    let restore = open(&served).await;
    let error = restore
        .initialize_for_restore(b"<BACKUP")
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::InvalidXmlDocument);
    restore.initialize_for_backup().unwrap();
    within(restore.close()).await.unwrap();
}
