//! Hold time against the floor: the kernel's own calls on the same volume, run
//! by run beside Umbra.

use crate::{
    grace_periods::{self, Expedited},
    images::{self, BareCopy},
    load::Load,
    service::{Service, make_set},
    statistics::Sample,
    table::{Table, milliseconds, ratio},
};
use anyhow::{Result, bail};
use std::{thread, time::Duration};
use umbra_client::{Connection, WriterSelection};
use umbra_testbed::{Disk, Testbed};
use umbra_volume::BareHold;

const ROUNDS: usize = 50;
const MEGABYTES: u64 = 1024;
const PLAIN_ATTEMPTS: usize = 50;
/// What a load dirties between two holds.
const PAUSE: Duration = Duration::from_millis(50);

/// Measures and prints.
///
/// # Errors
///
/// Whatever failed.
pub async fn measure() -> Result<()> {
    let bed = Testbed::new();
    grace_periods::restore_at_the_end(&bed)?;
    let host = images::host(&bed, 8 * MEGABYTES);
    let disk = images::volume(&bed, &host, MEGABYTES);
    let service = Service::start(bed.folder())?;
    let connection = service.connect().await?;

    println!("### Hold time against the floor\n");
    println!("Idle, {ROUNDS} rounds:\n");
    println!("{}", rounds(&disk, &connection).await?);
    let load = Load::on(&disk)?;
    let table = rounds(&disk, &connection).await?;
    println!(
        "Under load, {ROUNDS} rounds; two writers, together {:.0} blocks of 8 KiB with fsync a \
         second:\n",
        load.rate()
    );
    drop(load);
    println!("{table}");
    println!(
        "Ratios are of medians. Plain and expedited floors are the bare loop; the prepared one \
         flushes, clones ahead and rehearses before it, as Umbra does.\n"
    );
    super::atomic::measure(&bed)
}

/// The ways to hold, in the order of the table.
#[derive(Default)]
struct Samples {
    plain: Parts,
    expedited: Parts,
    prepared: Parts,
    umbra: Sample,
}

#[derive(Default)]
struct Parts {
    freeze: Sample,
    copy: Sample,
    thaw: Sample,
    held: Sample,
}

impl Parts {
    fn add(&mut self, hold: BareHold) {
        self.freeze.add(hold.freeze);
        self.copy.add(hold.copy);
        self.thaw.add(hold.thaw);
        self.held.add(hold.held);
    }
}

async fn rounds(disk: &Disk, connection: &Connection) -> Result<Table> {
    let mut samples = Samples::default();
    // The first round only warms up.
    for round in 0..=ROUNDS {
        let mut into = Samples::default();
        let into = if round == 0 { &mut into } else { &mut samples };
        into.plain.add(plain(disk)?);
        thread::sleep(PAUSE);
        let hurry = Expedited::new()?;
        into.expedited.add(bare(disk, Preparation::None)?);
        drop(hurry);
        thread::sleep(PAUSE);
        let hurry = Expedited::new()?;
        into.prepared.add(bare(disk, Preparation::AsUmbra)?);
        drop(hurry);
        thread::sleep(PAUSE);
        let set = make_set(connection, &[&disk.mount], WriterSelection::None).await?;
        into.umbra.add(set.times.held);
        thread::sleep(PAUSE);
    }
    Ok(samples.table())
}

/// A bare hold while nobody else has the kernel hurry, as another Umbra on the
/// machine would.
fn plain(disk: &Disk) -> Result<BareHold> {
    for _ in 0..PLAIN_ATTEMPTS {
        let before = grace_periods::are_expedited()?;
        let hold = bare(disk, Preparation::None)?;
        if !before && !grace_periods::are_expedited()? {
            return Ok(hold);
        }
        thread::sleep(PAUSE);
    }
    bail!("/sys/kernel/rcu_expedited is always on; who turned it on?")
}

/// What comes before a bare hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Preparation {
    None,
    AsUmbra,
}

fn bare(disk: &Disk, preparation: Preparation) -> Result<BareHold> {
    let copy = BareCopy::prepare(disk)?;
    if preparation == Preparation::AsUmbra {
        copy.rehearse()?;
    }
    let hold = copy.hold()?;
    copy.finish()?;
    Ok(hold)
}

impl Samples {
    fn table(&self) -> Table {
        let mut table = Table::new([
            "hold, ms",
            "median",
            "p90",
            "max",
            "freeze",
            "clone",
            "thaw",
            "to plain",
            "to expedited",
            "to prepared",
        ]);
        let numbers = |name: &str, held: &Sample, parts: [String; 3]| {
            let [freeze, copy, thaw] = parts;
            [
                name.to_owned(),
                milliseconds(held.median()),
                milliseconds(held.quantile(0.9)),
                milliseconds(held.max()),
                freeze,
                copy,
                thaw,
                ratio(held.ratio_to(&self.plain.held)),
                ratio(held.ratio_to(&self.expedited.held)),
                ratio(held.ratio_to(&self.prepared.held)),
            ]
        };
        for (name, parts) in [
            ("floor: plain", &self.plain),
            ("floor: expedited", &self.expedited),
            ("floor: expedited, prepared", &self.prepared),
        ] {
            let medians = [&parts.freeze, &parts.copy, &parts.thaw];
            table.row(numbers(
                name,
                &parts.held,
                medians.map(|part| milliseconds(part.median())),
            ));
        }
        table.row(numbers(
            "**Umbra**",
            &self.umbra,
            [const { String::new() }; 3],
        ));
        table
    }
}
