//! A call that takes its time (`IVssAsync`).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{oneshot, watch};
use umbra_model::{VssCode, VssError, VssResult};

/// How far an asynchronous call is (`IVssAsync::QueryStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsyncStatus {
    /// It goes on.
    Pending,
    /// It is done.
    Finished,
    /// It was cancelled before it was done.
    Cancelled,
    /// It failed with this code; the result has the whole error.
    Failed(VssCode),
}

impl AsyncStatus {
    /// The code that `QueryStatus` gives.
    pub fn code(self) -> VssCode {
        match self {
            Self::Pending => VssCode::AsyncPending,
            Self::Finished => VssCode::AsyncFinished,
            Self::Cancelled => VssCode::AsyncCancelled,
            Self::Failed(code) => code,
        }
    }

    /// Of a call that came to this.
    fn of<T>(result: &VssResult<T>) -> Self {
        match result {
            Ok(_) => Self::Finished,
            Err(error) if error.code() == VssCode::AsyncCancelled => Self::Cancelled,
            Err(error) => Self::Failed(error.code()),
        }
    }
}

/// A call that goes on (`IVssAsync`). It is a future of the call's result; it runs
/// whether the future is polled or not.
///
/// A call that could not even begin, as in the wrong order, is one that has failed.
///
/// Dropping it cancels the call, unlike releasing an `IVssAsync`: nothing in this
/// crate goes on in the background.
#[derive(Debug)]
#[must_use = "dropping it cancels the call; wait for it, or await it"]
pub struct VssAsync<T> {
    cancel: watch::Sender<bool>,
    status: watch::Receiver<AsyncStatus>,
    result: oneshot::Receiver<VssResult<T>>,
}

/// The other end: where the call runs.
pub(super) struct Running<T> {
    cancel: watch::Receiver<bool>,
    status: watch::Sender<AsyncStatus>,
    result: oneshot::Sender<VssResult<T>>,
}

impl<T> VssAsync<T> {
    /// The two ends of a call.
    pub(super) fn pair() -> (Self, Running<T>) {
        let (cancel, cancelled) = watch::channel(false);
        let (status, status_seen) = watch::channel(AsyncStatus::Pending);
        let (result, received) = oneshot::channel();
        let handle = Self {
            cancel,
            status: status_seen,
            result: received,
        };
        let running = Running {
            cancel: cancelled,
            status,
            result,
        };
        (handle, running)
    }

    /// A call that could not begin.
    pub(super) fn failed(error: VssError) -> Self {
        let (handle, running) = Self::pair();
        running.finish(Err(error));
        handle
    }

    /// Ends the call before it is done (`Cancel`) and gives how far it is: a call
    /// that is done stays so, one that is pending ends a moment later. Whatever it
    /// has begun is undone: cancelling DoSnapshotSet aborts the set.
    pub fn cancel(&self) -> AsyncStatus {
        let _ = self.cancel.send(true);
        self.query_status()
    }

    /// Waits until the call is over, or until this time has passed (`Wait`), and
    /// gives how far it is.
    pub async fn wait(&self, limit: Option<Duration>) -> AsyncStatus {
        let mut status = self.status.clone();
        let over = async {
            // An error is the end of the other end, which `query_status` sees.
            let _ = status
                .wait_for(|status| *status != AsyncStatus::Pending)
                .await;
        };
        match limit {
            Some(limit) => drop(tokio::time::timeout(limit, over).await),
            None => over.await,
        }
        self.query_status()
    }

    /// How far it is (`QueryStatus`).
    pub fn query_status(&self) -> AsyncStatus {
        match *self.status.borrow() {
            // The session has ended, and took the call with it.
            AsyncStatus::Pending if self.status.has_changed().is_err() => AsyncStatus::Cancelled,
            status => status,
        }
    }
}

impl<T> Future for VssAsync<T> {
    type Output = VssResult<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(context).map(|received| {
            received.unwrap_or_else(|_| Err(cancelled("a call", "its session ended")))
        })
    }
}

impl<T> Running<T> {
    /// Runs the call until it is done or cancelled.
    pub(super) async fn run<R>(
        &mut self,
        call: &str,
        work: impl Future<Output = VssResult<R>>,
    ) -> VssResult<R> {
        tokio::select! {
            biased;
            result = work => result,
            // An error means that the handle was dropped.
            _ = self.cancel.wait_for(|cancelled| *cancelled) => {
                Err(cancelled(call, "its requester wanted so"))
            }
        }
    }

    /// Hands the result over.
    pub(super) fn finish(self, result: VssResult<T>) {
        let status = AsyncStatus::of(&result);
        // Nobody may be waiting any more.
        let _ = self.result.send(result);
        let _ = self.status.send(status);
    }
}

fn cancelled(call: &str, why: &str) -> VssError {
    VssError::new(
        VssCode::AsyncCancelled,
        format!("{call} was cancelled: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(
        work: impl Future<Output = VssResult<u32>> + Send + 'static,
    ) -> (VssAsync<u32>, tokio::task::JoinHandle<()>) {
        let (handle, mut running) = VssAsync::pair();
        let task = tokio::spawn(async move {
            let result = running.run("DoSnapshotSet", work).await;
            running.finish(result);
        });
        (handle, task)
    }

    #[tokio::test]
    async fn says_how_far_it_is() {
        let (go, gone) = oneshot::channel::<()>();
        let (handle, _task) = begin(async {
            let _ = gone.await;
            Ok(7)
        });
        assert_eq!(handle.query_status(), AsyncStatus::Pending);
        assert_eq!(handle.query_status().code().name(), "VSS_S_ASYNC_PENDING");
        let soon = Some(Duration::from_millis(1));
        assert_eq!(handle.wait(soon).await, AsyncStatus::Pending);
        go.send(()).unwrap();
        assert_eq!(handle.wait(None).await, AsyncStatus::Finished);
        assert_eq!(handle.cancel(), AsyncStatus::Finished);
        assert_eq!(handle.await, Ok(7));
    }

    #[tokio::test]
    async fn is_cancelled() {
        let (handle, _task) = begin(std::future::pending());
        handle.cancel();
        assert_eq!(handle.wait(None).await, AsyncStatus::Cancelled);
        let error = handle.await.unwrap_err();
        assert_eq!(error.code(), VssCode::AsyncCancelled);
        assert!(error.message().starts_with("DoSnapshotSet was cancelled"));
    }

    #[tokio::test]
    async fn dropping_it_cancels_it() {
        let (handle, task) = begin(std::future::pending());
        drop(handle);
        task.await.unwrap();
    }

    #[tokio::test]
    async fn fails_with_the_code_of_the_call() {
        let error = VssError::new(VssCode::BadState, "not now");
        let handle = VssAsync::<()>::failed(error.clone());
        assert_eq!(
            handle.query_status(),
            AsyncStatus::Failed(VssCode::BadState)
        );
        assert_eq!(handle.await, Err(error));
    }

    #[tokio::test]
    async fn goes_with_its_session() {
        let (handle, task) = begin(std::future::pending());
        tokio::task::yield_now().await;
        task.abort();
        let _ = task.await;
        assert_eq!(handle.wait(None).await, AsyncStatus::Cancelled);
        assert_eq!(handle.await.unwrap_err().code(), VssCode::AsyncCancelled);
    }
}
