//! The service `umbrad`: start, serve, stop.

use crate::{
    command_line::UmbradCommand,
    configuration::Configuration,
    exit::ExitKind,
    failure::Failure,
    log,
    reach::is_root,
    root::Root,
    signals::{Ending, Endings},
    start_up,
};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, getpid, getrlimit, pidfd_getfd, pidfd_open,
    setrlimit,
};
use sd_notify::NotifyState;
use std::{io, os::fd::OwnedFd, process::ExitCode, time::Duration};
use tokio::task::JoinHandle;
use umbra_model::VssResult;
use umbra_server::Listener;

/// How long everything that is being cleaned up may take at the end; shorter
/// than what the unit file allows.
const PATIENCE: Duration = Duration::from_secs(75);

/// Runs the service until it is told to stop.
///
/// # Errors
///
/// It cannot start: no privilege, a malformed configuration, another service
/// that listens already. Or it could not stop cleanly.
pub fn run(command: &UmbradCommand) -> Result<ExitCode, Failure> {
    if !is_root() {
        return Err(Failure::new(
            ExitKind::NoPrivilege,
            "umbrad freezes and copies volumes, and only root may do that; start it with \
             `systemctl start umbrad` or with sudo",
        ));
    }
    let root = Root::at(&command.root)?;
    let configuration = Configuration::load(&root)?;
    log::start(&configuration.log).map_err(|error| {
        Failure::new(
            ExitKind::Unexpected,
            format!("cannot start the log: {error}"),
        )
    })?;
    allow_many_connections();
    start_up::runtime()?.block_on(serve(&root, &configuration))
}

/// Each writer and requester takes a descriptor. What is usual for a program
/// started by hand, 1024, is for old ones that cannot have more.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!("cannot allow more open descriptors: {error}");
    }
}

async fn serve(root: &Root, configuration: &Configuration) -> Result<ExitCode, Failure> {
    let mut endings = Endings::listen().map_err(|error| {
        Failure::new(
            ExitKind::Unexpected,
            format!("cannot listen for signals: {error}"),
        )
    })?;
    let access = start_up::access(root, configuration)?;
    // First the sockets: two services on one state must never both reconcile.
    let listeners = listeners(root)?;
    let service = start_up::service(root, configuration)?;
    for line in service.reconcile().await? {
        tracing::warn!("found at start: {line}");
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut server = tokio::spawn(umbra_server::serve(
        service,
        listeners,
        access,
        async move {
            // A sender that is gone means the same.
            let _ = stopped.await;
        },
    ));
    tell_systemd(NotifyState::Ready);
    tracing::info!("umbrad {} listens", env!("CARGO_PKG_VERSION"));

    tokio::select! {
        ending = next_ending(&mut endings) => tracing::info!("{ending:?}: stopping"),
        ended = &mut server => {
            return Err(match ended {
                Ok(Err(error)) => error.into(),
                _ => Failure::new(ExitKind::Unexpected, "the server ended by itself"),
            });
        }
    }
    tell_systemd(NotifyState::Stopping);
    drop(stop);
    finish(server, &mut endings).await
}

/// Waits until the set in the making is aborted and everything is cleaned up,
/// but not for ever.
async fn finish(
    server: JoinHandle<VssResult<()>>,
    endings: &mut Endings,
) -> Result<ExitCode, Failure> {
    let incomplete = |why: &str| {
        Err(Failure::new(
            ExitKind::Unexpected,
            format!("{why}; the next start of Umbra cleans up what is left"),
        ))
    };
    tokio::select! {
        ended = server => {
            ended.map_err(|_| {
                Failure::new(ExitKind::Unexpected, "the server panicked while it stopped")
            })??;
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        _ = next_ending(endings) => incomplete("a second signal ended umbrad at once"),
        () = tokio::time::sleep(PATIENCE) => incomplete("cleaning up took too long"),
    }
}

/// A terminal that is closed does not end a service.
async fn next_ending(endings: &mut Endings) -> Ending {
    loop {
        match endings.next().await {
            Ending::HangUp => {}
            ending => return ending,
        }
    }
}

/// The socket that systemd handed over, or one of our own; and the abstract one.
fn listeners(root: &Root) -> Result<Vec<Listener>, Failure> {
    let mut listeners = Vec::new();
    for descriptor in handed_over().map_err(|error| {
        Failure::new(
            ExitKind::Unexpected,
            format!("cannot take the socket from systemd: {error}"),
        )
    })? {
        listeners.push(Listener::handed_over(descriptor)?);
    }
    if listeners.is_empty() {
        listeners.push(Listener::path(&root.socket())?);
    }
    listeners.push(Listener::abstract_name(&root.abstract_name())?);
    Ok(listeners)
}

/// The descriptors that systemd handed over, as owned ones.
///
/// They come as numbers. To own a number is unsafe, since somebody else may own
/// it; asking the kernel for another descriptor of the same socket is not.
fn handed_over() -> io::Result<Vec<OwnedFd>> {
    let numbers: Vec<_> = sd_notify::listen_fds()?.collect();
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let this: Pid = getpid();
    let this = pidfd_open(this, PidfdFlags::empty())?;
    numbers
        .into_iter()
        .map(|number| Ok(pidfd_getfd(&this, number, PidfdGetfdFlags::empty())?))
        .collect()
}

/// Without systemd there is nobody to tell.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("cannot notify systemd: {error}");
    }
}
