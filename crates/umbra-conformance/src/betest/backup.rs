//! A backup ("Overview of Processing a Backup Under VSS").

use super::{
    BetestOptions, BetestTask, Completion, at_file,
    choice::{everything, mounts_below, selected, volumes_of, with_what_comes},
    closed,
    said::Said,
};
use std::{
    collections::HashMap,
    fs,
    os::fd::{AsFd, AsRawFd},
    path::{Path, PathBuf},
    sync::Arc,
};
use umbra_backup::{BackupFolder, SaveReport, Volume, Wanted, save};
use umbra_client::{
    Admin, BackupComponents, BackupOutcome, BackupState, ComponentAddress, Connection,
};
use umbra_documents::{
    BackupComponentsDocument, BackupRequest, ChosenComponent, Component, FileRules, FileTime,
    PathStyle, WriterMetadata, WriterTrees, supported_backup_type,
};
use umbra_model::{BackupType, ShadowCopySet, VssCode, VssError, VssResult};
use umbra_volume::mount::{DetachedMount, MountRequest};

/// The name of the folder, in that of the backup, that has the writers' metadata.
pub(super) const WRITERS: &str = "writers";

/// Makes a set and copies what was chosen out of it.
pub(super) async fn back_up(
    connection: &Connection,
    options: &BetestOptions,
    task: BetestTask,
    said: &Said<'_>,
) -> VssResult<()> {
    let session = BackupComponents::open(connection, "umbra betest").await?;
    let backup = Backup {
        session: &session,
        admin: Admin::new(connection),
        options,
        said,
    };
    let done = backup.run(task).await;
    if done.is_err() {
        said.writer_status(&session).await;
        // A set that failed has been given up by itself, and a backup that was never
        // begun needs no end.
        let _ = session.abort_backup().await;
    }
    closed(session, done).await
}

/// A volume of the set.
struct OpenVolume {
    /// Its copy, mounted for this process alone.
    copy: Volume,
    /// The volume itself.
    live: Volume,
    /// The mount goes with it.
    _mount: DetachedMount,
}

struct Backup<'a> {
    session: &'a BackupComponents,
    admin: Admin,
    options: &'a BetestOptions,
    said: &'a Said<'a>,
}

/// A component that was added, with what comes with it.
struct Chosen {
    address: ComponentAddress,
    writer: Arc<WriterMetadata>,
    components: Vec<Component>,
}

