//! The PostgreSQL writer on real clusters. Needs root, the user `postgres` and
//! PostgreSQL 15 in /usr/lib/postgresql/15 (`apt install postgresql-15`).

// Clippy's exemption for tests does not reach what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;
mod support;

use cluster::{Cluster, PORT, PROGRAMS};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::{Duration, Instant},
};
use support::{assert_windows_would_read, event};
use umbra_documents::{ChosenComponent, Extra, FileSet, NewTarget, WriterComponents};
use umbra_model::{ComponentType, RestoreType, SessionId};
use umbra_testbed::{Disk, Format, Testbed, run};
use umbra_writer::{
    BackupOutcome, EventComponents, RestoreEvent, SetEvent, WriterEvent, WriterFailureKind,
    WriterSource,
};
use umbra_writers::ClusterConfig;

#[tokio::test]
async fn a_cluster_that_is_found_goes_through_a_whole_set() {
    let mut cluster = Cluster::new(&["-A", "peer"], &[]);
    let space = cluster.folder.path().join("space");
    let elsewhere = cluster.folder.path().join("etc");
    cluster.give(&space);
    cluster.give(&elsewhere);
    cluster.sql(&format!(
        "CREATE TABLESPACE space LOCATION '{}'",
        space.display()
    ));
    cluster.stop();
    std::fs::rename(
        cluster.data().join("pg_hba.conf"),
        elsewhere.join("pg_hba.conf"),
    )
    .unwrap();
    // As an administrator does who is short of space.
    let moved = cluster.folder.path().join("multixact");
    std::fs::rename(cluster.data().join("pg_multixact"), &moved).unwrap();
    std::os::unix::fs::symlink(&moved, cluster.data().join("pg_multixact")).unwrap();
    let hba = format!("hba_file={}/pg_hba.conf", elsewhere.display());
    cluster.start(&[&hba]);

    let source = cluster.source(cluster.discovery());
    let writer = source.writers().await.remove(0);
    let metadata = writer.identify().await.unwrap();
    metadata.validate().unwrap();
    assert_windows_would_read(&metadata);
    let [data, configuration] = metadata.components.as_slice() else {
        panic!("{:?}", metadata.components);
    };
    assert_eq!(data.full_path(), cluster.name());
    assert_eq!(
        data.files,
        [cluster.data(), moved, cluster.wal(), space].map(FileSet::tree)
    );
    assert_eq!(
        configuration.full_path(),
        format!("{}\\configuration", cluster.name())
    );
    assert_eq!(
        configuration.files,
        [FileSet::files(&elsewhere, "pg_hba.conf")]
    );
    assert!(
        metadata
            .excluded
            .contains(&FileSet::files(cluster.data(), "postmaster.pid"))
    );

    let event = event(
        cluster.folder.path(),
        &[data.full_path(), configuration.full_path()],
    );
    cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 1000)");
    let checkpoint = "SELECT checkpoint_lsn FROM pg_control_checkpoint()";
    let before = cluster.sql(checkpoint);
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    assert_ne!(cluster.sql(checkpoint), before);
    writer.freeze(&event).await.unwrap();
    writer.thaw(&event).await.unwrap();
    writer.post_snapshot(&event).await.unwrap();
    writer
        .backup_complete(&event, BackupOutcome::Succeeded)
        .await
        .unwrap();
    writer.backup_shutdown(event.session).await;
    let begun = Instant::now();
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'umbra'";
    while cluster.sql(connected) != "0" {
        assert!(begun.elapsed() < Duration::from_secs(20), "still connected");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    cluster.stop();
    assert!(source.writers().await.is_empty());
    assert!(writer.identify().await.unwrap().components.is_empty());
    let failure = writer.prepare_for_backup(&event).await.unwrap_err();
    assert_eq!(failure.kind, WriterFailureKind::Retryable);
    assert!(failure.message.contains("does not run"), "{failure}");
}

