//! Serving: from listening sockets to calls of the service, and the end.

use crate::{
    Access, Listener,
    admin::AdminInterface,
    connections::{Admission, Connection},
    listener::{Kind, Socket},
    management::ManagementInterface,
    message_sizes::RequesterBySize,
    requester::RequesterInterface,
    sessions::Sessions,
    writer::WriterInterface,
};
use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::transport::Server;
use umbra_model::{VssCode, VssError, VssResult};
use umbra_protocol::{KEEPALIVE, MAX_HEADERS, MAX_REQUEST, MAX_WRITER_MESSAGE, v1};
use umbra_service::Service;
use v1::{
    admin_server::AdminServer, management_server::ManagementServer, writer_server::WriterServer,
};

/// How many calls one connection may have open; a writer is one call.
const MAX_CALLS: u32 = 1024;

/// How many connections may wait to be served.
const MAX_WAITING: usize = 64;

/// How long to wait when the system has no descriptor or memory for another
/// connection.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// How long callers have to read their last answers when the service stops.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until `shutdown` comes back. Then no new connection is taken, the
/// service is stopped (which aborts a set in the making and tells its writers),
/// and every stream is ended.
///
/// # Errors
///
/// The transport itself failed; a bad peer never makes it fail.
pub async fn serve(
    service: Service,
    listeners: Vec<Listener>,
    access: Access,
    shutdown: impl Future<Output = ()>,
) -> VssResult<()> {
    let sessions = Arc::new(Sessions::default());
    let (alive, stopping) = watch::channel(());
    let (connections, incoming) = mpsc::channel(MAX_WAITING.max(listeners.len()));
    let accepting = accept_all(listeners, &Arc::new(access), &connections).await;

    let mut ended = stopping.clone();
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(MAX_CALLS)
        .add_service(RequesterBySize::new(RequesterInterface {
            service: service.clone(),
            sessions: sessions.clone(),
        }))
        .add_service(
            AdminServer::new(AdminInterface {
                service: service.clone(),
            })
            .max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            ManagementServer::new(ManagementInterface {
                service: service.clone(),
            })
            .max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            WriterServer::new(WriterInterface {
                service: service.clone(),
                stopping,
            })
            .max_decoding_message_size(MAX_WRITER_MESSAGE),
        )
        .serve_with_incoming_shutdown(
            ReceiverStream::new(incoming).map(Ok::<_, io::Error>),
            async move {
                // Comes back when `alive` is dropped.
                let _ = ended.changed().await;
            },
        );
    let mut server = pin!(server);

    let failed = tokio::select! {
        result = &mut server => result.err(),
        () = shutdown => None,
    };
    drop(accepting);
    // First the service, so that requesters and writers are told why.
    service.stop().await;
    sessions.close_all();
    drop(alive);
    match failed {
        None => {
            // Whoever still reads after that is cut off.
            let _ = timeout(GRACE, server).await;
            Ok(())
        }
        Some(error) => Err(VssError::new(
            VssCode::Unexpected,
            "serving the Umbra service's sockets failed; start it again",
        )
        .caused_by(error)),
    }
}

/// Accepts on every listener until the returned set is dropped.
async fn accept_all(
    listeners: Vec<Listener>,
    access: &Arc<Access>,
    connections: &mpsc::Sender<Connection>,
) -> JoinSet<()> {
    let admission = Arc::new(Admission::default());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        match listener.0 {
            Kind::Socket(socket) => {
                accepting.spawn(accept(
                    socket,
                    access.clone(),
                    admission.clone(),
                    connections.clone(),
                ));
            }
            Kind::Pipe(pipe) => {
                // There is room for every listener, and a reader.
                let _ = connections.send(Connection::inside(pipe)).await;
            }
        }
    }
    accepting
}

async fn accept(
    socket: Socket,
    access: Arc<Access>,
    admission: Arc<Admission>,
    connections: mpsc::Sender<Connection>,
) {
    loop {
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                sleep(OUT_OF_DESCRIPTORS).await;
                continue;
            }
        };
        // One that may not stay is dropped, and its peer sees the end.
        if let Some(connection) = Connection::accept(stream, &access, &admission)
            && connections.send(connection).await.is_err()
        {
            return;
        }
    }
}
