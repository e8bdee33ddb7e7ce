//! Loop devices: what lies behind one, and read-only ones on the images of
//! shadow copies.
//!
//! The few ioctls are made here: the loop-device crates cannot attach with
//! autoclear in one step, and without it a killed service leaves the device.
#![allow(unsafe_code)]

use rustix::{
    fs::{Mode, OFlags, fstat, major, minor, open, stat},
    io::{self, Errno},
    ioctl::{self, Ioctl, IoctlOutput, Opcode},
};
use std::{
    ffi::{OsString, c_void},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};
use umbra_model::{DeviceNumber, VssCode, VssError, VssResult};

/// `LOOP_GET_STATUS64`, `LOOP_CONFIGURE`, `LOOP_CTL_GET_FREE`.
const GET_STATUS: Opcode = 0x4c05;
const CONFIGURE: Opcode = 0x4c0a;
const GET_FREE: Opcode = 0x4c82;
/// `LO_FLAGS_READ_ONLY`, `LO_FLAGS_AUTOCLEAR`.
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;
/// How often another process may take the free device before we do.
const TRIES: u32 = 100;

/// `struct loop_info64`.
#[repr(C)]
#[allow(dead_code, reason = "the kernel's layout")]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
#[allow(dead_code, reason = "the kernel's layout")]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// The part of a file that a loop device shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// Bytes left out at the file's start.
    pub offset: u64,
    /// At most so many bytes after that; 0 for all.
    pub size_limit: u64,
}

/// The file under a loop device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackingFile {
    /// Its path, as the kernel says it.
    pub path: PathBuf,
    /// The part of it that the device shows.
    pub window: Window,
    device: u64,
    inode: u64,
}

/// What lies behind a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behind {
    /// It is a loop device on this file.
    File(BackingFile),
    /// It is a partition of a loop device.
    PartitionOfLoop,
    /// It is no loop device.
    NoLoop,
}

/// What lies behind the block device with this number.
///
/// # Errors
///
/// `VSS_E_OBJECT_NOT_FOUND` where there is no such device or nothing attached
/// to it, `VSS_E_UNEXPECTED` where it cannot be asked.
pub fn behind(number: DeviceNumber) -> VssResult<Behind> {
    let failed = |what: &str, error: std::io::Error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound {
            VssCode::ObjectNotFound
        } else {
            VssCode::Unexpected
        };
        VssError::new(
            code,
            format!("cannot find out {what} of block device {number}"),
        )
        .caused_by(error)
    };
    let folder = std::fs::canonicalize(format!("/sys/dev/block/{number}"))
        .map_err(|error| failed("the name", error))?;
    if folder.join("partition").exists() {
        let parent_is_loop = folder
            .parent()
            .is_some_and(|disk| disk.join("loop").exists());
        return Ok(if parent_is_loop {
            Behind::PartitionOfLoop
        } else {
            Behind::NoLoop
        });
    }
    if !folder.join("loop").exists() {
        return Ok(Behind::NoLoop);
    }
    let mut path = std::fs::read(folder.join("loop/backing_file"))
        .map_err(|error| failed("the backing file", error))?;
    path.pop_if(|last| *last == b'\n');
    let node = Path::new("/dev").join(folder.file_name().unwrap_or_default());
    let info = status(&node, number).map_err(|error| failed("the status", error.into()))?;
    Ok(Behind::File(BackingFile {
        path: PathBuf::from(OsString::from_vec(path)),
        window: Window {
            offset: info.offset,
            size_limit: info.size_limit,
        },
        device: info.device,
        inode: info.inode,
    }))
}

