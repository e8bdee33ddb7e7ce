//! Hold and create time by the size of the volume.

use crate::{
    images,
    service::{Service, make_set},
    statistics::Sample,
    table::{Table, milliseconds, ratio},
};
use anyhow::{Context, Result};
use std::{fs::File, os::unix::fs::FileExt, thread, time::Duration};
use umbra_client::WriterSelection;
use umbra_testbed::{Disk, Testbed};

const ROUNDS: usize = 20;
const GIGABYTE: u64 = 1024;
const PAUSE: Duration = Duration::from_millis(20);
/// Single blocks with room between them, each an extent of the image.
const EXTENTS: u64 = 50_000;

/// Measures and prints.
///
/// # Errors
///
/// Whatever failed.
pub async fn measure() -> Result<()> {
    let bed = Testbed::new();
    let host = images::host(&bed, 400 * GIGABYTE);
    let mut volumes: Vec<(String, Disk)> = [1, 16, 256]
        .into_iter()
        .map(|size| {
            let disk = images::volume(&bed, &host, size * GIGABYTE);
            (format!("{size} GiB"), disk)
        })
        .collect();
    let scattered = images::volume(&bed, &host, 2 * GIGABYTE);
    scatter(&scattered)?;
    volumes.push(("2 GiB, scattered".into(), scattered));
    let service = Service::start(bed.folder())?;
    let connection = service.connect().await?;

    let mut samples = vec![(Sample::default(), Sample::default()); volumes.len()];
    for _ in 0..ROUNDS {
        for ((_, disk), (held, created)) in volumes.iter().zip(&mut samples) {
            let set = make_set(&connection, &[&disk.mount], WriterSelection::None).await?;
            held.add(set.times.held);
            created.add(set.times.created);
            thread::sleep(PAUSE);
        }
    }

    let mut table = Table::new([
        "volume",
        "extents of the image",
        "hold, ms: median",
        "max",
        "to 1 GiB",
        "create, ms: median",
        "max",
        "to 1 GiB",
    ]);
    let (first_held, first_created) = &samples[0];
    for ((name, disk), (held, created)) in volumes.iter().zip(&samples) {
        table.row([
            name.clone(),
            extents(disk)?.to_string(),
            milliseconds(held.median()),
            milliseconds(held.max()),
            ratio(held.ratio_to(first_held)),
            milliseconds(created.median()),
            milliseconds(created.max()),
            ratio(created.ratio_to(first_created)),
        ]);
    }
    println!(
        "### By the size of the volume\n\next4 in sparse images on XFS, idle, {ROUNDS} rounds:\n\n{table}"
    );
    Ok(())
}

fn scatter(disk: &Disk) -> Result<()> {
    let file = File::create(disk.mount.join("scattered"))?;
    for block in 0..EXTENTS {
        file.write_all_at(&[1; 4096], block * 4 * 4096)?;
    }
    file.sync_all()?;
    // Written where they lie in the image as well.
    File::open(&disk.image)?.sync_all()?;
    Ok(())
}

/// How many extents the image of a volume has.
fn extents(disk: &Disk) -> Result<usize> {
    let said = umbra_testbed::run(
        "xfs_io",
        [
            "-r".as_ref(),
            "-c".as_ref(),
            "stat".as_ref(),
            disk.image.as_os_str(),
        ],
    );
    let number = said
        .lines()
        .find_map(|line| line.strip_prefix("fsxattr.nextents = "))
        .context("xfs_io named no number of extents")?;
    Ok(number.parse()?)
}
