//! `umbra betest`.

use super::test_writer::{configuration, malformed};
use crate::{
    command_line::BetestArguments,
    exit::ExitKind,
    failure::Failure,
    output::{plain, print_text, tell},
    reach::is_root,
    signals::Endings,
};
use std::process::ExitCode;
use umbra_client::{Authority, Connection};
use umbra_conformance::{
    betest::{self, BetestOptions, BetestTask, Completion, Detail, OnWriterError},
    configuration::BetestConfiguration,
};
use umbra_model::Context;

/// Backs up, restores, or both.
pub(super) async fn betest(
    arguments: &BetestArguments,
    connection: &Connection,
    endings: &mut Endings,
) -> Result<ExitCode, Failure> {
    if arguments.backup && arguments.directory.is_some() && !is_root() {
        return Err(Failure::new(
            ExitKind::NoPrivilege,
            "umbra betest mounts the shadow copies that it copies files out of, and only root may \
             mount; run it with sudo, or without a folder for the backup",
        ));
    }
    let options = options(arguments)?;
    let print = |line: &str| {
        // Nobody may be listening any more; the backup goes on.
        let _ = print_text(&format!("{}\n", plain(line)));
    };
    tokio::select! {
        done = betest::betest(connection, &options, &print) => {
            done?;
            Ok(ExitCode::SUCCESS)
        }
        ending = endings.next() => {
            tell("ended before it was done; a set in the making is not kept");
            Ok(ending.exit_code().into())
        }
    }
}

fn options(arguments: &BetestArguments) -> Result<BetestOptions, Failure> {
    let tasks = [
        (arguments.backup, BetestTask::Backup),
        (arguments.snapshot, BetestTask::Snapshot),
        (arguments.backup_complete_only, BetestTask::BackupComplete),
        (arguments.restore, BetestTask::Restore),
    ];
    let tasks = tasks.into_iter().filter(|(asked, _)| *asked);
    let choice = match (&arguments.config, &arguments.components) {
        (Some(file), _) => {
            let read = BetestConfiguration::read(&configuration(file)?);
            Some(read.map_err(|error| malformed(file, &error))?)
        }
        (None, Some(file)) => {
            let read = BetestConfiguration::read_component_list(&configuration(file)?);
            Some(read.map_err(|error| malformed(file, &error))?)
        }
        (None, None) => None,
    };
    Ok(BetestOptions {
        tasks: tasks.map(|(_, task)| task).collect(),
        configuration: choice,
        document: arguments.save_document.clone(),
        directory: arguments.directory.clone(),
        backup_type: arguments.backup_type.into(),
        previous: arguments.previous.clone(),
        authority: if arguments.auth {
            Authority::Authoritative
        } else {
            Authority::NotAuthoritative
        },
        bootable_system_state: arguments.bootable,
        context: if arguments.persistent || arguments.rollback {
            Context::AppRollback
        } else {
            Context::Backup
        },
        completion: if arguments.no_backup_complete {
            Completion::Omitted
        } else {
            Completion::Sent
        },
        on_writer_error: if arguments.stop_on_error {
            OnWriterError::Stop
        } else {
            OnWriterError::GoOn
        },
        detail: if arguments.verbose {
            Detail::Everything
        } else {
            Detail::Results
        },
    })
}
