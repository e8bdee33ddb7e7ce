//! Chosen components on the wire: they come out as they went in, and what the wire
//! does not carry stays where a writer did not change it.

use proptest::{collection::vec, option, prelude::*};
use prost::Message;
use umbra_documents::*;
use umbra_model::*;
use umbra_protocol::{changed, v1};

fn text() -> impl Strategy<Value = String> {
    ".{0,12}"
}

/// A path as documents write it, with and without bytes that are no UTF-8.
fn path() -> impl Strategy<Value = String> {
    let linux = vec(1..=255u8, 0..12).prop_map(|mut bytes| {
        bytes.insert(0, b'/');
        bytes_to_text(&bytes)
    });
    prop_oneof![linux, Just("C:\\data".to_owned())]
}

fn term<T: Copy + std::fmt::Debug + 'static>(
    all: &'static [T],
) -> impl Strategy<Value = Option<Term<T>>> {
    option::of(proptest::sample::select(all).prop_map(Term::Known))
}

fn partial_file() -> impl Strategy<Value = PartialFile> {
    let said = [option::of(text()), option::of(text()), option::of(text())];
    (path(), path(), said).prop_map(
        |(path, name, [ranges, ranges_file, metadata])| PartialFile {
            path,
            name,
            ranges,
            ranges_file,
            metadata,
            extra: Extra::default(),
        },
    )
}

fn differenced_file() -> impl Strategy<Value = DifferencedFile> {
    (
        path(),
        text(),
        any::<bool>(),
        option::of(text()),
        any::<Option<u64>>(),
    )
        .prop_map(
            |(path, specification, recursive, lsn, time)| DifferencedFile {
                path,
                specification,
                recursive: Some(recursive),
                lsn,
                last_modified: time.map(FileTime::from_units),
                extra: Extra::default(),
            },
        )
}

fn directed_target() -> impl Strategy<Value = DirectedTarget> {
    ([path(), path(), path(), path()], [text(), text()]).prop_map(|(paths, ranges)| {
        let [source_path, source_name, destination_path, destination_name] = paths;
        let [source_ranges, destination_ranges] = ranges;
        DirectedTarget {
            source_path,
            source_name,
            source_ranges,
            destination_path,
            destination_name,
            destination_ranges,
            extra: Extra::default(),
        }
    })
}

fn new_target() -> impl Strategy<Value = NewTarget> {
    (path(), text(), any::<bool>(), path()).prop_map(
        |(path, specification, recursive, alternate_path)| NewTarget {
            path,
            specification,
            recursive: Some(recursive),
            alternate_path,
            extra: Extra::default(),
        },
    )
}

fn mapping() -> impl Strategy<Value = AlternateLocationMapping> {
    new_target().prop_map(|target| AlternateLocationMapping {
        path: target.path,
        specification: target.specification,
        recursive: target.recursive,
        alternate_path: target.alternate_path,
        extra: Extra::default(),
    })
}

fn subcomponent() -> impl Strategy<Value = RestoreSubcomponent> {
    (option::of(".{1,12}"), text(), any::<bool>()).prop_map(|(logical_path, name, repair)| {
        RestoreSubcomponent {
            logical_path,
            name,
            repair: Some(repair),
            extra: Extra::default(),
        }
    })
}

fn failure() -> impl Strategy<Value = ComponentFailure> {
    (any::<(u32, Option<u32>)>(), option::of(text())).prop_map(
        |((code, application_code), message)| ComponentFailure {
            code,
            application_code,
            message,
            extra: Extra::default(),
        },
    )
}

prop_compose! {
    fn component()(
        place in (option::of(".{1,12}"), text()),
        kind in proptest::sample::select(&[ComponentType::Database, ComponentType::FileGroup][..]),
        flags in any::<[Option<bool>; 4]>(),
        requester in [
            option::of(text()), option::of(text()), option::of(text()), option::of(text()),
            option::of(text()),
        ],
        writer in [
            option::of(text()), option::of(text()), option::of(text()), option::of(text()),
            option::of(text()), option::of(text()), option::of(text()),
        ],
        terms in (
            term(RestoreTarget::ALL), term(RollForwardType::ALL), term(FileRestoreStatus::ALL),
        ),
        files in (vec(partial_file(), 0..3), vec(differenced_file(), 0..3)),
        targets in (vec(mapping(), 0..2), vec(directed_target(), 0..2), vec(new_target(), 0..2)),
        restore_subcomponents in vec(subcomponent(), 0..2),
        failure in option::of(failure()),
    ) -> ChosenComponent {
        let [backup_options, previous_backup_stamp, restore_options, restore_name,
            roll_forward_point] = requester;
        let [backup_metadata, backup_stamp, prepare_for_backup_failure, post_snapshot_failure,
            restore_metadata, pre_restore_failure, post_restore_failure] = writer;
        ChosenComponent {
            backup_succeeded: flags[0],
            selected_for_restore: flags[1],
            additional_restores: flags[2],
            authoritative_restore: flags[3],
            backup_options,
            previous_backup_stamp,
            restore_options,
            restore_name,
            roll_forward_point,
            backup_metadata,
            backup_stamp,
            prepare_for_backup_failure,
            post_snapshot_failure,
            restore_metadata,
            pre_restore_failure,
            post_restore_failure,
            restore_target: terms.0,
            roll_forward: terms.1,
            file_restore_status: terms.2,
            partial_files: files.0,
            differenced_files: files.1,
            alternate_locations: targets.0,
            directed_targets: targets.1,
            new_targets: targets.2,
            restore_subcomponents,
            failure,
            ..ChosenComponent::new(place.0, place.1, kind)
        }
    }
}

