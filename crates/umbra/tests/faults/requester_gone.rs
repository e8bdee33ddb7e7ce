//! The requester goes away at every state of the machine. The service goes on,
//! and cleans up without being started again.

use crate::stage::Stage;
use rustix::process::Signal;
use std::{
    path::PathBuf,
    sync::mpsc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use umbra_client::{Address, BackupOutcome, Connection, Requester};
use umbra_model::VssResult;

/// Where the requester goes away: a fail point, and the state the service shows
/// there. Whatever waits for no one pauses; what cannot be interrupted sleeps.
const MOMENTS: [(&str, &str); 18] = [
    ("set::Initialized=1*pause", "Initialized"),
    ("set::SetStarted=1*pause", "SetStarted"),
    ("set::PreparingForBackup=1*pause", "PreparingForBackup"),
    ("set::PreparedForBackup=1*pause", "PreparedForBackup"),
    ("set::EndPrepare=1*pause", "EndPrepare"),
    ("provider::end_prepare=1*sleep(700)", "EndPrepare"),
    ("set::PrepareForSnapshot=1*pause", "PrepareForSnapshot"),
    ("set::Freeze=1*pause", "Freeze"),
    ("set::PreCommit=1*pause", "PreCommit"),
    ("hold::frozen=1*sleep(700)", "Hold"),
    ("set::PostCommit=1*pause", "PostCommit"),
    ("set::Thaw=1*pause", "Thaw"),
    ("set::PreFinalCommit=1*pause", "PreFinalCommit"),
    ("set::PostSnapshot=1*pause", "PostSnapshot"),
    ("set::PostFinalCommit=1*pause", "PostFinalCommit"),
    ("set::Catalog=1*pause", "Catalog"),
    ("set::Created=1*sleep(700)", "Created"),
    ("set::Thaw=1*return;set::Aborting=1*sleep(700)", "Aborting"),
];

fn everywhere(leave: impl Fn(&Stage, &str)) {
    let stage = Stage::new();
    for (fail_points, state) in MOMENTS {
        eprintln!("{fail_points}");
        let mut daemon = stage.daemon_with(fail_points);
        leave(&stage, state);
        stage.until_no_session();
        stage.assert_clean(Some(&mut daemon));
        stage.assert_works();
        stage.assert_clean(Some(&mut daemon));
        daemon.kill();
    }
}

#[test]
fn a_requester_is_killed() {
    everywhere(|stage, state| {
        let mut requester = stage.exec("true");
        stage.until_state(state);
        requester.signal(Signal::KILL);
        let killed = Instant::now();
        requester.end();
        if state != "Hold" {
            stage.assert_thawed(killed);
        }
    });
}

#[test]
fn a_requester_disconnects() {
    everywhere(|stage, state| {
        let runtime = Runtime::new().unwrap();
        let (socket, volumes) = (stage.bench.umbra.socket(), stage.owned_volumes());
        runtime.spawn(make(socket, volumes));
        stage.until_state(state);
        runtime.shutdown_background();
    });
}

/// Goes away between two calls, with nothing on its way.
#[test]
fn a_requester_disconnects_between_calls() {
    let stage = Stage::new();
    let mut daemon = stage.daemon();
    for steps in 1..=7 {
        eprintln!("after step {steps}");
        let runtime = Runtime::new().unwrap();
        let (socket, volumes) = (stage.bench.umbra.socket(), stage.owned_volumes());
        let (told, done) = mpsc::channel();
        runtime.spawn(async move {
            let connection = Connection::open(&Address::Path(socket)).await.unwrap();
            let session = Requester::open(&connection, "a test").await.unwrap();
            take_steps(&session, &volumes, steps).await.unwrap();
            told.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        done.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(stage.states().len(), 1);
        runtime.shutdown_background();
        stage.until_no_session();
        stage.assert_clean(Some(&mut daemon));
    }
    stage.assert_works();
}

/// A set that was made persistent stays, although nobody was left to hear of it.
#[test]
fn a_persistent_set_outlives_its_requester() {
    let stage = Stage::new();
    let mut daemon = stage.daemon_with("set::Created=1*sleep(700)");
    let umbra = &stage.bench.umbra;
    let mut create = crate::support::Running::start(umbra.command([
        std::ffi::OsStr::new("create"),
        stage.volumes()[0].as_os_str(),
    ]));
    stage.until_state("Created");
    create.signal(Signal::KILL);
    create.end();
    stage.until_no_session();
    assert_eq!(umbra.json(["list", "--json"]).as_array().unwrap().len(), 1);
    umbra.ok(["delete", "--all"]);
    stage.assert_clean(Some(&mut daemon));
}

/// A set with all that a session does.
pub async fn make(socket: PathBuf, volumes: Vec<PathBuf>) -> VssResult<()> {
    let connection = Connection::open(&Address::Path(socket)).await.unwrap();
    let session = Requester::open(&connection, "a test").await.unwrap();
    take_steps(&session, &volumes, 7).await
}

async fn take_steps(session: &Requester, volumes: &[PathBuf], steps: usize) -> VssResult<()> {
    if steps >= 1 {
        session.gather_writer_metadata().await?;
    }
    if steps >= 2 {
        session.start_snapshot_set().await?;
    }
    if steps >= 3 {
        for volume in volumes {
            session.add_to_snapshot_set(volume).await?;
        }
    }
    if steps >= 4 {
        session.prepare_for_backup().await?;
    }
    if steps >= 5 {
        let set = session.do_snapshot_set().await?;
        if steps >= 6 {
            for copy in &set.copies {
                session.surface(copy.id).await?;
            }
        }
    }
    if steps >= 7 {
        session.backup_complete(BackupOutcome::Succeeded).await?;
    }
    Ok(())
}
