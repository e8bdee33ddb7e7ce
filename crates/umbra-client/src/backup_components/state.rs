//! What the calls work on, one call at a time.

use super::{
    chosen::ChosenComponents,
    gather::Gathered,
    order::{self, Call, Phase},
    writer_filter::WriterFilter,
};
use crate::{Admin, Requester};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use umbra_documents::{BackupSelection, WriterTrees};
use umbra_model::{Context, VssResult};

/// What an object shares with the call that it runs.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) requester: Requester,
    pub(super) admin: Admin,
    state: Mutex<State>,
}

/// Where the object stands and what it knows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    pending: Option<Call>,
    pub(super) context: Context,
    /// Whether the writers were told of the backup, with the document.
    pub(super) is_prepared: bool,
    /// Whether SetBackupState was called.
    pub(super) has_backup_state: bool,
    pub(super) filter: WriterFilter,
    pub(super) components: ChosenComponents,
    /// What the writers said, until it is freed.
    pub(super) gathered: Option<Gathered>,
    /// What was added to the backup, by the rules of component trees.
    pub(super) selection: Option<BackupSelection>,
    /// The writers' metadata of the time of the backup, for a restore.
    pub(super) stored: Option<Arc<WriterTrees>>,
}

impl Session {
    pub(super) fn new(requester: Requester, admin: Admin) -> Self {
        Self {
            requester,
            admin,
            state: Mutex::new(State::new()),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Begins a call.
    pub(super) fn begin(session: &Arc<Self>, call: Call) -> VssResult<InCall> {
        session.state().begin(call)?;
        Ok(InCall {
            session: Arc::clone(session),
            call,
        })
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Opened,
            pending: None,
            context: Context::Backup,
            is_prepared: false,
            has_backup_state: false,
            filter: WriterFilter::default(),
            components: ChosenComponents::default(),
            gathered: None,
            selection: None,
            stored: None,
        }
    }

    /// Checks that a call may come now.
    pub(super) fn check(&self, call: Call) -> VssResult<()> {
        if let Some(pending) = self.pending {
            return Err(order::still_pending(call, pending));
        }
        order::check(call, self.phase)
    }

    fn begin(&mut self, call: Call) -> VssResult<()> {
        self.check(call)?;
        self.pending = Some(call);
        Ok(())
    }
}

/// A call that goes on. When it is dropped, the next may come.
#[derive(Debug)]
pub(super) struct InCall {
    session: Arc<Session>,
    call: Call,
}

impl InCall {
    pub(super) fn name(&self) -> &'static str {
        self.call.name()
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn state(&mut self) -> MutexGuard<'_, State> {
        self.session.state()
    }
}

impl Drop for InCall {
    fn drop(&mut self) {
        self.session.state().pending = None;
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
