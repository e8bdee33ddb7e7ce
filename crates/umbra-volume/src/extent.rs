//! A piece of a device or file.

/// Bytes that lie one after another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    /// Where it begins, in bytes from the start.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

impl Extent {
    /// Where it ends: the offset of the first byte that is not in it.
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }
}
