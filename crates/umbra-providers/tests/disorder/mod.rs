//! Writers that do to a file system all that they can, until told to end.

use rustix::fs::{FallocateFlags, fallocate};
use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Direct I/O of Linux on most processors.
const O_DIRECT: i32 = 0o40000;
/// The files are this long, in bytes.
const LENGTH: u64 = 4 << 20;

pub struct Disorder {
    end: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
}

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

/// Whether free space is discarded meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    Often,
    Never,
}

impl Disorder {
    pub fn in_folder(folder: &Path, trim: Trim) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let mut writers: Vec<_> = (1..=4)
            .map(|seed| {
                let folder = folder.join(format!("writer{seed}"));
                fs::create_dir(&folder).unwrap();
                let end = end.clone();
                thread::spawn(move || {
                    let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
                    while !end.load(Ordering::Relaxed) {
                        act(&folder, &mut dice);
                    }
                })
            })
            .collect();
        let (trimmed, ended) = (folder.to_owned(), end.clone());
        if trim == Trim::Often {
            writers.push(thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    umbra_testbed::run("fstrim", [&trimmed]);
                    thread::sleep(Duration::from_millis(400));
                }
            }));
        }
        Self { end, writers }
    }

    pub fn end(self) {
        self.end.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.join().unwrap();
        }
    }
}

fn act(folder: &Path, dice: &mut Dice) {
    let path = folder.join(format!("file{}", dice.throw(4)));
    let direct = dice.throw(4) == 0;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(if direct { O_DIRECT } else { 0 })
        .open(&path)
        .unwrap();
    let offset = dice.throw(LENGTH / 4096) * 4096;
    match dice.throw(10) {
        0..=4 => {
            let length = 4096 << dice.throw(7);
            let mut content = vec![0; length + 4096];
            // Direct writes want their memory aligned.
            let start = content.as_ptr().align_offset(4096);
            let content = &mut content[start..start + length];
            for word in content.chunks_exact_mut(8) {
                word.copy_from_slice(&dice.throw(u64::MAX).to_le_bytes());
            }
            file.write_all_at(content, offset).unwrap();
        }
        5 => file.sync_all().unwrap(),
        6 => file.set_len(offset).unwrap(),
        7 => {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&file, flags, offset, 65_536).unwrap();
        }
        8 => {
            fallocate(&file, FallocateFlags::empty(), offset, 262_144).unwrap();
        }
        _ => {
            let other = folder.join(format!("file{}", dice.throw(4)));
            fs::rename(&path, &other).unwrap();
            fs::create_dir_all(folder.join("deep")).unwrap();
            fs::write(folder.join("deep").join(format!("{offset}")), "small").unwrap();
            if dice.throw(8) == 0 {
                fs::remove_dir_all(folder.join("deep")).unwrap();
            }
        }
    }
    thread::sleep(Duration::from_micros(300));
}
