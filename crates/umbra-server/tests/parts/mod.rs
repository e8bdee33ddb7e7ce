//! A real service with the smallest parts, served on real sockets: one volume,
//! `/srv/one`, whose copies are names in memory. Nothing is mounted or frozen.
#![allow(dead_code, reason = "each test program uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

pub mod puppet;
pub mod shelf;

use async_trait::async_trait;
use hyper_util::rt::TokioIo;
use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{net::UnixStream, sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};
use umbra_client::{Address, Connection, Requester};
use umbra_documents::{Component, FileSet, WriterIdentity, WriterMetadata};
use umbra_model::*;
use umbra_provider::{
    MountSource, PendingShadowCopy, Presence, Provider, ProviderKind, ProviderProperties, Support,
    Surface,
};
use umbra_server::{Access, Listener, serve};
use umbra_service::{Limits, Mounter, Service, ServiceParts, StateDirectory};
use umbra_volume::{
    Commit, HoldLimits, HoldReport, HoldVolume, PreparedHold, VolumeHold, VolumeListing, Volumes,
};
use umbra_writer::{SetEvent, Writer, WriterFailure};
use umbra_writers::ExpressSource;

/// The one volume.
pub const VOLUME: &str = "/srv/one";

/// How long anything may take on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A served service. Its folder goes away with it.
pub struct Served {
    pub folder: tempfile::TempDir,
    pub service: Service,
    pub abstract_name: String,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<VssResult<()>>,
}

impl Served {
    pub async fn start() -> Self {
        Self::with(Access::for_group("no-such-group"), Limits::default()).await
    }

    pub async fn with(access: Access, limits: Limits) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let abstract_name = format!("umbra-test-{}-{number}", std::process::id());
        let service = service(folder.path(), limits);
        let listeners = vec![
            Listener::path(&folder.path().join("umbra.sock")).unwrap(),
            Listener::abstract_name(&abstract_name).unwrap(),
        ];
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(service.clone(), listeners, access, shutdown));
        Self {
            folder,
            service,
            abstract_name,
            stop: Some(stop),
            task,
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("umbra.sock")
    }

    pub async fn connect(&self) -> Connection {
        Connection::open(&Address::Path(self.socket()))
            .await
            .unwrap()
    }

    pub async fn connect_abstract(&self) -> Connection {
        let address = Address::Abstract(self.abstract_name.clone());
        Connection::open(&address).await.unwrap()
    }

    /// The wire itself, for what the client crate would never send.
    pub async fn channel(&self) -> Channel {
        channel(UnixStream::connect(self.socket()).await.unwrap()).await
    }

    pub async fn wait_for_writers(&self, count: usize) {
        eventually("the writers are counted", || {
            self.service.status().connected_writers == count
        })
        .await;
    }

    pub async fn wait_for_sessions(&self, count: usize) {
        eventually("the sessions are counted", || {
            self.service.status().sessions.len() == count
        })
        .await;
    }

    pub async fn stop(mut self) -> VssResult<()> {
        let _ = self.stop.take().unwrap().send(());
        within(&mut self.task).await.unwrap()
    }
}

/// The wire itself over a connected socket.
pub async fn channel(stream: UnixStream) -> Channel {
    let only = Mutex::new(Some(TokioIo::new(stream)));
    Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let stream = only.lock().unwrap().take();
            async move { stream.ok_or_else(|| std::io::Error::other("only once")) }
        }))
        .await
        .unwrap()
}

/// A service with one volume, one provider that copies it, one that only keeps
/// storage, and a folder for express writers.
pub fn service(folder: &Path, limits: Limits) -> Service {
    Service::new(ServiceParts {
        volumes: Arc::new(OneVolume),
        providers: vec![Arc::new(Names::new()), Arc::new(shelf::Shelf::new())],
        writer_sources: vec![Arc::new(ExpressSource::new(folder.join("writers.d")))],
        directory: StateDirectory {
            state: folder.join("state"),
            runtime: folder.join("runtime"),
        },
        mounter: Arc::new(NoMounts),
        limits,
    })
    .unwrap()
}

/// Waits for a future, and fails where it takes too long.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("it takes far too long")
}

