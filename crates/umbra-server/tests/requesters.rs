//! Requesters over real sockets: the whole session, and every way to end it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

mod parts;

use parts::{Diary, Served, VOLUME, eventually, prepared, within};
use std::{os::fd::OwnedFd, path::Path, sync::Arc};
use tokio::io::AsyncWriteExt;
use umbra_client::{
    Address, Admin, BackupOutcome, ConnectError, Connection, Requester, Selection,
    SubscribedWriter, WriterSelection,
};
use umbra_model::{Consistency, Context, ShadowCopyId, VssCode};
use umbra_server::{Access, Listener, serve};
use umbra_service::Limits;

async fn with_writer(served: &Served, writer: &Arc<Diary>) -> tokio::task::JoinHandle<()> {
    let connection = served.connect_abstract().await;
    let subscribed = SubscribedWriter::subscribe(&connection, writer.clone())
        .await
        .unwrap();
    tokio::spawn(async move {
        let _ = subscribed.run().await;
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_session() {
    let served = Served::start().await;
    let writer = Arc::new(Diary::new("Diary"));
    let _running = with_writer(&served, &writer).await;
    let connection = served.connect().await;
    let session = Requester::open(&connection, "test").await.unwrap();
    let mut progress = session.progress();
    session.set_context(Context::AppRollback).await.unwrap();
    let writers = session.gather_writer_metadata().await.unwrap();
    assert_eq!(writers[0].metadata.identity.name, "Diary");
    assert!(
        writers[0].origin.starts_with("uid 0, pid "),
        "{}",
        writers[0].origin
    );
    let only = WriterSelection::Only(vec!["diary".into()]);
    session.select_writers(&only).await.unwrap();
    let set_id = session.start_snapshot_set().await.unwrap();
    let (copy, volume) = session
        .add_to_snapshot_set(Path::new(VOLUME))
        .await
        .unwrap();
    assert_eq!(volume.mount_point, Path::new(VOLUME));
    session.prepare_for_backup().await.unwrap();
    let set = within(session.do_snapshot_set()).await.unwrap();
    assert_eq!((set.id, set.copies[0].id), (set_id, copy));
    assert_eq!(set.consistency.level, Consistency::Application);
    assert_eq!(set.writers[0].name, "Diary");
    let surfaced = session.surface(copy).await.unwrap();
    assert_eq!(surfaced.mount.options, [format!("name={copy}")]);

    let admin = Admin::new(&connection);
    assert_eq!(admin.list_sets().await.unwrap(), [set]);
    let status = admin.status().await.unwrap();
    assert_eq!(
        (status.connected_writers, status.pid),
        (1, std::process::id())
    );
    assert!(status.sessions.is_empty(), "the caller's own is left out");
    assert_eq!(admin.list_writers().await.unwrap().len(), 1);
    assert_eq!(admin.list_providers().await.unwrap()[0].name, "names");
    assert_eq!(
        admin.list_volumes().await.unwrap()[0].provider,
        Ok(("names".into(), umbra_model::HoldMethod::Freeze))
    );

    session
        .backup_complete(BackupOutcome::Succeeded)
        .await
        .unwrap();
    within(session.close()).await.unwrap();
    assert_eq!(
        writer.told(),
        [
            "PrepareForBackup",
            "PrepareForSnapshot",
            "Freeze",
            "Thaw",
            "PostSnapshot",
            "BackupComplete",
            "BackupShutdown",
        ]
    );
    let mut states = Vec::new();
    while let Ok(event) = within(progress.recv()).await {
        states.push(event.state);
    }
    assert!(states.contains(&"Freeze".to_owned()), "{states:?}");
    let all = Selection::All;
    assert_eq!(admin.select_for_deletion(&all).await.unwrap(), [copy]);
    assert_eq!(admin.delete(&all).await.unwrap(), [copy]);
    assert!(admin.list_sets().await.unwrap().is_empty());
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_errors_arrive_whole() {
    let served = Served::start().await;
    let connection = served.connect().await;
    let session = Requester::open(&connection, "test").await.unwrap();
    let wrong_order = session.do_snapshot_set().await.unwrap_err();
    assert_eq!(wrong_order.code(), VssCode::BadState, "{wrong_order}");
    session.start_snapshot_set().await.unwrap();
    let missing = session
        .add_to_snapshot_set(Path::new("/nowhere"))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), VssCode::ObjectNotFound);
    assert!(
        missing
            .to_string()
            .contains("there is no volume \"/nowhere\""),
        "{missing}"
    );
    let admin = Admin::new(&connection);
    let relative = admin
        .expose(ShadowCopyId::random(), Path::new("here"))
        .await
        .unwrap_err();
    assert_eq!(relative.code(), VssCode::InvalidArgument);
    assert!(
        relative
            .to_string()
            .contains("\"here\" is not an absolute path"),
        "{relative}"
    );
}

/// The writer hangs at Freeze; whatever way the requester goes away, the set is
/// aborted and the session is gone.
async fn leaving(leave: impl AsyncFnOnce(Requester, Connection)) {
    let served = Served::start().await;
    let writer = Arc::new(Diary::hanging("Diary"));
    let _running = with_writer(&served, &writer).await;
    let connection = served.connect().await;
    let session = prepared(&connection, "test").await.unwrap();
    {
        let set = session.do_snapshot_set();
        tokio::pin!(set);
        tokio::select! {
            result = &mut set => panic!("{result:?}"),
            () = eventually("the writer is frozen", || writer.told().contains(&"Freeze")) => {}
        }
        // Dropping the call here aborts the set already.
    }
    leave(session, connection).await;
    eventually("the writer is told", || writer.told().contains(&"Abort")).await;
    served.wait_for_sessions(0).await;
    let admin = Admin::new(&served.connect().await);
    assert!(admin.list_sets().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_call_aborts_the_set() {
    leaving(async |session, _| {
        // The session lives on and says so.
        let refused = session.do_snapshot_set().await.unwrap_err();
        assert_ne!(refused.code(), VssCode::ObjectNotFound, "{refused}");
        let _ = within(session.close()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_session_aborts_the_set() {
    leaving(async |session, _connection| drop(session)).await;
}

/// The stream alone is the session's life, even while a call is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_stream_ends_calls_of_the_session() {
    use umbra_protocol::v1;
    let served = Served::start().await;
    let writer = Arc::new(Diary::hanging("Diary"));
    let _running = with_writer(&served, &writer).await;
    let channel = served.channel().await;
    let mut client = v1::requester_client::RequesterClient::new(channel);
    let mut stream = client
        .open_session(v1::OpenSessionRequest::default())
        .await
        .unwrap()
        .into_inner();
    let Some(v1::session_event::Event::Opened(opened)) =
        stream.message().await.unwrap().unwrap().event
    else {
        panic!("no `opened`");
    };
    let session_id = opened.session_id;
    let gather = v1::GatherWriterMetadataRequest {
        session_id: session_id.clone(),
    };
    client.gather_writer_metadata(gather).await.unwrap();
    let start = v1::StartSnapshotSetRequest {
        session_id: session_id.clone(),
    };
    client.start_snapshot_set(start).await.unwrap();
    let add = v1::AddToSnapshotSetRequest {
        session_id: session_id.clone(),
        volume: VOLUME.into(),
    };
    client.add_to_snapshot_set(add).await.unwrap();
    let prepare = v1::PrepareForBackupRequest {
        session_id: session_id.clone(),
        document: Vec::new(),
    };
    client.prepare_for_backup(prepare).await.unwrap();
    let mut other = client.clone();
    let making = v1::DoSnapshotSetRequest {
        session_id: session_id.clone(),
    };
    let making = tokio::spawn(async move { other.do_snapshot_set(making).await });
    eventually("the writer is frozen", || writer.told().contains(&"Freeze")).await;
    drop(stream);
    let status = within(making).await.unwrap().unwrap_err();
    let error = umbra_protocol::from_status(&status);
    assert_eq!(error.code(), VssCode::AsyncCancelled, "{error}");
    eventually("the writer is told", || writer.told().contains(&"Abort")).await;
    let gone = v1::StartSnapshotSetRequest { session_id };
    let error = umbra_protocol::from_status(&client.start_snapshot_set(gone).await.unwrap_err());
    assert_eq!(error.code(), VssCode::ObjectNotFound, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_hurts_nobody_else() {
    let served = Served::start().await;
    let connection = served.connect().await;
    let session = Requester::open(&connection, "test").await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let after_preface = [preface.as_slice(), &[0xff; 4096]].concat();
    let huge_frame = [preface.as_slice(), &[0xff, 0xff, 0xff, 1, 4, 0, 0, 0, 1]].concat();
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 100_000],
        after_preface,
        huge_frame,
        Vec::new(),
    ] {
        let mut stream = tokio::net::UnixStream::connect(served.socket())
            .await
            .unwrap();
        // The service may hang up in the middle of it.
        let _ = stream.write_all(&garbage).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
        let _ = within(read).await;
    }
    session.start_snapshot_set().await.unwrap();
    within(session.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_the_service_tells_everybody() {
    let served = Served::start().await;
    let writer = Arc::new(Diary::hanging("Diary"));
    let running = with_writer(&served, &writer).await;
    let connection = served.connect().await;
    let session = prepared(&connection, "test").await.unwrap();
    let making = tokio::spawn(async move { session.do_snapshot_set().await });
    eventually("the writer is frozen", || writer.told().contains(&"Freeze")).await;
    let socket = served.socket();
    let address = Address::Path(socket.clone());
    served.stop().await.unwrap();
    let error = within(making).await.unwrap().unwrap_err();
    assert_eq!(error.code(), VssCode::AsyncCancelled, "{error}");
    assert!(error.message().contains("stopping"), "{error}");
    assert!(writer.told().contains(&"Abort"), "{:?}", writer.told());
    within(running).await.unwrap();
    assert!(!socket.exists());
    let refused = Connection::open(&address).await.unwrap_err();
    assert!(
        matches!(refused, ConnectError::NotListening { .. }),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_pipe_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let service = parts::service(folder.path(), Limits::default());
    let (listener, pipe) = Listener::pipe();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let access = Access::for_group("no-such-group");
    let serving = tokio::spawn(serve(service, vec![listener], access, async move {
        let _ = stopped.await;
    }));
    let connection = Connection::over(pipe).await.unwrap();
    let session = prepared(&connection, "test").await.unwrap();
    within(session.do_snapshot_set()).await.unwrap();
    within(session.close()).await.unwrap();
    drop(stop);
    within(serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_systemd_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("handed.sock");
    let theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let listener = Listener::handed_over(OwnedFd::from(theirs)).unwrap();
    let service = parts::service(folder.path(), Limits::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let access = Access::for_group("no-such-group");
    let serving = tokio::spawn(serve(service, vec![listener], access, async move {
        let _ = stopped.await;
    }));
    let connection = Connection::open(&Address::Path(path.clone()))
        .await
        .unwrap();
    Admin::new(&connection).status().await.unwrap();
    drop(stop);
    within(serving).await.unwrap().unwrap();
    assert!(path.exists(), "it is systemd's");
}
