//! The bytes of files, with their holes.

use rustix::{
    fd::BorrowedFd,
    fs::{SeekFrom, copy_file_range, seek},
    io::{Errno, pread, pwrite},
};
use umbra_documents::ByteRange;

/// What is read at once where the kernel cannot copy by itself.
const BUFFER: usize = 256 * 1024;
/// What the kernel is asked to copy at once.
const AT_ONCE: u64 = 1 << 30;

/// Copies these bytes, holes as holes, to the same place in a file that has nothing
/// there. Returns how many bytes of data there were.
pub(crate) fn copy_sparse(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    range: ByteRange,
) -> Result<u64, Errno> {
    let (mut at, mut copied) = (range.offset, 0);
    while at < range.end() {
        let (start, end) = match seek(from, SeekFrom::Data(at)) {
            Ok(start) if start >= range.end() => break,
            Ok(start) => (start, seek(from, SeekFrom::Hole(start))?.min(range.end())),
            // No data behind it.
            Err(Errno::NXIO) => break,
            // The file system knows no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => (at, range.end()),
            Err(error) => return Err(error),
        };
        copied += copy(from, start, to, start, end - start)?;
        at = end;
    }
    Ok(copied)
}

/// Copies bytes, holes as zeros. Fewer only where the file ends.
pub(crate) fn copy(
    from: BorrowedFd<'_>,
    mut at: u64,
    to: BorrowedFd<'_>,
    mut into: u64,
    length: u64,
) -> Result<u64, Errno> {
    let mut left = length;
    while left > 0 {
        let step = left.min(AT_ONCE) as usize;
        match copy_file_range(from, Some(&mut at), to, Some(&mut into), step) {
            Ok(0) => return Ok(length - left),
            Ok(copied) => left -= copied as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                return Ok(length - left + copy_by_hand(from, at, to, into, left)?);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn copy_by_hand(
    from: BorrowedFd<'_>,
    mut at: u64,
    to: BorrowedFd<'_>,
    mut into: u64,
    length: u64,
) -> Result<u64, Errno> {
    let mut buffer = vec![0; BUFFER.min(usize::try_from(length).unwrap_or(BUFFER))];
    let mut left = length;
    while left > 0 {
        let step = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = match pread(from, &mut buffer[..step], at) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if read == 0 {
            break;
        }
        let mut written = 0;
        while written < read {
            written += match pwrite(to, &buffer[written..read], into + written as u64) {
                Err(Errno::INTR) => 0,
                Ok(0) => return Err(Errno::NOSPC),
                other => other?,
            };
        }
        at += read as u64;
        into += read as u64;
        left -= read as u64;
    }
    Ok(length - left)
}
