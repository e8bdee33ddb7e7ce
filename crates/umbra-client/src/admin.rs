//! The administrator's calls.

use crate::{
    Connection, ProviderReport, Selection, ServiceStatus, VolumeReport, WriterReport, reports::all,
};
use std::path::Path;
use tonic::transport::Channel;
use umbra_model::{
    Context, ProviderCapabilities, ProviderId, ProviderType, ShadowCopyId, ShadowCopySet,
    VssResult, WriterId,
};
use umbra_protocol::{MAX_REPLY, fields, from_status, v1};
use umbra_writer::ExpressWriterEntry;
use v1::{admin_client::AdminClient, express_writer_entry::Outcome};

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

    /// Gives up every set in the making, whoever makes it, and says how many those
    /// were (`AbortAllSnapshotsInProgress`). Root only.
    ///
    /// # Errors
    ///
    /// Access is denied.
    pub async fn abort_all_snapshots_in_progress(&self) -> VssResult<u32> {
        let request = v1::AbortAllSnapshotsInProgressRequest {};
        Ok(call!(self.abort_all_snapshots_in_progress(request))?.sets)
    }

    /// Asks for a provider to be registered (`RegisterProvider`). Providers come
    /// with the service, so it never is.
    ///
    /// # Errors
    ///
    /// Always: `VSS_E_PROVIDER_ALREADY_REGISTERED` for an id that a provider has,
    /// `VSS_E_NOT_SUPPORTED` for others; `E_ACCESSDENIED` for anybody but root.
    pub async fn register_provider(
        &self,
        id: ProviderId,
        name: &str,
        kind: ProviderType,
        version: &str,
    ) -> VssResult<()> {
        let request = v1::RegisterProviderRequest {
            provider_id: id.to_string(),
            name: name.to_owned(),
            provider_type: kind.value(),
            version: version.to_owned(),
        };
        call!(self.register_provider(request)).map(drop)
    }

    /// Asks for a provider to be forgotten (`UnregisterProvider`). Providers come
    /// with the service, so it never is.
    ///
    /// # Errors
    ///
    /// Always: `VSS_E_PROVIDER_NOT_REGISTERED` for an id that none has,
    /// `VSS_E_NOT_SUPPORTED` for others; `E_ACCESSDENIED` for anybody but root.
    pub async fn unregister_provider(&self, id: ProviderId) -> VssResult<()> {
        let request = v1::UnregisterProviderRequest {
            provider_id: id.to_string(),
        };
        call!(self.unregister_provider(request)).map(drop)
    }

    /// What a provider can do (`GetProviderCapability`).
    ///
    /// # Errors
    ///
    /// `VSS_E_PROVIDER_NOT_REGISTERED`, or access is denied.
    pub async fn provider_capabilities(&self, id: ProviderId) -> VssResult<ProviderCapabilities> {
        let request = v1::GetProviderCapabilityRequest {
            provider_id: id.to_string(),
        };
        let bits = call!(self.get_provider_capability(request))?.capabilities;
        Ok(ProviderCapabilities::from_bits(bits))
    }

    /// In which context a provider is (`GetProviderContext`): `VSS_CTX_ALL`, since a
    /// context belongs to a session.
    ///
    /// # Errors
    ///
    /// `VSS_E_PROVIDER_NOT_REGISTERED`, or access is denied.
    pub async fn provider_context(&self, id: ProviderId) -> VssResult<Context> {
        let request = v1::GetProviderContextRequest {
            provider_id: id.to_string(),
        };
        Context::from_value(call!(self.get_provider_context(request))?.context)
    }

    /// Sets the context of a provider (`SetProviderContext`), which can only be
    /// `VSS_CTX_ALL`. Root only.
    ///
    /// # Errors
    ///
    /// `VSS_E_UNSUPPORTED_CONTEXT` for any other, `VSS_E_PROVIDER_NOT_REGISTERED`, or
    /// access is denied.
    pub async fn set_provider_context(&self, id: ProviderId, context: Context) -> VssResult<()> {
        let request = v1::SetProviderContextRequest {
            provider_id: id.to_string(),
            context: context.value(),
        };
        call!(self.set_provider_context(request)).map(drop)
    }

    /// The documents of express writers, bad ones too.
    ///
    /// # Errors
    ///
    /// They cannot be read or trusted, or access is denied.
    pub async fn express_writers(&self) -> VssResult<Vec<ExpressWriterEntry>> {
        let request = v1::ListExpressWritersRequest {};
        let entries = call!(self.list_express_writers(request))?.writers;
        entries.into_iter().map(express_writer).collect()
    }

    /// Has the service keep the document of an express writer from now on, as a new
    /// instance (`IVssExpressWriter::Register`). Make one with
    /// [`ExpressWriterMetadata`](crate::ExpressWriterMetadata), or read it from a
    /// file. Root only.
    ///
    /// # Errors
    ///
    /// `VSS_E_INVALID_XML_DOCUMENT`, with line and column, or what no express writer
    /// can say; `VSS_E_OBJECT_ALREADY_EXISTS` where the writer is registered; the
    /// system's error, or access is denied.
    pub async fn register_express_writer(
        &self,
        xml: impl Into<Vec<u8>>,
    ) -> VssResult<ExpressWriterEntry> {
        let request = v1::RegisterExpressWriterRequest {
            document: xml.into(),
        };
        let response = call!(self.register_express_writer(request))?;
        let field = "RegisterExpressWriterResponse.writer";
        express_writer(fields::required(field, response.writer)?)
    }

    /// Has the service forget an express writer (`IVssExpressWriter::Unregister`).
    /// Root only.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where it is not registered; the system's error, or
    /// access is denied.
    pub async fn unregister_express_writer(&self, id: WriterId) -> VssResult<()> {
        let request = v1::UnregisterExpressWriterRequest {
            writer_id: id.to_string(),
        };
        call!(self.unregister_express_writer(request)).map(drop)
    }
}

fn express_writer(entry: v1::ExpressWriterEntry) -> VssResult<ExpressWriterEntry> {
    Ok(ExpressWriterEntry {
        file: fields::path("ExpressWriterEntry.file", entry.file)?,
        writer: match fields::required("ExpressWriterEntry.outcome", entry.outcome)? {
            Outcome::Writer(writer) => Ok(writer.try_into()?),
            Outcome::Problem(problem) => Err(problem.into()),
        },
    })
}

fn ids(response: v1::DeleteResponse) -> VssResult<Vec<ShadowCopyId>> {
    response
        .ids
        .iter()
        .map(|id| fields::id("DeleteResponse.ids", id))
        .collect()
}
