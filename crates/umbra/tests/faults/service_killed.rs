//! The service is killed, or stopped, at every state of the machine.

use crate::{
    requester_gone::make,
    stage::{Pen, Stage, THAWED, assert_failed},
    support::{Outcome, Running},
};
use rustix::process::Signal;
use std::{
    fs, thread,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use umbra_model::VssCode;
use umbra_testbed::run;

/// When the service is killed.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// Where it pauses.
    fail_points: &'static str,
    /// The state it shows then.
    state: &'static str,
    /// Whether file systems are frozen then.
    frozen: bool,
    /// Whether the catalog has the set.
    known: bool,
}

const fn moment(fail_points: &'static str, state: &'static str) -> Moment {
    Moment {
        fail_points,
        state,
        frozen: false,
        known: false,
    }
}

impl Moment {
    const fn known(self) -> Self {
        Self {
            known: true,
            ..self
        }
    }

    const fn frozen(self) -> Self {
        Self {
            frozen: true,
            ..self
        }
    }
}

fn went_away(outcome: &Outcome) {
    assert_failed(outcome, 110, &["the Umbra service went away"]);
}

/// Kills umbrad at this moment under `umbra exec`.
fn killed_at(stage: &Stage, moment: Moment, check: impl FnOnce(&Outcome)) {
    eprintln!("{moment:?}");
    let daemon = stage.daemon_with(moment.fail_points);
    let pens = pens(stage);
    let requester = stage.exec("true");
    stage.until_state(moment.state);
    if moment.frozen {
        pens.iter().for_each(Pen::until_still);
    }
    daemon.kill();
    stage.assert_thawed(Instant::now());
    stage.assert_not_frozen();
    drop(pens);
    check(&requester.end());

    let mut daemon = stage.daemon();
    let status = stage.bench.umbra.json(["status", "--json"]);
    let reconciled = status["reconciled"].as_array().unwrap();
    assert_eq!(reconciled.len(), usize::from(moment.known), "{status:#}");
    for line in reconciled {
        let line = line.as_str().unwrap();
        assert!(
            line.contains("half made") || line.contains("session has ended"),
            "{line}"
        );
    }
    stage.assert_clean(Some(&mut daemon));
    stage.assert_works();
    stage.assert_clean(Some(&mut daemon));
    assert!(daemon.stop().status.success());
}

/// On what can be frozen.
fn pens(stage: &Stage) -> Vec<Pen> {
    vec![
        Pen::on(&stage.bench.ext4.mount),
        Pen::on(&stage.second.mount),
    ]
}

#[test]
fn the_service_is_killed_before_the_hold() {
    let stage = Stage::new();
    for moment in [
        moment("set::Initialized=pause", "Initialized"),
        moment("set::SetStarted=pause", "SetStarted"),
        moment("set::PreparingForBackup=pause", "PreparingForBackup"),
        moment("set::PreparedForBackup=pause", "PreparedForBackup"),
        moment("set::EndPrepare=pause", "EndPrepare"),
        moment("catalog::begin=pause", "EndPrepare"),
        moment("provider::begin_prepare=pause", "EndPrepare").known(),
        moment("provider::end_prepare=pause", "EndPrepare").known(),
        moment("set::PrepareForSnapshot=pause", "PrepareForSnapshot").known(),
        moment("set::Freeze=pause", "Freeze").known(),
        moment("set::PreCommit=pause", "PreCommit").known(),
    ] {
        killed_at(&stage, moment, went_away);
    }
}

#[test]
fn the_service_is_killed_inside_the_hold() {
    let stage = Stage::new();
    for moment in [
        moment("set::Hold=pause", "Hold"),
        moment("hold::before=pause", "Hold"),
        moment("provider::commit=pause", "Hold").frozen(),
        moment("hold::frozen=pause", "Hold").frozen(),
        moment("hold::committed=pause", "Hold").frozen(),
        // The first is thawed then, and the others are about to be.
        moment("hold::releasing=pause", "Hold"),
    ] {
        killed_at(&stage, moment.known(), went_away);
    }
}

#[test]
fn the_service_is_killed_after_the_hold() {
    let stage = Stage::new();
    for moment in [
        moment("set::PostCommit=pause", "PostCommit"),
        moment("set::Thaw=pause", "Thaw"),
        moment("set::PreFinalCommit=pause", "PreFinalCommit"),
        moment("set::PostSnapshot=pause", "PostSnapshot"),
        moment("set::PostFinalCommit=pause", "PostFinalCommit"),
        moment("set::Catalog=pause", "Catalog"),
        moment("catalog::finish=pause", "Catalog"),
        moment("set::Created=pause", "Created"),
        moment("set::PostCommit=return;set::Aborting=pause", "Aborting"),
        moment("set::PostCommit=return;catalog::remove=pause", "Aborting"),
    ] {
        killed_at(&stage, moment.known(), went_away);
    }
    // The command has run by then: its exit code counts, and what could not be
    // cleaned up is said.
    let ran = |outcome: &Outcome| {
        assert!(outcome.status.success(), "{outcome:?}");
        assert!(outcome.stderr.contains("service went away"), "{outcome:?}");
    };
    for moment in [
        moment("set::BackupComplete=pause", "BackupComplete"),
        moment("catalog::remove_copy=pause", "BackupComplete"),
    ] {
        killed_at(&stage, moment.known(), ran);
    }
    killed_at(&stage, moment("set::Closed=pause", "Closed"), ran);
}

