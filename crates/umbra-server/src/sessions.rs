//! Open sessions: each lives as long as the stream it was opened on.

use crate::access::Credentials;
use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::watch;
use tokio_stream::{Stream, wrappers::BroadcastStream};
use tonic::Status;
use umbra_model::{SessionId, VssCode, VssError, VssResult};
use umbra_protocol::{fields, v1};
use umbra_service::{Progress, Requester, Service, Session};

/// The sessions that are open now.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<SessionId, Entry>>,
}

struct Entry {
    session: Arc<Session>,
    uid: u32,
    /// Dropped with the entry; whoever waits on it learns that the session ended.
    _alive: watch::Sender<()>,
    ended: watch::Receiver<()>,
}

impl Sessions {
    /// Opens a session; it is closed when the stream is dropped.
    pub(crate) fn open(
        self: &Arc<Self>,
        service: &Service,
        name: String,
        peer: Credentials,
    ) -> SessionStream {
        let session = Arc::new(service.open_session(Requester {
            name,
            uid: peer.uid,
            pid: peer.pid,
        }));
        let id = session.id();
        let progress = BroadcastStream::new(session.progress());
        let (alive, ended) = watch::channel(());
        let mut end = ended.clone();
        self.lock().insert(
            id,
            Entry {
                session,
                uid: peer.uid,
                _alive: alive,
                ended,
            },
        );
        SessionStream {
            sessions: self.clone(),
            id,
            opened: false,
            progress,
            ended: Box::pin(async move {
                // Nothing is ever sent: this comes back when the sender is gone.
                let _ = end.changed().await;
            }),
        }
    }

    /// Makes a call of a session, until it is done or the session ends.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a session that is not open, `E_ACCESSDENIED`
    /// for one of another user, or the call's own error.
    pub(crate) async fn call<T, F: Future<Output = VssResult<T>>>(
        &self,
        peer: Credentials,
        session_id: &str,
        work: impl FnOnce(Arc<Session>) -> F,
    ) -> VssResult<T> {
        let (session, mut ended) = self.find(peer, session_id)?;
        tokio::select! {
            biased;
            result = work(session) => result,
            _ = ended.changed() => Err(VssError::new(
                VssCode::AsyncCancelled,
                "the session ended while the call was on its way: its stream was closed",
            )),
        }
    }

    /// Ends a session, if it is open.
    pub(crate) fn close(&self, id: SessionId) {
        // Dropped outside the lock: the session may have much to do.
        let entry = self.lock().remove(&id);
        drop(entry);
    }

    /// Ends every session.
    pub(crate) fn close_all(&self) {
        let entries = std::mem::take(&mut *self.lock());
        drop(entries);
    }

    fn find(
        &self,
        peer: Credentials,
        session_id: &str,
    ) -> VssResult<(Arc<Session>, watch::Receiver<()>)> {
        let id: SessionId = fields::id("session_id", session_id)?;
        let open = self.lock();
        let entry = open.get(&id).ok_or_else(|| {
            VssError::new(
                VssCode::ObjectNotFound,
                format!("there is no open session {id}; it ended with its OpenSession stream"),
            )
        })?;
        if entry.uid != peer.uid {
            return Err(VssError::new(
                VssCode::AccessDenied,
                format!(
                    "the session {id} belongs to another user than uid {}",
                    peer.uid
                ),
            ));
        }
        Ok((entry.session.clone(), entry.ended.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the requester reads for as long as its session is open.
pub(crate) struct SessionStream {
    sessions: Arc<Sessions>,
    id: SessionId,
    opened: bool,
    progress: BroadcastStream<Progress>,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Stream for SessionStream {
    type Item = Result<v1::SessionEvent, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        use v1::session_event::Event;
        let this = self.get_mut();
        let event = if this.opened {
            loop {
                match Pin::new(&mut this.progress).poll_next(context) {
                    Poll::Ready(Some(Ok(progress))) => {
                        break Event::Progress(v1::SessionProgress {
                            state: progress.state.to_string(),
                            message: progress.message,
                        });
                    }
                    // A requester that reads slowly misses some.
                    Poll::Ready(Some(Err(_))) => {}
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => {
                        return this.ended.as_mut().poll(context).map(|()| None);
                    }
                }
            }
        } else {
            this.opened = true;
            Event::Opened(v1::SessionOpened {
                session_id: this.id.to_string(),
            })
        };
        Poll::Ready(Some(Ok(v1::SessionEvent { event: Some(event) })))
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        self.sessions.close(self.id);
    }
}
