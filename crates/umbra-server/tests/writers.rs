//! Writers over real sockets: the rules of the line, and what breaking one does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

mod parts;

use parts::{
    Diary, Served, eventually, metadata, prepared,
    puppet::{Puppet, done, hello},
    within,
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use umbra_client::{Requester, SubscribedWriter};
use umbra_model::{ShadowCopySet, VssCode, VssResult};
use umbra_protocol::v1;
use umbra_server::Access;
use umbra_service::Limits;
use v1::{writer_event::Event, writer_message::Message, writer_reply::Result as Answer};

async fn requester(served: &Served) -> JoinHandle<VssResult<ShadowCopySet>> {
    let connection = served.connect().await;
    tokio::spawn(async move {
        let session = prepared(&connection, "test").await?;
        let set = session.do_snapshot_set().await?;
        session.close().await?;
        Ok(set)
    })
}

/// A puppet in the middle of Freeze breaks a rule: it is told which, and the set
/// fails because it does not respond.
async fn breaking(rule: &str, break_it: impl AsyncFnOnce(&Puppet, &v1::WriterEvent)) {
    let served = Served::start().await;
    let mut puppet = Puppet::new(&served).await;
    let set = requester(&served).await;
    let freeze = puppet.until_freeze().await;
    break_it(&puppet, &freeze).await;
    let told = loop {
        if let Err(error) = puppet.next().await {
            break error;
        }
    };
    assert_eq!(told.code(), VssCode::InvalidArgument, "{told}");
    assert!(told.to_string().contains(rule), "{told}");
    let error = within(set).await.unwrap().unwrap_err();
    assert_eq!(error.code(), VssCode::WriterNotResponding, "{error}");
    served.wait_for_writers(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answering_what_was_not_asked() {
    breaking("which was not sent", async |puppet, freeze| {
        puppet.reply(freeze.sequence + 1, done()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answering_out_of_order() {
    breaking("answered already", async |puppet, freeze| {
        puppet.reply(freeze.sequence - 1, done()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_hello() {
    breaking("hello twice", async |puppet, _| {
        puppet.send(hello(&puppet.metadata)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_result() {
    breaking("has no result", async |puppet, freeze| {
        puppet.reply(freeze.sequence, None).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_where_none_belongs() {
    breaking("is not Identify", async |puppet, freeze| {
        let metadata = Some(puppet.metadata.clone());
        let done = Answer::Done(v1::WriterDone { metadata });
        puppet.reply(freeze.sequence, Some(done)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large() {
    breaking("larger than the wire allows", async |puppet, freeze| {
        let veto = v1::WriterVeto {
            kind: 0,
            message: "x".repeat(umbra_protocol::MAX_WRITER_MESSAGE + 1),
            application_code: None,
        };
        puppet
            .reply(freeze.sequence, Some(Answer::Veto(veto)))
            .await;
    })
    .await;
}

/// The set is made before the second answer is read, or it fails; either way
/// the writer is told and gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answering_twice() {
    let served = Served::start().await;
    let mut puppet = Puppet::new(&served).await;
    let set = requester(&served).await;
    let freeze = puppet.until_freeze().await;
    puppet.reply(freeze.sequence, done()).await;
    puppet.reply(freeze.sequence, done()).await;
    let told = loop {
        if let Err(error) = puppet.next().await {
            break error;
        }
    };
    assert!(told.to_string().contains("answered already"), "{told}");
    let error = within(set).await.unwrap().unwrap_err();
    assert_eq!(error.code(), VssCode::WriterNotResponding, "{error}");
    served.wait_for_writers(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_in_the_middle_fails_the_set_at_once() {
    let served = Served::start().await;
    let mut puppet = Puppet::new(&served).await;
    let set = requester(&served).await;
    puppet.until_freeze().await;
    drop(puppet);
    let error = within(set).await.unwrap().unwrap_err();
    assert_eq!(error.code(), VssCode::WriterNotResponding, "{error}");
    assert!(error.to_string().contains("no longer connected"), "{error}");
    served.wait_for_writers(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_veto_reaches_the_requester() {
    let served = Served::start().await;
    let mut puppet = Puppet::new(&served).await;
    let set = requester(&served).await;
    let freeze = puppet.until_freeze().await;
    let veto = v1::WriterVeto {
        kind: v1::WriterFailureKind::Retryable.into(),
        message: "an import is running; try in a minute".into(),
        application_code: None,
    };
    puppet
        .reply(freeze.sequence, Some(Answer::Veto(veto)))
        .await;
    let abort = puppet.next().await.unwrap();
    assert!(matches!(abort.event, Some(Event::Abort(_))), "{abort:?}");
    puppet.done(&abort).await;
    let answering = tokio::spawn(async move {
        while let Ok(event) = puppet.next().await {
            puppet.done(&event).await;
        }
    });
    let error = within(set).await.unwrap().unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorRetryable, "{error}");
    assert!(error.message().contains("an import is running"), "{error}");
    answering.abort();
}

/// A late answer is no broken rule: the writer cannot know that nobody waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_ignored() {
    let limits = Limits {
        freeze: Duration::from_millis(200),
        ..Limits::default()
    };
    let served = Served::with(Access::for_group("no-such-group"), limits).await;
    let mut puppet = Puppet::new(&served).await;
    let set = requester(&served).await;
    let freeze = puppet.until_freeze().await;
    let abort = puppet.next().await.unwrap();
    assert!(matches!(abort.event, Some(Event::Abort(_))), "{abort:?}");
    puppet.reply(freeze.sequence, done()).await;
    puppet.done(&abort).await;
    let answering = tokio::spawn(async move {
        while let Ok(event) = puppet.next().await {
            puppet.done(&event).await;
        }
    });
    let error = within(set).await.unwrap().unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorTimeout, "{error}");
    assert_eq!(served.service.status().connected_writers, 1);
    let session = Requester::open(&served.connect().await, "test")
        .await
        .unwrap();
    let writers = within(session.gather_writer_metadata()).await.unwrap();
    assert_eq!(writers[0].metadata.components.len(), 1, "{writers:?}");
    answering.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_hellos_are_refused_with_the_reason() {
    let served = Served::start().await;
    let good: v1::WriterMetadata = metadata("Puppet").into();
    let check = async |first: Vec<Message>, code, why: &str| {
        let error = match Puppet::says(&served, first).await {
            Ok(_) => panic!("it was welcomed"),
            Err(error) => error,
        };
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    let reply = Message::Reply(v1::WriterReply::default());
    check(vec![reply], VssCode::InvalidArgument, "not a hello").await;
    let empty = Message::Hello(v1::WriterHello::default());
    check(vec![empty], VssCode::InvalidArgument, "no metadata").await;
    let mut bad = good.clone();
    bad.writer_id = "me".into();
    check(
        vec![hello(&bad)],
        VssCode::InvalidArgument,
        "\"me\" is not a GUID",
    )
    .await;
    let mut bad = good.clone();
    bad.components[0].files[0].path = b"srv".to_vec();
    check(
        vec![hello(&bad)],
        VssCode::InvalidArgument,
        "not an absolute path",
    )
    .await;
    let mut bad = good.clone();
    bad.components[0].files[0].path = b"/srv/../etc".to_vec();
    check(vec![hello(&bad)], VssCode::InvalidArgument, "\"..\"").await;
    let mut bad = good.clone();
    bad.name = "two\nlines".into();
    check(vec![hello(&bad)], VssCode::InvalidArgument, "control").await;
    assert_eq!(served.service.status().connected_writers, 0);

    let first = Puppet::says(&served, vec![hello(&good)]).await.unwrap();
    served.wait_for_writers(1).await;
    check(
        vec![hello(&good)],
        VssCode::WriterAlreadySubscribed,
        "already",
    )
    .await;
    drop(first);
    served.wait_for_writers(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identify_as_another_writer() {
    let served = Served::start().await;
    let mut puppet = Puppet::new(&served).await;
    let connection = served.connect().await;
    let session = Requester::open(&connection, "test").await.unwrap();
    let gathering = tokio::spawn(async move { session.gather_writer_metadata().await });
    let identify = puppet.next().await.unwrap();
    puppet.metadata = metadata("Somebody else").into();
    puppet.done(&identify).await;
    let told = puppet.next().await.unwrap_err();
    assert!(told.to_string().contains("another writer"), "{told}");
    let writers = within(gathering).await.unwrap().unwrap();
    let failure = writers[0].failure.as_ref().unwrap();
    assert_eq!(failure.code(), VssCode::WriterNotResponding, "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_writers() {
    let served = Served::start().await;
    let mut diaries = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..100 {
        let diary = Arc::new(Diary::new(&format!("Diary {number}")));
        let connection = served.connect_abstract().await;
        let subscribed = SubscribedWriter::subscribe(&connection, diary.clone())
            .await
            .unwrap();
        running.spawn(subscribed.run());
        diaries.push(diary);
    }
    served.wait_for_writers(100).await;
    let set = within(requester(&served).await).await.unwrap().unwrap();
    assert_eq!(set.writers.len(), 100);
    for diary in &diaries {
        let told = diary.told();
        assert_eq!(
            told.iter().filter(|event| **event == "Freeze").count(),
            1,
            "{told:?}"
        );
        assert_eq!(
            told.iter().filter(|event| **event == "Thaw").count(),
            1,
            "{told:?}"
        );
    }
    running.abort_all();
    eventually("all are gone", || {
        served.service.status().connected_writers == 0
    })
    .await;
}
