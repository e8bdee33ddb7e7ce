//! Two hundred sets in a row leave nothing behind, not even in the service.

use crate::stage::Stage;
use std::{fs, path::Path, process::Command};
use tokio::runtime::Runtime;
use umbra_client::{Address, Admin, BackupOutcome, Connection, Requester, Selection};
use umbra_model::{Context, VssResult};

/// Sets before anything is counted: what is allocated once is allocated then.
const WARM_UP: usize = 10;
const SETS: usize = 200;

/// How much the service may grow, in KiB, beside the stacks of threads that it
/// happens to have more: a hold has all of them in memory.
const GROWTH: u64 = 6 * 1024;
/// KiB.
const STACK: u64 = 2 * 1024;

#[test]
fn two_hundred_sets_leak_nothing() {
    let stage = Stage::new();
    let mut daemon = stage.daemon();
    let pid = daemon.pid().as_raw_nonzero().to_string();
    let runtime = Runtime::new().unwrap();
    let mut before = None;
    for number in 0..WARM_UP + SETS {
        if number == WARM_UP {
            stage.assert_clean(Some(&mut daemon));
            before = Some(Usage::of(&pid));
        }
        // One in ten as users do it, with the programs.
        if number % 10 == 0 {
            with_the_programs(&stage);
        } else {
            runtime.block_on(create_and_delete(&stage)).unwrap();
        }
    }
    stage.assert_clean(Some(&mut daemon));
    let (before, after) = (before.unwrap(), Usage::of(&pid));
    eprintln!("{before:?}, then {after:?}");
    assert!(
        after.descriptors <= before.descriptors,
        "{before:?} {after:?}"
    );
    // Idle threads come and go.
    let new_threads = after.threads.saturating_sub(before.threads);
    assert!(new_threads < 10, "{before:?} {after:?}");
    let stacks = STACK * u64::try_from(new_threads).unwrap();
    assert!(
        after.resident <= before.resident + stacks + GROWTH,
        "{before:?} {after:?}"
    );
    assert!(daemon.stop().status.success());
}

fn with_the_programs(stage: &Stage) {
    let volumes = [&stage.bench.ext4.mount, &stage.bench.btrfs.mount];
    let script = "true";
    let volumes = volumes.map(AsRef::as_ref);
    let mut exec: Command = crate::stage::exec_over(&stage.bench, &volumes, script);
    assert!(exec.output().unwrap().status.success());
}

async fn create_and_delete(stage: &Stage) -> VssResult<()> {
    let address = Address::Path(stage.bench.umbra.socket());
    let connection = Connection::open(&address).await?;
    let session = Requester::open(&connection, "endurance").await?;
    session.set_context(Context::AppRollback).await?;
    session.gather_writer_metadata().await?;
    session.start_snapshot_set().await?;
    for volume in [&stage.bench.ext4.mount, &stage.bench.btrfs.mount] {
        session.add_to_snapshot_set(volume).await?;
    }
    session.prepare_for_backup().await?;
    let set = session.do_snapshot_set().await?;
    session.backup_complete(BackupOutcome::Succeeded).await?;
    session.close().await?;
    let deleted = Admin::new(&connection)
        .delete(&Selection::Set(set.id))
        .await?;
    assert_eq!(deleted.len(), 2);
    Ok(())
}

/// What a process holds.
#[derive(Debug)]
struct Usage {
    descriptors: usize,
    threads: usize,
    /// KiB.
    resident: u64,
}

impl Usage {
    fn of(pid: &str) -> Self {
        let process = Path::new("/proc").join(pid);
        let count = |what| fs::read_dir(process.join(what)).unwrap().count();
        let status = fs::read_to_string(process.join("status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.unwrap().trim().trim_end_matches(" kB");
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            resident: resident.parse().unwrap(),
        }
    }
}
