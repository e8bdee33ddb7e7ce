//! Restores ("Overview of Processing a Restore Under VSS").

use crate::sim::{
    Fault, Machine, ScriptedWriter, component, document, part, requester, writers::APPLICATION_CODE,
};
use std::sync::Arc;
use umbra_documents::{
    BackupComponentsDocument, Component, FreezeLevel, RestorePlan, Term, WriterMetadata,
};
use umbra_model::{
    FileRestoreStatus, RestoreMethod, RestoreTarget, RestoreType, SubscribeMask, VssCode,
    WriterInstanceId, WriterRestore, WriterState,
};
use umbra_service::{Limits, Service, Session, WriterRegistration, WriterSelection};
use umbra_writer::{Subscription, WriterEvent};

fn components() -> Vec<Component> {
    vec![component("a", &["/sim/a/x"]), component("b", &["/sim/b/x"])]
}

fn writer(machine: &Arc<Machine>, name: &str) -> Arc<ScriptedWriter> {
    ScriptedWriter::new(machine, name, FreezeLevel::BackEnd, components())
}

fn register(service: &Service, writer: &Arc<ScriptedWriter>) -> WriterRegistration {
    let writer = Arc::clone(writer) as _;
    service.register_writer(writer, "test".into()).unwrap()
}

async fn gathered(service: &Service) -> Session {
    let session = service.open_session(requester("restore"));
    session.gather_writer_metadata().await.unwrap();
    session
}

/// The document of a backup of these writers, as it comes from storage.
fn stored(writers: &[&Arc<ScriptedWriter>]) -> BackupComponentsDocument {
    let parts = writers.iter().map(|writer| part(writer, &["a", "b"]));
    document(parts.collect())
}

async fn states(session: &Session) -> Vec<(String, WriterState, Option<u32>)> {
    let status = session.gather_writer_status().await.unwrap();
    let one = |report: umbra_service::WriterReport| {
        let name = report.metadata.identity.name;
        (name, report.state, report.application_code)
    };
    status.into_iter().map(one).collect()
}

#[tokio::test(start_paused = true)]
async fn writers_of_selected_components_say_where_and_hear_how_it_went() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let (one, two) = (writer(&machine, "one"), writer(&machine, "two"));
    let _writers = [&one, &two].map(|writer| register(&service, writer));
    one.at(WriterEvent::PreRestore, |chosen| {
        let all = chosen.all();
        assert_eq!(all.len(), 2, "those that are not selected too");
        all[0].set_restore_target(RestoreTarget::Alternate).unwrap();
        all[0].set_restore_metadata("half").unwrap();
        let error = all[0].set_backup_stamp("late").unwrap_err();
        assert_eq!(error.code(), VssCode::BadState);
    });
    one.at(WriterEvent::PostRestore, |chosen| {
        let there = chosen.all()[0].get();
        let failed = Some(Term::Known(FileRestoreStatus::Failed));
        assert_eq!(there.file_restore_status, failed);
        assert_eq!(there.restore_metadata.as_deref(), Some("half"));
        let one = &chosen.all()[0];
        one.set_post_restore_failure("cannot use half").unwrap();
    });
    let session = gathered(&service).await;
    machine.clear_log();
    let mut theirs = stored(&[&one, &two]);
    theirs.restore_type = Some(Term::Known(RestoreType::ByCopy));
    theirs.writers[0].components[0].selected_for_restore = Some(true);
    // What an earlier restore left there is not of this one.
    theirs.writers[0].components[1].pre_restore_failure = Some("old".into());
    let report = session.pre_restore(theirs).await.unwrap();
    assert!(report.failures.is_empty(), "{report:?}");
    let mut theirs = report.document;
    let there = &mut theirs.writers[0].components;
    let target = Some(Term::Known(RestoreTarget::Alternate));
    assert_eq!(there[0].restore_target, target);
    assert_eq!(there[1].pre_restore_failure, None);
    there[0].file_restore_status = Some(Term::Known(FileRestoreStatus::Failed));
    let report = session.post_restore(theirs).await.unwrap();
    let there = &report.document.writers[0].components[0];
    let said = there.post_restore_failure.as_deref();
    assert_eq!(said, Some("cannot use half"));
    assert_eq!(states(&session).await[0].1, WriterState::Stable);
    session.close().await.unwrap();
    assert_eq!(
        machine.log(),
        ["one PreRestore VSS_RTYPE_BY_COPY", "one PostRestore"]
    );
}

