//! A set in the making, as a value.

use crate::{copies::CopyInMaking, queue::Turn, taking_part::Assessment};
use std::sync::Arc;
use tokio::task::JoinHandle;
use umbra_documents::{FreezeLevel, WriterIdentity};
use umbra_model::{Context, SetId, Volume, VssResult, WriterOutcome};
use umbra_provider::PendingShadowCopy;
use umbra_volume::{HoldReport, PreparedHold};
use umbra_writer::{SetEvent, Writer};

/// A writer that takes part in a set.
#[derive(Clone)]
pub(crate) struct Participant {
    pub(crate) writer: Arc<dyn Writer>,
    pub(crate) identity: WriterIdentity,
    pub(crate) level: FreezeLevel,
    /// What it is told with each event.
    pub(crate) event: SetEvent,
    /// Whether it was told anything of this set.
    pub(crate) told: bool,
}

impl Participant {
    pub(crate) fn outcome(&self) -> WriterOutcome {
        WriterOutcome {
            writer: self.identity.id,
            instance: self.identity.instance,
            name: self.identity.name.clone(),
            components: self.event.components.clone(),
        }
    }
}

/// What a hold gives back: itself, the copies, and how it went.
pub(crate) struct HoldReturned {
    pub(crate) hold: Box<dyn PreparedHold>,
    pub(crate) pendings: Vec<Box<dyn PendingShadowCopy>>,
    pub(crate) result: VssResult<HoldReport>,
}

/// Whether the catalog knows of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InCatalog {
    No,
    Perhaps,
}

/// A set in the making. Its turn ends with it.
pub(crate) struct SetInMaking {
    pub(crate) id: SetId,
    pub(crate) context: Context,
    /// In the order in which the volumes were added.
    pub(crate) copies: Vec<CopyInMaking>,
    pub(crate) participants: Vec<Participant>,
    /// Decided at PrepareForBackup.
    pub(crate) assessment: Assessment,
    pub(crate) hold: Option<Box<dyn PreparedHold>>,
    /// A hold that did not come back in time.
    pub(crate) late_hold: Option<JoinHandle<HoldReturned>>,
    pub(crate) in_catalog: InCatalog,
    pub(crate) _turn: Turn,
}

impl SetInMaking {
    pub(crate) fn volumes(&self) -> Vec<Volume> {
        self.copies.iter().map(|copy| copy.volume.clone()).collect()
    }
}
