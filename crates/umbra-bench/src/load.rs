//! Programs that write to a volume while it is held.

use anyhow::{Context, Result};
use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Instant,
};
use umbra_testbed::Disk;

const WRITERS: u64 = 2;
const BLOCK: usize = 8 << 10;
const BLOCKS: u64 = 4096;

/// Two threads, each of which writes random blocks of 8 KiB to a file of 32 MiB
/// and waits with `fsync` for each one. Ends when it is dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    begun: Instant,
    writers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins to write.
    ///
    /// # Errors
    ///
    /// The files cannot be made.
    pub fn on(disk: &Disk) -> Result<Self> {
        let mut load = Self {
            stop: Arc::default(),
            written: Arc::default(),
            begun: Instant::now(),
            writers: Vec::new(),
        };
        for number in 0..WRITERS {
            let path = disk.mount.join(format!("load{number}"));
            let file =
                File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
            for block in 0..BLOCKS {
                file.write_all_at(&[1; BLOCK], block * BLOCK as u64)?;
            }
            file.sync_all()?;
            let (stop, written) = (load.stop.clone(), load.written.clone());
            load.writers.push(thread::spawn(move || {
                let mut random = number + 1;
                while !stop.load(Relaxed) {
                    let block = next(&mut random) % BLOCKS;
                    let data = [random as u8; BLOCK];
                    let result = file
                        .write_all_at(&data, block * BLOCK as u64)
                        .and_then(|()| file.sync_all());
                    if let Err(error) = result {
                        eprintln!("the load ended: {error}");
                        return;
                    }
                    written.fetch_add(1, Relaxed);
                }
            }));
        }
        load.begun = Instant::now();
        load.written.store(0, Relaxed);
        Ok(load)
    }

    /// How many blocks were written in a second, on average.
    pub fn rate(&self) -> f64 {
        self.written.load(Relaxed) as f64 / self.begun.elapsed().as_secs_f64()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for writer in self.writers.drain(..) {
            // A panic has said what it had to say.
            let _ = writer.join();
        }
    }
}

/// Marsaglia's xorshift: the same blocks in each run.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
