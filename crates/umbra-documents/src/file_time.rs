//! Moments as the documents write them.

use serde::{Serialize, Serializer};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from 1601-01-01 to 1970-01-01, UTC.
const TO_UNIX: u64 = 11_644_473_600;

/// A moment as a `FILETIME`: units of 100 ns since 1601-01-01, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime(u64);

impl FileTime {
    /// The moment so many units of 100 ns after the start of 1601.
    pub const fn from_units(units: u64) -> Self {
        Self(units)
    }

    /// Units of 100 ns since the start of 1601.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// The moment as the system has it; none past what it can represent.
    pub fn to_system(self) -> Option<SystemTime> {
        let (seconds, units) = (self.0 / 10_000_000, self.0 % 10_000_000);
        let fraction = Duration::from_nanos(units * 100);
        let since = Duration::from_secs(seconds) + fraction;
        let base = UNIX_EPOCH.checked_sub(Duration::from_secs(TO_UNIX))?;
        base.checked_add(since)
    }

    /// The moment, without what is finer than 100 ns; none before 1601.
    pub fn from_system(time: SystemTime) -> Option<Self> {
        let base = UNIX_EPOCH.checked_sub(Duration::from_secs(TO_UNIX))?;
        let since = time.duration_since(base).ok()?;
        u64::try_from(since.as_nanos() / 100).ok().map(Self)
    }
}

impl Serialize for FileTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_system() {
        let unix = FileTime::from_units(116_444_736_000_000_000);
        assert_eq!(unix.to_system(), Some(UNIX_EPOCH));
        let later = UNIX_EPOCH + Duration::new(1_169_469_857, 123_456_700);
        assert_eq!(
            FileTime::from_system(later).and_then(FileTime::to_system),
            Some(later)
        );
        assert_eq!(FileTime::from_units(0).units(), 0);
    }
}
