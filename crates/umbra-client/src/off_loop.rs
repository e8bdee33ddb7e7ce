//! Work that must not keep the event loop from answering the service.

use tokio::task::spawn_blocking;
use umbra_model::{VssCode, VssError, VssResult};

/// Runs what may take longer than the service waits for a sign of life, such as
/// reading or writing a large document.
pub(crate) async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> VssResult<T> + Send + 'static,
) -> VssResult<T> {
    spawn_blocking(work).await.unwrap_or_else(|panic| {
        let what = "working on a document broke off; this is a defect of Umbra";
        Err(VssError::new(VssCode::Unexpected, what).caused_by(panic))
    })
}
