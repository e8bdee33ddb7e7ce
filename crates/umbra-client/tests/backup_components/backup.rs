//! Whole backups ("Overview of Processing a Backup Under VSS").

use crate::{
    archive::{Archive, CLASS, at, chosen, open, register},
    parts::{Served, VOLUME, within},
};
use umbra_client::{AsyncStatus, BackupComponents, BackupOutcome, BackupState, Retry};
use umbra_documents::BackupComponentsDocument;
use umbra_model::{
    BackupType, Consistency, Context, VssCode, VssResult, WriterId, WriterInstanceId, WriterState,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_requester_and_writer_leave_each_other_arrives() {
    let served = Served::start().await;
    let (archive, _registration) = register(&served, Archive::new(1));
    let backup = chosen(&served).await;
    let (mail, settings) = (at("mail"), at("settings"));
    let one = backup.component(&mail).unwrap();
    one.set_backup_options("quick").unwrap();
    one.set_previous_backup_stamp("stamp 1").unwrap();

    backup.prepare_for_backup().await.unwrap();
    assert_eq!(
        one.get().unwrap().backup_metadata.as_deref(),
        Some("shelf 3")
    );
    let set = within(backup.do_snapshot_set()).await.unwrap();
    assert_eq!(set.consistency.level, Consistency::Application);
    assert_eq!(one.get().unwrap().backup_stamp.as_deref(), Some("stamp 2"));
    assert_eq!(one.get().unwrap().partial_files[0].name, "big");

    one.set_backup_succeeded(BackupOutcome::Succeeded).unwrap();
    let other = backup.component(&settings).unwrap();
    other.set_backup_succeeded(BackupOutcome::Failed).unwrap();
    backup.backup_complete().await.unwrap();
    for status in backup.gather_writer_status().await.unwrap() {
        assert_eq!(status.state, WriterState::Stable);
        assert!(!status.has_failed());
    }
    let xml = backup.save_as_xml().await.unwrap();
    let document = BackupComponentsDocument::from_xml(xml.as_bytes()).unwrap();
    assert_eq!(document, backup.document());
    assert_eq!(document.snapshot_set_id, Some(set.id));
    assert_eq!(document.writers, backup.writer_components());
    assert_eq!(served.service.status().sessions[0].id, backup.session_id());
    within(backup.close()).await.unwrap();
    assert_eq!(
        archive.found(),
        [
            "PrepareForBackup: mail Some(\"quick\"), settings None",
            "Freeze",
            "PostSnapshot: mail Some(\"stamp 1\"), settings None",
            "BackupComplete: mail Some(true), settings Some(false)",
            "BackupShutdown",
        ]
    );
    assert_eq!(
        served.service.sets().await.unwrap(),
        [],
        "it was auto-release"
    );
}

/// "Backups without Writer Participation".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_without_writers_needs_none_of_their_calls() {
    let served = Served::start().await;
    let (archive, _registration) = register(&served, Archive::new(1));
    let backup = open(&served).await;
    backup.initialize_for_backup().unwrap();
    backup.set_context(Context::FileShareBackup).await.unwrap();
    backup.start_snapshot_set().await.unwrap();
    let volume = VOLUME.as_ref();
    let (copy, _) = backup.add_to_snapshot_set(volume, None).await.unwrap();
    let set = within(backup.do_snapshot_set()).await.unwrap();
    assert_eq!(set.copies[0].id, copy);
    backup.backup_complete().await.unwrap();
    within(backup.close()).await.unwrap();
    assert_eq!(archive.found(), [""; 0]);
}

