//! Shadow copies that are there, and volumes that could have some.

use super::{
    BackupComponents,
    order::Call,
    state::{InCall, Session},
};
use crate::{ProviderReport, Selection, Surfaced, VolumeReport};
use std::path::{Component as PathPart, Path, PathBuf};
use umbra_model::{
    Attributes, Context, Instant, ProviderId, ShadowCopy, ShadowCopyId, ShadowCopySet,
    SnapshotState, VolumeId, VssCode, VssError, VssResult,
};

/// What is known of a shadow copy (`VSS_SNAPSHOT_PROP`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotProperties {
    /// The copy: its id and set, its volume, its provider, where it is exposed.
    pub copy: ShadowCopy,
    /// How many copies the set has now (`m_lSnapshotsCount`).
    pub copies_in_set: usize,
    /// Its attributes (`m_lSnapshotAttributes`): those of its context, and whether it is
    /// exposed.
    pub attributes: Attributes,
    /// Where it stands (`m_eStatus`): `VSS_SS_CREATED`, since a set is seen when all of
    /// it is there.
    pub state: SnapshotState,
    /// The instant that it shows (`m_tsCreationTimestamp`).
    pub instant: Instant,
}

/// What a path is called in a set (`GetRootAndLogicalPrefixPaths`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootPath {
    /// The mount point of the volume that the path lies on: what AddToSnapshotSet
    /// takes.
    pub root: PathBuf,
    /// The volume's name that stays the same wherever it is mounted.
    pub volume: VolumeId,
}

impl BackupComponents {
    /// The sets that are there (`Query` for `VSS_OBJECT_SNAPSHOT`), oldest first: those
    /// of the context of this session, and every one with `VSS_CTX_ALL`.
    pub async fn query(&self) -> VssResult<Vec<ShadowCopySet>> {
        let mut call = self.call(Call::Query)?;
        visible_sets(&mut call).await
    }

    /// The providers that are there (`Query` for `VSS_OBJECT_PROVIDER`).
    pub async fn query_providers(&self) -> VssResult<Vec<ProviderReport>> {
        let call = self.call(Call::Query)?;
        call.session().admin.list_providers().await
    }

    /// What is known of a copy (`GetSnapshotProperties`) of the context of this session,
    /// or of any with `VSS_CTX_ALL`. For the device, see
    /// [`BackupComponents::surface`].
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`.
    pub async fn snapshot_properties(&self, id: ShadowCopyId) -> VssResult<SnapshotProperties> {
        let mut call = self.call(Call::GetSnapshotProperties)?;
        let sets = visible_sets(&mut call).await?;
        let mut found = sets.into_iter().filter_map(|set| {
            let copy = set.copies.iter().find(|copy| copy.id == id)?.clone();
            let exposed = match copy.exposed {
                Some(_) => Attributes::EXPOSED_LOCALLY,
                None => Attributes::default(),
            };
            Some(SnapshotProperties {
                copies_in_set: set.copies.len(),
                attributes: Attributes::from_bits(set.context).with(exposed),
                state: SnapshotState::Created,
                instant: set.instant,
                copy,
            })
        });
        found.next().ok_or_else(|| {
            VssError::new(
                VssCode::ObjectNotFound,
                format!(
                    "there is no shadow copy {id} in this session's context; \
                     SetContext with VSS_CTX_ALL shows every one"
                ),
            )
        })
    }

    /// Makes a copy of this session's set mountable until the session ends: what
    /// `m_pwszSnapshotDeviceObject` is for ("Requester Access to Shadow Copied Data").
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, or what the provider failed with.
    pub async fn surface(&self, copy: ShadowCopyId) -> VssResult<Surfaced> {
        let call = self.call(Call::Surface)?;
        call.session().requester.surface(copy).await
    }

    /// Deletes copies (`DeleteSnapshots`) of the context of this session, or any with
    /// `VSS_CTX_ALL`, and gives which. A copy that is exposed is unmounted first.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`; `VSS_E_VOLUME_IN_USE` where a copy is exposed and busy;
    /// what the provider failed with.
    pub async fn delete_snapshots(&self, which: &Selection) -> VssResult<Vec<ShadowCopyId>> {
        let mut call = self.call(Call::DeleteSnapshots)?;
        let mut copies = call.session().admin.select_for_deletion(which).await?;
        let sets = visible_sets(&mut call).await?;
        let is_visible = |id: &ShadowCopyId| {
            let mut all = sets.iter().flat_map(|set| &set.copies);
            all.any(|copy| copy.id == *id)
        };
        copies.retain(is_visible);
        if copies.is_empty() && *which != Selection::All {
            return Err(VssError::new(
                VssCode::ObjectNotFound,
                "none of these shadow copies is of this session's context; \
                 SetContext with VSS_CTX_ALL finds every one",
            ));
        }
        if copies.is_empty() {
            return Ok(copies);
        }
        let which = Selection::Copies(copies);
        call.session().admin.delete(&which).await
    }