/// Waits until something is true.
pub async fn eventually(what: &str, check: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !check() {
        assert!(start.elapsed() < LIMIT, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Goes through a session up to DoSnapshotSet, which is left to the caller.
pub async fn prepared(connection: &Connection, name: &str) -> VssResult<Requester> {
    let session = Requester::open(connection, name).await?;
    session.gather_writer_metadata().await?;
    session.start_snapshot_set().await?;
    session.add_to_snapshot_set(Path::new(VOLUME)).await?;
    session.prepare_for_backup().await?;
    Ok(session)
}

fn volume() -> Volume {
    Volume {
        id: VolumeId::new("11111111-2222-3333-4444-555555555555"),
        mount_point: VOLUME.into(),
        root: "/".into(),
        file_system: "ext4".into(),
        device: "/dev/one".into(),
        number: DeviceNumber { major: 7, minor: 1 },
        mount_id: 42,
        subvolume: None,
    }
}

struct OneVolume;

impl Volumes for OneVolume {
    fn list(&self) -> VssResult<Vec<VolumeListing>> {
        Ok(vec![VolumeListing {
            mount_point: VOLUME.into(),
            file_system: "ext4".into(),
            source: "/dev/one".into(),
            volume: Ok(volume()),
        }])
    }

    fn resolve(&self, name: &Path) -> VssResult<Volume> {
        if name == Path::new(VOLUME) {
            Ok(volume())
        } else {
            Err(VssError::new(
                VssCode::ObjectNotFound,
                format!("there is no volume {name:?}"),
            ))
        }
    }

    /// Every path is on the one volume.
    fn containing(&self, _: &Path) -> VssResult<Volume> {
        Ok(volume())
    }

    fn prepare_hold(
        &self,
        volumes: Vec<HoldVolume>,
        _: HoldLimits,
    ) -> VssResult<Box<dyn PreparedHold>> {
        Ok(Box::new(NoHold(volumes)))
    }
}

struct NoHold(Vec<HoldVolume>);

impl PreparedHold for NoHold {
    fn rehearse(&mut self) -> VssResult<()> {
        Ok(())
    }

    fn run(&mut self, commits: Vec<Commit<'_>>) -> VssResult<HoldReport> {
        for commit in commits {
            commit()?;
        }
        let at = Duration::from_millis(1);
        let volumes = self.0.iter().map(|held| VolumeHold {
            method: held.method,
            freeze_started: Some(Duration::ZERO),
            frozen: Some(at),
            commit_started: at,
            commit_ended: at,
            released: Some(at),
        });
        Ok(HoldReport {
            volumes: volumes.collect(),
            held: at,
            skew: Duration::ZERO,
            instant: Instant(1_000_000_000),
        })
    }
}

struct Names(ProviderProperties);

impl Names {
    fn new() -> Self {
        Self(ProviderProperties {
            id: ProviderId::from_u128(0xa),
            name: "names",
            version: "1",
            kind: ProviderKind::Software,
            needs: "nothing",
        })
    }
}

impl Provider for Names {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn is_volume_supported(&self, _: &Volume) -> Support {
        Support::Supported(HoldMethod::Freeze)
    }

    fn location(&self, id: ShadowCopyId, _: &Volume) -> VssResult<ProviderLocation> {
        Ok(ProviderLocation(id.to_string()))
    }

    fn begin_prepare(
        &self,
        _: ShadowCopyId,
        _: &Volume,
        _: &ProviderLocation,
    ) -> VssResult<Box<dyn PendingShadowCopy>> {
        Ok(Box::new(Name))
    }

    fn surface(&self, copy: &ShadowCopy) -> VssResult<Surface> {
        Ok(Surface {
            mount: MountSource {
                file_system: "ext4".into(),
                source: "/dev/two".into(),
                options: vec![format!("name={}", copy.id)],
            },
            device: Some("/dev/two".into()),
            keep: Box::new(()),
        })
    }

    fn presence(&self, _: &ShadowCopy) -> Presence {
        Presence::Present
    }

    fn delete(&self, _: &ShadowCopy) -> VssResult<()> {
        Ok(())
    }
}

struct Name;

impl PendingShadowCopy for Name {
    fn end_prepare(&mut self) -> VssResult<()> {
        Ok(())
    }

    fn commit(&mut self) -> VssResult<()> {
        Ok(())
    }

    fn post_commit(&mut self) -> VssResult<()> {
        Ok(())
    }

    fn abort(&mut self) -> VssResult<()> {
        Ok(())
    }
}

struct NoMounts;

impl Mounter for NoMounts {
    fn check_target(&self, _: &Path) -> VssResult<()> {
        Ok(())
    }

    fn mount(&self, _: &Surface, _: &Path) -> VssResult<()> {
        Ok(())
    }

    fn unmount(&self, _: &Path) -> VssResult<()> {
        Ok(())
    }

    fn is_mounted(&self, _: &Path) -> bool {
        false
    }
}

/// A writer with data on the volume that writes down what it is told.
pub struct Diary {
    metadata: WriterMetadata,
    pub events: Mutex<Vec<&'static str>>,
    /// Freeze never comes back.
    hangs_at_freeze: bool,
}

impl Diary {
    pub fn new(name: &str) -> Self {
        Self {
            metadata: metadata(name),
            events: Mutex::default(),
            hangs_at_freeze: false,
        }
    }

    pub fn hanging(name: &str) -> Self {
        Self {
            hangs_at_freeze: true,
            ..Self::new(name)
        }
    }

    pub fn told(&self) -> Vec<&'static str> {
        self.events.lock().unwrap().clone()
    }

    fn write(&self, event: &'static str) -> Result<(), WriterFailure> {
        self.events.lock().unwrap().push(event);
        Ok(())
    }
}

/// What a writer with a component on the volume says.
pub fn metadata(name: &str) -> WriterMetadata {
    let identity = WriterIdentity::new(WriterId::random(), WriterInstanceId::random(), name);
    WriterMetadata {
        components: vec![Component {
            files: vec![FileSet::tree(VOLUME)],
            ..Component::file_group("data")
        }],
        ..WriterMetadata::new(identity)
    }
}

#[async_trait]
impl Writer for Diary {
    fn identity(&self) -> &WriterIdentity {
        &self.metadata.identity
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        Ok(self.metadata.clone())
    }

    async fn prepare_for_backup(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.write("PrepareForBackup")
    }

    async fn prepare_for_snapshot(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.write("PrepareForSnapshot")
    }

    async fn freeze(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.write("Freeze")?;
        if self.hangs_at_freeze {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn thaw(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.write("Thaw")
    }

    async fn post_snapshot(&self, _: &SetEvent) -> Result<(), WriterFailure> {
        self.write("PostSnapshot")
    }

    async fn backup_complete(
        &self,
        _: &SetEvent,
        _: umbra_writer::BackupOutcome,
    ) -> Result<(), WriterFailure> {
        self.write("BackupComplete")
    }

    async fn backup_shutdown(&self, _: SessionId) {
        let _ = self.write("BackupShutdown");
    }

    async fn abort(&self, _: &SetEvent) {
        let _ = self.write("Abort");
    }
}
