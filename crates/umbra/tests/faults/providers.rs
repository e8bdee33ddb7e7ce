//! A provider fails at every phase, for the first volume of a set and for the
//! second.

use crate::{
    stage::{Stage, assert_failed, exec_over},
    support::Running,
};

const STEPS: [&str; 7] = [
    "begin_prepare",
    "end_prepare",
    "pre_commit",
    "commit",
    "post_commit",
    "pre_final_commit",
    "post_final_commit",
];

#[test]
fn a_provider_fails_at_every_phase_for_either_volume() {
    let stage = Stage::new();
    let (ext4, btrfs) = (&stage.bench.ext4.mount, &stage.bench.btrfs.mount);
    for step in STEPS {
        for failing in [ext4, btrfs] {
            for set in [[ext4, btrfs], [btrfs, ext4]] {
                let failing = failing.to_str().unwrap();
                eprintln!("{step} of {failing} in {set:?}");
                let set = set.map(AsRef::as_ref);
                let mut command = exec_over(&stage.bench, &set, "echo ran");
                command.env("FAILPOINTS", format!("provider::{step}=return({failing})"));
                let outcome = Running::start(command).end();
                assert_failed(&outcome, 106, &[failing, step]);
                stage.assert_thawed(std::time::Instant::now());
            }
        }
        stage.assert_clean(None);
    }
    stage.assert_works();
}

/// One service, whose provider fails once at each phase, goes on.
#[test]
fn a_service_goes_on_after_its_provider_failed() {
    let stage = Stage::new();
    let once = STEPS.map(|step| format!("provider::{step}=1*return->off"));
    let mut daemon = stage.daemon_with(&once.join(";"));
    for step in STEPS {
        assert_failed(&stage.exec("echo ran").end(), 106, &[step]);
        stage.assert_clean(Some(&mut daemon));
    }
    stage.assert_works();
    stage.assert_clean(Some(&mut daemon));
    assert!(daemon.stop().status.success());
}
