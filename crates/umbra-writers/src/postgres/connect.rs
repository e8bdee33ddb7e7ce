//! Connects to a cluster over its Unix socket, as the user it expects.

use super::{failure, passfile};
use crate::RelayCommand;
use std::{io, path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::UnixStream,
    process::Child,
    time::timeout,
};
use tokio_postgres::{CancelToken, Client, Config, NoTls, error::SqlState};
use umbra_writer::{WriterFailure, WriterFailureKind};

/// How long a cluster may take to let us in.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Where a cluster listens and who may connect.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// The cluster's name, for messages.
    pub(super) cluster: String,
    /// Its data directory, where it is known before it is asked.
    pub(super) data: Option<PathBuf>,
    /// The folder of its socket.
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    /// The roles to try, in this order.
    pub(super) roles: Vec<String>,
    pub(super) database: String,
    /// The user and group id to connect as, where it is not the service's own.
    pub(super) os_user: Option<(u32, u32)>,
    pub(super) passfile: Option<PathBuf>,
    pub(super) relay: RelayCommand,
}

/// Both directions of a connection.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection's bytes, and the relay that carries them, if any.
struct Wire {
    bytes: Box<dyn Duplex>,
    relay: Option<Child>,
}

/// An open connection. Dropped, it ends the server's session.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) role: String,
}

impl Access {
    /// Connects.
    ///
    /// # Errors
    ///
    /// With what to put into the configuration where the cluster lets nobody in.
    pub(super) async fn connect(&self) -> Result<Connected, WriterFailure> {
        let mut refused = None;
        for role in &self.roles {
            let attempt = timeout(CONNECT_LIMIT, self.attempt(role));
            match attempt.await {
                Err(_) => {
                    return Err(self.failure(
                        WriterFailureKind::Timeout,
                        format!("no answer within {} s", CONNECT_LIMIT.as_secs()),
                    ));
                }
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(Attempt::Refused(why))) => {
                    refused.get_or_insert(why);
                }
                Ok(Err(Attempt::Failed(failure))) => return Err(failure),
            }
        }
        let why = refused.unwrap_or_else(|| "no role to connect as".into());
        Err(self.failure(
            WriterFailureKind::NonRetryable,
            format!(
                "it does not let role {} in ({why}); put into writers.d/postgresql.toml a \
                 [[cluster]] with name = {:?}, host = {:?}, port = {} and the user, and the \
                 passfile or os_user, that it lets in; or its data directory into `except`",
                self.roles.join(" or "),
                self.cluster,
                self.folder,
                self.port,
            ),
        ))
    }

    /// Cancels what a connection is doing. Nobody waits for it, so there is
    /// nobody to tell that it did not work.
    pub(super) async fn cancel(&self, token: CancelToken) {
        let cancel = async {
            if let Ok(wire) = self.dial().await {
                let _ = token.cancel_query_raw(wire.bytes, NoTls).await;
                if let Some(mut relay) = wire.relay {
                    let _ = relay.wait().await;
                }
            }
        };
        let _ = timeout(CONNECT_LIMIT, cancel).await;
    }

    async fn attempt(&self, role: &str) -> Result<Connected, Attempt> {
        let wire = self.dial().await.map_err(|error| {
            Attempt::Failed(self.failure(
                WriterFailureKind::NonRetryable,
                format!("cannot connect to {}: {error}", self.socket().display()),
            ))
        })?;
        let mut config = Config::new();
        config
            .user(role)
            .dbname(&self.database)
            .application_name("umbra");
        if let Some(file) = &self.passfile {
            let found = passfile::password(file, &self.folder, self.port, &self.database, role)
                .map_err(|error| {
                    Attempt::Failed(self.failure(WriterFailureKind::NonRetryable, error))
                })?;
            if let Some(password) = found {
                config.password(password);
            }
        }
        let Wire { bytes, mut relay } = wire;
        match config.connect_raw(bytes, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(async move {
                    // Ends when the client is dropped; every query tells of an
                    // error by itself. The relay lives as long.
                    let _ = connection.await;
                    drop(relay);
                });
                Ok(Connected {
                    client,
                    role: role.to_owned(),
                })
            }
            Err(error) => {
                if let Some(said) = complaint(&mut relay).await {
                    return Err(Attempt::Failed(self.failure(
                        WriterFailureKind::NonRetryable,
                        format!("cannot connect to {}: {said}", self.socket().display()),
                    )));
                }
                Err(self.sort(&error))
            }
        }
    }

    async fn dial(&self) -> io::Result<Wire> {
        let socket = self.socket();
        let own = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let Some((uid, gid)) = self.os_user.filter(|(uid, _)| *uid != own.0) else {
            return Ok(Wire {
                bytes: Box::new(UnixStream::connect(socket).await?),
                relay: None,
            });
        };
        let mut relay = self.relay.start(&socket, uid, gid).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot start a relay as user id {uid}: {error}"),
            )
        })?;
        match (relay.stdout.take(), relay.stdin.take()) {
            (Some(output), Some(input)) => Ok(Wire {
                bytes: Box::new(tokio::io::join(output, input)),
                relay: Some(relay),
            }),
            _ => Err(io::Error::other("the relay has no standard input")),
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    fn sort(&self, error: &tokio_postgres::Error) -> Attempt {
        let said = said(error);
        match error.code() {
            Some(&(SqlState::INVALID_AUTHORIZATION_SPECIFICATION | SqlState::INVALID_PASSWORD)) => {
                Attempt::Refused(said)
            }
            // No code: the client itself has no password, or no method, for it.
            None if said.contains("password") || said.contains("authentication") => {
                Attempt::Refused(said)
            }
            Some(&SqlState::CANNOT_CONNECT_NOW) => Attempt::Failed(self.failure(
                WriterFailureKind::Retryable,
                format!(
                    "it lets nobody in now ({said}); wait until it has started, or put its data \
                     directory into `except` in writers.d/postgresql.toml"
                ),
            )),
            _ => Attempt::Failed(query_failure(&self.cluster, "cannot connect", error)),
        }
    }

    fn failure(&self, kind: WriterFailureKind, why: impl std::fmt::Display) -> WriterFailure {
        failure(&self.cluster, kind, why)
    }
}

