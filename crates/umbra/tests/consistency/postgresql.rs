//! PostgreSQL with its data and its write-ahead log on two volumes, under
//! pgbench. Each set's copies are started as after a power cut and must recover.

use crate::{
    copies::Taker,
    ledger::{Ledger, assert_kept},
    support::{Running, Umbra},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use umbra_model::Consistency;
use umbra_testbed::{Format, Testbed, run};

/// Sets for each of the two arrangements.
const SETS: usize = 15;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// Each server has a socket folder of its own, so all can have one port.
const PORT: &str = "5438";

/// Writes 1, 2, 3, … and notes each with the time once its commit is
/// acknowledged. Ends with the server.
const LEDGER: &str = r#"
for ((n = 1; ; n++)); do
    printf 'insert into ledger values (%d);\n\\echo %d `date +%%s%%N`\n' $n $n
done 2>/dev/null | stdbuf -oL "$@"
"#;

/// A server. Stopped as by a crash when it is dropped, and in any case by the
/// testbed.
struct Server {
    data: PathBuf,
    sockets: PathBuf,
}

impl Server {
    /// Starts a server on a data directory; its sockets lie beside its log.
    fn start(bed: &Testbed, data: &Path, sockets: &Path, more: &str) -> Self {
        fs::create_dir_all(sockets).unwrap();
        give(sockets);
        let log = sockets.join("log");
        let stop = format!(
            "test ! -e '{0}/postmaster.pid' || \
             runuser -u postgres -- {PROGRAMS}/pg_ctl -D '{0}' -m immediate stop",
            data.display()
        );
        bed.undo(&stop);
        let options = format!(
            "-p {PORT} -k {} -c listen_addresses= -c shared_buffers=8MB \
             -c max_connections=20 {more}",
            sockets.display()
        );
        let server = Self {
            data: data.to_owned(),
            sockets: sockets.to_owned(),
        };
        let started = postgres("pg_ctl")
            .arg("-D")
            .arg(data)
            .arg("-l")
            .arg(&log)
            .args(["-w", "-t", "60", "-o", &options, "start"])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(started.success(), "PostgreSQL did not start: {}", said());
        server
    }

    /// One of PostgreSQL's programs on this server.
    fn client(&self, program: &str) -> Command {
        let mut command = postgres(program);
        command.arg("-h").arg(&self.sockets).args(["-p", PORT]);
        command
    }

    fn sql(&self, query: &str) -> String {
        let mut command = self.client("psql");
        output(command.args(["-XAtq", "-d", "postgres", "-c", query]))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = postgres("pg_ctl")
            .arg("-D")
            .arg(&self.data)
            .args(["-m", "immediate", "-w", "stop"])
            .stdout(Stdio::null())
            .status();
    }
}

fn postgres(program: &str) -> Command {
    let path = Path::new(PROGRAMS).join(program);
    assert!(
        path.exists(),
        "this test needs {path:?}: apt install postgresql-15"
    );
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(path);
    command.stdin(Stdio::null()).current_dir("/");
    command
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn give(folder: &Path) {
    run("chown", ["postgres:".as_ref(), folder.as_os_str()]);
}

/// A cluster under pgbench and a ledger. The programs end with the server,
/// which is therefore dropped first.
struct Load {
    server: Server,
    acknowledged: Ledger,
    _programs: [Running; 2],
}

impl Load {
    fn on(bed: &Testbed, data: &Path, wal: &Path) -> Self {
        run("chmod", ["755".as_ref(), bed.folder().as_os_str()]);
        give(data);
        give(wal);
        let (data, wal) = (data.join("data"), wal.join("wal"));
        output(
            postgres("initdb")
                .args(["-N", "--no-instructions", "-A", "trust", "--wal-segsize=1"])
                .arg("-D")
                .arg(&data)
                .arg("-X")
                .arg(&wal),
        );
        let sockets = bed.folder().join("live");
        let limits = "-c min_wal_size=2MB -c max_wal_size=16MB";
        let server = Server::start(bed, &data, &sockets, limits);
        server.sql("create table ledger (number bigint primary key)");
        output(server.client("pgbench").args(["-i", "-q", "postgres"]));
        let mut pgbench = server.client("pgbench");
        pgbench.args(["-n", "-c", "2", "-T", "600", "postgres"]);
        pgbench.stdout(Stdio::null()).stderr(Stdio::null());
        let acknowledged = bed.folder().join("acknowledged");
        let mut ledger = Command::new("runuser");
        ledger
            .args(["-u", "postgres", "--", "bash", "-c", LEDGER, "bash"])
            .arg(Path::new(PROGRAMS).join("psql"))
            .args(["-XAtq", "-d", "postgres", "-p", PORT, "-h"])
            .arg(&sockets)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(fs::File::create(&acknowledged).unwrap())
            .stderr(Stdio::null());
        Self {
            server,
            acknowledged: Ledger { file: acknowledged },
            _programs: [pgbench, ledger].map(Running::start),
        }
    }
}

/// Every set of a cluster recovers, is sound and has what was promised.
fn every_set_recovers(bed: &Testbed, data: &Path, wal: &Path) {
    let load = Load::on(bed, data, wal);
    let umbra = Umbra::in_folder(bed.folder());
    let below = format!("below = ['{}']\n", bed.folder().display());
    umbra.write("etc/umbra/writers.d/postgresql.toml", &below);
    let taker = Taker::new(bed, &umbra);
    let mut last = 0;
    for number in 0..SETS {
        load.acknowledged.until_beyond(last);
        let scratch = bed.folder().join(format!("restored-{number}"));
        fs::create_dir(&scratch).unwrap();
        give(&scratch);
        let promised = taker.with_set([data, wal], |set, [data, wal]| {
            assert_eq!(set.consistency.level, Consistency::Application, "{set:?}");
            copy(&data.join("data"), &scratch);
            copy(&wal.join("wal"), &scratch);
            load.acknowledged.promised(set.instant)
        });
        assert!(promised > last, "nothing was committed since the last set");
        last = promised;
        let restored = scratch.join("data");
        run(
            "ln",
            [
                "-sfn".as_ref(),
                scratch.join("wal").as_os_str(),
                restored.join("pg_wal").as_os_str(),
            ],
        );
        fs::remove_file(restored.join("postmaster.pid")).unwrap();
        assert_sound(bed, &restored, &scratch.join("sockets"), promised);
        run("rm", ["-r".as_ref(), scratch.as_os_str()]);
    }
    drop(load.server);
}

fn copy(from: &Path, to: &Path) {
    run(
        "cp",
        [
            "-a".as_ref(),
            "--reflink=auto".as_ref(),
            from.as_os_str(),
            to.as_os_str(),
        ],
    );
}

/// A server starts on these files, recovers, and has every row.
fn assert_sound(bed: &Testbed, data: &Path, sockets: &Path, promised: u64) {
    // What is read back need not survive a crash.
    let server = Server::start(bed, data, sockets, "-c fsync=off");
    let log = fs::read_to_string(sockets.join("log")).unwrap();
    assert!(
        log.contains("was interrupted"),
        "it was no live copy: {log}"
    );
    let mut check = server.client("pg_amcheck");
    check.args([
        "--install-missing",
        "--heapallindexed",
        "--parent-check",
        "postgres",
    ]);
    assert_eq!(output(&mut check), "");
    let found = server.sql("select coalesce(max(number), 0) || ' ' || count(*) from ledger");
    let (highest, rows) = found.split_once(' ').unwrap();
    assert_kept(promised, highest.parse().unwrap(), rows.parse().unwrap());
    let balances = server.sql(
        "select (select sum(abalance) from pgbench_accounts) \
         = (select coalesce(sum(delta), 0) from pgbench_history)",
    );
    assert_eq!(balances, "t", "pgbench's balances do not add up");
}

/// An ext4 in an image on XFS, and a btrfs.
fn two_volumes(bed: &Testbed) -> [PathBuf; 2] {
    let xfs = bed.disk(Format::Xfs, 1200);
    [
        bed.disk_in(&xfs.mount, Format::Ext4, 512).mount,
        bed.disk(Format::Btrfs, 768).mount,
    ]
}

#[test]
fn postgresql_with_data_on_ext4_and_its_log_on_btrfs_recovers() {
    let bed = Testbed::new();
    let [ext4, btrfs] = two_volumes(&bed);
    every_set_recovers(&bed, &ext4, &btrfs);
}

#[test]
fn postgresql_with_data_on_btrfs_and_its_log_on_ext4_recovers() {
    let bed = Testbed::new();
    let [ext4, btrfs] = two_volumes(&bed);
    every_set_recovers(&bed, &btrfs, &ext4);
}
