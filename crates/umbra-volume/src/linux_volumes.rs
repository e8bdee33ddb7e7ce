//! The machine's storage as the service asks for it.

use crate::{
    GracePeriodPolicy, GuardianCommand, HoldLimits, HoldVolume, PreparedHold, VolumeListing,
    Volumes,
    discovery::{self, Machine, NotAVolume, Place},
    hold,
    mount_table::{self, Mount},
    stacking,
};
use std::path::Path;
use umbra_model::{DeviceNumber, Volume, VssCode, VssError, VssResult};

/// The volumes of this machine, as this process's mount namespace shows them.
///
/// Nothing is remembered: each question is answered from the kernel's tables of
/// that moment.
#[derive(Debug, Clone)]
pub struct LinuxVolumes {
    guardian: GuardianCommand,
    grace_periods: GracePeriodPolicy,
}

impl LinuxVolumes {
    /// The machine's volumes; holds are watched by this guardian.
    pub fn new(guardian: GuardianCommand) -> Self {
        Self {
            guardian,
            grace_periods: GracePeriodPolicy::default(),
        }
    }

    /// The same; whether holds have the kernel hurry is up to this policy.
    #[must_use]
    pub fn with_grace_periods(self, grace_periods: GracePeriodPolicy) -> Self {
        Self {
            grace_periods,
            ..self
        }
    }

    fn look(&self) -> VssResult<Machine> {
        Machine::look().map_err(|error| {
            VssError::new(
                VssCode::Unexpected,
                "cannot read the table of mounts, /proc/self/mountinfo; is /proc mounted?",
            )
            .caused_by(error)
        })
    }
}

impl Volumes for LinuxVolumes {
    fn list(&self) -> VssResult<Vec<VolumeListing>> {
        let machine = self.look()?;
        let volumes = machine.volumes();
        let mut listings: Vec<_> = machine
            .mounts
            .iter()
            .filter(|mount| discovery::on_storage(mount))
            .filter_map(|mount| match machine.examine(mount) {
                Ok(volume) => volumes.contains(&volume).then_some((mount, Ok(volume))),
                Err(NotAVolume::Hidden) => None,
                Err(why) => is_news(mount, &machine, &volumes).then_some((mount, Err(why))),
            })
            .map(|(mount, volume)| VolumeListing {
                mount_point: mount.mount_point.clone(),
                file_system: mount.file_system.clone(),
                source: mount.source.to_string_lossy().into_owned(),
                volume: volume.map_err(|why| why.to_string()),
            })
            .collect();
        listings.sort_by(|one, other| one.mount_point.cmp(&other.mount_point));
        Ok(listings)
    }

    fn resolve(&self, name: &Path) -> VssResult<Volume> {
        let machine = self.look()?;
        if let Some(found) = by_id(&machine, name) {
            return found;
        }
        if !name.is_absolute() {
            return Err(not_found(format!(
                "{} is neither the id of a volume nor an absolute path; \"umbra volumes\" shows \
                 the volumes there are",
                name.display()
            )));
        }
        let path = canonical(name)?;
        let place = place(&path)?;
        match place.block_device {
            Some(device) => by_device(&machine, name, device),
            None => by_mount_point(&machine, &path, place),
        }
    }

    fn containing(&self, path: &Path) -> VssResult<Volume> {
        let machine = self.look()?;
        let path = canonical(path)?;
        let place = place(&path)?;
        let mount = mount_of(&machine, &path, place)?;
        match machine.examine(mount) {
            Ok(volume) if volume.number == place.number => Ok(volume),
            Err(NotAVolume::Unsupported { file_system, why }) => {
                Err(unsupported(&path, &file_system, why))
            }
            // A folder mounted on its own, or a subvolume inside another one:
            // the volume is the whole that it belongs to.
            _ => machine
                .volumes()
                .into_iter()
                .find(|volume| volume.number == place.number)
                .ok_or_else(|| {
                    not_found(format!(
                        "{} lies on a {} that is not mounted as a whole; mount it and try again",
                        path.display(),
                        part_name(mount)
                    ))
                }),
        }
    }

    fn prepare_hold(
        &self,
        volumes: Vec<HoldVolume>,
        limits: HoldLimits,
    ) -> VssResult<Box<dyn PreparedHold>> {
        let machine = self.look()?;
        let hold = hold::prepare(
            volumes,
            limits,
            &self.guardian,
            self.grace_periods,
            &machine.mounts,
        )?;
        Ok(Box::new(hold))
    }
}

/// Whether a mount that is no volume deserves a line: the first mount of a file
/// system of which nothing else is listed.
fn is_news(mount: &Mount, machine: &Machine, volumes: &[Volume]) -> bool {
    let same = || {
        machine
            .mounts
            .iter()
            .filter(|other| other.number == mount.number)
    };
    let listed = same().any(|other| volumes.iter().any(|volume| volume.mount_id == other.id));
    let first = same().min_by_key(|other| mount_table::preference(&other.mount_point));
    !listed && first.is_some_and(|first| first.id == mount.id)
}

