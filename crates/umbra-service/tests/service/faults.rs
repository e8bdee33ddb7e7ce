//! What goes wrong, at every point: nothing frozen, nothing left, the first
//! cause reported.

use crate::sim::{Fault, Machine, make, started, three_writers};
use std::{sync::Arc, time::Duration};
use umbra_model::{Context, VssCode, VssError};
use umbra_service::Limits;

const WRITERS: [&str; 3] = ["web", "db", "os"];

/// Makes a set with a fault scripted; it must fail and leave nothing.
async fn check(point: &str, fault: Fault, expected: VssCode) -> VssError {
    let context = format!("{point}: {fault:?}");
    let machine = Machine::new();
    // Blocking calls that hang block real threads: real, short limits for them.
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = started(&service, Context::AppRollback).await.unwrap();
    machine.script(point, fault);
    let error = make(&session).await.unwrap_err();
    assert_eq!(error.code(), expected, "{context}: {error}");
    let log = machine.log();
    for writer in WRITERS {
        let told = log
            .iter()
            .any(|line| line.starts_with(&format!("{writer} Prepare")));
        let aborted = log.contains(&format!("{writer} Abort"));
        assert_eq!(told, aborted, "{context}: {log:#?}");
    }
    for volume in ["/sim/a", "/sim/b"] {
        let begun = log.contains(&format!("{volume} EndPrepare"));
        let aborted = log.contains(&format!("{volume} AbortSnapshots"));
        let deleted = log.contains(&"delete".to_owned());
        assert!(!begun || aborted || deleted, "{context}: {log:#?}");
    }
    machine.forgive();
    machine.assert_clean(&service, &context).await;
    // The turn is free again, and the same session may try again.
    session.start_snapshot_set().await.unwrap();
    session.close().await.unwrap();
    machine.assert_clean(&service, &context).await;
    error
}

