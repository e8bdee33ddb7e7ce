//! The order of calls, and calls that take their time.

use crate::{
    archive::{Archive, at, chosen, open, register},
    parts::{Served, VOLUME, eventually, within},
};
use std::time::Duration;
use umbra_client::{AsyncStatus, BackupState};
use umbra_model::{BackupType, Context, VssCode};

/// Until the archive has come to this event.
async fn until(archive: &Archive, event: &str) {
    eventually(event, || archive.found().iter().any(|line| line == event)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_out_of_order_name_the_one_that_was_expected() {
    let served = Served::start().await;
    let (_archive, _registration) = register(&served, Archive::new(1));
    let backup = open(&served).await;
    let expects = |result: umbra_model::VssResult<()>, next: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.code(), VssCode::BadState, "{error}");
        assert!(error.message().contains(next), "{error}");
    };
    let early = backup.gather_writer_metadata().await.map(drop);
    expects(early, "InitializeForBackup");
    backup.initialize_for_backup().unwrap();
    expects(backup.initialize_for_backup(), "GatherWriterMetadata");
    let early = backup.writer_metadata().map(drop);
    expects(early, "GatherWriterMetadata");
    expects(
        backup.add_component(&at("mail")).map(drop),
        "GatherWriterMetadata",
    );
    backup.gather_writer_metadata().await.unwrap();
    let twice = backup.gather_writer_metadata().await.map(drop);
    expects(twice, "StartSnapshotSet");
    expects(
        backup.set_context(Context::Backup).await,
        "StartSnapshotSet",
    );
    let late = backup.enable_writer_classes(&[]);
    expects(late, "StartSnapshotSet");
    backup.start_snapshot_set().await.unwrap();
    expects(backup.prepare_for_backup().await, "SetBackupState");
    expects(
        backup.set_restore_state(umbra_model::RestoreType::ByCopy),
        "AddToSnapshotSet",
    );
    let state = BackupState::of_components(BackupType::Full);
    backup.set_backup_state(state).unwrap();
    expects(backup.prepare_for_backup().await, "AddToSnapshotSet");
    let volume = VOLUME.as_ref();
    backup.add_to_snapshot_set(volume, None).await.unwrap();
    expects(backup.do_snapshot_set().await.map(drop), "PrepareForBackup");
    backup.free_writer_metadata().unwrap();
    expects(
        backup.add_component(&at("mail")).map(drop),
        "FreeWriterMetadata",
    );
    within(backup.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_calls_wait_for_the_end_of_a_pending_one() {
    let served = Served::start().await;
    let (archive, _registration) = register(&served, Archive::new(1).hanging_at("Freeze"));
    let backup = chosen(&served).await;
    backup.prepare_for_backup().await.unwrap();
    let pending = backup.do_snapshot_set();
    until(&archive, "Freeze").await;
    assert_eq!(pending.query_status(), AsyncStatus::Pending);
    let error = backup.save_as_xml().await.unwrap_err();
    assert_eq!(error.code(), VssCode::BadState);
    assert!(
        error.message().contains("DoSnapshotSet is still pending"),
        "{error}"
    );
    let error = backup.abort_backup().await.unwrap_err();
    assert_eq!(error.code(), VssCode::BadState);
    assert_eq!(pending.query_status(), AsyncStatus::Pending);

    pending.cancel();
    assert_eq!(within(pending.wait(None)).await, AsyncStatus::Cancelled);
    let error = pending.await.unwrap_err();
    assert_eq!(error.code(), VssCode::AsyncCancelled);
    until(&archive, "Abort").await;
    backup.abort_backup().await.unwrap();
    backup.save_as_xml().await.unwrap();
    within(backup.close()).await.unwrap();
    assert_eq!(served.service.sets().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_is_cancelled() {
    let served = Served::start().await;
    let (archive, _registration) = register(&served, Archive::new(1).hanging_at("Freeze"));
    let backup = chosen(&served).await;
    backup.prepare_for_backup().await.unwrap();
    let hurried = tokio::time::timeout(Duration::from_millis(200), backup.do_snapshot_set());
    assert!(hurried.await.is_err());
    until(&archive, "Abort").await;
    within(backup.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_call_ends_with_its_session() {
    let served = Served::start().await;
    let (archive, _registration) = register(&served, Archive::new(1).hanging_at("Freeze"));
    let backup = chosen(&served).await;
    backup.prepare_for_backup().await.unwrap();
    let pending = backup.do_snapshot_set();
    until(&archive, "Freeze").await;
    within(backup.close()).await.unwrap();
    assert_eq!(within(pending.wait(None)).await, AsyncStatus::Cancelled);
    until(&archive, "Abort").await;

    let backup = chosen(&served).await;
    drop(backup);
    served.wait_for_sessions(0).await;
}
