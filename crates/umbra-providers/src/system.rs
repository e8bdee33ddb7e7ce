//! The system provider: shadow copies of any ext4 or XFS on a block device,
//! without a volume manager, by a split mirror.
//!
//! A volume's mirror is an image file in the shadow copy storage. A tracker in
//! the kernel marks each chunk of the volume that is written. To make a copy,
//! the marked chunks are copied to the mirror, again and again until few are
//! left; those are read into memory while the volume is frozen, and written to
//! the mirror after it is thawed. The shadow copy is a clone of the mirror.
//!
//! Invariant: nothing is written in the hold.
//! Invariant: the mirror and the tracker stay when copies go: they make the next
//! copy cheap. Everything else on disk carries a shadow copy's id.

mod chunks;
mod mirror;
mod pending;
mod state;
mod storage;

use crate::{
    failure::failed,
    image_copy::{self, options_of},
    image_place::ImagePlace,
    storage_folder::StorageFolder,
};
use mirror::Mirror;
use pending::Pending;
use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};
use std::{path::PathBuf, sync::Arc};
use storage::Storage;
use umbra_model::{
    HoldMethod, ProviderCapabilities, ProviderId, ProviderLocation, ShadowCopy, ShadowCopyId,
    Volume, VssCode, VssError, VssResult,
};
use umbra_provider::{
    PendingShadowCopy, Presence, Provider, ProviderKind, ProviderProperties, Support, Surface,
};
use umbra_tracker::{Tracker, TrackerFolder};
use umbra_volume::loop_device::Window;

const NAME: &str = "system";

/// Where the system provider keeps things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemFolders {
    /// The shadow copy storage: a folder on XFS with reflinks or on btrfs, which
    /// is made where it is missing.
    pub storage: PathBuf,
    /// The folder for what lives as long as the machine runs.
    pub run: PathBuf,
}

/// Splits mirrors of volumes.
///
/// The location of a copy is
/// `system:fs=<UUID>,offset=0,limit=0:<storage>/<volume id>/<shadow copy id>.img`,
/// with the UUID of the file system that has the storage.
#[derive(Debug)]
pub struct SystemProvider {
    properties: ProviderProperties,
    folders: SystemFolders,
}

impl SystemProvider {
    /// With these folders. Makes nothing yet.
    pub fn new(folders: SystemFolders) -> Self {
        Self {
            properties: ProviderProperties {
                id: ProviderId::from_u128(0x9a4e_21c7_53d8_4f0b_8e16_b7f2_c05d_6a93),
                name: NAME,
                version: env!("CARGO_PKG_VERSION"),
                kind: ProviderKind::System,
                needs: "ext4 or XFS; storage on another XFS or btrfs",
            },
            folders,
        }
    }

    fn storage_for(&self, volume: &Volume) -> Result<Storage, String> {
        if options_of(&volume.file_system).is_none() {
            return Err(format!(
                "it is {}; only ext2, ext3, ext4 and XFS can be copied by their device",
                volume.file_system
            ));
        }
        let is_plain = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
        let id = volume.id.as_str();
        if id.is_empty() || !id.chars().all(is_plain) {
            return Err("it has no UUID".to_owned());
        }
        let storage = Storage::at(&self.folders.storage, volume)?;
        Tracker::supports(volume.number)?;
        Ok(storage)
    }

    fn storage_of(&self, volume: &Volume) -> VssResult<Storage> {
        self.storage_for(volume).map_err(|why| {
            VssError::new(
                VssCode::VolumeNotSupportedByProvider,
                format!(
                    "cannot mirror the volume {}: {why}",
                    volume.mount_point.display()
                ),
            )
        })
    }
}

fn place_in(storage: &Storage, id: ShadowCopyId, volume: &Volume) -> ImagePlace {
    ImagePlace {
        provider: NAME,
        file_system: storage.file_system.clone(),
        window: Window::default(),
        beside: storage.path().to_owned(),
        within: volume.id.to_string(),
        name: format!("{id}.img"),
    }
}

fn place_of_copy(copy: &ShadowCopy) -> VssResult<ImagePlace> {
    ImagePlace::of(NAME, copy.volume.id.as_str(), copy.id, &copy.location)
}

impl Provider for SystemProvider {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn capabilities(&self) -> ProviderCapabilities {
        ProviderCapabilities::COMPLIANT
            .with(ProviderCapabilities::PLEX)
            .with(ProviderCapabilities::DIFFERENTIAL)
    }

    fn is_volume_supported(&self, volume: &Volume) -> Support {
        match self.storage_for(volume) {
            Ok(_) => Support::Supported(HoldMethod::Freeze),
            Err(why) => Support::Unsupported(why),
        }
    }

    fn location(&self, id: ShadowCopyId, volume: &Volume) -> VssResult<ProviderLocation> {
        let storage = self.storage_of(volume)?;
        Ok(place_in(&storage, id, volume).location())
    }

    fn begin_prepare(
        &self,
        id: ShadowCopyId,
        volume: &Volume,
        location: &ProviderLocation,
    ) -> VssResult<Box<dyn PendingShadowCopy>> {
        let storage = self.storage_of(volume)?;
        let place = place_in(&storage, id, volume);
        if place.location() != *location {
            return Err(VssError::new(
                VssCode::ObjectNotFound,
                format!(
                    "the shadow copy storage was moved since the volume was chosen: it is {} now",
                    storage.path().display()
                ),
            ));
        }
        let within = place.within.clone();
        let folder = StorageFolder::make_named(storage.open()?, within, place.folder())?;
        let folder = Arc::new(folder);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let image = match openat(&*folder, &place.name, flags | OFlags::CLOEXEC, mode) {
            Ok(image) => image,
            Err(error) => {
                // What was there before is not ours to remove.
                let undone = match error {
                    Errno::EXIST => folder.remove_if_empty(),
                    _ => image_copy::remove(&place.name, &folder),
                };
                let error = failed(format!("create {}", place.path().display()), error);
                return Err(and_then_undone(error, undone));
            }
        };
        let mirror = TrackerFolder::of_run_folder(&self.folders.run)
            .map_err(VssError::from)
            .and_then(|trackers| Mirror::open(&folder, volume, &trackers));
        match mirror {
            Ok(mirror) => Ok(Box::new(Pending::new(
                mirror,
                image,
                folder,
                place.name,
                volume.mount_point.clone(),
            ))),
            Err(error) => Err(and_then_undone(
                error,
                image_copy::remove(&place.name, &folder),
            )),
        }
    }

    fn surface(&self, copy: &ShadowCopy) -> VssResult<Surface> {
        image_copy::surface(copy, &place_of_copy(copy)?)
    }

    fn presence(&self, copy: &ShadowCopy) -> Presence {
        image_copy::presence(copy, place_of_copy(copy))
    }

    /// The mirror stays, for the next copy.
    fn delete(&self, copy: &ShadowCopy) -> VssResult<()> {
        image_copy::delete(copy, &place_of_copy(copy)?)
    }
}

fn and_then_undone(error: VssError, undone: VssResult<()>) -> VssError {
    match undone {
        Ok(()) => error,
        Err(later) => error.followed_by(later),
    }
}
