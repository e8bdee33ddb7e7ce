//! The folder that mirrors and copies are kept in.

use crate::{failure::failed, image_copy::open_folder};
use rustix::{fs::fstat, io::Errno, process::geteuid};
use std::{
    fs::DirBuilder,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};
use umbra_model::{Volume, VssCode, VssError, VssResult};
use umbra_volume::{
    lies_on,
    reflink::{Reflinks, reflinks_of},
};

/// Storage for the shadow copies of one volume.
#[derive(Debug)]
pub(super) struct Storage {
    path: PathBuf,
    /// The UUID of the file system that it lies on.
    pub(super) file_system: String,
}

impl Storage {
    /// The storage at a path, which need not be there yet, for a volume; why
    /// not, in a clause. Changes nothing.
    pub(super) fn at(path: &Path, volume: &Volume) -> Result<Self, String> {
        let shown = path.display();
        let cannot = |error: &dyn std::fmt::Display| {
            format!("the shadow copy storage {shown} cannot be looked at: {error}")
        };
        if path.to_str().is_none() || !path.is_absolute() {
            return Err(format!(
                "the shadow copy storage {shown} is no absolute path in UTF-8"
            ));
        }
        let (folder, at) = nearest(path).map_err(|error| cannot(&error))?;
        let file_system = match reflinks_of(&folder).map_err(|error| cannot(&error))? {
            Reflinks::Shared(uuid) => uuid.to_string(),
            Reflinks::XfsWithout => {
                return Err(format!(
                    "the shadow copy storage {shown} lies on an XFS that was made without reflinks"
                ));
            }
            Reflinks::OtherFileSystem => {
                return Err(format!(
                    "the shadow copy storage {shown} lies neither on XFS nor on btrfs; name a \
                     folder on one of them (storage.path in umbra.toml)"
                ));
            }
        };
        if lies_on(at, volume).map_err(|error| cannot(&error))? {
            return Err(format!(
                "the shadow copy storage {shown} lies on the volume itself; name a folder on \
                 another one (storage.path in umbra.toml)"
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            file_system,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder, if it is not there, and opens it. Nobody else may be
    /// able to change what is in it.
    pub(super) fn open(&self) -> VssResult<OwnedFd> {
        let shown = self.path.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|error| failed(format!("make the folder {shown}"), error))?;
        let folder =
            open_folder(&self.path).map_err(|error| failed(format!("open {shown}"), error))?;
        let found = fstat(&folder).map_err(|error| failed(format!("look at {shown}"), error))?;
        if found.st_uid != geteuid().as_raw() || found.st_mode & 0o022 != 0 {
            return Err(VssError::new(
                VssCode::AccessDenied,
                format!(
                    "cannot keep shadow copies in {shown}: it does not belong to this user, or \
                     others may write to it; name another folder or correct its mode"
                ),
            ));
        }
        Ok(folder)
    }
}

/// The nearest folder above or at a path that is there.
fn nearest(path: &Path) -> rustix::io::Result<(OwnedFd, &Path)> {
    for above in path.ancestors() {
        match open_folder(above) {
            Ok(folder) => return Ok((folder, above)),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::NOENT)
}
