//! The administrator's calls that manage providers, storage and express writers,
//! over a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

mod parts;

use parts::{Served, VOLUME, prepared, shelf::SHELF, within};
use std::path::Path;
use umbra_client::{
    Admin, ExpressWriterMetadata, Management, Migration, Persistence, ProviderStorage,
};
use umbra_documents::{Component, FileSet, WriterVersion};
use umbra_model::{
    ByteCount, Context, MaximumSpace, ProtectionFault, ProtectionLevel, ProviderCapabilities,
    ProviderId, ProviderType, ShadowCopyId, SnapshotPriority, UsageType, VssCode, VssError,
    VssResult, WriterId,
};

const NAMES: ProviderId = ProviderId::from_u128(0xa);
const NOBODY: ProviderId = ProviderId::from_u128(0xc);

fn volume() -> &'static Path {
    Path::new(VOLUME)
}

fn fails<T: std::fmt::Debug>(result: VssResult<T>, code: VssCode) -> VssError {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    error
}

/// IVssAdmin, IVssAdminEx.
#[tokio::test]
async fn providers_come_with_the_service() {
    let served = Served::start().await;
    let admin = Admin::new(&served.connect().await);
    let register = |id| admin.register_provider(id, "mine", ProviderType::Software, "1.0");
    let error = fails(register(NAMES).await, VssCode::ProviderAlreadyRegistered);
    assert!(error.message().contains("names"), "{error}");
    let error = fails(register(NOBODY).await, VssCode::NotSupported);
    assert!(error.message().contains("come with Umbra"), "{error}");
    let unregister = |id| admin.unregister_provider(id);
    fails(unregister(NOBODY).await, VssCode::ProviderNotRegistered);
    fails(unregister(NAMES).await, VssCode::NotSupported);

    let capabilities = admin.provider_capabilities(SHELF).await.unwrap();
    assert!(capabilities.contains(ProviderCapabilities::PLEX));
    let capabilities = admin.provider_capabilities(NAMES).await.unwrap();
    assert_eq!(capabilities, ProviderCapabilities::COMPLIANT);
    fails(
        admin.provider_capabilities(NOBODY).await,
        VssCode::ProviderNotRegistered,
    );

    assert_eq!(admin.provider_context(NAMES).await, Ok(Context::All));
    admin
        .set_provider_context(NAMES, Context::All)
        .await
        .unwrap();
    fails(
        admin.set_provider_context(NAMES, Context::Backup).await,
        VssCode::UnsupportedContext,
    );
    for result in [
        admin.provider_context(NOBODY).await.map(drop),
        admin.set_provider_context(NOBODY, Context::All).await,
    ] {
        fails(result, VssCode::ProviderNotRegistered);
    }
}

/// IVssAdmin::AbortAllSnapshotsInProgress.
#[tokio::test]
async fn every_set_in_the_making_is_given_up() {
    let served = Served::start().await;
    let connection = served.connect().await;
    let admin = Admin::new(&connection);
    assert_eq!(admin.abort_all_snapshots_in_progress().await, Ok(0));
    let session = prepared(&connection, "slow").await.unwrap();
    assert_eq!(admin.abort_all_snapshots_in_progress().await, Ok(1));
    let error = within(session.do_snapshot_set()).await.unwrap_err();
    assert!(error.to_string().contains("administrator"), "{error}");
    // The session goes on.
    session.start_snapshot_set().await.unwrap();
    within(session.close()).await.unwrap();
}

