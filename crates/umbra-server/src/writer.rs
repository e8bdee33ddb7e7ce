//! The writer's interface.

use crate::{
    access::Right,
    connections::Peer,
    remote_writer::RemoteWriter,
    writer_line::{Line, MAX_QUEUED, Outgoing, broken, checked},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use umbra_documents::WriterMetadata;
use umbra_model::{SubscribeMask, VssCode, VssError};
use umbra_protocol::{to_status, v1};
use umbra_service::{Service, WriterRegistration};
use umbra_writer::Subscription;
use v1::{writer_event::Event, writer_message::Message, writer_server};

/// How long a writer has to say hello.
const HELLO: Duration = Duration::from_secs(5);

/// How often a writer's unanswered events are counted.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct WriterInterface {
    pub(crate) service: Service,
    /// Its sender is dropped when the service stops.
    pub(crate) stopping: watch::Receiver<()>,
}

#[tonic::async_trait]
impl writer_server::Writer for WriterInterface {
    type SubscribeStream = ReceiverStream<Outgoing>;

    async fn subscribe(
        &self,
        request: Request<Streaming<v1::WriterMessage>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let peer = Peer::of(&request, Right::Writer)?.credentials;
        let mut messages = request.into_inner();
        let (metadata, wanted) = hello(&mut messages).await?;
        let (events, outgoing) = mpsc::channel(MAX_QUEUED);
        let welcome = v1::WriterEvent {
            sequence: 0,
            event: Some(Event::Welcome(v1::WriterWelcome {})),
        };
        // There is room: nothing else is in the queue yet.
        let _ = events.try_send(Ok(welcome));
        let line = Arc::new(Line::new(metadata.identity.clone(), events.clone()));
        let registration = self
            .service
            .register_writer(
                Arc::new(RemoteWriter::new(line.clone(), metadata, wanted)),
                format!("uid {}, pid {}", peer.uid, peer.pid),
            )
            .map_err(|error| to_status(&error))?;
        let life = Life {
            messages,
            reader_gone: events.downgrade(),
            line,
            stopping: self.stopping.clone(),
            _registration: registration,
        };
        drop(events);
        tokio::spawn(life.run());
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// Waits for a writer's first message.
async fn hello(
    messages: &mut Streaming<v1::WriterMessage>,
) -> Result<(WriterMetadata, Subscription), Status> {
    let first = timeout(HELLO, messages.message()).await.map_err(|_| {
        let why = format!("it said no hello within {} s", HELLO.as_secs());
        to_status(&broken(why))
    })??;
    let Some(Message::Hello(hello)) = first.and_then(|first| first.message) else {
        return Err(to_status(&broken("its first message is not a hello")));
    };
    let metadata = hello.metadata;
    let metadata = metadata.ok_or_else(|| to_status(&broken("its hello has no metadata")))?;
    let metadata = checked(metadata).map_err(|why| to_status(&broken(why)))?;
    let subscription = Subscription {
        events: hello
            .events
            .map_or(SubscribeMask::ALL_FLAGS, SubscribeMask::from_bits),
        freeze_to_thaw: (hello.freeze_to_thaw_ms > 0)
            .then(|| Duration::from_millis(hello.freeze_to_thaw_ms.into())),
    };
    Ok((metadata, subscription))
}

/// A writer's life. Everything of it ends with [`Life::run`].
struct Life {
    messages: Streaming<v1::WriterMessage>,
    reader_gone: mpsc::WeakSender<Outgoing>,
    line: Arc<Line>,
    stopping: watch::Receiver<()>,
    _registration: WriterRegistration,
}

impl Life {
    async fn run(mut self) {
        let last_word = self.listen().await;
        self.line.end(last_word);
    }

    /// Reads answers until the writer leaves, breaks a rule, or the service
    /// stops; returns what the writer should be told.
    async fn listen(&mut self) -> Option<Status> {
        let mut patience = tokio::time::interval(PATIENCE);
        loop {
            let message = tokio::select! {
                message = self.messages.message() => message,
                _ = self.stopping.changed() => return None,
                _ = patience.tick() => {
                    // The writer may have ended its reading half alone.
                    if self.reader_gone.upgrade().is_none_or(|events| events.is_closed()) {
                        return None;
                    }
                    match self.line.check_patience() {
                        Ok(()) => continue,
                        Err(error) => return Some(to_status(&error)),
                    }
                }
            };
            let result = match message {
                // A broken connection hears nothing; a message that is too large does.
                Err(status) => return Some(status_for(&status)),
                Ok(None) => return None,
                Ok(Some(v1::WriterMessage { message })) => match message {
                    Some(Message::Reply(reply)) => self.line.answer(reply),
                    Some(Message::Hello(_)) => Err(broken("it said hello twice")),
                    None => Err(broken("it is empty")),
                },
            };
            if let Err(error) = result {
                return Some(to_status(&error));
            }
        }
    }
}

/// What a writer is told whose message could not be read.
fn status_for(status: &Status) -> Status {
    to_status(
        &VssError::new(
            VssCode::InvalidArgument,
            "the field WriterMessage of a message is wrong: it is larger than the wire allows, \
             or no message at all",
        )
        .caused_by_text(status.message()),
    )
}
