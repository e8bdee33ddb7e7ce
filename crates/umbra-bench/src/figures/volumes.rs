//! Hold time by the number of volumes in a set.

use crate::{
    images,
    service::{Service, make_set},
    statistics::Sample,
    table::{Table, milliseconds, ratio},
};
use anyhow::Result;
use std::{path::Path, thread, time::Duration};
use umbra_client::WriterSelection;
use umbra_testbed::{Disk, Testbed};

const ROUNDS: usize = 20;
const COUNTS: [usize; 3] = [1, 4, 16];
const PAUSE: Duration = Duration::from_millis(20);

/// Measures and prints.
///
/// # Errors
///
/// Whatever failed.
pub async fn measure() -> Result<()> {
    let bed = Testbed::new();
    let host = images::host(&bed, 16 << 10);
    let disks: Vec<Disk> = (0..COUNTS[COUNTS.len() - 1])
        .map(|_| images::volume(&bed, &host, 256))
        .collect();
    let mounts: Vec<&Path> = disks.iter().map(|disk| disk.mount.as_path()).collect();
    let service = Service::start(bed.folder())?;
    let connection = service.connect().await?;

    let mut samples = vec![(Sample::default(), Sample::default()); COUNTS.len()];
    for _ in 0..ROUNDS {
        for (count, (held, created)) in COUNTS.iter().zip(&mut samples) {
            let set = make_set(&connection, &mounts[..*count], WriterSelection::None).await?;
            held.add(set.times.held);
            created.add(set.times.created);
            thread::sleep(PAUSE);
        }
    }

    let mut table = Table::new([
        "volumes",
        "hold, ms: median",
        "max",
        "to 1 volume",
        "create, ms: median",
        "max",
        "to 1 volume",
    ]);
    let (first_held, first_created) = &samples[0];
    for (count, (held, created)) in COUNTS.iter().zip(&samples) {
        table.row([
            count.to_string(),
            milliseconds(held.median()),
            milliseconds(held.max()),
            ratio(held.ratio_to(first_held)),
            milliseconds(created.median()),
            milliseconds(created.max()),
            ratio(created.ratio_to(first_created)),
        ]);
    }
    println!(
        "### By the number of volumes in a set\n\next4 on one XFS, idle, {ROUNDS} rounds:\n\n{table}"
    );
    Ok(())
}
