//! The way of a set when all goes well, and who waits for whom.

use crate::sim::{
    Fault, Machine, ScriptedWriter, component, make, requester, started, three_writers,
};
use std::{path::Path, sync::Arc, time::Duration};
use umbra_documents::FreezeLevel;
use umbra_model::{Consistency, Context, VssCode};
use umbra_service::{Limits, SetState, WriterSelection};
use umbra_writer::BackupOutcome;

#[tokio::test(start_paused = true)]
async fn goes_the_way_of_the_diagram() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = started(&service, Context::Backup).await.unwrap();
    let mut progress = session.progress();
    let set = make(&session).await.unwrap();
    assert_eq!(set.consistency.level, Consistency::Application, "{set:?}");
    assert_eq!(set.writers.len(), 3);
    assert_eq!(set.copies.len(), 2);
    assert_eq!(service.sets().await.unwrap()[0], set);
    session
        .backup_complete(BackupOutcome::Succeeded)
        .await
        .unwrap();
    session.close().await.unwrap();
    session.close().await.unwrap();
    assert!(service.status().sessions.is_empty());

    // Lines of one step may come in any order; here they are sorted within it.
    let steps: [&[&str]; 25] = [
        &["db Identify", "os Identify", "web Identify"],
        &[
            "db PrepareForBackup",
            "os PrepareForBackup",
            "web PrepareForBackup",
        ],
        &["prepare hold"],
        &["rehearse"],
        &["/sim/a BeginPrepare", "/sim/b BeginPrepare"],
        &["/sim/a EndPrepare", "/sim/b EndPrepare"],
        &[
            "db PrepareForSnapshot",
            "os PrepareForSnapshot",
            "web PrepareForSnapshot",
        ],
        &["rehearse"],
        &["web Freeze"],
        &["db Freeze"],
        &["os Freeze"],
        &["/sim/a PreCommit", "/sim/b PreCommit"],
        &["hold"],
        &["/sim/a Commit", "/sim/b Commit"],
        &["release"],
        &["/sim/a PostCommit", "/sim/b PostCommit"],
        &["os Thaw"],
        &["db Thaw"],
        &["web Thaw"],
        &["/sim/a PreFinalCommit", "/sim/b PreFinalCommit"],
        &["db PostSnapshot", "os PostSnapshot", "web PostSnapshot"],
        &["/sim/a PostFinalCommit", "/sim/b PostFinalCommit"],
        &[
            "db BackupComplete Succeeded",
            "os BackupComplete Succeeded",
            "web BackupComplete Succeeded",
        ],
        &[
            "db BackupShutdown",
            "os BackupShutdown",
            "web BackupShutdown",
        ],
        &["delete", "delete"],
    ];
    let log = machine.log();
    let mut rest = log.as_slice();
    for step in steps {
        let (now, then) = rest.split_at(step.len().min(rest.len()));
        let mut now = now.to_vec();
        now.sort();
        assert_eq!(now, step, "{log:#?}");
        rest = then;
    }
    assert!(rest.is_empty(), "{rest:?}");
    machine.assert_clean(&service, "after the session").await;

    let mut states = Vec::new();
    while let Ok(message) = progress.try_recv() {
        states.push(message.state);
    }
    assert!(states.is_sorted(), "{states:?}");
    assert!(states.contains(&SetState::Created) && !states.contains(&SetState::Hold));
}

#[tokio::test(start_paused = true)]
async fn says_which_consistency_and_why() {
    let check =
        async |context: Context, selection: WriterSelection, level: Consistency, why: &str| {
            let machine = Machine::new();
            let service = machine.service(Limits::default());
            let wal = component("main", &["/sim/a/data", "/sim/b/wal"]);
            let partly = component("partly", &["/sim/a"]);
            let (back, front) = (FreezeLevel::BackEnd, FreezeLevel::FrontEnd);
            let good = ScriptedWriter::new(&machine, "Good Writer", back, vec![wal]);
            let odd = ScriptedWriter::new(&machine, "Odd Writer", front, vec![partly]);
            let _good = service.register_writer(good, "test".into()).unwrap();
            let _odd = service.register_writer(odd, "test".into()).unwrap();
            let session = service.open_session(requester("backup"));
            session.set_context(context).await.unwrap();
            session.gather_writer_metadata().await.unwrap();
            session.select_writers(selection).await.unwrap();
            session.start_snapshot_set().await.unwrap();
            session
                .add_to_snapshot_set(Path::new("/sim/a"))
                .await
                .unwrap();
            session
                .add_to_snapshot_set(Path::new("/sim/b"))
                .await
                .unwrap();
            let verdict = make(&session).await.unwrap().consistency;
            assert_eq!(verdict.level, level, "{verdict:?}");
            assert!(verdict.reason.contains(why), "{verdict:?}");
        };
    let filesystem = Consistency::Filesystem;
    let all = WriterSelection::All;
    check(
        Context::Backup,
        all.clone(),
        filesystem,
        "/sim/a/inner lies on",
    )
    .await;
    let except = WriterSelection::Except(vec!["odd writer".into()]);
    check(Context::Backup, except, filesystem, "Odd Writer has data").await;
    let only = WriterSelection::Only(vec!["GOOD WRITER".into()]);
    check(Context::Backup, only, filesystem, "Odd Writer has data").await;
    check(
        Context::Backup,
        WriterSelection::None,
        filesystem,
        "no writer was selected",
    )
    .await;
    check(Context::FileShareBackup, all, filesystem, "without writers").await;
}

