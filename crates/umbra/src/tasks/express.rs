//! `umbra express`.

use crate::{
    command_line::ExpressTask,
    exit::ExitKind,
    failure::Failure,
    output::{ExpressWriterView, Format, path_text, plain, print, tell},
};
use std::{fs::File, io::Read, path::Path};
use umbra_client::{Admin, ExpressWriterMetadata, MAX_EXPRESS_DOCUMENT};
use umbra_model::{VssError, WriterId};

pub(super) async fn express(admin: &Admin, task: &ExpressTask) -> Result<(), Failure> {
    match task {
        ExpressTask::List(arguments) => list(admin, Format::of(arguments)).await,
        ExpressTask::Register(arguments) => register(admin, &arguments.file).await,
        ExpressTask::Unregister(arguments) => unregister(admin, arguments.id).await,
    }
}

async fn list(admin: &Admin, format: Format) -> Result<(), Failure> {
    let entries = admin.express_writers().await?;
    let views: Vec<_> = entries.iter().map(ExpressWriterView::new).collect();
    print(&views, format)
}

async fn register(admin: &Admin, file: &Path) -> Result<(), Failure> {
    let xml = read(file)?;
    // Here already, so that what is wrong is said of this file.
    ExpressWriterMetadata::load(&xml).map_err(|error| {
        let why = plain(error.message());
        VssError::new(error.code(), format!("{}: {why}", path_text(file)))
    })?;
    let entry = admin.register_express_writer(xml).await?;
    let writer = entry.writer?;
    tell(format!(
        "the express writer {} ({}) is registered, in {}",
        plain(&writer.identity.name),
        writer.identity.id,
        path_text(&entry.file)
    ));
    Ok(())
}

async fn unregister(admin: &Admin, id: WriterId) -> Result<(), Failure> {
    admin.unregister_express_writer(id).await?;
    tell(format!(
        "the express writer {id} is not registered any more"
    ));
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(file)
        // One byte past the limit is enough to see that it is passed.
        .and_then(|open| {
            open.take(MAX_EXPRESS_DOCUMENT as u64 + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(|error| {
            let kind = match error.kind() {
                std::io::ErrorKind::NotFound => ExitKind::NotFound,
                std::io::ErrorKind::PermissionDenied => ExitKind::NoPrivilege,
                _ => ExitKind::Unexpected,
            };
            Failure::new(kind, format!("cannot read {}: {error}", path_text(file)))
        })?;
    Ok(bytes)
}
