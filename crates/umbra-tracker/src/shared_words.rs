//! The memory that the programs in the kernel and this process share.
#![allow(unsafe_code)]

use libbpf_rs::{MapCore, MapHandle, MapType};
use rustix::{
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};
use std::{
    fmt, io,
    ops::Deref,
    os::fd::AsFd,
    path::Path,
    ptr::{self, NonNull},
    slice,
    sync::atomic::AtomicU64,
};

/// The values of a map of the kind array, 64 bits each. All access is atomic, as
/// the kernel and other processes change them at any time.
pub(crate) struct SharedWords {
    start: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the memory is shared with the kernel anyway and only accessed as
// atomics; the mapping lives until the one owner is dropped.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Maps a pinned map that must be an array of 64-bit values.
    pub fn of_pinned(path: &Path) -> io::Result<Self> {
        let map = MapHandle::from_pinned_path(path).map_err(io::Error::other)?;
        if map.map_type() != MapType::Array || map.value_size() != 8 {
            return Err(io::Error::other("it is a map of another kind"));
        }
        let count = usize::try_from(map.max_entries()).map_err(io::Error::other)?;
        // All pages are entered at once: a page fault in the hold costs time.
        // SAFETY: a new mapping at an address of the kernel's choice; the kernel
        // refuses a length beyond the map's.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                mapped_length(count),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::POPULATE,
                map.as_fd(),
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, count })
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has room for `count` values of 64 bits, begins on
        // a page, lives as long as self, and any bits are a valid AtomicU64.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: the very mapping that `of_pinned` made; no reference outlives
        // self.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), mapped_length(self.count)) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

impl fmt::Debug for SharedWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedWords({})", self.count)
    }
}

fn mapped_length(count: usize) -> usize {
    (count * size_of::<AtomicU64>()).next_multiple_of(page_size())
}
