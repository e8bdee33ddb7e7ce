//! Who may do what, by the credentials of real processes of other users. Needs
//! root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it did not expect"
)]

mod parts;

use parts::{LIMIT, Served, channel, within};
use std::{
    os::{
        linux::net::SocketAddrExt,
        unix::{
            net::{SocketAddr, UnixStream},
            process::CommandExt,
        },
    },
    path::PathBuf,
    process::Command,
};
use tonic::Status;
use umbra_client::Requester;
use umbra_model::VssCode;
use umbra_protocol::{from_status, v1};
use umbra_server::Access;
use umbra_service::Limits;

/// Users and a group that no machine has.
const STRANGER: u32 = 64_123;
const WRITER: u32 = 64_124;
const GROUP: u32 = 64_200;

/// Says which part a copy of this program plays, and where: `PART@SOCKET`.
const PART: &str = "UMBRA_TEST_PEER";

/// Lets a copy of this program, as another user, play a part; returns what it
/// saw.
async fn play(served: &Served, (uid, gid): (u32, u32), part: &str, socket: &str) -> String {
    // The other user may be unable to look into the folder of the build.
    let program: PathBuf = served.folder.path().join("peer");
    if !program.exists() {
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    }
    let mut command = Command::new(program);
    command
        .args(["--exact", "another_user", "--nocapture"])
        .env(PART, format!("{part}@{socket}"))
        .current_dir("/")
        .uid(uid)
        .gid(gid);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = within(output)
        .await
        .unwrap()
        .expect("this test runs programs as other users and needs root");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let seen = text.lines().find_map(|line| line.split_once("saw: "));
    seen.unwrap_or_else(|| panic!("{text}{errors}"))
        .1
        .to_owned()
}

/// The other user's program; does nothing where it is not played.
#[tokio::test]
async fn another_user() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    let (part, socket) = part.split_once('@').unwrap();
    let stream = match socket.strip_prefix('@') {
        Some(name) => {
            UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap()
        }
        None => UnixStream::connect(socket).unwrap(),
    };
    stream.set_nonblocking(true).unwrap();
    let wire = channel(tokio::net::UnixStream::from_std(stream).unwrap()).await;
    let mut requester = v1::requester_client::RequesterClient::new(wire.clone());
    let result: Result<(), Status> = match part {
        "requester" => requester
            .open_session(v1::OpenSessionRequest::default())
            .await
            .map(drop),
        "admin" => v1::admin_client::AdminClient::new(wire)
            .status(v1::StatusRequest {})
            .await
            .map(drop),
        "administrator" => changes(wire).await,
        "writer" => {
            let hello = v1::WriterHello {
                metadata: Some(parts::metadata("Peer").into()),
                ..v1::WriterHello::default()
            };
            let message = v1::WriterMessage {
                message: Some(v1::writer_message::Message::Hello(hello)),
            };
            v1::writer_client::WriterClient::new(wire)
                .subscribe(tokio_stream::iter([message]))
                .await
                .map(drop)
        }
        "document" => {
            let request = v1::RestoreRequest {
                session_id: String::new(),
                document: vec![b' '; umbra_protocol::MAX_REQUEST],
            };
            requester.pre_restore(request).await.map(drop)
        }
        session => requester
            .start_snapshot_set(v1::StartSnapshotSetRequest {
                session_id: session.to_owned(),
            })
            .await
            .map(drop),
    };
    match result {
        Ok(()) => println!("saw: ok"),
        Err(status) => println!("saw: {}", from_status(&status)),
    }
}

