//! The service as a whole: what it has, and what is not about one session.

use crate::{
    Limits, Mounter, Requester, ServiceParts, ServiceStatus, Session, SessionReport,
    StateDirectory, VolumeReport, WriterRegistration, WriterReport,
    blocking::{off_loop, within},
    cancel::CancelReason,
    catalog::{Catalog, code_of},
    owner::OwnerLock,
    queue::Queue,
    reconcile::{self, Depth},
    session::SessionInner,
    tasks::Tasks,
    writers::Writers,
};
use std::{
    collections::{HashMap, HashSet},
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::task::JoinSet;
use umbra_model::{
    HoldMethod, ProviderId, SessionId, SetId, ShadowCopyId, ShadowCopySet, Volume, VssCode,
    VssError, VssResult,
};
use umbra_provider::{Provider, ProviderProperties, Support, Surface};
use umbra_volume::Volumes;
use umbra_writer::Writer;

/// The Volume Shadow Copy Service. Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct Service {
    pub(crate) inner: Arc<ServiceInner>,
}

/// What all clones share.
pub(crate) struct ServiceInner {
    pub(crate) limits: Limits,
    pub(crate) volumes: Arc<dyn Volumes>,
    /// In the order in which they are asked.
    pub(crate) providers: Vec<Arc<dyn Provider>>,
    pub(crate) writers: Writers,
    pub(crate) mounter: Arc<dyn Mounter>,
    pub(crate) directory: StateDirectory,
    pub(crate) catalog: Catalog,
    pub(crate) queue: Queue,
    pub(crate) owner: OwnerLock,
    pub(crate) held: Held,
    pub(crate) active: ActiveSets,
    pub(crate) tasks: Tasks,
    /// Copies that were made mountable, until they are let go of.
    pub(crate) surfaces: Mutex<HashMap<ShadowCopyId, Surface>>,
    /// Exposing and deleting come one at a time.
    pub(crate) administration: tokio::sync::Mutex<()>,
    sessions: Mutex<Sessions>,
    reconciled: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Sessions {
    open: Vec<(SessionId, Weak<SessionInner>)>,
    stopping: bool,
}

/// The volumes inside a hold now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    now: Arc<Mutex<Vec<PathBuf>>>,
}

/// Volumes are inside a hold while this lives.
pub(crate) struct HeldNow {
    held: Held,
}

impl Held {
    pub(crate) fn while_alive(&self, mount_points: Vec<PathBuf>) -> HeldNow {
        *lock(&self.now) = mount_points;
        HeldNow { held: self.clone() }
    }
}

impl Drop for HeldNow {
    fn drop(&mut self) {
        lock(&self.held.now).clear();
    }
}

/// The sets that a living session, or a late undo, of this service looks after.
/// Reconciliation leaves them alone.
#[derive(Debug, Default)]
pub(crate) struct ActiveSets {
    sets: Mutex<HashSet<SetId>>,
}

impl ActiveSets {
    pub(crate) fn add(&self, set: SetId) {
        lock(&self.sets).insert(set);
    }

    pub(crate) fn remove(&self, set: SetId) {
        lock(&self.sets).remove(&set);
    }

    pub(crate) fn contains(&self, set: SetId) -> bool {
        lock(&self.sets).contains(&set)
    }
}

impl Service {
    /// A service with these parts. Makes its directories; call
    /// [`Service::reconcile`] before the first session.
    ///
    /// # Errors
    ///
    /// The directories cannot be made, or two providers have the same id
    /// (`VSS_E_PROVIDER_ALREADY_REGISTERED`).
    pub fn new(parts: ServiceParts) -> VssResult<Self> {
        let mut providers = parts.providers;
        providers.sort_by_key(|provider| provider.properties().kind);
        let mut ids = HashSet::new();
        for provider in &providers {
            let properties = provider.properties();
            if !ids.insert(properties.id) {
                return Err(VssError::new(
                    VssCode::ProviderAlreadyRegistered,
                    format!(
                        "the provider {} has the id {} of another provider",
                        properties.name, properties.id
                    ),
                ));
            }
        }
        make_directory(&parts.directory.state, 0o700)?;
        make_directory(&parts.directory.runtime, 0o755)?;
        let owner = OwnerLock::take(&parts.directory.runtime)?;
        Ok(Self {
            inner: Arc::new(ServiceInner {
                limits: parts.limits,
                volumes: parts.volumes,
                providers,
                writers: Writers::new(parts.writer_sources),
                mounter: parts.mounter,
                catalog: Catalog::new(&parts.directory.state),
                queue: Queue::new(parts.directory.runtime.join("set.lock")),
                directory: parts.directory,
                owner,
                held: Held::default(),
                active: ActiveSets::default(),
                tasks: Tasks::new(),
                surfaces: Mutex::default(),
                administration: tokio::sync::Mutex::default(),
                sessions: Mutex::default(),
                reconciled: Mutex::default(),
            }),
        })
    }

