//! Sets of components that were chosen one by one, and what writers leave at them.

use crate::sim::{
    Fault, Machine, ScriptedWriter, component, document, make, part, requester, started,
    three_writers, writers::APPLICATION_CODE,
};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use umbra_documents::{
    BackupComponentsDocument, Component, FreezeLevel, Selectable, Term, WriterMetadata,
};
use umbra_model::{
    BackupType, Consistency, Context, FileSpecBackupType, VssCode, VssError, WriterInstanceId,
};
use umbra_service::{Limits, WriterSelection};
use umbra_writer::{BackupOutcome, Subscription, WriterEvent};

const BACK: FreezeLevel = FreezeLevel::BackEnd;

/// A database with its data on one volume and its logs on the other, and a notes
/// file of its own.
fn tree() -> Vec<Component> {
    let below = |name: &str, path: &str| Component {
        logical_path: Some("db".into()),
        selectable: Selectable::No,
        ..component(name, &[path])
    };
    vec![
        Component::file_group("db"),
        below("data", "/sim/a/data"),
        below("logs", "/sim/b/logs"),
        component("notes", &["/sim/b/notes"]),
    ]
}

/// "Working with Selectability and Logical Paths": who is chosen takes part, with
/// what comes with the chosen components, and nobody else hears of it.
#[tokio::test(start_paused = true)]
async fn only_writers_of_chosen_components_take_part() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let _others = three_writers(&machine, &service);
    let writer = ScriptedWriter::new(&machine, "tree", BACK, tree());
    let _writer = service
        .register_writer(Arc::clone(&writer) as _, "test".into())
        .unwrap();
    let session = started(&service, Context::Backup).await.unwrap();
    let mut chosen = document(vec![part(&writer, &["db", "notes"])]);
    chosen.backup_type = Some(Term::Known(BackupType::Copy));
    chosen.partial_file_support = Some(true);
    chosen.bootable_system_state = Some(true);
    session.choose_components(chosen).await.unwrap();
    let set = make(&session).await.unwrap();

    let all = ["db", "db\\data", "db\\logs", "notes"];
    let seen = writer.seen(WriterEvent::PrepareForSnapshot);
    assert_eq!(seen.components, all);
    assert!(seen.copies.is_empty());
    assert!(seen.backup.components_selected && seen.backup.partial_files);
    assert!(seen.backup.bootable_system_state);
    assert_eq!(seen.backup.backup_type, BackupType::Copy);
    let seen = writer.seen(WriterEvent::PostSnapshot);
    assert_eq!(seen.chosen.all().len(), 2);
    assert_eq!(seen.copies.len(), 2);
    assert_eq!(
        seen.copy_of(&set.copies[1].volume.id),
        Some(set.copies[1].id)
    );
    assert_eq!((seen.session, seen.set), (session.id(), set.id));

    assert_eq!(set.writers.len(), 1);
    assert_eq!(set.writers[0].components, all[1..]);
    let verdict = &set.consistency;
    assert_eq!(verdict.level, Consistency::Filesystem, "{verdict:?}");
    assert_eq!(
        verdict.reason,
        "web, db and os have data on these volumes and were left out"
    );
    let kept = session.document().await.unwrap();
    assert_eq!(kept.snapshot_set_id, Some(set.id));
    session.close().await.unwrap();
    assert!(machine.logged("tree BackupShutdown"));
    let told = ["web", "db", "os"].iter().any(|name| {
        let log = machine.log();
        log.iter()
            .any(|line| line.starts_with(&format!("{name} ")) && !line.ends_with("Identify"))
    });
    assert!(!told, "{:#?}", machine.log());
}

#[tokio::test(start_paused = true)]
async fn the_verdict_is_about_what_was_chosen() {
    let check = async |components: &[&str], volumes: &[&str], told: &[&str], reason: &str| {
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        let writer = ScriptedWriter::new(&machine, "tree", BACK, tree());
        let _writer = service
            .register_writer(Arc::clone(&writer) as _, "test".into())
            .unwrap();
        let session = service.open_session(requester("backup"));
        session.gather_writer_metadata().await.unwrap();
        let chosen = document(vec![part(&writer, components)]);
        session.choose_components(chosen).await.unwrap();
        session.start_snapshot_set().await.unwrap();
        for volume in volumes {
            session.add_to_snapshot_set(volume.as_ref()).await.unwrap();
        }
        let verdict = make(&session).await.unwrap().consistency;
        assert_eq!(verdict.reason, reason);
        let whole = verdict.level == Consistency::Application;
        assert_eq!(whole, reason.starts_with("vouched for"), "{verdict:?}");
        if !components.is_empty() {
            assert_eq!(writer.seen(WriterEvent::Freeze).components, told);
        }
    };
    let both = ["/sim/a", "/sim/b"];
    let all = ["db", "db\\data", "db\\logs", "notes"];
    let vouched = "vouched for by tree";
    check(&["db", "notes"], &both, &all, vouched).await;
    let unchosen = "tree has data on these volumes that was not chosen: \"notes\"";
    check(&["db"], &both, &all[..3], unchosen).await;
    // What is not wholly there is not told, so that no writer fails for it.
    let there = ["db", "db\\logs", "notes"];
    let elsewhere = "tree does not vouch for \"db\\\\data\": its path /sim/a/data lies on \
                     the volume /sim/a, which is not in the set";
    check(&["db", "notes"], &["/sim/b"], &there, elsewhere).await;
    let left_out = "tree has data on these volumes and was left out";
    check(&[], &both, &[], left_out).await;
}

