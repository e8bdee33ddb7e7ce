//! Holds the vocabulary against the names and numbers of the VSS reference, in
//! `shared/facts/vss-abi.json` beside the repository.
#![allow(clippy::expect_used, reason = "a test ends at what it does not expect")]

use serde_json::Value;
use std::{collections::BTreeMap, path::Path};
use umbra_model::{
    AlternateWriterState, ApplicationLevel, Attributes, BackupSchema, BackupType, ComponentFlags,
    ComponentType, Context, FileRestoreStatus, FileSpecBackupType, ManagementObjectType,
    MaximumSpace, ProtectionFault, ProtectionLevel, ProviderCapabilities, ProviderType,
    RestoreMethod, RestoreTarget, RestoreType, RollForwardType, SnapshotCompatibility,
    SnapshotState, SourceType, SubscribeMask, UsageType, VssCode, WriterRestore, WriterState,
};

/// The reference, or nothing on a machine that does not have it. CI has it.
fn reference() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/facts/vss-abi.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).expect("vss-abi.json is JSON")),
        Err(error) if std::env::var_os("CI").is_some() => panic!("{path:?}: {error}"),
        Err(error) => {
            eprintln!("not checked against the VSS reference: {path:?}: {error}");
            None
        }
    }
}

/// The values of one enumeration of the reference, without its closing count.
fn enumeration(reference: &Value, name: &str) -> BTreeMap<String, u32> {
    reference["enums"][name]["values"]
        .as_array()
        .unwrap_or_else(|| panic!("{name} is in the reference"))
        .iter()
        .map(|pair| {
            let value = pair[1].as_i64().expect("a number");
            (pair[0].as_str().expect("a name").to_owned(), value as u32)
        })
        .filter(|(name, _)| !name.ends_with("_COUNT"))
        .collect()
}

#[test]
fn every_result_code_has_its_number() {
    let Some(reference) = reference() else { return };
    let expected: BTreeMap<String, u32> = reference["hresults"]
        .as_object()
        .expect("a table")
        .iter()
        .map(|(name, entry)| {
            (
                name.clone(),
                entry["i32"].as_i64().expect("a number") as u32,
            )
        })
        .collect();
    let ours: BTreeMap<String, u32> = VssCode::ALL
        .iter()
        .filter(|code| code.name().starts_with("VSS_"))
        .map(|code| (code.name().to_owned(), code.hresult()))
        .collect();
    assert_eq!(expected.len(), 81);
    assert_eq!(ours, expected);
    for code in VssCode::ALL {
        assert_eq!(VssCode::from_hresult(code.hresult()), Some(*code));
    }
}

#[test]
fn every_state_has_its_number() {
    let Some(reference) = reference() else { return };
    let ours: BTreeMap<_, _> = SnapshotState::ALL
        .iter()
        .map(|state| (state.name().to_owned(), state.value()))
        .collect();
    assert_eq!(ours, enumeration(&reference, "VSS_SNAPSHOT_STATE"));
    let ours: BTreeMap<_, _> = WriterState::ALL
        .iter()
        .map(|state| (state.name().to_owned(), state.value()))
        .collect();
    assert_eq!(ours, enumeration(&reference, "VSS_WRITER_STATE"));
}

#[test]
fn every_context_and_attribute_has_its_number() {
    let Some(reference) = reference() else { return };
    let ours: BTreeMap<_, _> = Context::EVERY
        .iter()
        .map(|context| (context.name().to_owned(), context.value()))
        .collect();
    assert_eq!(ours, enumeration(&reference, "VSS_SNAPSHOT_CONTEXT"));
    let ours: BTreeMap<_, _> = Attributes::NAMED
        .iter()
        .map(|(name, flag)| ((*name).to_owned(), flag.bits()))
        .collect();
    assert_eq!(
        ours,
        enumeration(&reference, "VSS_VOLUME_SNAPSHOT_ATTRIBUTES")
    );
}

/// Holds every value of one enumeration against the reference, both ways.
macro_rules! check_values {
    ($reference:expr, $($name:literal = $kind:ident),* $(,)?) => {$(
        let ours: BTreeMap<_, _> = $kind::ALL
            .iter()
            .map(|value| (value.name().to_owned(), value.value()))
            .collect();
        assert_eq!(ours, enumeration($reference, $name), $name);
        for value in $kind::ALL {
            assert_eq!($kind::from_value(value.value()), Some(*value));
            assert_eq!($kind::from_name(value.name()), Some(*value));
        }
    )*};
}

/// The same for sets of flags.
macro_rules! check_flags {
    ($reference:expr, $($name:literal = $kind:ident),* $(,)?) => {$(
        let ours: BTreeMap<_, _> = $kind::NAMED
            .iter()
            .map(|(name, flag)| ((*name).to_owned(), flag.bits()))
            .collect();
        assert_eq!(ours, enumeration($reference, $name), $name);
    )*};
}

#[test]
fn every_kind_has_its_number() {
    let Some(reference) = reference() else { return };
    check_values!(
        &reference,
        "VSS_USAGE_TYPE" = UsageType,
        "VSS_SOURCE_TYPE" = SourceType,
        "VSS_RESTOREMETHOD_ENUM" = RestoreMethod,
        "VSS_WRITERRESTORE_ENUM" = WriterRestore,
        "VSS_COMPONENT_TYPE" = ComponentType,
        "VSS_BACKUP_TYPE" = BackupType,
        "VSS_RESTORE_TYPE" = RestoreType,
        "VSS_RESTORE_TARGET" = RestoreTarget,
        "VSS_FILE_RESTORE_STATUS" = FileRestoreStatus,
        "VSS_ROLLFORWARD_TYPE" = RollForwardType,
        "VSS_APPLICATION_LEVEL" = ApplicationLevel,
        "VSS_ALTERNATE_WRITER_STATE" = AlternateWriterState,
        "VSS_PROVIDER_TYPE" = ProviderType,
        "VSS_MGMT_OBJECT_TYPE" = ManagementObjectType,
        "VSS_PROTECTION_LEVEL" = ProtectionLevel,
        "VSS_PROTECTION_FAULT" = ProtectionFault,
    );
}

#[test]
fn every_flag_has_its_number() {
    let Some(reference) = reference() else { return };
    check_flags!(
        &reference,
        "VSS_BACKUP_SCHEMA" = BackupSchema,
        "VSS_FILE_SPEC_BACKUP_TYPE" = FileSpecBackupType,
        "VSS_COMPONENT_FLAGS" = ComponentFlags,
        "VSS_SUBSCRIBE_MASK" = SubscribeMask,
        "VSS_PROVIDER_CAPABILITIES" = ProviderCapabilities,
        "VSS_SNAPSHOT_COMPATIBILITY" = SnapshotCompatibility,
    );
    let schema = BackupSchema::INCREMENTAL.with(BackupSchema::LOG);
    let names: Vec<_> = schema.names().collect();
    assert_eq!(names, ["VSS_BS_INCREMENTAL", "VSS_BS_LOG"]);
}

#[test]
fn every_constant_has_its_number() {
    let Some(reference) = reference() else { return };
    let constant = |name| reference["constants"][name].as_i64();
    assert_eq!(
        constant("VSS_ASSOC_NO_MAX_SPACE"),
        Some(MaximumSpace::NO_MAX_SPACE)
    );
    assert_eq!(constant("VSS_ASSOC_REMOVE"), Some(MaximumSpace::REMOVE));
}
