//! What `umbrad` does with systemd, with signals, and with a log that nobody
//! reads.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod support;

use rustix::process::Signal;
use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
};
use support::{Bench, Daemon, PATIENCE, Running, Umbra, eventually};

#[test]
fn tells_systemd_when_it_serves_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let umbra = Umbra::in_folder(folder.path());
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let said = || {
        let mut text = [0; 256];
        let length = systemd.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let mut command = umbra.daemon_command();
    command.env("NOTIFY_SOCKET", &path);
    let daemon = Running::start(command);
    assert_eq!(said().trim(), "READY=1");
    umbra.ok(["list"]);
    let mut daemon = daemon;
    daemon.signal(Signal::TERM);
    assert_eq!(said().trim(), "STOPPING=1");
    let outcome = daemon.end();
    assert!(outcome.status.success(), "{outcome:?}");
}

#[test]
fn serves_on_a_socket_that_systemd_hands_over() {
    let folder = tempfile::tempdir().unwrap();
    let umbra = Umbra::in_folder(folder.path());
    fs::create_dir_all(umbra.socket().parent().unwrap()).unwrap();
    let mut command = Command::new("systemd-socket-activate");
    command
        .arg("--listen")
        .arg(umbra.socket())
        .arg("--setenv=UMBRA_ROOT")
        .arg(env!("CARGO_BIN_EXE_umbrad"))
        .env("UMBRA_ROOT", umbra.root())
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let daemon = Daemon::start(&umbra, command);
    let outcome = daemon.stop();
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(umbra.socket().exists(), "the socket is systemd's");
}

#[test]
fn stops_cleanly_under_a_requester() {
    let bench = Bench::new();
    let before = bench.traces();
    let daemon = bench.umbra.daemon();
    let mut exec = bench.umbra.command([
        "exec",
        "--volume",
        bench.btrfs.mount.to_str().unwrap(),
        "--",
        "sh",
        "-c",
        "echo ready; read _",
    ]);
    exec.stdin(Stdio::piped());
    let mut exec = Running::start(exec);
    assert_eq!(exec.line(), "ready");
    let outcome = daemon.stop();
    assert!(outcome.status.success(), "{outcome:?}");
    exec.error_until("counts as failed");
    exec.say("done\n");
    assert_eq!(exec.end().status.code(), Some(110));
    bench.assert_nothing_left(&before);
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let bench = Bench::new();
    let before = bench.traces();
    bench
        .umbra
        .write("etc/umbra/umbra.toml", "[log]\nlevel = \"trace\"\n");
    // Its standard error is a pipe, and this test reads none of it until the end.
    let daemon = bench.umbra.daemon();
    let volume = bench.ext4.mount.to_str().unwrap();
    for _ in 0..20 {
        bench.umbra.ok(["create", volume]);
        bench.umbra.ok(["delete", "--all", "--yes"]);
    }
    assert!(daemon.stop().status.success());
    bench.assert_nothing_left(&before);
}

#[test]
fn a_killed_umbrad_is_followed_by_another_on_the_same_socket() {
    let folder = tempfile::tempdir().unwrap();
    let umbra = Umbra::in_folder(folder.path());
    umbra.daemon().kill();
    assert!(umbra.socket().exists(), "the dead socket is there");
    // Without umbrad, umbra works as well.
    assert_eq!(umbra.json(["status", "--json"])["running"], false);
    let daemon = umbra.daemon();
    eventually("an answer", || {
        umbra.json(["status", "--json"])["running"] == true
    });
    assert!(daemon.stop().status.success());
}

/// The capabilities of the unit file, as `setpriv` wants them.
fn unit_capabilities() -> String {
    let unit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../packaging/systemd/umbrad.service"
    );
    let unit = fs::read_to_string(unit).unwrap();
    let set = unit
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .unwrap();
    let names: Vec<String> = set
        .split_whitespace()
        .map(|name| name.replace("CAP_", "+").to_lowercase())
        .collect();
    format!("-all,{}", names.join(","))
}

#[test]
fn the_capabilities_of_the_unit_file_are_enough() {
    let bench = Bench::new();
    let before = bench.traces();
    let umbra = &bench.umbra;
    let mut command = Command::new("setpriv");
    command
        .args(["--no-new-privs", "--bounding-set", &unit_capabilities()])
        .arg(env!("CARGO_BIN_EXE_umbrad"))
        .env("UMBRA_ROOT", umbra.root())
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let daemon = Daemon::start(umbra, command);
    let volumes = [&bench.ext4.mount, &bench.btrfs.mount];
    let set = umbra.json(
        ["create".as_ref(), "--json".as_ref()]
            .into_iter()
            .chain(volumes.map(|path| path.as_os_str())),
    );
    let place = bench.bed.folder().join("exposed");
    fs::create_dir(&place).unwrap();
    bench.bed.will_unmount(&place);
    for copy in set["shadow_copies"].as_array().unwrap() {
        let id = copy["id"].as_str().unwrap();
        umbra.ok(["expose", id, place.to_str().unwrap()]);
        umbra.ok(["unexpose", id]);
    }
    umbra.ok(["delete", "--all", "--yes"]);
    let outcome = daemon.stop();
    assert!(outcome.status.success(), "{outcome:?}");
    bench.assert_nothing_left(&before);
}

#[test]
fn the_units_give_umbrad_no_mount_namespace_of_its_own() {
    let unit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../packaging/systemd/umbrad.service"
    );
    let unit = fs::read_to_string(unit).unwrap();
    for setting in unit.lines().filter(|line| !line.starts_with('#')) {
        for word in [
            "Private",
            "Protect",
            "ReadOnlyPaths",
            "Bind",
            "RootDirectory",
            "Dynamic",
        ] {
            assert!(!setting.starts_with(word), "{setting} gives it one");
        }
    }
}

#[test]
fn an_umbrad_that_is_started_by_hand_may_have_many_connections() {
    let bench = Bench::new();
    let umbra = &bench.umbra;
    let mut command = Command::new("prlimit");
    command
        .args(["--nofile=1024:8192", env!("CARGO_BIN_EXE_umbrad")])
        .env("UMBRA_ROOT", umbra.root())
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut daemon = Daemon::start(umbra, command);
    let limits =
        fs::read_to_string(format!("/proc/{}/limits", daemon.pid().as_raw_nonzero())).unwrap();
    let open_files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let numbers: Vec<_> = open_files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers, ["8192", "8192"]);
    assert!(daemon.stop().status.success());
}
