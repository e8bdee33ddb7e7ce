//! A byte relay to a Unix socket, under another user's id.
//!
//! PostgreSQL's peer authentication looks at the user id of the process that
//! connects. The service runs as root and never changes its own id; it starts
//! its own program again as the cluster's owner, with one hidden argument, and
//! speaks through that child's standard input and output.

use std::{
    ffi::{OsStr, OsString},
    io,
    net::Shutdown,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    thread,
};
use tokio::process::{Child, Command};

/// The hidden first argument that makes a program the relay. A program that
/// uses this crate calls [`relay_main`] before anything else when it sees it.
pub const RELAY_ARGUMENT: &str = "--umbra-socket-relay";

/// The program that is started as the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayCommand(PathBuf);

impl Default for RelayCommand {
    /// This program itself.
    fn default() -> Self {
        Self(PathBuf::from("/proc/self/exe"))
    }
}

impl RelayCommand {
    /// Another program that calls [`relay_main`]; for tests.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self(program.into())
    }

    /// Starts the relay to a socket. The child has the user and the group, no
    /// other groups (the standard library drops them with the user id), an
    /// empty environment, and ends with its standard input.
    pub(crate) fn start(&self, socket: &Path, uid: u32, gid: u32) -> io::Result<Child> {
        Command::new(&self.0)
            .arg(RELAY_ARGUMENT)
            .arg(socket)
            .env_clear()
            .current_dir("/")
            .uid(uid)
            .gid(gid)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// The relay: connects to the socket named by the second argument and copies
/// standard input to it and what it answers to standard output, until either
/// side ends.
pub fn relay_main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let result = match arguments.as_slice() {
        [_, argument, socket] if argument == OsStr::new(RELAY_ARGUMENT) => relay(Path::new(socket)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the relay wants the path of one socket",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn relay(socket: &Path) -> io::Result<()> {
    let stream = UnixStream::connect(socket)?;
    let mut upward = stream.try_clone()?;
    // Ends with the process: the server's end of file is the end of the relay.
    thread::spawn(move || {
        // An error is the server's hanging up, which the other copy sees too.
        let _ = io::copy(&mut io::stdin().lock(), &mut upward);
        let _ = upward.shutdown(Shutdown::Write);
    });
    let mut output = RawOutput(io::stdout());
    io::copy(&mut &stream, &mut output).map(drop)
}

/// Standard output that is flushed with each piece: the protocol is a dialogue
/// and has no line ends.
struct RawOutput(io::Stdout);

impl io::Write for RawOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        self.0.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