#[tokio::test(start_paused = true)]
async fn a_skew_or_a_silent_writer_lowers_the_verdict() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    machine.script("web Identify", Fault::Veto);
    let session = started(&service, Context::Backup).await.unwrap();
    let verdict = make(&session).await.unwrap().consistency;
    assert!(verdict.reason.contains("web could not say"), "{verdict:?}");
    assert_eq!(verdict.level, Consistency::Filesystem);
    session.close().await.unwrap();
    *machine.skew.lock().unwrap() = Duration::from_micros(2100);
    let session = started(&service, Context::Backup).await.unwrap();
    let verdict = make(&session).await.unwrap().consistency;
    assert!(verdict.reason.contains("2.1 ms apart"), "{verdict:?}");
    assert_eq!(verdict.level, Consistency::Crash);
}

#[tokio::test(start_paused = true)]
async fn names_are_checked() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = service.open_session(requester("backup"));
    let nobody = WriterSelection::Only(vec!["nobody".into()]);
    let error = session.select_writers(nobody).await.unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound);
    assert!(
        error.message().contains("\"web\", \"db\" and \"os\""),
        "{error}"
    );

    let only = WriterSelection::Only(vec!["db".into()]);
    session.select_writers(only).await.unwrap();
    session.start_snapshot_set().await.unwrap();
    let check = async |name: &str, code: VssCode| {
        let added = session.add_to_snapshot_set(Path::new(name)).await;
        assert_eq!(added.unwrap_err().code(), code, "{name}");
    };
    check("/nowhere", VssCode::ObjectNotFound).await;
    check("/sim/a/inner", VssCode::VolumeNotSupported).await;
    session
        .add_to_snapshot_set(Path::new("/sim/b"))
        .await
        .unwrap();
    check("/dev/sim2", VssCode::ObjectAlreadyExists).await;
    let error = session.prepare_for_backup().await.unwrap_err();
    assert_eq!(error.code(), VssCode::UnselectedVolume);
    assert!(error.message().contains("/sim/a"), "{error}");
    machine
        .assert_clean(&service, "after a writer without data")
        .await;
}

