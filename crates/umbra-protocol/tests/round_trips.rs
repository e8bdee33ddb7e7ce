//! What goes over the wire comes out as it went in, and nothing that a peer
//! sends makes a conversion panic.

use proptest::{collection::vec, option, prelude::*};
use prost::Message;
use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf, time::Duration};
use umbra_documents::{
    AlternateLocation, Component, Dependency, FileSet, FreezeLevel, Recursion, RestorePlan,
    Selectable, WriterIdentity, WriterMetadata, WriterVersion,
};
use umbra_model::*;
use umbra_protocol::{
    ERROR_TRAILER, MAX_STATUS_MESSAGE, MAX_TRAILER, fields, from_status, to_status, v1,
};

fn guid() -> impl Strategy<Value = u128> {
    any::<u128>()
}

fn path() -> impl Strategy<Value = PathBuf> {
    vec(1..=255u8, 0..20).prop_map(|mut bytes| {
        bytes.insert(0, b'/');
        OsString::from_vec(bytes).into()
    })
}

fn volume() -> impl Strategy<Value = Volume> {
    let numbers = (
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        any::<Option<u64>>(),
    );
    (
        ("[a-z0-9=/-]{1,40}", "[a-z0-9]{0,9}"),
        path(),
        path(),
        path(),
        numbers,
    )
        .prop_map(
            |(
                (id, file_system),
                mount_point,
                root,
                device,
                (major, minor, mount_id, subvolume),
            )| {
                Volume {
                    id: VolumeId::new(id),
                    mount_point,
                    root,
                    file_system,
                    device,
                    number: DeviceNumber { major, minor },
                    mount_id,
                    subvolume,
                }
            },
        )
}

fn copy() -> impl Strategy<Value = ShadowCopy> {
    (
        (guid(), guid(), guid()),
        volume(),
        ".{0,20}",
        option::of(path()),
    )
        .prop_map(
            |((id, set, provider), volume, location, exposed)| ShadowCopy {
                id: ShadowCopyId::from_u128(id),
                set: SetId::from_u128(set),
                volume,
                provider: ProviderId::from_u128(provider),
                location: ProviderLocation(location),
                exposed,
            },
        )
}

fn outcome() -> impl Strategy<Value = WriterOutcome> {
    (guid(), guid(), ".{0,20}", vec(".{0,20}", 0..3)).prop_map(
        |(writer, instance, name, components)| WriterOutcome {
            writer: WriterId::from_u128(writer),
            instance: WriterInstanceId::from_u128(instance),
            name,
            components,
        },
    )
}