#[tokio::test(start_paused = true)]
async fn a_writer_may_fail_at_every_event() {
    for event in [
        "PrepareForBackup",
        "PrepareForSnapshot",
        "Freeze",
        "Thaw",
        "PostSnapshot",
    ] {
        for writer in WRITERS {
            let point = format!("{writer} {event}");
            check(&point, Fault::Veto, VssCode::WriterErrorNonRetryable).await;
            check(&point, Fault::Disconnect, VssCode::WriterNotResponding).await;
            check(&point, Fault::Panic, VssCode::WriterNotResponding).await;
            check(&point, Fault::Hang, VssCode::WriterErrorTimeout).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_may_fail_at_every_step() {
    for step in [
        "BeginPrepare",
        "EndPrepare",
        "PreCommit",
        "Commit",
        "PostCommit",
        "PreFinalCommit",
        "PostFinalCommit",
    ] {
        for volume in ["/sim/a", "/sim/b"] {
            let point = format!("{volume} {step}");
            check(&point, Fault::Veto, VssCode::ProviderVeto).await;
        }
    }
    // A panic in Commit passes through the hold's own code, which is not here.
    for step in [
        "BeginPrepare",
        "EndPrepare",
        "PreCommit",
        "PostCommit",
        "PostFinalCommit",
    ] {
        let point = format!("/sim/b {step}");
        check(&point, Fault::Panic, VssCode::UnexpectedProviderError).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_hold_may_fail() {
    for point in ["prepare hold", "rehearse", "release"] {
        check(point, Fault::Veto, VssCode::ProviderVeto).await;
    }
}

#[tokio::test(start_paused = true)]
async fn freeze_to_thaw_is_limited_as_a_whole() {
    let check = async |point: &str, code: VssCode| {
        let machine = Machine::new();
        let service = machine.service(Limits {
            freeze_to_thaw: Duration::from_secs(30),
            ..Limits::default()
        });
        let _writers = three_writers(&machine, &service);
        let session = started(&service, Context::Backup).await.unwrap();
        machine.script(point, Fault::Hang);
        let error = make(&session).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        machine.assert_clean(&service, point).await;
    };
    check("os Freeze", VssCode::TransactionFreezeTimeout).await;
    check("os Thaw", VssCode::TransactionThawTimeout).await;
}

#[tokio::test(start_paused = true)]
async fn one_writer_that_cannot_thaw_keeps_no_other_frozen() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = started(&service, Context::Backup).await.unwrap();
    machine.script("os Thaw", Fault::Veto);
    machine.script("db Thaw", Fault::Disconnect);
    let error = make(&session).await.unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorNonRetryable);
    assert_eq!(error.later().len(), 1, "{error:?}");
    assert_eq!(error.later()[0].code(), VssCode::WriterNotResponding);
    assert!(machine.logged("web Thaw"));
    machine.assert_clean(&service, "thaw").await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_undoing_is_attached_and_kept_for_later() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = started(&service, Context::Backup).await.unwrap();
    machine.script("/sim/a PostCommit", Fault::Veto);
    machine.script("/sim/b AbortSnapshots", Fault::Veto);
    machine.script("db Abort", Fault::Hang);
    let error = make(&session).await.unwrap_err();
    assert!(error.message().contains("/sim/a PostCommit"), "{error}");
    let later: Vec<_> = error.later().iter().map(VssError::message).collect();
    assert_eq!(later.len(), 2, "{later:?}");
    assert!(
        later
            .iter()
            .all(|message| message.starts_with("while undoing")),
        "{later:?}"
    );
    assert_eq!(machine.copies.lock().unwrap().len(), 1);
    // The catalog still knows, and the next set tries again.
    machine.forgive();
    session.start_snapshot_set().await.unwrap();
    assert!(machine.copies.lock().unwrap().is_empty());
    assert_eq!(service.status().reconciled.len(), 1);
    session.close().await.unwrap();
    machine.assert_clean(&service, "after the second try").await;
}

/// Lets the event loop and blocking threads run until something holds.
async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it did not come to hold");
}

#[tokio::test]
async fn a_blocking_call_that_comes_back_late_is_undone() {
    for point in [
        "/sim/b BeginPrepare",
        "/sim/a EndPrepare",
        "/sim/b PostCommit",
        "/sim/a Commit",
    ] {
        let machine = Machine::new();
        let service = machine.service(Limits {
            provider: Duration::from_millis(200),
            hold: Duration::from_millis(100),
            stall: Duration::from_millis(100),
            freeze_to_thaw: Duration::from_secs(1),
            ..Limits::default()
        });
        let _writers = three_writers(&machine, &service);
        let session = started(&service, Context::Backup).await.unwrap();
        machine.script(point, Fault::Hang);
        let error = make(&session).await.unwrap_err();
        assert!(
            matches!(
                error.code(),
                VssCode::UnexpectedProviderError | VssCode::TransactionFreezeTimeout
            ),
            "{point}: {error}"
        );
        assert!(machine.frozen_writers.lock().unwrap().is_empty());
        assert!(!error.later().is_empty(), "{point}");
        machine.forgive();
        machine.open_gate();
        until(|| machine.copies.lock().unwrap().is_empty()).await;
        session.close().await.unwrap();
        until(|| machine.frozen_volumes.lock().unwrap().is_empty()).await;
        session_can_start(&service).await;
    }
}

async fn session_can_start(service: &umbra_service::Service) {
    let session = started(service, Context::Backup).await.unwrap();
    make(&session).await.unwrap();
    session.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_requester_may_go_at_every_state() {
    for point in [
        "web PrepareForBackup",
        "web PrepareForSnapshot",
        "web Freeze",
        "os Freeze",
        "os Thaw",
        "web PostSnapshot",
    ] {
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        let _writers = three_writers(&machine, &service);
        let session = started(&service, Context::AppRollback).await.unwrap();
        machine.script(point, Fault::Hang);
        let seen = Arc::clone(&machine);
        tokio::select! {
            made = make(&session) => panic!("{point}: {made:?}"),
            () = until(move || seen.logged(point)) => {}
        }
        drop(session);
        service.stop().await;
        assert!(machine.logged("db Abort"), "{point}");
        assert!(machine.logged("db BackupShutdown"), "{point}");
        machine.assert_clean(&service, point).await;
    }
}

#[tokio::test]
async fn a_requester_may_go_while_a_provider_works() {
    for step in [
        "BeginPrepare",
        "EndPrepare",
        "PreCommit",
        "Commit",
        "PostCommit",
        "PreFinalCommit",
        "PostFinalCommit",
    ] {
        let point = format!("/sim/b {step}");
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        let _writers = three_writers(&machine, &service);
        let session = started(&service, Context::AppRollback).await.unwrap();
        machine.script(&point, Fault::Hang);
        let seen = Arc::clone(&machine);
        tokio::select! {
            made = make(&session) => panic!("{point}: {made:?}"),
            () = until(|| seen.logged(&point)) => {}
        }
        drop(session);
        machine.open_gate();
        service.stop().await;
        assert!(machine.logged("db Abort"), "{point}");
        machine.assert_clean(&service, &point).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_requester_may_go_between_calls() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let prepared = async || {
        let session = started(&service, Context::Backup).await.unwrap();
        session.prepare_for_backup().await.unwrap();
        session
    };
    drop(started(&service, Context::Backup).await.unwrap());
    drop(prepared().await);
    let session = prepared().await;
    session.do_snapshot_set().await.unwrap();
    machine.clear_log();
    drop(session);
    service.stop().await;
    // It never said how the backup went: it counts as failed.
    assert!(machine.logged("db BackupComplete Failed"));
    machine.assert_clean(&service, "after all").await;
    // And nobody starts anything now.
    assert!(started(&service, Context::Backup).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_service_may_stop_in_the_middle() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = started(&service, Context::AppRollback).await.unwrap();
    let queued = started(&service, Context::Backup);
    machine.script("db Freeze", Fault::Hang);
    let seen = Arc::clone(&machine);
    let stop = async {
        until(move || seen.logged("db Freeze")).await;
        service.stop().await;
    };
    let (made, queued, ()) = tokio::join!(make(&session), queued, stop);
    for error in [made.unwrap_err(), queued.err().unwrap()] {
        assert_eq!(error.code(), VssCode::AsyncCancelled);
        assert!(
            error.message().contains("the service is stopping"),
            "{error}"
        );
    }
    machine.assert_clean(&service, "after the stop").await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_leaves_the_session_usable() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = started(&service, Context::Backup).await.unwrap();
    machine.script("db Freeze", Fault::Hang);
    let seen = Arc::clone(&machine);
    tokio::select! {
        made = make(&session) => panic!("{made:?}"),
        () = until(move || seen.logged("db Freeze")) => {}
    }
    machine.forgive();
    session.gather_writer_metadata().await.unwrap();
    session.start_snapshot_set().await.unwrap();
    assert!(machine.logged("db Abort"));
    session.close().await.unwrap();
    machine.assert_clean(&service, "after the close").await;
}

#[tokio::test(start_paused = true)]
async fn no_catalog_write_no_set() {
    // A point that comes just before the write in question.
    for (point, what) in [
        ("db PrepareForBackup", "begin"),
        ("/sim/b PostFinalCommit", "finish"),
    ] {
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        let _writers = three_writers(&machine, &service);
        let session = started(&service, Context::AppRollback).await.unwrap();
        machine.script(point, Fault::BreakCatalog);
        let error = make(&session).await.unwrap_err();
        assert!(error.message().contains("catalog"), "{what}: {error}");
        assert!(machine.copies.lock().unwrap().is_empty(), "{what}");
        assert!(machine.frozen_writers.lock().unwrap().is_empty(), "{what}");
        assert!(machine.logged("db Abort"), "{what}");
        assert_eq!(error.later().len(), 1, "{what}: {error:?}");
    }
}

#[cfg(feature = "failpoints")]
#[tokio::test(start_paused = true)]
async fn every_state_and_every_write_has_its_fail_point() {
    let scenario = fail::FailScenario::setup();
    let check = async |point: &str, code: VssCode| {
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        let _writers = three_writers(&machine, &service);
        let session = started(&service, Context::AppRollback).await.unwrap();
        fail::cfg(point, "return").unwrap();
        let error = make(&session).await.unwrap_err();
        fail::remove(point);
        assert_eq!(error.code(), code, "{point}: {error}");
        assert!(error.later().is_empty(), "{point}: {error:?}");
        machine.assert_clean(&service, point).await;
    };
    for state in [
        "PreparingForBackup",
        "PreparedForBackup",
        "EndPrepare",
        "PrepareForSnapshot",
        "Freeze",
        "PreCommit",
        "Hold",
        "PostCommit",
        "Thaw",
        "PreFinalCommit",
        "PostSnapshot",
        "PostFinalCommit",
        "Catalog",
    ] {
        check(&format!("set::{state}"), VssCode::Unexpected).await;
    }
    check("catalog::begin", VssCode::InsufficientStorage).await;
    check("catalog::finish", VssCode::InsufficientStorage).await;
    // An intent that cannot be taken back is no harm: the next set does it.
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let session = started(&service, Context::AppRollback).await.unwrap();
    fail::cfg("catalog::remove", "return").unwrap();
    machine.script("release", Fault::Veto);
    let error = make(&session).await.unwrap_err();
    assert!(
        error.later()[0].message().starts_with("while undoing"),
        "{error:?}"
    );
    machine.forgive();
    fail::remove("catalog::remove");
    session.start_snapshot_set().await.unwrap();
    session.close().await.unwrap();
    machine.assert_clean(&service, "catalog::remove").await;
    scenario.teardown();
}
