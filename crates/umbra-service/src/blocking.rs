//! Calls that block, kept off the event loop.

use crate::cancel::Cancel;
use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until, timeout},
};
use umbra_model::{VssCode, VssError, VssResult};

/// How long a blocking call that is no longer wanted is waited for, so that its
/// result can be undone at once rather than later.
const GRACE: Duration = Duration::from_secs(10);

/// Makes a blocking call that always comes back (the catalog, locks).
///
/// # Errors
///
/// The call's own, or `VSS_E_UNEXPECTED` where it panicked.
pub(crate) async fn off_loop<T: Send + 'static>(
    call: impl FnOnce() -> VssResult<T> + Send + 'static,
) -> VssResult<T> {
    match spawn_blocking(call).await {
        Ok(result) => result,
        Err(panic) => Err(VssError::new(
            VssCode::Unexpected,
            "a call inside the service broke off; this is a defect of Umbra",
        )
        .caused_by(panic)),
    }
}

/// Makes a blocking call into a provider or the machine's storage whose result
/// need not be undone. One that does not come back leaks its thread.
///
/// # Errors
///
/// The call's own, or `VSS_E_UNEXPECTED_PROVIDER_ERROR` where it did not come
/// back in time or panicked.
pub(crate) async fn within<T: Send + 'static>(
    limit: Duration,
    what: impl FnOnce() -> String,
    call: impl FnOnce() -> VssResult<T> + Send + 'static,
) -> VssResult<T> {
    match timeout(limit, spawn_blocking(call)).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(broke_off(&what()).caused_by(panic)),
        Err(_) => Err(did_not_come_back(&what(), limit)),
    }
}

pub(crate) fn broke_off(what: &str) -> VssError {
    VssError::new(
        VssCode::UnexpectedProviderError,
        format!("{what} broke off; this is a defect of the provider"),
    )
}

pub(crate) fn did_not_come_back(what: &str, limit: Duration) -> VssError {
    VssError::new(
        VssCode::UnexpectedProviderError,
        format!(
            "{what} took longer than {} s; look at the storage below it",
            limit.as_secs_f32()
        ),
    )
}

/// Runs a step of a set so that a panic in it, too, leads to the abort path.
///
/// # Errors
///
/// The step's own, or `VSS_E_UNEXPECTED` where it panicked.
pub(crate) async fn contained<T>(step: impl Future<Output = VssResult<T>>) -> VssResult<T> {
    let mut step = pin!(step);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            Poll::Ready(Err(VssError::new(
                VssCode::Unexpected,
                "making the shadow copy set broke off; this is a defect of Umbra",
            )))
        })
    })
    .await
}

/// What came of waiting for a call.
pub(crate) enum Waited<T> {
    Done(T),
    Panicked(String),
    /// It is still running.
    Late,
}

/// Waits until `deadline`, or a little longer than until the set is given up.
pub(crate) async fn wait_for<T>(
    handle: &mut JoinHandle<T>,
    mut deadline: Instant,
    cancel: Option<&Cancel>,
) -> Waited<T> {
    let mut cancel = cancel;
    loop {
        tokio::select! {
            biased;
            joined = &mut *handle => return match joined {
                Ok(result) => Waited::Done(result),
                Err(panic) => Waited::Panicked(panic.to_string()),
            },
            () = sleep_until(deadline) => return Waited::Late,
            () = requested(cancel) => {
                cancel = None;
                deadline = deadline.min(Instant::now() + GRACE);
            }
        }
    }
}

async fn requested(cancel: Option<&Cancel>) {
    match cancel {
        Some(cancel) => {
            cancel.requested().await;
        }
        None => std::future::pending().await,
    }
}
