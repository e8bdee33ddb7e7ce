//! Providers that fail where a test wants it.
//!
//! Each step has a fail point `provider::<step>`. `return(TEXT)` makes it fail
//! for volumes whose mount point contains TEXT, `return` for every volume.

use umbra_model::{
    ProviderCapabilities, ProviderLocation, ShadowCopy, ShadowCopyId, Volume, VssCode, VssError,
    VssResult,
};
use umbra_provider::{
    PendingShadowCopy, Presence, Provider, ProviderProperties, StorageManagement, Support, Surface,
};

pub(crate) struct FailPoints<P>(pub(crate) P);

impl<P: Provider> Provider for FailPoints<P> {
    fn properties(&self) -> &ProviderProperties {
        self.0.properties()
    }

    fn capabilities(&self) -> ProviderCapabilities {
        self.0.capabilities()
    }

    fn storage(&self) -> Option<&dyn StorageManagement> {
        self.0.storage()
    }

    fn is_volume_supported(&self, volume: &Volume) -> Support {
        self.0.is_volume_supported(volume)
    }

    fn location(&self, id: ShadowCopyId, volume: &Volume) -> VssResult<ProviderLocation> {
        self.0.location(id, volume)
    }

    fn begin_prepare(
        &self,
        id: ShadowCopyId,
        volume: &Volume,
        location: &ProviderLocation,
    ) -> VssResult<Box<dyn PendingShadowCopy>> {
        reach("provider::begin_prepare", volume)?;
        Ok(Box::new(Pending {
            inner: self.0.begin_prepare(id, volume, location)?,
            volume: volume.clone(),
        }))
    }

    fn surface(&self, copy: &ShadowCopy) -> VssResult<Surface> {
        self.0.surface(copy)
    }

    fn presence(&self, copy: &ShadowCopy) -> Presence {
        self.0.presence(copy)
    }

    fn delete(&self, copy: &ShadowCopy) -> VssResult<()> {
        self.0.delete(copy)
    }
}

struct Pending {
    inner: Box<dyn PendingShadowCopy>,
    volume: Volume,
}

impl PendingShadowCopy for Pending {
    fn end_prepare(&mut self) -> VssResult<()> {
        reach("provider::end_prepare", &self.volume)?;
        self.inner.end_prepare()
    }

    fn pre_commit(&mut self) -> VssResult<()> {
        reach("provider::pre_commit", &self.volume)?;
        self.inner.pre_commit()
    }

    fn commit(&mut self) -> VssResult<()> {
        reach("provider::commit", &self.volume)?;
        self.inner.commit()
    }

    fn post_commit(&mut self) -> VssResult<()> {
        reach("provider::post_commit", &self.volume)?;
        self.inner.post_commit()
    }

    fn pre_final_commit(&mut self) -> VssResult<()> {
        reach("provider::pre_final_commit", &self.volume)?;
        self.inner.pre_final_commit()
    }

    fn post_final_commit(&mut self) -> VssResult<()> {
        reach("provider::post_final_commit", &self.volume)?;
        self.inner.post_final_commit()
    }

    fn abort(&mut self) -> VssResult<()> {
        self.inner.abort()
    }
}

fn reach(point: &str, volume: &Volume) -> VssResult<()> {
    fail::fail_point!(point, |text: Option<String>| {
        let meant = volume
            .mount_point
            .to_string_lossy()
            .contains(text.as_deref().unwrap_or_default());
        if meant {
            Err(VssError::new(
                VssCode::ProviderVeto,
                format!(
                    "{point} fails for {}, as the test wants",
                    volume.mount_point.display()
                ),
            ))
        } else {
            Ok(())
        }
    });
    Ok(())
}
