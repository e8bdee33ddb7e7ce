//! The hold when the service or its guardian dies, stops or is late: nothing
//! stays frozen, and no copy of such a hold is believed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test cannot go on without it"
)]

mod stage;

use rustix::process::{Pid, Signal, kill_process};
use stage::{Writer, commit, frozen, guardian, hold, limits, machine, patient, prepare, within};
use std::{
    env, fs,
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use umbra_model::VssCode;
use umbra_testbed::{Disk, Format, Testbed, run, succeeds};
use umbra_volume::Volumes;

const MOUNTS: &str = "UMBRA_TEST_HOLD_MOUNTS";
const HOLDS: &str = "UMBRA_TEST_HOLD_TIMES";
const STALL: Duration = Duration::from_secs(1);

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// A process of its own that holds volumes: this test program, told by its
/// environment to do what [`the_holding_process`] does.
struct Service {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Service {
    fn start(disks: &[&Disk], holds: &str) -> Self {
        Self::start_by(Command::new(env::current_exe().unwrap()), disks, holds)
    }

    fn start_by(mut command: Command, disks: &[&Disk], holds: &str) -> Self {
        let mounts = disks.iter().map(|disk| disk.mount.clone());
        let mut process = command
            .args(["--exact", "the_holding_process", "--nocapture"])
            .env(MOUNTS, env::join_paths(mounts).unwrap())
            .env(HOLDS, holds)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, said }
    }

    /// The rest of the next line that begins so.
    fn expect(&mut self, word: &str) -> String {
        loop {
            let line = self.said.next().expect("it ended early").unwrap();
            if let Some((_, rest)) = line.split_once(&format!("umbra-test {word} ")) {
                return rest.to_owned();
            }
        }
    }

    fn signal(&self, of: Signal) {
        signal(self.process.id().cast_signed(), of);
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn say(word: &str, rest: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "umbra-test {word} {rest}").unwrap();
    out.flush().unwrap();
}

/// No test by itself: what [`Service`] runs. Without being asked to it does
/// nothing.
#[test]
fn the_holding_process() {
    let Some(mounts) = env::var_os(MOUNTS) else {
        return;
    };
    let volumes: Vec<_> = env::split_paths(&mounts).map(|at| frozen(&at)).collect();
    if env::var(HOLDS).unwrap() == "endless" {
        say("holding", "again and again");
        loop {
            let commits = volumes.iter().map(|_| commit(|| {})).collect();
            if let Err(error) = hold(&volumes, limits(20_000, 200), commits) {
                say("failed", &error.to_string());
            }
        }
    }
    let mut prepared = match machine().prepare_hold(volumes.clone(), limits(60_000, 1_000)) {
        Ok(prepared) => prepared,
        Err(error) => return say("result", &error.to_string()),
    };
    prepared.rehearse().unwrap();
    let speak = || say("held", &guardian().to_string());
    let stay = || thread::sleep(Duration::from_secs(4));
    let mut commits = vec![commit(move || {
        speak();
        stay();
    })];
    commits.extend(volumes.iter().skip(1).map(|_| commit(stay)));
    let result = prepared.run(commits);
    say(
        "result",
        &result.map_or_else(|error| error.to_string(), |_| "held".to_owned()),
    );
}

fn is_alive(pid: &str) -> bool {
    // One that has ended and is not waited for yet has no command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn a_service_killed_in_the_hold_leaves_nothing_frozen() {
    let bed = Testbed::new();
    let outer = bed.disk(Format::Xfs, 512);
    let inner = bed.disk_in(&outer.mount, Format::Ext4, 32);
    let apart = bed.disk(Format::Ext4, 32);
    let disks = [&apart, &outer];
    let writers = disks.map(|disk| Writer::on(&disk.mount));
    let mut service = Service::start(&[&apart, &outer, &inner], "once");
    // Said by the commit of the first volume; the outer one is frozen after it.
    let guardian = service.expect("held");
    writers[0].assert_stands_still();
    let killed = Instant::now();
    service.kill();
    writers.iter().for_each(Writer::assert_moves);
    assert!(
        killed.elapsed() < Duration::from_secs(1),
        "{:?}",
        killed.elapsed()
    );
    assert!(within(Duration::from_secs(10), || !is_alive(&guardian)));
    assert!(
        [&apart, &outer, &inner]
            .iter()
            .all(|disk| !disk.is_frozen())
    );
}

#[test]
fn a_service_stopped_in_the_hold_loses_it() {
    let bed = Testbed::new();
    let disks = [bed.disk(Format::Ext4, 32), bed.disk(Format::Xfs, 320)];
    let writers = disks.each_ref().map(|disk| Writer::on(&disk.mount));
    let mut service = Service::start(&disks.each_ref(), "once");
    let guardian = service.expect("held");
    writers.iter().for_each(Writer::assert_stands_still);
    let stopped = Instant::now();
    service.signal(Signal::STOP);
    writers.iter().for_each(Writer::assert_moves);
    assert!(
        stopped.elapsed() < STALL + Duration::from_secs(1),
        "{:?}",
        stopped.elapsed()
    );
    service.signal(Signal::CONT);
    let result = service.expect("result");
    assert!(result.contains("VSS_E_HOLD_WRITES_TIMEOUT"), "{result}");
    assert!(result.contains("stood still for 1 s"), "{result}");
    assert!(within(Duration::from_secs(10), || !is_alive(&guardian)));
}

/// Kills or stops a service that does nothing but hold, at some moment of it.
fn strike_at_any_moment(of: Signal, times: u64) {
    let bed = Testbed::new();
    let outer = bed.disk(Format::Xfs, 320);
    let inner = bed.disk_in(&outer.mount, Format::Ext4, 32);
    let disks = [&outer, &inner];
    for time in 0..times {
        let writers = disks.map(|disk| Writer::on(&disk.mount));
        let mut service = Service::start(&disks, "endless");
        service.expect("holding");
        // Spread over some holds, each of which takes 10 ms and more.
        thread::sleep(Duration::from_micros(1_000 + 7_919 * time));
        service.signal(of);
        // Whatever it was doing, nothing is or stays frozen.
        thread::sleep(Duration::from_millis(10));
        writers.iter().for_each(Writer::assert_moves);
        if of == Signal::STOP {
            service.signal(Signal::CONT);
            thread::sleep(Duration::from_millis(20));
        }
        service.kill();
        writers.iter().for_each(Writer::assert_moves);
    }
}

#[test]
fn a_service_killed_at_any_moment_leaves_nothing_frozen() {
    strike_at_any_moment(Signal::KILL, 25);
}

#[test]
fn a_service_stopped_at_any_moment_leaves_nothing_frozen() {
    strike_at_any_moment(Signal::STOP, 8);
}

#[test]
fn a_hold_past_its_deadline_is_ended() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let writer = Writer::on(&disk.mount);
    let volumes = [frozen(&disk.mount)];
    let error = hold(
        &volumes,
        limits(300, 10_000),
        vec![commit(|| {
            writer.assert_stands_still();
            writer.assert_moves();
        })],
    )
    .unwrap_err();
    assert_eq!(error.code(), VssCode::HoldWritesTimeout, "{error}");
    assert!(error.message().contains("longer than 0.3 s"), "{error}");

    // Also where the commit itself waits for the volume that it holds.
    let error = hold(
        &volumes,
        limits(300, 10_000),
        vec![commit(|| {
            fs::write(disk.mount.join("own foot"), "x").unwrap()
        })],
    )
    .unwrap_err();
    assert_eq!(error.code(), VssCode::HoldWritesTimeout, "{error}");
    assert!(!disk.is_frozen());
}

#[test]
fn a_hold_without_its_guardian_is_ended_by_the_service() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let writer = Writer::on(&disk.mount);
    let volumes = [frozen(&disk.mount)];
    for (of, deadline) in [(Signal::KILL, 20_000), (Signal::STOP, 300)] {
        let error = hold(
            &volumes,
            limits(deadline, 10_000),
            vec![commit(|| {
                signal(guardian(), of);
                writer.assert_moves();
            })],
        )
        .unwrap_err();
        assert_eq!(error.code(), VssCode::HoldWritesTimeout, "{error}");
        assert!(error.message().contains("guardian"), "{error}");
        assert!(!disk.is_frozen());
        assert_eq!(
            stage::children().len(),
            1,
            "only the testbed's clean-up is left"
        );
    }
}