/// Every call that changes what the service has for everybody: the last refusal,
/// or the first call that was not refused.
async fn changes(wire: tonic::transport::Channel) -> Result<(), Status> {
    let mut admin = v1::admin_client::AdminClient::new(wire.clone());
    let mut management = v1::management_client::ManagementClient::new(wire);
    let mut refused = Vec::new();
    macro_rules! check {
        ($($client:ident.$call:ident($request:ident);)*) => {$(
            let result = $client.$call(v1::$request::default()).await.map(drop);
            match result {
                Err(status) if status.code() == tonic::Code::PermissionDenied => {
                    refused.push(status);
                }
                other => return other,
            }
        )*};
    }
    check! {
        admin.abort_all_snapshots_in_progress(AbortAllSnapshotsInProgressRequest);
        admin.register_provider(RegisterProviderRequest);
        admin.unregister_provider(UnregisterProviderRequest);
        admin.set_provider_context(SetProviderContextRequest);
        admin.register_express_writer(RegisterExpressWriterRequest);
        admin.unregister_express_writer(UnregisterExpressWriterRequest);
        management.add_diff_area(AddDiffAreaRequest);
        management.change_diff_area_maximum_size(ChangeDiffAreaMaximumSizeRequest);
        management.migrate_diff_areas(MigrateDiffAreasRequest);
        management.set_snapshot_priority(SetSnapshotPriorityRequest);
        management.set_volume_protect_level(SetVolumeProtectLevelRequest);
        management.clear_volume_protect_fault(ClearVolumeProtectFaultRequest);
        management.delete_unused_diff_areas(DeleteUnusedDiffAreasRequest);
    }
    refused.pop().map_or(Ok(()), Err)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_come_from_the_kernel() {
    assert!(
        is_root(),
        "this test runs programs as other users and needs root"
    );
    let accounts = tempfile::tempdir().unwrap();
    std::fs::write(
        accounts.path().join("group"),
        format!("umbra-backup:x:{GROUP}:\n"),
    )
    .unwrap();
    std::fs::write(accounts.path().join("passwd"), "").unwrap();
    let access = Access::for_group("umbra-backup")
        .with_writers([WRITER])
        .with_accounts_in(accounts.path());
    let served = Served::with(access, Limits::default()).await;
    let folder = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(served.folder.path(), folder).unwrap();

    let path = served.socket().to_str().unwrap().to_owned();
    let abstract_socket = format!("@{}", served.abstract_name);
    let denied = VssCode::AccessDenied.name();
    for socket in [&path, &abstract_socket] {
        for part in ["requester", "admin", "writer"] {
            let check = async |who, allowed: bool| {
                let seen = play(&served, who, part, socket).await;
                assert_eq!(seen == "ok", allowed, "{part} {who:?}: {seen}");
                assert!(allowed || seen.contains(denied), "{part} {who:?}: {seen}");
            };
            check((STRANGER, STRANGER), false).await;
            check((STRANGER, GROUP), part != "writer").await;
            check((WRITER, WRITER), part == "writer").await;
        }
    }
    let told = play(&served, (STRANGER, STRANGER), "requester", &path).await;
    assert!(
        told.contains("members of the group \"umbra-backup\""),
        "{told}"
    );
    let told = play(&served, (STRANGER, STRANGER), "writer", &path).await;
    assert!(told.contains("access.writers"), "{told}");

    // Only who may be a requester can make the service read a large message.
    let told = play(&served, (STRANGER, STRANGER), "document", &path).await;
    assert!(told.contains("larger than the wire allows"), "{told}");
    let told = play(&served, (STRANGER, GROUP), "document", &path).await;
    assert!(told.contains("session_id"), "{told}");

    // A member of the group changes nothing that is everybody's.
    let told = play(&served, (STRANGER, GROUP), "administrator", &path).await;
    assert!(told.contains("only root may"), "{told}");

    // A requester cannot use the session of another user.
    let session = Requester::open(&served.connect().await, "root's")
        .await
        .unwrap();
    let id = session.session_id().to_string();
    let told = play(&served, (STRANGER, GROUP), &id, &path).await;
    assert!(told.contains("belongs to another user"), "{told}");
    tokio::time::timeout(LIMIT, session.close())
        .await
        .unwrap()
        .unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
