//! The in-box providers: [`BtrfsProvider`] makes read-only snapshots of btrfs
//! subvolumes, [`ReflinkProvider`] clones the image under a loop device,
//! [`SystemProvider`] splits a mirror of any block device.
//!
//! Invariant: the first two keep their copies in a folder [`STORAGE_FOLDER`] that
//! only root can enter, on the file system that the copy shares its blocks with,
//! and remove that folder with the last copy in it.
//! Invariant: their `commit` is one system call on descriptors that were opened,
//! with arguments that were laid out, before the hold; the system provider's
//! reads a device into memory reserved before, and writes nothing.

mod btrfs;
#[cfg(feature = "failpoints")]
mod fail_points;
mod failure;
mod image_copy;
mod image_place;
mod reflink;
mod storage_folder;
mod system;

pub use btrfs::BtrfsProvider;
pub use reflink::ReflinkProvider;
pub use storage_folder::STORAGE_FOLDER;
pub use system::{SystemFolders, SystemProvider};

use std::sync::Arc;
use umbra_provider::Provider;

/// Every in-box provider, in the order in which they are asked: the system
/// provider last.
pub fn in_box(folders: SystemFolders) -> Vec<Arc<dyn Provider>> {
    vec![
        provider(BtrfsProvider::default()),
        provider(ReflinkProvider::default()),
        provider(SystemProvider::new(folders)),
    ]
}

#[cfg(feature = "failpoints")]
fn provider(provider: impl Provider + 'static) -> Arc<dyn Provider> {
    Arc::new(fail_points::FailPoints(provider))
}

#[cfg(not(feature = "failpoints"))]
fn provider(provider: impl Provider + 'static) -> Arc<dyn Provider> {
    Arc::new(provider)
}
