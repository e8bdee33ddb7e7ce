//! btrfs, which is not frozen: its floor is the snapshot ioctl. The service
//! reports no hold for it, so this one figure asks Umbra's storage crates
//! directly for what they do inside a hold.

use crate::{
    statistics::Sample,
    table::{Table, milliseconds, ratio},
};
use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, open};
use std::{fs::File, time::Instant};
use umbra_model::{HoldMethod, ShadowCopyId};
use umbra_provider::Provider;
use umbra_providers::BtrfsProvider;
use umbra_testbed::{Disk, Format, Testbed};
use umbra_volume::{
    GuardianCommand, HoldLimits, HoldVolume, LinuxVolumes, Volumes,
    btrfs::{SnapshotOrder, delete_subvolume},
};

const ROUNDS: usize = 30;

/// Measures and prints.
///
/// # Errors
///
/// Whatever failed.
pub fn measure(bed: &Testbed) -> Result<()> {
    let disk = bed.disk(Format::Btrfs, 1024);
    let (mut floor, mut umbra) = (Sample::default(), Sample::default());
    for _ in 0..ROUNDS {
        floor.add(bare(&disk)?);
        umbra.add(held(&disk)?);
    }
    let mut table = Table::new(["copy, ms", "median", "p90", "max", "to floor"]);
    for (name, sample) in [("floor: snapshot ioctl", &floor), ("**Umbra**", &umbra)] {
        table.row([
            name.to_owned(),
            milliseconds(sample.median()),
            milliseconds(sample.quantile(0.9)),
            milliseconds(sample.max()),
            ratio(sample.ratio_to(&floor)),
        ]);
    }
    println!("btrfs, which is copied without being held, idle, {ROUNDS} rounds:\n\n{table}");
    Ok(())
}

fn bare(disk: &Disk) -> Result<std::time::Duration> {
    let folder = || {
        open(
            &disk.mount,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    rustix::fs::syncfs(&File::open(&disk.mount)?)?;
    let mut order = SnapshotOrder::new(folder()?, folder()?, "bare")?;
    let begun = Instant::now();
    order.make()?;
    let took = begun.elapsed();
    delete_subvolume(folder()?, "bare")?;
    Ok(took)
}

fn held(disk: &Disk) -> Result<std::time::Duration> {
    let machine = LinuxVolumes::new(GuardianCommand::this_program());
    let volume = machine.resolve(&disk.mount)?;
    let provider = BtrfsProvider::default();
    let id = ShadowCopyId::random();
    let location = provider.location(id, &volume)?;
    let mut copy = provider.begin_prepare(id, &volume, &location)?;
    copy.end_prepare()?;
    copy.pre_commit()?;
    let held = HoldVolume {
        volume,
        method: HoldMethod::Atomic,
    };
    let mut hold = machine.prepare_hold(vec![held], HoldLimits::default())?;
    hold.rehearse()?;
    let report = hold.run(vec![Box::new(|| copy.commit())]);
    let undone = copy.abort();
    let report = report?;
    undone?;
    let part = report.volumes.first().context("a hold without a volume")?;
    Ok(part.commit_ended - part.commit_started)
}
