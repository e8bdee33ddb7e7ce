//! A writer that says on the wire whatever a test wants.

use super::{Served, metadata, within};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use umbra_model::{VssError, VssResult};
use umbra_protocol::{from_status, v1};
use v1::{writer_event::Event, writer_message::Message, writer_reply::Result as Answer};

/// A writer that says on the wire whatever a test wants.
pub struct Puppet {
    pub metadata: v1::WriterMetadata,
    messages: mpsc::Sender<v1::WriterMessage>,
    events: Streaming<v1::WriterEvent>,
}

impl Puppet {
    /// Says hello and is welcomed.
    pub async fn new(served: &Served) -> Self {
        let metadata: v1::WriterMetadata = metadata("Puppet").into();
        let mut puppet = Self::says(served, vec![hello(&metadata)]).await.unwrap();
        puppet.metadata = metadata;
        let welcome = puppet.next().await.unwrap();
        assert_eq!(welcome.sequence, 0);
        assert!(matches!(welcome.event, Some(Event::Welcome(_))));
        puppet
    }

    /// Subscribes with these first messages.
    pub async fn says(served: &Served, first: Vec<Message>) -> VssResult<Self> {
        let (messages, outgoing) = mpsc::channel(32);
        for message in first {
            messages
                .try_send(v1::WriterMessage {
                    message: Some(message),
                })
                .unwrap();
        }
        let events = v1::writer_client::WriterClient::new(served.channel().await)
            .subscribe(ReceiverStream::new(outgoing))
            .await
            .map_err(|status| from_status(&status))?
            .into_inner();
        Ok(Self {
            metadata: v1::WriterMetadata::default(),
            messages,
            events,
        })
    }

    pub async fn next(&mut self) -> Result<v1::WriterEvent, VssError> {
        match within(self.events.message()).await {
            Ok(Some(event)) => Ok(event),
            Ok(None) => panic!("the stream ended without an error"),
            Err(status) => Err(from_status(&status)),
        }
    }

    pub async fn send(&self, message: Message) {
        let message = v1::WriterMessage {
            message: Some(message),
        };
        self.messages.send(message).await.unwrap();
    }

    pub async fn reply(&self, sequence: u64, result: Option<Answer>) {
        self.reply_with(sequence, result, Vec::new()).await;
    }

    pub async fn reply_with(
        &self,
        sequence: u64,
        result: Option<Answer>,
        changed: Vec<v1::ChosenComponent>,
    ) {
        self.send(Message::Reply(v1::WriterReply {
            sequence,
            result,
            changed,
        }))
        .await;
    }

    pub async fn done(&self, event: &v1::WriterEvent) {
        let metadata =
            matches!(event.event, Some(Event::Identify(_))).then(|| self.metadata.clone());
        let done = Answer::Done(v1::WriterDone { metadata });
        self.reply(event.sequence, Some(done)).await;
    }

    /// Answers everything until Freeze comes.
    pub async fn until_freeze(&mut self) -> v1::WriterEvent {
        loop {
            let event = self.next().await.unwrap();
            if matches!(event.event, Some(Event::Freeze(_))) {
                return event;
            }
            self.done(&event).await;
        }
    }
}

pub fn hello(metadata: &v1::WriterMetadata) -> Message {
    Message::Hello(v1::WriterHello {
        metadata: Some(metadata.clone()),
        ..v1::WriterHello::default()
    })
}

pub fn done() -> Option<Answer> {
    Some(Answer::Done(v1::WriterDone { metadata: None }))
}
