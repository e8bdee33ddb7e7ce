//! The memory that the holding process and its guardian share: who may do what
//! now. Every change of the phase is a compare-exchange, so that only one of the
//! two can end a hold, and both know which.

use rustix::{
    fs::{MemfdFlags, ftruncate, memfd_create},
    io,
    mm::{MapFlags, ProtFlags, mmap, munmap},
    time::{ClockId, clock_gettime},
};
use std::{
    ops::Deref,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    time::Duration,
};

/// As many volumes as a set may have (`VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED`).
pub(super) const MOST_VOLUMES: usize = 64;

/// Where the hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Phase {
    /// Nothing is held or about to be.
    Ready,
    /// A hold is about to begin; the guardian watches.
    Armed,
    /// File systems are being frozen or are frozen; commits may be believed.
    Holding,
    /// Every commit is made, or the hold has failed; the service thaws.
    Releasing,
    /// All is thawed, for good.
    Done,
    /// The guardian ended the hold and thaws; no commit is to be believed.
    EndedByGuardian,
    /// The service lost its guardian and thaws; no commit is to be believed.
    EndedByService,
}

/// What has become of one file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Ice {
    /// Not frozen by this hold.
    Untouched,
    /// The service is asking the kernel to freeze it. If the service dies or
    /// stops now, it may be frozen or not: the guardian thaws it. That it was
    /// somebody else's is as good as excluded: the rehearsal found it unfrozen.
    Freezing,
    /// Frozen by this hold.
    Frozen,
    /// One of the two is asking the kernel to thaw it.
    Thawing,
    /// Thawed.
    Released,
    /// Somebody else had frozen it; it is not touched.
    NotOurs,
}

/// The memory itself. Zeros are a fresh one.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Board {
    phase: AtomicU32,
    ice: [AtomicU32; MOST_VOLUMES],
    /// Goes up while the service lives.
    pub heartbeat: AtomicU64,
    /// When the guardian ends the hold: `now`'s nanoseconds.
    pub deadline: AtomicU64,
    /// For how many nanoseconds the heartbeat may stand still.
    pub stall: AtomicU64,
    /// One while the kernel is asked to hurry its grace periods.
    pub expedited: AtomicU32,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Ready,
        Self::Armed,
        Self::Holding,
        Self::Releasing,
        Self::Done,
        Self::EndedByGuardian,
        Self::EndedByService,
    ];
}

impl Ice {
    const ALL: [Self; 6] = [
        Self::Untouched,
        Self::Freezing,
        Self::Frozen,
        Self::Thawing,
        Self::Released,
        Self::NotOurs,
    ];
}

impl Board {
    pub fn phase(&self) -> Phase {
        let word = self.phase.load(SeqCst) as usize;
        // Only these two programs write here; a word that neither knows means
        // broken memory, and then the hold is over.
        *Phase::ALL.get(word).unwrap_or(&Phase::EndedByGuardian)
    }

    /// Goes on to another phase, unless the other process went elsewhere first.
    pub fn advance(&self, from: Phase, to: Phase) -> bool {
        self.phase
            .compare_exchange(from as u32, to as u32, SeqCst, SeqCst)
            .is_ok()
    }

    /// Ends a hold that is going on; whether this call did.
    pub fn end(&self, as_phase: Phase) -> bool {
        self.advance(Phase::Holding, as_phase) || self.advance(Phase::Releasing, as_phase)
    }

    pub fn ice(&self, slot: usize) -> Ice {
        let word = self.ice[slot].load(SeqCst) as usize;
        *Ice::ALL.get(word).unwrap_or(&Ice::Freezing)
    }

    pub fn set_ice(&self, slot: usize, ice: Ice) {
        self.ice[slot].store(ice as u32, SeqCst);
    }

    /// Changes one file system's state, unless the other process was first.
    pub fn change_ice(&self, slot: usize, from: Ice, to: Ice) -> bool {
        self.ice[slot]
            .compare_exchange(from as u32, to as u32, SeqCst, SeqCst)
            .is_ok()
    }
}

/// A clock that both processes read alike: nanoseconds since some start.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// A length of time on that clock.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A board in memory that can be handed to another process.
#[derive(Debug)]
pub(super) struct SharedBoard {
    memory: OwnedFd,
    board: NonNull<Board>,
}

// SAFETY: the mapping lives as long as the value and holds atomics only.
#[allow(unsafe_code)]
unsafe impl Send for SharedBoard {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for SharedBoard {}

impl SharedBoard {
    /// A fresh one.
    pub fn new() -> io::Result<Self> {
        let memory = memfd_create("umbra-hold", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, size_of::<Board>() as u64)?;
        Self::map(memory)
    }

    /// The one that another process made with `new`.
    #[allow(unsafe_code)]
    pub fn map(memory: OwnedFd) -> io::Result<Self> {
        let length = rustix::fs::fstat(&memory)?.st_size;
        if u64::try_from(length) != Ok(size_of::<Board>() as u64) {
            return Err(io::Errno::INVAL);
        }
        // SAFETY: a new mapping at an address of the kernel's choice, of a file
        // that has just this length.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                size_of::<Board>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &memory,
                0,
            )
        }?;
        let board = NonNull::new(start.cast()).ok_or(io::Errno::NOMEM)?;
        Ok(Self { memory, board })
    }

    /// To hand over.
    pub fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl Deref for SharedBoard {
    type Target = Board;

    #[allow(unsafe_code)]
    fn deref(&self) -> &Board {
        // SAFETY: the mapping is as large as a `Board`, page-aligned, lives as
        // long as `self`, and any bytes are a valid `Board` of atomics.
        unsafe { self.board.as_ref() }
    }
}

impl Drop for SharedBoard {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: nothing borrows the board any more, and nobody else unmaps it.
        // It can fail only for arguments that are not a mapping.
        let _ = unsafe { munmap(self.board.as_ptr().cast(), size_of::<Board>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_say() {
        for (word, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, word);
        }
        for (word, ice) in Ice::ALL.into_iter().enumerate() {
            assert_eq!(ice as usize, word);
        }
    }

    #[test]
    fn both_sides_see_one_board_and_only_one_ends_the_hold() {
        let service = SharedBoard::new().unwrap();
        let guardian = SharedBoard::map(service.memory().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(guardian.phase(), Phase::Ready);
        assert_eq!(guardian.ice(63), Ice::Untouched);
        assert!(service.advance(Phase::Ready, Phase::Armed));
        assert!(!guardian.end(Phase::EndedByGuardian), "nothing is held yet");
        assert!(service.advance(Phase::Armed, Phase::Holding));
        assert!(guardian.end(Phase::EndedByGuardian));
        assert!(!service.advance(Phase::Holding, Phase::Releasing));
        assert_eq!(service.phase(), Phase::EndedByGuardian);
    }

    #[test]
    fn foreign_memory_is_refused() {
        let small = memfd_create("small", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&small, 8).unwrap();
        assert!(SharedBoard::map(small).is_err());
    }
}
