//! Managing providers, express writers and shadow copy storage (`IVssAdmin`,
//! `IVssSnapshotMgmt`, `IVssDifferentialSoftwareSnapshotMgmt`).

use crate::{
    Service,
    blocking::{off_loop, within},
    deletion::find,
    service::ServiceInner,
};
use std::{path::Path, sync::Arc};
use umbra_model::{
    ByteCount, Context, DeltaBitmap, DiffAreaProperties, DiffVolumeProperties, MaximumSpace,
    ProtectionLevel, ProviderCapabilities, ProviderId, ShadowCopy, ShadowCopyId, SnapshotPriority,
    Volume, VolumeProperties, VolumeProtection, VssCode, VssError, VssResult, WriterId,
};
use umbra_provider::{Migration, Persistence, Provider, StorageManagement, Support};
use umbra_volume::Volumes;
use umbra_writer::{ExpressWriterEntry, ExpressWriterMetadata, ExpressWriters};

impl Service {
    /// Refuses a provider (`IVssAdmin::RegisterProvider`): a service is given all
    /// of its providers when it is made.
    ///
    /// # Errors
    ///
    /// Always: `VSS_E_PROVIDER_ALREADY_REGISTERED` for an id that a provider has,
    /// `VSS_E_NOT_SUPPORTED` for others.
    pub fn register_provider(&self, id: ProviderId, name: &str) -> VssResult<()> {
        Err(match self.inner.registered(id) {
            Ok(there) => VssError::new(
                VssCode::ProviderAlreadyRegistered,
                format!(
                    "the provider {name:?} has the id {id} of the provider {}",
                    there.properties().name
                ),
            ),
            Err(_) => VssError::new(
                VssCode::NotSupported,
                format!(
                    "the provider {name:?} cannot be registered: providers come with Umbra; \
                     `umbra providers` lists them"
                ),
            ),
        })
    }

    /// Keeps a provider (`IVssAdmin::UnregisterProvider`).
    ///
    /// # Errors
    ///
    /// Always: `VSS_E_PROVIDER_NOT_REGISTERED` for an id that none has,
    /// `VSS_E_NOT_SUPPORTED` for others.
    pub fn unregister_provider(&self, id: ProviderId) -> VssResult<()> {
        let provider = self.inner.registered(id)?;
        Err(VssError::new(
            VssCode::NotSupported,
            format!(
                "the provider {} cannot be unregistered: it comes with Umbra",
                provider.properties().name
            ),
        ))
    }

    /// What a provider can do (`IVssAdminEx::GetProviderCapability`).
    ///
    /// # Errors
    ///
    /// `VSS_E_PROVIDER_NOT_REGISTERED`.
    pub fn provider_capabilities(&self, id: ProviderId) -> VssResult<ProviderCapabilities> {
        Ok(self.inner.registered(id)?.capabilities())
    }

    /// In which context a provider is (`IVssAdminEx::GetProviderContext`): in all of
    /// them, since here a context belongs to a requester's session.
    ///
    /// # Errors
    ///
    /// `VSS_E_PROVIDER_NOT_REGISTERED`.
    pub fn provider_context(&self, id: ProviderId) -> VssResult<Context> {
        self.inner.registered(id).map(|_| Context::All)
    }

    /// Takes the context that a provider is in (`IVssAdminEx::SetProviderContext`).
    ///
    /// # Errors
    ///
    /// `VSS_E_PROVIDER_NOT_REGISTERED`; `VSS_E_UNSUPPORTED_CONTEXT` for any other.
    pub fn set_provider_context(&self, id: ProviderId, context: Context) -> VssResult<()> {
        let provider = self.inner.registered(id)?;
        if context == Context::All {
            return Ok(());
        }
        Err(VssError::new(
            VssCode::UnsupportedContext,
            format!(
                "the provider {} cannot be set to {context}: it works in every context, and \
                 each session sets its own",
                provider.properties().name
            ),
        ))
    }

    /// The documents of express writers, bad ones too.
    ///
    /// # Errors
    ///
    /// Nobody keeps any (`VSS_E_NOT_SUPPORTED`), or they cannot be read.
    pub async fn express_writers(&self) -> VssResult<Vec<ExpressWriterEntry>> {
        let registry = self.inner.express_registry()?;
        off_loop(move || registry.list()).await
    }

    /// Keeps the document of an express writer from now on
    /// (`IVssExpressWriter::Register`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_ALREADY_EXISTS`, `VSS_E_INVALID_XML_DOCUMENT`,
    /// `VSS_E_NOT_SUPPORTED` where nobody keeps any, or the system's error.
    pub async fn register_express_writer(
        &self,
        metadata: ExpressWriterMetadata,
    ) -> VssResult<ExpressWriterEntry> {
        let registry = self.inner.express_registry()?;
        off_loop(move || registry.register(&metadata)).await
    }

    /// Forgets an express writer (`IVssExpressWriter::Unregister`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND`, `VSS_E_NOT_SUPPORTED` where nobody keeps any, or
    /// the system's error.
    pub async fn unregister_express_writer(&self, id: WriterId) -> VssResult<()> {
        let registry = self.inner.express_registry()?;
        off_loop(move || registry.unregister(id)).await
    }

