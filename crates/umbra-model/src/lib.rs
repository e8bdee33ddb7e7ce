//! The vocabulary of Umbra: ids, enumerations, errors and properties, with the
//! names and numbers of the VSS reference.
//!
//! Invariant: nothing in this crate touches a file, a socket or a clock.
//! Invariant: every number that VSS defines has the value that VSS gives it;
//! a test holds them against `facts/vss-abi.json`.

#[macro_use]
mod named;

mod code;
mod context;
mod error;
mod flags;
mod id;
mod kind;
mod management;
pub mod path_text;
mod set;
mod state;
mod volume;

pub use code::VssCode;
pub use context::{Attributes, Context};
pub use error::{VssError, VssResult};
pub use flags::{BackupSchema, ComponentFlags, FileSpecBackupType, SubscribeMask};
pub use id::{
    ParseIdError, ProviderId, SessionId, SetId, ShadowCopyId, WriterId, WriterInstanceId,
};
pub use kind::{
    AlternateWriterState, ApplicationLevel, BackupType, ComponentType, FileRestoreStatus,
    RestoreMethod, RestoreTarget, RestoreType, RollForwardType, SourceType, UsageType,
    WriterRestore,
};
pub use management::{
    ByteCount, DeltaBitmap, DiffAreaProperties, DiffVolumeProperties, ManagementObjectType,
    MaximumSpace, ProtectionFault, ProtectionLevel, ProviderCapabilities, ProviderType,
    SnapshotCompatibility, SnapshotPriority, VolumeProperties, VolumeProtection,
};
pub use path_text::{bytes_to_text, path_to_text, text_to_bytes, text_to_path};
pub use set::{
    Consistency, ConsistencyVerdict, Instant, ProviderLocation, SetTimes, ShadowCopy,
    ShadowCopySet, WriterOutcome,
};
pub use state::{SnapshotState, WriterState};
pub use volume::{DeviceNumber, HoldMethod, Volume, VolumeId};
