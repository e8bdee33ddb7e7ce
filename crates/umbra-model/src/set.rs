//! Shadow copies and the sets they are made in, as values.

use crate::{ProviderId, SetId, ShadowCopyId, Volume, WriterId, WriterInstanceId};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, time::Duration};

/// A moment of wall-clock time: nanoseconds since the Unix epoch.
///
/// `VSS_TIMESTAMP` counts 100 ns since 1601; this is the Linux way to say it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Instant(pub u64);

/// Which promise a shadow copy keeps. A higher one includes the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// What a power cut would have left; or volumes that do not show one instant.
    Crash,
    /// Every file system is whole and all volumes show one instant.
    Filesystem,
    /// And every writer with data on the volumes vouches for its data.
    Application,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crash => "crash",
            Self::Filesystem => "filesystem",
            Self::Application => "application",
        })
    }
}

/// A consistency with the reason why it is not the higher one (or, for the
/// highest, who vouches).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyVerdict {
    /// What the set promises.
    pub level: Consistency,
    /// Why, in a clause without a capital or a full stop.
    pub reason: String,
}

/// How long things stood still while a set was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTimes {
    /// From the first writer's Freeze to the last writer's Thaw; zero without
    /// writers.
    pub frozen: Duration,
    /// From the first file system's freeze to the last one's thaw; zero where
    /// none could be held.
    pub held: Duration,
    /// The largest difference between the instants of two copies of the set;
    /// zero where all show the same instant.
    pub skew: Duration,
    /// From DoSnapshotSet to the durable set.
    pub created: Duration,
}

/// What a writer's part in a set came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterOutcome {
    /// The writer's class.
    pub writer: WriterId,
    /// The writer's instance.
    pub instance: WriterInstanceId,
    /// The writer's name.
    pub name: String,
    /// The components it vouches for, by logical path and name.
    pub components: Vec<String>,
}

/// Where a provider keeps a shadow copy, in the provider's own words.
///
/// The service keeps it and hands it back, and never looks inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderLocation(pub String);

/// One shadow copy (`VSS_SNAPSHOT_PROP`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowCopy {
    /// Its id.
    pub id: ShadowCopyId,
    /// The set it belongs to.
    pub set: SetId,
    /// The volume, as it was when it was copied.
    pub volume: Volume,
    /// Who keeps it.
    pub provider: ProviderId,
    /// Where its provider keeps it.
    pub location: ProviderLocation,
    /// Where it is exposed (`m_pwszExposedPath`), while it is.
    #[serde(default, with = "crate::path_text::as_optional_text")]
    pub exposed: Option<PathBuf>,
}

/// One shadow copy set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowCopySet {
    /// Its id.
    pub id: SetId,
    /// The instant that its copies show.
    pub instant: Instant,
    /// The context it was made in: a `VSS_SNAPSHOT_CONTEXT` value.
    pub context: u32,
    /// Its copies, in the order in which the volumes were added.
    pub copies: Vec<ShadowCopy>,
    /// What it promises, and why not more.
    pub consistency: ConsistencyVerdict,
    /// How long things stood still.
    pub times: SetTimes,
    /// Who vouches.
    pub writers: Vec<WriterOutcome>,
}
