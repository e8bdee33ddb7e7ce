//! A set in the making, as a value.

use crate::{copies::CopyInMaking, queue::Turn, taking_part::Assessment};
use std::sync::Arc;
use tokio::task::JoinHandle;
use umbra_documents::{FreezeLevel, WriterIdentity};
use umbra_model::{Context, SetId, Volume, VssResult, WriterOutcome};
use umbra_provider::PendingShadowCopy;
use umbra_volume::{HoldReport, PreparedHold};
use umbra_writer::{SetEvent, Subscription, Writer};

/// A writer that is told events.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) writer: Arc<dyn Writer>,
    pub(crate) identity: WriterIdentity,
    pub(crate) subscription: Subscription,
}

impl Listener {
    pub(crate) fn new(writer: Arc<dyn Writer>, identity: WriterIdentity) -> Self {
        let subscription = writer.subscription();
        Self {
            writer,
            identity,
            subscription,
        }
    }
}

/// A writer that takes part in a set.
pub(crate) struct Participant {
    pub(crate) listener: Listener,
    pub(crate) level: FreezeLevel,
    /// What it is told with each event.
    pub(crate) event: SetEvent,
    /// The components of it that lie wholly on the volumes of the set.
    pub(crate) vouches_for: Vec<String>,
    /// Whether it was told anything of this set.
    pub(crate) told: bool,
}

impl Participant {
    /// Nothing where it vouches for nothing.
    pub(crate) fn outcome(&self) -> Option<WriterOutcome> {
        let identity = &self.listener.identity;
        (!self.vouches_for.is_empty()).then(|| WriterOutcome {
            writer: identity.id,
            instance: identity.instance,
            name: identity.name.clone(),
            components: self.vouches_for.clone(),
        })
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
    /// Tells the participants, from the next event on, which copies there are.
    pub(crate) fn name_copies(&mut self) {
        let copies = self.copies.iter();
        let copies: Vec<_> = copies
            .map(|copy| (copy.volume.id.clone(), copy.id))
            .collect();
        for participant in &mut self.participants {
            participant.event.copies.clone_from(&copies);
        }
    }

    pub(crate) fn volumes(&self) -> Vec<Volume> {
        self.copies.iter().map(|copy| copy.volume.clone()).collect()
    }
}
