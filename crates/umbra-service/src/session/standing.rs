//! Where a session stands: what its calls work on, one call at a time.

use crate::{
    Progress, Requester, SetState, WriterSelection,
    cancel::Cancel,
    kept_document::KeptDocument,
    order::{self, Call},
    service::{ServiceInner, lock},
    set::{Listener, Participant, SetInMaking},
    writers::Gathering,
};
use std::{
    collections::HashSet,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex},
};
use tokio::{
    sync::{OwnedMutexGuard, broadcast},
    time::Instant,
};
use umbra_model::{Context, SessionId, SetId, ShadowCopySet, VssError, VssResult};
use umbra_writer::RestoreEvent;

/// How many progress messages a slow reader may be behind.
const PROGRESS: usize = 64;

/// What the session's tasks share with it.
pub(crate) struct SessionInner {
    pub(crate) id: SessionId,
    pub(crate) requester: Requester,
    pub(crate) cancel: Cancel,
    pub(super) service: Arc<ServiceInner>,
    pub(super) progress: broadcast::Sender<Progress>,
    /// Seen from outside while a call has the state.
    pub(super) standing: Mutex<(SetState, Option<SetId>)>,
    pub(super) last_call: Mutex<Instant>,
    pub(super) state: Arc<tokio::sync::Mutex<State>>,
}

/// What a call works on.
pub(super) struct State {
    pub(super) context: Context,
    pub(super) selection: WriterSelection,
    pub(super) gathered: Option<Arc<Gathering>>,
    pub(super) document: Option<KeptDocument>,
    pub(super) making: Option<SetInMaking>,
    pub(super) made: Option<Made>,
    /// Writers that were told PreRestore.
    pub(super) restoring: Vec<Restoring>,
    /// Writers that were told of a backup, and are to be told that it is over.
    pub(super) told: Vec<Listener>,
    /// Why a set was given up between two calls.
    pub(super) given_up: Option<String>,
}

/// The set that was made, or the writers of a backup that needed none.
pub(super) struct Made {
    pub(super) set: Option<ShadowCopySet>,
    pub(super) participants: Vec<Participant>,
}

/// A writer in a restore.
pub(super) struct Restoring {
    pub(super) listener: Listener,
    pub(super) event: RestoreEvent,
}

/// The state, while one call has it.
pub(super) struct InCall {
    pub(super) state: OwnedMutexGuard<State>,
    pub(super) session: Arc<SessionInner>,
}

impl Deref for InCall {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for InCall {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for InCall {
    fn drop(&mut self) {
        *lock(&self.session.last_call) = Instant::now();
    }
}

impl SessionInner {
    pub(crate) fn new(service: Arc<ServiceInner>, requester: Requester) -> Arc<Self> {
        Arc::new(Self {
            id: SessionId::random(),
            requester,
            cancel: Cancel::new(),
            service,
            progress: broadcast::Sender::new(PROGRESS),
            standing: Mutex::new((SetState::Idle, None)),
            last_call: Mutex::new(Instant::now()),
            state: Arc::new(tokio::sync::Mutex::new(State {
                context: Context::Backup,
                selection: WriterSelection::All,
                gathered: None,
                document: None,
                making: None,
                made: None,
                restoring: Vec::new(),
                told: Vec::new(),
                given_up: None,
            })),
        })
    }

    pub(crate) fn standing(&self) -> (SetState, Option<SetId>) {
        *lock(&self.standing)
    }

    pub(crate) fn warn_of(&self, error: &VssError) {
        tracing::warn!(session = %self.id, %error, "cleaning up a session");
        for later in error.later() {
            tracing::warn!(session = %self.id, error = %later, "cleaning up a session");
        }
    }

    /// Waits for the call before this one, and checks that this one may come.
    pub(super) async fn call(self: &Arc<Self>, call: Call) -> VssResult<InCall> {
        let mut state = InCall {
            state: Arc::clone(&self.state).lock_owned().await,
            session: Arc::clone(self),
        };
        if state.making.is_none() {
            self.cancel.forget_given_up_set();
        }
        match order::check(call, self.standing().0) {
            Ok(()) => Ok(state),
            Err(error) => Err(match state.given_up.take() {
                Some(why) => error.caused_by_text(why),
                None => error,
            }),
        }
    }

    /// Goes on to a state, and says so.
    ///
    /// # Errors
    ///
    /// The set was given up, or the fail point of the state is on.
    pub(crate) async fn enter(&self, state: SetState, message: &str) -> VssResult<()> {
        self.enter_quietly(state).await?;
        tracing::info!(session = %self.id, %state, "{message}");
        self.announce(state, message);
        Ok(())
    }

    /// Goes on to a state without a word, for the hold.
    ///
    /// # Errors
    ///
    /// As [`SessionInner::enter`].
    pub(crate) async fn enter_quietly(&self, state: SetState) -> VssResult<()> {
        self.cancel.check()?;
        let before = self.standing().0;
        let passed = tokio::select! {
            biased;
            cancelled = self.cancel.requested() => Err(cancelled),
            passed = self.pass(state) => passed,
        };
        if passed.is_err() {
            lock(&self.standing).0 = before;
        }
        passed
    }

    /// Shows the state, and stops at its fail point.
    pub(crate) async fn pass(&self, state: SetState) -> VssResult<()> {
        lock(&self.standing).0 = state;
        fail_point(state).await
    }

    pub(crate) fn announce(&self, state: SetState, message: &str) {
        // Nobody may be listening.
        let _ = self.progress.send(Progress {
            state,
            message: message.to_owned(),
        });
    }
}

impl State {
    pub(super) fn with_writers(&self) -> bool {
        self.context.has_writers() && self.selection != WriterSelection::None
    }

    pub(super) fn remember_told(&mut self, participants: &[Participant]) {
        let known = self.told.iter().map(|one| one.identity.instance);
        let mut known: HashSet<_> = known.collect();
        for one in participants.iter().filter(|one| one.told) {
            if known.insert(one.listener.identity.instance) {
                self.told.push(one.listener.clone());
            }
        }
    }
}

/// Stops or fails here where a test asks for it; off the event loop, since it
/// may sleep.
#[cfg(feature = "failpoints")]
async fn fail_point(state: SetState) -> VssResult<()> {
    crate::blocking::off_loop(move || {
        fail::fail_point!(&format!("set::{state}"), |_| Err(VssError::new(
            umbra_model::VssCode::Unexpected,
            format!("the fail point set::{state} is on"),
        )));
        Ok(())
    })
    .await
}

#[cfg(not(feature = "failpoints"))]
async fn fail_point(_: SetState) -> VssResult<()> {
    Ok(())
}
