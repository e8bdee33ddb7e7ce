//! The way to the service: umbrad's socket, or, where none listens, the same
//! service and server in this process, over a pipe in memory.

use crate::{exit::ExitKind, failure::Failure, root::Root, start_up::ServiceInside};
use umbra_client::{Address, ConnectError, Connection};
use umbra_model::VssError;

/// A service that can be talked to.
pub struct Reached {
    connection: Connection,
    inside: Option<ServiceInside>,
}

impl Reached {
    /// Connects to umbrad, or starts the service in this process.
    ///
    /// # Errors
    ///
    /// Nobody may be asked: umbrad refuses or does not speak the protocol; or it
    /// does not run and this process is not root; or the service cannot start.
    pub async fn open(root: &Root) -> Result<Self, Failure> {
        match Connection::open(&Address::Path(root.socket())).await {
            Ok(connection) => Ok(Self {
                connection,
                inside: None,
            }),
            Err(ConnectError::NotListening { address }) if !is_root() => Err(Failure::new(
                ExitKind::NoPrivilege,
                format!(
                    "no Umbra service listens on {address}, and without it umbra must do its work \
                     as root; start it with `systemctl start umbrad`, or run umbra with sudo"
                ),
            )),
            Err(ConnectError::NotListening { .. }) => {
                let (inside, connection) = ServiceInside::start(root).await?;
                Ok(Self {
                    connection,
                    inside: Some(inside),
                })
            }
            Err(error) => Err(unreachable(error)),
        }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether umbrad runs; if not, the service is in this process.
    pub fn is_daemon(&self) -> bool {
        self.inside.is_none()
    }

    /// Lets go of the service. One in this process is stopped, and everything
    /// that it still has to clean up awaited.
    pub async fn finish(self) {
        drop(self.connection);
        if let Some(inside) = self.inside {
            inside.stop().await;
        }
    }
}

/// The failure of a program that cannot talk to umbrad.
pub fn unreachable(error: ConnectError) -> Failure {
    let error = VssError::from(error);
    let kind = match ExitKind::of(error.code()) {
        ExitKind::NoPrivilege => ExitKind::NoPrivilege,
        _ => ExitKind::Unreachable,
    };
    Failure::of_kind(kind, error)
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