fn by_id(machine: &Machine, name: &Path) -> Option<VssResult<Volume>> {
    let name = name.to_str()?;
    let mut found: Vec<_> = machine
        .volumes()
        .into_iter()
        .filter(|volume| volume.id.as_str() == name)
        .collect();
    if found.len() > 1 {
        // A mounted shadow copy has the id of its volume, and is read-only.
        let read_only = |volume: &Volume| {
            mount_table::with_id(&machine.mounts, volume.mount_id)
                .is_some_and(|mount| mount.read_only)
        };
        if found.iter().filter(|volume| !read_only(volume)).count() == 1 {
            found.retain(|volume| !read_only(volume));
        }
    }
    match found.len() {
        0 => None,
        1 => found.pop().map(Ok),
        _ => Some(Err(ambiguous(name, &found))),
    }
}

fn by_device(machine: &Machine, name: &Path, device: DeviceNumber) -> VssResult<Volume> {
    let mounts = || {
        machine.mounts.iter().filter(|mount| {
            discovery::on_storage(mount) && stacking::devices_of_mount(mount).contains(&device)
        })
    };
    let found: Vec<_> = machine
        .volumes()
        .into_iter()
        .filter(|volume| mounts().any(|mount| mount.number == volume_file_system(machine, volume)))
        .collect();
    match found.as_slice() {
        [volume] => Ok(volume.clone()),
        [] => Err(match mounts().next() {
            None => not_found(format!(
                "the block device {} is not mounted; mount it, or name the mount point of a volume",
                name.display()
            )),
            Some(mount) => match machine.examine(mount) {
                Err(NotAVolume::Unsupported { file_system, why }) => {
                    unsupported(name, &file_system, why)
                }
                Err(why) => not_found(format!(
                    "the block device {} is mounted at {}, but {why}",
                    name.display(),
                    mount.mount_point.display()
                )),
                Ok(volume) => return Ok(volume),
            },
        }),
        _ => Err(ambiguous(&name.display().to_string(), &found)),
    }
}

/// The number of a volume's file system in the table of mounts.
fn volume_file_system(machine: &Machine, volume: &Volume) -> DeviceNumber {
    mount_table::with_id(&machine.mounts, volume.mount_id)
        .map_or(volume.number, |mount| mount.number)
}

fn by_mount_point(machine: &Machine, path: &Path, place: Place) -> VssResult<Volume> {
    let mount = mount_of(machine, path, place)?;
    let shown = path.display();
    match machine.examine(mount) {
        Err(NotAVolume::Unsupported { file_system, why }) => {
            Err(unsupported(path, &file_system, why))
        }
        Err(why) => Err(match whole(machine, mount, place) {
            Some(volume) => not_found(format!(
                "{shown} is no volume of its own but a part of the volume {}; name {}",
                volume.mount_point.display(),
                volume.mount_point.display()
            )),
            None => not_found(format!(
                "{shown} is no volume: {why}; mount the {} as a whole and name that",
                part_name(mount)
            )),
        }),
        Ok(volume) if path == mount.mount_point => Ok(volume),
        Ok(volume) => {
            let at = volume.mount_point.display();
            Err(not_found(
                if volume.number != place.number && place.is_subvolume_root() {
                    format!(
                        "{shown} is a btrfs subvolume inside the volume {at} and not mounted on \
                         its own; mount it and name its mount point"
                    )
                } else {
                    format!("{shown} is a path on the volume {at}; name {at}")
                },
            ))
        }
    }
}

/// The volume that a mounted folder is a part of.
fn whole(machine: &Machine, mount: &Mount, place: Place) -> Option<Volume> {
    let volumes = machine.volumes();
    volumes
        .iter()
        .find(|volume| volume.number == place.number)
        .or_else(|| volumes.iter().find(|volume| volume.number == mount.number))
        .cloned()
}

fn part_name(mount: &Mount) -> &'static str {
    match mount.file_system.as_str() {
        "btrfs" => "btrfs subvolume",
        _ => "file system",
    }
}

fn mount_of<'a>(machine: &'a Machine, path: &Path, place: Place) -> VssResult<&'a Mount> {
    u32::try_from(place.mount)
        .ok()
        .and_then(|id| mount_table::with_id(&machine.mounts, id))
        .ok_or_else(|| {
            not_found(format!(
                "{} lies on a mount that was unmounted meanwhile or is not visible from here",
                path.display()
            ))
        })
}

fn canonical(path: &Path) -> VssResult<std::path::PathBuf> {
    path.canonicalize().map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::PermissionDenied => VssCode::AccessDenied,
            _ => VssCode::ObjectNotFound,
        };
        VssError::new(code, format!("cannot find {}", path.display())).caused_by(error)
    })
}

fn place(path: &Path) -> VssResult<Place> {
    Place::of(path).map_err(|error| {
        VssError::new(
            VssCode::Unexpected,
            format!("cannot find out where {} lies", path.display()),
        )
        .caused_by(error)
    })
}

fn not_found(message: String) -> VssError {
    VssError::new(VssCode::ObjectNotFound, message)
}

fn unsupported(path: &Path, file_system: &str, why: &str) -> VssError {
    VssError::new(
        VssCode::VolumeNotSupported,
        format!(
            "{} cannot be shadow-copied: its file system, {file_system}, {why}",
            path.display()
        ),
    )
}

fn ambiguous(name: &str, found: &[Volume]) -> VssError {
    let at: Vec<_> = found
        .iter()
        .map(|volume| volume.mount_point.display().to_string())
        .collect();
    not_found(format!(
        "{name} stands for several volumes, mounted at {}; name one by its mount point",
        at.join(" and ")
    ))
}
