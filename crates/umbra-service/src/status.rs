//! What an administrator sees of the service.

use crate::{Requester, SetState};
use std::path::PathBuf;
use umbra_model::{HoldMethod, SessionId, SetId};
use umbra_volume::VolumeListing;

/// How the service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Open sessions.
    pub sessions: Vec<SessionReport>,
    /// How many writers are registered; in-box writers are not counted.
    pub connected_writers: usize,
    /// The volumes inside a hold now.
    pub held: Vec<PathBuf>,
    /// What reconciliation did and could not find, a line each.
    pub reconciled: Vec<String>,
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReport {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub requester: Requester,
    /// Where it stands.
    pub state: SetState,
    /// Its set, in the making or made.
    pub set: Option<SetId>,
}

/// A mounted file system and what would become of it in a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeReport {
    /// What it is.
    pub listing: VolumeListing,
    /// The name of the provider that would copy it and how it would be held, or
    /// why nothing can copy it.
    pub provider: Result<(&'static str, HoldMethod), String>,
}
