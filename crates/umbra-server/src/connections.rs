//! Connections as they come in: who is at the other end, and how many there may
//! be.

use crate::access::{Access, Credentials, Rights};
use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::UnixStream,
};
use tonic::{Request, Status, codegen::http, transport::server::Connected};
use umbra_model::{VssCode, VssError};
use umbra_protocol::to_status;

use crate::access::Right;

/// How many connections one user other than root may have open.
const MAX_PER_USER: usize = 256;

/// How many connections there may be. Root is not counted against it.
const MAX_OF_USERS: usize = 2048;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) credentials: Credentials,
    rights: Rights,
}

impl Peer {
    /// The peer that a request came from, if it has this right.
    ///
    /// # Errors
    ///
    /// `E_ACCESSDENIED`.
    pub(crate) fn of<T>(request: &Request<T>, right: Right) -> Result<Self, Status> {
        let peer = request.extensions().get::<Self>().ok_or_else(|| {
            to_status(&VssError::new(
                VssCode::AccessDenied,
                "the connection has no peer credentials",
            ))
        })?;
        peer.rights
            .require(right)
            .map_err(|error| to_status(&error))?;
        Ok(peer.clone())
    }

    /// Whether the peer that a request came from has this right.
    pub(crate) fn may(extensions: &http::Extensions, right: Right) -> bool {
        let peer = extensions.get::<Self>();
        peer.is_some_and(|peer| peer.rights.require(right).is_ok())
    }
}

/// Counts connections by user, so that none can shut others out.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    open: Mutex<HashMap<u32, usize>>,
}

impl Admission {
    /// A place for a connection of this user, or `None` where it has too many.
    fn admit(self: &Arc<Self>, uid: u32) -> Option<Place> {
        if uid != 0 {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let all: usize = open.values().sum();
            let own = open.entry(uid).or_default();
            if *own >= MAX_PER_USER || all >= MAX_OF_USERS {
                return None;
            }
            *own += 1;
        }
        Some(Place {
            admission: self.clone(),
            uid,
        })
    }
}

/// A counted connection.
#[derive(Debug)]
struct Place {
    admission: Arc<Admission>,
    uid: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .admission
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.uid);
            }
        }
    }
}

/// A connection with its peer.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    peer: Peer,
    _place: Option<Place>,
}

#[derive(Debug)]
enum Stream {
    Socket(UnixStream),
    Pipe(DuplexStream),
}

impl Connection {
    /// A connection on a socket; `None` where its user has too many, or where it
    /// is gone already.
    pub(crate) fn accept(
        stream: UnixStream,
        access: &Access,
        admission: &Arc<Admission>,
    ) -> Option<Self> {
        let credentials = stream.peer_cred().ok()?;
        let credentials = Credentials {
            uid: credentials.uid(),
            gid: credentials.gid(),
            pid: credentials.pid().unwrap_or_default(),
        };
        let place = admission.admit(credentials.uid)?;
        Some(Self {
            stream: Stream::Socket(stream),
            peer: Peer {
                credentials,
                rights: access.rights(credentials),
            },
            _place: Some(place),
        })
    }

    /// The other end of a pipe in this process, which runs the service itself.
    pub(crate) fn inside(pipe: DuplexStream) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        Self {
            stream: Stream::Pipe(pipe),
            peer: Peer {
                credentials: Credentials {
                    uid,
                    gid: rustix::process::getegid().as_raw(),
                    pid: rustix::process::getpid().as_raw_nonzero().get(),
                },
                rights: Rights::all(uid),
            },
            _place: None,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Socket(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Pipe(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Socket(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Pipe(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Socket(stream) => Pin::new(stream).poll_flush(context),
            Stream::Pipe(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Socket(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Pipe(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_shut_others_out() {
        let admission = Arc::new(Admission::default());
        let full: Vec<_> = (0..MAX_PER_USER).map(|_| admission.admit(1000)).collect();
        assert!(full.iter().all(Option::is_some));
        assert!(admission.admit(1000).is_none());
        assert!(admission.admit(1001).is_some());
        assert!(admission.admit(0).is_some());
        drop(full);
        assert!(admission.admit(1000).is_some());
    }

    #[test]
    fn users_together_cannot_shut_root_out() {
        let admission = Arc::new(Admission::default());
        let places: Vec<_> = (0..2 * MAX_OF_USERS)
            .filter_map(|number| admission.admit(1000 + u32::try_from(number).unwrap() % 100))
            .collect();
        assert_eq!(places.len(), MAX_OF_USERS);
        assert!(admission.admit(5000).is_none());
        assert!(admission.admit(0).is_some());
    }
}
