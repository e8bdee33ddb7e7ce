//! The reflink provider: a shadow copy is a clone of the image file that the
//! volume's loop device lies on; the two share their blocks until one is
//! written.
//!
//! The volume is frozen while the image is cloned, so the clone holds a clean
//! file system, whose journal has nothing to say: ext4 empties it, XFS leaves
//! one record of the superblock in it. Mounting without replaying it shows the
//! whole state of the instant and writes nothing.

use crate::{
    failure::failed,
    image_copy::{self, open_folder},
    image_place::ImagePlace,
    storage_folder::{STORAGE_FOLDER, StorageFolder},
};
use rustix::{
    fs::{
        IFlags, Mode, OFlags, fdatasync, fsync, ioctl_ficlone, ioctl_getflags, ioctl_setflags,
        openat, syncfs,
    },
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
    PendingShadowCopy, Presence, Provider, ProviderKind, ProviderProperties, Support, Surface,
};
use umbra_volume::{
    loop_device::{self, Behind, Window},
    reflink::{Reflinks, clone_ahead, reflinks_of},
};

const NAME: &str = "reflink";

/// Clones the image files of volumes on loop devices.
///
/// The location of a copy is
/// `reflink:fs=<UUID>,offset=<bytes>,limit=<bytes>:<path of the clone>`: the file
/// system that keeps it, and the part of the file that is the volume.
#[derive(Debug)]
pub struct ReflinkProvider {
    properties: ProviderProperties,
}

impl Default for ReflinkProvider {
    fn default() -> Self {
        Self {
            properties: ProviderProperties {
                id: ProviderId::from_u128(0xd1b7_05c9_2e4f_4c63_a9f8_13e6_7c80_5ba2),
                name: NAME,
                version: env!("CARGO_PKG_VERSION"),
                kind: ProviderKind::Software,
                needs: "a loop device on an image file in XFS or btrfs",
            },
        }
    }
}

/// The image under a volume, open.
struct Image {
    file: OwnedFd,
    path: String,
    window: Window,
    file_system: String,
}

impl Image {
    /// Finds the image under a volume, or says in a clause why it cannot be
    /// cloned.
    fn under(volume: &Volume) -> Result<Self, String> {
        if image_copy::options_of(&volume.file_system).is_none() {
            return Err(format!(
                "it is {}; only ext2, ext3, ext4 and XFS can be copied with their image",
                volume.file_system
            ));
        }
        let device = volume.device.display();
        let backing =
            match loop_device::behind(volume.number).map_err(|error| error.message().to_owned())? {
                Behind::File(backing) => backing,
                Behind::NoLoop => return Err(format!("its device {device} is no loop device")),
                Behind::PartitionOfLoop => {
                    return Err(format!(
                        "its device {device} is a partition of a loop device, and only whole loop \
                     devices can be copied"
                    ));
                }
            };
        let file = backing.open().map_err(|error| error.message().to_owned())?;
        let shown = backing.path.display();
        let path = backing
            .path
            .to_str()
            .ok_or_else(|| format!("the path of its image {shown} is not UTF-8"))?
            .to_owned();
        match reflinks_of(&file) {
            Ok(Reflinks::Shared(uuid)) => Ok(Self {
                file,
                path,
                window: backing.window,
                file_system: uuid.to_string(),
            }),
            Ok(Reflinks::XfsWithout) => Err(format!(
                "its image {shown} lies on an XFS that was made without reflinks"
            )),
            Ok(Reflinks::OtherFileSystem) => Err(format!(
                "its image {shown} lies neither on XFS nor on btrfs"
            )),
            Err(error) => Err(format!(
                "the file system of its image {shown} cannot be asked: {error}"
            )),
        }
    }

    fn of(volume: &Volume) -> VssResult<Self> {
        Self::under(volume).map_err(|why| {
            VssError::new(
                VssCode::VolumeNotSupportedByProvider,
                format!(
                    "cannot copy the volume {} by its image: {why}",
                    volume.mount_point.display()
                ),
            )
        })
    }

    fn place_of(&self, id: ShadowCopyId) -> ImagePlace {
        let folder = Path::new(&self.path).parent().unwrap_or(Path::new("/"));
        ImagePlace {
            provider: NAME,
            file_system: self.file_system.clone(),
            window: self.window,
            beside: folder.to_owned(),
            within: STORAGE_FOLDER.to_owned(),
            name: format!("{id}.img"),
        }
    }
}

impl Provider for ReflinkProvider {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn capabilities(&self) -> ProviderCapabilities {
        ProviderCapabilities::COMPLIANT.with(ProviderCapabilities::DIFFERENTIAL)
    }

