//! Providers fail where a test wants it, for the volume that it means, and
//! nothing is left of the copy.
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod lifecycle;

use lifecycle::*;
use umbra_model::VssCode;
use umbra_provider::Presence;
use umbra_providers::SystemFolders;
use umbra_testbed::{Format, Testbed};

#[test]
fn every_step_can_be_made_to_fail() {
    let bed = Testbed::new();
    let scenario = fail::FailScenario::setup();
    let store = bed.disk(Format::Xfs, 320);
    let run = bed.folder().join("run");
    std::fs::create_dir(&run).unwrap();
    bed.undo(&format!("umount -l '{}/bpf' 2>/dev/null", run.display()));
    let folders = SystemFolders {
        storage: store.mount.join("storage"),
        run,
    };
    let [btrfs, reflink, system] = umbra_providers::in_box(folders).try_into().ok().unwrap();
    assert_eq!(btrfs.properties().name, "btrfs");
    assert_eq!(reflink.properties().name, "reflink");
    let below = bed.disk(Format::Btrfs, 300);
    assert_eq!(system.properties().name, "system");
    let disk = bed.disk_in(&below.mount, Format::Ext4, 32);
    let plain = bed.disk(Format::Ext4, 32);
    let volumes = [
        (&btrfs, volume(&below.mount)),
        (&reflink, volume(&disk.mount)),
        (&system, volume(&plain.mount)),
    ];
    let steps = ["begin_prepare"]
        .into_iter()
        .chain(STEPS.iter().map(|(name, _)| *name));
    for step in steps {
        let point = format!("provider::{step}");
        for (provider, volume) in &volumes {
            let meant = volume.mount_point.display();
            fail::cfg(&point, &format!("return({meant})")).unwrap();
            let copy = planned(provider.as_ref(), volume).unwrap();
            let result = begin(provider.as_ref(), &copy).and_then(|mut pending| {
                let ran = STEPS.iter().try_for_each(|(_, run)| run(pending.as_mut()));
                if ran.is_err() {
                    pending.abort().unwrap();
                }
                ran
            });
            assert_fails(result, VssCode::ProviderVeto, &point);
            assert_eq!(provider.presence(&copy), Presence::Missing);
        }
        // A text that is in no mount point means nobody; none means everybody.
        fail::cfg(&point, "return(/elsewhere)").unwrap();
        for (provider, volume) in &volumes {
            let copy = make(provider.as_ref(), volume, || (), || ()).unwrap();
            provider.delete(&copy).unwrap();
        }
        fail::cfg(&point, "return").unwrap();
        for (provider, volume) in &volumes {
            let result = make(provider.as_ref(), volume, || (), || ());
            assert_fails(result, VssCode::ProviderVeto, &point);
        }
        fail::remove(&point);
    }
    scenario.teardown();
}
