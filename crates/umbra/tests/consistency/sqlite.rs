//! SQLite databases, one with a write-ahead log and one with a rollback
//! journal, on two volumes of one set, each under a program that commits as
//! fast as it can.

use crate::{
    copies::Taker,
    ledger::{Ledger, assert_kept},
    support::{Running, Umbra},
};
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use umbra_model::Consistency;
use umbra_testbed::{Format, Testbed};

const SETS: usize = 30;

/// Commits 1, 2, 3, … and notes each with the time once its commit is done.
const PROGRAM: &str = r#"
import itertools, sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("PRAGMA synchronous=FULL")
for number in itertools.count(1):
    database.execute("INSERT INTO log VALUES (?, randomblob(?))", (number, number % 4000))
    print(number, time.time_ns(), flush=True)
"#;

struct Database {
    file: PathBuf,
    acknowledged: Ledger,
    _program: Running,
}

impl Database {
    fn under_load(bed: &Testbed, volume: &Path, journal_mode: &str) -> Self {
        let file = volume.join("app.db");
        let setup = Connection::open(&file).unwrap();
        setup
            .pragma_update(None, "journal_mode", journal_mode)
            .unwrap();
        setup
            .execute_batch("CREATE TABLE log (number INTEGER PRIMARY KEY, filling BLOB)")
            .unwrap();
        setup.close().unwrap();
        let acknowledged = bed.folder().join(format!("acknowledged-{journal_mode}"));
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "python3", "-c", PROGRAM])
            .arg(&file)
            .stdout(fs::File::create(&acknowledged).unwrap());
        Self {
            file,
            acknowledged: Ledger { file: acknowledged },
            _program: Running::start(command),
        }
    }
}

#[test]
fn sqlite_loses_no_acknowledged_commit() {
    let bed = Testbed::new();
    let xfs = bed.disk(Format::Xfs, 600);
    let volumes = [
        bed.disk_in(&xfs.mount, Format::Ext4, 256),
        bed.disk(Format::Btrfs, 256),
    ]
    .map(|disk| disk.mount);
    let volumes = [volumes[0].as_path(), volumes[1].as_path()];
    let databases = [
        Database::under_load(&bed, volumes[0], "wal"),
        Database::under_load(&bed, volumes[1], "delete"),
    ];
    let umbra = Umbra::in_folder(bed.folder());
    let files = databases
        .each_ref()
        .map(|database| format!("[[database]]\npath = '{}'\n", database.file.display()));
    umbra.write("etc/umbra/writers.d/sqlite.toml", &files.concat());
    let taker = Taker::new(&bed, &umbra);
    let mut last = [0, 0];
    for _ in 0..SETS {
        for (database, last) in databases.iter().zip(last) {
            database.acknowledged.until_beyond(last);
        }
        taker.with_set(volumes, |set, copies| {
            assert_eq!(set.consistency.level, Consistency::Application, "{set:?}");
            for ((database, copy), last) in databases.iter().zip(copies).zip(&mut last) {
                let promised = database.acknowledged.promised(set.instant);
                assert!(promised > *last, "nothing was committed since the last set");
                let (highest, rows) = rows_of(copy);
                assert_kept(promised, highest, rows);
                *last = promised;
            }
        });
    }
}

/// The highest number and how many there are in a copy's database, which must
/// be sound. SQLite opens it as after a crash, and needs to write for that.
fn rows_of(copy: &Path) -> (u64, u64) {
    let scratch = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(copy).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().starts_with("app.db") {
            fs::copy(entry.path(), scratch.path().join(entry.file_name())).unwrap();
        }
    }
    let database = Connection::open(scratch.path().join("app.db")).unwrap();
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    database
        .query_row("SELECT max(number), count(*) FROM log", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .map(|(highest, rows)| (highest.cast_unsigned(), rows.cast_unsigned()))
        .unwrap()
}
