//! The requester's interface as VSS has it (`IVssBackupComponents`, `Ex` to `Ex4`).

mod address;
mod backup;
mod choosing;
mod chosen;
mod component;
mod gather;
mod order;
mod restore;
mod snapshots;
mod state;
mod status;
mod unavailable;
mod vss_async;
mod writer_checks;
mod writer_filter;

pub use address::ComponentAddress;
pub use choosing::BackupState;
pub use component::{AdditionalRestores, Authority, BackupComponent, RestoreChoice, RollForward};
pub use gather::GatheredWriters;
pub use snapshots::{RootPath, SnapshotProperties};
pub use status::{Retry, WriterStatus};
pub use vss_async::{AsyncStatus, VssAsync};

use crate::{Admin, Connection, Progress, Requester, off_loop::off_loop};
use chosen::ChosenComponents;
use order::{Call, Phase};
use state::{InCall, Session};
use std::sync::Arc;
use tokio::{sync::broadcast, task::JoinHandle};
use umbra_documents::{BackupComponentsDocument, WriterComponents};
use umbra_model::{SessionId, VssCode, VssError, VssResult};

/// One backup, or one restore: a session with the service and the Backup Components
/// Document (`CreateVssBackupComponents`). It is for a backup once
/// [`BackupComponents::initialize_for_backup`] was called, or for a restore once
/// [`BackupComponents::initialize_for_restore`] was, and cannot be used for a second
/// one.
///
/// Calls that VSS answers with an `IVssAsync` give a [`VssAsync`], which is a future of
/// the result; they need the runtime of tokio. VSS wants a requester to wait for the
/// end of such a call before the next one. Here any other call is answered with
/// `VSS_E_BAD_STATE` until then, and so is a call in the wrong order; the message
/// names the call that was expected.
///
/// Dropping it releases it, as [`BackupComponents::close`] does without waiting: what
/// is pending is cancelled, a set in the making is aborted, writers get
/// BackupShutdown and auto-release copies are deleted. Of the document remains what
/// was saved ("Backup Components Document Life Cycle").
///
/// There is nothing of `GetWriterMetadataCount` and its like: what is many is a list.
///
/// # Errors
///
/// Every call fails with `VSS_E_BAD_STATE` in the wrong order or while another is
/// pending, and with the service's own error.
#[derive(Debug)]
pub struct BackupComponents {
    session: Arc<Session>,
    /// The call that runs on its own, if one does.
    running: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl BackupComponents {
    /// Opens a session under a name that others will read when they have to wait.
    ///
    /// # Errors
    ///
    /// `E_ACCESSDENIED` where this user may not be a requester.
    pub async fn open(connection: &Connection, name: &str) -> VssResult<Self> {
        let requester = Requester::open(connection, name).await?;
        Ok(Self {
            session: Arc::new(Session::new(requester, Admin::new(connection))),
            running: std::sync::Mutex::default(),
        })
    }

    /// The session's id (`IVssBackupComponentsEx3::GetSessionId`): the one that
    /// writers see.
    pub fn session_id(&self) -> SessionId {
        self.session.requester.session_id()
    }

    /// The states that the set reaches from now on; see [`Requester::progress`].
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.session.requester.progress()
    }

    /// Makes it one of a backup, with an empty document (`InitializeForBackup`).
    ///
    /// VSS also takes a stored document here, of a transportable shadow copy that is
    /// to be imported; see [`BackupComponents::import_snapshots`].
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` the second time.
    pub fn initialize_for_backup(&self) -> VssResult<()> {
        let mut call = self.call(Call::InitializeForBackup)?;
        call.state().phase = Phase::Backup;
        Ok(())
    }

    /// Makes it one of a restore, with the document that the backup saved
    /// (`InitializeForRestore`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE` the second time; `VSS_E_INVALID_XML_DOCUMENT`, with line and
    /// column.
    pub async fn initialize_for_restore(&self, xml: &[u8]) -> VssResult<()> {
        let mut call = self.call(Call::InitializeForRestore)?;
        let xml = xml.to_owned();
        let components =
            off_loop(move || BackupComponentsDocument::from_xml(&xml).map(ChosenComponents::new))
                .await?;
        let mut state = call.state();
        state.components = components;
        state.phase = Phase::Restore;
        Ok(())
    }

    /// The Backup Components Document as it is now, to be kept with the backup
    /// (`SaveAsXML`). Not before DoSnapshotSet is done: until then writers add to it
    /// ("Overview of Actual Backup Of Files").
    ///
    /// # Errors
    ///
    /// `VSS_E_INVALID_XML_DOCUMENT` where something was set that XML cannot hold.
    pub async fn save_as_xml(&self) -> VssResult<String> {
        let mut call = self.call(Call::SaveAsXML)?;
        let document = call.state().components.shared();
        off_loop(move || document.to_xml()).await
    }

    /// The Backup Components Document, as a value.
    pub fn document(&self) -> BackupComponentsDocument {
        self.session.state().components.document().clone()
    }

    /// What was chosen of each writer, and what writers left there
    /// (`GetWriterComponents`, `IVssWriterComponentsExt`, the `Get...` methods of
    /// `IVssComponent`).
    pub fn writer_components(&self) -> Vec<WriterComponents> {
        self.session.state().components.document().writers.clone()
    }

    /// Ends the session and waits until everything is cleaned up (`Release`).
    ///
    /// # Errors
    ///
    /// What could not be cleaned up.
    pub async fn close(mut self) -> VssResult<()> {
        let running = self.take_running();
        if let Some(running) = running {
            running.abort();
            // Cancelled, or done: either way it has let go of the session.
            let _ = running.await;
        }
        let session = Arc::clone(&self.session);
        drop(self);
        match Arc::into_inner(session) {
            Some(session) => session.requester.close().await,
            None => Err(VssError::new(
                VssCode::Unexpected,
                "a call of the session is still going on; this is a defect of Umbra",
            )),
        }
    }

    fn take_running(&mut self) -> Option<JoinHandle<()>> {
        let running = self.running.get_mut();
        running
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
    }

    /// Checks that a call may come, and keeps others off until it is over.
    fn call(&self, call: Call) -> VssResult<InCall> {
        Session::begin(&self.session, call)
    }

    /// Runs a call on its own: `work` talks to the service; `settle` then takes over
    /// what came of it, also where that is an error or the call was cancelled.
    fn run<R, T, F>(
        &self,
        call: VssResult<InCall>,
        work: impl FnOnce(Arc<Session>) -> F,
        settle: impl FnOnce(&mut state::State, VssResult<R>) -> VssResult<T> + Send + 'static,
    ) -> VssAsync<T>
    where
        R: Send + 'static,
        T: Send + 'static,
        F: Future<Output = VssResult<R>> + Send + 'static,
    {
        let mut call = match call {
            Ok(call) => call,
            Err(error) => return VssAsync::failed(error),
        };
        let (handle, mut running) = VssAsync::pair();
        let work = work(Arc::clone(&self.session));
        let task = tokio::spawn(async move {
            let result = running.run(call.name(), work).await;
            let result = settle(&mut call.state(), result);
            drop(call);
            running.finish(result);
        });
        *state::lock(&self.running) = Some(task);
        handle
    }
}

impl Drop for BackupComponents {
    fn drop(&mut self) {
        if let Some(running) = self.take_running() {
            running.abort();
        }
    }
}
