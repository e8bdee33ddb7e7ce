//! A service that is killed, and the next one on the same directory.

use crate::sim::{Fault, Machine, make, started, three_writers};
use std::{sync::Arc, time::Duration};
use umbra_model::Context;
use umbra_service::{Limits, Service};

/// Runs a service in a runtime of its own up to a point, and ends it there
/// without any cleaning up.
fn killed_at(machine: &Arc<Machine>, context: Context, point: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let service = machine.service(Limits::default());
        let _writers = three_writers(machine, &service);
        let session = started(&service, context).await.unwrap();
        machine.script(point, Fault::Hang);
        let making = tokio::spawn(async move {
            let made = make(&session).await;
            // Alive to the end.
            std::future::pending::<()>().await;
            drop((made, session));
        });
        while !machine.logged(point) {
            assert!(!making.is_finished());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // A process that dies lets go of its locks; so must this one. The files
        // stay, as a kill leaves them.
        let run = machine.directory.path().join("run");
        for entry in std::fs::read_dir(&run).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        std::mem::forget(service);
    });
    // Blocking calls that hang stay behind, and their results go nowhere.
    runtime.shutdown_background();
    machine.forgive();
}

async fn next(machine: &Arc<Machine>) -> (Service, Vec<String>) {
    let service = machine.service(Limits::default());
    let lines = service.reconcile().await.unwrap();
    (service, lines)
}

fn check(context: Context, point: &str, lines: usize, expected: &str) {
    let machine = Machine::new();
    killed_at(&machine, context, point);
    machine.frozen_writers.lock().unwrap().clear();
    machine.frozen_volumes.lock().unwrap().clear();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (service, said) = next(&machine).await;
        assert_eq!(said.len(), lines, "{point}: {said:?}");
        assert!(
            said.iter().all(|line| line.contains(expected)),
            "{point}: {said:?}"
        );
        machine.assert_clean(&service, point).await;
    });
    runtime.shutdown_background();
}

#[test]
fn what_is_half_made_is_removed() {
    for step in [
        "BeginPrepare",
        "EndPrepare",
        "PreCommit",
        "Commit",
        "PostCommit",
        "PreFinalCommit",
        "PostFinalCommit",
    ] {
        check(
            Context::AppRollback,
            &format!("/sim/b {step}"),
            1,
            "half made",
        );
    }
    for event in ["PrepareForSnapshot", "Freeze", "Thaw", "PostSnapshot"] {
        check(Context::AppRollback, &format!("db {event}"), 1, "half made");
    }
    check(Context::AppRollback, "db PrepareForBackup", 0, "nothing");
}

#[tokio::test]
async fn copies_of_a_session_that_died_are_deleted() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let session = started(&service, Context::Backup).await.unwrap();
    make(&session).await.unwrap();
    // A living owner's are left alone.
    let (other, lines) = next(&machine).await;
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!(other.sets().await.unwrap().len(), 1);
    // It dies.
    let run = machine.directory.path().join("run");
    for entry in std::fs::read_dir(&run).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    // The next set does it by itself.
    let session = started(&other, Context::Backup).await.unwrap();
    assert!(other.sets().await.unwrap().is_empty());
    assert!(other.status().reconciled[0].contains("whose session has ended"));
    session.close().await.unwrap();
    machine.assert_clean(&other, "after the death").await;
}

#[tokio::test]
async fn lost_copies_are_reported_and_unreachable_ones_kept() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let session = started(&service, Context::AppRollback).await.unwrap();
    let set = make(&session).await.unwrap();
    session.close().await.unwrap();
    assert_eq!(service.sets().await.unwrap()[0], set);

    machine.script("presence", Fault::Veto);
    let lines = service.reconcile().await.unwrap();
    assert!(
        lines
            .iter()
            .all(|line| line.contains("the storage is away")),
        "{lines:?}"
    );
    assert_eq!(service.sets().await.unwrap()[0], set);
    machine.forgive();

    machine.copies.lock().unwrap().remove(&set.copies[0].id);
    let lines = service.reconcile().await.unwrap();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("/sim/a is lost"), "{lines:?}");
    assert_eq!(
        service.sets().await.unwrap()[0].copies,
        [set.copies[1].clone()]
    );
}

#[tokio::test]
async fn a_foreign_or_damaged_catalog_is_never_touched() {
    for bytes in [b"not a catalog".to_vec(), vec![0; 4096], Vec::new()] {
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        std::fs::write(machine.catalog(), &bytes).unwrap();
        let error = service.sets().await.unwrap_err();
        assert!(error.message().contains("catalog.redb"), "{error}");
        assert!(started(&service, Context::Backup).await.is_err());
        assert_eq!(std::fs::read(machine.catalog()).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_truncated_catalog_is_an_error() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let session = started(&service, Context::AppRollback).await.unwrap();
    make(&session).await.unwrap();
    session.close().await.unwrap();
    let bytes = std::fs::read(machine.catalog()).unwrap();
    std::fs::write(machine.catalog(), &bytes[..bytes.len() / 3]).unwrap();
    let error = service.sets().await.unwrap_err();
    assert!(error.message().contains("move the file away"), "{error}");
    assert!(machine.catalog().exists());
}