    fn is_volume_supported(&self, volume: &Volume) -> Support {
        match Image::under(volume) {
            Ok(_) => Support::Supported(HoldMethod::Freeze),
            Err(why) => Support::Unsupported(why),
        }
    }

    fn location(&self, id: ShadowCopyId, volume: &Volume) -> VssResult<ProviderLocation> {
        Ok(Image::of(volume)?.place_of(id).location())
    }

    fn begin_prepare(
        &self,
        id: ShadowCopyId,
        volume: &Volume,
        location: &ProviderLocation,
    ) -> VssResult<Box<dyn PendingShadowCopy>> {
        let image = Image::of(volume)?;
        let place = image.place_of(id);
        if place.location() != *location {
            return Err(VssError::new(
                VssCode::ObjectNotFound,
                format!(
                    "the image under {} was moved since the volume was chosen: it is {} now",
                    volume.mount_point.display(),
                    image.path
                ),
            ));
        }
        let parent = open_folder(&place.beside)
            .map_err(|error| failed(format!("open {}", place.beside.display()), error))?;
        let folder = StorageFolder::make(parent, place.folder())?;
        match create_like(&image.file, &folder, &place.name) {
            Ok(clone) => Ok(Box::new(Pending {
                image: image.file,
                clone,
                folder,
                name: place.name,
                mount_point: volume.mount_point.clone(),
            })),
            Err(error) => {
                // What was there before is not ours to remove.
                let undone = match error {
                    Errno::EXIST => folder.remove_if_empty(),
                    _ => image_copy::remove(&place.name, &folder),
                };
                let error = failed(format!("create {}", place.path().display()), error);
                Err(match undone {
                    Ok(()) => error,
                    Err(later) => error.followed_by(later),
                })
            }
        }
    }

    fn surface(&self, copy: &ShadowCopy) -> VssResult<Surface> {
        image_copy::surface(copy, &place_of_copy(copy)?)
    }

    fn presence(&self, copy: &ShadowCopy) -> Presence {
        image_copy::presence(copy, place_of_copy(copy))
    }

    fn delete(&self, copy: &ShadowCopy) -> VssResult<()> {
        image_copy::delete(copy, &place_of_copy(copy)?)
    }
}

fn place_of_copy(copy: &ShadowCopy) -> VssResult<ImagePlace> {
    ImagePlace::of(NAME, STORAGE_FOLDER, copy.id, &copy.location)
}

/// One copy in the making. Every descriptor in it was opened before the hold.
struct Pending {
    image: OwnedFd,
    clone: OwnedFd,
    folder: StorageFolder,
    name: String,
    mount_point: PathBuf,
}

impl Pending {
    fn clone_ahead(&self) -> VssResult<()> {
        clone_ahead(&self.clone, &self.image).map_err(|error| {
            let volume = self.mount_point.display();
            failed(format!("clone ahead the image of {volume}"), error)
        })
    }

    fn failed(&self, what: &str, error: Errno) -> VssError {
        failed(format!("{what} {}", self.mount_point.display()), error)
    }
}

impl PendingShadowCopy for Pending {
    /// Flushes the volume and then its image, and clones what is there already,
    /// so that the freeze has little to flush and the clone of the instant little
    /// to do, however many pieces the image lies in.
    fn end_prepare(&mut self) -> VssResult<()> {
        open_folder(&self.mount_point)
            .and_then(syncfs)
            .and_then(|()| fdatasync(&self.image))
            .map_err(|error| self.failed("flush", error))?;
        self.clone_ahead()
    }

    /// Writers have flushed since: a database's checkpoint touches thousands of
    /// blocks. They wait for this, but nobody else does.
    fn pre_commit(&mut self) -> VssResult<()> {
        self.clone_ahead()
    }

    fn commit(&mut self) -> VssResult<()> {
        ioctl_ficlone(&self.clone, &self.image)
            .map_err(|error| self.failed("clone the image of", error))
    }

    fn post_commit(&mut self) -> VssResult<()> {
        fsync(&self.clone).map_err(|error| self.failed("make durable the copy of", error))?;
        self.folder.sync()
    }

    fn abort(&mut self) -> VssResult<()> {
        image_copy::remove(&self.name, &self.folder)
    }
}

/// Creates an empty file that an image can be cloned into: btrfs wants both
/// with checksums or both without.
fn create_like(image: &OwnedFd, folder: &StorageFolder, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let clone = openat(folder.as_fd(), name, flags, Mode::RUSR | Mode::WUSR)?;
    let wanted = ioctl_getflags(image)? & IFlags::NOCOW;
    let has = ioctl_getflags(&clone)?;
    if has & IFlags::NOCOW != wanted {
        ioctl_setflags(&clone, (has - IFlags::NOCOW) | wanted)?;
    }
    Ok(clone)
}
