//! How the abstract socket is named.

use std::{os::unix::ffi::OsStrExt, path::Path};

/// The abstract socket of the system's service: `unix-abstract:umbra` to gRPC.
pub const DEFAULT_ABSTRACT_NAME: &str = "umbra";

/// The abstract socket of a service that runs with `--root`: `umbra-` and the
/// FNV-1a hash of the root's absolute path, so that two services never meet and
/// any language can work it out.
pub fn abstract_name(root: &Path) -> String {
    let hash = root
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{DEFAULT_ABSTRACT_NAME}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_published_hash() {
        // The test vectors of FNV-1a for "" and "a".
        assert_eq!(abstract_name(Path::new("")), "umbra-cbf29ce484222325");
        assert_eq!(abstract_name(Path::new("a")), "umbra-af63dc4c8601ec8c");
    }
}
