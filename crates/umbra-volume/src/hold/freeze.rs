//! The three system calls that hold a file system.

use rustix::{
    io::{Errno, Result, retry_on_intr},
    ioctl::{self, IntegerSetter, Opcode, opcode},
};
use std::{ffi::c_int, os::fd::AsFd};

const FIFREEZE: Opcode = opcode::read_write::<c_int>(b'X', 119);
const FITHAW: Opcode = opcode::read_write::<c_int>(b'X', 120);

/// Flushes the file system and stops every write to it.
///
/// # Errors
///
/// `EBUSY` where it is frozen already, `EOPNOTSUPP` where it cannot be.
pub(super) fn freeze(folder: impl AsFd) -> Result<()> {
    call::<FIFREEZE>(folder)
}

/// Lets writes go on.
///
/// # Errors
///
/// `EINVAL` where it is not frozen.
pub(super) fn thaw(folder: impl AsFd) -> Result<()> {
    call::<FITHAW>(folder)
}

/// Writes everything that is dirty to the device. Goes through on a frozen file
/// system, on which nothing can be dirty.
pub(super) fn flush(folder: impl AsFd) -> Result<()> {
    retry_on_intr(|| rustix::fs::syncfs(folder.as_fd()))
}

/// Whether the error of a thaw says that there was nothing to thaw.
pub(super) fn was_not_frozen(error: Errno) -> bool {
    error == Errno::INVAL
}

#[allow(unsafe_code)]
fn call<const REQUEST: Opcode>(folder: impl AsFd) -> Result<()> {
    retry_on_intr(|| {
        // SAFETY: both requests ignore their argument and touch no memory of
        // this process.
        unsafe { ioctl::ioctl(folder.as_fd(), IntegerSetter::<REQUEST>::new_usize(0)) }
    })
}
