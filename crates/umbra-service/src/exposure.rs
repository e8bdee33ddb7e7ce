//! Exposing shadow copies (`ExposeSnapshot`, `UnexposeSnapshot`).

use crate::{
    Service, blocking::within, catalog::Phase, deletion::find, service::ServiceInner,
    undo::while_undoing,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use umbra_model::{ShadowCopy, ShadowCopyId, VssCode, VssError, VssResult};

impl Service {
    /// Mounts a copy, read-only, at an existing, empty directory. Unlike on
    /// Windows it does not stay there across a restart of the machine.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for an unknown id, `VSS_E_OBJECT_ALREADY_EXISTS`
    /// for a copy that is exposed, what is wrong with the directory, or the
    /// system's error.
    pub async fn expose(&self, id: ShadowCopyId, dir: &Path) -> VssResult<()> {
        let _alone = self.inner.administration.lock().await;
        let copy = find(&self.inner.finished_sets().await?, id)?;
        let service = Arc::clone(&self.inner);
        let dir = dir.to_owned();
        let what = move || format!("exposing the shadow copy {id}");
        within(self.inner.limits.provider, what, move || {
            service.expose_blocking(&copy, &dir)
        })
        .await
    }

    /// Unmounts an exposed copy.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for an unknown id or a copy that is not exposed,
    /// `VSS_E_VOLUME_IN_USE` while somebody uses it.
    pub async fn unexpose(&self, id: ShadowCopyId) -> VssResult<()> {
        let _alone = self.inner.administration.lock().await;
        let copy = find(&self.inner.finished_sets().await?, id)?;
        let service = Arc::clone(&self.inner);
        let what = move || format!("unexposing the shadow copy {id}");
        within(self.inner.limits.provider, what, move || {
            let Some(dir) = &copy.exposed else {
                return Err(VssError::new(
                    VssCode::ObjectNotFound,
                    format!("the shadow copy {id} is not exposed; there is nothing to do"),
                ));
            };
            service.mounter.unmount(dir)?;
            service.write_exposed(&copy, None)
        })
        .await
    }
}

impl ServiceInner {
    fn expose_blocking(&self, copy: &ShadowCopy, dir: &Path) -> VssResult<()> {
        if let Some(there) = &copy.exposed
            && self.mounter.is_mounted(there)
        {
            return Err(VssError::new(
                VssCode::ObjectAlreadyExists,
                format!(
                    "the shadow copy {} is exposed at {} already; unexpose it first",
                    copy.id,
                    there.display()
                ),
            ));
        }
        self.mounter.check_target(dir)?;
        let surface = self.provider(copy.provider)?.surface(copy)?;
        // In the catalog first, so that no mount is unknown after a crash.
        self.write_exposed(copy, Some(dir.to_owned()))?;
        self.mounter
            .mount(&surface, dir)
            .map_err(|error| match self.write_exposed(copy, None) {
                Ok(()) => error,
                Err(undo) => error.followed_by(while_undoing(&undo)),
            })
    }

    /// Writes where a copy is exposed. Blocks.
    pub(crate) fn write_exposed(
        &self,
        copy: &ShadowCopy,
        exposed: Option<PathBuf>,
    ) -> VssResult<()> {
        self.catalog.edit(copy.set, |record| {
            let mut record = record?;
            if let Phase::Finished(set) = &mut record.phase {
                for other in set.copies.iter_mut().filter(|other| other.id == copy.id) {
                    other.exposed.clone_from(&exposed);
                }
            }
            Some(record)
        })
    }
}