/// Why one attempt did not connect.
enum Attempt {
    /// Another role may be let in.
    Refused(String),
    /// No other role would help.
    Failed(WriterFailure),
}

/// What the relay wrote to its standard error before it ended, if it did.
async fn complaint(relay: &mut Option<Child>) -> Option<String> {
    let mut errors = relay.as_mut()?.stderr.take()?;
    let mut text = String::new();
    // A relay that still runs says nothing and is not waited for.
    let read = errors.read_to_string(&mut text);
    let _ = timeout(Duration::from_millis(500), read).await;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A failure of a query or a connection, by what PostgreSQL said.
pub(super) fn query_failure(
    cluster: &str,
    what: &str,
    error: &tokio_postgres::Error,
) -> WriterFailure {
    let kind = match error.code() {
        Some(&(SqlState::TOO_MANY_CONNECTIONS | SqlState::OUT_OF_MEMORY | SqlState::DISK_FULL)) => {
            WriterFailureKind::OutOfResources
        }
        Some(&(SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::QUERY_CANCELED)) => {
            WriterFailureKind::Retryable
        }
        Some(_) => WriterFailureKind::NonRetryable,
        // The connection broke: the cluster was stopped, or started again.
        None => WriterFailureKind::Retryable,
    };
    failure(cluster, kind, format!("{what}: {}", said(error)))
}

/// What the server said, or else the client library with its causes.
fn said(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return server.message().to_owned();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(next) = source {
        text.push_str(": ");
        text.push_str(&next.to_string());
        source = next.source();
    }
    text
}