#[tokio::test(start_paused = true)]
async fn who_takes_part_in_a_restore() {
    let check = async |change: &dyn Fn(&mut BackupComponentsDocument), told: &[&str]| {
        let machine = Machine::new();
        let service = machine.service(Limits::default());
        let (one, two) = (writer(&machine, "one"), writer(&machine, "two"));
        let plan = |writer_restore| RestorePlan {
            method: RestoreMethod::RestoreIfCanReplace,
            service: None,
            user_procedure: None,
            writer_restore,
            reboot_required: false,
            alternate_locations: Vec::new(),
        };
        let with = |name, restore, events| {
            let metadata = WriterMetadata {
                restore: Some(plan(restore)),
                ..writer(&machine, name).metadata().clone()
            };
            let subscription = Subscription {
                events,
                ..Subscription::default()
            };
            ScriptedWriter::of(&machine, metadata, subscription)
        };
        let all = SubscribeMask::ALL_FLAGS;
        let never = with("never", WriterRestore::Never, all);
        let always = with("always", WriterRestore::Always, all);
        let backup = SubscribeMask::BACKUP_EVENTS_FLAG;
        let deaf = with("deaf", WriterRestore::Always, backup);
        let everybody = [&one, &two, &never, &always, &deaf];
        let _writers = everybody.map(|writer| register(&service, writer));
        let session = gathered(&service).await;
        machine.clear_log();
        let mut theirs = stored(&everybody);
        change(&mut theirs);
        let report = session.pre_restore(theirs).await.unwrap();
        assert!(report.failures.is_empty(), "{report:?}");
        let mut log = machine.log();
        log.sort();
        let told: Vec<_> = told
            .iter()
            .map(|name| format!("{name} PreRestore VSS_RTYPE_UNDEFINED"))
            .collect();
        assert_eq!(log, told);
    };
    check(&|_| {}, &["always", "one", "two"]).await;
    let all_of = |selected| {
        move |document: &mut BackupComponentsDocument| {
            let writers = document.writers.iter_mut();
            for one in writers.flat_map(|writer| &mut writer.components) {
                one.selected_for_restore = Some(selected);
            }
        }
    };
    check(&all_of(true), &["always", "one", "two"]).await;
    check(&all_of(false), &[]).await;
    let only_two = |document: &mut BackupComponentsDocument| {
        document.writers[1].components[1].selected_for_restore = Some(true);
    };
    check(&only_two, &["two"]).await;
    let no_writers = |document: &mut BackupComponentsDocument| document.writers.clear();
    check(&no_writers, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_fails_does_not_end_a_restore() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let (one, two) = (writer(&machine, "one"), writer(&machine, "two"));
    let _writers = [&one, &two].map(|writer| register(&service, writer));
    one.at(WriterEvent::PreRestore, |chosen| {
        let component = chosen.find(None, "b").unwrap();
        component.set_pre_restore_failure("in use").unwrap();
    });
    machine.script("one PreRestore VSS_RTYPE_UNDEFINED", Fault::Veto);
    machine.script("two PostRestore", Fault::Hang);
    let session = gathered(&service).await;
    let report = session.pre_restore(stored(&[&one, &two])).await.unwrap();
    let codes: Vec<_> = report.failures.iter().map(|one| one.code()).collect();
    assert_eq!(codes, [VssCode::WriterErrorNonRetryable]);
    let component = &report.document.writers[0].components[1];
    let failure = component.failure.clone().unwrap();
    assert_eq!(failure.code, VssCode::WriterErrorNonRetryable.hresult());
    assert_eq!(failure.message.as_deref(), Some("in use"));
    let stable = || ("two".to_owned(), WriterState::Stable, None);
    let failed = WriterState::FailedAtPreRestore;
    assert_eq!(
        states(&session).await,
        [("one".to_owned(), failed, Some(APPLICATION_CODE)), stable()]
    );
    let report = session.post_restore(report.document).await.unwrap();
    let codes: Vec<_> = report.failures.iter().map(|one| one.code()).collect();
    assert_eq!(codes, [VssCode::WriterErrorTimeout]);
    assert!(machine.logged("one PostRestore"));
    let failed = WriterState::FailedAtPostRestore;
    assert_eq!(states(&session).await[1].1, failed);
}

#[tokio::test(start_paused = true)]
async fn a_writer_may_go_away_in_a_restore() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let (one, two) = (writer(&machine, "one"), writer(&machine, "two"));
    let gone = register(&service, &one);
    let _stays = register(&service, &two);
    let session = gathered(&service).await;
    let document = stored(&[&one, &two]);
    let report = session.pre_restore(document).await.unwrap();
    machine.script("one PostRestore", Fault::Disconnect);
    drop(gone);
    let status = session.gather_writer_status().await.unwrap();
    assert_eq!(status[0].state, WriterState::Unknown);
    let failure = status[0].failure.as_ref().unwrap();
    assert_eq!(failure.code(), VssCode::WriterNotResponding);
    let report = session.post_restore(report.document).await.unwrap();
    let codes: Vec<_> = report.failures.iter().map(|one| one.code()).collect();
    assert_eq!(codes, [VssCode::WriterNotResponding]);
    assert!(machine.logged("two PostRestore"));
    let failed = WriterState::FailedAtPostRestore;
    assert_eq!(states(&session).await[0].1, failed);
}

