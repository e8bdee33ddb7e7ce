//! AbortBackup and AbortAllSnapshotsInProgress ("Aborting VSS Operations").

use crate::sim::{Fault, Machine, make, requester, started, three_writers};
use std::{sync::Arc, time::Duration};
use umbra_model::{Context, VssCode};
use umbra_service::{Limits, SetState};
use umbra_writer::BackupOutcome;

#[tokio::test(start_paused = true)]
async fn a_set_in_the_making_is_undone() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = service.open_session(requester("backup"));
    session.abort_backup().await.unwrap();
    session.gather_writer_metadata().await.unwrap();
    session.abort_backup().await.unwrap();
    assert!(!machine.logged("db Abort"));

    let session = started(&service, Context::Backup).await.unwrap();
    session.abort_backup().await.unwrap();
    assert!(!machine.logged("db Abort"), "it was told nothing");
    session.start_snapshot_set().await.unwrap();
    let volume = "/sim/a".as_ref();
    session.add_to_snapshot_set(volume).await.unwrap();
    session.prepare_for_backup().await.unwrap();
    session.abort_backup().await.unwrap();
    for writer in ["web", "db", "os"] {
        assert!(machine.logged(&format!("{writer} Abort")));
    }
    machine.assert_clean(&service, "aborted").await;
    // As it should be called after a failure, too.
    session.abort_backup().await.unwrap();
    session.close().await.unwrap();
    let error = session.abort_backup().await.unwrap_err();
    assert_eq!(error.code(), VssCode::BadState);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_makes_the_set_ends() {
    for point in ["db PrepareForBackup", "db PrepareForSnapshot", "os Freeze"] {
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        let _writers = three_writers(&machine, &service);
        machine.script(point, Fault::Hang);
        let session = started(&service, Context::Backup).await.unwrap();
        let abort = async {
            while !machine.logged(point) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            session.abort_backup().await
        };
        let (made, aborted) = tokio::join!(make(&session), abort);
        aborted.unwrap();
        let error = made.unwrap_err();
        assert_eq!(error.code(), VssCode::AsyncCancelled, "{error}");
        assert!(error.message().contains("aborted the backup"), "{error}");
        machine.forgive();
        machine.assert_clean(&service, point).await;
        session.start_snapshot_set().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_made_stays_to_the_end_of_the_session() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = started(&service, Context::Backup).await.unwrap();
    let set = make(&session).await.unwrap();
    machine.clear_log();
    machine.script("db Abort", Fault::Hang);
    let error = session.abort_backup().await.unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorTimeout, "{error}");
    let aborted = SetState::BackupAborted;
    assert_eq!(service.status().sessions[0].state, aborted);
    session.abort_backup().await.unwrap();
    let complete = session.backup_complete(BackupOutcome::Failed).await;
    assert_eq!(complete.unwrap_err().code(), VssCode::BadState);
    session.surface(set.copies[0].id).await.unwrap();
    assert_eq!(service.sets().await.unwrap().len(), 1);
    session.close().await.unwrap();
    let mut log = machine.log();
    log.sort();
    assert_eq!(
        log,
        [
            "db Abort",
            "db BackupShutdown",
            "delete",
            "delete",
            "os Abort",
            "os BackupShutdown",
            "web Abort",
            "web BackupShutdown"
        ]
    );
    machine.assert_clean(&service, "aborted and closed").await;

    let session = started(&service, Context::Backup).await.unwrap();
    make(&session).await.unwrap();
    let succeeded = BackupOutcome::Succeeded;
    session.backup_complete(succeeded).await.unwrap();
    let error = session.abort_backup().await.unwrap_err();
    assert!(
        error.message().contains("the end of the session"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_administrator_aborts_every_set_in_the_making() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    assert_eq!(service.abort_all(), 0);
    let made = started(&service, Context::AppRollback).await.unwrap();
    make(&made).await.unwrap();
    let session = started(&service, Context::Backup).await.unwrap();
    session.prepare_for_backup().await.unwrap();
    let waiting = started(&service, Context::Backup);
    let abort = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        service.abort_all()
    };
    // Who waits has the next turn; what is made stays.
    let (waiting, aborted) = tokio::join!(waiting, abort);
    assert_eq!(aborted, 1);
    assert_eq!(service.sets().await.unwrap().len(), 1);
    assert!(machine.logged("db Abort"));
    let error = session.do_snapshot_set().await.unwrap_err();
    assert_eq!(error.code(), VssCode::BadState);
    assert!(error.to_string().contains("an administrator"), "{error}");

    // One that is being made right now.
    let waiting = Arc::new(waiting.unwrap());
    machine.clear_log();
    machine.script("web Freeze", Fault::Hang);
    let making = Arc::clone(&waiting);
    let making = tokio::spawn(async move { make(&making).await });
    while !machine.logged("web Freeze") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(service.abort_all(), 1);
    let error = making.await.unwrap().unwrap_err();
    assert_eq!(error.code(), VssCode::AsyncCancelled, "{error}");
    machine.forgive();
    session.start_snapshot_set().await.unwrap();
    session.close().await.unwrap();
    waiting.close().await.unwrap();
    assert!(machine.frozen_writers.lock().unwrap().is_empty());
}