#[tokio::test]
async fn files_are_not_put_back_under_a_cluster_that_runs() {
    let mut cluster = Cluster::new(&["-A", "peer"], &[]);
    let writer = cluster.found().await;
    let restore = |change: fn(&mut ChosenComponent)| {
        let identity = writer.identity();
        let mut components = WriterComponents::new(identity.id, identity.instance);
        let mut chosen = ChosenComponent::new(None, cluster.name(), ComponentType::FileGroup);
        chosen.selected_for_restore = Some(true);
        change(&mut chosen);
        components.components.push(chosen);
        RestoreEvent {
            session: SessionId::random(),
            restore_type: RestoreType::ByCopy,
            chosen: EventComponents::new(components).at(WriterEvent::PreRestore),
        }
    };
    let in_place = restore(|_| ());
    let failure = writer.pre_restore(&in_place).await.unwrap_err();
    assert_eq!(failure.kind, WriterFailureKind::Retryable);
    assert!(failure.message.contains("stop it"), "{failure}");

    let not_wanted = restore(|chosen| chosen.selected_for_restore = None);
    writer.pre_restore(&not_wanted).await.unwrap();
    let elsewhere = restore(|chosen| {
        chosen.new_targets.push(NewTarget {
            path: "/srv".into(),
            specification: "*".into(),
            recursive: Some(true),
            alternate_path: "/elsewhere".into(),
            extra: Extra::default(),
        });
    });
    writer.pre_restore(&elsewhere).await.unwrap();
    cluster.stop();
    writer.pre_restore(&in_place).await.unwrap();
    writer.post_restore(&in_place).await.unwrap();
}

#[tokio::test]
async fn a_configured_cluster_that_runs_is_seen_by_its_name() {
    let mut cluster = Cluster::new(&["-A", "trust"], &[]);
    let writer = cluster.with(cluster.configured()).await;
    let identity = writer.identity();
    let mut components = WriterComponents::new(identity.id, identity.instance);
    let mut chosen = ChosenComponent::new(None, "orders", ComponentType::FileGroup);
    chosen.selected_for_restore = Some(true);
    components.components.push(chosen);
    let event = RestoreEvent {
        session: SessionId::random(),
        restore_type: RestoreType::ByCopy,
        chosen: EventComponents::new(components),
    };
    assert!(writer.pre_restore(&event).await.is_err());
    cluster.stop();
    writer.pre_restore(&event).await.unwrap();
}

#[tokio::test]
async fn a_postmaster_that_dies_while_frozen_fails_thaw() {
    let mut cluster = Cluster::new(&["-A", "peer"], &[]);
    let (writer, event) = (cluster.found().await, cluster.event());
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    writer.freeze(&event).await.unwrap();
    kill_process(cluster.postmaster(), Signal::KILL).unwrap();
    cluster.stop();
    let failure = writer.thaw(&event).await.unwrap_err();
    assert_eq!(failure.kind, WriterFailureKind::Retryable);
    assert!(failure.message.contains("postmaster ended"), "{failure}");

    // It was started again between PrepareForSnapshot and Freeze.
    std::fs::remove_file(cluster.data().join("postmaster.pid")).unwrap();
    cluster.start(&[]);
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    cluster.stop();
    cluster.start(&[]);
    let failure = writer.freeze(&event).await.unwrap_err();
    assert!(failure.message.contains("postmaster ended"), "{failure}");
    writer.abort(&event).await;
}

#[tokio::test]
async fn a_password_is_asked_for_and_taken_from_the_passfile() {
    let passwords = tempfile::NamedTempFile::new().unwrap();
    let mut file = passwords.as_file();
    file.write_all(b"right").unwrap();
    // Read by initdb, as the user postgres.
    file.set_permissions(PermissionsExt::from_mode(0o644))
        .unwrap();
    let pwfile = format!("--pwfile={}", passwords.path().display());
    let cluster = Cluster::new(&["-A", "scram-sha-256", &pwfile], &[]);

    let failure = cluster.found().await.identify().await.unwrap_err();
    assert_eq!(failure.kind, WriterFailureKind::NonRetryable);
    for part in [
        "[[cluster]]",
        "passfile",
        "postgresql.toml",
        &cluster.name(),
    ] {
        assert!(failure.message.contains(part), "{part:?} in {failure}");
    }

    let passfile = cluster.folder.path().join("pgpass");
    let with_password = |password: &str, mode: u32| {
        std::fs::write(&passfile, format!("*:*:*:postgres:{password}\n")).unwrap();
        std::fs::set_permissions(&passfile, PermissionsExt::from_mode(mode)).unwrap();
        cluster.with(ClusterConfig {
            passfile: Some(passfile.clone()),
            ..cluster.configured()
        })
    };
    let writer = with_password("right", 0o600).await;
    let metadata = writer.identify().await.unwrap();
    assert_eq!(metadata.components[0].full_path(), "orders");
    assert_eq!(metadata.components.len(), 1, "found and configured are one");

    let failure = with_password("wrong", 0o600)
        .await
        .identify()
        .await
        .unwrap_err();
    assert!(
        failure.message.contains("password authentication failed"),
        "{failure}"
    );
    let failure = with_password("right", 0o644)
        .await
        .identify()
        .await
        .unwrap_err();
    assert!(failure.message.contains("0600"), "{failure}");
}