#[test]
fn without_a_guardian_no_hold_begins() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    for of in [Signal::KILL, Signal::STOP] {
        let mut prepared = prepare(&[frozen(&disk.mount)], patient());
        prepared.rehearse().unwrap();
        signal(guardian(), of);
        let error = prepared
            .run(vec![commit(|| panic!("no commit"))])
            .unwrap_err();
        assert!(
            error.message().contains("the guardian does not answer"),
            "{error}"
        );
    }
}

#[test]
fn what_cannot_be_locked_in_memory_is_not_held() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let mut poor = Command::new("prlimit");
    poor.args([
        "--memlock=65536:65536",
        "setpriv",
        "--bounding-set=-ipc_lock",
    ]);
    poor.arg(env::current_exe().unwrap());
    let mut service = Service::start_by(poor, &[&disk], "once");
    let result = service.expect("result");
    assert!(result.contains("cannot lock itself in memory"), "{result}");
    assert!(result.contains("LimitMEMLOCK"), "{result}");
}

#[test]
fn the_guardian_outlives_what_ends_the_service() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let mut prepared = prepare(&[frozen(&disk.mount)], patient());
    for of in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        signal(guardian(), of);
    }
    prepared.rehearse().unwrap();
    prepared.run(vec![commit(|| {})]).unwrap();
}

