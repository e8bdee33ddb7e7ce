//! A machine in memory: volumes, a provider, scripted writers, a mounter. What
//! happens goes to one log; what goes wrong is scripted by point, such as
//! `db Freeze` or `/srv EndPrepare`.

pub mod writers;

pub use writers::{ScriptedWriter, component};

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use umbra_documents::{
    BackupComponentsDocument, ChosenComponent, FreezeLevel, Term, WriterComponents,
};
use umbra_model::{
    BackupType, ComponentType, Context, DeviceNumber, HoldMethod, ProviderId, ProviderLocation,
    SetId, ShadowCopy, ShadowCopyId, ShadowCopySet, Volume, VolumeId, VssCode, VssError, VssResult,
};
use umbra_provider::{
    MountSource, PendingShadowCopy, Presence, Provider, ProviderKind, ProviderProperties, Support,
    Surface,
};
use umbra_service::{
    Limits, Mounter, Requester, Service, ServiceParts, Session, StateDirectory, WriterRegistration,
};
use umbra_volume::{
    Commit, HoldLimits, HoldReport, HoldVolume, PreparedHold, VolumeHold, VolumeListing, Volumes,
};

/// What goes wrong at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Veto,
    Hang,
    Disconnect,
    Panic,
    /// The catalog's file becomes a directory, so that no write to it works.
    BreakCatalog,
}

pub const PROVIDER: ProviderId = ProviderId::from_u128(7);

/// Everything that outlives a service.
pub struct Machine {
    pub directory: tempfile::TempDir,
    log: Mutex<Vec<String>>,
    faults: Mutex<HashMap<String, Fault>>,
    gate: (Mutex<bool>, Condvar),
    pub frozen_writers: Mutex<BTreeSet<String>>,
    pub frozen_volumes: Mutex<BTreeSet<PathBuf>>,
    /// What the provider has on its disk.
    pub copies: Mutex<BTreeMap<ShadowCopyId, PathBuf>>,
    pub mounts: Mutex<BTreeSet<PathBuf>>,
    pub busy_mounts: Mutex<BTreeSet<PathBuf>>,
    volumes: Vec<Volume>,
    pub skew: Mutex<Duration>,
    /// How many there were; the clock of their instants.
    holds: AtomicU64,
}

pub fn volume(mount_point: &str, number: u32) -> Volume {
    Volume {
        id: VolumeId::new(format!("volume-{number}")),
        mount_point: mount_point.into(),
        root: "/".into(),
        file_system: "ext4".into(),
        device: format!("/dev/sim{number}").into(),
        number: DeviceNumber {
            major: 7,
            minor: number,
        },
        mount_id: number,
        subvolume: None,
    }
}

impl Machine {
    /// With the volumes `/sim/a`, `/sim/b`, `/sim/a/inner`.
    pub fn new() -> Arc<Self> {
        Self::of(vec![
            volume("/sim/a", 1),
            volume("/sim/b", 2),
            volume("/sim/a/inner", 3),
        ])
    }

    /// With the volumes `/sim/0` and so on.
    pub fn with_volumes(count: u32) -> Arc<Self> {
        let numbers = 0..count;
        Self::of(
            numbers
                .map(|number| volume(&format!("/sim/{number}"), number))
                .collect(),
        )
    }

    fn of(volumes: Vec<Volume>) -> Arc<Self> {
        Arc::new(Self {
            directory: tempfile::tempdir().unwrap(),
            log: Mutex::default(),
            faults: Mutex::default(),
            gate: (Mutex::new(false), Condvar::new()),
            frozen_writers: Mutex::default(),
            frozen_volumes: Mutex::default(),
            copies: Mutex::default(),
            mounts: Mutex::default(),
            busy_mounts: Mutex::default(),
            volumes,
            skew: Mutex::default(),
            holds: AtomicU64::default(),
        })
    }

