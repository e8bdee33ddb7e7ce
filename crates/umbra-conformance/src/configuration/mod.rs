//! What the configuration files of the two tools say.

mod test_writer;
mod xml;

pub use test_writer::{
    Checks, ConfiguredComponent, ConfiguredDifferencedFile, ConfiguredPartialFile, Deletions,
    FailEvent, FailureKind, TestWriterConfiguration, Verbosity,
};
pub use xml::ConfigurationError;
