//! Deleting shadow copies (`DeleteSnapshots`).

use crate::{Service, blocking::within, messages::first, service::ServiceInner};
use std::{path::PathBuf, sync::Arc};
use umbra_model::{SetId, ShadowCopy, ShadowCopyId, ShadowCopySet, VssCode, VssError, VssResult};

/// Which copies are to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Copies(Vec<ShadowCopyId>),
    /// All of this set.
    Set(SetId),
    /// The oldest of the volume with this name: a mount point, a block device or
    /// a volume id, also of one that is not mounted any more.
    OldestOf(PathBuf),
    /// Every one.
    All,
}

impl Service {
    /// The copies that a deletion would delete; deletes nothing.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for an id or a volume that has none.
    pub async fn select_for_deletion(&self, selection: &Selection) -> VssResult<Vec<ShadowCopyId>> {
        let copies = self.inner.select(selection).await?;
        Ok(copies.into_iter().map(|copy| copy.id).collect())
    }

    /// Deletes copies; a set goes with its last copy. An exposed copy is
    /// unexposed first. All are tried, whatever fails.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` before anything is deleted;
    /// `VSS_E_VOLUME_IN_USE` for a copy that is in use where it is exposed; what
    /// the provider failed with. The first, with the others attached.
    pub async fn delete(&self, selection: &Selection) -> VssResult<Vec<ShadowCopyId>> {
        let _alone = self.inner.administration.lock().await;
        let mut deleted = Vec::new();
        let mut failures = Vec::new();
        for copy in self.inner.select(selection).await? {
            let id = copy.id;
            match self.inner.delete_copy(copy).await {
                Ok(()) => deleted.push(id),
                Err(error) => failures.push(error),
            }
        }
        first(failures).map(|()| deleted)
    }
}

impl ServiceInner {
    async fn select(&self, selection: &Selection) -> VssResult<Vec<ShadowCopy>> {
        let sets = self.finished_sets().await?;
        match selection {
            Selection::All => Ok(sets.into_iter().flat_map(|set| set.copies).collect()),
            Selection::Set(id) => sets
                .into_iter()
                .find(|set| set.id == *id)
                .map(|set| set.copies)
                .ok_or_else(|| not_found(format!("there is no shadow copy set {id}"))),
            Selection::Copies(ids) => ids.iter().map(|id| find(&sets, *id)).collect(),
            Selection::OldestOf(name) => {
                let volumes = Arc::clone(&self.volumes);
                let named = name.clone();
                let what = || "finding the volume".to_owned();
                let resolved = within(self.limits.provider, what, move || {
                    Ok(volumes.resolve(&named))
                });
                let resolved = resolved.await?;
                sets.into_iter()
                    .flat_map(|set| set.copies)
                    .find(|copy| match &resolved {
                        Ok(volume) => copy.volume.id == volume.id,
                        Err(_) => {
                            copy.volume.mount_point == *name
                                || copy.volume.device == *name
                                || name.to_str() == Some(copy.volume.id.as_str())
                        }
                    })
                    .map(|copy| vec![copy])
                    .ok_or_else(|| {
                        not_found(format!(
                            "there is no shadow copy of a volume {}",
                            name.display()
                        ))
                    })
            }
        }
    }

    /// Deletes one copy and takes it out of the catalog.
    pub(crate) async fn delete_copy(self: &Arc<Self>, copy: ShadowCopy) -> VssResult<()> {
        let service = Arc::clone(self);
        let limit = self.limits.provider;
        let id = copy.id;
        let what = move || format!("deleting the shadow copy {id}");
        within(limit, what, move || service.delete_copy_blocking(&copy)).await
    }

    pub(crate) fn delete_copy_blocking(&self, copy: &ShadowCopy) -> VssResult<()> {
        if let Some(directory) = &copy.exposed {
            self.mounter.unmount(directory)?;
        }
        self.drop_surface(copy.id);
        self.provider(copy.provider)?.delete(copy)?;
        self.catalog.remove_copy(copy.set, copy.id)
    }
}

/// A finished copy.
pub(crate) fn find(sets: &[ShadowCopySet], id: ShadowCopyId) -> VssResult<ShadowCopy> {
    sets.iter()
        .flat_map(|set| &set.copies)
        .find(|copy| copy.id == id)
        .cloned()
        .ok_or_else(|| not_found(format!("there is no shadow copy {id}")))
}

fn not_found(message: String) -> VssError {
    VssError::new(
        VssCode::ObjectNotFound,
        format!("{message}; list them to see which there are"),
    )
}
