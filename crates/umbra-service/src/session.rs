//! A requester's session (`IVssBackupComponents`) and its calls.

mod components;
mod ending;
mod making;
mod restoring;
mod standing;

pub use components::RestoreReport;
pub(crate) use standing::SessionInner;

use crate::{
    Progress, SetState, WriterReport, WriterSelection,
    blocking::within,
    cancel::{Cancel, CancelReason},
    copies::{Begun, CopyInMaking},
    order::Call,
    reconcile::Depth,
    service::lock,
    set::{InCatalog, SetInMaking},
    taking_part::{Absence, Assessment},
    writers::Gathering,
};
use ending::give_up_when_idle;
use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{runtime::Handle, sync::broadcast};
use umbra_model::{
    Context, SessionId, SetId, ShadowCopyId, ShadowCopySet, Volume, VssCode, VssError, VssResult,
};
use umbra_provider::MountSource;
use umbra_writer::BackupOutcome;

/// The most volumes in one set, as in VSS.
const MAX_VOLUMES: usize = 64;

/// A session. One call at a time; others wait for it. Dropping it aborts the set
/// in the making and deletes auto-release copies, in a task that
/// [`crate::Service::stop`] waits for.
///
/// One session makes one set; a set that failed may be tried again.
pub struct Session {
    inner: Arc<SessionInner>,
    runtime: Option<Handle>,
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
        let gathered = self.gather().await?;
        let report = self.inner.service.writers.report(&gathered);
        state.gathered = Some(Arc::new(gathered));
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
            let gathered = match &state.gathered {
                Some(gathered) => Arc::clone(gathered),
                None => Arc::new(self.gather().await?),
            };
            state.gathered = Some(Arc::clone(&gathered));
            selection.check(&gathered.writers)?;
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
        if let Some(document) = &mut state.document {
            document.set_snapshot_set(id);
        }
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

    /// Decides which writers take part, and tells them (`PrepareForBackup`): those of
    /// the components that were chosen, or every selected one with data on the
    /// volumes. A failure aborts the set.
    ///
    /// # Errors
    ///
    /// `VSS_E_BAD_STATE`; a writer's failure; what
    /// [`Session::choose_components`] says of components that were there when they
    /// were chosen and are not any more; `VSS_E_UNSELECTED_VOLUME` for a
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
        let copies = state
            .made
            .iter()
            .flat_map(|made| &made.set)
            .flat_map(|set| &set.copies);
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
    /// `SetBackupSucceeded`). Components of which nothing is said yet ended so.
    ///
    /// May come right after PrepareForBackup where no file is needed from a shadow
    /// copy ("Overview of Pre-Backup Tasks"); no set is made then.
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

    async fn gather(&self) -> VssResult<Gathering> {
        let service = &self.inner.service;
        tokio::select! {
            biased;
            cancelled = self.inner.cancel.requested() => Err(cancelled),
            gathered = service.writers.gather(service.limits.identify) => Ok(gathered),
        }
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
