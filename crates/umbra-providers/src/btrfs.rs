//! The btrfs provider: a shadow copy is a read-only snapshot of a subvolume.
//!
//! Snapshots lie in a folder of the file system's top level, where no mount of
//! a subvolume shows them; the provider reaches it through a mount of its own
//! that nobody else sees. Subvolumes inside the copied one are no part of the
//! copy: in it they are empty folders, as btrfs has it.

use crate::{
    failure::failed,
    storage_folder::{STORAGE_FOLDER, StorageFolder},
};
use rustix::{
    fs::{Mode, OFlags, open, openat, syncfs},
    io::Errno,
};
use std::{
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};
use umbra_model::{
    HoldMethod, ProviderCapabilities, ProviderId, ProviderLocation, ShadowCopy, ShadowCopyId,
    Volume, VssCode, VssError, VssResult,
};
use umbra_provider::{
    MountSource, PendingShadowCopy, Presence, Provider, ProviderKind, ProviderProperties, Support,
    Surface,
};
use umbra_volume::btrfs::{
    self, SnapshotOrder, TopLevel, commit_transaction, delete_subvolume, file_system_uuid,
    is_subvolume_root,
};

/// Makes read-only snapshots of btrfs subvolumes.
///
/// The location of a copy is `btrfs:<UUID of the file system>/.umbra/<id>`.
#[derive(Debug)]
pub struct BtrfsProvider {
    properties: ProviderProperties,
}

impl Default for BtrfsProvider {
    fn default() -> Self {
        Self {
            properties: ProviderProperties {
                id: ProviderId::from_u128(0x6f4c_2b1e_93d7_4a0e_8c55_b7a1_d0e2_4f61),
                name: "btrfs",
                version: env!("CARGO_PKG_VERSION"),
                kind: ProviderKind::Software,
                needs: "a btrfs subvolume",
            },
        }
    }
}

impl Provider for BtrfsProvider {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn capabilities(&self) -> ProviderCapabilities {
        ProviderCapabilities::COMPLIANT.with(ProviderCapabilities::DIFFERENTIAL)
    }

    fn is_volume_supported(&self, volume: &Volume) -> Support {
        if volume.file_system != "btrfs" {
            return Support::Unsupported(format!("it is {}, not btrfs", volume.file_system));
        }
        match open_folder(&volume.mount_point).and_then(is_subvolume_root) {
            Ok(true) => Support::Supported(HoldMethod::Atomic),
            Ok(false) => Support::Unsupported(
                "what is mounted there is a folder of a subvolume, not a subvolume".to_owned(),
            ),
            Err(error) => Support::Unsupported(format!("it cannot be opened: {error}")),
        }
    }

    fn location(&self, id: ShadowCopyId, volume: &Volume) -> VssResult<ProviderLocation> {
        let uuid = open_folder(&volume.mount_point)
            .and_then(file_system_uuid)
            .map_err(|error| {
                VssError::new(
                    VssCode::VolumeNotSupportedByProvider,
                    format!(
                        "cannot find out the UUID of the btrfs at {}",
                        volume.mount_point.display()
                    ),
                )
                .caused_by(error)
            })?;
        Ok(ProviderLocation(format!(
            "btrfs:{uuid}/{STORAGE_FOLDER}/{id}"
        )))
    }

    fn begin_prepare(
        &self,
        id: ShadowCopyId,
        volume: &Volume,
        location: &ProviderLocation,
    ) -> VssResult<Box<dyn PendingShadowCopy>> {
        let place = Place::of(id, location)?;
        let mount_point = volume.mount_point.display();
        let opening = format!("open the subvolume at {mount_point}");
        let source = open_folder(&volume.mount_point).map_err(|error| failed(&opening, error))?;
        let found = file_system_uuid(&source).map_err(|error| failed(&opening, error))?;
        let subvolume = btrfs::subvolume_id(&source).map_err(|error| failed(&opening, error))?;
        if found.to_string() != place.file_system
            || volume.subvolume.is_some_and(|known| known != subvolume)
        {
            return Err(VssError::new(
                VssCode::ObjectNotFound,
                format!("another subvolume is mounted at {mount_point} than when it was chosen"),
            ));
        }
        let top = TopLevel::for_changes(&volume.device)?;
        let folder = place.folder_in(&top, StorageFolder::make)?;
        let order = folder
            .as_fd()
            .try_clone_to_owned()
            .and_then(|folder| SnapshotOrder::new(source, folder, &place.name))
            .map_err(|error| failed(format!("prepare a snapshot of {mount_point}"), error));
        match order {
            Ok(order) => Ok(Box::new(Pending {
                order,
                folder,
                top,
                name: place.name,
                mount_point: volume.mount_point.clone(),
            })),
            Err(error) => Err(match folder.remove_if_empty() {
                Ok(()) => error,
                Err(later) => error.followed_by(later),
            }),
        }
    }

    fn surface(&self, copy: &ShadowCopy) -> VssResult<Surface> {
        let place = Place::of(copy.id, &copy.location)?;
        let device = place.device(copy)?;
        let top = TopLevel::for_looking(&device)?;
        let folder = place.folder_in(&top, StorageFolder::find)?;
        if !place.is_in(folder.as_ref())? {
            return Err(VssError::new(
                VssCode::ObjectNotFound,
                format!(
                    "the shadow copy {} is gone: the btrfs on {} has no snapshot {}",
                    copy.id,
                    device.display(),
                    place.path().display()
                ),
            ));
        }
        Ok(Surface {
            mount: MountSource {
                file_system: "btrfs".to_owned(),
                source: device,
                options: vec![format!("subvol=/{STORAGE_FOLDER}/{}", place.name)],
            },
            device: None,
            keep: Box::new(()),
        })
    }