#[tokio::test(start_paused = true)]
async fn without_components_every_writer_takes_part() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let writer = ScriptedWriter::new(&machine, "tree", BACK, tree());
    let _writer = service
        .register_writer(Arc::clone(&writer) as _, "test".into())
        .unwrap();
    for select in [None, Some(false)] {
        let session = started(&service, Context::AppRollback).await.unwrap();
        let chosen = BackupComponentsDocument {
            select_components: select,
            backup_type: Some(Term::Known(BackupType::Incremental)),
            ..BackupComponentsDocument::new()
        };
        session.choose_components(chosen).await.unwrap();
        make(&session).await.unwrap();
        let seen = writer.seen(WriterEvent::PostSnapshot);
        assert!(!seen.backup.components_selected);
        assert_eq!(seen.backup.backup_type, BackupType::Incremental);
        assert_eq!(seen.backup.context, Context::AppRollback);
        assert_eq!(seen.chosen.document(), None);
        assert_eq!(seen.components, ["db\\data", "db\\logs", "notes"]);
        session.close().await.unwrap();
    }
    // The writers that a requester does not want take no part either way.
    machine.clear_log();
    let session = service.open_session(requester("backup"));
    session.gather_writer_metadata().await.unwrap();
    let none = WriterSelection::Except(vec!["tree".into()]);
    session.select_writers(none).await.unwrap();
    let chosen = document(vec![part(&writer, &["db"])]);
    session.choose_components(chosen).await.unwrap();
    session.start_snapshot_set().await.unwrap();
    session
        .add_to_snapshot_set("/sim/b".as_ref())
        .await
        .unwrap();
    let verdict = make(&session).await.unwrap().consistency;
    assert!(verdict.reason.contains("was left out"), "{verdict:?}");
    assert!(!machine.logged("tree PrepareForBackup"));
}

#[tokio::test(start_paused = true)]
async fn writers_change_their_own_parts_at_the_same_time() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let mut registrations = Vec::new();
    let mut parts = Vec::new();
    for name in ["one", "two"] {
        let components = vec![component("a", &["/sim/a/x"]), component("b", &["/sim/b/x"])];
        let writer = ScriptedWriter::new(&machine, name, BACK, components);
        for event in [WriterEvent::PrepareForBackup, WriterEvent::PostSnapshot] {
            writer.at(event, move |chosen| {
                let all = chosen.all();
                assert_eq!(all.len(), 2);
                for one in all {
                    let said = format!("{name} {} {event}", one.get().name);
                    one.set_backup_metadata(said).unwrap();
                    one.set_backup_stamp(event.to_string()).unwrap();
                }
            });
        }
        parts.push(part(&writer, &["a", "b"]));
        let registration = service.register_writer(writer, "test".into()).unwrap();
        registrations.push(registration);
    }
    let unknown = || vec![("vendor".to_owned(), "kept".to_owned())];
    parts[0].components[0].extra.attributes = unknown();
    let mut chosen = document(parts);
    chosen.extra.attributes = unknown();
    let session = started(&service, Context::Backup).await.unwrap();
    session.choose_components(chosen).await.unwrap();
    session.prepare_for_backup().await.unwrap();
    let said = session.document().await.unwrap().writers[1].components[1].clone();
    assert_eq!(
        said.backup_metadata.as_deref(),
        Some("two b PrepareForBackup")
    );
    session.do_snapshot_set().await.unwrap();
    let kept = session.document().await.unwrap();
    for (writer, name) in kept.writers.iter().zip(["one", "two"]) {
        for one in &writer.components {
            let expected = format!("{name} {} PostSnapshot", one.name);
            assert_eq!(one.backup_metadata.as_ref(), Some(&expected));
            assert_eq!(one.backup_stamp.as_deref(), Some("PostSnapshot"));
        }
    }
    assert_eq!(kept.extra.attributes, unknown());
    let extra = &kept.writers[0].components[0].extra;
    assert_eq!(extra.attributes, unknown());
}