#[test]
fn the_service_is_killed_while_the_command_runs() {
    let stage = Stage::new();
    let daemon = stage.daemon();
    let mut command = stage.exec_command("echo ready; read _; exit 3");
    command.stdin(std::process::Stdio::piped());
    let mut requester = Running::start(command);
    assert_eq!(requester.line(), "ready");
    daemon.kill();
    requester.error_until("the Umbra service went away");
    requester.say("go on\n");
    assert_eq!(requester.end().status.code(), Some(3));
    let mut daemon = stage.daemon();
    stage.assert_clean(Some(&mut daemon));
}

#[test]
fn umbra_without_a_service_is_killed() {
    let stage = Stage::new();
    for (fail_points, frozen) in [
        ("set::SetStarted=pause", false),
        ("provider::end_prepare=pause", false),
        ("hold::frozen=pause", true),
        ("hold::committed=pause", true),
        ("set::PostCommit=pause", false),
        ("set::Created=pause", false),
        ("set::Closed=pause", false),
    ] {
        eprintln!("{fail_points}");
        let pens = pens(&stage);
        let mut command = stage.exec_command("true");
        command.env("FAILPOINTS", fail_points);
        let mut umbra = Running::start(command);
        if frozen {
            pens.iter().for_each(Pen::until_still);
        } else {
            until_idle(&mut umbra);
        }
        umbra.signal(Signal::KILL);
        let killed = Instant::now();
        umbra.end();
        stage.assert_thawed(killed);
        stage.assert_not_frozen();
        drop(pens);
        stage.assert_clean(None);
        stage.assert_works();
        stage.assert_clean(None);
    }
}

/// Waits until a program has long done nothing.
fn until_idle(program: &mut Running) {
    let file = format!("/proc/{}/stat", program.pid().as_raw_nonzero());
    let ticks = || {
        let stat = fs::read_to_string(&file).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split(' ').collect();
        (fields[12].to_owned(), fields[13].to_owned())
    };
    let mut last = (ticks(), Instant::now());
    while last.1.elapsed() < Duration::from_millis(700) {
        thread::sleep(Duration::from_millis(20));
        let now = ticks();
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
}

#[test]
fn a_guardian_that_is_killed_fails_the_set_and_thaws() {
    let stage = Stage::new();
    let mut daemon = stage.daemon_with("hold::frozen=1*sleep(1500)");
    let pens = pens(&stage);
    let requester = stage.exec("true");
    pens.iter().for_each(Pen::until_still);
    let daemon_id = daemon.pid().as_raw_nonzero().to_string();
    let guardian = run("pgrep", ["-P", &daemon_id, "-f", "umbra-hold-guardian"]);
    run("kill", ["-KILL", guardian.trim()]);
    stage.assert_thawed(Instant::now());
    drop(pens);
    assert_failed(&requester.end(), 107, &["guardian"]);
    stage.assert_clean(Some(&mut daemon));
    stage.assert_works();
}

#[test]
fn the_service_is_stopped_inside_the_hold() {
    let stage = Stage::new();
    // Stalls are noticed after half a second.
    stage.limits("stall = \"500ms\"");
    for fail_points in [
        "hold::frozen=1*sleep(1000)",
        "hold::committed=1*sleep(1000)",
    ] {
        let mut daemon = stage.daemon_with(fail_points);
        let pens = pens(&stage);
        let runtime = Runtime::new().unwrap();
        let requester = runtime.spawn(make(stage.bench.umbra.socket(), stage.owned_volumes()));
        pens.iter().for_each(Pen::until_still);
        daemon.signal(Signal::STOP);
        stage.assert_thawed(Instant::now());
        drop(pens);
        // It learns that it was not the one to end the hold.
        daemon.signal(Signal::CONT);
        let error = runtime.block_on(requester).unwrap().unwrap_err();
        assert_eq!(error.code(), VssCode::HoldWritesTimeout, "{error}");
        assert!(error.message().contains("guardian"), "{error}");
        stage.until_no_session();
        stage.assert_clean(Some(&mut daemon));
        stage.assert_works();
        stage.assert_clean(Some(&mut daemon));
        assert!(daemon.stop().status.success());
    }
}

/// A writer inside the service goes with it, and what it kept frozen goes on.
#[test]
fn a_database_that_is_frozen_goes_on_when_the_service_is_killed() {
    let stage = Stage::new();
    let path = stage.bench.ext4.mount.join("frozen.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.busy_timeout(Duration::ZERO).unwrap();
    database
        .execute_batch("CREATE TABLE numbers (number)")
        .unwrap();
    let insert = || database.execute_batch("INSERT INTO numbers VALUES (1)");
    stage.bench.umbra.write(
        "etc/umbra/writers.d/sqlite.toml",
        &format!("[[database]]\npath = {path:?}\n"),
    );
    for (fail_points, state) in [
        ("set::PreCommit=pause", "PreCommit"),
        ("hold::before=pause", "Hold"),
        ("set::PostCommit=pause", "PostCommit"),
    ] {
        eprintln!("{fail_points}");
        insert().unwrap();
        let daemon = stage.daemon_with(fail_points);
        let requester = stage.exec("true");
        stage.until_state(state);
        assert!(insert().is_err(), "the database is not frozen");
        daemon.kill();
        let killed = Instant::now();
        insert().unwrap();
        assert!(killed.elapsed() < THAWED);
        went_away(&requester.end());
        let mut daemon = stage.daemon();
        stage.assert_clean(Some(&mut daemon));
        stage.assert_works();
        stage.assert_clean(Some(&mut daemon));
        assert!(daemon.stop().status.success());
    }
}
