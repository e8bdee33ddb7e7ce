//! What lies under what: a file system on a loop file in another one, on
//! partitions, on devices made of devices.

use crate::{
    discovery::{self, Machine, Place},
    loop_device::{self, Behind},
    mount_table::{self, Mount},
};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};
use umbra_model::{DeviceNumber, Volume};

/// The numbers of the file systems (as in mountinfo) that lie under a volume,
/// directly or further down.
pub(crate) fn under(volume: &Volume, mounts: &[Mount]) -> BTreeSet<DeviceNumber> {
    file_systems_under(own_devices(volume), mounts)
}

/// Whether an existing path lies on a volume, directly or by loop devices and
/// file systems in between: whether writing there writes to the volume.
///
/// # Errors
///
/// The table of mounts cannot be read, or the path is on none of them.
pub fn lies_on(path: &Path, volume: &Volume) -> io::Result<bool> {
    let mounts = Machine::look()?.mounts;
    let place = Place::of(path)?;
    let mount = u32::try_from(place.mount)
        .ok()
        .and_then(|id| mount_table::with_id(&mounts, id))
        .ok_or(io::ErrorKind::NotFound)?;
    Ok(mount.number == volume.number
        || file_systems_under(devices_of_mount(mount), &mounts).contains(&volume.number))
}

fn file_systems_under(mut devices: Vec<DeviceNumber>, mounts: &[Mount]) -> BTreeSet<DeviceNumber> {
    let mut seen = BTreeSet::new();
    let mut file_systems = BTreeSet::new();
    while let Some(device) = devices.pop() {
        if !seen.insert(device) {
            continue;
        }
        devices.extend(parts(device));
        if let Some(below) = file_system_under(device, mounts)
            && file_systems.insert(below.number)
        {
            devices.extend(devices_of_mount(below));
        }
    }
    file_systems
}

fn own_devices(volume: &Volume) -> Vec<DeviceNumber> {
    if volume.number.major != 0 {
        return vec![volume.number];
    }
    let uuid = volume.id.as_str().split('/').next().unwrap_or_default();
    let mut devices = btrfs_devices(uuid);
    devices.extend(discovery::block_device(&volume.device));
    devices
}

/// The block devices that a mounted file system lies on.
pub(crate) fn devices_of_mount(mount: &Mount) -> Vec<DeviceNumber> {
    if mount.number.major != 0 {
        return vec![mount.number];
    }
    let Some(source) = discovery::block_device(&mount.source) else {
        return Vec::new();
    };
    let uuid = fs::File::open(&mount.mount_point)
        .ok()
        .and_then(|folder| crate::btrfs::file_system_uuid(folder).ok());
    let mut devices = uuid.map_or_else(Vec::new, |uuid| btrfs_devices(&uuid.to_string()));
    devices.push(source);
    devices
}

fn btrfs_devices(uuid: &str) -> Vec<DeviceNumber> {
    numbers_in(&Path::new("/sys/fs/btrfs").join(uuid).join("devices"))
}

/// The devices that a device is made of: the disk of a partition, the members
/// of a mapped device or an array.
fn parts(device: DeviceNumber) -> Vec<DeviceNumber> {
    let folder = sysfs(device);
    let mut parts = numbers_in(&folder.join("slaves"));
    if folder.join("partition").exists()
        && let Ok(real) = fs::canonicalize(&folder)
        && let Some(disk) = real.parent()
    {
        parts.extend(number_in(disk));
    }
    parts
}

/// The mount of the file system with a loop device's file.
fn file_system_under(device: DeviceNumber, mounts: &[Mount]) -> Option<&Mount> {
    let Ok(Behind::File(file)) = loop_device::behind(device) else {
        return None;
    };
    match file.open() {
        Ok(open) => {
            let place = Place::of_open(&open.into()).ok()?;
            mount_table::with_id(mounts, u32::try_from(place.mount).ok()?)
        }
        // Deleted, or out of sight. Its file system is still known, except on
        // btrfs, whose files report another number than the table has.
        Err(_) => {
            let number = file.file_system();
            mounts.iter().find(|mount| mount.number == number)
        }
    }
}

/// The numbers of the devices that a sysfs folder has links to.
fn numbers_in(folder: &Path) -> Vec<DeviceNumber> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| number_in(&entry.path()))
        .collect()
}

/// The number of the device with this sysfs folder.
fn number_in(folder: &Path) -> Option<DeviceNumber> {
    let text = fs::read_to_string(folder.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some(DeviceNumber {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

fn sysfs(device: DeviceNumber) -> PathBuf {
    PathBuf::from(format!("/sys/dev/block/{device}"))
}