#[tokio::test(start_paused = true)]
async fn a_writer_changes_only_what_the_event_allows_while_it_lasts() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let writer = ScriptedWriter::new(&machine, "tree", BACK, tree());
    let _writer = service
        .register_writer(Arc::clone(&writer) as _, "test".into())
        .unwrap();
    let errors: Arc<Mutex<Vec<VssError>>> = Arc::default();
    let told = Arc::clone(&errors);
    writer.at(WriterEvent::Freeze, move |chosen| {
        let one = &chosen.all()[0];
        let failed = one.add_partial_file("/sim/a/data".as_ref(), "x", "0:1", None);
        told.lock().unwrap().push(failed.unwrap_err());
    });
    let kept = Arc::new(Mutex::new(None));
    let keeps = Arc::clone(&kept);
    writer.at(WriterEvent::PrepareForBackup, move |chosen| {
        *keeps.lock().unwrap() = chosen.find(None, "db");
    });
    let told = Arc::clone(&errors);
    writer.at(WriterEvent::PostSnapshot, move |_| {
        let kept = kept.lock().unwrap().clone().unwrap();
        let failed = kept.set_backup_metadata("late");
        told.lock().unwrap().push(failed.unwrap_err());
    });
    let session = started(&service, Context::Backup).await.unwrap();
    let chosen = document(vec![part(&writer, &["db"])]);
    session.choose_components(chosen).await.unwrap();
    make(&session).await.unwrap();
    let errors = errors.lock().unwrap().clone();
    assert!(errors.iter().all(|one| one.code() == VssCode::BadState));
    assert!(errors[0].message().contains("belongs to PostSnapshot"));
    assert!(errors[1].message().contains("PrepareForBackup is over"));
    let kept = session.document().await.unwrap();
    let one = &kept.writers[0].components[0];
    assert!(one.partial_files.is_empty() && one.backup_metadata.is_none());
}

#[tokio::test(start_paused = true)]
async fn wrong_choices_are_refused_and_change_nothing() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let writer = ScriptedWriter::new(&machine, "tree", BACK, tree());
    let silent = ScriptedWriter::new(&machine, "silent", BACK, tree());
    let stranger = ScriptedWriter::new(&machine, "stranger", BACK, tree());
    let _writers = [&writer, &silent].map(|one| {
        service
            .register_writer(Arc::clone(one) as _, "test".into())
            .unwrap()
    });
    machine.script("silent Identify", Fault::Veto);
    let session = service.open_session(requester("backup"));
    let chosen = || document(vec![part(&writer, &["notes"])]);
    let error = session.choose_components(chosen()).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("GatherWriterMetadata was expected"),
        "{error}"
    );
    session.gather_writer_metadata().await.unwrap();
    session.choose_components(chosen()).await.unwrap();
    let check = async |parts, code: VssCode, words: &str| {
        let wrong = session.choose_components(document(parts)).await;
        let error = wrong.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(words), "{error}");
        let kept = session.document().await.unwrap();
        assert_eq!(kept.writers[0].components[0].name, "notes");
    };
    let one = |components: &[&str]| vec![part(&writer, components)];
    let missing = VssCode::ObjectNotFound;
    check(one(&["db", "gone"]), missing, "\"gone\"").await;
    check(vec![part(&stranger, &["db"])], missing, "").await;
    let twice = VssCode::ObjectAlreadyExists;
    check(one(&["db", "db"]), twice, "\"db\"").await;
    let with = VssCode::InvalidArgument;
    check(one(&["db\\data"]), with, "\"db\"").await;
    let both = vec![part(&writer, &["db"]), part(&writer, &["notes"])];
    check(both, twice, "twice").await;
    let failed = VssCode::WriterErrorNonRetryable;
    check(vec![part(&silent, &["db"])], failed, "Identify").await;

    let session = service.open_session(requester("backup"));
    let alone = Context::FileShareBackup;
    session.set_context(alone).await.unwrap();
    session.gather_writer_metadata().await.unwrap();
    let error = session.choose_components(chosen()).await.unwrap_err();
    assert_eq!(error.code(), VssCode::BadState, "{error}");
    let empty = BackupComponentsDocument::new();
    session.choose_components(empty).await.unwrap();
}

