//! The kernel's table of mounts, `/proc/self/mountinfo`.
//!
//! Read as bytes, here, because the `procfs` crate refuses the whole table when
//! one path in it is not UTF-8 and leaves the octal escapes of others in place.

use std::{
    ffi::OsString,
    io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};
use umbra_model::DeviceNumber;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The kernel's id; used again after an unmount.
    pub id: u32,
    /// The device number of the whole file system (on btrfs another one than
    /// its files report).
    pub number: DeviceNumber,
    /// The folder of the file system that is mounted.
    pub root: PathBuf,
    /// Where.
    pub mount_point: PathBuf,
    /// Whether this mount is read-only.
    pub read_only: bool,
    /// The type of the file system.
    pub file_system: String,
    /// What it was mounted from, as whoever mounted it said.
    pub source: PathBuf,
}

/// All mounts that this process can see, oldest first.
pub(crate) fn read() -> io::Result<Vec<Mount>> {
    parse(&std::fs::read("/proc/self/mountinfo")?)
}

fn parse(table: &[u8]) -> io::Result<Vec<Mount>> {
    table
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            parse_line(line).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("not a line of mountinfo: {}", String::from_utf8_lossy(line)),
                )
            })
        })
        .collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = text(fields.next()?)?.parse().ok()?;
    let _parent = fields.next()?;
    let (major, minor) = text(fields.next()?)?.split_once(':')?;
    let root = path(fields.next()?);
    let mount_point = path(fields.next()?);
    let options = fields.next()?;
    // Optional fields, as many as there are, up to a dash.
    fields.find(|field| field == b"-")?;
    let file_system = String::from_utf8_lossy(fields.next()?).into_owned();
    let source = path(fields.next()?);
    Some(Mount {
        id,
        number: DeviceNumber {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        },
        root,
        mount_point,
        read_only: options.split(|byte| *byte == b',').any(|o| o == b"ro"),
        file_system,
        source,
    })
}

fn text(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok()
}

/// Undoes the kernel's escapes of blank, tab, line feed, backslash and `#`.
fn path(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'\\').then(|| octal(after)).flatten();
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            &after[3..]
        } else {
            after
        };
    }
    PathBuf::from(OsString::from_vec(plain))
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = text(digits.get(..3)?)?;
    u8::from_str_radix(digits, 8).ok()
}

/// The mount with this id.
pub(crate) fn with_id(mounts: &[Mount], id: u32) -> Option<&Mount> {
    mounts.iter().find(|mount| mount.id == id)
}

/// The order in which the mounts of one file system are preferred: the
/// shortest mount point, then the first by name.
pub(crate) fn preference(mount_point: &Path) -> (usize, &Path) {
    (mount_point.as_os_str().len(), mount_point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn one(line: &[u8]) -> Mount {
        parse(line).unwrap().remove(0)
    }

    #[test]
    fn reads_a_line_with_optional_fields() {
        let mount = one(
            b"44 27 0:39 /s /srv/data ro,relatime shared:1 master:2 - btrfs /dev/loop1 rw,subvolid=256,subvol=/s\n",
        );
        assert_eq!(mount.id, 44);
        assert_eq!(mount.number.to_string(), "0:39");
        assert_eq!(mount.root, Path::new("/s"));
        assert_eq!(mount.mount_point, Path::new("/srv/data"));
        assert_eq!(mount.file_system, "btrfs");
        assert_eq!(mount.source, Path::new("/dev/loop1"));
        assert!(mount.read_only);
    }

    #[test]
    fn undoes_escapes_and_keeps_other_bytes() {
        let mount = one(b"1 1 8:1 / /a\\040b\\134c\\x/\xff rw - ext4 /dev/sda1 rw\n");
        assert_eq!(mount.mount_point.as_os_str().as_bytes(), b"/a b\\c\\x/\xff");
        assert!(!mount.read_only);
    }

    #[test]
    fn an_empty_source_is_a_field() {
        assert_eq!(one(b"1 1 0:5 / /t rw -  tmpfs rw\n").file_system, "");
        assert_eq!(one(b"1 1 0:5 / /t rw - tmpfs  rw\n").source, Path::new(""));
    }

    #[test]
    fn a_torn_line_is_an_error() {
        for line in [
            &b"1 1 8:1 / /a rw ext4\n"[..],
            b"x\n",
            b"1 1 8 / /a rw - ext4 s o\n",
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