/// "VSS Backup State": whole volumes, with writers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_volumes_are_backed_up_with_their_writers() {
    let served = Served::start().await;
    let (archive, _registration) = register(&served, Archive::new(1));
    let backup = open(&served).await;
    backup.initialize_for_backup().unwrap();
    backup.set_backup_state(BackupState::of_volumes()).unwrap();
    backup.gather_writer_metadata().await.unwrap();
    backup.start_snapshot_set().await.unwrap();
    let volume = VOLUME.as_ref();
    backup.add_to_snapshot_set(volume, None).await.unwrap();
    backup.prepare_for_backup().await.unwrap();
    let set = within(backup.do_snapshot_set()).await.unwrap();
    assert_eq!(set.consistency.level, Consistency::Application);
    assert!(archive.found().contains(&"Freeze".to_owned()));
    backup.backup_complete().await.unwrap();
    within(backup.close()).await.unwrap();
}

/// "Aborting VSS Operations", "Writer Errors and Vetoes".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_veto_is_told_with_what_to_do_and_the_backup_tried_again_or_given_up() {
    let served = Served::start().await;
    let (archive, _registration) = register(&served, Archive::new(1).failing_at("Freeze"));
    let backup = chosen(&served).await;
    backup.prepare_for_backup().await.unwrap();
    let failed = backup.do_snapshot_set();
    let status = within(failed.wait(None)).await;
    assert_eq!(status, AsyncStatus::Failed(VssCode::WriterErrorRetryable));
    let error = failed.await.unwrap_err();
    assert!(error.message().contains("the shelf is wet"), "{error}");

    let statuses = backup.gather_writer_status().await.unwrap();
    let failed: Vec<_> = statuses.iter().filter(|one| one.has_failed()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].state, WriterState::FailedAtFreeze);
    assert_eq!(failed[0].retry(), Some(Retry::SameBackup));
    assert_eq!(failed[0].application_code, Some(77));

    backup.start_snapshot_set().await.unwrap();
    let volume = VOLUME.as_ref();
    backup.add_to_snapshot_set(volume, None).await.unwrap();
    backup.prepare_for_backup().await.unwrap();
    within(backup.do_snapshot_set()).await.unwrap_err();
    backup.abort_backup().await.unwrap();
    let error = backup.start_snapshot_set().await.unwrap_err();
    assert_eq!(error.code(), VssCode::BadState);
    within(backup.close()).await.unwrap();
    let aborts = archive
        .found()
        .iter()
        .filter(|line| *line == "Abort")
        .count();
    assert!(aborts >= 2, "{:?}", archive.found());
}