#[tokio::test(start_paused = true)]
async fn calls_out_of_order_name_the_expected_one() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let session = service.open_session(requester("backup"));
    let error = session.do_snapshot_set().await.unwrap_err();
    assert_eq!(error.code(), VssCode::BadState);
    session.set_context(Context::Backup).await.unwrap();
    let error = session.set_context(Context::Backup).await.unwrap_err();
    assert!(error.message().contains("StartSnapshotSet"), "{error}");
    session.start_snapshot_set().await.unwrap();
    let error = session.prepare_for_backup().await.unwrap_err();
    assert!(
        error.message().contains("AddToSnapshotSet was expected"),
        "{error}"
    );
    session
        .add_to_snapshot_set(Path::new("/sim/a"))
        .await
        .unwrap();
    let error = session.prepare_for_backup().await.unwrap_err();
    assert!(
        error
            .message()
            .contains("GatherWriterMetadata was expected"),
        "{error}"
    );
    session.gather_writer_metadata().await.unwrap();
    let error = session.do_snapshot_set().await.unwrap_err();
    assert!(
        error.message().contains("PrepareForBackup was expected"),
        "{error}"
    );
    make(&session).await.unwrap();
    session.close().await.unwrap();
    let error = session.gather_writer_metadata().await.unwrap_err();
    assert!(
        error.message().contains("a new session was expected"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_set_at_a_time() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    // Another service on the same directory, as `umbra` without `umbrad`.
    let elsewhere = machine.service(Limits::default());
    let first = started(&service, Context::Backup).await.unwrap();
    for service in [&service, &elsewhere] {
        let error = started(service, Context::Backup).await.err().unwrap();
        assert_eq!(error.code(), VssCode::SnapshotSetInProgress);
        assert!(error.message().contains("backup (pid 42)"), "{error}");
    }
    let waiting = started(&elsewhere, Context::Backup);
    let making = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        make(&first).await.unwrap();
    };
    // The turn ends with the set, not with the session.
    let (second, ()) = tokio::join!(waiting, making);
    make(&second.unwrap()).await.unwrap();
    first.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn turns_come_in_the_order_of_asking() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let order = std::sync::Mutex::new(Vec::new());
    let one = async |number: u64| {
        tokio::time::sleep(Duration::from_millis(number)).await;
        let session = started(&service, Context::Backup).await.unwrap();
        order.lock().unwrap().push(number);
        tokio::time::sleep(Duration::from_secs(5)).await;
        make(&session).await.unwrap();
        session.close().await.unwrap();
    };
    tokio::join!(one(4), one(2), one(3), one(1));
    assert_eq!(order.into_inner().unwrap(), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_dawdling_requester_loses_its_turn() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    let session = started(&service, Context::Backup).await.unwrap();
    session.prepare_for_backup().await.unwrap();
    tokio::time::sleep(Duration::from_secs(400)).await;
    let other = started(&service, Context::Backup).await.unwrap();
    assert!(machine.logged("db Abort"));
    let error = session.do_snapshot_set().await.unwrap_err();
    assert!(
        error.to_string().contains("given up after 300 s"),
        "{error}"
    );
    make(&other).await.unwrap();
    // And it may try again.
    session.start_snapshot_set().await.unwrap();
}

#[tokio::test]
async fn a_thousand_writers_take_no_time() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let writers: Vec<_> = (0..1000)
        .map(|number| {
            let components = vec![component("data", &["/sim/a"])];
            let name = format!("writer {number}");
            let level = FreezeLevel::FrontEnd;
            let writer = ScriptedWriter::new(&machine, &name, level, components);
            service.register_writer(writer, "test".into()).unwrap()
        })
        .collect();
    assert_eq!(service.status().connected_writers, 1000);
    let session = started(&service, Context::Backup).await.unwrap();
    let set = make(&session).await.unwrap();
    assert!(set.times.frozen < Duration::from_secs(5), "{:?}", set.times);
    drop(writers);
    assert_eq!(service.status().connected_writers, 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_registers_once() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let writer = ScriptedWriter::new(&machine, "db", FreezeLevel::BackEnd, Vec::new());
    let first = service
        .register_writer(Arc::clone(&writer) as _, "test".into())
        .unwrap();
    let error = service
        .register_writer(Arc::clone(&writer) as _, "test".into())
        .err()
        .unwrap();
    assert_eq!(error.code(), VssCode::WriterAlreadySubscribed);
    drop(first);
    let _again = service.register_writer(writer, "test".into()).unwrap();
    assert_eq!(service.writers().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_writers_nobody_needs_to_be_prepared() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _writers = three_writers(&machine, &service);
    for context in [Context::Backup, Context::FileShareBackup] {
        let session = service.open_session(requester("backup"));
        session.set_context(context).await.unwrap();
        session.select_writers(WriterSelection::None).await.unwrap();
        session.start_snapshot_set().await.unwrap();
        session
            .add_to_snapshot_set(Path::new("/sim/a"))
            .await
            .unwrap();
        let set = session.do_snapshot_set().await.unwrap();
        assert_eq!(set.times.frozen, Duration::ZERO);
        session.close().await.unwrap();
    }
    assert!(!machine.log().iter().any(|line| line.starts_with("db")));
    let session = service.open_session(requester("backup"));
    let error = session.set_context(Context::All).await.unwrap_err();
    assert_eq!(error.code(), VssCode::UnsupportedContext);
}

#[tokio::test(start_paused = true)]
async fn a_set_has_at_most_64_volumes_and_each_once() {
    let machine = Machine::with_volumes(65);
    let service = machine.service(Limits::default());
    let session = service.open_session(requester("backup"));
    session.start_snapshot_set().await.unwrap();
    for number in 0..64 {
        let name = format!("/dev/sim{number}");
        session.add_to_snapshot_set(Path::new(&name)).await.unwrap();
    }
    let error = session
        .add_to_snapshot_set(Path::new("/dev/sim64"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::MaximumNumberOfVolumesReached);
}
