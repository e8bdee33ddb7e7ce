//! A requester's session (`IVssBackupComponents`): its calls, and how it ends.

use crate::{
    Progress, Requester, SetState, WriterReport, WriterSelection,
    blocking::{contained, within},
    cancel::{Cancel, CancelReason},
    copies::{Begun, CopyInMaking},
    create::Making,
    messages::{Message, Patience, first, tell},
    order::{self, Call, bad_state},
    reconcile::Depth,
    service::{ServiceInner, lock},
    set::{InCatalog, Participant, SetInMaking},
    taking_part::{self, Absence, Assessment},
    undo,
    writers::Gathered,
};
use std::{
    future::Future,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedMutexGuard, broadcast},
    time::{Instant, sleep_until},
};
use umbra_model::{
    Context, SessionId, SetId, ShadowCopyId, ShadowCopySet, Volume, VssCode, VssError, VssResult,
};
use umbra_provider::MountSource;
use umbra_writer::{BackupOutcome, SetEvent};

/// The most volumes in one set, as in VSS.
const MAX_VOLUMES: usize = 64;
/// How many progress messages a slow reader may be behind.
const PROGRESS: usize = 64;

/// A session. One call at a time; others wait for it. Dropping it aborts the set
/// in the making and deletes auto-release copies, in a task that
/// [`crate::Service::stop`] waits for.
///
/// One session makes one set; a set that failed may be tried again.
pub struct Session {
    inner: Arc<SessionInner>,
    runtime: Option<Handle>,
}

/// What the session's tasks share with it.
pub(crate) struct SessionInner {
    pub(crate) id: SessionId,
    pub(crate) requester: Requester,
    pub(crate) cancel: Cancel,
    service: Arc<ServiceInner>,
    progress: broadcast::Sender<Progress>,
    /// Seen from outside while a call has the state.
    standing: Mutex<(SetState, Option<SetId>)>,
    last_call: Mutex<Instant>,
    state: Arc<tokio::sync::Mutex<State>>,
}

/// What a call works on.
struct State {
    context: Context,
    selection: WriterSelection,
    gathered: Option<Vec<Gathered>>,
    making: Option<SetInMaking>,
    made: Option<Made>,
    /// Writers that were told of a backup, and are to be told that it is over.
    told: Vec<Participant>,
    /// Why a set was given up between two calls.
    given_up: Option<String>,
}

/// The set that was made.
struct Made {
    set: ShadowCopySet,
    participants: Vec<Participant>,
}

/// The state, while one call has it.
struct InCall {
    state: OwnedMutexGuard<State>,
    session: Arc<SessionInner>,
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

/// Gives the set up when a call's future is dropped.
struct CancelOnDrop<'a>(Option<&'a Cancel>);

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(cancel) = self.0 {
            cancel.request(CancelReason::RequesterGone);
        }
    }
}

impl Session {
    pub(crate) fn new(inner: Arc<SessionInner>) -> Self {
        Self {
            inner,
            runtime: Handle::try_current().ok(),
        }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.inner.id
    }

