//! Where the files of components lie: on volumes of the set or elsewhere.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use umbra_documents::{Component, ReadFrom, Recursion};
use umbra_model::{BackupType, Volume, VolumeId, VssCode, VssResult};
use umbra_volume::{VolumeListing, Volumes};

/// Where the files of a component are. What is elsewhere comes with a path and
/// what that lies on.
pub(crate) enum Place {
    /// Wholly on volumes of the set.
    Inside,
    /// Not there at all, but at these paths.
    Outside(Vec<(PathBuf, String)>),
    /// This path of it is not.
    Partly((PathBuf, String)),
}

/// Finds where files lie.
pub(crate) struct Map<'a> {
    set: &'a [Volume],
    volumes: &'a dyn Volumes,
    listing: Vec<VolumeListing>,
    /// Of which backup the files are asked for; none where it is the data itself.
    backup: Option<BackupType>,
    /// The volumes of devices, and of paths that are not there, that were asked for
    /// before: to ask anew takes the whole mount table, and there may be many
    /// thousand paths.
    known_devices: HashMap<u64, Volume>,
    known_paths: HashMap<PathBuf, VssResult<Volume>>,
}

impl<'a> Map<'a> {
    /// Blocks.
    ///
    /// # Errors
    ///
    /// The mount table cannot be read.
    pub(crate) fn new(
        set: &'a [Volume],
        volumes: &'a dyn Volumes,
        backup: Option<BackupType>,
    ) -> VssResult<Self> {
        Ok(Self {
            set,
            volumes,
            listing: volumes.list()?,
            backup,
            known_devices: HashMap::new(),
            known_paths: HashMap::new(),
        })
    }

    /// Blocks. File sets that the backup does not need from the copies may lie
    /// anywhere; the others are where the backup finds the files.
    pub(crate) fn place(&mut self, component: &Component) -> Place {
        let mut inside = false;
        let mut outside = Vec::new();
        for files in component.file_sets() {
            let mut path = &files.path;
            if let Some(backup) = self.backup {
                if files.read_from(backup) != ReadFrom::ShadowCopy {
                    continue;
                }
                path = files.alternate_path.as_ref().unwrap_or(path);
            }
            let lies_on = match self.containing(path) {
                Ok(volume) if self.has(&volume.id) => {
                    inside = true;
                    outside.extend(self.below(path, files.recursion));
                    continue;
                }
                Ok(volume) => format!("the volume {}", volume.mount_point.display()),
                Err(why) => format!("no volume ({})", why.message()),
            };
            outside.push((path.clone(), lies_on));
            // A tree may reach from outside into a volume of the set.
            inside |= self.reaches_into_the_set(path, files.recursion);
        }
        match (inside, outside.is_empty()) {
            (true, true) => Place::Inside,
            (false, _) => Place::Outside(outside),
            (true, false) => Place::Partly(outside.swap_remove(0)),
        }
    }

    /// The file systems of a tree that are mounted below its path and are not in
    /// the set.
    fn below(&self, path: &Path, recursion: Recursion) -> Option<(PathBuf, String)> {
        self.mounted_below(path, recursion)
            .find(|listing| !matches!(&listing.volume, Ok(volume) if self.has(&volume.id)))
            .map(|listing| {
                let mount_point = &listing.mount_point;
                (
                    mount_point.clone(),
                    format!("the file system at {}", mount_point.display()),
                )
            })
    }

    fn reaches_into_the_set(&self, path: &Path, recursion: Recursion) -> bool {
        self.mounted_below(path, recursion)
            .any(|listing| matches!(&listing.volume, Ok(volume) if self.has(&volume.id)))
    }

    fn mounted_below(
        &self,
        path: &Path,
        recursion: Recursion,
    ) -> impl Iterator<Item = &VolumeListing> {
        let tree = recursion == Recursion::Tree;
        // Mount points have no symbolic links in them; the path may have.
        let path = tree.then(|| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
        self.listing.iter().filter(move |listing| {
            path.as_ref().is_some_and(|path| {
                listing.mount_point != *path && listing.mount_point.starts_with(path)
            })
        })
    }

    /// The volume of a path, or of the nearest folder above it that there is.
    fn containing(&mut self, path: &Path) -> VssResult<Volume> {
        let device = std::fs::metadata(path).ok().map(|found| found.dev());
        let known = match device {
            Some(device) => self.known_devices.get(&device).cloned().map(Ok),
            None => self.known_paths.get(path).cloned(),
        };
        if let Some(known) = known {
            return known;
        }
        let found = self.look_up(path);
        match (device, &found) {
            (Some(device), Ok(volume)) => {
                self.known_devices.insert(device, volume.clone());
            }
            (Some(_), Err(_)) => {}
            (None, _) => {
                self.known_paths.insert(path.to_owned(), found.clone());
            }
        }
        found
    }

    fn look_up(&self, path: &Path) -> VssResult<Volume> {
        let mut path = path;
        loop {
            match (self.volumes.containing(path), path.parent()) {
                (Err(error), Some(parent))
                    if error.code() == VssCode::ObjectNotFound
                        && std::fs::symlink_metadata(path).is_err() =>
                {
                    path = parent;
                }
                (found, _) => return found,
            }
        }
    }

    fn has(&self, id: &VolumeId) -> bool {
        self.set.iter().any(|volume| volume.id == *id)
    }
}
