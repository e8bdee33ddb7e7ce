//! What of a device a mounted file system does not use (`FS_IOC_GETFSMAP`).
#![allow(unsafe_code)]

use crate::Extent;
use rustix::{
    io::{self, Errno, retry_on_intr},
    ioctl::{self, Opcode, opcode},
};
use std::os::fd::AsFd;
use umbra_model::DeviceNumber;

/// How many records the kernel gives at once.
const RECORDS: usize = 1024;
/// `FMR_OWN_FREE`.
const FREE: u64 = 1;
/// `FMR_OF_SPECIAL_OWNER`, `FMR_OF_LAST`.
const SPECIAL_OWNER: u32 = 0x10;
const LAST: u32 = 0x20;
/// `FMH_OF_DEV_T`.
const DEVICES_ARE_NUMBERS: u32 = 1;

/// `struct fsmap`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Record {
    device: u32,
    flags: u32,
    physical: u64,
    owner: u64,
    offset: u64,
    length: u64,
    reserved: [u64; 3],
}

/// `struct fsmap_head`, without the records behind it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Head {
    iflags: u32,
    oflags: u32,
    count: u32,
    entries: u32,
    reserved: [u64; 6],
    keys: [Record; 2],
}

/// `struct fsmap_head` with its records.
#[repr(C)]
struct Query {
    head: Head,
    records: [Record; RECORDS],
}

/// `FS_IOC_GETFSMAP`, whose number holds the size of the head alone.
const GET_MAP: Opcode = opcode::read_write::<Head>(b'X', 59);

const NOTHING: Record = Record {
    device: 0,
    flags: 0,
    physical: 0,
    owner: 0,
    offset: 0,
    length: 0,
    reserved: [0; 3],
};
const EVERYTHING: Record = Record {
    device: u32::MAX,
    flags: u32::MAX,
    physical: u64::MAX,
    owner: u64::MAX,
    offset: u64::MAX,
    length: 0,
    reserved: [0; 3],
};

/// What a file system says of its space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreeSpace {
    /// These extents of the device are free, in order; everything else may be
    /// in use.
    Known(Vec<Extent>),
    /// It cannot say: all of the device may be in use.
    Unknown,
}

/// Asks the file system that an open folder lies on what of a device it does not
/// use now. Asks, and changes nothing; goes through on a frozen file system.
///
/// What it names free is free at some moment between call and return. A block
/// that comes into use later is written before its content means anything.
///
/// # Errors
///
/// The system's; `EXDEV` where the file system keeps data on another device as
/// well (XFS with a realtime or log device of its own).
pub fn free_space(folder: impl AsFd, device: DeviceNumber) -> io::Result<FreeSpace> {
    let folder = folder.as_fd();
    let mut query = Box::new(Query {
        head: Head {
            iflags: 0,
            oflags: 0,
            count: RECORDS as u32,
            entries: 0,
            reserved: [0; 6],
            keys: [NOTHING, EVERYTHING],
        },
        records: [NOTHING; RECORDS],
    });
    let number = kernel_number(device);
    let mut free: Vec<Extent> = Vec::new();
    loop {
        // SAFETY: `Query` is the structure that the ioctl fills: a head that
        // says how many records there is room for, and that many records.
        let asked = retry_on_intr(|| unsafe {
            ioctl::ioctl(folder, ioctl::Updater::<GET_MAP, Query>::new(&mut query))
        });
        match asked {
            Ok(()) => {}
            Err(Errno::NOTTY | Errno::OPNOTSUPP) => return Ok(FreeSpace::Unknown),
            Err(error) => return Err(error),
        }
        if query.head.oflags & DEVICES_ARE_NUMBERS == 0 {
            return Ok(FreeSpace::Unknown);
        }
        let found = &query.records[..RECORDS.min(query.head.entries as usize)];
        for record in found {
            if record.device != number {
                return Err(Errno::XDEV);
            }
            if record.flags & SPECIAL_OWNER != 0 && record.owner == FREE {
                match free.last_mut() {
                    Some(last) if last.end() == record.physical => last.length += record.length,
                    _ => free.push(Extent {
                        offset: record.physical,
                        length: record.length,
                    }),
                }
            }
        }
        match found.last() {
            Some(last) if last.flags & LAST == 0 => query.head.keys[0] = *last,
            _ => return Ok(FreeSpace::Known(free)),
        }
    }
}

/// A device number as the kernel puts it into 32 bits (`new_encode_dev`).
fn kernel_number(device: DeviceNumber) -> u32 {
    (device.minor & 0xff) | (device.major << 8) | ((device.minor & !0xff) << 12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{major, minor, stat};
    use std::fs::File;
    use umbra_testbed::{Format, Testbed, run};

    #[test]
    fn what_is_written_is_not_free_any_more() {
        let bed = Testbed::new();
        for format in [Format::Ext4, Format::Xfs] {
            let disk = bed.disk(format, 320);
            let number = stat(&disk.device).unwrap().st_rdev;
            let device = DeviceNumber {
                major: major(number),
                minor: minor(number),
            };
            let ask = || {
                let folder = File::open(&disk.mount).unwrap();
                match free_space(&folder, device).unwrap() {
                    FreeSpace::Known(free) => free,
                    FreeSpace::Unknown => panic!("{format:?} does not say"),
                }
            };
            let total = |free: &[Extent]| free.iter().map(|extent| extent.length).sum::<u64>();
            let before = ask();
            assert!(total(&before) > 200 << 20 && total(&before) < 320 << 20);
            assert!(before.windows(2).all(|two| two[0].end() <= two[1].offset));
            // Many pieces, so that the answer does not come in one go.
            for number in 0..3000 {
                let path = disk.mount.join(format!("{number}"));
                std::fs::write(path, vec![1; 4096]).unwrap();
            }
            run("sync", ["-f", disk.mount.to_str().unwrap()]);
            for number in (0..3000).step_by(2) {
                std::fs::remove_file(disk.mount.join(format!("{number}"))).unwrap();
            }
            run("sync", ["-f", disk.mount.to_str().unwrap()]);
            let after = ask();
            assert!(total(&before) - total(&after) >= 1500 * 4096);
        }
    }

    #[test]
    fn a_file_system_that_cannot_say_is_no_error() {
        let proc = File::open("/proc").unwrap();
        let device = DeviceNumber { major: 0, minor: 1 };
        assert_eq!(free_space(&proc, device), Ok(FreeSpace::Unknown));
    }
}
