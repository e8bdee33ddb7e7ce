//! Tasks that the end of the service waits for.

use std::future::Future;
use tokio::sync::watch;

/// Counts the tasks that have something to undo.
#[derive(Debug)]
pub(crate) struct Tasks {
    running: watch::Sender<usize>,
}

/// One of them; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Running {
    running: watch::Sender<usize>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            running: watch::Sender::new(0),
        }
    }

    /// Counts one more until the result is dropped.
    pub(crate) fn begin(&self) -> Running {
        self.running.send_modify(|count| *count += 1);
        Running {
            running: self.running.clone(),
        }
    }

    /// Comes back when none runs.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut seen = self.running.subscribe();
        async move {
            // The sender lives in `self`; when it is gone nothing runs.
            let _ = seen.wait_for(|count| *count == 0).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.send_modify(|count| *count -= 1);
    }
}
