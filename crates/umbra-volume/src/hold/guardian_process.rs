//! The guardian: a process of its own that thaws what the service froze when the
//! service dies, stalls or is late. Nothing else ends a freeze that its maker
//! has forgotten; a file system that stays frozen stops the machine.
//!
//! It depends on as little as can be: no allocation, no file and no new thread
//! once it has said that it is ready.

use super::{
    freeze,
    grace_periods::{GracePeriodPolicy, GracePeriods},
    guardian::{ARM, ARMED, INTRODUCTION, LONGEST, MOST_DESCRIPTORS, READY},
    memory_lock,
    shared::{Ice, Phase, SharedBoard, now},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, IoSliceMut},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recv, recvmsg, send},
};
use std::{
    fs, io,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

/// How often it looks, during a hold.
const LOOK: Duration = Duration::from_millis(10);
/// How often it tries to thaw what is just being frozen.
const RETRY: Duration = Duration::from_millis(10);
/// How long it waits for one thaw before it begins the next: in vain if that
/// thaw waits for a file system that comes later.
const PATIENCE: Duration = Duration::from_millis(100);
const STACK: usize = 128 * 1024;

/// The main function of a guardian. Its standard input is the socket on which
/// the service introduces itself.
pub fn guardian_main() -> ExitCode {
    close_what_was_inherited();
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    match Guardian::meet(&socket) {
        Ok(mut guardian) => {
            if send(&socket, READY, SendFlags::NOSIGNAL).is_ok() {
                guardian.watch(&socket);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let why = error.to_string();
            let why = &why.as_bytes()[..why.len().min(LONGEST)];
            // If the service is not there to read it, nobody needs it.
            let _ = send(&socket, why, SendFlags::NOSIGNAL);
            ExitCode::FAILURE
        }
    }
}

/// Leaves the service's session and its fate, and stays in memory.
fn seclude() -> io::Result<()> {
    // Fails only where it leads its own session already.
    let _ = rustix::process::setsid();
    ignore_signals();
    // The kernel may refuse to spare it; it will do without.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    memory_lock::lock().map_err(|error| {
        io::Error::other(format!(
            "it cannot lock itself in memory ({error}); run as root (CAP_IPC_LOCK) or raise the \
             limit (ulimit -l, LimitMEMLOCK=)"
        ))
    })
}