proptest! {
    #[test]
    fn components(one in component(), two in component(), ids in any::<(u128, u128)>()) {
        let mut all = WriterComponents::new(
            WriterId::from_u128(ids.0), WriterInstanceId::from_u128(ids.1));
        all.components = vec![one, two];
        let bytes = v1::WriterComponents::from(all.clone()).encode_to_vec();
        let back = WriterComponents::try_from(v1::WriterComponents::decode(&*bytes)?);
        prop_assert_eq!(back, Ok(all));
    }

    /// A writer that changes nothing changes nothing, whatever a document says.
    #[test]
    fn what_was_not_changed_stays(mut ours in component(), word in "[A-Z]{3,8}") {
        let odd = Extra { attributes: vec![("odd".into(), word.clone())], nodes: Vec::new() };
        ours.restore_target = Some(Term::Unknown(word.clone()));
        ours.component_type = Term::Unknown(word);
        ours.extra = odd.clone();
        for file in &mut ours.partial_files { file.extra = odd.clone(); }
        for file in &mut ours.differenced_files { file.recursive = None; }
        for target in &mut ours.directed_targets { target.extra = odd.clone(); }
        for target in &mut ours.new_targets { target.recursive = None; }
        let sent = v1::ChosenComponent::from(ours.clone());
        prop_assert_eq!(changed(&ours, sent.clone()), Ok(ours.clone()));

        let more = v1::ChosenComponent {
            backup_stamp: Some("new".into()),
            partial_files: [&sent.partial_files[..], &[v1::PartialFile::default()]].concat(),
            ..sent
        };
        let now = changed(&ours, more).unwrap();
        prop_assert_eq!(now.backup_stamp.as_deref(), Some("new"));
        prop_assert_eq!(now.partial_files.len(), ours.partial_files.len() + 1);
        prop_assert_eq!(&now.partial_files[..ours.partial_files.len()], &ours.partial_files[..]);
        prop_assert_eq!(now.restore_target, ours.restore_target);
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(message) = v1::WriterComponents::decode(&*bytes) {
            let _ = WriterComponents::try_from(message);
        }
        if let Ok(message) = v1::ChosenComponent::decode(&*bytes) {
            let ours = ChosenComponent::new(None, "a", ComponentType::FileGroup);
            let _ = changed(&ours, message);
        }
    }
}

#[test]
fn refusals_name_the_field() {
    let check = |component: v1::ChosenComponent, field: &str, why: &str| {
        let error = ChosenComponent::try_from(component).unwrap_err();
        assert_eq!(error.code(), VssCode::InvalidArgument);
        assert!(
            error.message().contains(field) && error.message().contains(why),
            "{error}"
        );
    };
    let plain = v1::ChosenComponent::default;
    ChosenComponent::try_from(plain()).unwrap();
    let wrong = v1::ChosenComponent {
        component_type: 3,
        ..plain()
    };
    check(wrong, "ChosenComponent.component_type", "3");
    let wrong = v1::ChosenComponent {
        restore_target: Some(5),
        ..plain()
    };
    check(wrong, "ChosenComponent.restore_target", "5");
    let wrong = v1::ChosenComponent {
        roll_forward: Some(4),
        ..plain()
    };
    check(wrong, "ChosenComponent.roll_forward", "4");
    let wrong = v1::ChosenComponent {
        file_restore_status: Some(4),
        ..plain()
    };
    check(wrong, "ChosenComponent.file_restore_status", "4");
    let wrong = v1::ChosenComponent {
        new_targets: vec![v1::AlternateLocation::default()],
        ..plain()
    };
    check(wrong, "AlternateLocation.files", "missing");
    let wrong = v1::ChosenComponent {
        partial_files: vec![v1::PartialFile {
            name: b"a\0b".to_vec(),
            ..Default::default()
        }],
        ..plain()
    };
    check(wrong, "PartialFile.name", "zero byte");
    let error = WriterComponents::try_from(v1::WriterComponents::default()).unwrap_err();
    assert!(
        error.message().contains("WriterComponents.writer_id"),
        "{error}"
    );
}