/// IVssSnapshotMgmt.
#[tokio::test]
async fn volumes_and_their_copies_are_found() {
    let served = Served::start().await;
    let connection = served.connect().await;
    let management = Management::new(&connection);
    let supported =
        |provider| management.volumes_supported_for_snapshots(provider, Context::Backup);
    for provider in [None, Some(NAMES)] {
        let volumes = supported(provider).await.unwrap();
        assert_eq!(volumes[0].display_name, volume());
        assert_eq!(volumes.len(), 1);
    }
    assert_eq!(supported(Some(SHELF)).await, Ok(Vec::new()));
    fails(
        supported(Some(NOBODY)).await,
        VssCode::ProviderNotRegistered,
    );

    let by_volume = |provider| management.snapshots_by_volume(volume(), provider);
    assert_eq!(by_volume(None).await, Ok(Vec::new()));
    let session = prepared(&connection, "test").await.unwrap();
    let set = session.do_snapshot_set().await.unwrap();
    for provider in [None, Some(NAMES)] {
        assert_eq!(by_volume(provider).await.as_ref(), Ok(&set.copies));
    }
    assert_eq!(by_volume(Some(SHELF)).await, Ok(Vec::new()));
    fails(
        by_volume(Some(NOBODY)).await,
        VssCode::ProviderNotRegistered,
    );
    let elsewhere = Path::new("/elsewhere");
    fails(
        management.snapshots_by_volume(elsewhere, None).await,
        VssCode::ObjectNotFound,
    );
    within(session.close()).await.unwrap();
}

/// IVssDifferentialSoftwareSnapshotMgmt to 3, and IVssSnapshotMgmt2.
#[tokio::test]
async fn storage_is_managed_by_its_provider() {
    let served = Served::start().await;
    let shelf = Management::new(&served.connect().await).provider_storage(SHELF);
    let some = MaximumSpace::Bytes(ByteCount(1 << 30));
    assert_eq!(shelf.min_diff_area_size().await, Ok(ByteCount(320 << 20)));
    let supported = shelf
        .volumes_supported_for_diff_areas(volume())
        .await
        .unwrap();
    assert_eq!(supported[0].volume.display_name, volume());
    assert_eq!(supported[0].total_space, ByteCount(20));

    shelf.add_diff_area(volume(), volume(), some).await.unwrap();
    fails(
        shelf.add_diff_area(volume(), volume(), some).await,
        VssCode::ObjectAlreadyExists,
    );
    let areas = shelf.diff_areas_for_volume(volume()).await.unwrap();
    assert_eq!((areas[0].maximum, areas[0].used), (some, ByteCount(1)));
    assert_eq!(shelf.diff_areas_on_volume(volume()).await, Ok(areas));
    let change = |maximum, persistence| {
        shelf.change_diff_area_maximum_size(volume(), volume(), maximum, persistence)
    };
    change(MaximumSpace::NoLimit, Persistence::Volatile)
        .await
        .unwrap();
    let areas = shelf.diff_areas_for_volume(volume()).await.unwrap();
    assert_eq!(areas[0].maximum, some, "a volatile limit is another thing");
    change(MaximumSpace::NoLimit, Persistence::Persistent)
        .await
        .unwrap();
    let areas = shelf.diff_areas_for_volume(volume()).await.unwrap();
    assert_eq!(areas[0].maximum, MaximumSpace::NoLimit);
    change(MaximumSpace::Remove, Persistence::Persistent)
        .await
        .unwrap();
    assert_eq!(shelf.diff_areas_for_volume(volume()).await, Ok(Vec::new()));

    shelf
        .migrate_diff_areas(volume(), volume(), volume())
        .await
        .unwrap();
    let status = shelf.migration_status(volume(), volume()).await;
    assert_eq!(status, Ok(Migration::Finished));
    let level = ProtectionLevel::Snapshot;
    shelf
        .set_volume_protect_level(volume(), level)
        .await
        .unwrap();
    let protection = shelf.volume_protect_level(volume()).await.unwrap();
    assert_eq!(protection.level, level);
    assert_eq!(protection.fault, ProtectionFault::DiffAreaFull);
    assert!(protection.is_offline && protection.has_unused_diff_area);
    shelf.clear_volume_protect_fault(volume()).await.unwrap();
    shelf.delete_unused_diff_areas(volume()).await.unwrap();

    let elsewhere = Path::new("/elsewhere");
    fails(
        shelf.diff_areas_for_volume(elsewhere).await,
        VssCode::ObjectNotFound,
    );
    let gone = ShadowCopyId::random();
    for result in copy_calls(&shelf, gone, gone).await {
        fails(result, VssCode::ObjectNotFound);
    }
}