    /// Brings catalog and providers together, at start: removes what services
    /// that have ended left half made, deletes auto-release copies whose owner
    /// is gone, finds copies that are lost. Gives back a line for each thing done
    /// or found; [`Service::status`] shows them too.
    ///
    /// # Errors
    ///
    /// The catalog cannot be read.
    pub async fn reconcile(&self) -> VssResult<Vec<String>> {
        self.inner.reconcile(Depth::Everything).await
    }

    /// Opens a session (`InitializeForBackup`).
    pub fn open_session(&self, requester: Requester) -> Session {
        let session = SessionInner::new(Arc::clone(&self.inner), requester);
        let mut sessions = lock(&self.inner.sessions);
        if sessions.stopping {
            session.cancel.request(CancelReason::ServiceStopping);
        }
        sessions.open.push((session.id, Arc::downgrade(&session)));
        Session::new(session)
    }

    /// Registers a writer (`CVssWriter::Subscribe`) that runs at `origin`.
    ///
    /// # Errors
    ///
    /// `VSS_E_WRITER_ALREADY_SUBSCRIBED` for an instance that is registered,
    /// `E_INVALIDARG` for a name that breaks the rules.
    pub fn register_writer(
        &self,
        writer: Arc<dyn Writer>,
        origin: String,
    ) -> VssResult<WriterRegistration> {
        self.inner.writers.register(writer, origin)
    }

    /// Every mounted file system, and which provider would copy it.
    ///
    /// # Errors
    ///
    /// The mount table cannot be read.
    pub async fn volumes(&self) -> VssResult<Vec<VolumeReport>> {
        let inner = Arc::clone(&self.inner);
        let what = || "listing the volumes".to_owned();
        within(self.inner.limits.provider, what, move || {
            let listings = inner.volumes.list()?;
            Ok(listings
                .into_iter()
                .map(|listing| {
                    let provider = match &listing.volume {
                        Ok(volume) => inner
                            .choose_provider(volume)
                            .map(|(provider, method)| (provider.properties().name, method)),
                        Err(why) => Err(why.clone()),
                    };
                    VolumeReport { listing, provider }
                })
                .collect())
        })
        .await
    }

    /// The providers, in the order in which they are asked (`QueryProviders`).
    pub fn providers(&self) -> Vec<ProviderProperties> {
        let providers = self.inner.providers.iter();
        providers
            .map(|provider| provider.properties().clone())
            .collect()
    }

    /// The writers there are now, after asking each to identify itself.
    pub async fn writers(&self) -> Vec<WriterReport> {
        let writers = &self.inner.writers;
        let gathered = writers.gather(self.inner.limits.identify).await;
        writers.report(&gathered)
    }

    /// The finished sets, oldest first (`Query`).
    ///
    /// # Errors
    ///
    /// The catalog cannot be read.
    pub async fn sets(&self) -> VssResult<Vec<ShadowCopySet>> {
        self.inner.finished_sets().await
    }

    /// How the service is.
    pub fn status(&self) -> ServiceStatus {
        let open = lock(&self.inner.sessions).open.clone();
        let sessions = open.iter().filter_map(|(_, session)| session.upgrade());
        ServiceStatus {
            sessions: sessions
                .map(|session| {
                    let (state, set) = session.standing();
                    SessionReport {
                        id: session.id,
                        requester: session.requester.clone(),
                        state,
                        set,
                    }
                })
                .collect(),
            connected_writers: self.inner.writers.registered(),
            held: lock(&self.inner.held.now).clone(),
            reconciled: lock(&self.inner.reconciled).clone(),
        }
    }