/// The writer as it is after a restart: another instance, with these components.
fn restarted(
    machine: &Arc<Machine>,
    writer: &ScriptedWriter,
    components: Vec<Component>,
) -> Arc<ScriptedWriter> {
    let mut metadata = WriterMetadata {
        components,
        ..writer.metadata().clone()
    };
    metadata.identity.instance = WriterInstanceId::random();
    ScriptedWriter::of(machine, metadata, Subscription::default())
}

#[tokio::test(start_paused = true)]
async fn a_component_that_is_gone_at_prepare_for_backup_fails_the_set() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let writer = ScriptedWriter::new(&machine, "tree", BACK, tree());
    let registration = service
        .register_writer(Arc::clone(&writer) as _, "test".into())
        .unwrap();
    let session = started(&service, Context::Backup).await.unwrap();
    let chosen = || document(vec![part(&writer, &["db", "notes"])]);
    session.choose_components(chosen()).await.unwrap();
    drop(registration);
    let without_notes = restarted(&machine, &writer, tree()[..3].to_vec());
    let registration = service
        .register_writer(without_notes, "test".into())
        .unwrap();
    session.gather_writer_metadata().await.unwrap();
    let error = session.prepare_for_backup().await.unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound, "{error}");
    assert!(error.message().contains("\"notes\""), "{error}");
    machine.assert_clean(&service, "a component is gone").await;

    // Another instance that has everything will do.
    drop(registration);
    let again = restarted(&machine, &writer, tree());
    let _again = service
        .register_writer(Arc::clone(&again) as _, "test".into())
        .unwrap();
    let session = started(&service, Context::Backup).await.unwrap();
    session.choose_components(chosen()).await.unwrap();
    make(&session).await.unwrap();
    assert_eq!(again.seen(WriterEvent::PostSnapshot).components.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_failed_leaves_the_reasons_in_the_document() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let writer = ScriptedWriter::new(&machine, "tree", BACK, tree());
    let _writer = service
        .register_writer(Arc::clone(&writer) as _, "test".into())
        .unwrap();
    writer.at(WriterEvent::PrepareForBackup, |chosen| {
        let one = chosen.find(None, "notes").unwrap();
        one.set_prepare_for_backup_failure("no room").unwrap();
    });
    machine.script("tree PrepareForBackup", Fault::Veto);
    let session = started(&service, Context::Backup).await.unwrap();
    let chosen = document(vec![part(&writer, &["db", "notes"])]);
    session.choose_components(chosen).await.unwrap();
    let error = make(&session).await.unwrap_err();
    assert_eq!(error.code(), VssCode::WriterErrorNonRetryable, "{error}");
    let kept = session.document().await.unwrap();
    let [db, notes] = &kept.writers[0].components[..] else {
        panic!("{kept:?}");
    };
    assert_eq!(notes.prepare_for_backup_failure.as_deref(), Some("no room"));
    let failure = notes.failure.clone().unwrap();
    assert_eq!(
        failure.code,
        VssCode::WriterErrorNonRetryable.hresult(),
        "{failure:?}"
    );
    assert_eq!(failure.application_code, Some(APPLICATION_CODE));
    assert_eq!(failure.message.as_deref(), Some("no room"));
    assert_eq!(db.failure, None);

    // The next try begins without them.
    machine.forgive();
    writer.at(WriterEvent::PrepareForBackup, |_| {});
    session.start_snapshot_set().await.unwrap();
    session
        .add_to_snapshot_set("/sim/b".as_ref())
        .await
        .unwrap();
    make(&session).await.unwrap();
    let kept = session.document().await.unwrap();
    let notes = &kept.writers[0].components[1];
    assert_eq!(notes.prepare_for_backup_failure, None);
    assert_eq!(notes.failure, None);
}