    /// Which volumes a provider, or any of them, can copy
    /// (`IVssSnapshotMgmt::QueryVolumesSupportedForSnapshots`).
    ///
    /// # Errors
    ///
    /// `VSS_E_PROVIDER_NOT_REGISTERED`, or the mount table cannot be read.
    pub async fn volumes_supported_for_snapshots(
        &self,
        provider: Option<ProviderId>,
    ) -> VssResult<Vec<VolumeProperties>> {
        let providers = match provider {
            Some(id) => vec![self.inner.registered(id)?],
            None => self.inner.providers.clone(),
        };
        let volumes = Arc::clone(&self.inner.volumes);
        let what = || "listing the volumes".to_owned();
        within(self.inner.limits.provider, what, move || {
            let can_be_copied = |volume: &Volume| {
                providers.iter().any(|provider| {
                    matches!(provider.is_volume_supported(volume), Support::Supported(_))
                })
            };
            let there = volumes.list()?.into_iter();
            let there = there.filter_map(|listing| listing.volume.ok());
            Ok(there
                .filter(can_be_copied)
                .map(|volume| VolumeProperties::from(&volume))
                .collect())
        })
        .await
    }

    /// The copies of a volume, oldest first
    /// (`IVssSnapshotMgmt::QuerySnapshotsByVolume`).
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a volume that is not there,
    /// `VSS_E_PROVIDER_NOT_REGISTERED`.
    pub async fn snapshots_by_volume(
        &self,
        volume: &Path,
        provider: Option<ProviderId>,
    ) -> VssResult<Vec<ShadowCopy>> {
        if let Some(id) = provider {
            self.inner.registered(id)?;
        }
        let volumes = Arc::clone(&self.inner.volumes);
        let name = volume.to_owned();
        let what = || "finding the volume".to_owned();
        let volume = within(self.inner.limits.provider, what, move || {
            volumes.resolve(&name)
        })
        .await?;
        let sets = self.inner.finished_sets().await?;
        let copies = sets.into_iter().flat_map(|set| set.copies);
        Ok(copies
            .filter(|copy| copy.volume.id == volume.id)
            .filter(|copy| provider.is_none_or(|id| copy.provider == id))
            .collect())
    }

    /// The management of a provider's storage
    /// (`IVssSnapshotMgmt::GetProviderMgmtInterface`).
    ///
    /// # Errors
    ///
    /// `VSS_E_PROVIDER_NOT_REGISTERED`; `VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER` for
    /// a provider that keeps no storage of its own.
    pub fn provider_storage(&self, id: ProviderId) -> VssResult<ProviderStorage> {
        let provider = self.inner.registered(id)?;
        storage_of(provider.as_ref())?;
        Ok(ProviderStorage {
            service: Arc::clone(&self.inner),
            provider,
        })
    }
}

impl ServiceInner {
    fn registered(&self, id: ProviderId) -> VssResult<Arc<dyn Provider>> {
        self.find_provider(id).ok_or_else(|| {
            VssError::new(
                VssCode::ProviderNotRegistered,
                format!("there is no provider {id}; `umbra providers` lists them"),
            )
        })
    }

    fn express_registry(&self) -> VssResult<Arc<dyn ExpressWriters>> {
        self.writers.express().ok_or_else(|| {
            VssError::new(
                VssCode::NotSupported,
                "this service keeps no documents of express writers",
            )
        })
    }
}

fn storage_of(provider: &dyn Provider) -> VssResult<&dyn StorageManagement> {
    provider.storage().ok_or_else(|| {
        VssError::new(
            VssCode::VolumeNotSupportedByProvider,
            format!(
                "the provider {} keeps no storage of its own: its copies share blocks with the \
                 volume that they show, so there is nothing to manage",
                provider.properties().name
            ),
        )
    })
}

/// The storage of one provider (`IVssDifferentialSoftwareSnapshotMgmt` to 3).
/// Volumes are named by mount point, block device or stable id; each call fails
/// with `VSS_E_OBJECT_NOT_FOUND` for one that is not there, and as the method of
/// [`StorageManagement`] that it leads to.
pub struct ProviderStorage {
    service: Arc<ServiceInner>,
    provider: Arc<dyn Provider>,
}

/// What a call on storage is made with.
struct Ask<'a> {
    storage: &'a dyn StorageManagement,
    volumes: &'a dyn Volumes,
}

impl Ask<'_> {
    fn volume(&self, name: &Path) -> VssResult<Volume> {
        self.volumes.resolve(name)
    }
}

