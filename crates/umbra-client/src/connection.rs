//! The way to the service: a socket, or a pipe in memory.

use hyper_util::rt::TokioIo;
use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream as StdUnixStream},
    },
    path::PathBuf,
    sync::Mutex,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};
use tonic::transport::{Channel, Endpoint};
use umbra_model::{VssCode, VssError};
use umbra_protocol::{DEFAULT_ABSTRACT_NAME, KEEPALIVE, MAX_HEADERS};

/// Where a service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system, such as `/run/umbra/umbra.sock`.
    Path(PathBuf),
    /// An abstract socket; the name without the leading zero byte or `@`.
    Abstract(String),
}

impl Default for Address {
    /// The system's service.
    fn default() -> Self {
        Self::Abstract(DEFAULT_ABSTRACT_NAME.to_owned())
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No service runs there.
    #[error("no Umbra service listens on {address}; start it with `systemctl start umbrad`")]
    NotListening {
        /// Where it was looked for.
        address: Address,
    },
    /// Something listens that neither root nor this user has started.
    #[error(
        "the service on {address} belongs to uid {uid}, neither to root nor to you; it was not spoken to, find out who started it"
    )]
    Impostor {
        /// Where it listens.
        address: Address,
        /// Who started it.
        uid: u32,
    },
    /// The system refused.
    #[error("cannot connect to the Umbra service on {address}")]
    Refused {
        /// Where it listens.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What listens does not speak as the service does.
    #[error("the connection to the Umbra service broke before the first call")]
    Handshake(#[source] tonic::transport::Error),
}

impl From<ConnectError> for VssError {
    fn from(error: ConnectError) -> Self {
        let code = match &error {
            ConnectError::Impostor { .. } => VssCode::AccessDenied,
            ConnectError::Refused { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                VssCode::AccessDenied
            }
            _ => VssCode::Unexpected,
        };
        let source = std::error::Error::source(&error);
        match source {
            Some(source) => Self::new(code, error.to_string()).caused_by(source),
            None => Self::new(code, error.to_string()),
        }
    }
}

/// A connection to a service. Clones share it. When it breaks it stays broken:
/// sessions and writers that lived on it are gone, so the caller starts over.
#[derive(Debug, Clone)]
pub struct Connection {
    channel: Channel,
}

impl Connection {
    /// Connects to the service at this address.
    ///
    /// On an abstract socket, which any user could have taken first, the service
    /// must belong to root or to this user.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NotListening`] where no service runs; the others where
    /// one may, but cannot be talked to.
    pub async fn open(address: &Address) -> Result<Self, ConnectError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ConnectError::NotListening {
                    address: address.clone(),
                }
            }
            _ => ConnectError::Refused {
                address: address.clone(),
                source,
            },
        };
        let stream = match address {
            Address::Path(path) => UnixStream::connect(path).await.map_err(refused)?,
            Address::Abstract(name) => {
                let stream = connect_abstract(name).map_err(refused)?;
                let uid = stream.peer_cred().map_err(refused)?.uid();
                if uid != 0 && uid != rustix::process::geteuid().as_raw() {
                    return Err(ConnectError::Impostor {
                        address: address.clone(),
                        uid,
                    });
                }
                stream
            }
        };
        let endpoint = endpoint()
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        Self::with(endpoint, stream).await
    }

    /// Speaks over a stream that is already there, such as a pipe in memory to a
    /// service in the same process.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Handshake`] where nobody answers at the other end.
    pub async fn over<S>(stream: S) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::with(endpoint(), stream).await
    }

    async fn with<S>(endpoint: Endpoint, stream: S) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // The channel asks for a second stream when the first has broken; there
        // is none.
        let only = Mutex::new(Some(stream));
        let connector = tower::service_fn(move |_| {
            let stream = only.lock().ok().and_then(|mut only| only.take());
            async move {
                stream
                    .map(TokioIo::new)
                    .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
            }
        });
        let channel = endpoint
            .connect_with_connector(connector)
            .await
            .map_err(ConnectError::Handshake)?;
        Ok(Self { channel })
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// The authority is never looked up; servers merely insist on one.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://localhost").http2_max_header_list_size(MAX_HEADERS)
}

fn connect_abstract(name: &str) -> io::Result<UnixStream> {
    // A Unix connect waits for nothing but room in the listener's queue.
    let stream = StdUnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