fn set() -> impl Strategy<Value = ShadowCopySet> {
    let level = prop_oneof![
        Just(Consistency::Crash),
        Just(Consistency::Filesystem),
        Just(Consistency::Application)
    ];
    (
        (guid(), any::<u64>(), any::<u32>()),
        vec(copy(), 0..4),
        (level, ".{0,20}"),
        any::<[u64; 4]>(),
        vec(outcome(), 0..3),
    )
        .prop_map(
            |((id, instant, context), copies, (level, reason), times, writers)| {
                let [frozen, held, skew, created] = times.map(Duration::from_nanos);
                ShadowCopySet {
                    id: SetId::from_u128(id),
                    instant: Instant(instant),
                    context,
                    copies,
                    consistency: ConsistencyVerdict { level, reason },
                    times: SetTimes {
                        frozen,
                        held,
                        skew,
                        created,
                    },
                    writers,
                }
            },
        )
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn files() -> impl Strategy<Value = FileSet> {
    (
        path(),
        ".{0,20}",
        any::<bool>(),
        option::of(path()),
        any::<u32>(),
    )
        .prop_map(
            |(path, specification, recursive, alternate_path, backup_type)| FileSet {
                alternate_path,
                backup_type: FileSpecBackupType::from_bits(backup_type),
                ..FileSet::new(path, specification, Recursion::from(recursive))
            },
        )
}

fn dependency() -> impl Strategy<Value = Dependency> {
    (guid(), option::of(".{1,20}"), ".{0,20}").prop_map(|(writer, logical_path, name)| Dependency {
        writer: WriterId::from_u128(writer),
        logical_path,
        name,
    })
}

fn component() -> impl Strategy<Value = Component> {
    (
        (option::of(".{1,20}"), ".{0,20}", option::of(".{1,20}")),
        one_of(&[ComponentType::Database, ComponentType::FileGroup]),
        any::<([bool; 4], u32)>(),
        [vec(files(), 0..3), vec(files(), 0..3), vec(files(), 0..3)],
        vec(dependency(), 0..3),
    )
        .prop_map(
            |((logical_path, name, caption), kind, (flags, bits), sets, dependencies)| {
                let [files, database_files, log_files] = sets;
                Component {
                    kind,
                    logical_path,
                    name,
                    caption,
                    restore_metadata: flags[0],
                    notify_on_backup_complete: flags[1],
                    selectable: Selectable::from(flags[2]),
                    selectable_for_restore: Selectable::from(flags[3]),
                    flags: ComponentFlags::from_bits(bits),
                    files,
                    database_files,
                    log_files,
                    dependencies,
                }
            },
        )
}

fn restore_plan() -> impl Strategy<Value = RestorePlan> {
    let location =
        (files(), path()).prop_map(|(files, destination)| AlternateLocation { files, destination });
    (
        one_of(RestoreMethod::ALL),
        (option::of(".{1,20}"), option::of(".{1,20}")),
        one_of(WriterRestore::ALL),
        any::<bool>(),
        vec(location, 0..3),
    )
        .prop_map(
            |(method, (service, user_procedure), writer_restore, reboot_required, locations)| {
                RestorePlan {
                    method,
                    service,
                    user_procedure,
                    writer_restore,
                    reboot_required,
                    alternate_locations: locations,
                }
            },
        )
}

fn identity() -> impl Strategy<Value = WriterIdentity> {
    (
        (guid(), guid(), ".{0,20}", option::of(".{1,20}")),
        any::<(u32, u32)>(),
        one_of(UsageType::ALL),
        one_of(SourceType::ALL),
    )
        .prop_map(
            |((id, instance, name, instance_name), (major, minor), usage, source)| WriterIdentity {
                id: WriterId::from_u128(id),
                instance: WriterInstanceId::from_u128(instance),
                name,
                instance_name,
                version: WriterVersion { major, minor },
                usage,
                source,
            },
        )
}

fn metadata() -> impl Strategy<Value = WriterMetadata> {
    (
        identity(),
        one_of(&[
            FreezeLevel::FrontEnd,
            FreezeLevel::BackEnd,
            FreezeLevel::System,
        ]),
        any::<u32>(),
        option::of(restore_plan()),
        vec(component(), 0..4),
        [vec(files(), 0..3), vec(files(), 0..3), vec(files(), 0..3)],
    )
        .prop_map(|(identity, level, schema, restore, components, sets)| {
            let [included, excluded, excluded_from_snapshot] = sets;
            WriterMetadata {
                identity,
                level,
                backup_schema: BackupSchema::from_bits(schema),
                restore,
                components,
                included,
                excluded,
                excluded_from_snapshot,
            }
        })
}

fn error() -> impl Strategy<Value = VssError> {
    let leaf = (0..VssCode::ALL.len(), ".{0,40}", vec(".{0,40}", 0..3)).prop_map(
        |(code, message, causes)| {
            causes.into_iter().fold(
                VssError::new(VssCode::ALL[code], message),
                VssError::caused_by_text,
            )
        },
    );
    leaf.clone().prop_recursive(3, 8, 2, move |inner| {
        (leaf.clone(), vec(inner, 0..3))
            .prop_map(|(first, later)| later.into_iter().fold(first, VssError::followed_by))
    })
}

proptest! {
    #[test]
    fn volumes(volume in volume()) {
        let back = Volume::try_from(v1::Volume::from(volume.clone()));
        prop_assert_eq!(back, Ok(volume));
    }

    #[test]
    fn sets(set in set()) {
        let bytes = v1::ShadowCopySet::from(set.clone()).encode_to_vec();
        let back = ShadowCopySet::try_from(v1::ShadowCopySet::decode(&*bytes)?);
        prop_assert_eq!(back, Ok(set));
    }

    #[test]
    fn writer_metadata(metadata in metadata()) {
        let bytes = v1::WriterMetadata::from(metadata.clone()).encode_to_vec();
        let back = WriterMetadata::try_from(v1::WriterMetadata::decode(&*bytes)?);
        prop_assert_eq!(back, Ok(metadata));
    }

    /// The other way round: what was accepted is sent on unchanged.
    #[test]
    fn accepted_messages(
        id in "[0-9a-zA-Z{}-]{0,40}",
        mount_point in vec(any::<u8>(), 0..8),
        level in -1..5i32,
        path in vec(any::<u8>(), 0..8),
    ) {
        let volume = v1::Volume {
            id: id.clone(), mount_point, root: b"/".to_vec(), device: b"/dev/x".to_vec(),
            ..Default::default()
        };
        if let Ok(accepted) = Volume::try_from(volume.clone()) {
            prop_assert_eq!(v1::Volume::from(accepted), volume);
        }
        let metadata = v1::WriterMetadata {
            writer_id: SetId::from_u128(7).to_string(),
            instance_id: SetId::from_u128(8).to_string(),
            level,
            excluded: vec![v1::FileSet { path, ..Default::default() }],
            ..Default::default()
        };
        if let Ok(accepted) = WriterMetadata::try_from(metadata.clone()) {
            let mut sent = v1::WriterMetadata::from(accepted);
            if level == 0 { sent.level = 0; }
            // What was not set is said out loud.
            prop_assert_eq!(sent.usage.take(), Some(UsageType::UserData.value()));
            prop_assert_eq!(sent.source.take(), Some(SourceType::Other.value()));
            prop_assert_eq!(sent, metadata);
        }
    }

    #[test]
    fn errors(error in error()) {
        prop_assert_eq!(&VssError::from(v1::Error::from(error.clone())), &error);
        let back = from_status(&to_status(&error));
        prop_assert_eq!(back.code(), error.code());
        if v1::Error::from(error.clone()).encoded_len() < MAX_TRAILER - 100 {
            prop_assert_eq!(back, error);
        }
    }

    #[test]
    fn long_errors_fit_into_a_header_block(
        message in ".{0,9000}", causes in vec(".{0,3000}", 0..5), later in vec(".{0,3000}", 0..5),
    ) {
        let error = causes.into_iter().fold(
            VssError::new(VssCode::ProviderVeto, message.clone()), VssError::caused_by_text);
        let error = later.into_iter().fold(error, |error, message| {
            error.followed_by(VssError::new(VssCode::Unexpected, message))
        });
        let status = to_status(&error);
        prop_assert!(status.message().len() <= MAX_STATUS_MESSAGE);
        let trailer = status.metadata().get_bin(ERROR_TRAILER).unwrap().to_bytes().unwrap();
        prop_assert!(trailer.len() <= MAX_TRAILER, "{}", trailer.len());
        let back = from_status(&status);
        prop_assert_eq!(back.code(), VssCode::ProviderVeto);
        prop_assert!(back.message().chars().zip(message.chars()).take(500).all(|(a, b)| a == b));
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(message) = v1::ShadowCopySet::decode(&*bytes) {
            let _ = ShadowCopySet::try_from(message);
        }
        if let Ok(message) = v1::WriterMetadata::decode(&*bytes) {
            let _ = WriterMetadata::try_from(message);
        }
        if let Ok(message) = v1::Error::decode(&*bytes) {
            let _ = VssError::from(message);
        }
    }
}

#[test]
fn refusals_name_the_field_and_the_reason() {
    let check = |result: VssResult<()>, field: &str, why: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.code(), VssCode::InvalidArgument);
        assert!(
            error.message().contains(field) && error.message().contains(why),
            "{error}"
        );
    };
    let volume = || v1::Volume {
        id: "x".into(),
        mount_point: b"/srv".to_vec(),
        root: b"/".to_vec(),
        device: b"/dev/x".to_vec(),
        ..Default::default()
    };
    let as_volume = |volume: v1::Volume| Volume::try_from(volume).map(drop);
    as_volume(volume()).unwrap();
    check(
        as_volume(v1::Volume {
            mount_point: b"srv".to_vec(),
            ..volume()
        }),
        "Volume.mount_point",
        "not an absolute path",
    );
    check(
        as_volume(v1::Volume {
            root: Vec::new(),
            ..volume()
        }),
        "Volume.root",
        "empty",
    );
    check(
        as_volume(v1::Volume {
            device: b"/dev\0x".to_vec(),
            ..volume()
        }),
        "Volume.device",
        "zero byte",
    );
    check(
        ShadowCopySet::try_from(v1::ShadowCopySet::default()).map(drop),
        "consistency",
        "missing",
    );
    check(
        ShadowCopy::try_from(v1::ShadowCopy {
            id: "nonsense".into(),
            ..Default::default()
        })
        .map(drop),
        "ShadowCopy.id",
        "\"nonsense\" is not a GUID",
    );
    check(
        WriterMetadata::try_from(v1::WriterMetadata {
            level: 9,
            ..Default::default()
        })
        .map(drop),
        "WriterMetadata.level",
        "9",
    );
    check(fields::required::<()>("set", None), "set", "missing");
    let ids = || v1::WriterMetadata {
        writer_id: SetId::from_u128(7).to_string(),
        instance_id: SetId::from_u128(8).to_string(),
        ..Default::default()
    };
    let as_metadata = |metadata: v1::WriterMetadata| WriterMetadata::try_from(metadata).map(drop);
    as_metadata(ids()).unwrap();
    let with_usage = v1::WriterMetadata {
        usage: Some(5),
        ..ids()
    };
    check(as_metadata(with_usage), "WriterMetadata.usage", "5");
    let with_source = v1::WriterMetadata {
        source: Some(4),
        ..ids()
    };
    check(as_metadata(with_source), "WriterMetadata.source", "4");
    let with_restore = |plan| v1::WriterMetadata {
        restore: Some(plan),
        ..ids()
    };
    let plan = v1::RestorePlan {
        method: 9,
        ..Default::default()
    };
    check(as_metadata(with_restore(plan)), "RestorePlan.method", "9");
    let plan = v1::RestorePlan {
        writer_restore: 4,
        ..Default::default()
    };
    check(
        as_metadata(with_restore(plan)),
        "RestorePlan.writer_restore",
        "4",
    );
    let plan = v1::RestorePlan {
        alternate_locations: vec![v1::AlternateLocation::default()],
        ..Default::default()
    };
    check(
        as_metadata(with_restore(plan)),
        "AlternateLocation.files",
        "missing",
    );
    let with_component = |component| v1::WriterMetadata {
        components: vec![component],
        ..ids()
    };
    let component = v1::Component {
        component_type: 3,
        ..Default::default()
    };
    check(
        as_metadata(with_component(component)),
        "Component.component_type",
        "3",
    );
    let component = v1::Component {
        files: vec![v1::FileSet {
            path: b"/srv".to_vec(),
            alternate_path: b"spit".to_vec(),
            ..Default::default()
        }],
        ..Default::default()
    };
    check(
        as_metadata(with_component(component)),
        "FileSet.alternate_path",
        "not an absolute path",
    );
    let component = v1::Component {
        dependencies: vec![v1::Dependency::default()],
        ..Default::default()
    };
    check(
        as_metadata(with_component(component)),
        "Dependency.writer_id",
        "is not a GUID",
    );
}

#[test]
fn an_error_of_any_length_fits_into_its_trailer() {
    for length in 3900..4200 {
        let error = VssError::new(VssCode::ProviderVeto, "x".repeat(length / 2))
            .caused_by_text("y".repeat(length - length / 2))
            .caused_by_text("z".repeat(200));
        let status = to_status(&error);
        let trailer = status
            .metadata()
            .get_bin(ERROR_TRAILER)
            .unwrap()
            .to_bytes()
            .unwrap();
        assert!(trailer.len() <= MAX_TRAILER, "{length}: {}", trailer.len());
    }
}
