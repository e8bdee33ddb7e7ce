//! What is the same for every provider whose copies are image files: mounting
//! them without changing them, looking for them, deleting them.

use crate::{failure::failed, image_place::ImagePlace, storage_folder::StorageFolder};
use rustix::{
    fs::{AtFlags, Mode, OFlags, open, openat, unlinkat},
    io::Errno,
};
use std::{os::fd::OwnedFd, path::Path};
use umbra_model::{ShadowCopy, VssCode, VssError, VssResult};
use umbra_provider::{MountSource, Presence, Surface};
use umbra_volume::loop_device::LoopDevice;

/// The file systems whose images can be mounted as they were frozen, each with
/// the options that keep a mount of a copy from replaying its journal, and from
/// refusing a second file system with the volume's UUID.
const FILE_SYSTEMS: [(&str, &[&str]); 4] = [
    ("ext2", &[]),
    ("ext3", &["noload"]),
    ("ext4", &["noload"]),
    ("xfs", &["norecovery", "nouuid"]),
];

/// The options that a copy of such a file system is mounted with; `None` for one
/// that cannot be copied by its image.
pub(crate) fn options_of(file_system: &str) -> Option<&'static [&'static str]> {
    FILE_SYSTEMS
        .iter()
        .find(|(name, _)| *name == file_system)
        .map(|(_, options)| *options)
}

/// Shows a copy as a read-only loop device.
pub(crate) fn surface(copy: &ShadowCopy, place: &ImagePlace) -> VssResult<Surface> {
    let gone = || {
        VssError::new(
            VssCode::ObjectNotFound,
            format!(
                "the shadow copy {} is gone: there is no {}",
                copy.id,
                place.path().display()
            ),
        )
    };
    let folder = place.find(copy.id)?.ok_or_else(gone)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(&folder, &place.name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Err(gone()),
        Err(error) => {
            return Err(failed(format!("open {}", place.path().display()), error));
        }
    };
    let options = options_of(&copy.volume.file_system).unwrap_or_default();
    let device = LoopDevice::attach(&file, &place.path(), place.window)?;
    Ok(Surface {
        mount: MountSource {
            file_system: copy.volume.file_system.clone(),
            source: device.path().to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        },
        device: Some(device.path().to_owned()),
        keep: Box::new(device),
    })
}

/// Whether the image is there.
pub(crate) fn presence(copy: &ShadowCopy, place: VssResult<ImagePlace>) -> Presence {
    let look = |place: ImagePlace| match place.find(copy.id)? {
        Some(folder) => folder
            .has(&place.name)
            .map_err(|error| failed(format!("look for {}", place.path().display()), error)),
        None => Ok(false),
    };
    match place.and_then(look) {
        Ok(true) => Presence::Present,
        Ok(false) => Presence::Missing,
        Err(error) => Presence::Unreachable(error.to_string()),
    }
}

/// Deletes the image. Where it is still mounted, its blocks are freed after the
/// unmount.
pub(crate) fn delete(copy: &ShadowCopy, place: &ImagePlace) -> VssResult<()> {
    match place.find(copy.id)? {
        Some(folder) => remove(&place.name, &folder),
        None => Ok(()),
    }
}

/// Removes an image, and the folder where nothing else is in it.
pub(crate) fn remove(name: &str, folder: &StorageFolder) -> VssResult<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => folder.remove_if_empty(),
        Err(error) => Err(failed(
            format!("delete {}", folder.path().join(name).display()),
            error,
        )),
    }
}

/// Opens a folder.
pub(crate) fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
}
