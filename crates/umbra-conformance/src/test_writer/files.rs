//! The files of the test writer, as it finds them itself.

use std::{
    collections::hash_map::DefaultHasher,
    fs::{self, File, FileTimes, Metadata},
    hash::Hasher,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};
use umbra_documents::{FileSet, Recursion, text_to_bytes};

/// How much is read at once.
const BLOCK: usize = 1 << 17;

/// Whether a name matches a specification, byte by byte: `*` stands for any
/// bytes, `?` for one character.
pub(super) fn matches(specification: &str, name: &[u8]) -> bool {
    glob(&text_to_bytes(specification), name)
}

fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut on) = (0, 0);
    // Where the last star stands, and how much of the name it has taken.
    let mut star = None;
    while on < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, on));
                at += 1;
            }
            Some(b'?') => {
                at += 1;
                on += one_character(&name[on..]);
            }
            Some(byte) if *byte == name[on] => {
                at += 1;
                on += 1;
            }
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    on = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The length of the first character; one byte where it is no UTF-8.
fn one_character(bytes: &[u8]) -> usize {
    let chunk = bytes.utf8_chunks().next();
    let first = chunk.and_then(|chunk| chunk.valid().chars().next());
    first.map_or(1, char::len_utf8)
}

/// Where a file lies below the folder of a file set, if the set has it.
pub(super) fn below<'a>(folder: &Path, set: &FileSet, file: &'a Path) -> Option<&'a Path> {
    let below = file.strip_prefix(folder).ok()?;
    let name = below.file_name()?;
    let deep = below.components().count() > 1;
    let reached = !deep || set.recursion == Recursion::Tree;
    (reached && matches(&set.specification, name.as_bytes())).then_some(below)
}

/// The files and symbolic links of a folder that a set takes, as paths below
/// that folder, in order. Stays on the folder's file system; a folder that is
/// not there has none.
pub(super) fn find(folder: &Path, set: &FileSet) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let device = match fs::metadata(folder) {
        Ok(there) => there.dev(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_dir() {
                let here = entry.metadata()?.dev() == device;
                if set.recursion == Recursion::Tree && here {
                    folders.push(path);
                }
            } else if (kind.is_file() || kind.is_symlink())
                && let Some(below) = below(folder, set, &path)
            {
                found.push(below.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is in a file, short: its length and a digest. Good against accidents, not
/// against forgers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    length: u64,
    hash: u64,
}

impl Digest {
    /// Of a whole file, or of where a symbolic link leads.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(path)?.is_symlink() {
            let target = fs::read_link(path)?;
            let mut bytes = b"link ".to_vec();
            bytes.extend(target.as_os_str().as_bytes());
            return Self::read(&*bytes);
        }
        Self::read(File::open(path)?)
    }

    /// Of a part of a file, or of as much of it as there is.
    pub(super) fn of_range(path: &Path, offset: u64, length: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Self::read(file.take(length))
    }

    fn read(mut from: impl Read) -> io::Result<Self> {
        let mut hasher = DefaultHasher::new();
        let mut block = vec![0; BLOCK];
        let mut length = 0;
        loop {
            let read = match from.read(&mut block) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if read == 0 {
                break;
            }
            hasher.write(&block[..read]);
            length += read as u64;
        }
        Ok(Self {
            length,
            hash: hasher.finish(),
        })
    }

    /// How many bytes there are.
    pub(super) fn length(self) -> u64 {
        self.length
    }
}

/// Copies a file with its time of modification, which differenced files need.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    if is_there(to) {
        fs::remove_file(to)?;
    }
    let there = fs::symlink_metadata(from)?;
    if there.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    fs::copy(from, to)?;
    File::options()
        .write(true)
        .open(to)?
        .set_times(times(&there)?)
}

fn times(there: &Metadata) -> io::Result<FileTimes> {
    Ok(FileTimes::new().set_modified(there.modified()?))
}

/// Whether there is anything, be it a link that leads nowhere.
pub(super) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_are_matched_byte_by_byte() {
        let check = |specification: &str, name: &str, expected| {
            let found = matches(specification, name.as_bytes());
            assert_eq!(found, expected, "{specification} {name}");
        };
        check("*", "", true);
        check("*", "a.b", true);
        check("a", "a", true);
        check("a", "A", false);
        check("*.txt", "a.txt", true);
        check("*.txt", "a.txt.old", false);
        check("temp*.*", "temp1.log", true);
        check("temp*.*", "temp1", false);
        check("a?c", "abc", true);
        check("a?c", "a\u{fc}c", true);
        check("a?c", "ac", false);
        check("*a*b*", "xxaxxbxx", true);
        check("*a*b*", "xxbxxaxx", false);
        check("**a", "ba", true);
        assert!(matches("?", b"\xff"));
        assert!(matches("\u{f7ff}*", b"\xffabc"));
    }

    #[test]
    fn sets_reach_as_far_as_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir_all(folder.join("deep/er")).unwrap();
        for name in ["a.txt", "b.log", "deep/c.txt", "deep/er/d.txt"] {
            fs::write(folder.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("nowhere", folder.join("l.txt")).unwrap();
        let names = |recursion| -> Vec<String> {
            let set = FileSet::new(folder, "*.txt", recursion);
            let found = find(folder, &set).unwrap();
            found
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        assert_eq!(names(Recursion::Folder), ["a.txt", "l.txt"]);
        assert_eq!(
            names(Recursion::Tree),
            ["a.txt", "deep/c.txt", "deep/er/d.txt", "l.txt"]
        );
        let nowhere = folder.join("nowhere");
        let set = FileSet::tree(&nowhere);
        assert!(find(&nowhere, &set).unwrap().is_empty());
    }

    #[test]
    fn digests_tell_files_and_parts_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "0123456789").unwrap();
        fs::write(&b, "0123x56789").unwrap();
        assert_ne!(Digest::of(&a).unwrap(), Digest::of(&b).unwrap());
        let part = |path, offset, length| Digest::of_range(path, offset, length).unwrap();
        assert_eq!(part(&a, 0, 4), part(&b, 0, 4));
        assert_ne!(part(&a, 4, 1), part(&b, 4, 1));
        assert_eq!(part(&a, 8, 100).length(), 2);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("a", &link).unwrap();
        assert_ne!(Digest::of(&a).unwrap(), Digest::of(&link).unwrap());
    }

    #[test]
    fn copies_keep_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("new/b"));
        fs::write(&a, "a").unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let file = File::options().write(true).open(&a).unwrap();
        file.set_times(FileTimes::new().set_modified(old)).unwrap();
        copy(&a, &b).unwrap();
        copy(&a, &b).unwrap();
        assert_eq!(fs::metadata(&b).unwrap().modified().unwrap(), old);
        remove(&b).unwrap();
        remove(&b).unwrap();
        assert!(!is_there(&b));
    }
}
