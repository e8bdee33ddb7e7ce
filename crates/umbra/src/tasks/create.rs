//! `umbra create`.

use super::{NotMade, Wanted, listings::provider_names, make, volume_names, writer_selection};
use crate::{
    command_line::CreateArguments,
    exit::ExitKind,
    failure::Failure,
    output::{Format, SetView, print, tell},
    signals::Endings,
};
use std::{path::PathBuf, process::ExitCode};
use umbra_client::{Admin, BackupOutcome, Connection};
use umbra_model::Context;

/// Makes a persistent set and prints it.
pub(super) async fn create(
    arguments: &CreateArguments,
    connection: &Connection,
    endings: &mut Endings,
) -> Result<ExitCode, Failure> {
    let admin = Admin::new(connection);
    let volumes = if arguments.volumes.is_empty() {
        every_volume(&admin).await?
    } else {
        volume_names(&arguments.volumes)?
    };
    let wanted = Wanted {
        name: "umbra create",
        context: if arguments.writers.no_writers {
            Context::NasRollback
        } else {
            Context::AppRollback
        },
        volumes,
        writers: writer_selection(&arguments.writers),
    };
    let (requester, set) = match make(connection, &wanted, endings).await {
        Ok(made) => made,
        Err(NotMade::Failed(failure)) => return Err(failure),
        Err(NotMade::Ended(ending)) => {
            tell("ended while the set was being made; nothing of it is kept");
            return Ok(ending.exit_code().into());
        }
    };
    // The copy itself is the backup.
    let completed = requester.backup_complete(BackupOutcome::Succeeded).await;
    let closed = requester.close().await;
    // The set is there whatever else fails; its id must be told.
    let providers = provider_names(&admin).await.unwrap_or_default();
    print(
        &SetView::new(&set, &providers),
        Format::of(&arguments.listing),
    )?;
    completed?;
    closed?;
    Ok(ExitCode::SUCCESS)
}

async fn every_volume(admin: &Admin) -> Result<Vec<PathBuf>, Failure> {
    let volumes: Vec<PathBuf> = admin
        .list_volumes()
        .await?
        .into_iter()
        .filter(|report| report.provider.is_ok())
        .filter_map(|report| report.volume.map(|volume| volume.mount_point))
        .collect();
    if volumes.is_empty() {
        return Err(Failure::new(
            ExitKind::NotSupported,
            "there is no volume that a provider can copy; `umbra volumes` says why for each",
        ));
    }
    Ok(volumes)
}