/// Defines the calls: the names of the volumes first, each made a volume; then what
/// the provider is given as it is.
macro_rules! storage_calls {
    ($(
        $(#[$doc:meta])*
        $name:ident($($volume:ident),*; $($argument:ident: $kind:ty),*) -> $result:ty;
    )*) => {
        impl ProviderStorage {$(
            $(#[$doc])*
            ///
            /// # Errors
            ///
            /// As its namesake.
            pub async fn $name(
                &self,
                $($volume: &Path,)*
                $($argument: $kind,)*
            ) -> VssResult<$result> {
                $(let $volume = $volume.to_owned();)*
                self.ask(stringify!($name), move |ask| {
                    ask.storage.$name($(&ask.volume(&$volume)?,)* $($argument,)*)
                })
                .await
            }
        )*}
    };
}

storage_calls! {
    /// The least room of a diff area (`GetMinDiffAreaSize`).
    min_diff_area_size(;) -> ByteCount;
    /// Gives a volume a diff area (`AddDiffArea`).
    add_diff_area(volume, on; maximum: MaximumSpace) -> ();
    /// Changes how large one may become (`ChangeDiffAreaMaximumSize`, `...Ex`).
    change_diff_area_maximum_size(
        volume, on; maximum: MaximumSpace, persistence: Persistence
    ) -> ();
    /// Where a volume can have one (`QueryVolumesSupportedForDiffAreas`).
    volumes_supported_for_diff_areas(volume;) -> Vec<DiffVolumeProperties>;
    /// Those of a volume (`QueryDiffAreasForVolume`).
    diff_areas_for_volume(volume;) -> Vec<DiffAreaProperties>;
    /// Those on a volume (`QueryDiffAreasOnVolume`).
    diff_areas_on_volume(on;) -> Vec<DiffAreaProperties>;
    /// Moves one to another volume (`MigrateDiffAreas`).
    migrate_diff_areas(volume, on, to;) -> ();
    /// How far that is (`QueryMigrationStatus`).
    migration_status(volume, on;) -> Migration;
    /// What is given up first (`SetVolumeProtectLevel`).
    set_volume_protect_level(volume; level: ProtectionLevel) -> ();
    /// How a volume is protected (`GetVolumeProtectLevel`).
    volume_protect_level(volume;) -> VolumeProtection;
    /// Lets a volume go on (`ClearVolumeProtectFault`).
    clear_volume_protect_fault(volume;) -> ();
    /// Deletes diff areas that nobody needs (`DeleteUnusedDiffAreas`).
    delete_unused_diff_areas(on;) -> ();
}

impl ProviderStorage {
    /// Those that a copy has something in (`QueryDiffAreasForSnapshot`).
    ///
    /// # Errors
    ///
    /// As its namesake.
    pub async fn diff_areas_for_snapshot(
        &self,
        copy: ShadowCopyId,
    ) -> VssResult<Vec<DiffAreaProperties>> {
        let copy = self.copy(copy).await?;
        self.ask("diff_areas_for_snapshot", move |ask| {
            ask.storage.diff_areas_for_snapshot(&copy)
        })
        .await
    }

    /// Which copies go first where room is short (`SetSnapshotPriority`).
    ///
    /// # Errors
    ///
    /// As its namesake.
    pub async fn set_snapshot_priority(
        &self,
        copy: ShadowCopyId,
        priority: SnapshotPriority,
    ) -> VssResult<()> {
        let copy = self.copy(copy).await?;
        self.ask("set_snapshot_priority", move |ask| {
            ask.storage.set_snapshot_priority(&copy, priority)
        })
        .await
    }

    /// Which blocks differ between two copies (`QuerySnapshotDeltaBitmap`).
    ///
    /// # Errors
    ///
    /// As its namesake; `E_INVALIDARG` for copies of two volumes.
    pub async fn snapshot_delta_bitmap(
        &self,
        older: ShadowCopyId,
        younger: ShadowCopyId,
    ) -> VssResult<DeltaBitmap> {
        let (older, younger) = (self.copy(older).await?, self.copy(younger).await?);
        if older.volume.id != younger.volume.id {
            return Err(VssError::new(
                VssCode::InvalidArgument,
                format!(
                    "the shadow copies {} and {} show two volumes, {} and {}; name two of one",
                    older.id,
                    younger.id,
                    older.volume.mount_point.display(),
                    younger.volume.mount_point.display()
                ),
            ));
        }
        self.ask("snapshot_delta_bitmap", move |ask| {
            ask.storage.snapshot_delta_bitmap(&older, &younger)
        })
        .await
    }

    /// A copy that this provider keeps.
    async fn copy(&self, id: ShadowCopyId) -> VssResult<ShadowCopy> {
        let copy = find(&self.service.finished_sets().await?, id)?;
        let properties = self.provider.properties();
        if copy.provider == properties.id {
            return Ok(copy);
        }
        Err(VssError::new(
            VssCode::ObjectNotFound,
            format!(
                "the shadow copy {id} is not kept by the provider {}",
                properties.name
            ),
        ))
    }

    async fn ask<T: Send + 'static>(
        &self,
        call: &'static str,
        work: impl FnOnce(Ask<'_>) -> VssResult<T> + Send + 'static,
    ) -> VssResult<T> {
        let provider = Arc::clone(&self.provider);
        let volumes = Arc::clone(&self.service.volumes);
        let name = provider.properties().name;
        let what = move || format!("{call} of the provider {name}");
        within(self.service.limits.provider, what, move || {
            work(Ask {
                storage: storage_of(provider.as_ref())?,
                volumes: volumes.as_ref(),
            })
        })
        .await
    }
}