    /// Gives up the set in the making of every session
    /// (`IVssAdmin::AbortAllSnapshotsInProgress`), and says how many sets these are.
    /// They are undone when this comes back, or soon after; the sessions go on.
    ///
    /// Called on a runtime.
    pub fn abort_all(&self) -> usize {
        let open = lock(&self.inner.sessions).open.clone();
        let sessions = open.iter().filter_map(|(_, session)| session.upgrade());
        sessions.filter(|session| session.abort_set()).count()
    }

    /// Ends every session, aborting the set in the making, and waits until all
    /// is cleaned up. Sessions opened later can start no set.
    pub async fn stop(&self) {
        let open = {
            let mut sessions = lock(&self.inner.sessions);
            sessions.stopping = true;
            sessions.open.clone()
        };
        let mut closing = JoinSet::new();
        for session in open.iter().filter_map(|(_, session)| session.upgrade()) {
            closing.spawn(async move {
                if let Err(error) = session.close(CancelReason::ServiceStopping).await {
                    session.warn_of(&error);
                }
            });
        }
        while closing.join_next().await.is_some() {}
        self.inner.tasks.ended().await;
    }
}

impl ServiceInner {
    /// The first provider that can copy a volume, or why none can.
    pub(crate) fn choose_provider(
        &self,
        volume: &Volume,
    ) -> Result<(Arc<dyn Provider>, HoldMethod), String> {
        let mut reasons = Vec::new();
        for provider in &self.providers {
            match provider.is_volume_supported(volume) {
                Support::Supported(method) => return Ok((Arc::clone(provider), method)),
                Support::Unsupported(why) => {
                    reasons.push(format!("{}: {why}", provider.properties().name));
                }
            }
        }
        if reasons.is_empty() {
            reasons.push("there is no provider".to_owned());
        }
        Err(reasons.join("; "))
    }

    pub(crate) fn find_provider(&self, id: ProviderId) -> Option<Arc<dyn Provider>> {
        let mut providers = self.providers.iter();
        let found = providers.find(|provider| provider.properties().id == id);
        found.cloned()
    }

    /// The provider that keeps a copy.
    pub(crate) fn provider(&self, id: ProviderId) -> VssResult<Arc<dyn Provider>> {
        self.find_provider(id).ok_or_else(|| {
            VssError::new(
                VssCode::ProviderNotRegistered,
                format!("the provider {id}, which keeps the copy, is not there"),
            )
        })
    }

    pub(crate) async fn finished_sets(&self) -> VssResult<Vec<ShadowCopySet>> {
        let catalog = self.catalog.clone();
        let records = off_loop(move || catalog.read()).await?;
        let mut sets: Vec<_> = records
            .iter()
            .filter_map(|record| record.finished().cloned())
            .collect();
        sets.sort_by_key(|set| (set.instant, set.id));
        Ok(sets)
    }

    pub(crate) async fn reconcile(self: &Arc<Self>, depth: Depth) -> VssResult<Vec<String>> {
        let service = Arc::clone(self);
        let lines = off_loop(move || reconcile::reconcile(&service, depth)).await?;
        let mut known = lock(&self.reconciled);
        for line in &lines {
            tracing::info!("{line}");
            // What cannot be removed is tried, and said, again and again.
            if !known.contains(line) {
                known.push(line.clone());
            }
        }
        Ok(lines)
    }

    pub(crate) fn session_ended(&self, id: SessionId) {
        lock(&self.sessions).open.retain(|(open, _)| *open != id);
    }

    /// Lets go of a copy that was made mountable. Blocks.
    pub(crate) fn drop_surface(&self, id: ShadowCopyId) {
        let surface = lock(&self.surfaces).remove(&id);
        drop(surface);
    }
}

fn make_directory(path: &Path, mode: u32) -> VssResult<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| {
            VssError::new(
                code_of(&error),
                format!("cannot make the directory {}", path.display()),
            )
            .caused_by(error)
        })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
