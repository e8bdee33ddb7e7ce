//! A writer that is connected to the service and misbehaves as a test wants.

use crate::stage::Stage;
use hyper_util::rt::TokioIo;
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::UnixStream, runtime::Runtime, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use umbra_documents::{Component, FileSet, FreezeLevel, WriterIdentity, WriterMetadata};
use umbra_protocol::v1;
use v1::{writer_event::Event, writer_message::Message, writer_reply::Result as Answer};

/// What a writer does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misdeed {
    /// Says no, with this as the reason: `the disk is on fire`.
    Veto,
    /// Never answers.
    Hang,
    /// Goes away.
    Leave,
    /// Answers, and answers again.
    AnswerTwice,
    /// Answers an event that has not come yet.
    AnswerAhead,
    /// Answers the event before this one, which was answered.
    AnswerBehind,
}

/// A writer with one file on a volume. Disconnects when it is dropped.
pub struct Puppet {
    heard: Arc<Mutex<Vec<String>>>,
    _runtime: Background,
}

/// A runtime that waits for nobody at its end.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

impl Puppet {
    /// One that does as it should.
    pub fn good(stage: &Stage, name: &str, volume: &Path) -> Self {
        Self::connect(stage, name, vec![on_one(volume)], None)
    }

    /// One with many components of long names that each lie in two folders, so
    /// that there is much to say about a set with only one of them.
    pub fn scattered(stage: &Stage, name: &str, folders: [&Path; 2], count: usize) -> Self {
        let components = (0..count).map(|number| Component {
            name: format!("{number:0>500}"),
            files: folders
                .map(|folder| FileSet::files(folder, "data-*"))
                .to_vec(),
            ..on_one(folders[0])
        });
        Self::connect(stage, name, components.collect(), None)
    }

    /// One that misbehaves at one event.
    pub fn bad(stage: &Stage, name: &str, volume: &Path, event: &str, misdeed: Misdeed) -> Self {
        Self::connect(
            stage,
            name,
            vec![on_one(volume)],
            Some((event.to_owned(), misdeed)),
        )
    }

    fn connect(
        stage: &Stage,
        name: &str,
        components: Vec<Component>,
        misdeed: Option<(String, Misdeed)>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let identity = WriterIdentity::new(
            umbra_model::WriterId::random(),
            umbra_model::WriterInstanceId::random(),
            name,
        );
        let metadata: v1::WriterMetadata = WriterMetadata {
            level: FreezeLevel::BackEnd,
            components,
            ..WriterMetadata::new(identity)
        }
        .into();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (welcomed, welcome) = std::sync::mpsc::channel();
        runtime.spawn(answer_all(
            stage.bench.umbra.socket(),
            metadata,
            misdeed,
            heard.clone(),
            welcomed,
        ));
        welcome.recv_timeout(Duration::from_secs(60)).unwrap();
        Self {
            heard,
            _runtime: Background(Some(runtime)),
        }
    }

    /// The events so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Whether every Freeze was followed by a Thaw or an Abort.
    pub fn is_thawed(&self) -> bool {
        let heard = self.heard();
        match heard.iter().rposition(|event| event == "Freeze") {
            Some(frozen) => heard[frozen..]
                .iter()
                .any(|event| event == "Thaw" || event == "Abort"),
            None => true,
        }
    }
}

fn on_one(volume: &Path) -> Component {
    Component {
        files: vec![FileSet::files(volume, "data-*")],
        ..Component::file_group("data")
    }
}

async fn answer_all(
    socket: std::path::PathBuf,
    metadata: v1::WriterMetadata,
    misdeed: Option<(String, Misdeed)>,
    heard: Arc<Mutex<Vec<String>>>,
    welcomed: std::sync::mpsc::Sender<()>,
) {
    let (messages, outgoing) = mpsc::channel(32);
    let say = async |message| {
        let message = v1::WriterMessage {
            message: Some(message),
        };
        // Nobody listens once the service has ended the line.
        let _ = messages.send(message).await;
    };
    let hello = v1::WriterHello {
        metadata: Some(metadata.clone()),
        ..v1::WriterHello::default()
    };
    say(Message::Hello(hello)).await;
    let stream = UnixStream::connect(&socket).await.unwrap();
    let mut events = v1::writer_client::WriterClient::new(channel(stream).await)
        .subscribe(ReceiverStream::new(outgoing))
        .await
        .unwrap()
        .into_inner();
    while let Ok(Some(event)) = events.message().await {
        let sequence = event.sequence;
        let Some(event) = event.event else { continue };
        let name = name_of(&event);
        if name == "Welcome" {
            welcomed.send(()).unwrap();
            continue;
        }
        heard.lock().unwrap().push(name.to_owned());
        let metadata = (name == "Identify").then(|| metadata.clone());
        let reply = async |sequence, result| {
            say(Message::Reply(v1::WriterReply {
                sequence,
                result: Some(result),
                changed: Vec::new(),
            }))
            .await;
        };
        let done = Answer::Done(v1::WriterDone { metadata });
        let wrong = misdeed.as_ref().filter(|(at, _)| at == name);
        match wrong.map(|(_, misdeed)| *misdeed) {
            None => reply(sequence, done).await,
            Some(Misdeed::Veto) => {
                let veto = v1::WriterVeto {
                    kind: v1::WriterFailureKind::NonRetryable.into(),
                    message: "the disk is on fire".to_owned(),
                    application_code: None,
                };
                reply(sequence, Answer::Veto(veto)).await;
            }
            Some(Misdeed::Hang) => {}
            Some(Misdeed::Leave) => return,
            Some(Misdeed::AnswerTwice) => {
                reply(sequence, done.clone()).await;
                reply(sequence, done).await;
            }
            Some(Misdeed::AnswerAhead) => reply(sequence + 1, done).await,
            Some(Misdeed::AnswerBehind) => reply(sequence.saturating_sub(1), done).await,
        }
    }
}

async fn channel(stream: UnixStream) -> Channel {
    let only = Mutex::new(Some(TokioIo::new(stream)));
    Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let stream = only.lock().unwrap().take();
            async move { stream.ok_or_else(|| std::io::Error::other("only once")) }
        }))
        .await
        .unwrap()
}

fn name_of(event: &Event) -> &'static str {
    match event {
        Event::Welcome(_) => "Welcome",
        Event::Identify(_) => "Identify",
        Event::PrepareForBackup(_) => "PrepareForBackup",
        Event::PrepareForSnapshot(_) => "PrepareForSnapshot",
        Event::Freeze(_) => "Freeze",
        Event::Thaw(_) => "Thaw",
        Event::PostSnapshot(_) => "PostSnapshot",
        Event::BackupComplete(_) => "BackupComplete",
        Event::BackupShutdown(_) => "BackupShutdown",
        Event::Abort(_) => "Abort",
        Event::PreRestore(_) => "PreRestore",
        Event::PostRestore(_) => "PostRestore",
    }
}