#[tokio::test(start_paused = true)]
async fn each_writer_hears_how_the_backup_of_its_components_ended() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let components = || vec![component("a", &["/sim/a/x"]), component("b", &["/sim/b/x"])];
    let good = ScriptedWriter::new(&machine, "good", BACK, components());
    let bad = ScriptedWriter::new(&machine, "bad", BACK, components());
    let _writers = [&good, &bad].map(|one| {
        service
            .register_writer(Arc::clone(one) as _, "test".into())
            .unwrap()
    });
    let session = started(&service, Context::Backup).await.unwrap();
    let parts = || vec![part(&good, &["a", "b"]), part(&bad, &["a", "b"])];
    session.choose_components(document(parts())).await.unwrap();
    make(&session).await.unwrap();

    let mut theirs = session.document().await.unwrap();
    let stranger = part(&bad, &["a"]).components.remove(0);
    theirs.writers[1].components.push(stranger);
    theirs.writers[1].components[2].name = "c".into();
    let error = session.backup_complete_of(theirs).await.unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound, "{error}");
    assert!(!machine.logged("good BackupComplete Succeeded"));

    let mut theirs = session.document().await.unwrap();
    for one in theirs
        .writers
        .iter_mut()
        .flat_map(|one| &mut one.components)
    {
        one.backup_succeeded = Some(true);
        one.backup_options = Some("quick".into());
        // Not theirs to say.
        one.backup_stamp = Some("forged".into());
    }
    theirs.writers[1].components[1].backup_succeeded = Some(false);
    session.backup_complete_of(theirs).await.unwrap();
    assert!(machine.logged("good BackupComplete Succeeded"));
    assert!(machine.logged("bad BackupComplete Failed"));
    let seen = bad.seen(WriterEvent::BackupComplete).chosen.all();
    assert_eq!(seen[0].get().backup_succeeded, Some(true));
    assert_eq!(seen[1].get().backup_succeeded, Some(false));
    assert_eq!(seen[1].get().backup_options.as_deref(), Some("quick"));
    assert_eq!(seen[1].get().backup_stamp, None);
    let error = session
        .backup_complete_of(document(parts()))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::BadState, "{error}");
    session.close().await.unwrap();

    // With one outcome for all, components say the same.
    let session = started(&service, Context::Backup).await.unwrap();
    session.choose_components(document(parts())).await.unwrap();
    make(&session).await.unwrap();
    let succeeded = BackupOutcome::Succeeded;
    session.backup_complete(succeeded).await.unwrap();
    let kept = session.document().await.unwrap();
    let mut all = kept.writers.iter().flat_map(|one| &one.components);
    assert!(all.all(|one| one.backup_succeeded == Some(true)));
}

/// "Overview of Pre-Backup Tasks": files that no copy is needed for need no set.
#[tokio::test(start_paused = true)]
async fn a_backup_may_do_without_a_set() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let mut live = component("live", &["/sim/a/live"]);
    live.files[0].backup_type = FileSpecBackupType::ALL_BACKUP_REQUIRED;
    let writer = ScriptedWriter::new(&machine, "tree", BACK, vec![live]);
    let _writer = service
        .register_writer(Arc::clone(&writer) as _, "test".into())
        .unwrap();
    let session = service.open_session(requester("backup"));
    session.gather_writer_metadata().await.unwrap();
    let chosen = || document(vec![part(&writer, &["live"])]);
    session.choose_components(chosen()).await.unwrap();
    session.start_snapshot_set().await.unwrap();
    session.prepare_for_backup().await.unwrap();
    let seen = writer.seen(WriterEvent::PrepareForBackup);
    assert_eq!(seen.components, ["live"]);
    let mut theirs = session.document().await.unwrap();
    theirs.writers[0].components[0].backup_succeeded = Some(true);
    session.backup_complete_of(theirs).await.unwrap();
    // The turn is free again.
    let other = started(&service, Context::Backup).await.unwrap();
    other.close().await.unwrap();
    session.close().await.unwrap();
    let log = machine.log();
    let told = log.iter().filter_map(|line| line.strip_prefix("tree "));
    let told: Vec<_> = told.filter(|event| *event != "Identify").collect();
    let expected = [
        "PrepareForBackup",
        "BackupComplete Succeeded",
        "BackupShutdown",
    ];
    assert_eq!(told, expected);
    machine.assert_clean(&service, "without a set").await;
}

#[tokio::test]
async fn a_hundred_thousand_components_are_no_burden() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let mut parts = Vec::new();
    let registrations: Vec<_> = (0..1000)
        .map(|number| {
            let components = (0..100).map(|number| {
                let path = format!("/sim/a/data/{number}");
                component(&format!("component {number}"), &[&path])
            });
            let components: Vec<_> = components.collect();
            let names: Vec<_> = components.iter().map(|one| one.name.clone()).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let name = format!("writer {number}");
            let writer = ScriptedWriter::new(&machine, &name, BACK, components);
            parts.push(part(&writer, &names));
            service.register_writer(writer, "test".into()).unwrap()
        })
        .collect();
    let began = Instant::now();
    let session = started(&service, Context::Backup).await.unwrap();
    session.choose_components(document(parts)).await.unwrap();
    session.prepare_for_backup().await.unwrap();
    let kept = session.document().await.unwrap();
    assert_eq!(kept.writers.len(), 1000);
    // A few seconds without optimisation; work that grows with the square of
    // anything here would take minutes.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
    println!("{took:?}");
    session.close().await.unwrap();
    drop(registrations);
}