    fn presence(&self, copy: &ShadowCopy) -> Presence {
        let look = || {
            let place = Place::of(copy.id, &copy.location)?;
            let top = TopLevel::for_looking(&place.device(copy)?)?;
            place.is_in(place.folder_in(&top, StorageFolder::find)?.as_ref())
        };
        match look() {
            Ok(true) => Presence::Present,
            Ok(false) => Presence::Missing,
            Err(error) => Presence::Unreachable(error.to_string()),
        }
    }

    /// Where the copy is still mounted, the mount stays, and is empty.
    fn delete(&self, copy: &ShadowCopy) -> VssResult<()> {
        let place = Place::of(copy.id, &copy.location)?;
        let top = TopLevel::for_changes(&place.device(copy)?)?;
        match place.folder_in(&top, StorageFolder::find)? {
            Some(folder) => remove(&place.name, &folder, &top),
            None => Ok(()),
        }
    }
}

/// One copy in the making. Every descriptor in it was opened before the hold.
struct Pending {
    // The order matters: descriptors into the private mount go before it.
    order: SnapshotOrder,
    folder: StorageFolder,
    top: TopLevel,
    name: String,
    mount_point: PathBuf,
}

impl PendingShadowCopy for Pending {
    /// Flushes the file system, so that the snapshot has little to flush.
    fn end_prepare(&mut self) -> VssResult<()> {
        syncfs(self.order.source())
            .map_err(|error| failed(format!("flush {}", self.mount_point.display()), error))
    }

    fn commit(&mut self) -> VssResult<()> {
        self.order.make().map_err(|error| {
            failed(
                format!("make a snapshot of {}", self.mount_point.display()),
                error,
            )
        })
    }

    fn post_commit(&mut self) -> VssResult<()> {
        commit_transaction(&self.top).map_err(|error| {
            failed(
                format!(
                    "make the snapshot of {} durable",
                    self.mount_point.display()
                ),
                error,
            )
        })
    }

    fn abort(&mut self) -> VssResult<()> {
        remove(&self.name, &self.folder, &self.top)
    }
}

/// Deletes the snapshot, and the folder with the last one, durably: one that
/// came back after a power cut would be nobody's.
fn remove(name: &str, folder: &StorageFolder, top: &TopLevel) -> VssResult<()> {
    let deleting = format!("delete the snapshot {}", folder.path().join(name).display());
    match delete_subvolume(folder, name) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(deleting, error)),
    }
    folder.remove_if_empty()?;
    commit_transaction(top).map_err(|error| failed(deleting, error))
}

/// A location, taken apart.
struct Place {
    file_system: String,
    name: String,
}

impl Place {
    fn of(id: ShadowCopyId, location: &ProviderLocation) -> VssResult<Self> {
        location
            .0
            .strip_prefix("btrfs:")
            .and_then(|rest| rest.split_once('/'))
            .filter(|(_, path)| *path == format!("{STORAGE_FOLDER}/{id}"))
            .map(|(file_system, _)| Self {
                file_system: file_system.to_owned(),
                name: id.to_string(),
            })
            .ok_or_else(|| {
                VssError::new(
                    VssCode::InvalidArgument,
                    format!(
                        "{:?} is not where the btrfs provider keeps shadow copy {id}",
                        location.0
                    ),
                )
            })
    }

    /// The path in the file system's top level.
    fn path(&self) -> PathBuf {
        Path::new("/").join(STORAGE_FOLDER).join(&self.name)
    }

    /// A device of the file system. Also found when the copied subvolume is no
    /// longer mounted.
    fn device(&self, copy: &ShadowCopy) -> VssResult<PathBuf> {
        let by_uuid = Path::new("/dev/disk/by-uuid").join(&self.file_system);
        btrfs::find_device(&self.file_system, &[&copy.volume.device, &by_uuid]).ok_or_else(|| {
            VssError::new(
                VssCode::ObjectNotFound,
                format!(
                    "cannot reach shadow copy {}: the btrfs with UUID {} that keeps it is not on \
                     this machine now; attach and mount it, and try again",
                    copy.id, self.file_system
                ),
            )
        })
    }

    fn folder_in<F>(
        &self,
        top: &TopLevel,
        how: impl FnOnce(OwnedFd, PathBuf) -> VssResult<F>,
    ) -> VssResult<F> {
        let path = PathBuf::from(format!(
            "{STORAGE_FOLDER} of the btrfs {}",
            self.file_system
        ));
        let parent = top
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| failed(format!("open {}", path.display()), error))?;
        how(parent, path)
    }

    fn is_in(&self, folder: Option<&StorageFolder>) -> VssResult<bool> {
        let Some(folder) = folder else {
            return Ok(false);
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match openat(folder, &self.name, flags, Mode::empty()) {
            Ok(snapshot) => is_subvolume_root(snapshot),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        };
        found.map_err(|error| failed(format!("look for the snapshot {}", self.name), error))
    }
}

fn open_folder(path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}
