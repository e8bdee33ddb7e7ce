//! Where everything is: the one option that moves configuration, state and
//! socket as a whole.

use crate::{exit::ExitKind, failure::Failure};
use std::path::{Path, PathBuf};
use umbra_protocol::{DEFAULT_ABSTRACT_NAME, abstract_name};

/// The folder under which configuration, state and socket are; `/` for the
/// system's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The root at an existing folder, relative paths and symbolic links
    /// resolved, so that every way to name it leads to the same socket.
    ///
    /// # Errors
    ///
    /// There is no such folder.
    pub fn at(folder: &Path) -> Result<Self, Failure> {
        let resolved = folder.canonicalize().and_then(|path| {
            if path.is_dir() {
                Ok(path)
            } else {
                Err(std::io::ErrorKind::NotADirectory.into())
            }
        });
        resolved.map(Self).map_err(|error| {
            Failure::new(
                ExitKind::NotFound,
                format!(
                    "cannot use {} as Umbra's root: {error}; name an existing folder",
                    folder.display()
                ),
            )
        })
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The configuration file.
    pub fn configuration_file(&self) -> PathBuf {
        self.0.join("etc/umbra/umbra.toml")
    }

    /// The drop-in files of the in-box writers.
    pub fn writers_folder(&self) -> PathBuf {
        self.0.join("etc/umbra/writers.d")
    }

    /// The catalog and the documents.
    pub fn state(&self) -> PathBuf {
        self.0.join("var/lib/umbra")
    }

    /// The socket and the locks.
    pub fn runtime(&self) -> PathBuf {
        self.0.join("run/umbra")
    }

    /// The service's socket.
    pub fn socket(&self) -> PathBuf {
        self.runtime().join("umbra.sock")
    }

    /// The name of the service's abstract socket, without the leading zero
    /// byte: `umbra` for the system's own.
    pub fn abstract_name(&self) -> String {
        if self.0 == Path::new("/") {
            DEFAULT_ABSTRACT_NAME.into()
        } else {
            abstract_name(&self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_everything_at_once() {
        let system = Root::at(Path::new("/")).unwrap();
        assert_eq!(system.socket(), Path::new("/run/umbra/umbra.sock"));
        assert_eq!(system.abstract_name(), "umbra");

        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path()).unwrap();
        for path in [
            root.configuration_file(),
            root.writers_folder(),
            root.state(),
            root.socket(),
        ] {
            assert!(path.starts_with(root.folder()), "{path:?}");
        }
        let again = Root::at(
            &folder
                .path()
                .join("../")
                .join(folder.path().file_name().unwrap()),
        );
        assert_eq!(again.unwrap().abstract_name(), root.abstract_name());
        assert_ne!(root.abstract_name(), "umbra");
    }

    #[test]
    fn refuses_what_is_no_folder() {
        let failure = Root::at(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(failure.kind(), ExitKind::NotFound);
        assert!(Root::at(Path::new("/proc/self/exe")).is_err());
    }
}
