//! The version that the in-box writers have: that of Umbra.

use umbra_documents::WriterVersion;

/// Major and minor version of Umbra.
pub(crate) fn of_umbra() -> WriterVersion {
    // Cargo lets only numbers pass.
    let number = |text: &str| text.parse().unwrap_or_default();
    WriterVersion {
        major: number(env!("CARGO_PKG_VERSION_MAJOR")),
        minor: number(env!("CARGO_PKG_VERSION_MINOR")),
    }
}
