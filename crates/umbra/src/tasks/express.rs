//! `umbra express`.

use super::input;
use crate::{
    command_line::ExpressTask,
    failure::Failure,
    output::{ExpressWriterView, Format, path_text, plain, print, tell},
};
use std::path::Path;
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
    let xml = input::read(file, MAX_EXPRESS_DOCUMENT)?;
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
