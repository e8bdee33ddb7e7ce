//! Runs a writer over the socket.

use crate::{
    BackupOutcome, Connection,
    writer_events::{restore_event, set_event},
};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use umbra_documents::WriterMetadata;
use umbra_model::{VssCode, VssError, VssResult};
use umbra_protocol::{MAX_REPLY, MAX_WRITER_MESSAGE, fields, from_status, v1};
use umbra_writer::{Writer, WriterEvent, WriterFailure, WriterFailureKind};
use v1::{
    writer_client::WriterClient, writer_event::Event, writer_message::Message,
    writer_reply::Result as Answer,
};

/// Answers that may wait to be sent; the service asks one question at a time.
const ANSWERS: usize = 16;

/// Subscribes a writer and answers events until the service goes away
/// (`CVssWriter::Subscribe`). The caller decides whether to connect again; a
/// writer that does should do so as a new instance.
///
/// Event handlers must not block their thread for more than a moment, or the
/// service takes the process for dead: use `tokio::task::spawn_blocking`.
///
/// # Errors
///
/// `E_ACCESSDENIED` where this user may not be a writer, `VSS_E_WRITER_ALREADY_SUBSCRIBED`
/// where the same instance is, `E_INVALIDARG` where what it says breaks a rule, or
/// why the connection broke.
///
/// ```no_run
/// use std::sync::Arc;
/// use umbra_client::{Address, Connection, run_writer};
/// use umbra_writer::Writer;
///
/// # async fn example(my_writer: Arc<dyn Writer>) -> umbra_model::VssResult<()> {
/// let connection = Connection::open(&Address::default()).await?;
/// run_writer(&connection, my_writer).await
/// # }
/// ```
pub async fn run_writer(connection: &Connection, writer: Arc<dyn Writer>) -> VssResult<()> {
    SubscribedWriter::subscribe(connection, writer)
        .await?
        .run()
        .await
}

/// A writer that the service knows. Dropping it ends the subscription.
pub struct SubscribedWriter {
    writer: Arc<dyn Writer>,
    events: Streaming<v1::WriterEvent>,
    answers: mpsc::Sender<v1::WriterMessage>,
}

impl SubscribedWriter {
    /// Says hello and waits until the service has welcomed the writer.
    ///
    /// # Errors
    ///
    /// As [`run_writer`]; and `VSS_E_WRITERERROR_…` where the writer cannot say
    /// what it owns.
    pub async fn subscribe(connection: &Connection, writer: Arc<dyn Writer>) -> VssResult<Self> {
        let metadata = writer
            .identify()
            .await
            .map_err(|failure| failure.into_error(&writer.identity().name, "Identify"))?;
        let (answers, outgoing) = mpsc::channel(ANSWERS);
        let wanted = writer.subscription();
        let hello = v1::WriterHello {
            metadata: Some(metadata.into()),
            events: Some(wanted.events.bits()),
            freeze_to_thaw_ms: wanted.freeze_to_thaw.map_or(0, milliseconds),
        };
        send(&answers, Message::Hello(hello)).await?;
        let mut events = WriterClient::new(connection.channel())
            .max_encoding_message_size(MAX_WRITER_MESSAGE)
            .max_decoding_message_size(MAX_REPLY)
            .subscribe(ReceiverStream::new(outgoing))
            .await
            .map_err(|status| from_status(&status))?
            .into_inner();
        let first = next(&mut events).await?.and_then(|event| event.event);
        if !matches!(first, Some(Event::Welcome(_))) {
            return Err(fields::invalid(
                "WriterEvent.event",
                "`welcome` is not the first",
            ));
        }
        Ok(Self {
            writer,
            events,
            answers,
        })
    }

    /// Answers events until the service ends the subscription. A new event while
    /// one is being handled means that the service no longer waits for that one:
    /// its handler is dropped, as it would be inside the service.
    ///
    /// # Errors
    ///
    /// The rule that the service says was broken, or why the connection broke.
    pub async fn run(mut self) -> VssResult<()> {
        let mut handling: Option<Handling> = None;
        loop {
            let event = tokio::select! {
                biased;
                event = next(&mut self.events) => event?,
                reply = current(&mut handling) => {
                    handling = None;
                    send(&self.answers, Message::Reply(reply)).await?;
                    continue;
                }
            };
            match event {
                Some(event) => handling = Some(Box::pin(handle(self.writer.clone(), event))),
                None => return Ok(()),
            }
        }
    }
}

type Handling = Pin<Box<dyn Future<Output = v1::WriterReply> + Send>>;

async fn current(handling: &mut Option<Handling>) -> v1::WriterReply {
    match handling {
        Some(handling) => handling.await,
        None => std::future::pending().await,
    }
}

async fn next(events: &mut Streaming<v1::WriterEvent>) -> VssResult<Option<v1::WriterEvent>> {
    events
        .message()
        .await
        .map_err(|status| from_status(&status))
}

