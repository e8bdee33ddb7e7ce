//! What the configuration files of the two tools say.

mod betest;
mod test_writer;
mod xml;

pub use betest::{BetestConfiguration, SelectedComponent};
pub use test_writer::{
    Checks, ConfiguredComponent, ConfiguredDifferencedFile, ConfiguredPartialFile, Deletions,
    FailEvent, FailureKind, TestWriterConfiguration, Verbosity,
};
pub use xml::{ConfigurationError, MAX_CONFIGURATION_BYTES};
