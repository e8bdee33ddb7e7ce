//! Where a copy that is an image file lies, as it is written into the catalog.

use crate::{failure::failed, image_copy::open_folder, storage_folder::StorageFolder};
use rustix::io::Errno;
use std::path::PathBuf;
use umbra_model::{ProviderLocation, ShadowCopyId, VssCode, VssError, VssResult};
use umbra_volume::{
    loop_device::Window,
    reflink::{Reflinks, reflinks_of},
};

/// Where an image lies, and which part of it is the volume:
/// `PROVIDER:fs=<UUID>,offset=<bytes>,limit=<bytes>:<path of the image>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImagePlace {
    /// The name of the provider.
    pub(crate) provider: &'static str,
    /// The UUID of the file system that it lies on.
    pub(crate) file_system: String,
    /// The part of the file that is the volume.
    pub(crate) window: Window,
    /// The folder that has the folder of the image in it, which is the
    /// administrator's.
    pub(crate) beside: PathBuf,
    /// The name of the folder that the image lies in, which is Umbra's.
    pub(crate) within: String,
    /// The name of the image.
    pub(crate) name: String,
}

impl ImagePlace {
    pub(crate) fn location(&self) -> ProviderLocation {
        ProviderLocation(format!(
            "{}:fs={},offset={},limit={}:{}",
            self.provider,
            self.file_system,
            self.window.offset,
            self.window.size_limit,
            self.path().display()
        ))
    }

    /// Reads a location of this provider, whose images lie in folders with this
    /// name.
    pub(crate) fn of(
        provider: &'static str,
        within: &str,
        id: ShadowCopyId,
        location: &ProviderLocation,
    ) -> VssResult<Self> {
        Self::parse(provider, within, id, &location.0).ok_or_else(|| {
            VssError::new(
                VssCode::InvalidArgument,
                format!(
                    "{:?} is not where the {provider} provider keeps shadow copy {id}",
                    location.0
                ),
            )
        })
    }

    fn parse(
        provider: &'static str,
        within: &str,
        id: ShadowCopyId,
        location: &str,
    ) -> Option<Self> {
        let (said, rest) = location.split_once(':')?;
        let (facts, path) = rest.split_once(':')?;
        let mut facts = facts.split(',');
        let file_system = facts.next()?.strip_prefix("fs=")?.to_owned();
        let offset = facts.next()?.strip_prefix("offset=")?.parse().ok()?;
        let size_limit = facts.next()?.strip_prefix("limit=")?.parse().ok()?;
        let name = format!("{id}.img");
        let path = PathBuf::from(path);
        let beside = path
            .parent()
            .filter(|folder| folder.ends_with(within))?
            .parent()?
            .to_owned();
        let whole = said == provider
            && facts.next().is_none()
            && path.is_absolute()
            && path.ends_with(&name);
        whole.then_some(Self {
            provider,
            file_system,
            window: Window { offset, size_limit },
            beside,
            within: within.to_owned(),
            name,
        })
    }

    /// The folder that the image lies in.
    pub(crate) fn folder(&self) -> PathBuf {
        self.beside.join(&self.within)
    }

    /// The image.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder().join(&self.name)
    }

    /// Opens the folder that the image lies in; `None` where there is none. An
    /// error where the file system that keeps it is not mounted there.
    pub(crate) fn find(&self, id: ShadowCopyId) -> VssResult<Option<StorageFolder>> {
        // The nearest folder that is there says which file system this is.
        for above in self.beside.ancestors() {
            let parent = match open_folder(above) {
                Ok(parent) => parent,
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                Err(error) => return Err(failed(format!("open {}", above.display()), error)),
            };
            let found = reflinks_of(&parent)
                .map_err(|error| failed(format!("look at {}", above.display()), error))?;
            let is_it =
                matches!(found, Reflinks::Shared(uuid) if uuid.to_string() == self.file_system);
            if !is_it {
                break;
            }
            if above != self.beside {
                return Ok(None);
            }
            return StorageFolder::find_named(parent, self.within.clone(), self.folder());
        }
        Err(VssError::new(
            VssCode::ObjectNotFound,
            format!(
                "cannot reach shadow copy {id}: the file system with UUID {} that keeps it is not \
                 mounted at {}; mount it there and try again",
                self.file_system,
                self.beside.display()
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_as_it_was_written() {
        let id = ShadowCopyId::random();
        let place = ImagePlace {
            provider: "reflink",
            file_system: "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d".to_owned(),
            window: Window {
                offset: 4096,
                size_limit: 1 << 30,
            },
            beside: PathBuf::from("/srv/a:b, c=d"),
            within: ".umbra".to_owned(),
            name: format!("{id}.img"),
        };
        assert_eq!(
            ImagePlace::of("reflink", ".umbra", id, &place.location()),
            Ok(place)
        );
    }

    #[test]
    fn a_location_that_is_not_ours_is_refused() {
        let id = ShadowCopyId::random();
        for text in [
            String::new(),
            format!("btrfs:x/.umbra/{id}"),
            format!("system:fs=x,offset=0,limit=0:/srv/.umbra/{id}.img"),
            format!("reflink:fs=x,offset=0,limit=0:/srv/{id}.img"),
            format!("reflink:fs=x,offset=0,limit=0:.umbra/{id}.img"),
            format!("reflink:fs=x,offset=0,limit=0,more=1:/srv/.umbra/{id}.img"),
            "reflink:fs=x,offset=0,limit=0:/srv/.umbra/other.img".to_owned(),
        ] {
            assert!(
                ImagePlace::of("reflink", ".umbra", id, &ProviderLocation(text.clone())).is_err(),
                "{text}"
            );
        }
    }
}