    pub fn service(self: &Arc<Self>, limits: Limits) -> Service {
        Service::new(ServiceParts {
            volumes: Arc::new(SimVolumes(Arc::clone(self))),
            providers: vec![Arc::new(SimProvider {
                machine: Arc::clone(self),
                properties: ProviderProperties {
                    id: PROVIDER,
                    name: "sim",
                    version: "1",
                    kind: ProviderKind::Software,
                    needs: "nothing",
                },
            })],
            writer_sources: Vec::new(),
            directory: StateDirectory {
                state: self.directory.path().join("state"),
                runtime: self.directory.path().join("run"),
            },
            mounter: Arc::new(SimMounter(Arc::clone(self))),
            limits,
        })
        .unwrap()
    }

    pub fn script(&self, point: &str, fault: Fault) {
        self.faults.lock().unwrap().insert(point.to_owned(), fault);
    }

    pub fn forgive(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// Lets every blocking call that hangs come back.
    pub fn open_gate(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn clear_log(&self) {
        self.log.lock().unwrap().clear();
    }

    pub fn logged(&self, line: &str) -> bool {
        self.log.lock().unwrap().iter().any(|there| there == line)
    }

    pub fn catalog(&self) -> PathBuf {
        self.directory.path().join("state/catalog.redb")
    }

    fn fault(&self, point: &str) -> Option<Fault> {
        let fault = self.faults.lock().unwrap().get(point).copied();
        if fault == Some(Fault::BreakCatalog) {
            let _ = std::fs::remove_file(self.catalog());
            let _ = std::fs::create_dir(self.catalog());
        }
        fault
    }

    fn say(&self, point: &str) {
        self.log.lock().unwrap().push(point.to_owned());
    }

    /// A blocking call passes a point.
    fn pass(&self, point: &str) -> VssResult<()> {
        self.say(point);
        match self.fault(point) {
            None | Some(Fault::BreakCatalog) => Ok(()),
            Some(Fault::Panic) => panic!("scripted panic at {point}"),
            Some(Fault::Hang) => {
                let gate = self.gate.0.lock().unwrap();
                drop(self.gate.1.wait_while(gate, |open| !*open).unwrap());
                Ok(())
            }
            Some(Fault::Veto | Fault::Disconnect) => Err(VssError::new(
                VssCode::ProviderVeto,
                format!("scripted failure at {point}"),
            )),
        }
    }

    /// Nothing is frozen, nothing is there, nothing is known.
    pub async fn assert_clean(&self, service: &Service, context: &str) {
        assert!(
            self.frozen_writers.lock().unwrap().is_empty(),
            "{context}: a writer is frozen"
        );
        assert!(
            self.frozen_volumes.lock().unwrap().is_empty(),
            "{context}: a volume is frozen"
        );
        let copies = self.copies.lock().unwrap().clone();
        assert!(copies.is_empty(), "{context}: {copies:?}");
        assert!(service.sets().await.unwrap().is_empty(), "{context}");
        assert!(service.status().held.is_empty(), "{context}");
        let left = service.reconcile().await.unwrap();
        assert!(left.is_empty(), "{context}: {left:?}");
    }
}

struct SimVolumes(Arc<Machine>);

impl Volumes for SimVolumes {
    fn list(&self) -> VssResult<Vec<VolumeListing>> {
        let volumes = self.0.volumes.iter();
        Ok(volumes
            .map(|volume| VolumeListing {
                mount_point: volume.mount_point.clone(),
                file_system: volume.file_system.clone(),
                source: volume.device.display().to_string(),
                volume: Ok(volume.clone()),
            })
            .collect())
    }

    fn resolve(&self, name: &Path) -> VssResult<Volume> {
        let mut volumes = self.0.volumes.iter();
        volumes
            .find(|volume| volume.mount_point == name || volume.device == name)
            .cloned()
            .ok_or_else(|| VssError::new(VssCode::ObjectNotFound, "no volume"))
    }

    fn containing(&self, path: &Path) -> VssResult<Volume> {
        let volumes = self.0.volumes.iter();
        volumes
            .filter(|volume| path.starts_with(&volume.mount_point))
            .max_by_key(|volume| volume.mount_point.as_os_str().len())
            .cloned()
            .ok_or_else(|| VssError::new(VssCode::ObjectNotFound, "no volume"))
    }

    fn prepare_hold(
        &self,
        volumes: Vec<HoldVolume>,
        _: HoldLimits,
    ) -> VssResult<Box<dyn PreparedHold>> {
        self.0.pass("prepare hold")?;
        Ok(Box::new(SimHold {
            machine: Arc::clone(&self.0),
            volumes,
        }))
    }
}

struct SimHold {
    machine: Arc<Machine>,
    volumes: Vec<HoldVolume>,
}

impl PreparedHold for SimHold {
    fn rehearse(&mut self) -> VssResult<()> {
        self.machine.pass("rehearse")
    }

    fn run(&mut self, commits: Vec<Commit<'_>>) -> VssResult<HoldReport> {
        self.machine.say("hold");
        let frozen = &self.machine.frozen_volumes;
        let mount_points = self
            .volumes
            .iter()
            .map(|held| held.volume.mount_point.clone());
        frozen.lock().unwrap().extend(mount_points);
        assert_eq!(commits.len(), self.volumes.len());
        let result = commits.into_iter().try_for_each(|commit| commit());
        frozen.lock().unwrap().clear();
        let released = self.machine.pass("release");
        result.and(released)?;
        Ok(HoldReport {
            volumes: self
                .volumes
                .iter()
                .map(|held| VolumeHold {
                    method: held.method,
                    freeze_started: Some(Duration::ZERO),
                    frozen: Some(Duration::from_millis(1)),
                    commit_started: Duration::from_millis(1),
                    commit_ended: Duration::from_millis(2),
                    released: Some(Duration::from_millis(3)),
                })
                .collect(),
            held: Duration::from_millis(3),
            skew: *self.machine.skew.lock().unwrap(),
            instant: umbra_model::Instant(self.machine.holds.fetch_add(1, Ordering::Relaxed)),
        })
    }
}

struct SimProvider {
    machine: Arc<Machine>,
    properties: ProviderProperties,
}

struct SimPending {
    machine: Arc<Machine>,
    id: ShadowCopyId,
    name: String,
}

impl Provider for SimProvider {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn is_volume_supported(&self, volume: &Volume) -> Support {
        if volume.mount_point.ends_with("inner") {
            Support::Unsupported("it is an inner one".into())
        } else {
            Support::Supported(HoldMethod::Freeze)
        }
    }

    fn location(&self, id: ShadowCopyId, _: &Volume) -> VssResult<ProviderLocation> {
        Ok(ProviderLocation(format!("sim:{id}")))
    }

    fn begin_prepare(
        &self,
        id: ShadowCopyId,
        volume: &Volume,
        location: &ProviderLocation,
    ) -> VssResult<Box<dyn PendingShadowCopy>> {
        assert_eq!(location.0, format!("sim:{id}"));
        let name = volume.mount_point.display().to_string();
        self.machine.pass(&format!("{name} BeginPrepare"))?;
        let copies = &self.machine.copies;
        copies
            .lock()
            .unwrap()
            .insert(id, volume.mount_point.clone());
        Ok(Box::new(SimPending {
            machine: Arc::clone(&self.machine),
            id,
            name,
        }))
    }

    fn surface(&self, copy: &ShadowCopy) -> VssResult<Surface> {
        Ok(Surface {
            mount: MountSource {
                file_system: "ext4".into(),
                source: format!("/dev/{}", copy.location.0).into(),
                options: Vec::new(),
            },
            device: None,
            keep: Box::new(()),
        })
    }

    fn presence(&self, copy: &ShadowCopy) -> Presence {
        match self.machine.fault("presence") {
            Some(_) => Presence::Unreachable("the storage is away".into()),
            None if self.machine.copies.lock().unwrap().contains_key(&copy.id) => Presence::Present,
            None => Presence::Missing,
        }
    }

    fn delete(&self, copy: &ShadowCopy) -> VssResult<()> {
        self.machine.pass("delete")?;
        self.machine.copies.lock().unwrap().remove(&copy.id);
        Ok(())
    }
}

impl SimPending {
    fn pass(&self, step: &str) -> VssResult<()> {
        self.machine.pass(&format!("{} {step}", self.name))
    }
}

impl PendingShadowCopy for SimPending {
    fn end_prepare(&mut self) -> VssResult<()> {
        self.pass("EndPrepare")
    }
    fn pre_commit(&mut self) -> VssResult<()> {
        self.pass("PreCommit")
    }
    fn commit(&mut self) -> VssResult<()> {
        self.pass("Commit")
    }
    fn post_commit(&mut self) -> VssResult<()> {
        self.pass("PostCommit")
    }
    fn pre_final_commit(&mut self) -> VssResult<()> {
        self.pass("PreFinalCommit")
    }
    fn post_final_commit(&mut self) -> VssResult<()> {
        self.pass("PostFinalCommit")
    }
    fn abort(&mut self) -> VssResult<()> {
        self.pass("AbortSnapshots")?;
        self.machine.copies.lock().unwrap().remove(&self.id);
        Ok(())
    }
}

struct SimMounter(Arc<Machine>);

impl Mounter for SimMounter {
    fn check_target(&self, dir: &Path) -> VssResult<()> {
        if dir.is_absolute() {
            Ok(())
        } else {
            Err(VssError::new(VssCode::InvalidArgument, "not absolute"))
        }
    }

    fn mount(&self, _: &Surface, dir: &Path) -> VssResult<()> {
        self.0.pass("mount")?;
        self.0.mounts.lock().unwrap().insert(dir.to_owned());
        Ok(())
    }

    fn unmount(&self, dir: &Path) -> VssResult<()> {
        if self.0.busy_mounts.lock().unwrap().contains(dir) {
            return Err(VssError::new(VssCode::VolumeInUse, "busy"));
        }
        self.0.mounts.lock().unwrap().remove(dir);
        Ok(())
    }

    fn is_mounted(&self, dir: &Path) -> bool {
        self.0.mounts.lock().unwrap().contains(dir)
    }
}

pub fn requester(name: &str) -> Requester {
    Requester {
        name: name.into(),
        uid: 0,
        pid: 42,
    }
}

/// Registers writers with all their data on `/sim/a`: `web` (front end), `db`
/// (back end), `os` (system).
pub fn three_writers(machine: &Arc<Machine>, service: &Service) -> Vec<WriterRegistration> {
    [
        ("web", FreezeLevel::FrontEnd),
        ("db", FreezeLevel::BackEnd),
        ("os", FreezeLevel::System),
    ]
    .into_iter()
    .map(|(name, level)| {
        let components = vec![component("data", &["/sim/a/data"])];
        let writer = ScriptedWriter::new(machine, name, level, components);
        service.register_writer(writer, "a test".into()).unwrap()
    })
    .collect()
}

/// A session with a set of `/sim/a` and `/sim/b` started.
pub async fn started(service: &Service, context: Context) -> VssResult<Session> {
    let session = service.open_session(requester("backup"));
    session.set_context(context).await?;
    session.gather_writer_metadata().await?;
    let _: SetId = session.start_snapshot_set().await?;
    session.add_to_snapshot_set(Path::new("/sim/a")).await?;
    session.add_to_snapshot_set(Path::new("/sim/b")).await?;
    Ok(session)
}

/// Takes a started session to its set.
pub async fn make(session: &Session) -> VssResult<ShadowCopySet> {
    session.prepare_for_backup().await?;
    session.do_snapshot_set().await
}

/// What was chosen of a writer: components by full path.
pub fn part(writer: &ScriptedWriter, components: &[&str]) -> WriterComponents {
    let identity = &writer.metadata().identity;
    let mut part = WriterComponents::new(identity.id, identity.instance);
    let components = components.iter().map(|full| {
        let (path, name) = match full.rsplit_once('\\') {
            Some((path, name)) => (Some(path.to_owned()), name),
            None => (None, *full),
        };
        ChosenComponent::new(path, name, ComponentType::FileGroup)
    });
    part.components = components.collect();
    part
}

/// The document of a full backup of components that were chosen one by one.
pub fn document(writers: Vec<WriterComponents>) -> BackupComponentsDocument {
    BackupComponentsDocument {
        select_components: Some(true),
        backup_type: Some(Term::Known(BackupType::Full)),
        writers,
        ..BackupComponentsDocument::new()
    }
}
