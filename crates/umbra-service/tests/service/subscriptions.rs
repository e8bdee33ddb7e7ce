//! Which events a writer gets (`CVssWriter::Subscribe`), and how writers are doing
//! meanwhile ("Determining Writer Status").

use crate::sim::{
    Fault, Machine, ScriptedWriter, component, make, started, three_writers,
    writers::APPLICATION_CODE,
};
use std::{sync::Arc, time::Duration};
use umbra_documents::{WriterIdentity, WriterMetadata};
use umbra_model::{Context, SubscribeMask, VssCode, WriterId, WriterInstanceId, WriterState};
use umbra_service::{Limits, Session};
use umbra_writer::{BackupOutcome, Subscription};

fn subscribed(machine: &Arc<Machine>, subscription: Subscription) -> Arc<ScriptedWriter> {
    let (id, instance) = (WriterId::random(), WriterInstanceId::random());
    let metadata = WriterMetadata {
        components: vec![component("data", &["/sim/a/data"])],
        ..WriterMetadata::new(WriterIdentity::new(id, instance, "it"))
    };
    ScriptedWriter::of(machine, metadata, subscription)
}

#[tokio::test(start_paused = true)]
async fn a_writer_gets_what_it_subscribed_to() {
    let check = async |events: SubscribeMask, expected: &[&str]| {
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        let subscription = Subscription {
            events,
            ..Subscription::default()
        };
        let writer = subscribed(&machine, subscription);
        let _writer = service.register_writer(writer, "test".into()).unwrap();
        let session = started(&service, Context::Backup).await.unwrap();
        make(&session).await.unwrap();
        let succeeded = BackupOutcome::Succeeded;
        session.backup_complete(succeeded).await.unwrap();
        session.close().await.unwrap();
        let log = machine.log();
        let told = log.iter().filter_map(|line| line.strip_prefix("it "));
        assert_eq!(told.collect::<Vec<_>>(), expected);
    };
    let all = [
        "Identify",
        "PrepareForBackup",
        "PrepareForSnapshot",
        "Freeze",
        "Thaw",
        "PostSnapshot",
        "BackupComplete Succeeded",
        "BackupShutdown",
    ];
    check(SubscribeMask::ALL_FLAGS, &all).await;
    let post = SubscribeMask::POST_SNAPSHOT_FLAG;
    let without_backup = ["Identify", "PrepareForSnapshot", "Freeze", "Thaw"];
    check(SubscribeMask::RESTORE_EVENTS_FLAG, &without_backup).await;
    let with_post = [&without_backup[..], &["PostSnapshot"]].concat();
    check(post, &with_post).await;
    let backup = SubscribeMask::BACKUP_EVENTS_FLAG;
    let without_post: Vec<_> = all.into_iter().filter(|one| *one != all[5]).collect();
    check(backup, &without_post).await;
}

#[tokio::test(start_paused = true)]
async fn the_shortest_time_to_thaw_counts() {
    for (point, code) in [
        ("os Freeze", VssCode::TransactionFreezeTimeout),
        ("os Thaw", VssCode::TransactionThawTimeout),
    ] {
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        let _writers = three_writers(&machine, &service);
        let subscription = Subscription {
            freeze_to_thaw: Some(Duration::from_secs(5)),
            ..Subscription::default()
        };
        let hasty = subscribed(&machine, subscription);
        let _hasty = service.register_writer(hasty, "test".into()).unwrap();
        let session = started(&service, Context::Backup).await.unwrap();
        machine.script(point, Fault::Hang);
        let began = tokio::time::Instant::now();
        let error = make(&session).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(began.elapsed() < Duration::from_secs(10));
        machine.assert_clean(&service, point).await;
    }
}

async fn state(session: &Session) -> (WriterState, Option<VssCode>, Option<u32>) {
    let status = session.gather_writer_status().await.unwrap();
    let db = &status[1];
    assert_eq!(db.metadata.identity.name, "db");
    let failure = db.failure.as_ref().map(|failure| failure.code());
    (db.state, failure, db.application_code)
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_writer_follows_the_calls() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = started(&service, Context::Backup).await.unwrap();
    let well = |state| (state, None, None);
    assert_eq!(state(&session).await, well(WriterState::Stable));
    session.prepare_for_backup().await.unwrap();
    assert_eq!(state(&session).await, well(WriterState::Stable));
    session.do_snapshot_set().await.unwrap();
    let waiting = WriterState::WaitingForBackupComplete;
    assert_eq!(state(&session).await, well(waiting));
    let succeeded = BackupOutcome::Succeeded;
    session.backup_complete(succeeded).await.unwrap();
    assert_eq!(state(&session).await, well(WriterState::Stable));
    session.close().await.unwrap();

    for (point, failed) in [
        ("PrepareForBackup", WriterState::FailedAtPrepareBackup),
        ("PrepareForSnapshot", WriterState::FailedAtPrepareSnapshot),
        ("Freeze", WriterState::FailedAtFreeze),
        ("Thaw", WriterState::FailedAtThaw),
        ("PostSnapshot", WriterState::FailedAtPostSnapshot),
    ] {
        let session = started(&service, Context::Backup).await.unwrap();
        machine.script(&format!("db {point}"), Fault::Veto);
        make(&session).await.unwrap_err();
        machine.forgive();
        let code = Some(VssCode::WriterErrorNonRetryable);
        let expected = (failed, code, Some(APPLICATION_CODE));
        assert_eq!(state(&session).await, expected, "{point}");
        session.close().await.unwrap();
    }
    let session = started(&service, Context::Backup).await.unwrap();
    make(&session).await.unwrap();
    machine.script("db BackupComplete Succeeded", Fault::Disconnect);
    session.backup_complete(succeeded).await.unwrap_err();
    let failed = WriterState::FailedAtBackupComplete;
    let code = Some(VssCode::WriterNotResponding);
    let expected = (failed, code, Some(APPLICATION_CODE));
    assert_eq!(state(&session).await, expected);
}
