//! What both programs do to start: other roles of the same program file, the
//! runtime, and the service with everything that it is given.

use crate::{
    configuration::Configuration, exec, exit::ExitKind, failure::Failure, mounter::HostMounter,
    root::Root,
};
use std::{process::ExitCode, sync::Arc};
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};
use umbra_client::Connection;
use umbra_model::VssResult;
use umbra_providers::SystemFolders;
use umbra_server::{Access, Listener};
use umbra_service::{Service, ServiceParts, StateDirectory};
use umbra_volume::{GUARDIAN_ARGUMENT, GuardianCommand, LinuxVolumes};
use umbra_writers::{RELAY_ARGUMENT, WritersConfig};

/// Plays another role where this program was started for one by itself: guardian
/// of a hold, relay to a database, inner half of `umbra exec`. To be called
/// before anything else, while there is one thread.
pub fn other_role() -> Option<ExitCode> {
    let argument = std::env::args_os().nth(1)?;
    if argument == GUARDIAN_ARGUMENT {
        Some(umbra_volume::guardian_main())
    } else if argument == RELAY_ARGUMENT {
        Some(umbra_writers::relay_main())
    } else if argument == exec::INSIDE_ARGUMENT {
        Some(exec::inside_main())
    } else {
        None
    }
}

/// The event loop.
///
/// # Errors
///
/// The system's.
pub fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                ExitKind::Unexpected,
                format!("cannot start the event loop: {error}"),
            )
        })
}

/// A service on this machine's storage, with every in-box provider and writer.
///
/// # Errors
///
/// A malformed configuration of a writer, or folders that cannot be made.
pub fn service(root: &Root, configuration: &Configuration) -> Result<Service, Failure> {
    let writers = WritersConfig::load(&root.writers_folder())
        .map_err(|error| Failure::of_kind(ExitKind::BadConfiguration, error))?;
    Ok(Service::new(ServiceParts {
        volumes: Arc::new(
            LinuxVolumes::new(GuardianCommand::this_program())
                .with_grace_periods(configuration.hold.grace_periods()),
        ),
        providers: umbra_providers::in_box(SystemFolders {
            storage: configuration.storage.folder(root),
            run: root.runtime(),
        }),
        writer_sources: umbra_writers::in_box(&writers),
        directory: StateDirectory {
            state: root.state(),
            runtime: root.runtime(),
        },
        mounter: Arc::new(HostMounter),
        limits: configuration.limits.clone(),
    })?)
}

/// Who may connect.
///
/// # Errors
///
/// The configuration names a user that does not exist.
pub fn access(root: &Root, configuration: &Configuration) -> Result<Access, Failure> {
    let writers = configuration
        .access
        .writer_ids(&root.configuration_file())?;
    Ok(Access::for_group(&configuration.access.group).with_writers(writers))
}

/// The service inside `umbra`, behind a pipe.
pub struct ServiceInside {
    server: JoinHandle<VssResult<()>>,
    stop: oneshot::Sender<()>,
}

impl ServiceInside {
    /// Starts the service and connects to it.
    ///
    /// # Errors
    ///
    /// As [`service`], or reconciling failed.
    pub async fn start(root: &Root) -> Result<(Self, Connection), Failure> {
        let configuration = Configuration::load(root)?;
        let access = access(root, &configuration)?;
        let service = service(root, &configuration)?;
        service.reconcile().await?;
        let (listener, pipe) = Listener::pipe();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(umbra_server::serve(
            service,
            vec![listener],
            access,
            async move {
                // A sender that is gone means the same.
                let _ = stopped.await;
            },
        ));
        let connection = Connection::over(pipe)
            .await
            .map_err(|error| Failure::of_kind(ExitKind::Unexpected, error.into()))?;
        Ok((Self { server, stop }, connection))
    }

    /// Stops it: aborts a set in the making and waits for every clean-up.
    pub async fn stop(self) {
        drop(self.stop);
        // Nobody is left to tell of a transport that failed.
        let _ = self.server.await;
    }
}

/// Has `FAILPOINTS` in the environment take effect, in builds for tests.
#[cfg(feature = "failpoints")]
pub fn fail_points() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}
