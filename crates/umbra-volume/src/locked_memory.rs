//! Memory that is there before it is needed.
#![allow(unsafe_code)]

use rustix::{
    io,
    mm::{MapFlags, ProtFlags, mmap_anonymous, munmap},
};
use std::{
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

/// Bytes that lie in memory from the first moment and are never swapped out, at
/// an address fit for direct I/O: nothing that uses them waits for a file system.
#[derive(Debug)]
pub struct LockedMemory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and to no thread.
unsafe impl Send for LockedMemory {}
// SAFETY: through a shared reference it can only be read.
unsafe impl Sync for LockedMemory {}

impl LockedMemory {
    /// Reserves so many bytes, all zero.
    ///
    /// # Errors
    ///
    /// The system's, where there is not so much memory or it may not be locked.
    pub fn reserve(length: usize) -> io::Result<Self> {
        let length = length.max(1);
        let flags = MapFlags::PRIVATE | MapFlags::LOCKED | MapFlags::POPULATE;
        // SAFETY: a new mapping where the kernel wants it; it aliases nothing.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::Errno::NOMEM)?;
        Ok(Self { start, length })
    }
}

impl Deref for LockedMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable, initialised by the kernel, so long,
        // and borrowed with `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for LockedMemory {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, writable, and borrowed by nobody else.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for LockedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `reserve`, and nothing borrows from it.
        // It cannot fail for a mapping that is there.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_zero_locked_and_writable() {
        let mut memory = LockedMemory::reserve(3 << 20).unwrap();
        assert_eq!(memory.len(), 3 << 20);
        assert_eq!(memory.as_ptr() as usize % 4096, 0);
        assert!(memory.iter().all(|byte| *byte == 0));
        memory[(3 << 20) - 1] = 7;
        assert_eq!(memory.last(), Some(&7));
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let locked = status.lines().find(|line| line.starts_with("VmLck:"));
        let locked = locked.and_then(|line| line.split_whitespace().nth(1));
        assert!(locked.unwrap().parse::<u64>().unwrap() >= 3 << 10);
    }
}
