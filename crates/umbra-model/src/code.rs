//! The result codes of VSS: names and HRESULT values.

macro_rules! codes {
    ($($variant:ident = $name:literal, $value:literal;)*) => {
        /// A result code of VSS, or one of the general ones that VSS methods return.
        ///
        /// The value is the HRESULT of the Windows headers, so that a program
        /// written against the VSS reference finds the numbers it knows. The
        /// meaning of each code is on the reference page of the method that
        /// returns it, and in "Event and Error Handling Under VSS".
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum VssCode {
            $(#[doc = concat!("`", $name, "` (", stringify!($value), ").")] $variant,)*
        }

        impl VssCode {
            /// Every code: the VSS table in the order of the reference headers,
            /// then the general ones that its methods return.
            pub const ALL: &'static [VssCode] = &[$(VssCode::$variant,)*];

            /// The name in the VSS reference, such as `VSS_E_BAD_STATE`.
            pub fn name(self) -> &'static str {
                match self { $(VssCode::$variant => $name,)* }
            }

            /// The HRESULT, as an unsigned 32-bit value.
            pub fn hresult(self) -> u32 {
                match self { $(VssCode::$variant => $value,)* }
            }

            /// The code of an HRESULT, or `None` for a number that is not in
            /// the VSS table.
            pub fn from_hresult(value: u32) -> Option<Self> {
                match value { $($value => Some(VssCode::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    BadState = "VSS_E_BAD_STATE", 0x80042301;
    Unexpected = "VSS_E_UNEXPECTED", 0x80042302;
    ProviderAlreadyRegistered = "VSS_E_PROVIDER_ALREADY_REGISTERED", 0x80042303;
    ProviderNotRegistered = "VSS_E_PROVIDER_NOT_REGISTERED", 0x80042304;
    ProviderVeto = "VSS_E_PROVIDER_VETO", 0x80042306;
    ProviderInUse = "VSS_E_PROVIDER_IN_USE", 0x80042307;
    ObjectNotFound = "VSS_E_OBJECT_NOT_FOUND", 0x80042308;
    AsyncPending = "VSS_S_ASYNC_PENDING", 0x00042309;
    AsyncFinished = "VSS_S_ASYNC_FINISHED", 0x0004230a;
    AsyncCancelled = "VSS_S_ASYNC_CANCELLED", 0x0004230b;
    VolumeNotSupported = "VSS_E_VOLUME_NOT_SUPPORTED", 0x8004230c;
    VolumeNotSupportedByProvider = "VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER", 0x8004230e;
    ObjectAlreadyExists = "VSS_E_OBJECT_ALREADY_EXISTS", 0x8004230d;
    UnexpectedProviderError = "VSS_E_UNEXPECTED_PROVIDER_ERROR", 0x8004230f;
    CorruptXmlDocument = "VSS_E_CORRUPT_XML_DOCUMENT", 0x80042310;
    InvalidXmlDocument = "VSS_E_INVALID_XML_DOCUMENT", 0x80042311;
    MaximumNumberOfVolumesReached = "VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED", 0x80042312;
    FlushWritesTimeout = "VSS_E_FLUSH_WRITES_TIMEOUT", 0x80042313;
    HoldWritesTimeout = "VSS_E_HOLD_WRITES_TIMEOUT", 0x80042314;
    UnexpectedWriterError = "VSS_E_UNEXPECTED_WRITER_ERROR", 0x80042315;
    SnapshotSetInProgress = "VSS_E_SNAPSHOT_SET_IN_PROGRESS", 0x80042316;
    MaximumNumberOfSnapshotsReached = "VSS_E_MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED", 0x80042317;
    WriterInfrastructure = "VSS_E_WRITER_INFRASTRUCTURE", 0x80042318;
    WriterNotResponding = "VSS_E_WRITER_NOT_RESPONDING", 0x80042319;
    WriterAlreadySubscribed = "VSS_E_WRITER_ALREADY_SUBSCRIBED", 0x8004231a;
    UnsupportedContext = "VSS_E_UNSUPPORTED_CONTEXT", 0x8004231b;
    VolumeInUse = "VSS_E_VOLUME_IN_USE", 0x8004231d;
    MaximumDiffareaAssociationsReached = "VSS_E_MAXIMUM_DIFFAREA_ASSOCIATIONS_REACHED", 0x8004231e;
    InsufficientStorage = "VSS_E_INSUFFICIENT_STORAGE", 0x8004231f;
    NoSnapshotsImported = "VSS_E_NO_SNAPSHOTS_IMPORTED", 0x80042320;
    SuccessSomeSnapshotsNotImported = "VSS_S_SOME_SNAPSHOTS_NOT_IMPORTED", 0x00042321;
    SomeSnapshotsNotImported = "VSS_E_SOME_SNAPSHOTS_NOT_IMPORTED", 0x80042321;
    MaximumNumberOfRemoteMachinesReached = "VSS_E_MAXIMUM_NUMBER_OF_REMOTE_MACHINES_REACHED", 0x80042322;
    RemoteServerUnavailable = "VSS_E_REMOTE_SERVER_UNAVAILABLE", 0x80042323;
    RemoteServerUnsupported = "VSS_E_REMOTE_SERVER_UNSUPPORTED", 0x80042324;
    RevertInProgress = "VSS_E_REVERT_IN_PROGRESS", 0x80042325;
    RevertVolumeLost = "VSS_E_REVERT_VOLUME_LOST", 0x80042326;
    RebootRequired = "VSS_E_REBOOT_REQUIRED", 0x80042327;
    TransactionFreezeTimeout = "VSS_E_TRANSACTION_FREEZE_TIMEOUT", 0x80042328;
    TransactionThawTimeout = "VSS_E_TRANSACTION_THAW_TIMEOUT", 0x80042329;
    VolumeNotLocal = "VSS_E_VOLUME_NOT_LOCAL", 0x8004232d;
    ClusterTimeout = "VSS_E_CLUSTER_TIMEOUT", 0x8004232e;
    WriterErrorInconsistentSnapshot = "VSS_E_WRITERERROR_INCONSISTENTSNAPSHOT", 0x800423f0;
    WriterErrorOutOfResources = "VSS_E_WRITERERROR_OUTOFRESOURCES", 0x800423f1;
    WriterErrorTimeout = "VSS_E_WRITERERROR_TIMEOUT", 0x800423f2;
    WriterErrorRetryable = "VSS_E_WRITERERROR_RETRYABLE", 0x800423f3;
    WriterErrorNonRetryable = "VSS_E_WRITERERROR_NONRETRYABLE", 0x800423f4;
    WriterErrorRecoveryFailed = "VSS_E_WRITERERROR_RECOVERY_FAILED", 0x800423f5;
    BreakRevertIdFailed = "VSS_E_BREAK_REVERT_ID_FAILED", 0x800423f6;
    LegacyProvider = "VSS_E_LEGACY_PROVIDER", 0x800423f7;
    MissingDisk = "VSS_E_MISSING_DISK", 0x800423f8;
    MissingHiddenVolume = "VSS_E_MISSING_HIDDEN_VOLUME", 0x800423f9;
    MissingVolume = "VSS_E_MISSING_VOLUME", 0x800423fa;
    AutorecoveryFailed = "VSS_E_AUTORECOVERY_FAILED", 0x800423fb;
    DynamicDiskError = "VSS_E_DYNAMIC_DISK_ERROR", 0x800423fc;
    NontransportableBcd = "VSS_E_NONTRANSPORTABLE_BCD", 0x800423fd;
    CannotRevertDiskid = "VSS_E_CANNOT_REVERT_DISKID", 0x800423fe;
    ResyncInProgress = "VSS_E_RESYNC_IN_PROGRESS", 0x800423ff;
    ClusterError = "VSS_E_CLUSTER_ERROR", 0x80042400;
    UnselectedVolume = "VSS_E_UNSELECTED_VOLUME", 0x8004232a;
    SnapshotNotInSet = "VSS_E_SNAPSHOT_NOT_IN_SET", 0x8004232b;
    NestedVolumeLimit = "VSS_E_NESTED_VOLUME_LIMIT", 0x8004232c;
    NotSupported = "VSS_E_NOT_SUPPORTED", 0x8004232f;
    WriterErrorPartialFailure = "VSS_E_WRITERERROR_PARTIAL_FAILURE", 0x80042336;
    AsrerrorDiskAssignmentFailed = "VSS_E_ASRERROR_DISK_ASSIGNMENT_FAILED", 0x80042401;
    AsrerrorDiskRecreationFailed = "VSS_E_ASRERROR_DISK_RECREATION_FAILED", 0x80042402;
    AsrerrorNoArcpath = "VSS_E_ASRERROR_NO_ARCPATH", 0x80042403;
    AsrerrorMissingDyndisk = "VSS_E_ASRERROR_MISSING_DYNDISK", 0x80042404;
    AsrerrorSharedCridisk = "VSS_E_ASRERROR_SHARED_CRIDISK", 0x80042405;
    AsrerrorDatadiskRdisk0 = "VSS_E_ASRERROR_DATADISK_RDISK0", 0x80042406;
    AsrerrorRdisk0Toosmall = "VSS_E_ASRERROR_RDISK0_TOOSMALL", 0x80042407;
    AsrerrorCriticalDisksTooSmall = "VSS_E_ASRERROR_CRITICAL_DISKS_TOO_SMALL", 0x80042408;
    WriterStatusNotAvailable = "VSS_E_WRITER_STATUS_NOT_AVAILABLE", 0x80042409;
    AsrerrorDynamicVhdNotSupported = "VSS_E_ASRERROR_DYNAMIC_VHD_NOT_SUPPORTED", 0x8004240a;
    CriticalVolumeOnInvalidDisk = "VSS_E_CRITICAL_VOLUME_ON_INVALID_DISK", 0x80042411;
    AsrerrorRdiskForSystemDiskNotFound = "VSS_E_ASRERROR_RDISK_FOR_SYSTEM_DISK_NOT_FOUND", 0x80042412;
    AsrerrorNoPhysicalDiskAvailable = "VSS_E_ASRERROR_NO_PHYSICAL_DISK_AVAILABLE", 0x80042413;
    AsrerrorFixedPhysicalDiskAvailableAfterDiskExclusion = "VSS_E_ASRERROR_FIXED_PHYSICAL_DISK_AVAILABLE_AFTER_DISK_EXCLUSION", 0x80042414;
    AsrerrorCriticalDiskCannotBeExcluded = "VSS_E_ASRERROR_CRITICAL_DISK_CANNOT_BE_EXCLUDED", 0x80042415;
    AsrerrorSystemPartitionHidden = "VSS_E_ASRERROR_SYSTEM_PARTITION_HIDDEN", 0x80042416;
    FssTimeout = "VSS_E_FSS_TIMEOUT", 0x80042417;
    AccessDenied = "E_ACCESSDENIED", 0x80070005;
    InvalidArgument = "E_INVALIDARG", 0x80070057;
    OutOfMemory = "E_OUTOFMEMORY", 0x8007000e;
}

impl std::fmt::Display for VssCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
