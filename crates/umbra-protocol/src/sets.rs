//! Shadow copies and their sets on the wire.

use crate::{fields, v1};
use std::time::Duration;
use umbra_model::{
    Consistency, ConsistencyVerdict, Instant, ProviderLocation, SetTimes, ShadowCopy,
    ShadowCopySet, VssError, WriterOutcome,
};

impl From<Consistency> for v1::Consistency {
    fn from(consistency: Consistency) -> Self {
        match consistency {
            Consistency::Crash => Self::Crash,
            Consistency::Filesystem => Self::Filesystem,
            Consistency::Application => Self::Application,
        }
    }
}

impl TryFrom<v1::Consistency> for Consistency {
    type Error = VssError;

    fn try_from(consistency: v1::Consistency) -> Result<Self, VssError> {
        match consistency {
            v1::Consistency::Unspecified => Err(fields::invalid("consistency", "it is missing")),
            v1::Consistency::Crash => Ok(Self::Crash),
            v1::Consistency::Filesystem => Ok(Self::Filesystem),
            v1::Consistency::Application => Ok(Self::Application),
        }
    }
}

impl From<ShadowCopy> for v1::ShadowCopy {
    fn from(copy: ShadowCopy) -> Self {
        Self {
            id: copy.id.to_string(),
            set_id: copy.set.to_string(),
            volume: Some(copy.volume.into()),
            provider_id: copy.provider.to_string(),
            location: copy.location.0,
            exposed: copy.exposed.as_deref().map(fields::bytes),
        }
    }
}

impl TryFrom<v1::ShadowCopy> for ShadowCopy {
    type Error = VssError;

    fn try_from(copy: v1::ShadowCopy) -> Result<Self, VssError> {
        Ok(Self {
            id: fields::id("ShadowCopy.id", &copy.id)?,
            set: fields::id("ShadowCopy.set_id", &copy.set_id)?,
            volume: fields::required("ShadowCopy.volume", copy.volume)?.try_into()?,
            provider: fields::id("ShadowCopy.provider_id", &copy.provider_id)?,
            location: ProviderLocation(copy.location),
            exposed: copy
                .exposed
                .map(|path| fields::path("ShadowCopy.exposed", path))
                .transpose()?,
        })
    }
}

impl From<WriterOutcome> for v1::WriterOutcome {
    fn from(outcome: WriterOutcome) -> Self {
        Self {
            writer_id: outcome.writer.to_string(),
            instance_id: outcome.instance.to_string(),
            name: outcome.name,
            components: outcome.components,
        }
    }
}

impl TryFrom<v1::WriterOutcome> for WriterOutcome {
    type Error = VssError;

    fn try_from(outcome: v1::WriterOutcome) -> Result<Self, VssError> {
        Ok(Self {
            writer: fields::id("WriterOutcome.writer_id", &outcome.writer_id)?,
            instance: fields::id("WriterOutcome.instance_id", &outcome.instance_id)?,
            name: outcome.name,
            components: outcome.components,
        })
    }
}

impl From<ShadowCopySet> for v1::ShadowCopySet {
    fn from(set: ShadowCopySet) -> Self {
        Self {
            id: set.id.to_string(),
            instant_ns: set.instant.0,
            context: set.context,
            copies: set.copies.into_iter().map(Into::into).collect(),
            consistency: v1::Consistency::from(set.consistency.level).into(),
            reason: set.consistency.reason,
            frozen_ns: fields::nanoseconds(set.times.frozen),
            held_ns: fields::nanoseconds(set.times.held),
            skew_ns: fields::nanoseconds(set.times.skew),
            created_ns: fields::nanoseconds(set.times.created),
            writers: set.writers.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ShadowCopySet> for ShadowCopySet {
    type Error = VssError;

    fn try_from(set: v1::ShadowCopySet) -> Result<Self, VssError> {
        let level = set.consistency().try_into()?;
        Ok(Self {
            id: fields::id("ShadowCopySet.id", &set.id)?,
            instant: Instant(set.instant_ns),
            context: set.context,
            copies: fields::all(set.copies)?,
            consistency: ConsistencyVerdict {
                level,
                reason: set.reason,
            },
            times: SetTimes {
                frozen: Duration::from_nanos(set.frozen_ns),
                held: Duration::from_nanos(set.held_ns),
                skew: Duration::from_nanos(set.skew_ns),
                created: Duration::from_nanos(set.created_ns),
            },
            writers: fields::all(set.writers)?,
        })
    }
}
