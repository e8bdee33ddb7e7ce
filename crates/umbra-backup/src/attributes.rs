//! What a file has besides its content: mode, owner, times, extended attributes
//! (of which access control lists are some).

use rustix::{
    fd::{AsFd, BorrowedFd},
    fs::{
        AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown,
        fgetxattr, flistxattr, flistxattr_query, fsetxattr, fstat, futimens, statat, utimensat,
    },
    io::Errno,
};
use std::ffi::{CString, OsStr};

/// The longest list of names, and the longest value, that Linux has.
const MAX_XATTR: usize = 64 * 1024;

/// What a file or folder has besides its content.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    mode: Mode,
    owner: u32,
    group: u32,
    times: Timestamps,
    extended: Vec<(CString, Vec<u8>)>,
}

impl Attributes {
    pub(crate) fn of(file: BorrowedFd<'_>) -> Result<Self, Errno> {
        Self::with_stat(file, &fstat(file)?)
    }

    pub(crate) fn with_stat(file: BorrowedFd<'_>, stat: &Stat) -> Result<Self, Errno> {
        Ok(Self {
            mode: Mode::from_raw_mode(stat.st_mode),
            owner: stat.st_uid,
            group: stat.st_gid,
            times: times(stat),
            extended: extended(file)?,
        })
    }

    /// Gives them to a file or folder, as many as it takes. The owner comes first: a
    /// change of owner takes away what only the right owner may have. The times come
    /// last.
    pub(crate) fn apply(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        let now = fstat(file)?;
        let mut mode = self.mode;
        let owned = if (now.st_uid, now.st_gid) == (self.owner, self.group) {
            Ok(())
        } else {
            let (owner, group) = (Uid::from_raw(self.owner), Gid::from_raw(self.group));
            fchown(file, Some(owner), Some(group))
        };
        if owned.is_err() {
            // Nobody is to run it as somebody else than it was meant to be.
            mode.remove(Mode::SUID.union(Mode::SGID));
        }
        let extended = self
            .extended
            .iter()
            .map(|(name, value)| fsetxattr(file, name.as_c_str(), value, XattrFlags::empty()));
        let extended: Vec<Result<(), Errno>> = extended.collect();
        let rest = [fchmod(file, mode), futimens(file, &self.times)];
        let mut all = [owned].into_iter().chain(extended).chain(rest);
        all.find(Result::is_err).unwrap_or(Ok(()))
    }
}

fn extended(file: BorrowedFd<'_>) -> Result<Vec<(CString, Vec<u8>)>, Errno> {
    // Nearly every file has none: ask for the length before making room.
    match flistxattr_query(file) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    let mut names = vec![0_u8; MAX_XATTR];
    let length = flistxattr(file, &mut names[..])?;
    names.truncate(length);
    let mut all = Vec::new();
    let mut value = vec![0_u8; MAX_XATTR];
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let Ok(name) = CString::new(name) else {
            continue;
        };
        match fgetxattr(file, name.as_c_str(), &mut value[..]) {
            Ok(length) => all.push((name, value[..length].to_vec())),
            // Gone meanwhile, or not for the likes of this process.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn times(stat: &Stat) -> Timestamps {
    let moment = |seconds: i64, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds as i64,
    };
    Timestamps {
        last_access: moment(stat.st_atime, stat.st_atime_nsec),
        last_modification: moment(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Gives a symbolic link the owner and times of another. Extended attributes of links
/// are left out: only the system itself can have them.
pub(crate) fn copy_of_link(
    from: (BorrowedFd<'_>, &OsStr),
    to: (BorrowedFd<'_>, &OsStr),
) -> Result<(), Errno> {
    let link = AtFlags::SYMLINK_NOFOLLOW;
    let stat = statat(from.0, from.1, link)?;
    let now = statat(to.0, to.1, link)?;
    if (now.st_uid, now.st_gid) != (stat.st_uid, stat.st_gid) {
        let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        chownat(to.0.as_fd(), to.1, Some(owner), Some(group), link)?;
    }
    utimensat(to.0.as_fd(), to.1, &times(&stat), link)
}