    /// What happens from now on. Nothing is sent while file systems are held.
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.inner.progress.subscribe()
    }

    /// What the set is for (`SetContext`), before anything else in the session;
    /// `VSS_CTX_BACKUP` where it is not called.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`, or `VSS_E_UNSUPPORTED_CONTEXT` for `VSS_CTX_ALL`,
    /// which no set can be made in.
    pub async fn set_context(&self, context: Context) -> VssResult<()> {
        let mut state = self.inner.call(Call::SetContext).await?;
        if context == Context::All {
            return Err(VssError::new(
                VssCode::UnsupportedContext,
                "no shadow copy set can be made in the context VSS_CTX_ALL; \
                 choose one such as VSS_CTX_BACKUP",
            ));
        }
        state.context = context;
        self.inner
            .enter(SetState::Initialized, context.name())
            .await
    }

    /// Asks every writer to identify itself (`GatherWriterMetadata`). A writer
    /// that fails is reported and does not take part.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`.
    pub async fn gather_writer_metadata(&self) -> VssResult<Vec<WriterReport>> {
        let mut state = self.inner.call(Call::GatherWriterMetadata).await?;
        let service = &self.inner.service;
        let gathered = service.writers.gather(service.limits.identify).await;
        let report = service.writers.report(&gathered);
        state.gathered = Some(gathered);
        if self.inner.standing().0 == SetState::Idle {
            self.inner
                .enter(SetState::Initialized, "writers are known")
                .await?;
        }
        Ok(report)
    }

    /// Which writers take part; all of them where it is not called. Asks the
    /// writers to identify themselves where names are given and nobody has yet.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`; `VSS_E_OBJECT_NOT_FOUND` for a name that no writer has;
    /// `E_INVALIDARG` for names in a context without writers.
    pub async fn select_writers(&self, selection: WriterSelection) -> VssResult<()> {
        let mut state = self.inner.call(Call::SelectWriters).await?;
        if matches!(selection, WriterSelection::Only(_)) && !state.context.has_writers() {
            return Err(VssError::new(
                VssCode::InvalidArgument,
                format!(
                    "writers were named, but the context {} is one without writers; \
                     choose VSS_CTX_BACKUP or VSS_CTX_APP_ROLLBACK",
                    state.context
                ),
            ));
        }
        if !selection.names().is_empty() {
            let service = &self.inner.service;
            let gathered = match state.gathered.take() {
                Some(gathered) => gathered,
                None => service.writers.gather(service.limits.identify).await,
            };
            let checked = selection.check(&gathered);
            state.gathered = Some(gathered);
            checked?;
        }
        state.selection = selection;
        if self.inner.standing().0 == SetState::Idle {
            self.inner
                .enter(SetState::Initialized, "writers are selected")
                .await?;
        }
        Ok(())
    }

    /// Starts a set (`StartSnapshotSet`). Waits for its turn; the turn lasts until
    /// the set is made or given up.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`; `VSS_E_SNAPSHOT_SET_IN_PROGRESS`, naming who has the
    /// turn, when the wait is over; the catalog cannot be read.
    pub async fn start_snapshot_set(&self) -> VssResult<SetId> {
        let mut state = self.inner.call(Call::StartSnapshotSet).await?;
        let inner = &self.inner;
        let service = &inner.service;
        inner.cancel.forget_dropped_call();
        let wait = service.limits.wait_for_set;
        let turn = service
            .queue
            .turn(&inner.requester, wait, &inner.cancel)
            .await?;
        service.reconcile(Depth::Leftovers).await?;
        let id = SetId::random();
        inner
            .enter(SetState::SetStarted, "a set is started")
            .await?;
        state.given_up = None;
        state.making = Some(SetInMaking {
            id,
            context: state.context,
            copies: Vec::new(),
            participants: Vec::new(),
            assessment: Assessment::without(if state.context.has_writers() {
                Absence::NoneSelected
            } else {
                Absence::Context
            }),
            hold: None,
            late_hold: None,
            in_catalog: InCatalog::No,
            _turn: turn,
        });
        service.active.add(id);
        lock(&inner.standing).1 = Some(id);
        tokio::spawn(give_up_when_idle(Arc::downgrade(inner), id));
        Ok(id)
    }

    /// Adds a volume by mount point, block device or volume id
    /// (`AddToSnapshotSet`): chooses its provider and the copy's place. A volume
    /// that cannot be added leaves the set as it was.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`; `VSS_E_OBJECT_NOT_FOUND` for no volume;
    /// `VSS_E_VOLUME_NOT_SUPPORTED` where no provider can copy it;
    /// `VSS_E_OBJECT_ALREADY_EXISTS` for a volume that is in the set;
    /// `VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED` for more than 64.
    pub async fn add_to_snapshot_set(&self, volume: &Path) -> VssResult<(ShadowCopyId, Volume)> {
        let mut state = self.inner.call(Call::AddToSnapshotSet).await?;
        let making = state.making.as_mut().ok_or_else(no_set)?;
        if making.copies.len() >= MAX_VOLUMES {
            return Err(VssError::new(
                VssCode::MaximumNumberOfVolumesReached,
                format!(
                    "cannot add {}: the set has {MAX_VOLUMES} volumes already; make a second set",
                    volume.display()
                ),
            ));
        }
        let service = Arc::clone(&self.inner.service);
        let name = volume.to_owned();
        let what = || format!("choosing a provider for {}", volume.display());
        let there: Vec<_> = making
            .volumes()
            .into_iter()
            .map(|volume| volume.id)
            .collect();
        let copy = within(self.inner.service.limits.provider, what, move || {
            let volume = service.volumes.resolve(&name)?;
            if there.contains(&volume.id) {
                return Err(VssError::new(
                    VssCode::ObjectAlreadyExists,
                    format!("{} is in the set already; name it once", name.display()),
                ));
            }
            let (provider, method) = service.choose_provider(&volume).map_err(|why| {
                VssError::new(
                    VssCode::VolumeNotSupported,
                    format!(
                        "no provider can copy {} ({} on {}): {why}",
                        volume.mount_point.display(),
                        volume.file_system,
                        volume.device.display()
                    ),
                )
            })?;
            let id = ShadowCopyId::random();
            let location = provider.location(id, &volume)?;
            Ok(CopyInMaking {
                id,
                volume,
                provider,
                location,
                method,
                pending: None,
                late: None,
                begun: Begun::No,
            })
        })
        .await?;
        let added = (copy.id, copy.volume.clone());
        making.copies.push(copy);
        Ok(added)
    }

    /// Decides which writers take part, and tells them (`PrepareForBackup`). A
    /// failure aborts the set.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`; a writer's failure; `VSS_E_UNSELECTED_VOLUME` for a
    /// writer that was named and has no whole component on the volumes.
    pub async fn prepare_for_backup(&self) -> VssResult<()> {
        self.uninterrupted(Arc::clone(&self.inner).prepare_for_backup())
            .await
    }

    /// Makes the set (`DoSnapshotSet`). Dropping the future aborts the set.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`, or the first failure on the way with what failed while
    /// undoing attached. Nothing is kept then.
    pub async fn do_snapshot_set(&self) -> VssResult<ShadowCopySet> {
        self.uninterrupted(Arc::clone(&self.inner).do_snapshot_set())
            .await
    }

    /// Makes a copy of this session's set mountable until the session ends, and
    /// says how to mount it and which device it has.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`; `VSS_E_OBJECT_NOT_FOUND` for a copy that is not of this
    /// session's set; what the provider failed with.
    pub async fn surface(&self, id: ShadowCopyId) -> VssResult<(MountSource, Option<PathBuf>)> {
        let state = self.inner.call(Call::Surface).await?;
        let copies = state.made.iter().flat_map(|made| &made.set.copies);
        let found = copies.into_iter().find(|copy| copy.id == id).cloned();
        let copy = found.ok_or_else(|| {
            VssError::new(
                VssCode::ObjectNotFound,
                format!("the shadow copy {id} is not of this session's set"),
            )
        })?;
        let service = Arc::clone(&self.inner.service);
        let what = || format!("surfacing the shadow copy {id}");
        within(self.inner.service.limits.provider, what, move || {
            if let Some(there) = lock(&service.surfaces).get(&id) {
                return Ok((there.mount.clone(), there.device.clone()));
            }
            let surface = service.provider(copy.provider)?.surface(&copy)?;
            let how = (surface.mount.clone(), surface.device.clone());
            lock(&service.surfaces).insert(id, surface);
            Ok(how)
        })
        .await
    }

    /// Tells the writers how the backup ended (`BackupComplete`,
    /// `SetBackupSucceeded`).
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`, or writers' failures; all are told in any case.
    pub async fn backup_complete(&self, outcome: BackupOutcome) -> VssResult<()> {
        self.uninterrupted(Arc::clone(&self.inner).backup_complete(outcome))
            .await
    }

    /// Ends the session and waits until it is cleaned up: a set in the making is
    /// aborted; a backup that was not completed counts as failed towards the
    /// writers; BackupShutdown; auto-release copies are deleted. A second call
    /// does nothing.
    ///
    /// # Errors
    ///
    /// Everything that failed on the way; what is left is in the catalog and is
    /// tried again before the next set.
    pub async fn close(&self) -> VssResult<()> {
        self.inner.close(CancelReason::SessionClosed).await
    }

    /// Runs a call to its end, on its own; where the caller goes away, the set is
    /// given up, in order.
    async fn uninterrupted<T: Send + 'static>(
        &self,
        call: impl Future<Output = VssResult<T>> + Send + 'static,
    ) -> VssResult<T> {
        let running = self.inner.service.tasks.begin();
        let mut guard = CancelOnDrop(Some(&self.inner.cancel));
        let result = tokio::spawn(async move {
            let result = call.await;
            drop(running);
            result
        })
        .await;
        guard.0 = None;
        result.unwrap_or_else(|panic| Err(broke_off().caused_by(panic)))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.inner.standing().0 == SetState::Closed {
            return;
        }
        let Some(runtime) = &self.runtime else {
            return;
        };
        self.inner.cancel.request(CancelReason::SessionClosed);
        let inner = Arc::clone(&self.inner);
        let running = inner.service.tasks.begin();
        runtime.spawn(async move {
            if let Err(error) = inner.close(CancelReason::SessionClosed).await {
                inner.warn_of(&error);
            }
            drop(running);
        });
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
                making: None,
                made: None,
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
    async fn call(self: &Arc<Self>, call: Call) -> VssResult<InCall> {
        let mut state = InCall {
            state: Arc::clone(&self.state).lock_owned().await,
            session: Arc::clone(self),
        };
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

    async fn prepare_for_backup(self: Arc<Self>) -> VssResult<()> {
        let mut state = self.call(Call::PrepareForBackup).await?;
        let state = &mut *state;
        let with_writers = state.with_writers();
        let making = state.making.as_mut().ok_or_else(no_set)?;
        if making.copies.is_empty() {
            return Err(bad_state(Call::PrepareForBackup, "AddToSnapshotSet"));
        }
        if with_writers && state.gathered.is_none() {
            return Err(bad_state(Call::PrepareForBackup, "GatherWriterMetadata"));
        }
        let result = contained(self.prepare_writers(state)).await;
        self.settle(state, result).await
    }

    async fn prepare_writers(&self, state: &mut State) -> VssResult<()> {
        self.enter(
            SetState::PreparingForBackup,
            "writers are told of the backup",
        )
        .await?;
        let making = state.making.as_mut().ok_or_else(no_set)?;
        // Also where none was selected: those with data there are named then.
        if let (true, Some(gathered)) = (state.context.has_writers(), &state.gathered) {
            let volumes = Arc::clone(&self.service.volumes);
            let (set, known) = (making.volumes(), gathered.clone());
            let selection = state.selection.clone();
            let what = || "finding the writers' volumes".to_owned();
            let assessed = within(self.service.limits.provider, what, move || {
                taking_part::assess(&known, &selection, &set, volumes.as_ref())
            });
            let (taking_part, assessment) = assessed.await?;
            making.assessment = assessment;
            let volumes = making.volumes();
            making.participants = taking_part
                .into_iter()
                .filter_map(|one| {
                    let writer = gathered.get(one.index)?;
                    Some(Participant {
                        writer: Arc::clone(&writer.writer),
                        identity: writer.identity.clone(),
                        level: one.level,
                        event: SetEvent {
                            session: self.id,
                            set: making.id,
                            volumes: volumes.clone(),
                            components: one.components,
                        },
                        told: false,
                    })
                })
                .collect();
        }
        let patience = Patience {
            limit: self.service.limits.prepare_for_backup,
            window: None,
            cancel: Some(&self.cancel),
        };
        let participants = making.participants.iter_mut();
        let message = Message::PrepareForBackup;
        first(tell(&self.service.writers, participants, message, patience).await)?;
        self.enter(SetState::PreparedForBackup, "writers are prepared")
            .await
    }

    async fn do_snapshot_set(self: Arc<Self>) -> VssResult<ShadowCopySet> {
        let mut state = self.call(Call::DoSnapshotSet).await?;
        let state = &mut *state;
        let with_writers = state.with_writers();
        let making = state.making.as_mut().ok_or_else(no_set)?;
        if making.copies.is_empty() {
            return Err(bad_state(Call::DoSnapshotSet, "AddToSnapshotSet"));
        }
        if with_writers && self.standing().0 == SetState::SetStarted {
            return Err(bad_state(Call::DoSnapshotSet, "PrepareForBackup"));
        }
        let mut making = Making {
            service: &self.service,
            session: &self,
            set: making,
        };
        let result = contained(making.make()).await;
        let set = self.settle(state, result).await?;
        if let Some(making) = state.making.take() {
            state.remember_told(&making.participants);
            state.made = Some(Made {
                set: set.clone(),
                participants: making.participants,
            });
        }
        // It is made, whoever went away meanwhile: the end of the session deals
        // with it.
        let _ = self.pass(SetState::Created).await;
        tracing::info!(session = %self.id, set = %set.id, "the shadow copy set is made");
        self.announce(SetState::Created, &set.consistency.reason);
        Ok(set)
    }

    /// After a failure, takes the set through the abort path.
    async fn settle<T>(&self, state: &mut State, result: VssResult<T>) -> VssResult<T> {
        let cause = match result {
            Ok(value) => return Ok(value),
            Err(cause) => cause,
        };
        let Some(making) = state.making.take() else {
            return Err(cause);
        };
        state.remember_told(&making.participants);
        let error = undo::abort(&self.service, self, making, cause).await;
        *lock(&self.standing) = (SetState::Initialized, None);
        Err(error)
    }

    async fn backup_complete(self: Arc<Self>, outcome: BackupOutcome) -> VssResult<()> {
        let mut state = self.call(Call::BackupComplete).await?;
        let failures = self.tell_backup_complete(&mut state, outcome).await;
        self.enter(SetState::BackupComplete, "the backup is complete")
            .await?;
        first(failures)
    }

    async fn tell_backup_complete(
        &self,
        state: &mut State,
        outcome: BackupOutcome,
    ) -> Vec<VssError> {
        let participants = state
            .made
            .iter_mut()
            .flat_map(|made| &mut made.participants);
        let patience = Patience::hear_all(self.service.limits.backup_complete);
        let message = Message::BackupComplete(outcome);
        tell(&self.service.writers, participants, message, patience).await
    }

    /// Ends the session, on its own, so that nobody can interrupt it.
    pub(crate) async fn close(self: &Arc<Self>, reason: CancelReason) -> VssResult<()> {
        self.cancel.request(reason);
        let inner = Arc::clone(self);
        let running = self.service.tasks.begin();
        let closing = tokio::spawn(async move {
            let mut state = Arc::clone(&inner.state).lock_owned().await;
            let failures = inner.clean_up(&mut state).await;
            drop(running);
            first(failures)
        });
        closing
            .await
            .unwrap_or_else(|panic| Err(broke_off().caused_by(panic)))
    }

    async fn clean_up(&self, state: &mut State) -> Vec<VssError> {
        let stands = self.standing().0;
        if stands == SetState::Closed {
            return Vec::new();
        }
        let mut failures = Vec::new();
        if let Err(gone) = self.cancel.check()
            && state.making.is_some()
        {
            let ended: VssResult<()> = self.settle(state, Err(gone)).await;
            failures.extend(ended.err().iter().flat_map(|error| error.later().to_vec()));
        }
        if stands == SetState::Created {
            failures.extend(
                self.tell_backup_complete(state, BackupOutcome::Failed)
                    .await,
            );
        }
        let patience = Patience::hear_all(self.service.limits.backup_shutdown);
        let told = state.told.iter_mut();
        let message = Message::BackupShutdown;
        failures.extend(tell(&self.service.writers, told, message, patience).await);
        if let Some(made) = state.made.take() {
            failures.extend(self.let_go(made.set.id, state.context).await);
        }
        let _ = self.pass(SetState::Closed).await;
        self.service.session_ended(self.id);
        tracing::info!(session = %self.id, "the session is closed");
        self.announce(SetState::Closed, "the session is closed");
        failures
    }

    /// Lets go of the set's copies, and deletes them where they go with the
    /// session.
    async fn let_go(&self, set: SetId, context: Context) -> Vec<VssError> {
        let mut failures = Vec::new();
        let _alone = self.service.administration.lock().await;
        // As the catalog has them: one may be exposed, or deleted, meanwhile.
        match self.service.finished_sets().await {
            Ok(sets) => {
                let copies = sets.into_iter().filter(|one| one.id == set);
                for copy in copies.flat_map(|set| set.copies) {
                    failures.extend(if context.is_auto_release() {
                        self.service.delete_copy(copy).await.err()
                    } else {
                        let service = Arc::clone(&self.service);
                        let what = || "letting go of a shadow copy".to_owned();
                        let limit = self.service.limits.provider;
                        let dropped = within(limit, what, move || {
                            service.drop_surface(copy.id);
                            Ok(())
                        });
                        dropped.await.err()
                    });
                }
            }
            Err(error) => failures.push(error),
        }
        self.service.active.remove(set);
        failures
    }
}

impl State {
    fn with_writers(&self) -> bool {
        self.context.has_writers() && self.selection != WriterSelection::None
    }

    fn remember_told(&mut self, participants: &[Participant]) {
        for one in participants.iter().filter(|one| one.told) {
            let instance = one.identity.instance;
            if !self
                .told
                .iter()
                .any(|known| known.identity.instance == instance)
            {
                self.told.push(one.clone());
            }
        }
    }
}

/// Gives a set up whose requester makes no call, so that others get their turn.
async fn give_up_when_idle(session: Weak<SessionInner>, set: SetId) {
    loop {
        let Some(live) = session.upgrade() else {
            return;
        };
        let limit = live.service.limits.idle_set;
        let end = *lock(&live.last_call) + limit;
        if Instant::now() >= end
            && let Ok(mut state) = Arc::clone(&live.state).try_lock_owned()
        {
            if state.making.as_ref().is_some_and(|making| making.id == set) {
                let why = format!(
                    "the set was given up after {} s without a call",
                    limit.as_secs()
                );
                state.given_up = Some(why.clone());
                let running = live.service.tasks.begin();
                let cause = VssError::new(VssCode::BadState, why);
                let ended: VssResult<()> = live.settle(&mut state, Err(cause)).await;
                if let Err(error) = ended {
                    live.warn_of(&error);
                }
                drop(running);
            }
            return;
        }
        drop(live);
        // A call that is running now counts from its end.
        sleep_until(end.max(Instant::now() + limit / 10)).await;
    }
}

/// Stops or fails here where a test asks for it; off the event loop, since it
/// may sleep.
#[cfg(feature = "failpoints")]
async fn fail_point(state: SetState) -> VssResult<()> {
    crate::blocking::off_loop(move || {
        fail::fail_point!(&format!("set::{state}"), |_| Err(VssError::new(
            VssCode::Unexpected,
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

fn no_set() -> VssError {
    VssError::new(
        VssCode::BadState,
        "there is no set in the making; StartSnapshotSet was expected",
    )
}

fn broke_off() -> VssError {
    VssError::new(
        VssCode::Unexpected,
        "a call of the session broke off; this is a defect of Umbra",
    )
}
