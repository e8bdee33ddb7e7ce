//! Listing, deleting, exposing.

use crate::sim::{Fault, Machine, make, started};
use std::path::Path;
use umbra_model::{Context, ShadowCopyId, ShadowCopySet, VssCode};
use umbra_service::{Limits, Selection, Service};

async fn persistent(service: &Service) -> ShadowCopySet {
    let session = started(service, Context::AppRollback).await.unwrap();
    let set = make(&session).await.unwrap();
    session.close().await.unwrap();
    set
}

#[tokio::test]
async fn deletes_what_is_selected() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let (first, second) = (persistent(&service).await, persistent(&service).await);
    assert_eq!(
        service.sets().await.unwrap(),
        [first.clone(), second.clone()]
    );
    let oldest = Selection::OldestOf("/dev/sim1".into());
    let selected = service.select_for_deletion(&oldest).await.unwrap();
    assert_eq!(selected, [first.copies[0].id]);
    assert_eq!(service.delete(&oldest).await.unwrap(), selected);
    assert_eq!(service.sets().await.unwrap()[0].copies.len(), 1);

    let unknown = Selection::Copies(vec![second.copies[0].id, ShadowCopyId::random()]);
    let error = service.delete(&unknown).await.unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound);
    assert_eq!(machine.copies.lock().unwrap().len(), 3);

    service.delete(&Selection::Set(first.id)).await.unwrap();
    assert_eq!(service.sets().await.unwrap()[0], second);
    machine.script("delete", Fault::Veto);
    let error = service.delete(&Selection::All).await.unwrap_err();
    assert_eq!(error.later().len(), 1);
    machine.forgive();
    assert_eq!(service.delete(&Selection::All).await.unwrap().len(), 2);
    assert!(service.delete(&Selection::All).await.unwrap().is_empty());
    let error = service
        .delete(&Selection::OldestOf("/sim/b".into()))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound);
    machine.assert_clean(&service, "after all").await;
}

#[tokio::test]
async fn exposes_and_unexposes() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let set = persistent(&service).await;
    let (one, two) = (set.copies[0].id, set.copies[1].id);
    let exposed =
        async |service: &Service| service.sets().await.unwrap()[0].copies[0].exposed.clone();

    let error = service
        .expose(one, Path::new("relative"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::InvalidArgument);
    machine.script("mount", Fault::Veto);
    assert!(service.expose(one, Path::new("/mnt/x")).await.is_err());
    assert_eq!(exposed(&service).await, None);
    machine.forgive();

    service.expose(one, Path::new("/mnt/x")).await.unwrap();
    assert_eq!(
        exposed(&service).await.as_deref(),
        Some(Path::new("/mnt/x"))
    );
    let error = service.expose(one, Path::new("/mnt/y")).await.unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectAlreadyExists);
    assert_eq!(
        service.unexpose(two).await.unwrap_err().code(),
        VssCode::ObjectNotFound
    );

    // A copy in use is not deleted.
    machine.busy_mounts.lock().unwrap().insert("/mnt/x".into());
    let error = service
        .delete(&Selection::Copies(vec![one]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::VolumeInUse);
    assert_eq!(machine.copies.lock().unwrap().len(), 2);
    machine.busy_mounts.lock().unwrap().clear();

    // After a restart of the machine it is not exposed any more.
    machine.mounts.lock().unwrap().clear();
    let lines = service.reconcile().await.unwrap();
    assert!(lines[0].contains("not exposed at /mnt/x"), "{lines:?}");
    assert_eq!(exposed(&service).await, None);

    service.expose(one, Path::new("/mnt/x")).await.unwrap();
    service.delete(&Selection::Copies(vec![one])).await.unwrap();
    assert!(machine.mounts.lock().unwrap().is_empty());
    assert_eq!(service.sets().await.unwrap()[0].copies.len(), 1);
}

#[tokio::test]
async fn surfaces_only_the_sessions_own_copies() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let old = persistent(&service).await;
    let session = started(&service, Context::Backup).await.unwrap();
    let set = make(&session).await.unwrap();
    let (mount, _) = session.surface(set.copies[1].id).await.unwrap();
    assert_eq!(
        mount.source,
        Path::new(&format!("/dev/sim:{}", set.copies[1].id))
    );
    session.surface(set.copies[1].id).await.unwrap();
    let error = session.surface(old.copies[0].id).await.unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound);
    session.close().await.unwrap();
    assert_eq!(service.sets().await.unwrap(), [old]);
}

#[tokio::test]
async fn two_services_share_one_catalog() {
    let machine = Machine::new();
    let services = [
        machine.service(Limits::default()),
        machine.service(Limits::default()),
    ];
    let (left, right) = tokio::join!(persistent(&services[0]), persistent(&services[1]));
    assert_ne!(left.id, right.id);
    for service in &services {
        assert_eq!(service.sets().await.unwrap().len(), 2);
    }
    assert_eq!(services[0].volumes().await.unwrap().len(), 3);
}
