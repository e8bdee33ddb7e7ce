//! Volumes to measure: ext4 images on an XFS with reflinks, and their bare
//! copies.

use anyhow::{Context, Result};
use rustix::{
    fs::{CWD, Mode, OFlags, fsync, ioctl_ficlone, openat},
    io::Errno,
};
use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::PathBuf,
};
use umbra_testbed::{Disk, Format, Testbed, run};
use umbra_volume::{BareHold, bare_hold, reflink::clone_ahead};

/// An XFS that images can be cloned on, large enough for them all.
pub fn host(bed: &Testbed, megabytes: u64) -> Disk {
    bed.disk(Format::Xfs, megabytes)
}

/// An ext4 volume in an image on a host, with nothing going on in the
/// background.
pub fn volume(bed: &Testbed, host: &Disk, megabytes: u64) -> Disk {
    let disk = bed.disk_in(&host.mount, Format::Ext4, megabytes);
    // Otherwise the kernel goes on writing gigabytes of empty inode tables.
    run(
        "mount",
        [
            "-o".as_ref(),
            "remount,noinit_itable".as_ref(),
            disk.mount.as_os_str(),
        ],
    );
    disk
}

/// What one bare hold of a volume needs, opened before it.
pub struct BareCopy {
    folder: File,
    image: File,
    clone: OwnedFd,
    clone_path: PathBuf,
}

impl BareCopy {
    /// Opens everything.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn prepare(disk: &Disk) -> Result<Self> {
        let clone_path = disk.image.with_extension("clone");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let clone = openat(CWD, &clone_path, flags, Mode::RUSR | Mode::WUSR)
            .with_context(|| format!("cannot create {}", clone_path.display()))?;
        Ok(Self {
            folder: File::open(&disk.mount)?,
            image: File::open(&disk.image)?,
            clone,
            clone_path,
        })
    }

    /// Does what Umbra does before it holds: flushes, clones ahead, freezes and
    /// thaws once, flushes again.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn rehearse(&self) -> Result<()> {
        rustix::fs::syncfs(&self.folder)?;
        rustix::fs::fdatasync(&self.image)?;
        clone_ahead(&self.clone, &self.image)?;
        bare_hold(&self.folder, || Ok(())).context("a rehearsal failed")?;
        rustix::fs::syncfs(&self.folder)?;
        Ok(())
    }

    /// Freezes, clones, thaws.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn hold(&self) -> Result<BareHold> {
        let clone = || {
            ioctl_ficlone(&self.clone, &self.image).map_err(|errno: Errno| io::Error::from(errno))
        };
        bare_hold(&self.folder, clone).context("a bare hold failed")
    }

    /// Makes the copy durable, as Umbra does, and removes it.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn finish(self) -> Result<()> {
        fsync(&self.clone)?;
        fs::remove_file(&self.clone_path)?;
        Ok(())
    }
}
