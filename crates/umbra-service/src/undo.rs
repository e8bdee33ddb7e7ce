//! The one abort path: whatever went wrong with a set in the making, from
//! whichever state, ends here.

use crate::{
    SetState,
    blocking::{Waited, broke_off, did_not_come_back, off_loop, wait_for},
    copies::{Begun, CopyInMaking},
    messages::{Message, Patience, tell},
    service::ServiceInner,
    session::SessionInner,
    set::{InCatalog, SetInMaking},
};
use std::sync::Arc;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::Instant,
};
use umbra_model::{SetId, ShadowCopy, VssError, VssResult};
use umbra_provider::{PendingShadowCopy, Provider};

/// Undoes a set: Abort to every writer that was told anything, the providers'
/// AbortSnapshots, the intent out of the catalog. Everything is tried, whatever
/// fails. File systems are released already: the hold does that itself.
///
/// Gives back the cause with every failure to undo attached. Where something of
/// a copy could not be undone, the catalog keeps the set, and reconciliation
/// tries again.
pub(crate) async fn abort(
    service: &Arc<ServiceInner>,
    session: &SessionInner,
    mut set: SetInMaking,
    cause: VssError,
) -> VssError {
    session.enter_aborting(&cause).await;
    let mut failures = Vec::new();

    let told = set.participants.iter_mut().filter(|one| one.told);
    let patience = Patience::hear_all(service.limits.abort);
    failures.extend(tell(&service.writers, told, Message::Abort, patience).await);

    if let Some(hold) = set.hold.take() {
        let dropped = off_loop(move || {
            drop(hold);
            Ok(())
        });
        failures.extend(dropped.await.err());
    }

    let mut late = Vec::new();
    let kept = undo_copies(service, &mut set, &mut late).await;
    let undone = kept.is_empty();
    failures.extend(kept);
    if late.is_empty() && set.late_hold.is_none() {
        if undone && set.in_catalog == InCatalog::Perhaps {
            failures.extend(forget(service, set.id).await.err());
        }
        service.active.remove(set.id);
    } else {
        tokio::spawn(undo_late(Arc::clone(service), set, late));
    }
    failures
        .into_iter()
        .map(|failure| while_undoing(&failure))
        .fold(cause, VssError::followed_by)
}

/// A call that was still running when everything else was undone.
type Late = JoinHandle<VssResult<()>>;

async fn undo_copies(
    service: &ServiceInner,
    set: &mut SetInMaking,
    late: &mut Vec<Late>,
) -> Vec<VssError> {
    let mut failures = Vec::new();
    let limit = service.limits.provider;
    let end = Instant::now() + limit;
    let with_hold = set.late_hold.is_some();
    let mut running = Vec::new();
    for copy in &mut set.copies {
        let what = copy.describe(&"AbortSnapshots");
        if let Some(handle) = copy.late.take() {
            failures.push(still_running(&what));
            late.push(tokio::spawn(undo_when_back(handle, undo_of(copy, set.id))));
        } else if with_hold {
            failures.push(still_running(&what));
        } else if copy.begun == Begun::Yes {
            let undo = undo_of(copy, set.id);
            let pending = copy.pending.take();
            running.push((what, spawn_blocking(move || undo.run(pending))));
        }
    }
    for (what, mut handle) in running {
        match wait_for(&mut handle, end, None).await {
            Waited::Done(result) => failures.extend(result.err()),
            Waited::Panicked(panic) => failures.push(broke_off(&what).caused_by_text(panic)),
            Waited::Late => {
                failures.push(did_not_come_back(&what, limit));
                late.push(handle);
            }
        }
    }
    failures
}

/// What undoing one copy needs.
struct Undo {
    provider: Arc<dyn Provider>,
    copy: ShadowCopy,
}

fn undo_of(copy: &CopyInMaking, set: SetId) -> Undo {
    Undo {
        provider: Arc::clone(&copy.provider),
        copy: copy.shadow_copy(set),
    }
}

impl Undo {
    /// Blocks. Without the copy's own handle the provider deletes by name.
    fn run(self, pending: Option<Box<dyn PendingShadowCopy>>) -> VssResult<()> {
        match pending {
            Some(mut pending) => pending.abort(),
            None => self.provider.delete(&self.copy),
        }
    }
}

async fn undo_when_back(handle: JoinHandle<crate::copies::Returned>, undo: Undo) -> VssResult<()> {
    let pending = handle.await.ok().and_then(|(pending, _)| pending);
    off_loop(move || undo.run(pending)).await
}

/// Waits, however long it takes, for the calls that did not come back, undoes
/// what they made, and only then forgets the set. The service's end does not
/// wait for it: what is left then is in the catalog.
async fn undo_late(service: Arc<ServiceInner>, mut set: SetInMaking, late: Vec<Late>) {
    let id = set.id;
    let mut undone = true;
    if let Some(hold) = set.late_hold.take() {
        let pendings = match hold.await {
            Ok(returned) => returned.pendings,
            Err(_) => Vec::new(),
        };
        let mut pendings = pendings.into_iter();
        for copy in &mut set.copies {
            let undo = undo_of(copy, id);
            let pending = pendings.next();
            undone &= logged(off_loop(move || undo.run(pending)).await);
        }
    }
    // A set's turn ends with its hold, so that there are never two; it does not
    // wait for a provider.
    drop(set);
    for handle in late {
        match handle.await {
            Ok(result) => undone &= logged(result),
            Err(_) => undone = false,
        }
    }
    if undone {
        logged(forget(&service, id).await);
    }
    service.active.remove(id);
}

fn logged(result: VssResult<()>) -> bool {
    if let Err(error) = &result {
        tracing::warn!(%error, "while undoing a shadow copy set late");
    }
    result.is_ok()
}

async fn forget(service: &ServiceInner, set: SetId) -> VssResult<()> {
    let catalog = service.catalog.clone();
    off_loop(move || catalog.remove(set)).await
}

fn still_running(what: &str) -> VssError {
    VssError::new(
        umbra_model::VssCode::UnexpectedProviderError,
        format!(
            "{what} has to wait for a call that is still running; the copy is removed after it"
        ),
    )
}

/// An error while undoing is its own kind: the state after it is not clean.
pub(crate) fn while_undoing(failure: &VssError) -> VssError {
    let error = VssError::new(
        failure.code(),
        format!("while undoing: {}", failure.message()),
    );
    failure
        .causes()
        .iter()
        .fold(error, |error, cause| error.caused_by_text(cause.clone()))
}

impl SessionInner {
    async fn enter_aborting(&self, cause: &VssError) {
        // Only a pause or a panic can be asked for here; the way out has no way out.
        let _ = self.pass(SetState::Aborting).await;
        tracing::info!(session = %self.id, error = %cause, "the shadow copy set is undone");
        self.announce(SetState::Aborting, &cause.to_string());
    }
}
