//! What is known of a mirror, in a small file beside it.

use crate::{failure::failed, storage_folder::StorageFolder};
use rustix::{
    fs::{AtFlags, Mode, OFlags, fsync, openat, renameat, unlinkat},
    io::Errno,
};
use std::{
    fs::File,
    io::{Read, Write},
};
use umbra_model::VssResult;
use umbra_tracker::TrackingToken;

const NAME: &str = "mirror.state";
const NEW_NAME: &str = "mirror.state.new";
const FIRST_LINE: &str = "umbra mirror 1";

/// Up to where a mirror was copied, and since when changes are tracked without a
/// gap: what the tracker with this token has not marked is in the mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MirrorState {
    /// The size of the device in bytes.
    pub(super) size: u64,
    /// The size of a chunk in bytes.
    pub(super) chunk: u64,
    /// The tracker's.
    pub(super) token: TrackingToken,
    /// The first chunk that was not copied yet; all of them where it is their
    /// number.
    pub(super) copied: u64,
}

impl MirrorState {
    /// Reads it. `None` where there is none, or none that can be understood: the
    /// mirror is then copied anew.
    pub(super) fn read(folder: &StorageFolder) -> VssResult<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut text = String::new();
        match openat(folder, NAME, flags, Mode::empty()) {
            Ok(file) => match File::from(file).read_to_string(&mut text) {
                Ok(_) => Ok(Self::parse(&text)),
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
                Err(error) => Err(failed(format!("read {}", shown(folder)), error)),
            },
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed(format!("open {}", shown(folder)), error)),
        }
    }

    /// Puts it in the place of an older one, at once and durably.
    pub(super) fn write(&self, folder: &StorageFolder) -> VssResult<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let put = || -> std::io::Result<()> {
            let mode = Mode::RUSR | Mode::WUSR;
            let file = openat(folder, NEW_NAME, flags | OFlags::CLOEXEC, mode)?;
            let mut file = File::from(file);
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            renameat(folder, NEW_NAME, folder, NAME)?;
            Ok(fsync(folder)?)
        };
        put().map_err(|error| failed(format!("write {}", shown(folder)), error))
    }

    /// Removes it durably; nothing to do is no error.
    pub(super) fn remove(folder: &StorageFolder) -> VssResult<()> {
        match unlinkat(folder, NAME, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => fsync(folder),
            Err(error) => Err(error),
        }
        .map_err(|error| failed(format!("remove {}", shown(folder)), error))
    }

    fn text(&self) -> String {
        let Self {
            size,
            chunk,
            token,
            copied,
        } = self;
        format!("{FIRST_LINE}\nsize={size}\nchunk={chunk}\ntoken={token}\ncopied={copied}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        (lines.next()? == FIRST_LINE).then_some(())?;
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix('=');
        let state = Self {
            size: value("size")?.parse().ok()?,
            chunk: value("chunk")?.parse().ok()?,
            token: value("token")?.parse().ok()?,
            copied: value("copied")?.parse().ok()?,
        };
        lines.next().is_none().then_some(state)
    }
}

fn shown(folder: &StorageFolder) -> String {
    folder.path().join(NAME).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_from_its_text_and_from_no_other() {
        let token = "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d".parse().unwrap();
        let state = MirrorState {
            size: 1 << 40,
            chunk: 16_384,
            token,
            copied: 77,
        };
        let text = state.text();
        assert_eq!(MirrorState::parse(&text), Some(state));
        for length in 0..text.len() {
            assert_eq!(MirrorState::parse(&text[..length]), None, "{length}");
        }
        assert_eq!(MirrorState::parse(&format!("{text}more=1\n")), None);
        assert_eq!(
            MirrorState::parse(&text.replace("mirror 1", "mirror 2")),
            None
        );
    }
}
