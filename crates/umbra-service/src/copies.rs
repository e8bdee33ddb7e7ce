//! The copies of a set in the making, and the steps that providers take.

use crate::{
    blocking::{Waited, broke_off, did_not_come_back, wait_for},
    cancel::Cancel,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::Instant,
};
use umbra_model::{
    HoldMethod, ProviderLocation, SetId, ShadowCopy, ShadowCopyId, Volume, VssCode, VssError,
    VssResult,
};
use umbra_provider::{PendingShadowCopy, Provider};

/// One copy in the making.
pub(crate) struct CopyInMaking {
    pub(crate) id: ShadowCopyId,
    pub(crate) volume: Volume,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) location: ProviderLocation,
    pub(crate) method: HoldMethod,
    /// What the provider has of it; none while it is with a blocking call.
    pub(crate) pending: Option<Box<dyn PendingShadowCopy>>,
    /// A blocking call that did not come back in time.
    pub(crate) late: Option<JoinHandle<Returned>>,
    /// Whether the provider was ever asked to make something.
    pub(crate) begun: Begun,
}

/// Whether a provider may have something of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    No,
    Yes,
}

/// A copy comes back from a blocking call with what the call came to.
pub(crate) type Returned = (Option<Box<dyn PendingShadowCopy>>, VssResult<()>);

/// A call into a provider for one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    BeginPrepare,
    EndPrepare,
    PreCommit,
    PostCommit,
    PreFinalCommit,
    PostFinalCommit,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl CopyInMaking {
    /// The copy as the catalog has it.
    pub(crate) fn shadow_copy(&self, set: SetId) -> ShadowCopy {
        ShadowCopy {
            id: self.id,
            set,
            volume: self.volume.clone(),
            provider: self.provider.properties().id,
            location: self.location.clone(),
            exposed: None,
        }
    }

    /// Which call on what, for messages.
    pub(crate) fn describe(&self, what: &dyn fmt::Display) -> String {
        format!(
            "{what} of the provider {} for {}",
            self.provider.properties().name,
            self.volume.mount_point.display()
        )
    }

    fn start(&mut self, step: Step) -> JoinHandle<Returned> {
        self.begun = Begun::Yes;
        let pending = self.pending.take();
        let provider = Arc::clone(&self.provider);
        let (id, volume, location) = (self.id, self.volume.clone(), self.location.clone());
        spawn_blocking(move || {
            if step == Step::BeginPrepare {
                return match provider.begin_prepare(id, &volume, &location) {
                    Ok(pending) => (Some(pending), Ok(())),
                    Err(error) => (None, Err(error)),
                };
            }
            let Some(mut pending) = pending else {
                return (None, Err(lost(step)));
            };
            let result = match step {
                Step::BeginPrepare => Ok(()),
                Step::EndPrepare => pending.end_prepare(),
                Step::PreCommit => pending.pre_commit(),
                Step::PostCommit => pending.post_commit(),
                Step::PreFinalCommit => pending.pre_final_commit(),
                Step::PostFinalCommit => pending.post_final_commit(),
            };
            (Some(pending), result)
        })
    }
}

/// How long providers are waited for.
#[derive(Clone, Copy)]
pub(crate) struct ProviderPatience<'a> {
    /// One step of all copies.
    pub(crate) limit: Duration,
    /// The time of the set as a whole.
    pub(crate) window: Option<Instant>,
    /// Who may give the set up.
    pub(crate) cancel: &'a Cancel,
}

/// Takes one step with all copies at the same time, and waits for all.
///
/// # Errors
///
/// The first copy's failure with the others' attached; a call that did not come
/// back stays with its copy as late.
pub(crate) async fn step_all(
    copies: &mut [CopyInMaking],
    step: Step,
    patience: ProviderPatience<'_>,
) -> VssResult<()> {
    let started: Vec<_> = copies.iter_mut().map(|copy| copy.start(step)).collect();
    let own_end = Instant::now() + patience.limit;
    let end = patience
        .window
        .map_or(own_end, |window| window.min(own_end));
    let mut failures = Vec::new();
    for (copy, mut handle) in copies.iter_mut().zip(started) {
        match wait_for(&mut handle, end, Some(patience.cancel)).await {
            Waited::Done((pending, result)) => {
                copy.pending = pending;
                failures.extend(result.err());
            }
            Waited::Panicked(panic) => {
                failures.push(broke_off(&copy.describe(&step)).caused_by_text(panic));
            }
            Waited::Late => {
                copy.late = Some(handle);
                failures.push(match patience.cancel.check() {
                    Err(cancelled) => cancelled,
                    Ok(()) if end < own_end => window_over(&copy.describe(&step)),
                    Ok(()) => did_not_come_back(&copy.describe(&step), patience.limit),
                });
            }
        }
    }
    crate::messages::first(failures)
}

/// The time from Freeze to Thaw was over during something.
pub(crate) fn window_over(during: &str) -> VssError {
    VssError::new(
        VssCode::TransactionFreezeTimeout,
        format!("the time from Freeze to Thaw was over during {during}; try again with less load"),
    )
}

fn lost(step: Step) -> VssError {
    VssError::new(
        VssCode::Unexpected,
        format!("a copy was gone before {step}; this is a defect of Umbra"),
    )
}
