//! What is different on a terminal: Ctrl-C, closing it, questions, progress.
//! `script` (bsdutils) makes the terminal.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use rustix::process::Signal;
use std::process::{Command, Stdio};
use support::{Bench, Running, Umbra, eventually};
use umbra_client::{Address, Connection, Requester};

/// `umbra` on a terminal of its own.
fn on_terminal(umbra: &Umbra, arguments: &[&str]) -> Running {
    let quoted: Vec<String> = std::iter::once(env!("CARGO_BIN_EXE_umbra"))
        .chain(arguments.iter().copied())
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    let mut command = Command::new("script");
    command
        .args([
            "-q",
            "-e",
            "-f",
            "-c",
            &format!("exec {}", quoted.join(" ")),
            "/dev/null",
        ])
        .env("UMBRA_ROOT", umbra.root())
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Running::start(command)
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    let bench = Bench::new();
    let before = bench.traces();
    let counting = "n=0; trap 'n=$((n+1))' INT; echo ready; \
                    for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done; exit $((40+n))";
    let volume = bench.ext4.mount.to_str().unwrap();
    let mut running = on_terminal(
        &bench.umbra,
        &["exec", "--volume", volume, "--", "sh", "-c", counting],
    );
    running.output_until("ready");
    running.say("\x03");
    let outcome = running.end();
    assert_eq!(outcome.status.code(), Some(41), "{outcome:?}");
    bench.assert_nothing_left(&before);
}

#[test]
fn a_closed_terminal_ends_the_command_and_cleans_up() {
    let bench = Bench::new();
    let before = bench.traces();
    let volume = bench.ext4.mount.to_str().unwrap();
    let mut running = on_terminal(
        &bench.umbra,
        &[
            "exec",
            "--volume",
            volume,
            "--",
            "sh",
            "-c",
            "echo ready; exec sleep 1000",
        ],
    );
    running.output_until("ready");
    running.signal(Signal::KILL);
    drop(running);
    // Umbra itself does it, not the next one.
    eventually("the clean-up", || bench.traces() == before);
    bench.assert_nothing_left(&before);
}

#[test]
fn deleting_more_than_one_copy_asks() {
    let bench = Bench::new();
    let umbra = &bench.umbra;
    for disk in [&bench.ext4, &bench.btrfs] {
        umbra.ok(["create".as_ref(), disk.mount.as_os_str()]);
    }
    let ask = |answer: &str| {
        let mut running = on_terminal(umbra, &["delete", "--all"]);
        running.output_until("Delete 2 shadow copies?");
        running.say(answer);
        running.end()
    };
    let copies = || umbra.json(["list", "--json"]).as_array().unwrap().len();
    for no in ["n\n", "\n", "\x03"] {
        let outcome = ask(no);
        let code = outcome.status.code();
        assert!(
            code == Some(111) || code == Some(130),
            "{no:?}: {outcome:?}"
        );
        assert_eq!(copies(), 2, "{no:?}: {outcome:?}");
    }
    let outcome = ask("y\n");
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(copies(), 0);
}

#[test]
fn whoever_waits_is_told_and_can_give_up() {
    let bench = Bench::new();
    let before = bench.traces();
    let daemon = bench.umbra.daemon();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let other = runtime.block_on(async {
        let connection = Connection::open(&Address::Path(bench.umbra.socket()))
            .await
            .unwrap();
        let other = Requester::open(&connection, "another program")
            .await
            .unwrap();
        other.gather_writer_metadata().await.unwrap();
        other.start_snapshot_set().await.unwrap();
        other
    });
    let volume = bench.ext4.mount.to_str().unwrap();
    let mut waiting = on_terminal(&bench.umbra, &["create", volume]);
    waiting.output_until("waiting");
    waiting.say("\x03");
    let outcome = waiting.end();
    assert_eq!(outcome.status.code(), Some(130), "{outcome:?}");
    eventually("the end of the session that gave up", || {
        let status = bench.umbra.json(["status", "--json"]);
        status["sessions"].as_array().unwrap().len() == 1
    });
    runtime.block_on(other.close()).unwrap();
    bench.umbra.ok(["create", volume]);
    bench.umbra.ok(["delete", "--all"]);
    bench.assert_nothing_left(&before);
    assert!(daemon.stop().status.success());
}
