//! Reads pieces of a block device past every cache, many at a time.
#![allow(unsafe_code)]

use crate::Extent;
use io_uring::{IoUring, opcode, types::Fd};
use rustix::{
    fs::{Mode, OFlags, SeekFrom, fstat, ioctl_blksszget, major, minor, open, seek},
    io::{self, Errno, pread, retry_on_intr},
};
use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};
use umbra_model::DeviceNumber;

/// How many reads are under way at once.
const DEPTH: u32 = 64;
/// The most that one read asks for, in bytes.
const PIECE: usize = 512 << 10;

/// A block device, open for direct reads; the ring is set up with it.
pub struct DeviceReader {
    device: OwnedFd,
    size: u64,
    /// `None` where the machine forbids io_uring: reads then go one by one.
    ring: Option<IoUring>,
}

impl std::fmt::Debug for DeviceReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceReader")
            .field("device", &self.device)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// One read under way or to be made.
struct Piece<'a> {
    offset: u64,
    memory: &'a mut [u8],
}

impl DeviceReader {
    /// Opens the device at a path, which must be the one with this number.
    ///
    /// # Errors
    ///
    /// The system's; `ENXIO` where the path leads to another device.
    pub fn open(path: &Path, number: DeviceNumber) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC;
        let device = open(path, flags, Mode::empty())?;
        let found = fstat(&device)?.st_rdev;
        if (major(found), minor(found)) != (number.major, number.minor) {
            return Err(Errno::NXIO);
        }
        let size = seek(&device, SeekFrom::End(0))?;
        Ok(Self {
            device,
            size,
            ring: IoUring::new(DEPTH).ok(),
        })
    }

    /// The size of the device in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The least that can be read and what reads have to be aligned to, in bytes.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn sector(&self) -> io::Result<u32> {
        ioctl_blksszget(&self.device)
    }

    /// Reads extents, one behind the other into the start of `memory`. Makes no
    /// file, waits for no file system, and allocates nothing but a few words.
    ///
    /// # Errors
    ///
    /// The system's; `EOVERFLOW` where the memory is too small, `EIO` where the
    /// device ends before an extent does.
    pub fn read(&mut self, extents: &[Extent], memory: &mut [u8]) -> io::Result<()> {
        let wanted: u64 = extents.iter().map(|extent| extent.length).sum();
        if wanted > memory.len() as u64 {
            return Err(Errno::OVERFLOW);
        }
        let mut pieces = Pieces {
            extents,
            read: 0,
            memory,
        };
        let device = &self.device;
        match &mut self.ring {
            Some(ring) => read_deep(device, ring, &mut pieces),
            None => {
                while let Some(piece) = pieces.next() {
                    read_whole(device, piece, 0)?;
                }
                Ok(())
            }
        }
    }
}

/// The reads still to be made.
struct Pieces<'a, 'b> {
    extents: &'a [Extent],
    /// How much of the first extent has been given out.
    read: u64,
    memory: &'b mut [u8],
}

impl<'b> Pieces<'_, 'b> {
    fn next(&mut self) -> Option<Piece<'b>> {
        loop {
            let (first, rest) = self.extents.split_first()?;
            if self.read == first.length {
                self.extents = rest;
                self.read = 0;
                continue;
            }
            let left = usize::try_from(first.length - self.read).unwrap_or(PIECE);
            let length = left.min(PIECE);
            let (memory, behind) = std::mem::take(&mut self.memory).split_at_mut(length);
            self.memory = behind;
            let offset = first.offset + self.read;
            self.read += length as u64;
            return Some(Piece { offset, memory });
        }
    }
}