impl Backup<'_> {
    async fn run(&self, task: BetestTask) -> VssResult<()> {
        let session = self.session;
        session.initialize_for_backup()?;
        session.set_context(self.options.context).await?;
        let gathered = session.gather_writer_metadata().await?;
        gathered.failed.iter().for_each(|one| self.said.writer(one));
        let failed = gathered.failed.into_iter().filter_map(|one| one.failure);
        self.said.writer_failures(failed)?;
        if task == BetestTask::BackupComplete {
            return session.backup_complete().await;
        }
        let chosen = self.choose(&gathered.writers).await?;
        session.set_backup_state(BackupState {
            bootable_system_state: self.options.bootable_system_state,
            partial_file_support: true,
            ..BackupState::of_components(self.options.backup_type)
        })?;
        let last_backup = self.build_on_previous(&chosen)?;
        session.start_snapshot_set().await?;
        let components = chosen.iter().flat_map(|one| &one.components);
        for volume in volumes_of(session, components).await? {
            self.said.detail(format_args!("adds {}", volume.display()));
            session.add_to_snapshot_set(&volume, None).await?;
        }
        session.prepare_for_backup().await?;
        self.said.writer_status(session).await;
        let set = session.do_snapshot_set().await?;
        self.said.writer_status(session).await;
        let volumes: Vec<_> = set
            .copies
            .iter()
            .map(|copy| &copy.volume.mount_point)
            .collect();
        self.said
            .result(format_args!("set {}: {volumes:?}", set.id));
        let copied = self.copy_all(task, &set, &chosen, last_backup).await;
        if copied.is_err() {
            self.say_failed(&chosen)?;
        }
        let saved = self.save_document().await;
        let told = self.complete().await;
        copied.and(saved).and(told)
    }

    async fn choose(&self, writers: &[Arc<WriterMetadata>]) -> VssResult<Vec<Chosen>> {
        let session = self.session;
        match &self.options.configuration {
            Some(configuration) => {
                for (address, selected) in selected(configuration, writers)? {
                    let component = session.add_component(&address)?;
                    if let Some(options) = &selected.backup_options {
                        component.set_backup_options(options)?;
                    }
                }
                for address in session.add_what_is_needed()? {
                    let path = address.full_path();
                    self.said.result(format_args!("needs {path} too"));
                }
            }
            None => self.choose_everything(writers).await?,
        }
        let trees: WriterTrees = writers.iter().map(Arc::clone).collect();
        let set = session.backup_set()?;
        let chosen = with_what_comes(&set).into_iter().map(|(at, all)| {
            let writer = Arc::clone(&writers[at.writer]);
            Chosen {
                address: ComponentAddress::of(&writer, trees.component(at)),
                writer,
                components: all.iter().map(|at| trees.component(*at).clone()).collect(),
            }
        });
        let chosen: Vec<_> = chosen.collect();
        if chosen.is_empty() {
            return Err(VssError::new(
                VssCode::ObjectNotFound,
                "there is no component to back up; `umbra writers` lists what there is",
            ));
        }
        for one in &chosen {
            for component in &one.components {
                let (path, name) = (component.full_path(), &one.writer.identity.name);
                self.said.detail(format_args!("includes {path} of {name}"));
            }
        }
        Ok(chosen)
    }

    /// Every component that lies, with all that comes with it, on volumes that can be
    /// copied.
    async fn choose_everything(&self, writers: &[Arc<WriterMetadata>]) -> VssResult<()> {
        let session = self.session;
        let mut supported: HashMap<PathBuf, bool> = HashMap::new();
        for (address, components) in everything(writers) {
            let path = address.full_path();
            let volumes = match volumes_of(session, components.into_iter()).await {
                Ok(volumes) => volumes,
                Err(error) => {
                    self.said.result(format_args!("leaves out {path}: {error}"));
                    continue;
                }
            };
            let mut missing = None;
            for volume in volumes {
                let can = match supported.get(&volume) {
                    Some(can) => *can,
                    None => session.is_volume_supported(&volume, None).await?,
                };
                supported.insert(volume.clone(), can);
                if !can {
                    missing = Some(volume);
                }
            }
            if let Some(volume) = missing {
                let volume = volume.display();
                self.said.result(format_args!(
                    "leaves out {path}: {volume} cannot be copied; `umbra volumes` says why"
                ));
                continue;
            }
            // What comes with another is refused, as it should be.
            if let Err(error) = session.add_component(&address) {
                self.said.detail(error);
            }
        }
        Ok(())
    }

    /// Hands the writers their stamps of the backup before, and gives its time.
    fn build_on_previous(&self, chosen: &[Chosen]) -> VssResult<Option<FileTime>> {
        let builds = matches!(
            self.options.backup_type,
            BackupType::Incremental | BackupType::Differential
        );
        let Some(file) = self.options.previous.as_deref().filter(|_| builds) else {
            return Ok(None);
        };
        let read = |error: std::io::Error| at_file("read", file, &error);
        let document = BackupComponentsDocument::from_xml(&fs::read(file).map_err(read)?)?;
        for one in chosen {
            let writer = one.writer.identity.id;
            let mut writers = document
                .writers
                .iter()
                .filter(|its| its.writer_id == writer);
            let (path, name) = (one.address.logical_path.as_deref(), &one.address.name);
            let before = writers.find_map(|its| its.component(path, name));
            if let Some(stamp) = before.and_then(|before| before.backup_stamp.as_deref()) {
                let component = self.session.component(&one.address)?;
                component.set_previous_backup_stamp(stamp)?;
            }
        }
        let time = fs::metadata(file).and_then(|there| there.modified());
        Ok(FileTime::from_system(time.map_err(read)?))
    }

    /// Copies every component, and says for each whether that succeeded.
    async fn copy_all(
        &self,
        task: BetestTask,
        set: &ShadowCopySet,
        chosen: &[Chosen],
        last_backup: Option<FileTime>,
    ) -> VssResult<()> {
        let directory = match (&self.options.directory, task) {
            (Some(directory), BetestTask::Backup) => directory,
            _ => {
                for one in chosen {
                    let component = self.session.component(&one.address)?;
                    component.set_backup_succeeded(BackupOutcome::Succeeded)?;
                }
                return Ok(());
            }
        };
        let folder = Arc::new(BackupFolder::create(directory)?);
        self.keep_metadata(directory, chosen)?;
        let volumes = Arc::new(self.open_volumes(set).await?);
        let mut first = Ok(());
        for one in chosen {
            let component = self.session.component(&one.address)?;
            let copied = copy_one(one, component.get()?, self, last_backup, &folder, &volumes);
            let copied = copied.await;
            let path = one.address.full_path();
            let outcome = match &copied {
                Ok(report) if report.failed == 0 => BackupOutcome::Succeeded,
                _ => BackupOutcome::Failed,
            };
            component.set_backup_succeeded(outcome)?;
            match copied {
                Ok(report) => {
                    self.said.result(format_args!(
                        "backed up {path}: {} files, {} bytes, {} failed",
                        report.files, report.bytes, report.failed
                    ));
                    for failure in report.failures {
                        self.said.failure(failure.into());
                    }
                }
                Err(error) if first.is_ok() => first = Err(error),
                Err(error) => self.said.failure(error),
            }
        }
        first
    }

    /// Of components about which nothing was said yet: their backup failed.
    fn say_failed(&self, chosen: &[Chosen]) -> VssResult<()> {
        for one in chosen {
            let component = self.session.component(&one.address)?;
            if component.get()?.backup_succeeded.is_none() {
                component.set_backup_succeeded(BackupOutcome::Failed)?;
            }
        }
        Ok(())
    }

    /// The writers' metadata is kept with the backup: a restore needs it ("Overview of
    /// Restore Initialization").
    fn keep_metadata(&self, directory: &Path, chosen: &[Chosen]) -> VssResult<()> {
        let folder = directory.join(WRITERS);
        fs::create_dir_all(&folder).map_err(|error| at_file("make", &folder, &error))?;
        for one in chosen {
            let file = folder.join(format!("{}.xml", one.writer.identity.instance));
            let text = one.writer.to_document().to_xml()?;
            fs::write(&file, text).map_err(|error| at_file("write", &file, &error))?;
        }
        Ok(())
    }

    async fn open_volumes(&self, set: &ShadowCopySet) -> VssResult<Vec<OpenVolume>> {
        let reports = self.admin.list_volumes().await?;
        let mut volumes = Vec::new();
        for copy in &set.copies {
            let surfaced = self.session.surface(copy.id).await?;
            let mount = DetachedMount::of(&MountRequest {
                file_system: surfaced.mount.file_system,
                source: surfaced.mount.source,
                options: surfaced.mount.options,
            })?;
            let root = mount.as_fd().as_raw_fd();
            let mount_point = &copy.volume.mount_point;
            let below = mounts_below(&reports, mount_point);
            let root = format!("/proc/self/fd/{root}");
            volumes.push(OpenVolume {
                copy: Volume::shadow_copy(root, mount_point)?.with_mounts(below.clone()),
                live: Volume::live(mount_point)?.with_mounts(below),
                _mount: mount,
            });
        }
        Ok(volumes)
    }

    async fn save_document(&self) -> VssResult<()> {
        let Some(file) = &self.options.document else {
            return Ok(());
        };
        let text = self.session.save_as_xml().await?;
        fs::write(file, text).map_err(|error| at_file("write", file, &error))
    }

    async fn complete(&self) -> VssResult<()> {
        if self.options.completion == Completion::Omitted {
            return Ok(());
        }
        let told = self.session.backup_complete().await;
        self.said.writer_status(self.session).await;
        told
    }
}

