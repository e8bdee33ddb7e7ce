//! The administrator's calls.

use crate::{
    Connection, ProviderReport, Selection, ServiceStatus, VolumeReport, WriterReport, reports::all,
};
use std::path::Path;
use tonic::transport::Channel;
use umbra_model::{ShadowCopyId, ShadowCopySet, VssResult};
use umbra_protocol::{MAX_REPLY, fields, from_status, v1};
use v1::admin_client::AdminClient;

/// Lists what there is, and gets rid of it. Every call fails with the service's
/// own error.
#[derive(Debug, Clone)]
pub struct Admin {
    client: AdminClient<Channel>,
}

/// Makes one call with one request.
macro_rules! call {
    ($self:ident.$method:ident($request:expr)) => {
        $self
            .client
            .clone()
            .$method($request)
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| from_status(&status))
    };
}

impl Admin {
    /// The administrator's calls over this connection.
    pub fn new(connection: &Connection) -> Self {
        Self {
            client: AdminClient::new(connection.channel()).max_decoding_message_size(MAX_REPLY),
        }
    }

    /// Which volumes there are and which provider would copy each.
    ///
    /// # Errors
    ///
    /// The mount table cannot be read, or access is denied.
    pub async fn list_volumes(&self) -> VssResult<Vec<VolumeReport>> {
        all(call!(self.list_volumes(v1::ListVolumesRequest {}))?.volumes)
    }

    /// Which providers there are (`QueryProviders`).
    ///
    /// # Errors
    ///
    /// Access is denied.
    pub async fn list_providers(&self) -> VssResult<Vec<ProviderReport>> {
        all(call!(self.list_providers(v1::ListProvidersRequest {}))?.providers)
    }

    /// Which writers there are, what they own and how they are
    /// (`GatherWriterStatus`).
    ///
    /// # Errors
    ///
    /// Access is denied. A writer that fails is in the list with its failure.
    pub async fn list_writers(&self) -> VssResult<Vec<WriterReport>> {
        all(call!(self.list_writers(v1::ListWritersRequest {}))?.writers)
    }

    /// Every finished set, oldest first (`Query`).
    ///
    /// # Errors
    ///
    /// The catalog cannot be read, or access is denied.
    pub async fn list_sets(&self) -> VssResult<Vec<ShadowCopySet>> {
        all(call!(self.list_sets(v1::ListSetsRequest {}))?.sets)
    }

    /// Which copies [`Admin::delete`] would delete; deletes nothing.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where there is no such copy, set or volume.
    pub async fn select_for_deletion(&self, selection: &Selection) -> VssResult<Vec<ShadowCopyId>> {
        ids(call!(
            self.select_for_deletion(v1::DeleteRequest::from(selection))
        )?)
    }

    /// Deletes copies (`DeleteSnapshots`) and returns which.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, `VSS_E_VOLUME_IN_USE` where a copy is exposed
    /// and busy, or what the provider failed with.
    pub async fn delete(&self, selection: &Selection) -> VssResult<Vec<ShadowCopyId>> {
        ids(call!(self.delete(v1::DeleteRequest::from(selection)))?)
    }

    /// Mounts a copy at an empty folder, read-only (`ExposeSnapshot`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, or why the folder will not do.
    pub async fn expose(&self, id: ShadowCopyId, folder: &Path) -> VssResult<()> {
        let request = v1::ExposeRequest {
            shadow_copy_id: id.to_string(),
            path: fields::bytes(folder),
        };
        call!(self.expose(request)).map(drop)
    }

    /// Unmounts it again (`UnexposeSnapshot`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, or `VSS_E_VOLUME_IN_USE` where it is busy.
    pub async fn unexpose(&self, id: ShadowCopyId) -> VssResult<()> {
        let request = v1::UnexposeRequest {
            shadow_copy_id: id.to_string(),
        };
        call!(self.unexpose(request)).map(drop)
    }

    /// How the service is.
    ///
    /// # Errors
    ///
    /// Access is denied.
    pub async fn status(&self) -> VssResult<ServiceStatus> {
        call!(self.status(v1::StatusRequest {}))?.try_into()
    }
}

fn ids(response: v1::DeleteResponse) -> VssResult<Vec<ShadowCopyId>> {
    response
        .ids
        .iter()
        .map(|id| fields::id("DeleteResponse.ids", id))
        .collect()
}
