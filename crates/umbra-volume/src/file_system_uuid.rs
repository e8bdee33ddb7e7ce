//! The UUID that a file system was given when it was made.

use std::fmt;

/// A file system's UUID; shown in the usual form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileSystemUuid(pub [u8; 16]);

impl fmt::Display for FileSystemUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_as_everywhere() {
        let uuid =
            FileSystemUuid(*b"\x2e\x94\xae\x3f\x4d\x24\x4a\x8c\xb3\xc8\x8a\x0b\x1b\x2f\x3c\x4d");
        assert_eq!(uuid.to_string(), "2e94ae3f-4d24-4a8c-b3c8-8a0b1b2f3c4d");
    }
}
