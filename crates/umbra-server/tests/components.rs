//! Chosen components over real sockets: what requesters choose reaches writers,
//! what writers leave reaches requesters, and a writer that lies fails alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

mod parts;

use async_trait::async_trait;
use parts::{
    Served, VOLUME, metadata,
    puppet::{Puppet, done},
    within,
};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::task::JoinHandle;
use umbra_client::{BackupOutcome, Requester, SubscribedWriter};
use umbra_documents::{
    BackupComponentsDocument, ChosenComponent, Component, Extra, FileSet, FileTime, Term,
    WriterComponents, WriterIdentity, WriterMetadata,
};
use umbra_model::*;
use umbra_protocol::v1;
use umbra_writer::{
    EventComponents, RestoreEvent, SetEvent, Subscription, Writer, WriterEvent, WriterFailure,
    WriterFailureKind,
};
use v1::{writer_event::Event, writer_reply::Result as Answer};

/// What a writer does with its components at an event.
type Act = fn(WriterEvent, &EventComponents) -> Result<(), WriterFailure>;

/// A writer in a process of its own, as the client crate runs it.
struct Author {
    metadata: WriterMetadata,
    subscription: Subscription,
    act: Act,
    sets: Mutex<Vec<(WriterEvent, SetEvent)>>,
    outcomes: Mutex<Vec<BackupOutcome>>,
    restores: Mutex<Vec<(WriterEvent, RestoreEvent, Vec<ChosenComponent>)>>,
}

impl Author {
    fn new(act: Act) -> Self {
        Self {
            metadata: metadata("Author"),
            subscription: Subscription::default(),
            act,
            sets: Mutex::default(),
            outcomes: Mutex::default(),
            restores: Mutex::default(),
        }
    }

    /// Runs over the socket until the handle is aborted.
    async fn run(self, served: &Served) -> (Arc<Self>, JoinHandle<()>) {
        let author = Arc::new(self);
        let connection = served.connect().await;
        let subscribed = SubscribedWriter::subscribe(&connection, author.clone())
            .await
            .unwrap();
        let running = tokio::spawn(async move {
            let _ = subscribed.run().await;
        });
        (author, running)
    }

    fn told(&self) -> Vec<WriterEvent> {
        self.sets
            .lock()
            .unwrap()
            .iter()
            .map(|(at, _)| *at)
            .collect()
    }

    fn hear(&self, at: WriterEvent, event: &SetEvent) -> Result<(), WriterFailure> {
        self.sets.lock().unwrap().push((at, event.clone()));
        (self.act)(at, &event.chosen)
    }

    fn hear_restore(&self, at: WriterEvent, event: &RestoreEvent) -> Result<(), WriterFailure> {
        let shown = event.chosen.document().unwrap().components;
        self.restores
            .lock()
            .unwrap()
            .push((at, event.clone(), shown));
        (self.act)(at, &event.chosen)
    }
}

#[async_trait]
impl Writer for Author {
    fn identity(&self) -> &WriterIdentity {
        &self.metadata.identity
    }

    fn subscription(&self) -> Subscription {
        self.subscription
    }

    async fn identify(&self) -> Result<WriterMetadata, WriterFailure> {
        Ok(self.metadata.clone())
    }

    async fn prepare_for_backup(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.hear(WriterEvent::PrepareForBackup, event)
    }

    async fn prepare_for_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.hear(WriterEvent::PrepareForSnapshot, event)
    }

    async fn freeze(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.hear(WriterEvent::Freeze, event)
    }

    async fn thaw(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.hear(WriterEvent::Thaw, event)
    }

    async fn post_snapshot(&self, event: &SetEvent) -> Result<(), WriterFailure> {
        self.hear(WriterEvent::PostSnapshot, event)
    }

    async fn backup_complete(
        &self,
        event: &SetEvent,
        outcome: BackupOutcome,
    ) -> Result<(), WriterFailure> {
        let told = self.hear(WriterEvent::BackupComplete, event);
        self.outcomes.lock().unwrap().push(outcome);
        told
    }

    async fn pre_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        self.hear_restore(WriterEvent::PreRestore, event)
    }

    async fn post_restore(&self, event: &RestoreEvent) -> Result<(), WriterFailure> {
        self.hear_restore(WriterEvent::PostRestore, event)
    }
}