/// BackupShutdown is the only event that says that a session is over.
#[tokio::test(start_paused = true)]
async fn a_restore_that_breaks_off_is_over_for_those_that_were_told() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let (one, two) = (writer(&machine, "one"), writer(&machine, "two"));
    let _writers = [&one, &two].map(|writer| register(&service, writer));
    let session = gathered(&service).await;
    machine.clear_log();
    session.pre_restore(stored(&[&one])).await.unwrap();
    session.close().await.unwrap();
    assert_eq!(
        machine.log(),
        ["one PreRestore VSS_RTYPE_UNDEFINED", "one BackupShutdown"]
    );

    // A requester that goes away while a writer hangs waits for nobody.
    machine.script("one PreRestore VSS_RTYPE_UNDEFINED", Fault::Hang);
    let session = gathered(&service).await;
    machine.clear_log();
    let document = stored(&[&one]);
    let limit = std::time::Duration::from_secs(1);
    let left = tokio::time::timeout(limit, session.pre_restore(document)).await;
    assert!(left.is_err());
    session.close().await.unwrap();
    assert!(machine.logged("one BackupShutdown"));
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_can_be_restored() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let before = writer(&machine, "one");
    let missing = writer(&machine, "missing");
    let silent = writer(&machine, "silent");
    // The same writer after a restart, and after its components were dropped.
    let mut metadata = before.metadata().clone();
    metadata.identity.instance = WriterInstanceId::random();
    metadata.components.clear();
    let now = ScriptedWriter::of(&machine, metadata.clone(), Subscription::default());
    let _now = register(&service, &now);
    let _silent = register(&service, &silent);
    machine.script("silent Identify", Fault::Veto);
    let session = gathered(&service).await;
    let mut document = stored(&[&before, &missing, &silent]);
    for part in &mut document.writers {
        part.components[0].selected_for_restore = Some(true);
    }
    let report = session.pre_restore(document).await.unwrap();
    assert!(machine.logged("one PreRestore VSS_RTYPE_UNDEFINED"));
    let codes: Vec<_> = report.failures.iter().map(|one| one.code()).collect();
    assert_eq!(
        codes,
        [VssCode::ObjectNotFound, VssCode::WriterErrorNonRetryable]
    );

    // Of two that could do it, nobody knows which is meant.
    metadata.identity.instance = WriterInstanceId::random();
    let other = ScriptedWriter::of(&machine, metadata, Subscription::default());
    let _other = register(&service, &other);
    let session = gathered(&service).await;
    let error = session.pre_restore(stored(&[&before])).await.unwrap_err();
    assert_eq!(error.code(), VssCode::InvalidArgument, "{error}");
    machine.clear_log();
    let mut document = stored(&[&before]);
    document.writers[0].instance_id = other.metadata().identity.instance;
    session.pre_restore(document).await.unwrap();
    assert_eq!(machine.log(), ["one PreRestore VSS_RTYPE_UNDEFINED"]);
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_restore_have_their_order() {
    let machine = Machine::new();
    let service = machine.service(Limits::default());
    let one = writer(&machine, "one");
    let _one = register(&service, &one);
    let document = || stored(&[&one]);
    let session = service.open_session(requester("restore"));
    let expect = |error: umbra_model::VssError, call: &str| {
        assert_eq!(error.code(), VssCode::BadState, "{error}");
        let expected = format!("{call} was expected");
        assert!(error.message().contains(&expected), "{error}");
    };
    let gather = "GatherWriterMetadata";
    expect(session.pre_restore(document()).await.unwrap_err(), gather);
    expect(session.gather_writer_status().await.unwrap_err(), gather);
    session.gather_writer_metadata().await.unwrap();
    let start = "GatherWriterMetadata or StartSnapshotSet";
    expect(session.post_restore(document()).await.unwrap_err(), start);
    session.pre_restore(document()).await.unwrap();
    let post = "PostRestore";
    expect(session.pre_restore(document()).await.unwrap_err(), post);
    expect(session.start_snapshot_set().await.unwrap_err(), post);
    expect(session.abort_backup().await.unwrap_err(), post);
    let chosen = session.choose_components(document()).await;
    expect(chosen.unwrap_err(), post);
    let all = WriterSelection::All;
    expect(session.select_writers(all).await.unwrap_err(), post);
    let stranger = writer(&machine, "stranger");
    let error = session
        .post_restore(stored(&[&stranger]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), VssCode::ObjectNotFound, "{error}");
    session.post_restore(document()).await.unwrap();
    let end = "the end of the session";
    expect(session.post_restore(document()).await.unwrap_err(), end);
    expect(session.start_snapshot_set().await.unwrap_err(), end);
    session.close().await.unwrap();
    let new = "a new session";
    expect(session.pre_restore(document()).await.unwrap_err(), new);

    let session = gathered(&service).await;
    session.start_snapshot_set().await.unwrap();
    let error = session.pre_restore(document()).await.unwrap_err();
    expect(error, "AddToSnapshotSet or PrepareForBackup");
}
