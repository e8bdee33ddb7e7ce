//! Contexts and attributes of shadow copies.

use crate::{VssCode, VssError, VssResult};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The attributes of a shadow copy (`VSS_VOLUME_SNAPSHOT_ATTRIBUTES`), a set of
/// flags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(u32);

macro_rules! attributes {
    ($($constant:ident = $name:literal, $bits:literal, $doc:literal;)*) => {
        impl Attributes {
            $(#[doc = concat!("`", $name, "`: ", $doc)] pub const $constant: Self = Self($bits);)*

            /// Every attribute with its name in the VSS headers.
            pub const NAMED: &'static [(&'static str, Self)] = &[$(($name, Self::$constant),)*];
        }
    };
}

attributes! {
    PERSISTENT = "VSS_VOLSNAP_ATTR_PERSISTENT", 0x0000_0001, "survives the requester.";
    NO_AUTORECOVERY = "VSS_VOLSNAP_ATTR_NO_AUTORECOVERY", 0x0000_0002, "not made writable for writers.";
    CLIENT_ACCESSIBLE = "VSS_VOLSNAP_ATTR_CLIENT_ACCESSIBLE", 0x0000_0004, "for users to browse.";
    NO_AUTO_RELEASE = "VSS_VOLSNAP_ATTR_NO_AUTO_RELEASE", 0x0000_0008, "not deleted when the requester ends.";
    NO_WRITERS = "VSS_VOLSNAP_ATTR_NO_WRITERS", 0x0000_0010, "made without writers.";
    TRANSPORTABLE = "VSS_VOLSNAP_ATTR_TRANSPORTABLE", 0x0000_0020, "can be moved to another machine.";
    NOT_SURFACED = "VSS_VOLSNAP_ATTR_NOT_SURFACED", 0x0000_0040, "has no device of its own for now.";
    NOT_TRANSACTED = "VSS_VOLSNAP_ATTR_NOT_TRANSACTED", 0x0000_0080, "not rolled back by a revert.";
    HARDWARE_ASSISTED = "VSS_VOLSNAP_ATTR_HARDWARE_ASSISTED", 0x0001_0000, "a hardware provider made it.";
    DIFFERENTIAL = "VSS_VOLSNAP_ATTR_DIFFERENTIAL", 0x0002_0000, "keeps changes only.";
    PLEX = "VSS_VOLSNAP_ATTR_PLEX", 0x0004_0000, "a full copy.";
    IMPORTED = "VSS_VOLSNAP_ATTR_IMPORTED", 0x0008_0000, "brought in from elsewhere.";
    EXPOSED_LOCALLY = "VSS_VOLSNAP_ATTR_EXPOSED_LOCALLY", 0x0010_0000, "mounted somewhere.";
    EXPOSED_REMOTELY = "VSS_VOLSNAP_ATTR_EXPOSED_REMOTELY", 0x0020_0000, "shared over the network.";
    AUTORECOVER = "VSS_VOLSNAP_ATTR_AUTORECOVER", 0x0040_0000, "writers may change the copy before it is sealed.";
    ROLLBACK_RECOVERY = "VSS_VOLSNAP_ATTR_ROLLBACK_RECOVERY", 0x0080_0000, "recovered for application rollback.";
    DELAYED_POST_SNAPSHOT = "VSS_VOLSNAP_ATTR_DELAYED_POSTSNAPSHOT", 0x0100_0000, "PostSnapshot comes later.";
    TXF_RECOVERY = "VSS_VOLSNAP_ATTR_TXF_RECOVERY", 0x0200_0000, "recovers file-system transactions.";
    FILE_SHARE = "VSS_VOLSNAP_ATTR_FILE_SHARE", 0x0400_0000, "a copy of a file share.";
}

