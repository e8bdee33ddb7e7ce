//! Where a service listens.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::{
            fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
            net::{SocketAddr, UnixListener as StdListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};
use tokio::{
    io::DuplexStream,
    net::{UnixListener, unix::SocketAddr as PeerAddress},
};
use umbra_model::{VssCode, VssError, VssResult};

/// How many bytes a pipe in memory holds.
const PIPE: usize = 256 << 10;

/// One place where a service listens.
#[derive(Debug)]
pub struct Listener(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Socket(Socket),
    Pipe(DuplexStream),
}

/// A listening socket and what has to be cleaned up after it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    _file: Option<SocketFile>,
}

impl Socket {
    pub(crate) async fn accept(&self) -> io::Result<(tokio::net::UnixStream, PeerAddress)> {
        self.listener.accept().await
    }
}

impl Listener {
    /// A socket in the file system. Missing folders are made with mode 0755, and
    /// the socket has mode 0666: anyone may connect, and the peer's credentials
    /// say what it may do, so that whoever is refused learns why.
    ///
    /// The socket of a service that died is replaced; that of a living one never
    /// is, since a lock on `PATH.lock` is held for as long as this one listens.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_ALREADY_EXISTS` where another service listens or something
    /// that is no socket lies there, or the system's error.
    pub fn path(path: &Path) -> VssResult<Self> {
        let cannot = |error: io::Error| {
            VssError::new(
                VssCode::Unexpected,
                format!("cannot listen on the socket {path:?}; check its folder"),
            )
            .caused_by(error)
        };
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(folder)
                .map_err(cannot)?;
        }
        let lock = lock(path).map_err(cannot)?.ok_or_else(|| taken(path))?;
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(cannot(error)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(VssError::new(
                    VssCode::ObjectAlreadyExists,
                    format!("cannot listen on {path:?}: it is there and no socket; move it away"),
                ));
            }
            Ok(_) => match UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(cannot)?;
                }
                Err(error) => return Err(cannot(error)),
                Ok(_) => return Err(taken(path)),
            },
        }
        let listener = StdListener::bind(path).map_err(cannot)?;
        let file = SocketFile::new(path, lock).map_err(cannot)?;
        fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(cannot)?;
        Self::socket(listener, Some(file)).map_err(cannot)
    }

    /// An abstract socket, by its name without the leading zero byte: it has no
    /// file anywhere, so no frozen file system can matter.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_ALREADY_EXISTS` where another program has it, or the
    /// system's error.
    pub fn abstract_name(name: &str) -> VssResult<Self> {
        let listen = || {
            let address = SocketAddr::from_abstract_name(name)?;
            Self::socket(StdListener::bind_addr(&address)?, None)
        };
        listen().map_err(|error: io::Error| {
            let in_use = error.kind() == io::ErrorKind::AddrInUse;
            let (code, what) = if in_use {
                let what = "another program listens there; `ss -xlp` shows which, stop it";
                (VssCode::ObjectAlreadyExists, what)
            } else {
                (VssCode::Unexpected, "the system refused it")
            };
            VssError::new(
                code,
                format!("cannot listen on the abstract socket @{name}: {what}"),
            )
            .caused_by(error)
        })
    }

    /// A listening Unix socket that systemd handed over. Nothing is removed when
    /// it ends: it is systemd's.
    ///
    /// # Errors
    ///
    /// The descriptor is no listening Unix socket.
    pub fn handed_over(descriptor: OwnedFd) -> VssResult<Self> {
        let listener = StdListener::from(descriptor);
        let check = |listener: StdListener| {
            listener.local_addr()?;
            if !rustix::net::sockopt::socket_acceptconn(&listener)? {
                return Err(io::Error::other("it does not listen"));
            }
            Self::socket(listener, None)
        };
        check(listener).map_err(|error| {
            VssError::new(
                VssCode::InvalidArgument,
                "the descriptor that was handed over is no listening Unix stream socket; \
                 see ListenStream= in umbrad.socket",
            )
            .caused_by(error)
        })
    }

    /// A pipe in memory, and the requester's end of it. The peer may do
    /// everything: it is this process.
    pub fn pipe() -> (Self, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        (Self(Kind::Pipe(ours)), theirs)
    }

    fn socket(listener: StdListener, file: Option<SocketFile>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(Kind::Socket(Socket {
            listener: UnixListener::from_std(listener)?,
            _file: file,
        })))
    }
}

fn taken(path: &Path) -> VssError {
    VssError::new(
        VssCode::ObjectAlreadyExists,
        format!("cannot listen on {path:?}: another Umbra service does; stop that one first"),
    )
}

/// The lock beside a socket, or `None` where a living service has it.
fn lock(socket: &Path) -> io::Result<Option<File>> {
    let mut name = socket.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes the socket at the end, if it is still this one. The lock file stays:
/// removing it would let two services each lock one of their own.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    _lock: File,
}

impl SocketFile {
    fn new(path: &Path, lock: File) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            inode: inode(path)?,
            _lock: lock,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            // A socket that stays is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn replaces_a_dead_socket_and_never_a_living_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/umbra/umbra.sock");
        let first = Listener::path(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o666);
        assert_eq!(mode(path.parent().unwrap()), 0o755);
        let refused = Listener::path(&path).unwrap_err();
        assert_eq!(refused.code(), VssCode::ObjectAlreadyExists, "{refused}");
        UnixStream::connect(&path).unwrap();
        drop(first);
        assert!(!path.exists());

        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead socket");
        let second = Listener::path(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(second);

        let stranger = StdListener::bind(&path).unwrap();
        let refused = Listener::path(&path).unwrap_err();
        assert_eq!(refused.code(), VssCode::ObjectAlreadyExists, "{refused}");
        assert!(path.exists());
        drop(stranger);
    }

    #[tokio::test]
    async fn refuses_what_is_no_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("umbra.sock");
        fs::write(&path, "precious").unwrap();
        assert!(Listener::path(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let file = File::open(&path).unwrap();
        assert!(Listener::handed_over(file.into()).is_err());
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(Listener::handed_over(one.into()).is_err());
        let long = folder.path().join("x".repeat(120));
        let refused = Listener::path(&long).unwrap_err();
        assert!(refused.to_string().contains("SUN_LEN"), "{refused}");
    }

    #[tokio::test]
    async fn an_abstract_name_has_one_owner() {
        let name = format!("umbra-test-{}", std::process::id());
        let first = Listener::abstract_name(&name).unwrap();
        let refused = Listener::abstract_name(&name).unwrap_err();
        assert_eq!(refused.code(), VssCode::ObjectAlreadyExists, "{refused}");
        drop(first);
        Listener::abstract_name(&name).unwrap();
    }
}
