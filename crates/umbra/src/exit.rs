//! The exit codes of both programs: one table, for the programs, their help and
//! their man pages.

use umbra_model::VssCode;

macro_rules! kinds {
    ($($kind:ident = $code:literal, $meaning:literal;)*) => {
        /// Why a program ended; a distinct exit code for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ExitKind {
            $(#[doc = concat!($meaning, ".")] $kind,)*
        }

        impl ExitKind {
            /// Every kind, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The exit code.
            pub const fn code(self) -> u8 {
                match self { $(Self::$kind => $code,)* }
            }

            /// What it means, in a clause.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)* }
            }
        }
    };
}

kinds! {
    Success = 0, "success";
    Usage = 2, "the command line is wrong";
    Unexpected = 100, "an unexpected error, such as one of the operating system";
    NotFound = 101, "the volume, shadow copy, set or writer does not exist";
    NotSupported = 102, "the volume, or what was asked of it, is not supported";
    NoPrivilege = 103, "the privilege is missing";
    Busy = 104, "busy: another set is being made, someone else has frozen a volume, or a mount point is in use";
    WriterFailed = 105, "a writer failed or vetoed";
    ProviderFailed = 106, "a provider failed";
    HoldFailed = 107, "the file systems could not be held still, or not for long enough";
    BadConfiguration = 108, "a configuration file is malformed";
    NoRoom = 109, "the storage, memory or number of copies is used up";
    Unreachable = 110, "the service cannot be reached, went away or does not speak the protocol";
    Refused = 111, "more than one copy would be deleted, and nobody agreed";
    BadDocument = 112, "a VSS document is malformed";
    ChecksFailed = 113, "the test writer found that a requester did something wrong";
}

impl ExitKind {
    /// The kind of an error with this code.
    pub fn of(code: VssCode) -> Self {
        match code {
            VssCode::ObjectNotFound
            | VssCode::ProviderNotRegistered
            | VssCode::SnapshotNotInSet
            | VssCode::NoSnapshotsImported
            | VssCode::MissingVolume
            | VssCode::MissingDisk => Self::NotFound,
            VssCode::VolumeNotSupported
            | VssCode::VolumeNotSupportedByProvider
            | VssCode::VolumeNotLocal
            | VssCode::NotSupported
            | VssCode::UnsupportedContext
            | VssCode::NestedVolumeLimit
            | VssCode::RemoteServerUnsupported => Self::NotSupported,
            VssCode::AccessDenied => Self::NoPrivilege,
            VssCode::VolumeInUse
            | VssCode::ProviderInUse
            | VssCode::SnapshotSetInProgress
            | VssCode::ObjectAlreadyExists
            | VssCode::ProviderAlreadyRegistered
            | VssCode::WriterAlreadySubscribed
            | VssCode::RevertInProgress
            | VssCode::ResyncInProgress => Self::Busy,
            VssCode::UnexpectedWriterError
            | VssCode::WriterInfrastructure
            | VssCode::WriterNotResponding
            | VssCode::WriterStatusNotAvailable
            | VssCode::WriterErrorInconsistentSnapshot
            | VssCode::WriterErrorOutOfResources
            | VssCode::WriterErrorTimeout
            | VssCode::WriterErrorRetryable
            | VssCode::WriterErrorNonRetryable
            | VssCode::WriterErrorRecoveryFailed
            | VssCode::WriterErrorPartialFailure
            | VssCode::TransactionFreezeTimeout
            | VssCode::TransactionThawTimeout
            | VssCode::AutorecoveryFailed => Self::WriterFailed,
            VssCode::ProviderVeto | VssCode::UnexpectedProviderError | VssCode::LegacyProvider => {
                Self::ProviderFailed
            }
            VssCode::FlushWritesTimeout | VssCode::HoldWritesTimeout => Self::HoldFailed,
            VssCode::InsufficientStorage
            | VssCode::OutOfMemory
            | VssCode::MaximumNumberOfVolumesReached
            | VssCode::MaximumNumberOfSnapshotsReached
            | VssCode::MaximumDiffareaAssociationsReached
            | VssCode::MaximumNumberOfRemoteMachinesReached => Self::NoRoom,
            VssCode::RemoteServerUnavailable => Self::Unreachable,
            VssCode::InvalidArgument => Self::Usage,
            VssCode::InvalidXmlDocument | VssCode::CorruptXmlDocument => Self::BadDocument,
            _ => Self::Unexpected,
        }
    }
}

/// The table as a section of the programs' long help.
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for kind in ExitKind::ALL {
        text.push_str(&format!("  {:>3}  {}\n", kind.code(), kind.meaning()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_clear_of_those_of_commands() {
        let mut seen = std::collections::HashSet::new();
        for kind in ExitKind::ALL {
            assert!(seen.insert(kind.code()), "{kind:?}");
            assert!(kind.code() < 126, "126 and above are the shell's");
            assert!(help().contains(kind.meaning()));
        }
    }

    #[test]
    fn each_failure_has_its_code() {
        let check = |code, kind| assert_eq!(ExitKind::of(code), kind, "{code}");
        check(VssCode::ObjectNotFound, ExitKind::NotFound);
        check(VssCode::VolumeNotSupported, ExitKind::NotSupported);
        check(VssCode::AccessDenied, ExitKind::NoPrivilege);
        check(VssCode::SnapshotSetInProgress, ExitKind::Busy);
        check(VssCode::WriterErrorTimeout, ExitKind::WriterFailed);
        check(VssCode::ProviderVeto, ExitKind::ProviderFailed);
        check(VssCode::HoldWritesTimeout, ExitKind::HoldFailed);
        check(VssCode::InsufficientStorage, ExitKind::NoRoom);
        check(VssCode::BadState, ExitKind::Unexpected);
    }
}
