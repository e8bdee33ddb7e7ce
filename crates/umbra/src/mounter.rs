//! Exposes shadow copies: mounts them where users want to see them.

use std::path::Path;
use umbra_model::{VssCode, VssError, VssResult};
use umbra_provider::Surface;
use umbra_service::Mounter;
use umbra_volume::mount::{DetachedMount, MountRequest, is_mount_point, unmount};

/// Mounts copies in the mount namespace of this process, which has to be the
/// host's for others to see them.
#[derive(Debug, Clone, Copy)]
pub struct HostMounter;

impl Mounter for HostMounter {
    fn check_target(&self, dir: &Path) -> VssResult<()> {
        let refused = |code, why: &str| {
            Err(VssError::new(
                code,
                format!(
                    "cannot expose a shadow copy at {}: {why}; name an existing, empty folder",
                    dir.display()
                ),
            ))
        };
        if !dir.is_absolute() {
            return refused(VssCode::InvalidArgument, "the path is not absolute");
        }
        let real = match dir.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return refused(VssCode::ObjectNotFound, "there is no such folder");
            }
            Err(error) => return refused(VssCode::InvalidArgument, &error.to_string()),
        };
        if real != dir {
            return refused(
                VssCode::InvalidArgument,
                &format!(
                    "the path has a symbolic link in it and leads to {}",
                    real.display()
                ),
            );
        }
        if is_mount_point(dir)? {
            return refused(
                VssCode::ObjectAlreadyExists,
                "something is mounted there already",
            );
        }
        match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Ok(()),
            Ok(false) => refused(VssCode::ObjectAlreadyExists, "the folder is not empty"),
            Err(error) => refused(VssCode::InvalidArgument, &error.to_string()),
        }
    }

    fn mount(&self, surface: &Surface, dir: &Path) -> VssResult<()> {
        let request = MountRequest {
            file_system: surface.mount.file_system.clone(),
            source: surface.mount.source.clone(),
            options: surface.mount.options.clone(),
        };
        DetachedMount::of(&request)?.attach(dir)
    }

    fn unmount(&self, dir: &Path) -> VssResult<()> {
        match unmount(dir) {
            Err(error) if error.code() == VssCode::ObjectNotFound => Ok(()),
            result => result,
        }
    }

    fn is_mounted(&self, dir: &Path) -> bool {
        is_mount_point(dir).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_existing_empty_folders_will_do() {
        let check = |dir: &Path, code| {
            let error = HostMounter.check_target(dir).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
        };
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        HostMounter.check_target(folder.path()).unwrap();
        check(Path::new("relative"), VssCode::InvalidArgument);
        check(&folder.path().join("none"), VssCode::ObjectNotFound);
        check(Path::new("/proc"), VssCode::ObjectAlreadyExists);
        std::fs::write(folder.path().join("file"), "").unwrap();
        check(folder.path(), VssCode::ObjectAlreadyExists);
        check(&folder.path().join("file"), VssCode::InvalidArgument);
        std::os::unix::fs::symlink("/tmp", folder.path().join("link")).unwrap();
        check(&folder.path().join("link"), VssCode::InvalidArgument);
    }

    #[test]
    fn unmounting_nothing_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        HostMounter.unmount(folder.path()).unwrap();
        HostMounter.unmount(&folder.path().join("none")).unwrap();
        assert!(!HostMounter.is_mounted(folder.path()));
        assert!(HostMounter.is_mounted(Path::new("/proc")));
    }
}
