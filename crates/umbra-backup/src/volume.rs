//! A mounted volume, or a mounted shadow copy of one.

use crate::{
    beneath::{Beneath, Mounts},
    error::EntryError,
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags, open},
};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};
use umbra_documents::ViewKind;
use umbra_model::VssResult;

/// A volume as somebody sees it who looks for files: its root, wherever that is
/// mounted, and the path under which writers know it.
#[derive(Debug)]
pub struct Volume {
    root: OwnedFd,
    mount_point: PathBuf,
    kind: ViewKind,
    mounted_below: HashSet<PathBuf>,
}

impl Volume {
    /// A shadow copy that is mounted at `root`, of the volume that is mounted at
    /// `mount_point` ("Requester Access to Shadow Copied Data").
    ///
    /// # Errors
    ///
    /// `root` cannot be opened as a folder.
    pub fn shadow_copy(root: impl AsRef<Path>, mount_point: impl Into<PathBuf>) -> VssResult<Self> {
        Self::open(root.as_ref(), mount_point.into(), ViewKind::ShadowCopy)
    }

    /// The volume itself, as it is now.
    ///
    /// # Errors
    ///
    /// It cannot be opened as a folder.
    pub fn live(mount_point: impl Into<PathBuf>) -> VssResult<Self> {
        let mount_point = mount_point.into();
        Self::open(&mount_point.clone(), mount_point, ViewKind::LiveVolume)
    }

    fn open(root: &Path, mount_point: PathBuf, kind: ViewKind) -> VssResult<Self> {
        let flags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let root = open(root, flags, Mode::empty())
            .map_err(EntryError::system("open the volume at", root))?;
        Ok(Self::of(root, mount_point, kind))
    }

    pub(crate) fn of(root: OwnedFd, mount_point: PathBuf, kind: ViewKind) -> Self {
        Self {
            root,
            mount_point,
            kind,
            mounted_below: HashSet::new(),
        }
    }

    /// The same, with other volumes mounted in it at these paths. What the volume
    /// has under them is hidden: a path of a writer means the other volume there
    /// ("Working with Mounted Folders and Reparse Points").
    #[must_use]
    pub fn with_mounts(mut self, mount_points: impl IntoIterator<Item = PathBuf>) -> Self {
        self.mounted_below.extend(mount_points);
        self
    }

    /// Where writers see it.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Whether it is a shadow copy.
    pub fn kind(&self) -> ViewKind {
        self.kind
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    pub(crate) fn is_mounted_over(&self, path: &Path) -> bool {
        !self.mounted_below.is_empty() && self.mounted_below.contains(path)
    }

    /// A path of a writer, relative to the root.
    pub(crate) fn inside<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.strip_prefix(&self.mount_point).ok()
    }

    pub(crate) fn beneath(&self) -> Result<Beneath, rustix::io::Errno> {
        let root = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
        Ok(Beneath::new(root, Mounts::Stay))
    }
}