#[tokio::test]
async fn a_role_without_the_right_is_told_which_one() {
    let cluster = Cluster::new(&["-A", "trust"], &[]);
    cluster.sql("CREATE ROLE plain LOGIN");
    let writer = cluster
        .with(ClusterConfig {
            user: "plain".into(),
            ..cluster.configured()
        })
        .await;
    let event = event(cluster.folder.path(), &["orders".into()]);
    let failure = writer.identify().await.unwrap_err();
    assert!(failure.message.contains("GRANT pg_monitor"), "{failure}");
    cluster.sql("GRANT pg_monitor TO plain");
    writer.prepare_for_backup(&event).await.unwrap();
    let failure = writer.prepare_for_snapshot(&event).await.unwrap_err();
    assert!(failure.message.contains("GRANT pg_checkpoint"), "{failure}");
    writer.abort(&event).await;
    cluster.sql("GRANT pg_checkpoint TO plain");
    writer.prepare_for_backup(&event).await.unwrap();
    writer.prepare_for_snapshot(&event).await.unwrap();
    writer.abort(&event).await;

    // The owner by the operating system's name, as a role that is not there.
    let writer = cluster
        .with(ClusterConfig {
            user: "nobody_here".into(),
            os_user: Some("postgres".into()),
            ..cluster.configured()
        })
        .await;
    let failure = writer.identify().await.unwrap_err();
    assert!(failure.message.contains("nobody_here"), "{failure}");
    let writer = cluster
        .with(ClusterConfig {
            host: cluster.folder.path().join("nowhere"),
            os_user: Some("postgres".into()),
            ..cluster.configured()
        })
        .await;
    let failure = writer.identify().await.unwrap_err();
    assert!(failure.message.contains("No such file"), "{failure}");
}