async fn copy_calls(
    storage: &ProviderStorage,
    one: ShadowCopyId,
    other: ShadowCopyId,
) -> [VssResult<()>; 3] {
    [
        storage.diff_areas_for_snapshot(one).await.map(drop),
        storage
            .set_snapshot_priority(one, SnapshotPriority(7))
            .await,
        storage.snapshot_delta_bitmap(one, other).await.map(drop),
    ]
}

#[tokio::test]
async fn a_provider_without_storage_says_so() {
    let served = Served::start().await;
    let management = Management::new(&served.connect().await);
    let names = management.provider_storage(NAMES);
    let none = MaximumSpace::NoLimit;
    let persistent = Persistence::Persistent;
    let copy = ShadowCopyId::random();
    let mut results: Vec<VssResult<()>> = vec![
        names.min_diff_area_size().await.map(drop),
        names.add_diff_area(volume(), volume(), none).await,
        names
            .change_diff_area_maximum_size(volume(), volume(), none, persistent)
            .await,
        names
            .volumes_supported_for_diff_areas(volume())
            .await
            .map(drop),
        names.diff_areas_for_volume(volume()).await.map(drop),
        names.diff_areas_on_volume(volume()).await.map(drop),
        names.migrate_diff_areas(volume(), volume(), volume()).await,
        names.migration_status(volume(), volume()).await.map(drop),
        names
            .set_volume_protect_level(volume(), ProtectionLevel::Snapshot)
            .await,
        names.volume_protect_level(volume()).await.map(drop),
        names.clear_volume_protect_fault(volume()).await,
        names.delete_unused_diff_areas(volume()).await,
    ];
    results.extend(copy_calls(&names, copy, copy).await);
    for result in results {
        let error = fails(result, VssCode::VolumeNotSupportedByProvider);
        assert!(error.message().contains("no storage of its own"), "{error}");
    }
    fails(
        management
            .provider_storage(NOBODY)
            .min_diff_area_size()
            .await,
        VssCode::ProviderNotRegistered,
    );
}

/// IVssExpressWriter.
#[tokio::test]
async fn an_express_writer_is_registered_over_the_socket() {
    let served = Served::start().await;
    let admin = Admin::new(&served.connect().await);
    assert_eq!(admin.express_writers().await, Ok(Vec::new()));
    let id = WriterId::from_u128(1);
    let version = WriterVersion::default();
    let mut express = ExpressWriterMetadata::create(id, "Wiki", UsageType::UserData, version);
    let component = Component {
        files: vec![FileSet::tree(VOLUME)],
        ..Component::file_group("pages")
    };
    express.add_component(component).unwrap();
    let xml = express.save_as_xml().unwrap();
    let entry = admin.register_express_writer(xml.clone()).await.unwrap();
    assert!(entry.file.starts_with(served.folder.path()), "{entry:?}");
    assert_eq!(entry.writer.as_ref().unwrap().identity.name, "Wiki");
    assert_eq!(admin.express_writers().await, Ok(vec![entry]));
    fails(
        admin.register_express_writer(xml).await,
        VssCode::ObjectAlreadyExists,
    );
    let error = fails(
        admin.register_express_writer("<WRITER_METADATA>").await,
        VssCode::InvalidXmlDocument,
    );
    assert!(error.message().contains("line 1"), "{error}");

    let writers = admin.list_writers().await.unwrap();
    let wiki = writers.iter().find(|one| one.metadata.identity.id == id);
    assert_eq!(wiki.unwrap().origin, "express");
    admin.unregister_express_writer(id).await.unwrap();
    fails(
        admin.unregister_express_writer(id).await,
        VssCode::ObjectNotFound,
    );
}
