//! The signals that end a program, as events.

use std::io;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// A request to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGHUP: the terminal was closed.
    HangUp,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGQUIT: Ctrl-\.
    Quit,
    /// SIGTERM.
    Terminate,
}

impl Ending {
    const ALL: [Self; 4] = [Self::HangUp, Self::Interrupt, Self::Quit, Self::Terminate];

    /// The signal.
    pub fn signal(self) -> rustix::process::Signal {
        match self {
            Self::HangUp => rustix::process::Signal::HUP,
            Self::Interrupt => rustix::process::Signal::INT,
            Self::Quit => rustix::process::Signal::QUIT,
            Self::Terminate => rustix::process::Signal::TERM,
        }
    }

    /// The exit code of a program that such a signal ended, as shells report it.
    pub fn exit_code(self) -> u8 {
        128 + match self {
            Self::HangUp => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Terminate => 15,
        }
    }

    /// Whether the terminal that sends it sends it to the command as well.
    pub fn comes_from_keyboard(self) -> bool {
        matches!(self, Self::Interrupt | Self::Quit)
    }

    fn kind(self) -> SignalKind {
        SignalKind::from_raw(self.signal().as_raw())
    }
}

/// The signals that ask this program to end, from now on.
///
/// A signal that whoever started the program had ignored (`nohup`, a job in the
/// background of a script) stays ignored.
#[derive(Debug)]
pub struct Endings {
    streams: Vec<(Ending, Stream)>,
}

impl Endings {
    /// Starts to listen. To be called on the runtime.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn listen() -> io::Result<Self> {
        let ignored = ignored_signals()?;
        let streams = Ending::ALL
            .into_iter()
            .filter(|ending| ignored & (1 << (ending.signal().as_raw() - 1)) == 0)
            .map(|ending| signal(ending.kind()).map(|stream| (ending, stream)))
            .collect::<io::Result<_>>()?;
        Ok(Self { streams })
    }

    /// The next request to end. Safe to cancel.
    pub async fn next(&mut self) -> Ending {
        std::future::poll_fn(|context| {
            for (ending, stream) in &mut self.streams {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*ending);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

fn ignored_signals() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("/proc/self/status has no SigIgn line"))
}

/// Whether this program is in the foreground of a terminal, whose Ctrl-C goes
/// to every process in this program's group.
pub fn in_foreground() -> bool {
    std::fs::File::open("/dev/tty")
        .ok()
        .and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok())
        == Some(rustix::process::getpgrp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_shell() {
        assert_eq!(Ending::Interrupt.exit_code(), 130);
        assert_eq!(Ending::Terminate.exit_code(), 143);
        assert_eq!(Ending::HangUp.exit_code(), 129);
    }

    #[tokio::test]
    async fn hears_signals() {
        let mut endings = Endings::listen().unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
            .unwrap();
        assert_eq!(endings.next().await, Ending::Terminate);
    }
}