fn status(node: &Path, number: DeviceNumber) -> io::Result<Info> {
    let device = open(node, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let found = fstat(&device)?.st_rdev;
    if (major(found), minor(found)) != (number.major, number.minor) {
        return Err(Errno::NXIO);
    }
    // SAFETY: the descriptor is the loop device that sysfs named, and `Info` is
    // the structure that `LOOP_GET_STATUS64` fills.
    unsafe { ioctl::ioctl(&device, ioctl::Getter::<GET_STATUS, Info>::new()) }
}

impl BackingFile {
    /// Opens the file for reading, and checks that the path still is the file
    /// under the device.
    ///
    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` where it is not, or it cannot be opened.
    pub fn open(&self) -> VssResult<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        // Looked at before it is opened: whatever took its place (a pipe, a
        // tape) must not notice.
        stat(&self.path)
            .and_then(|found| self.check(&found))
            .and_then(|()| open(&self.path, flags, Mode::empty()))
            .and_then(|file| self.check(&fstat(&file)?).map(|()| file))
            .map_err(|error| {
                VssError::new(
                    VssCode::ObjectNotFound,
                    format!(
                        "the path {} does not lead to the file under the loop device (it was \
                         moved, deleted, or is not visible from here)",
                        self.path.display()
                    ),
                )
                .caused_by(error)
            })
    }

    /// The number of the file system that the file lies on, also where its path
    /// no longer leads to it; on btrfs that of the subvolume.
    pub fn file_system(&self) -> DeviceNumber {
        DeviceNumber {
            major: major(self.device),
            minor: minor(self.device),
        }
    }

    fn check(&self, found: &rustix::fs::Stat) -> io::Result<()> {
        if (found.st_dev, found.st_ino) == (self.device, self.inode) {
            Ok(())
        } else {
            Err(Errno::STALE)
        }
    }
}

/// A read-only loop device, which is gone as soon as this value and every mount
/// of the device are, also when the process is killed.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
    _device: OwnedFd,
}

impl LoopDevice {
    /// Attaches an open file to a free loop device. `name` is for people: what
    /// `losetup` shows.
    ///
    /// # Errors
    ///
    /// `VSS_E_UNEXPECTED` with the system's error.
    pub fn attach(file: impl AsFd, name: &Path, window: Window) -> VssResult<Self> {
        Self::try_attach(file, name, window).map_err(|error| {
            VssError::new(
                VssCode::Unexpected,
                format!("cannot attach {} to a loop device", name.display()),
            )
            .caused_by(error)
        })
    }

    fn try_attach(file: impl AsFd, name: &Path, window: Window) -> io::Result<Self> {
        let mut file_name = [0; 64];
        let bytes = name.as_os_str().as_bytes();
        let shown = bytes.len().min(file_name.len() - 1);
        file_name[..shown].copy_from_slice(&bytes[..shown]);
        // Without direct I/O: with it the device takes the block size of the
        // storage under the file, and a file system with smaller blocks than
        // that could not be mounted.
        let mut config = Config {
            fd: file.as_fd().as_raw_fd().cast_unsigned(),
            block_size: 0,
            info: Info {
                device: 0,
                inode: 0,
                rdevice: 0,
                offset: window.offset,
                size_limit: window.size_limit,
                number: 0,
                encrypt_type: 0,
                encrypt_key_size: 0,
                flags: READ_ONLY | AUTOCLEAR,
                file_name,
                crypt_name: [0; 64],
                encrypt_key: [0; 32],
                init: [0; 2],
            },
            reserved: [0; 8],
        };
        let control = open(
            "/dev/loop-control",
            OFlags::RDWR | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        for _ in 0..TRIES {
            // SAFETY: the descriptor is the loop driver's control device.
            let number = unsafe { ioctl::ioctl(&control, GetFree) }?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = match open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(device) => device,
                // Removed again before we opened it.
                Err(Errno::NXIO | Errno::NODEV) => continue,
                Err(error) => return Err(error),
            };
            // SAFETY: the descriptor is a loop device and `Config` is the
            // structure that `LOOP_CONFIGURE` reads; the kernel takes its own
            // reference to the file.
            let configured = unsafe {
                ioctl::ioctl(
                    &device,
                    ioctl::Updater::<CONFIGURE, Config>::new(&mut config),
                )
            };
            match configured {
                Ok(()) => {
                    return Ok(Self {
                        path,
                        _device: device,
                    });
                }
                // Somebody else took it first.
                Err(Errno::BUSY) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::BUSY)
    }

    /// The device, such as `/dev/loop7`.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// `LOOP_CTL_GET_FREE`, whose answer is the return value.
struct GetFree;

// SAFETY: the ioctl takes no argument and returns a number.
unsafe impl Ioctl for GetFree {
    type Output = i32;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        GET_FREE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> io::Result<i32> {
        Ok(out)
    }
}
