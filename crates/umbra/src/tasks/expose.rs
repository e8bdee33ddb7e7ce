//! `umbra expose` and `umbra unexpose`.

use crate::{command_line::ExposeArguments, failure::Failure, output::tell};
use umbra_client::Admin;
use umbra_model::{ShadowCopyId, VssCode, VssError};

/// Mounts a copy at an empty folder.
pub(super) async fn expose(admin: &Admin, arguments: &ExposeArguments) -> Result<(), Failure> {
    // The service wants the real path: its working directory is another.
    let folder = arguments.folder.canonicalize().map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound {
            VssCode::ObjectNotFound
        } else {
            VssCode::InvalidArgument
        };
        VssError::new(
            code,
            format!(
                "cannot expose a shadow copy at {}: {error}; name an existing, empty folder",
                arguments.folder.display()
            ),
        )
    })?;
    admin.expose(arguments.id, &folder).await?;
    tell(format!(
        "shadow copy {} is mounted at {}",
        arguments.id,
        folder.display()
    ));
    Ok(())
}

/// Unmounts it again.
pub(super) async fn unexpose(admin: &Admin, id: ShadowCopyId) -> Result<(), Failure> {
    admin.unexpose(id).await?;
    tell(format!("shadow copy {id} is mounted nowhere"));
    Ok(())
}
