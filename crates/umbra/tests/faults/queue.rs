//! Two requesters at once.

use crate::{
    stage::{Stage, assert_failed, exec_over},
    support::Running,
};
use rustix::process::Signal;
use std::process::Command;

/// Makes a set slowly.
const SLOWLY: &str = "set::PrepareForSnapshot=1*sleep(1500)";

fn slow(mut command: Command) -> Running {
    command.env("FAILPOINTS", SLOWLY);
    Running::start(command)
}

/// Waits until somebody has his turn.
fn until_set_is_made(stage: &Stage) {
    crate::support::eventually("a set in the making", || {
        stage
            .bench
            .traces()
            .iter()
            .any(|trace| trace.contains(".umbra"))
    });
}

#[test]
fn the_second_requester_waits_for_its_turn() {
    let stage = Stage::new();
    let mut daemon = stage.daemon_with(SLOWLY);
    let first = stage.exec("true");
    stage.until_state("PrepareForSnapshot");
    // Another volume, so that it is not the volume that they wait for.
    let second = exec_over(&stage.bench, &[&stage.second.mount], "echo mine");
    let second = Running::start(second).end();
    assert!(second.status.success(), "{second:?}");
    assert_eq!(second.stdout, "mine\n");
    let first = first.end();
    assert!(first.status.success(), "{first:?}");
    stage.assert_clean(Some(&mut daemon));
}

#[test]
fn the_second_requester_waits_no_longer_than_it_may() {
    let stage = Stage::new();
    stage.limits("wait_for_set = \"300ms\"");
    let mut daemon = stage.daemon_with(SLOWLY);
    let mut first = stage.exec("true");
    stage.until_state("PrepareForSnapshot");
    let pid = first.pid().as_raw_nonzero().to_string();
    let second = exec_over(&stage.bench, &[&stage.second.mount], "echo ran");
    let second = Running::start(second).end();
    assert_failed(&second, 104, &["umbra exec", &pid, "try again later"]);
    let first = first.end();
    assert!(first.status.success(), "{first:?}");
    stage.assert_clean(Some(&mut daemon));
    stage.assert_works();
}

#[test]
fn two_without_a_service_wait_for_each_other() {
    let stage = Stage::new();
    let first = slow(stage.exec_command("true"));
    until_set_is_made(&stage);
    let second = exec_over(&stage.bench, &[&stage.second.mount], "echo mine");
    let second = Running::start(second).end();
    assert!(second.status.success(), "{second:?}");
    assert_eq!(second.stdout, "mine\n");
    let first = first.end();
    assert!(first.status.success(), "{first:?}");
    stage.assert_clean(None);

    stage.limits("wait_for_set = \"300ms\"");
    let mut first = slow(stage.exec_command("true"));
    until_set_is_made(&stage);
    let pid = first.pid().as_raw_nonzero().to_string();
    let second = exec_over(&stage.bench, &[&stage.second.mount], "echo ran");
    let second = Running::start(second).end();
    assert_failed(&second, 104, &["umbra exec", &pid, "try again later"]);
    let first = first.end();
    assert!(first.status.success(), "{first:?}");
    stage.assert_clean(None);
    stage.assert_works();
}

/// The second removes what the first one left, and makes its own.
#[test]
fn the_second_without_a_service_takes_over_from_a_killed_one() {
    let stage = Stage::new();
    let mut command = stage.exec_command("true");
    command.env("FAILPOINTS", "set::PrepareForSnapshot=pause");
    let mut first = Running::start(command);
    until_set_is_made(&stage);
    let second = exec_over(&stage.bench, &[&stage.second.mount], "echo mine");
    let mut second = Running::start(second);
    first.signal(Signal::KILL);
    first.end();
    assert_eq!(second.line(), "mine");
    let second = second.end();
    assert!(second.status.success(), "{second:?}");
    assert!(
        stage
            .bench
            .traces()
            .iter()
            .all(|trace| !trace.contains(".umbra"))
    );
    stage.assert_clean(None);
}
