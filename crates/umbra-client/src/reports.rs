//! What the service reports, as values.

use std::path::PathBuf;
use umbra_documents::{BackupComponentsDocument, WriterMetadata};
use umbra_model::{
    HoldMethod, ProviderId, SessionId, SetId, Volume, VssError, VssResult, WriterState,
};
pub(crate) use umbra_protocol::fields::all;
use umbra_protocol::{fields, v1};
use umbra_provider::MountSource;

/// A state that a set has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The state's name, such as `PrepareForSnapshot`.
    pub state: String,
    /// A line for people.
    pub message: String,
}

/// A writer and how it is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterReport {
    /// Who it is and what it owns.
    pub metadata: WriterMetadata,
    /// How it is doing.
    pub state: WriterState,
    /// Its last failure.
    pub failure: Option<VssError>,
    /// The writer's own code for it (`GetWriterStatusEx`).
    pub application_code: Option<u32>,
    /// Where it runs: `in-box`, or `uid UID, pid PID`.
    pub origin: String,
}

/// A mounted file system, and who could copy it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeReport {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Its type.
    pub file_system: String,
    /// What it is mounted from.
    pub source: String,
    /// The volume, where it is one.
    pub volume: Option<Volume>,
    /// The provider's name and how the volume would be held, or why nothing can
    /// copy it.
    pub provider: Result<(String, HoldMethod), String>,
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderReport {
    /// Its id.
    pub id: ProviderId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `hardware`, `software` or `system`.
    pub kind: String,
    /// What it needs of a volume.
    pub needs: String,
}

/// A copy that can be mounted until the session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surfaced {
    /// How to mount it.
    pub mount: MountSource,
    /// Its own block device, where it has one.
    pub device: Option<PathBuf>,
}

/// What PreRestore and PostRestore came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The document with what the writers said.
    pub document: BackupComponentsDocument,
    /// The failures of writers; they do not end a restore.
    pub failures: Vec<VssError>,
}

/// How the service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Open sessions, the caller's own left out.
    pub sessions: Vec<SessionReport>,
    /// How many writers are connected.
    pub connected_writers: u32,
    /// Volumes that Umbra holds frozen now.
    pub held: Vec<PathBuf>,
    /// What the last start-up had to clean up or could not find, a line each.
    pub reconciled: Vec<String>,
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReport {
    /// Its id.
    pub id: SessionId,
    /// The requester's name.
    pub name: String,
    /// The requester's user.
    pub uid: u32,
    /// The requester's process.
    pub pid: i32,
    /// The state it is in.
    pub state: String,
    /// Its set, in the making or made.
    pub set: Option<SetId>,
}

impl TryFrom<v1::WriterReport> for WriterReport {
    type Error = VssError;

    fn try_from(report: v1::WriterReport) -> VssResult<Self> {
        Ok(Self {
            metadata: fields::required("WriterReport.metadata", report.metadata)?.try_into()?,
            state: WriterState::from_name(&report.state).ok_or_else(|| {
                let why = format!("{:?} is no VSS_WRITER_STATE", report.state);
                fields::invalid("WriterReport.state", why)
            })?,
            failure: report.failure.map(Into::into),
            application_code: report.application_code,
            origin: report.origin,
        })
    }
}

impl TryFrom<v1::VolumeReport> for VolumeReport {
    type Error = VssError;

    fn try_from(report: v1::VolumeReport) -> VssResult<Self> {
        let provider = if report.why_not.is_empty() {
            Ok((report.provider.clone(), report.hold_method().try_into()?))
        } else {
            Err(report.why_not)
        };
        Ok(Self {
            mount_point: fields::path("VolumeReport.mount_point", report.mount_point)?,
            file_system: report.file_system,
            source: report.source,
            volume: report.volume.map(TryInto::try_into).transpose()?,
            provider,
        })
    }
}

impl TryFrom<v1::ProviderReport> for ProviderReport {
    type Error = VssError;

    fn try_from(report: v1::ProviderReport) -> VssResult<Self> {
        Ok(Self {
            id: fields::id("ProviderReport.id", &report.id)?,
            name: report.name,
            version: report.version,
            kind: report.kind,
            needs: report.needs,
        })
    }
}

impl TryFrom<v1::SurfaceResponse> for Surfaced {
    type Error = VssError;

    fn try_from(response: v1::SurfaceResponse) -> VssResult<Self> {
        let mount = fields::required("SurfaceResponse.mount", response.mount)?;
        Ok(Self {
            mount: MountSource {
                file_system: mount.file_system,
                source: fields::name("MountSource.source", mount.source)?,
                options: mount.options,
            },
            device: response
                .device
                .map(|device| fields::path("SurfaceResponse.device", device))
                .transpose()?,
        })
    }
}

impl TryFrom<v1::SessionReport> for SessionReport {
    type Error = VssError;

    fn try_from(report: v1::SessionReport) -> VssResult<Self> {
        Ok(Self {
            id: fields::id("SessionReport.id", &report.id)?,
            name: report.name,
            uid: report.uid,
            pid: report.pid,
            state: report.state,
            set: fields::optional_id("SessionReport.set_id", &report.set_id)?,
        })
    }
}

impl TryFrom<v1::StatusResponse> for ServiceStatus {
    type Error = VssError;

    fn try_from(status: v1::StatusResponse) -> VssResult<Self> {
        Ok(Self {
            version: status.version,
            pid: status.pid,
            sessions: all(status.sessions)?,
            connected_writers: status.connected_writers,
            held: status
                .held
                .into_iter()
                .map(|path| fields::path("StatusResponse.held", path))
                .collect::<VssResult<_>>()?,
            reconciled: status.reconciled,
        })
    }
}