/// A freeze that hangs: the file system two floors down is frozen by somebody
/// else, after the innermost volume was committed and before the next is frozen.
#[test]
fn a_freeze_that_hangs_ends_with_its_cause() {
    let bed = Testbed::new();
    let cellar = bed.disk(Format::Xfs, 512);
    let ground = bed.disk_in(&cellar.mount, Format::Ext4, 128);
    let attic = bed.disk_in(&ground.mount, Format::Ext4, 32);
    let volumes = [frozen(&ground.mount), frozen(&attic.mount)];
    let thaw = |at: PathBuf| {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(1_500));
            succeeds("fsfreeze", [Path::new("-u"), &at])
        })
    };
    let mut foreign = None;
    let error = hold(
        &volumes,
        limits(700, 10_000),
        vec![
            commit(|| {}),
            commit(|| {
                fs::write(ground.mount.join("dirty"), vec![7; 1 << 20]).unwrap();
                run("fsfreeze", [Path::new("-f"), &cellar.mount]);
                foreign = Some(thaw(cellar.mount.clone()));
            }),
        ],
    )
    .unwrap_err();
    assert_eq!(error.code(), VssCode::HoldWritesTimeout, "{error}");
    assert!(
        foreign.unwrap().join().unwrap(),
        "the guardian thawed what is not ours"
    );
    assert!(
        [&cellar, &ground, &attic]
            .iter()
            .all(|disk| !disk.is_frozen())
    );
}

/// Other holds on the machine may be using the switch at the same moment.
fn grace_periods_are_normal() -> bool {
    let state = fs::read_to_string("/sys/kernel/rcu_expedited").unwrap();
    state.trim() == "0"
}

#[test]
fn the_kernel_is_hurried_only_while_a_hold_lasts() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let was_hurried = || {
        let mut hurried = false;
        let mut hold = prepare(&[frozen(&disk.mount)], patient());
        hold.run(vec![commit(|| hurried = !grace_periods_are_normal())])
            .unwrap();
        hurried
    };
    assert!(within(Duration::from_secs(20), was_hurried));
    assert!(within(Duration::from_secs(20), grace_periods_are_normal));
}

#[test]
fn a_killed_service_leaves_the_kernel_unhurried() {
    let bed = Testbed::new();
    let disk = bed.disk(Format::Ext4, 32);
    let mut service = Service::start(&[&disk], "once");
    service.expect("held");
    service.kill();
    assert!(within(Duration::from_secs(20), grace_periods_are_normal));
}