/// A document with the component `data` of a writer.
fn document(identity: &WriterIdentity) -> BackupComponentsDocument {
    let mut part = WriterComponents::new(identity.id, identity.instance);
    part.components.push(ChosenComponent {
        backup_options: Some("fast".into()),
        ..ChosenComponent::new(None, "data", ComponentType::FileGroup)
    });
    BackupComponentsDocument {
        backup_type: Some(Term::Known(BackupType::Differential)),
        partial_file_support: Some(true),
        writers: vec![part],
        ..BackupComponentsDocument::new()
    }
}

/// A session with a set of the one volume.
async fn started(served: &Served) -> Requester {
    let session = Requester::open(&served.connect().await, "test")
        .await
        .unwrap();
    within(session.gather_writer_metadata()).await.unwrap();
    session.start_snapshot_set().await.unwrap();
    let volume = Path::new(VOLUME);
    session.add_to_snapshot_set(volume).await.unwrap();
    session
}

fn only(document: &BackupComponentsDocument) -> &ChosenComponent {
    &document.writers[0].components[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_writers_leave_is_in_the_document() {
    let served = Served::start().await;
    let (author, _running) = Author::new(|at, chosen| {
        let one = chosen.all().remove(0);
        let set = match at {
            WriterEvent::PrepareForBackup => one.set_backup_metadata("keep this"),
            WriterEvent::Freeze => one.set_backup_stamp("stamp 7"),
            WriterEvent::PostSnapshot => {
                let files = FileSet::files("/srv/one", "*.log");
                one.add_partial_file("/srv/one".as_ref(), "big", "0:512", None)
                    .and_then(|()| {
                        one.add_differenced_files_by_time(&files, FileTime::from_units(9))
                    })
            }
            _ => Ok(()),
        };
        set.map_err(|error| WriterFailure::new(WriterFailureKind::NonRetryable, error.to_string()))
    })
    .run(&served)
    .await;
    let session = started(&served).await;
    let chosen = document(author.identity());
    let prepared = within(session.prepare_for_backup_of(&chosen))
        .await
        .unwrap();
    assert_eq!(
        only(&prepared).backup_metadata.as_deref(),
        Some("keep this")
    );
    let (set, mut made) = within(session.do_snapshot_set_of()).await.unwrap();
    assert_eq!(made.snapshot_set_id, Some(set.id));
    let one = only(&made);
    assert_eq!(one.backup_stamp.as_deref(), Some("stamp 7"));
    assert_eq!(one.partial_files[0].ranges.as_deref(), Some("0:512"));
    assert_eq!(
        one.differenced_files[0].last_modified,
        Some(FileTime::from_units(9))
    );
    made.writers[0].components[0].backup_succeeded = Some(true);
    let complete = within(session.backup_complete_of(&made)).await.unwrap();
    assert_eq!(only(&complete).backup_succeeded, Some(true));
    assert_eq!(
        session.document().await.unwrap(),
        Some(complete),
        "the document is the same when it is fetched"
    );
    within(session.close()).await.unwrap();

    assert_eq!(*author.outcomes.lock().unwrap(), [BackupOutcome::Succeeded]);
    let told = author.sets.lock().unwrap();
    let (_, first) = &told[0];
    assert_eq!(first.components, ["data"]);
    assert!(first.backup.components_selected && first.backup.partial_files);
    assert_eq!(first.backup.backup_type, BackupType::Differential);
    assert_eq!(first.backup.context, Context::Backup);
    assert!(first.copies.is_empty());
    let shown = first.chosen.document().unwrap();
    assert_eq!(shown.components[0].backup_options.as_deref(), Some("fast"));
    for (at, event) in told.iter().skip(1) {
        let copy = event.copy_of(&set.copies[0].volume.id);
        let exists = matches!(at, WriterEvent::PostSnapshot | WriterEvent::BackupComplete);
        assert_eq!(copy, exists.then_some(set.copies[0].id), "{at}");
    }
    let kept = &told.last().unwrap().1.chosen.all()[0];
    let late = kept.set_failure(WriterFailureKind::Timeout, None, None);
    assert_eq!(late.unwrap_err().code(), VssCode::BadState);
}

/// What the puppet answers to PostSnapshot, and what the requester hears of it.
async fn lies(changed: v1::ChosenComponent, why: &str) {
    let served = Served::start().await;
    let mut puppet = Puppet::new(&served).await;
    let lying = tokio::spawn(async move {
        while let Ok(event) = puppet.next().await {
            match event.event {
                Some(Event::PostSnapshot(_)) => {
                    let changed = vec![changed.clone()];
                    puppet.reply_with(event.sequence, done(), changed).await;
                }
                _ => puppet.done(&event).await,
            }
        }
    });
    let session = Requester::open(&served.connect().await, "test")
        .await
        .unwrap();
    let identity = {
        let answering = session.gather_writer_metadata();
        within(answering).await.unwrap().remove(0).metadata.identity
    };
    session.start_snapshot_set().await.unwrap();
    let volume = Path::new(VOLUME);
    session.add_to_snapshot_set(volume).await.unwrap();
    within(session.prepare_for_backup_of(&document(&identity)))
        .await
        .unwrap();
    let error = within(session.do_snapshot_set_of()).await.unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorNonRetryable, "{error}");
    assert!(error.to_string().contains(why), "{error}");
    // Nothing of it was taken over, and the writer is still there.
    let kept = session.document().await.unwrap().unwrap();
    assert_eq!(only(&kept), only(&document(&identity)));
    assert_eq!(served.service.status().connected_writers, 1);
    lying.abort();
}

fn data() -> v1::ChosenComponent {
    v1::ChosenComponent {
        name: "data".into(),
        backup_stamp: Some("7".into()),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_belongs_to_another_event() {
    let changed = v1::ChosenComponent {
        restore_metadata: Some("x".into()),
        ..data()
    };
    lies(
        changed,
        "SetRestoreMetadata was called at PostSnapshot; it belongs to PreRestore",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_component_that_was_not_chosen() {
    let changed = v1::ChosenComponent {
        logical_path: "other".into(),
        ..data()
    };
    lies(changed, r#""other\\data", which was not chosen"#).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_no_component() {
    let changed = v1::ChosenComponent {
        restore_target: Some(77),
        ..data()
    };
    lies(changed, "ChosenComponent.restore_target").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_no_document_can_hold() {
    let changed = v1::ChosenComponent {
        backup_metadata: Some("\u{1}".into()),
        ..data()
    };
    lies(changed, "no document can hold").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_where_no_components_were_chosen() {
    let served = Served::start().await;
    let (_author, _running) = Author::new(|_, chosen| {
        assert!(chosen.document().is_none());
        Ok(())
    })
    .run(&served)
    .await;
    let mut puppet = Puppet::new(&served).await;
    let lying = tokio::spawn(async move {
        while let Ok(event) = puppet.next().await {
            match event.event {
                Some(Event::Freeze(_)) => {
                    let changed = vec![data()];
                    puppet.reply_with(event.sequence, done(), changed).await;
                }
                _ => puppet.done(&event).await,
            }
        }
    });
    let session = started(&served).await;
    within(session.prepare_for_backup()).await.unwrap();
    assert_eq!(session.document().await.unwrap(), None);
    let error = within(session.do_snapshot_set()).await.unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorNonRetryable, "{error}");
    assert!(error.to_string().contains("was not chosen"), "{error}");
    lying.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_components_where_there_are_none() {
    let served = Served::start().await;
    let mut puppet = Puppet::new(&served).await;
    let session = Requester::open(&served.connect().await, "test")
        .await
        .unwrap();
    let gathering = tokio::spawn(async move { session.gather_writer_metadata().await });
    let identify = puppet.next().await.unwrap();
    let answer = Answer::Done(v1::WriterDone {
        metadata: Some(puppet.metadata.clone()),
    });
    puppet
        .reply_with(identify.sequence, Some(answer), vec![data()])
        .await;
    let told = puppet.next().await.unwrap_err();
    assert_eq!(told.code(), VssCode::InvalidArgument, "{told}");
    assert!(told.to_string().contains("changes components"), "{told}");
    let writers = within(gathering).await.unwrap().unwrap();
    assert!(writers[0].failure.is_some());
    served.wait_for_writers(0).await;
}

/// The reason is in the document, the code in the writer's status
/// (`GetPrepareForBackupFailureMsg`, `GetWriterStatusEx`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_veto_leaves_its_reason() {
    let served = Served::start().await;
    let (author, _running) = Author::new(|at, chosen| {
        if at != WriterEvent::PrepareForBackup {
            return Ok(());
        }
        let one = chosen.all().remove(0);
        one.set_prepare_for_backup_failure("the disk is slow")
            .unwrap();
        let failure = WriterFailure::new(WriterFailureKind::Retryable, "not now");
        Err(failure.with_application_code(1234))
    })
    .run(&served)
    .await;
    let session = started(&served).await;
    let chosen = document(author.identity());
    let error = within(session.prepare_for_backup_of(&chosen))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorRetryable, "{error}");
    assert!(error.to_string().contains("not now"), "{error}");
    let document = session.document().await.unwrap().unwrap();
    let one = only(&document);
    assert_eq!(
        one.prepare_for_backup_failure.as_deref(),
        Some("the disk is slow")
    );
    let failure = one.failure.as_ref().unwrap();
    assert_eq!(failure.application_code, Some(1234));
    let status = session.gather_writer_status().await.unwrap().remove(0);
    assert_eq!(status.state, WriterState::FailedAtPrepareBackup);
    assert_eq!(status.application_code, Some(1234));
    let failure = status.failure.unwrap();
    assert_eq!(failure.code(), VssCode::WriterErrorRetryable, "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_veto_with_a_change_that_is_not_allowed() {
    let served = Served::start().await;
    let mut puppet = Puppet::new(&served).await;
    let identity = WriterMetadata::try_from(puppet.metadata.clone())
        .unwrap()
        .identity;
    let lying = tokio::spawn(async move {
        while let Ok(event) = puppet.next().await {
            match event.event {
                Some(Event::PrepareForBackup(_)) => {
                    let veto = Answer::Veto(v1::WriterVeto {
                        kind: v1::WriterFailureKind::Retryable.into(),
                        message: "not now".into(),
                        application_code: Some(5),
                    });
                    let changed = v1::ChosenComponent {
                        post_snapshot_failure: Some("too early".into()),
                        ..data()
                    };
                    puppet
                        .reply_with(event.sequence, Some(veto), vec![changed])
                        .await;
                }
                _ => puppet.done(&event).await,
            }
        }
    });
    let session = started(&served).await;
    let error = within(session.prepare_for_backup_of(&document(&identity)))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorNonRetryable, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("SetPostSnapshotFailureMsg") && text.contains("not now"),
        "{text}"
    );
    let status = session.gather_writer_status().await.unwrap().remove(0);
    assert_eq!(status.application_code, Some(5));
    lying.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore() {
    let served = Served::start().await;
    let mut author = Author::new(|at, chosen| {
        let one = chosen.all().remove(0);
        match at {
            WriterEvent::PreRestore => {
                one.set_restore_target(RestoreTarget::Directed).unwrap();
                one.add_directed_target(umbra_documents::DirectedTarget {
                    source_path: "/srv/one".into(),
                    source_name: "big".into(),
                    source_ranges: "0:8".into(),
                    destination_path: "/srv/two".into(),
                    destination_name: "small".into(),
                    destination_ranges: "8:8".into(),
                    extra: Extra::default(),
                })
                .unwrap();
                Ok(())
            }
            _ => {
                one.set_post_restore_failure("the data is damaged").unwrap();
                let kind = WriterFailureKind::NonRetryable;
                Err(WriterFailure::new(kind, "cannot start").with_application_code(3))
            }
        }
    });
    author.metadata.restore = Some(umbra_documents::RestorePlan {
        method: RestoreMethod::Custom,
        service: None,
        user_procedure: Some("Read the manual.".into()),
        writer_restore: WriterRestore::Always,
        reboot_required: false,
        alternate_locations: Vec::new(),
    });
    let (author, _running) = author.run(&served).await;
    let session = Requester::open(&served.connect().await, "test")
        .await
        .unwrap();
    let writers = within(session.gather_writer_metadata()).await.unwrap();
    assert_eq!(writers[0].metadata, author.metadata);
    let mut chosen = document(author.identity());
    chosen.restore_type = Some(Term::Known(RestoreType::ByCopy));
    chosen.writers[0].components[0].selected_for_restore = Some(true);
    let before = within(session.pre_restore(&chosen)).await.unwrap();
    assert_eq!(before.failures, []);
    let one = only(&before.document);
    assert_eq!(
        one.restore_target,
        Some(Term::Known(RestoreTarget::Directed))
    );
    assert_eq!(one.directed_targets[0].destination_name, "small");
    let mut restored = before.document;
    restored.writers[0].components[0].file_restore_status =
        Some(Term::Known(FileRestoreStatus::All));
    let after = within(session.post_restore(&restored)).await.unwrap();
    let one = only(&after.document);
    assert_eq!(
        one.post_restore_failure.as_deref(),
        Some("the data is damaged")
    );
    assert_eq!(after.failures.len(), 1, "{:?}", after.failures);
    assert!(after.failures[0].to_string().contains("cannot start"));

    let told = author.restores.lock().unwrap();
    assert_eq!(told[0].1.restore_type, RestoreType::ByCopy);
    assert_eq!(
        told[1].2[0].file_restore_status,
        Some(Term::Known(FileRestoreStatus::All))
    );
}

/// `CVssWriter::Subscribe`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_get_the_events_they_want() {
    let served = Served::start().await;
    let mut author = Author::new(|_, _| Ok(()));
    author.subscription.events = SubscribeMask::POST_SNAPSHOT_FLAG;
    let (author, _running) = author.run(&served).await;
    let session = started(&served).await;
    within(session.prepare_for_backup()).await.unwrap();
    within(session.do_snapshot_set()).await.unwrap();
    within(session.backup_complete(BackupOutcome::Succeeded))
        .await
        .unwrap();
    within(session.close()).await.unwrap();
    assert_eq!(
        author.told(),
        [
            WriterEvent::PrepareForSnapshot,
            WriterEvent::Freeze,
            WriterEvent::Thaw,
            WriterEvent::PostSnapshot
        ]
    );
}

/// The document of a backup outlives the instances in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_connects_again() {
    let served = Served::start().await;
    let (first, running) = Author::new(|_, _| Ok(())).run(&served).await;
    let chosen = document(first.identity());
    let session = started(&served).await;
    running.abort();
    served.wait_for_writers(0).await;
    let mut second = Author::new(|_, _| Ok(()));
    second.metadata.identity = WriterIdentity {
        instance: WriterInstanceId::random(),
        ..first.identity().clone()
    };
    let (second, _running) = second.run(&served).await;
    let error = within(session.prepare_for_backup_of(&chosen))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::WriterNotResponding, "{error}");
    within(session.close()).await.unwrap();
    assert_eq!(second.told(), []);

    let session = started(&served).await;
    within(session.prepare_for_backup_of(&chosen))
        .await
        .unwrap();
    within(session.do_snapshot_set_of()).await.unwrap();
    assert!(second.told().contains(&WriterEvent::Freeze));
    within(session.close()).await.unwrap();
}

/// A writer that says much.
fn large_author(components: usize) -> Author {
    let mut author = Author::new(|_, _| Ok(()));
    let all = (0..components).map(|number| Component {
        files: vec![FileSet::tree(VOLUME)],
        ..Component::file_group(format!("component {number:0>900}"))
    });
    author.metadata.components = all.collect();
    author
}

/// Five megabytes each way: past what gRPC takes without being asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_may_be_large() {
    let served = Served::start().await;
    let (author, _running) = large_author(6000).run(&served).await;
    let session = started(&served).await;
    let mut chosen = document(author.identity());
    let components = author.metadata.components.iter();
    chosen.writers[0].components = components
        .map(|one| ChosenComponent::new(None, &one.name, one.kind))
        .collect();
    assert!(chosen.to_xml().unwrap().len() > 5 << 20);
    let prepared = within(session.prepare_for_backup_of(&chosen))
        .await
        .unwrap();
    assert_eq!(prepared.writers[0].components.len(), 6000);
    let (_, made) = within(session.do_snapshot_set_of()).await.unwrap();
    assert_eq!(made.writers[0].components.len(), 6000);
    within(session.close()).await.unwrap();
}

/// What the issue's figure asks of the wire, with writers inside the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_writers_with_a_hundred_components() {
    let served = Served::start().await;
    let mut registered = Vec::new();
    let mut chosen = BackupComponentsDocument::new();
    for number in 0..1000 {
        let mut author = Author::new(|_, _| Ok(()));
        author.metadata = metadata(&format!("Writer {number}"));
        author.metadata.components = (0..100)
            .map(|number| Component {
                files: vec![FileSet::tree(VOLUME)],
                ..Component::file_group(format!("component {number}"))
            })
            .collect();
        let identity = author.identity();
        let mut part = WriterComponents::new(identity.id, identity.instance);
        let components = author.metadata.components.iter();
        part.components = components
            .map(|one| ChosenComponent::new(None, &one.name, one.kind))
            .collect();
        chosen.writers.push(part);
        let origin = "the test".to_owned();
        let registration = served.service.register_writer(Arc::new(author), origin);
        registered.push(registration.unwrap());
    }
    let session = started(&served).await;
    let prepared = within(session.prepare_for_backup_of(&chosen))
        .await
        .unwrap();
    let components = prepared.writers.iter().map(|part| part.components.len());
    assert_eq!(components.sum::<usize>(), 100_000);
    let (_, made) = within(session.do_snapshot_set_of()).await.unwrap();
    assert_eq!(made.writers, prepared.writers);
    within(session.close()).await.unwrap();
}

/// Nothing but a document needs much room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_requests_are_small() {
    let served = Served::start().await;
    let connection = served.connect().await;
    let name = "x".repeat(umbra_protocol::MAX_REQUEST + 1);
    let error = Requester::open(&connection, &name).await.unwrap_err();
    assert_eq!(error.code(), VssCode::InvalidArgument, "{error}");
    assert!(
        error.to_string().contains("larger than the wire allows"),
        "{error}"
    );
    let session = started(&served).await;
    let mut document = BackupComponentsDocument::new();
    document.extra.attributes.push((
        "large".into(),
        "x".repeat(umbra_protocol::MAX_WITH_DOCUMENT),
    ));
    let error = session.prepare_for_backup_of(&document).await.unwrap_err();
    assert_eq!(error.code(), VssCode::InvalidArgument, "{error}");
}