async fn send(answers: &mpsc::Sender<v1::WriterMessage>, message: Message) -> VssResult<()> {
    let message = v1::WriterMessage {
        message: Some(message),
    };
    answers.send(message).await.map_err(|_| {
        VssError::new(
            VssCode::Unexpected,
            "the Umbra service has ended the writer's subscription",
        )
    })
}

async fn handle(writer: Arc<dyn Writer>, event: v1::WriterEvent) -> v1::WriterReply {
    let sequence = event.sequence;
    let (result, changed) = match event.event {
        Some(event) => answer(&*writer, event).await,
        None => (
            Err(not_understood(
                "the service sent an event of a later version",
            )),
            Vec::new(),
        ),
    };
    let result = match result {
        Ok(metadata) => Answer::Done(v1::WriterDone {
            metadata: metadata.map(Into::into),
        }),
        Err(failure) => Answer::Veto(v1::WriterVeto {
            kind: wire_kind(failure.kind).into(),
            message: failure.message,
            application_code: failure.application_code,
        }),
    };
    v1::WriterReply {
        sequence,
        result: Some(result),
        changed,
    }
}

/// How an event went, and which components the writer changed.
type Outcome = (
    Result<Option<WriterMetadata>, WriterFailure>,
    Vec<v1::ChosenComponent>,
);

/// Gives an event to the writer.
async fn answer(writer: &dyn Writer, event: Event) -> Outcome {
    match event {
        Event::Identify(_) => (writer.identify().await.map(Some), Vec::new()),
        Event::BackupShutdown(event) => {
            let session = fields::id("BackupShutdown.session_id", &event.session_id);
            let result = match session {
                Ok(session) => {
                    writer.backup_shutdown(session).await;
                    Ok(None)
                }
                Err(error) => Err(not_understood(error.to_string())),
            };
            (result, Vec::new())
        }
        Event::Welcome(_) => (
            Err(not_understood("the service sent a second welcome")),
            Vec::new(),
        ),
        event => with_components(writer, event)
            .await
            .unwrap_or_else(|error| (Err(not_understood(error.to_string())), Vec::new())),
    }
}

/// Gives an event that has components.
async fn with_components(writer: &dyn Writer, event: Event) -> VssResult<Outcome> {
    macro_rules! give {
        ($method:ident($converted:ident($event:expr), $at:ident $(, $more:expr)?)) => {{
            let (event, chosen) = $converted($event, WriterEvent::$at)?;
            let result = writer.$method(&event $(, $more)?).await;
            (result, chosen.changed())
        }};
    }
    let (result, changed) = match event {
        Event::PrepareForBackup(event) => {
            give!(prepare_for_backup(set_event(event), PrepareForBackup))
        }
        Event::PrepareForSnapshot(event) => {
            give!(prepare_for_snapshot(set_event(event), PrepareForSnapshot))
        }
        Event::Freeze(event) => give!(freeze(set_event(event), Freeze)),
        Event::Thaw(event) => give!(thaw(set_event(event), Thaw)),
        Event::PostSnapshot(event) => give!(post_snapshot(set_event(event), PostSnapshot)),
        Event::BackupComplete(event) => {
            let outcome = if event.succeeded {
                BackupOutcome::Succeeded
            } else {
                BackupOutcome::Failed
            };
            let set = fields::required("BackupCompleteEvent.set", event.set)?;
            give!(backup_complete(set_event(set), BackupComplete, outcome))
        }
        Event::PreRestore(event) => give!(pre_restore(restore_event(event), PreRestore)),
        Event::PostRestore(event) => give!(post_restore(restore_event(event), PostRestore)),
        Event::Abort(event) => {
            let (event, _) = set_event(event, WriterEvent::Abort)?;
            writer.abort(&event).await;
            (Ok(()), Vec::new())
        }
        // These have none.
        Event::Welcome(_) | Event::Identify(_) | Event::BackupShutdown(_) => (Ok(()), Vec::new()),
    };
    Ok((result.map(|()| None), changed))
}

/// At least one: none means the service's own time-out.
fn milliseconds(limit: Duration) -> u32 {
    u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn not_understood(why: impl Into<String>) -> WriterFailure {
    WriterFailure::new(WriterFailureKind::NonRetryable, why)
}

fn wire_kind(kind: WriterFailureKind) -> v1::WriterFailureKind {
    match kind {
        WriterFailureKind::InconsistentSnapshot => v1::WriterFailureKind::InconsistentSnapshot,
        WriterFailureKind::OutOfResources => v1::WriterFailureKind::OutOfResources,
        WriterFailureKind::Timeout => v1::WriterFailureKind::Timeout,
        WriterFailureKind::Retryable => v1::WriterFailureKind::Retryable,
        // A writer cannot say of itself that it does not respond.
        WriterFailureKind::NonRetryable | WriterFailureKind::NotResponding => {
            v1::WriterFailureKind::NonRetryable
        }
    }
}