/// Copies a component off this thread.
async fn copy_one(
    one: &Chosen,
    chosen: ChosenComponent,
    backup: &Backup<'_>,
    last_backup: Option<FileTime>,
    folder: &Arc<BackupFolder>,
    volumes: &Arc<Vec<OpenVolume>>,
) -> VssResult<SaveReport> {
    let request = BackupRequest {
        last_backup,
        ..BackupRequest::new(supported_backup_type(
            backup.options.backup_type,
            one.writer.backup_schema,
        ))
    };
    let components: Vec<&Component> = one.components.iter().collect();
    let rules = FileRules::for_backup(
        &one.writer,
        &components,
        Some(&chosen),
        &request,
        PathStyle::Linux,
    )
    .map_err(|error| VssError::new(VssCode::InvalidArgument, error.to_string()))?;
    let (folder, volumes) = (Arc::clone(folder), Arc::clone(volumes));
    let copied = tokio::task::spawn_blocking(move || {
        let mut all = SaveReport::default();
        for volume in volumes.iter() {
            for (from, wanted) in [
                (&volume.copy, Wanted::OfShadowCopy),
                (&volume.live, Wanted::OfLiveVolume),
            ] {
                let report = save(from, &rules, wanted, &folder)?;
                all.files += report.files;
                all.bytes += report.bytes;
                all.failed += report.failed;
                all.failures.extend(report.failures);
            }
        }
        Ok(all)
    });
    copied.await.unwrap_or_else(|panic| {
        let what = "copying broke off; this is a defect of Umbra";
        Err(VssError::new(VssCode::Unexpected, what).caused_by(panic))
    })
}