    /// Mounts a copy at an empty folder, read-only (`ExposeSnapshot`). For root only.
    /// There is no sharing over the network and no mounting of a folder of the copy.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, or why the folder will not do.
    pub async fn expose_snapshot(&self, copy: ShadowCopyId, folder: &Path) -> VssResult<()> {
        let call = self.call(Call::ExposeSnapshot)?;
        call.session().admin.expose(copy, folder).await
    }

    /// Unmounts it again (`IVssBackupComponentsEx2::UnexposeSnapshot`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, or `VSS_E_VOLUME_IN_USE` where it is busy.
    pub async fn unexpose_snapshot(&self, copy: ShadowCopyId) -> VssResult<()> {
        let call = self.call(Call::UnexposeSnapshot)?;
        call.session().admin.unexpose(copy).await
    }

    /// Whether a volume, by mount point, block device or volume id, can be in a set; with
    /// a provider, whether that is the one that would copy it (`IsVolumeSupported`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for no volume; `VSS_E_PROVIDER_NOT_REGISTERED`.
    pub async fn is_volume_supported(
        &self,
        volume: &Path,
        provider: Option<ProviderId>,
    ) -> VssResult<bool> {
        let call = self.call(Call::IsVolumeSupported)?;
        call.session().is_supported(volume, provider).await
    }

    /// The volume that a path lies on, by the names that other calls take
    /// (`IVssBackupComponentsEx4::GetRootAndLogicalPrefixPaths`). Looks at the text of
    /// the path alone: symbolic links in it are not followed. Network shares have no
    /// place in a set of Umbra, nor have their names here.
    ///
    /// # Errors
    ///
    /// `E_INVALIDARG` for a path that is relative or has `..` in it;
    /// `VSS_E_OBJECT_NOT_FOUND` for one on no volume.
    pub async fn root_and_logical_prefix_paths(&self, path: &Path) -> VssResult<RootPath> {
        let has_parent = path.components().any(|part| part == PathPart::ParentDir);
        if !path.is_absolute() || has_parent {
            return Err(VssError::new(
                VssCode::InvalidArgument,
                format!("the path {path:?} is not absolute or has \"..\" in it"),
            ));
        }
        let volumes = self.session.admin.list_volumes().await?;
        let holding = volumes
            .into_iter()
            .filter(|volume| path.starts_with(&volume.mount_point))
            .max_by_key(|volume| volume.mount_point.components().count());
        holding
            .and_then(|report| {
                Some(RootPath {
                    root: report.mount_point,
                    volume: report.volume?.id,
                })
            })
            .ok_or_else(|| {
                VssError::new(
                    VssCode::ObjectNotFound,
                    format!("the path {path:?} lies on no volume that can be in a set"),
                )
            })
    }
}

impl Session {
    /// Whether a provider, or the one that is named, would copy a volume.
    pub(super) async fn is_supported(
        &self,
        name: &Path,
        provider: Option<ProviderId>,
    ) -> VssResult<bool> {
        let volumes = self.admin.list_volumes().await?;
        let volume = volumes
            .iter()
            .find(|volume| is_called(volume, name))
            .ok_or_else(|| {
                VssError::new(
                    VssCode::ObjectNotFound,
                    format!("there is no volume {}", name.display()),
                )
            })?;
        let Some(wanted) = provider else {
            return Ok(volume.provider.is_ok());
        };
        let providers = self.admin.list_providers().await?;
        let wanted = providers
            .iter()
            .find(|provider| provider.id == wanted)
            .ok_or_else(|| {
                VssError::new(
                    VssCode::ProviderNotRegistered,
                    format!("there is no provider {wanted}"),
                )
            })?;
        let chosen = volume.provider.as_ref();
        Ok(chosen.is_ok_and(|(name, _)| *name == wanted.name))
    }
}

fn is_called(report: &VolumeReport, name: &Path) -> bool {
    report.mount_point == name
        || report
            .volume
            .as_ref()
            .is_some_and(|volume| volume.device == name || Path::new(volume.id.as_str()) == name)
}

/// The sets that a session sees ("Shadow Copy Context Configurations").
async fn visible_sets(call: &mut InCall) -> VssResult<Vec<ShadowCopySet>> {
    let context = call.state().context;
    let mut sets = call.session().admin.list_sets().await?;
    if context != Context::All {
        sets.retain(|set| set.context == context.value());
    }
    Ok(sets)
}
