//! The longest stall that pgbench sees while its volume is copied, by Umbra and
//! by a script, side by side.

use crate::{
    images,
    postgres::{Postgres, Transaction},
    service::Service,
    statistics::Sample,
    table::{Table, milliseconds, ratio},
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use umbra_testbed::{Disk, Testbed};

const ROUNDS: usize = 12;
/// What is looked at after a copy, too: what it left to do shows then.
const AFTERMATH: Duration = Duration::from_millis(300);
/// How long nothing happens, for comparison.
const NOTHING: Duration = Duration::from_millis(100);
/// Until the deletion of a copy no longer shows.
const REST: Duration = Duration::from_millis(700);

/// What is done while pgbench runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Nothing,
    Script,
    Umbra,
    ScriptWithCheckpoint,
    UmbraWithWriter,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Script,
        Self::Umbra,
        Self::ScriptWithCheckpoint,
        Self::UmbraWithWriter,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Script => "script: `fsfreeze`, `cp --reflink`, `fsfreeze -u`",
            Self::Umbra => "`umbra create --no-writers`",
            Self::ScriptWithCheckpoint => "script: `CHECKPOINT`, then the same",
            Self::UmbraWithWriter => "`umbra create`, with its checkpoint",
        }
    }
}

/// A stretch of time, in microseconds since the epoch.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: u64,
    to: u64,
}

impl Window {
    /// The longest transaction that was on its way in it.
    fn longest(self, transactions: &[Transaction]) -> Option<Duration> {
        transactions
            .iter()
            .filter(|each| each.ended >= self.from && each.ended - each.latency <= self.to)
            .map(|each| Duration::from_micros(each.latency))
            .max()
    }
}

/// Measures and prints.
///
/// # Errors
///
/// Whatever failed.
pub fn measure() -> Result<()> {
    let bed = Testbed::new();
    let host = images::host(&bed, 16 << 10);
    let disk = images::volume(&bed, &host, 2 << 10);
    let service = Service::start(bed.folder())?;
    let postgres = Postgres::start(&bed, &disk.mount)?;
    let pgbench = postgres.bench()?;
    thread::sleep(Duration::from_secs(3));
    let mut windows = Vec::new();
    let mut holds = Way::ALL.map(|_| Sample::default());
    for _ in 0..ROUNDS {
        for (way, holds) in Way::ALL.into_iter().zip(&mut holds) {
            let from = now();
            if let Some(held) = go(way, &disk, &service, &postgres)? {
                holds.add_milliseconds(held);
            }
            thread::sleep(AFTERMATH);
            windows.push((way, Window { from, to: now() }));
            tidy(way, &disk, &service)?;
            thread::sleep(REST);
        }
    }
    let transactions = pgbench.end()?;
    drop(postgres);

    let samples = Way::ALL.map(|way| {
        let of_this = windows.iter().filter(|(whose, _)| *whose == way);
        of_this
            .filter_map(|(_, window)| window.longest(&transactions))
            .collect::<Sample>()
    });
    let seconds = (transactions.iter().map(|each| each.ended).max())
        .zip(transactions.iter().map(|each| each.ended).min())
        .map_or(f64::NAN, |(last, first)| (last - first) as f64 / 1e6);
    let [nothing, script, ..] = &samples;
    let mut table = Table::new([
        "while pgbench runs",
        "longest transaction, ms: median",
        "max",
        "to nothing",
        "to the script",
        "hold, ms: median",
    ]);
    for ((way, sample), holds) in Way::ALL.iter().zip(&samples).zip(&holds) {
        if sample.count() != ROUNDS {
            bail!("pgbench noted nothing in some rounds of {way:?}");
        }
        table.row([
            way.name().to_owned(),
            milliseconds(sample.median()),
            milliseconds(sample.max()),
            ratio(sample.ratio_to(nothing)),
            ratio(sample.ratio_to(script)),
            milliseconds(holds.median()),
        ]);
    }
    println!(
        "### Longest stall of pgbench\n\nPostgreSQL on ext4 on XFS, 4 clients, {:.0} transactions \
         a second over the run, {ROUNDS} rounds:\n\n{table}",
        transactions.len() as f64 / seconds
    );
    Ok(())
}

/// Does it; how long Umbra says that it held, in milliseconds.
fn go(way: Way, disk: &Disk, service: &Service, postgres: &Postgres) -> Result<Option<f64>> {
    let mut create = service.command()?;
    create.args(["create", "--json"]).arg(&disk.mount);
    match way {
        Way::Nothing => thread::sleep(NOTHING),
        Way::Script => script(disk)?,
        Way::ScriptWithCheckpoint => {
            postgres.checkpoint()?;
            script(disk)?;
        }
        Way::Umbra => return held(&finish(create.arg("--no-writers"))?).map(Some),
        Way::UmbraWithWriter => return held(&finish(&mut create)?).map(Some),
    }
    Ok(None)
}

fn held(set: &str) -> Result<f64> {
    let set: serde_json::Value = serde_json::from_str(set)?;
    set["held_ms"].as_f64().context("a set without held_ms")
}

/// What an administrator would write.
fn script(disk: &Disk) -> Result<()> {
    let text = r#"set -e; fsfreeze -f "$1"; cp --reflink=always "$2" "$2.copy" || bad=1
                    fsfreeze -u "$1"; test -z "$bad""#;
    let script = finish(
        Command::new("sh")
            .args(["-c", text, "sh"])
            .arg(&disk.mount)
            .arg(&disk.image),
    );
    script.map(drop)
}

fn tidy(way: Way, disk: &Disk, service: &Service) -> Result<()> {
    match way {
        Way::Nothing => Ok(()),
        Way::Script | Way::ScriptWithCheckpoint => {
            let mut copy = disk.image.clone().into_os_string();
            copy.push(".copy");
            Ok(fs::remove_file(copy)?)
        }
        Way::Umbra | Way::UmbraWithWriter => {
            finish(service.command()?.args(["delete", "--all", "--yes"])).map(drop)
        }
    }
}

/// What it prints.
fn finish(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn now() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_sees_what_was_on_its_way() {
        let transactions = [(100, 90), (200, 20), (300, 40), (400, 200)]
            .map(|(ended, latency)| Transaction { ended, latency });
        let check = |from: u64, to: u64, expected: Option<u64>| {
            let longest = Window { from, to }.longest(&transactions);
            assert_eq!(
                longest,
                expected.map(Duration::from_micros),
                "{from} to {to}"
            );
        };
        check(150, 190, Some(20));
        check(150, 205, Some(200));
        check(50, 150, Some(90));
        check(500, 600, None);
        check(210, 250, Some(200));
    }
}