#[tokio::test]
async fn a_set_without_all_of_its_volumes_or_with_unsafe_ones_is_vetoed() {
    let cluster = Cluster::new(&["-A", "peer"], &["fsync=on", "full_page_writes=off"]);
    let (writer, whole) = (cluster.found().await, cluster.event());
    writer.prepare_for_backup(&whole).await.unwrap();

    let none = SetEvent {
        volumes: Vec::new(),
        ..whole.clone()
    };
    let veto = writer.prepare_for_backup(&none).await.unwrap_err();
    assert_eq!(veto.kind, WriterFailureKind::InconsistentSnapshot, "{veto}");

    let mut never_held = whole.clone();
    never_held.volumes[0].file_system = "btrfs".into();
    let veto = writer.prepare_for_backup(&never_held).await.unwrap_err();
    assert_eq!(veto.kind, WriterFailureKind::NonRetryable, "{veto}");
    assert!(veto.message.contains("full_page_writes"), "{veto}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_nobody_waits_for_is_cancelled() {
    let cluster = Cluster::new(&["-A", "peer"], &[]);
    let (writer, event) = (cluster.found().await, cluster.event());
    writer.prepare_for_backup(&event).await.unwrap();
    let checkpointer: i32 = cluster
        .sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        .parse()
        .unwrap();
    let checkpointer = Pid::from_raw(checkpointer).unwrap();
    kill_process(checkpointer, Signal::STOP).unwrap();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'CHECKPOINT'";
    let wait_for = |count: &str| {
        let begun = Instant::now();
        while cluster.sql(waiting) != count {
            assert!(begun.elapsed() < Duration::from_secs(20), "never {count}");
        }
    };
    let task = tokio::spawn(async move { writer.prepare_for_snapshot(&event).await });
    tokio::task::block_in_place(|| wait_for("1"));
    task.abort();
    let result = task.await;
    tokio::task::block_in_place(|| wait_for("0"));
    kill_process(checkpointer, Signal::CONT).unwrap();
    assert!(result.unwrap_err().is_cancelled());
}

/// What docs/writers.md says about volumes that are held: PostgreSQL is not
/// stopped, and the worst settings do no harm to the copy.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_held_volumes_recovers_with_every_commit() {
    let bed = Testbed::new();
    std::fs::set_permissions(bed.folder(), PermissionsExt::from_mode(0o755)).unwrap();
    let disks = [bed.disk(Format::Ext4, 256), bed.disk(Format::Ext4, 256)];
    let owned = |mount: &Path| {
        std::fs::set_permissions(mount, PermissionsExt::from_mode(0o777)).unwrap();
    };
    disks.iter().for_each(|disk| owned(&disk.mount));
    let [data, wal] = &disks;
    let settings = ["fsync=off", "full_page_writes=off", "max_wal_size=32MB"];
    let cluster = Cluster::in_folders(&data.mount, &wal.mount, &["-A", "trust"], &settings);
    cluster.sql("CREATE TABLE log (number int PRIMARY KEY, filling text)");
    let load = Load::on(&cluster).await;
    load.wait_until_more_than(200).await;

    let writer = cluster.found().await;
    let mut set = event(&data.mount, &[cluster.name()]);
    let veto = writer.prepare_for_backup(&set).await.unwrap_err();
    assert_eq!(veto.kind, WriterFailureKind::InconsistentSnapshot, "{veto}");
    set.volumes.extend(event(&wal.mount, &[]).volumes);
    writer.prepare_for_backup(&set).await.unwrap();
    writer.prepare_for_snapshot(&set).await.unwrap();
    load.wait_until_more_than(load.committed() + 200).await;
    writer.freeze(&set).await.unwrap();
    let committed = load.committed();
    disks.iter().for_each(Disk::freeze);
    let copies = disks
        .each_ref()
        .map(|disk| disk.image.with_extension("copy"));
    for (disk, copy) in disks.iter().zip(&copies) {
        run(
            "cp",
            [
                "--sparse=always".as_ref(),
                disk.image.as_os_str(),
                copy.as_os_str(),
            ],
        );
    }
    disks.iter().rev().for_each(Disk::thaw);
    writer.thaw(&set).await.unwrap();
    load.wait_until_more_than(committed + 200).await;
    drop(load);

    let mounts = copies.each_ref().map(|copy| copy.with_extension("mnt"));
    for (copy, mount) in copies.iter().zip(&mounts) {
        std::fs::create_dir(mount).unwrap();
        run(
            "mount",
            [
                "-o".as_ref(),
                "loop".as_ref(),
                copy.as_os_str(),
                mount.as_os_str(),
            ],
        );
        bed.will_unmount(mount);
    }
    let mut recovered = Cluster::copied(&mounts[0], &mounts[1]);
    std::fs::remove_file(recovered.data().join("postmaster.pid")).unwrap();
    std::fs::remove_file(recovered.data().join("pg_wal")).unwrap();
    std::os::unix::fs::symlink(recovered.wal(), recovered.data().join("pg_wal")).unwrap();
    recovered.start(&[]);
    let count = |clause: &str| -> i32 {
        let query = format!("SELECT coalesce({clause}, 0) FROM log");
        recovered.sql(&query).parse().unwrap()
    };
    assert!(count("max(number)") >= committed);
    assert_eq!(
        count("count(*)"),
        count("max(number)"),
        "one in between is missing"
    );
    let check = recovered
        .command(&format!("{PROGRAMS}/pg_amcheck"))
        .arg("-h")
        .arg(recovered.socket())
        .args([
            "-p",
            &PORT.to_string(),
            "-d",
            "postgres",
            "--install-missing",
        ])
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
}

/// A client that commits without a pause.
struct Load {
    committed: Arc<AtomicI32>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    async fn on(cluster: &Cluster) -> Self {
        let socket = cluster.socket().join(format!(".s.PGSQL.{PORT}"));
        let stream = tokio::net::UnixStream::connect(socket).await.unwrap();
        let (client, connection) = tokio_postgres::Config::new()
            .user("postgres")
            .connect_raw(stream, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let committed = Arc::new(AtomicI32::new(0));
        let task = tokio::spawn({
            let committed = Arc::clone(&committed);
            async move {
                for number in 1.. {
                    let statement = "INSERT INTO log VALUES ($1, repeat('x', 700))";
                    client.execute(statement, &[&number]).await.unwrap();
                    committed.store(number, Ordering::SeqCst);
                }
            }
        });
        Self { committed, task }
    }

    fn committed(&self) -> i32 {
        self.committed.load(Ordering::SeqCst)
    }

    async fn wait_until_more_than(&self, count: i32) {
        let begun = Instant::now();
        while self.committed() <= count {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "nothing committed"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}
