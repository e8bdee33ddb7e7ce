//! Queries and what is done with copies that are there.

use crate::{
    archive::open,
    parts::{Served, VOLUME, within},
};
use std::path::Path;
use umbra_client::{BackupComponents, Selection};
use umbra_model::{
    Attributes, Context, ProviderId, SetId, ShadowCopyId, SnapshotState, VssCode, VssResult,
};

async fn in_context(served: &Served, context: Context) -> BackupComponents {
    let backup = open(served).await;
    backup.initialize_for_backup().unwrap();
    backup.set_context(context).await.unwrap();
    backup
}

async fn make(backup: &BackupComponents) -> ShadowCopyId {
    backup.start_snapshot_set().await.unwrap();
    let volume = VOLUME.as_ref();
    let (copy, _) = backup.add_to_snapshot_set(volume, None).await.unwrap();
    within(backup.do_snapshot_set()).await.unwrap();
    copy
}

fn code<T: std::fmt::Debug>(result: VssResult<T>) -> &'static str {
    result.unwrap_err().code().name()
}

/// "Shadow Copy Context Configurations".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_sees_the_copies_of_its_context() {
    let served = Served::start().await;
    let maker = in_context(&served, Context::NasRollback).await;
    let copy = make(&maker).await;
    let properties = maker.snapshot_properties(copy).await.unwrap();
    assert_eq!(properties.copies_in_set, 1);
    assert_eq!(properties.state, SnapshotState::Created);
    assert!(properties.attributes.contains(Attributes::PERSISTENT));
    assert!(!properties.attributes.contains(Attributes::EXPOSED_LOCALLY));
    assert!(maker.surface(copy).await.unwrap().device.is_some());
    within(maker.close()).await.unwrap();

    let other = in_context(&served, Context::Backup).await;
    assert_eq!(other.query().await, Ok(Vec::new()));
    assert_eq!(
        code(other.snapshot_properties(copy).await),
        "VSS_E_OBJECT_NOT_FOUND"
    );
    let which = Selection::Copies(vec![copy]);
    assert_eq!(
        code(other.delete_snapshots(&which).await),
        "VSS_E_OBJECT_NOT_FOUND"
    );
    assert_eq!(
        other.delete_snapshots(&Selection::All).await,
        Ok(Vec::new())
    );
    within(other.close()).await.unwrap();

    let all = in_context(&served, Context::All).await;
    assert_eq!(all.query().await.unwrap()[0].copies[0].id, copy);
    assert_eq!(
        code(all.start_snapshot_set().await),
        "VSS_E_UNSUPPORTED_CONTEXT"
    );
    let folder = served.folder.path();
    all.expose_snapshot(copy, folder).await.unwrap();
    let properties = all.snapshot_properties(copy).await.unwrap();
    assert!(properties.attributes.contains(Attributes::EXPOSED_LOCALLY));
    all.unexpose_snapshot(copy).await.unwrap();
    assert_eq!(all.delete_snapshots(&which).await, Ok(vec![copy]));
    assert_eq!(all.query().await, Ok(Vec::new()));
    within(all.close()).await.unwrap();
}

/// "Selecting Providers".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_are_known_by_every_name_and_have_one_provider() {
    let served = Served::start().await;
    let backup = in_context(&served, Context::FileShareBackup).await;
    let provider = backup.query_providers().await.unwrap()[0].id;
    let supported =
        async |name: &str, provider| backup.is_volume_supported(Path::new(name), provider).await;
    let volume = backup
        .root_and_logical_prefix_paths(Path::new("/srv/one/a/b"))
        .await
        .unwrap();
    assert_eq!(volume.root, Path::new(VOLUME));
    for name in [VOLUME, "/dev/one", volume.volume.as_str()] {
        assert_eq!(supported(name, None).await, Ok(true), "{name}");
        assert_eq!(supported(name, Some(provider)).await, Ok(true), "{name}");
    }
    assert_eq!(
        code(supported("/srv/two", None).await),
        "VSS_E_OBJECT_NOT_FOUND"
    );
    let unknown = ProviderId::from_u128(9);
    assert_eq!(
        code(supported(VOLUME, Some(unknown)).await),
        "VSS_E_PROVIDER_NOT_REGISTERED"
    );
    for (path, expected) in [
        ("srv/one", "E_INVALIDARG"),
        ("/srv/one/..", "E_INVALIDARG"),
        ("/elsewhere", "VSS_E_OBJECT_NOT_FOUND"),
    ] {
        let path = backup.root_and_logical_prefix_paths(Path::new(path));
        assert_eq!(code(path.await), expected);
    }

    backup.start_snapshot_set().await.unwrap();
    let volume = Path::new(VOLUME);
    let added = backup.add_to_snapshot_set(volume, Some(unknown)).await;
    assert_eq!(code(added), "VSS_E_PROVIDER_NOT_REGISTERED");
    backup
        .add_to_snapshot_set(volume, Some(provider))
        .await
        .unwrap();
    within(backup.close()).await.unwrap();
}

/// "Breaking Shadow Copies", "Importing Transportable Shadow Copied Volumes": what has
/// no meaning here says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_says_why() {
    let served = Served::start().await;
    let backup = in_context(&served, Context::All).await;
    let (set, copy) = (SetId::random(), ShadowCopyId::random());
    for result in [
        backup.import_snapshots(),
        backup.break_snapshot_set(set),
        backup.break_snapshot_set_ex(set, 1),
        backup.revert_to_snapshot(copy),
        backup.query_revert_status(Path::new(VOLUME)),
        backup.pre_fast_recovery(set),
        backup.fast_recovery(set),
        backup.add_snapshot_to_recovery_set(copy, None),
        backup.recover_set(),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.code(), VssCode::NotSupported);
        assert!(error.message().contains("cannot be done: it "), "{error}");
    }
    within(backup.close()).await.unwrap();
}
