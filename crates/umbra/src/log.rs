//! The service's log: lines on standard error that never wait for whoever reads
//! them.
//!
//! Invariant: no thread that logs is ever blocked by a full pipe or by a log
//! file on a held file system; lines are lost instead, and counted.

use crate::configuration::{Log, LogLevel};
use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

/// How many lines may wait for a slow reader.
const WAITING_LINES: usize = 1024;

/// Has everything from the configured level on logged to standard error.
///
/// # Errors
///
/// The thread that writes cannot be started.
pub fn start(log: &Log) -> io::Result<()> {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = LossyLines::start(io::stderr())?;
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        // systemd's journal has the time already.
        .without_time()
        .with_writer(lines)
        .try_init()
        .map_err(io::Error::other)
}

/// Hands lines to a thread that writes them; loses them where it cannot follow.
#[derive(Debug, Clone)]
struct LossyLines {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

impl LossyLines {
    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_lines(&waiting, &counted, out))?;
        Ok(Self { lines, lost })
    }
}

fn write_lines(lines: &Receiver<Vec<u8>>, lost: &AtomicU64, mut out: impl Write) {
    for line in lines {
        // A log that cannot be written has nowhere to say so.
        let _ = out.write_all(&line);
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ = writeln!(out, " WARN {missing} lines of the log were lost");
        }
        let _ = out.flush();
    }
}

impl Write for LossyLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line.to_vec()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LossyLines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, os::unix::net::UnixStream};

    #[test]
    fn a_reader_that_does_not_read_stops_nobody() {
        let (out, mut reader) = UnixStream::pair().unwrap();
        let mut lines = LossyLines::start(out).unwrap();
        for _ in 0..20_000 {
            lines.write_all(&[b'x'; 100]).unwrap();
        }
        assert!(lines.lost.load(Ordering::Relaxed) > 0);
        drop(lines);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(text.contains("lines of the log were lost"));
    }
}
