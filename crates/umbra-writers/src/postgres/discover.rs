//! Finds running clusters, and tells whether one is still the same.
//!
//! A postmaster works in its data directory and writes its process id, socket
//! folder and port to `postmaster.pid` there. Nothing else is believed.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The process at the head of a cluster. Two are equal when they are the same
/// process: a process id alone is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Postmaster {
    pid: u32,
    /// Clock ticks from boot to its start.
    started: u64,
}

impl Postmaster {
    /// The postmaster that runs on a data directory.
    pub(super) fn of(data: &Path) -> io::Result<Self> {
        let pid = PidFile::read(data)?.pid;
        let started = start_of(pid)?;
        Ok(Self { pid, started })
    }

    /// Whether it still runs.
    pub(super) fn is_alive(self) -> bool {
        start_of(self.pid).is_ok_and(|started| started == self.started)
    }
}

/// A cluster that runs on this machine and can be seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) postmaster: Postmaster,
    /// Resolved.
    pub(super) data: PathBuf,
    /// The folder of its first Unix socket, if it has one.
    pub(super) socket_folder: Option<PathBuf>,
    pub(super) port: u16,
    /// The user id and the group id it runs as.
    pub(super) owner: (u32, u32),
}

/// All clusters whose postmaster is visible in `/proc`. A process that ends
/// meanwhile, or whose data directory is not the same here (a container's), is
/// passed over.
pub(super) fn running() -> Vec<Found> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found: Vec<Found> = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(postmaster)
        .collect();
    found.sort_by(|one, other| one.data.cmp(&other.data));
    found
}

fn postmaster(pid: u32) -> Option<Found> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let name = std::fs::read_to_string(process.join("comm")).ok()?;
    if !matches!(name.trim_end(), "postgres" | "postmaster") {
        return None;
    }
    let data = std::fs::read_link(process.join("cwd")).ok()?;
    let inside = std::fs::metadata(process.join("cwd")).ok()?;
    let outside = std::fs::metadata(&data).ok()?;
    if (inside.dev(), inside.ino()) != (outside.dev(), outside.ino()) {
        return None;
    }
    std::fs::metadata(data.join("PG_VERSION")).ok()?;
    let file = PidFile::read(&data).ok()?;
    if file.pid != pid {
        return None;
    }
    Some(Found {
        postmaster: Postmaster::of(&data).ok()?,
        owner: owner(&process)?,
        data,
        socket_folder: file.socket_folder,
        port: file.port,
    })
}

/// What `postmaster.pid` says.
struct PidFile {
    pid: u32,
    port: u16,
    socket_folder: Option<PathBuf>,
}

impl PidFile {
    fn read(data: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(data.join("postmaster.pid"))?;
        let mut lines = text.lines();
        let pid = lines.next().and_then(|line| line.trim().parse().ok());
        // Then the data directory and the time of the start.
        let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
        let socket_folder = lines.next().map(str::trim).filter(|line| !line.is_empty());
        match (pid, port) {
            (Some(pid), Some(port)) => Ok(Self {
                pid,
                port,
                socket_folder: socket_folder.map(PathBuf::from),
            }),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "postmaster.pid is not complete",
            )),
        }
    }
}

/// The effective user and group id of a process.
fn owner(process: &Path) -> Option<(u32, u32)> {
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    let effective = |field: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(field))?
            .split_whitespace()
            .nth(1)?
            .parse()
            .ok()
    };
    Some((effective("Uid:")?, effective("Gid:")?))
}

/// When a process was started; an error where it does not run.
fn start_of(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; the state follows it.
    let mut fields = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace();
    match (fields.next(), fields.nth(18).map(str::parse)) {
        (Some("Z" | "X"), _) => Err(io::ErrorKind::NotFound.into()),
        (Some(_), Some(Ok(started))) => Ok(started),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("cannot understand /proc/{pid}/stat"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::start_of;

    #[test]
    fn a_process_has_one_start_and_no_process_has_none() {
        let own = std::process::id();
        assert_eq!(start_of(own).unwrap(), start_of(own).unwrap());
        assert!(start_of(own).unwrap() > 0);
        assert!(start_of(u32::MAX).is_err());
    }
}