/// Keeps the ring full until everything is read. Returns only when the kernel
/// writes to no memory any more, whatever happens.
fn read_deep(device: &OwnedFd, ring: &mut IoUring, pieces: &mut Pieces) -> io::Result<()> {
    let mut slots: [Option<Piece>; DEPTH as usize] = [const { None }; DEPTH as usize];
    let mut under_way = 0;
    let mut result = Ok(());
    loop {
        for (slot, place) in slots.iter_mut().enumerate() {
            if place.is_some() || result.is_err() {
                continue;
            }
            let Some(piece) = pieces.next() else { break };
            let read = opcode::Read::new(
                Fd(device.as_raw_fd()),
                piece.memory.as_mut_ptr(),
                piece.memory.len() as u32,
            )
            .offset(piece.offset)
            .build()
            .user_data(slot as u64);
            // SAFETY: the memory stays borrowed in `slots` until its completion
            // was seen, and this function does not return before; the descriptor
            // is borrowed for as long.
            if unsafe { ring.submission().push(&read) }.is_err() {
                // There are as many slots as entries.
                result = Err(Errno::BUSY);
                continue;
            }
            *place = Some(piece);
            under_way += 1;
        }
        if under_way == 0 {
            return result;
        }
        match ring.submit_and_wait(1) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            Err(error) => {
                // The kernel takes no more and still may have some: look for
                // completions until it has none.
                result = Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
                std::thread::yield_now();
            }
        }
        for completion in ring.completion() {
            let Some(piece) = slots
                .get_mut(completion.user_data() as usize)
                .and_then(Option::take)
            else {
                continue;
            };
            under_way -= 1;
            let outcome = match usize::try_from(completion.result()) {
                Ok(read) if read == piece.memory.len() => Ok(()),
                Ok(read) => read_whole(device, piece, read),
                Err(_) => match Errno::from_raw_os_error(-completion.result()) {
                    Errno::INTR | Errno::AGAIN => read_whole(device, piece, 0),
                    error => Err(error),
                },
            };
            result = result.and(outcome);
        }
    }
}

/// Reads what is left of a piece, of which so much is there.
fn read_whole(device: &OwnedFd, piece: Piece, mut read: usize) -> io::Result<()> {
    while read < piece.memory.len() {
        let offset = piece.offset + read as u64;
        match retry_on_intr(|| pread(device, &mut piece.memory[read..], offset))? {
            0 => return Err(Errno::IO),
            more => read += more,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LockedMemory;
    use std::os::unix::fs::FileExt;
    use umbra_testbed::{Format, Testbed};

    fn number(path: &Path) -> DeviceNumber {
        let number = rustix::fs::stat(path).unwrap().st_rdev;
        DeviceNumber {
            major: major(number),
            minor: minor(number),
        }
    }

    #[test]
    fn reads_what_is_on_the_device_with_and_without_a_ring() {
        let bed = Testbed::new();
        let disk = bed.disk(Format::Ext4, 64);
        let image = std::fs::OpenOptions::new()
            .write(true)
            .open(&disk.device)
            .unwrap();
        let content: Vec<u8> = (0..40 << 20_u32)
            .map(|byte| (byte / 7 % 253) as u8)
            .collect();
        image.write_all_at(&content, 8 << 20).unwrap();
        image.sync_all().unwrap();

        let mut reader = DeviceReader::open(&disk.device, number(&disk.device)).unwrap();
        assert_eq!(reader.size(), 64 << 20);
        assert!(reader.sector().unwrap() >= 512);
        assert!(reader.ring.is_some(), "this machine forbids io_uring");
        let extents: Vec<_> = (0..300)
            .map(|number| Extent {
                offset: (8 << 20) + number * 131_072,
                length: 16_384 * (1 + number % 7),
            })
            .chain([Extent {
                offset: 20 << 20,
                length: 5 << 20,
            }])
            .collect();
        let total: u64 = extents.iter().map(|extent| extent.length).sum();
        let mut memory = LockedMemory::reserve(total as usize).unwrap();
        for _ in 0..2 {
            memory.fill(0);
            reader.read(&extents, &mut memory).unwrap();
            let mut at = 0;
            for extent in &extents {
                let length = extent.length as usize;
                let from = (extent.offset - (8 << 20)) as usize;
                assert!(memory[at..at + length] == content[from..from + length]);
                at += length;
            }
            reader.ring = None;
        }
        let short = &mut memory[..4096];
        assert_eq!(reader.read(&extents, short), Err(Errno::OVERFLOW));
    }

    #[test]
    fn the_end_of_the_device_and_another_device_are_errors() {
        let bed = Testbed::new();
        let disk = bed.disk(Format::Ext4, 32);
        let other = bed.disk(Format::Ext4, 32);
        assert_eq!(
            DeviceReader::open(&disk.device, number(&other.device)).err(),
            Some(Errno::NXIO)
        );
        let mut reader = DeviceReader::open(&disk.device, number(&disk.device)).unwrap();
        let mut memory = LockedMemory::reserve(1 << 20).unwrap();
        let behind = Extent {
            offset: (32 << 20) - 4096,
            length: 8192,
        };
        assert_eq!(reader.read(&[behind], &mut memory), Err(Errno::IO));
        let last = Extent {
            offset: (32 << 20) - 4096,
            length: 4096,
        };
        assert_eq!(reader.read(&[last], &mut memory), Ok(()));
    }
}
