//! The service's end of the guardian: starting it, arming it, and noticing that
//! it is gone.

use super::shared::{Board, Ice, MOST_VOLUMES, SharedBoard};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, IoSlice},
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        SocketFlags, SocketType, recv, sendmsg, socketpair,
    },
    process::{PidfdFlags, getpid, pidfd_open},
};
use std::{
    ffi::OsString,
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use umbra_model::{VssCode, VssError, VssResult};

/// The first argument with which a program is started as a guardian. A program
/// that uses [`GuardianCommand::this_program`] looks for it before anything
/// else and then runs [`guardian_main`](crate::guardian_main).
pub const GUARDIAN_ARGUMENT: &str = "--umbra-hold-guardian";

/// What the two say to each other, besides descriptors.
pub(super) const INTRODUCTION: &[u8] = b"umbra hold 1";
pub(super) const READY: &[u8] = b"ready";
pub(super) const ARM: &[u8] = b"arm";
pub(super) const ARMED: &[u8] = b"armed";
/// Room for the longest of it, a sentence about why the guardian cannot watch.
pub(super) const LONGEST: usize = 512;
/// The board, the service's process, and a folder for each file system.
pub(super) const MOST_DESCRIPTORS: usize = MOST_VOLUMES + 2;

/// How long a guardian may take to start, and to answer before a hold.
const START: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(2);
/// How long it may take to end when nothing is frozen.
const END: Duration = Duration::from_secs(2);

/// The program that guards holds: one that runs
/// [`guardian_main`](crate::guardian_main).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardianCommand {
    /// Which program.
    pub program: PathBuf,
    /// With which arguments.
    pub args: Vec<OsString>,
}

impl GuardianCommand {
    /// This very program, with [`GUARDIAN_ARGUMENT`]; also right after the
    /// program's file was replaced by an upgrade.
    pub fn this_program() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            args: vec![GUARDIAN_ARGUMENT.into()],
        }
    }
}

/// A running guardian. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Guardian {
    process: Child,
    /// `None` only while it is dropped.
    socket: Option<OwnedFd>,
}

impl Guardian {
    /// Starts one that watches over these folders, outermost first: the place
    /// of each is its slot on the board.
    pub fn start(
        command: &GuardianCommand,
        board: &SharedBoard,
        folders: &[BorrowedFd<'_>],
    ) -> VssResult<Self> {
        let failed = || {
            VssError::new(
                VssCode::Unexpected,
                format!(
                    "cannot start the guardian {}, without which no file system may be held",
                    command.program.display()
                ),
            )
        };
        let guardian = Self::spawn(command).map_err(|error| failed().caused_by(error))?;
        guardian
            .introduce(board, folders)
            .and_then(|()| guardian.expect(READY, START))
            .map_err(|error| failed().caused_by(error))?;
        Ok(guardian)
    }

    fn spawn(command: &GuardianCommand) -> io::Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        // No descriptor of the service's surroundings stays open in it: not its
        // terminal, whose end it outlives, nor a log on a file system that it
        // must thaw.
        let process = Command::new(&command.program)
            .args(&command.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            process,
            socket: Some(ours),
        })
    }

    fn introduce(&self, board: &SharedBoard, folders: &[BorrowedFd<'_>]) -> io::Result<()> {
        let service = pidfd_open(getpid(), PidfdFlags::empty())?;
        let descriptors: Vec<_> = [board.memory(), service.as_fd()]
            .into_iter()
            .chain(folders.iter().copied())
            .collect();
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut attached = SendAncillaryBuffer::new(&mut room);
        if !attached.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("too many file systems"));
        }
        sendmsg(
            self.socket()?,
            &[IoSlice::new(INTRODUCTION)],
            &mut attached,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// Has it watch from now on, and makes sure that it does.
    pub fn arm(&self) -> VssResult<()> {
        let asked = self.socket().and_then(|socket| {
            rustix::net::send(socket, ARM, SendFlags::NOSIGNAL)?;
            self.expect(ARMED, ANSWER)
        });
        asked.map_err(|error| {
            VssError::new(
                VssCode::Unexpected,
                "cannot hold file systems: the guardian does not answer; try again",
            )
            .caused_by(error)
        })
    }

    /// Whether it has died.
    pub fn is_gone(&self) -> bool {
        let Ok(socket) = self.socket() else {
            return true;
        };
        let mut polled = [PollFd::new(&socket, PollFlags::IN)];
        match poll(&mut polled, Some(&Timespec::default())) {
            // It says nothing unasked: whatever there is to read is its end.
            Ok(ready) => ready > 0,
            Err(error) => error != Errno::INTR,
        }
    }

    fn expect(&self, answer: &[u8], limit: Duration) -> io::Result<()> {
        let socket = self.socket()?;
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut polled = [PollFd::new(&socket, PollFlags::IN)];
            match poll(&mut polled, Some(&timeout)) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("no answer within {} s", limit.as_secs()),
                    ));
                }
                Ok(_) => break,
            }
        }
        let mut said = [0; LONGEST];
        let (length, _) = recv(socket, &mut said[..], RecvFlags::empty())?;
        match &said[..length] {
            said if said == answer => Ok(()),
            [] => Err(io::Error::other(
                "it ended at once; is it the right program?",
            )),
            said => Err(io::Error::other(String::from_utf8_lossy(said).into_owned())),
        }
    }

    fn socket(&self) -> io::Result<BorrowedFd<'_>> {
        self.socket
            .as_ref()
            .map(AsFd::as_fd)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Ends it. One that still has something to thaw is left to it.
    pub fn dismiss(&mut self, board: &Board) {
        self.socket = None;
        let busy = || {
            (0..MOST_VOLUMES)
                .any(|slot| matches!(board.ice(slot), Ice::Freezing | Ice::Frozen | Ice::Thawing))
        };
        let end = Instant::now() + END;
        while !matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
            if Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            } else if busy() {
                return;
            } else {
                // Stopped, by somebody. Its work is done.
                let _ = self.process.kill();
            }
        }
    }
}