impl Attributes {
    /// The flags with these bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of these flags are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a set is made for (`VSS_SNAPSHOT_CONTEXT`); "Shadow Copy Context
/// Configurations" says which does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// `VSS_CTX_BACKUP`: with writers, deleted when the session ends.
    Backup,
    /// `VSS_CTX_FILE_SHARE_BACKUP`: without writers, deleted when the session ends.
    FileShareBackup,
    /// `VSS_CTX_NAS_ROLLBACK`: without writers, persistent.
    NasRollback,
    /// `VSS_CTX_APP_ROLLBACK`: with writers, persistent.
    AppRollback,
    /// `VSS_CTX_CLIENT_ACCESSIBLE`: without writers, persistent, for users to browse.
    ClientAccessible,
    /// `VSS_CTX_CLIENT_ACCESSIBLE_WRITERS`: with writers, persistent, for users
    /// to browse.
    ClientAccessibleWriters,
    /// `VSS_CTX_ALL`: every context; only for queries, never to make a set.
    All,
}

impl Context {
    /// Every context.
    pub const EVERY: [Self; 7] = [
        Self::Backup,
        Self::FileShareBackup,
        Self::NasRollback,
        Self::AppRollback,
        Self::ClientAccessible,
        Self::ClientAccessibleWriters,
        Self::All,
    ];

    /// The value in the VSS headers.
    pub const fn value(self) -> u32 {
        match self {
            Self::Backup => 0,
            Self::FileShareBackup => 0x10,
            Self::NasRollback => 0x19,
            Self::AppRollback => 0x9,
            Self::ClientAccessible => 0x1d,
            Self::ClientAccessibleWriters => 0xd,
            Self::All => 0xffff_ffff,
        }
    }

    /// The context with this value.
    ///
    /// # Errors
    ///
    /// `VSS_E_UNSUPPORTED_CONTEXT` for any other value.
    pub fn from_value(value: u32) -> VssResult<Self> {
        Self::EVERY
            .into_iter()
            .find(|context| context.value() == value)
            .ok_or_else(|| {
                VssError::new(
                    VssCode::UnsupportedContext,
                    format!("{value:#x} is not a VSS_SNAPSHOT_CONTEXT that Umbra knows"),
                )
            })
    }

    /// The attributes that the context gives its copies.
    pub fn attributes(self) -> Attributes {
        match self {
            Self::All => Attributes::default(),
            made => Attributes::from_bits(made.value()),
        }
    }

    /// Whether writers take part.
    pub fn has_writers(self) -> bool {
        !self.attributes().contains(Attributes::NO_WRITERS)
    }

    /// Whether the copies are deleted when the session ends.
    pub fn is_auto_release(self) -> bool {
        !self.attributes().contains(Attributes::NO_AUTO_RELEASE)
    }

    /// The name in the VSS headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "VSS_CTX_BACKUP",
            Self::FileShareBackup => "VSS_CTX_FILE_SHARE_BACKUP",
            Self::NasRollback => "VSS_CTX_NAS_ROLLBACK",
            Self::AppRollback => "VSS_CTX_APP_ROLLBACK",
            Self::ClientAccessible => "VSS_CTX_CLIENT_ACCESSIBLE",
            Self::ClientAccessibleWriters => "VSS_CTX_CLIENT_ACCESSIBLE_WRITERS",
            Self::All => "VSS_CTX_ALL",
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_say_who_takes_part_and_what_stays() {
        let check = |context: Context, writers: bool, auto_release: bool| {
            assert_eq!(context.has_writers(), writers, "{context}");
            assert_eq!(context.is_auto_release(), auto_release, "{context}");
            assert_eq!(Context::from_value(context.value()), Ok(context));
        };
        check(Context::Backup, true, true);
        check(Context::FileShareBackup, false, true);
        check(Context::NasRollback, false, false);
        check(Context::AppRollback, true, false);
        check(Context::ClientAccessible, false, false);
        check(Context::ClientAccessibleWriters, true, false);
        assert!(Context::from_value(0x77).is_err());
    }
}