/// Descriptors that the service itself inherited and that reached the guardian:
/// it must keep nobody's pipe or file open.
#[allow(unsafe_code)]
fn close_what_was_inherited() {
    // SAFETY: nothing in this process has opened a descriptor yet, so none that
    // is closed here has an owner. Kernels before 5.9 lack the call; there the
    // descriptors stay open as long as the guardian lives.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// What is sent to the whole service, to end it, must not end its guardian.
#[allow(unsafe_code)]
fn ignore_signals() {
    for signal in [
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGPIPE,
        libc::SIGTSTP,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
    ] {
        // SAFETY: ignoring a signal installs no handler and touches no memory.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

struct Guardian {
    charge: Arc<Charge>,
    service: OwnedFd,
    grace_periods: GracePeriods,
    thawers: Vec<Thawer>,
    beat: u64,
    beat_at: u64,
}

/// What it guards; shared with the threads that thaw.
struct Charge {
    board: SharedBoard,
    /// In the order in which they are thawed.
    folders: Vec<OwnedFd>,
    service_gone: AtomicBool,
}

/// A thread for one file system: a thaw can block, and must not keep the
/// guardian from the others.
struct Thawer {
    requests: Arc<Requests>,
    thread: thread::Thread,
}

/// How often a thread was asked to thaw, and up to which request it has.
#[derive(Default)]
struct Requests {
    asked: AtomicU64,
    done: AtomicU64,
}

impl Guardian {
    /// Hears from the service what to guard, and gets everything ready.
    fn meet(socket: &OwnedFd) -> io::Result<Self> {
        let mut said = [0; LONGEST];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut attached = RecvAncillaryBuffer::new(&mut room);
        let received = recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut said)],
            &mut attached,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        if said[..received.bytes] != *INTRODUCTION {
            return Err(io::Error::other(
                "the guardian was not started by a service of this version",
            ));
        }
        let mut descriptors = attached.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        });
        let missing = || io::Error::other("the service handed over too little");
        let board = SharedBoard::map(descriptors.next().ok_or_else(missing)?)?;
        let service = descriptors.next().ok_or_else(missing)?;
        // Only now: a socket that is closed with something unread in it loses
        // what was said on it, and the reason of a failure would not arrive.
        seclude()?;
        let charge = Arc::new(Charge {
            board,
            folders: descriptors.collect(),
            service_gone: AtomicBool::new(false),
        });
        let thawers = (0..charge.folders.len())
            .map(|slot| Thawer::start(&charge, slot))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            charge,
            service,
            grace_periods: GracePeriods::open(GracePeriodPolicy::Expedite),
            thawers,
            beat: 0,
            beat_at: now(),
        })
    }

    /// Watches until the service lets go of the socket, or is gone.
    fn watch(&mut self, socket: &OwnedFd) {
        while self.listen(socket) {
            match self.charge.board.phase() {
                Phase::Holding | Phase::Releasing if self.service_is_late() => self.end(),
                // Again and again: a service that was stopped in the middle of a
                // freeze may finish it much later.
                Phase::EndedByGuardian => self.thaw_all(),
                _ => {}
            }
        }
        self.charge.service_gone.store(true, SeqCst);
        self.end();
        while self.thawers.iter().any(Thawer::is_busy) {
            thread::park_timeout(LOOK);
        }
        self.grace_periods.restore(&self.charge.board);
    }

    /// Waits for news; false when the service is gone.
    fn listen(&mut self, socket: &OwnedFd) -> bool {
        let look = Timespec::try_from(LOOK).unwrap_or_default();
        let timeout = match self.charge.board.phase() {
            Phase::Ready | Phase::Done => None,
            _ => Some(&look),
        };
        let mut polled = [
            PollFd::new(socket, PollFlags::IN),
            PollFd::new(&self.service, PollFlags::IN),
        ];
        if poll(&mut polled, timeout).is_err() {
            // Interrupted; anything else would come again and again, and then
            // looking in this rhythm is the best that can be done.
            thread::sleep(LOOK);
            return true;
        }
        if !polled[1].revents().is_empty() {
            return false;
        }
        polled[0].revents().is_empty() || self.answer(socket)
    }

    fn answer(&mut self, socket: &OwnedFd) -> bool {
        let mut said = [0; LONGEST];
        match recv(socket, &mut said[..], RecvFlags::DONTWAIT) {
            Ok((length, _)) if said[..length] == *ARM => {
                self.beat_at = now();
                send(socket, ARMED, SendFlags::NOSIGNAL).is_ok()
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Ok(_) | Err(_) => false,
        }
    }

    fn service_is_late(&mut self) -> bool {
        let board = &self.charge.board;
        let now = now();
        let beat = board.heartbeat.load(SeqCst);
        if beat != self.beat {
            self.beat = beat;
            self.beat_at = now;
        }
        now >= board.deadline.load(SeqCst)
            || now.saturating_sub(self.beat_at) >= board.stall.load(SeqCst)
    }

    /// Ends the hold, so that the service believes no commit any more, and only
    /// then thaws.
    fn end(&mut self) {
        self.charge.board.end(Phase::EndedByGuardian);
        self.thaw_all();
    }

    /// Has everything thawed that is frozen, outermost first, and then what is
    /// perhaps being frozen just now.
    fn thaw_all(&self) {
        let frozen = |ice| matches!(ice, Ice::Frozen | Ice::Thawing);
        let freezing = |ice| ice == Ice::Freezing;
        for (slot, thawer) in self.thawers.iter().enumerate() {
            if frozen(self.charge.board.ice(slot)) {
                thawer.ask();
                let end = Instant::now() + PATIENCE;
                while thawer.is_busy() && Instant::now() < end {
                    thread::park_timeout(LOOK);
                }
            }
        }
        for (slot, thawer) in self.thawers.iter().enumerate() {
            if freezing(self.charge.board.ice(slot)) {
                thawer.ask();
            }
        }
    }
}

impl Thawer {
    fn start(charge: &Arc<Charge>, slot: usize) -> io::Result<Self> {
        let requests = Arc::new(Requests::default());
        let (charge, heard) = (Arc::clone(charge), Arc::clone(&requests));
        let guardian = thread::current();
        let thread = thread::Builder::new().stack_size(STACK).spawn(move || {
            loop {
                let asked = heard.asked.load(SeqCst);
                if asked == heard.done.load(SeqCst) {
                    thread::park();
                    continue;
                }
                charge.thaw(slot);
                heard.done.store(asked, SeqCst);
                guardian.unpark();
            }
        })?;
        Ok(Self {
            requests,
            thread: thread.thread().clone(),
        })
    }

    fn ask(&self) {
        self.requests.asked.fetch_add(1, SeqCst);
        self.thread.unpark();
    }

    fn is_busy(&self) -> bool {
        self.requests.asked.load(SeqCst) != self.requests.done.load(SeqCst)
    }
}

impl Charge {
    /// Thaws one file system, unless the hold did not freeze it.
    fn thaw(&self, slot: usize) {
        loop {
            let ice = self.board.ice(slot);
            if !matches!(ice, Ice::Freezing | Ice::Frozen | Ice::Thawing) {
                return;
            }
            // Read first: a service that is gone now froze nothing after that.
            let service_gone = self.service_gone.load(SeqCst);
            match freeze::thaw(&self.folders[slot]) {
                Ok(()) => {
                    self.board.change_ice(slot, ice, Ice::Released);
                }
                Err(error) if freeze::was_not_frozen(error) => {
                    // One that is being frozen is not frozen yet.
                    if ice != Ice::Freezing || service_gone {
                        self.board.change_ice(slot, ice, Ice::Released);
                    } else {
                        thread::sleep(RETRY);
                    }
                }
                // It stays frozen: there is nothing better to do than this.
                Err(_) => thread::sleep(RETRY),
            }
        }
    }
}