/// "Writer Errors and Vetoes": the messages that a writer leaves at its components.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_writer_says_of_its_failure_is_in_the_document() {
    let served = Served::start().await;
    let archive = Archive::new(1).failing_at("PrepareForBackup");
    let (_archive, _registration) = register(&served, archive);
    let backup = chosen(&served).await;
    within(backup.prepare_for_backup()).await.unwrap_err();
    let mail = at("mail");
    let left = backup.component(&mail).unwrap().get().unwrap();
    let message = left.prepare_for_backup_failure.as_deref();
    assert_eq!(message, Some("ann is writing"));
    backup.abort_backup().await.unwrap();
    within(backup.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_given_up_after_the_copies_were_made() {
    let served = Served::start().await;
    let (archive, _registration) = register(&served, Archive::new(1));
    let backup = chosen(&served).await;
    backup.prepare_for_backup().await.unwrap();
    within(backup.do_snapshot_set()).await.unwrap();
    within(backup.abort_backup()).await.unwrap();
    let error = backup.backup_complete().await.unwrap_err();
    assert_eq!(error.code(), VssCode::BadState);
    within(backup.close()).await.unwrap();
    assert!(
        !archive
            .found()
            .iter()
            .any(|line| line.starts_with("BackupComplete: mail Some(true)"))
    );
}

/// Whoever was not let through before GatherWriterMetadata hears nothing
/// ("Overview of Backup Initialization").
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_are_disabled_hear_nothing() {
    let served = Served::start().await;
    let (first, _first) = register(&served, Archive::new(1));
    let (second, _second) = register(&served, Archive::new(2));
    let backup = open(&served).await;
    backup.initialize_for_backup().unwrap();
    backup
        .disable_writer_instances(&[WriterInstanceId::from_u128(2)])
        .unwrap();
    backup.set_backup_state(BackupState::of_volumes()).unwrap();
    let gathered = backup.gather_writer_metadata().await.unwrap();
    assert_eq!(gathered.writers.len(), 1);
    assert_eq!(backup.writer_metadata().unwrap(), gathered.writers);
    backup.start_snapshot_set().await.unwrap();
    let volume = VOLUME.as_ref();
    backup.add_to_snapshot_set(volume, None).await.unwrap();
    backup.prepare_for_backup().await.unwrap();
    within(backup.do_snapshot_set()).await.unwrap();
    assert!(first.found().contains(&"Freeze".to_owned()));
    assert_eq!(second.found(), [""; 0]);
    let statuses = backup.gather_writer_status().await.unwrap();
    assert_eq!(statuses.len(), 1);
    within(backup.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn classes_are_enabled_and_disabled_before_the_writers_are_asked() {
    let served = Served::start().await;
    let (_archive, _registration) = register(&served, Archive::new(1));
    let known = async |choose: fn(&BackupComponents) -> VssResult<()>| {
        let backup = open(&served).await;
        backup.initialize_for_backup().unwrap();
        choose(&backup).unwrap();
        let gathered = backup.gather_writer_metadata().await.unwrap();
        within(backup.close()).await.unwrap();
        gathered.writers.len()
    };
    const OTHER: WriterId = WriterId::from_u128(0xb);
    assert_eq!(
        known(|backup| backup.disable_writer_classes(&[OTHER])).await,
        1
    );
    assert_eq!(
        known(|backup| backup.disable_writer_classes(&[CLASS])).await,
        0
    );
    assert_eq!(
        known(|backup| backup.enable_writer_classes(&[OTHER])).await,
        0
    );
    assert_eq!(
        known(|backup| backup.enable_writer_classes(&[CLASS])).await,
        1
    );

    let backup = open(&served).await;
    backup.initialize_for_backup().unwrap();
    let error = backup.disable_writer_instances(&[]).unwrap_err();
    assert_eq!(error.code(), VssCode::InvalidArgument);
    within(backup.close()).await.unwrap();
}

/// "Determining Writer Status".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_fails_at_identify_is_named_once_and_takes_no_part() {
    let served = Served::start().await;
    let (_archive, _registration) = register(&served, Archive::new(1).failing_at("Identify"));
    let backup = open(&served).await;
    backup.initialize_for_backup().unwrap();
    let gathered = backup.gather_writer_metadata().await.unwrap();
    assert_eq!(gathered.writers, []);
    assert_eq!(gathered.failed[0].state, WriterState::FailedAtIdentify);
    assert_eq!(gathered.failed[0].retry(), Some(Retry::No));
    assert_eq!(backup.gather_writer_status().await, Ok(Vec::new()));
    let error = backup.add_component(&at("mail")).unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound);
    within(backup.close()).await.unwrap();
}

/// The requester chose a type that only components have a meaning for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_the_backup_is_said_with_reasons() {
    let served = Served::start().await;
    let (_archive, _registration) = register(&served, Archive::new(1));
    let backup = open(&served).await;
    backup.initialize_for_backup().unwrap();
    let state = BackupState::of_components(BackupType::Full);
    backup.set_backup_state(state).unwrap();
    backup.gather_writer_metadata().await.unwrap();
    backup.add_component(&at("mail")).unwrap();
    let set = backup.backup_set().unwrap();
    let included = |path: &str| {
        let mut components = set.writers[0].components.iter();
        let found = components.find(|one| one.path == path).unwrap();
        found.inclusion.is_included()
    };
    assert!(included("mail"));
    assert!(included("mail\\bob"));
    assert!(!included("settings"));
    within(backup.close()).await.unwrap();
}
