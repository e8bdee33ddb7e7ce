//! `umbra test-writer`.

use crate::{
    command_line::TestWriterArguments,
    exit::ExitKind,
    failure::Failure,
    output::{path_text, plain, print_text, tell},
    reach::unreachable,
    root::Root,
    signals::Endings,
};
use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
    process::ExitCode,
    sync::Arc,
};
use umbra_client::{Address, Connection, SubscribedWriter};
use umbra_conformance::{
    configuration::{ConfigurationError, MAX_CONFIGURATION_BYTES, TestWriterConfiguration},
    test_writer::TestWriter,
};

/// Is a test writer until somebody asks it to end or umbrad does.
pub(super) async fn test_writer(
    arguments: &TestWriterArguments,
    root: &Root,
    endings: &mut Endings,
) -> Result<ExitCode, Failure> {
    let configuration = read(&arguments.configuration)?;
    // A service in this process would be one that no requester can reach.
    let connection = Connection::open(&Address::Path(root.socket()))
        .await
        .map_err(unreachable)?;
    let writer = Arc::new(TestWriter::new(configuration, |line| {
        // Nobody may be listening any more; the writer goes on.
        let _ = print_text(&format!("{}\n", plain(line)));
    }));
    let subscribed = SubscribedWriter::subscribe(&connection, writer.clone()).await?;
    writer.subscribed();
    let ended = tokio::select! {
        ended = subscribed.run() => ended,
        _ = endings.next() => return Ok(verdict(&writer)),
    };
    tell("the Umbra service has ended, and the test writer with it");
    ended?;
    Ok(verdict(&writer))
}

fn verdict(writer: &TestWriter) -> ExitCode {
    match writer.wrongs() {
        0 => ExitCode::SUCCESS,
        wrongs => {
            tell(format_args!("{wrongs} checks failed"));
            ExitKind::ChecksFailed.code().into()
        }
    }
}

fn read(file: &Path) -> Result<TestWriterConfiguration, Failure> {
    TestWriterConfiguration::read(&configuration(file)?).map_err(|error| malformed(file, &error))
}

/// The bytes of a configuration file of one of the test tools.
pub(super) fn configuration(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(file)
        // One byte past the limit is enough to see that it is passed.
        .and_then(|open| {
            open.take(MAX_CONFIGURATION_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::NotFound => ExitKind::NotFound,
                ErrorKind::PermissionDenied => ExitKind::NoPrivilege,
                _ => ExitKind::Unexpected,
            };
            let name = path_text(file);
            Failure::new(kind, format!("cannot read {name}: {error}"))
        })?;
    Ok(bytes)
}

/// What is wrong with such a file.
pub(super) fn malformed(file: &Path, error: &ConfigurationError) -> Failure {
    let why = plain(&error.to_string());
    let message = format!("{}: {why}", path_text(file));
    Failure::new(ExitKind::BadConfiguration, message)
}
