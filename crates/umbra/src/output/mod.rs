//! What the command prints: listings as tables that read well at 80 columns or
//! as JSON with stable names, result lines, and progress.
//!
//! Invariant: a listing prints to standard output and nothing else does; what
//! people are told meanwhile goes to standard error.

mod documents;
mod express;
mod listings;
mod progress;
mod selection;
mod sets;
mod table;
mod text;

pub use documents::DocumentView;
pub use express::ExpressWriterView;
pub use listings::{
    ComponentView, FileSetView, ProviderView, SessionView, StatusView, VolumeView, WriterView,
};
pub use progress::ProgressLine;
pub use selection::SelectionView;
pub use sets::{SetView, ShadowCopyView, VouchingWriterView, result_line};
pub use text::{path_text, plain, span};

use crate::{exit::ExitKind, failure::Failure};
use serde::Serialize;
use std::io::Write;

/// How a listing is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text {
        /// How many columns there are.
        width: u16,
    },
    /// For programs.
    Json,
}

impl Format {
    /// JSON where it was asked for; else text as wide as the terminal, or 80
    /// columns where standard output is none.
    pub fn of(arguments: &crate::command_line::ListingArguments) -> Self {
        if arguments.json {
            Self::Json
        } else {
            let width = rustix::termios::tcgetwinsize(std::io::stdout())
                .ok()
                .map(|size| size.ws_col)
                .filter(|columns| *columns >= 40)
                .unwrap_or(80);
            Self::Text { width }
        }
    }
}

/// Something that can be printed either way.
pub trait Listing: Serialize {
    /// The lines for people, at most `width` columns where the words allow it.
    fn text(&self, width: u16) -> String;
}

/// Prints a listing to standard output.
///
/// # Errors
///
/// Standard output cannot be written to, as when its disk is full. A reader
/// that has gone away (`| head`) is none.
pub fn print(listing: &impl Listing, format: Format) -> Result<(), Failure> {
    let text = match format {
        Format::Text { width } => listing.text(width),
        Format::Json => serde_json::to_string_pretty(listing)
            .map(|json| json + "\n")
            .map_err(|error| {
                Failure::new(ExitKind::Unexpected, format!("cannot write JSON: {error}"))
            })?,
    };
    print_text(&text)
}

/// Tells people something: a line `umbra: …` on standard error.
pub fn tell(line: impl std::fmt::Display) {
    tell_raw(&format!("umbra: {line}\n"));
}

/// Prints to standard error. A terminal that was closed must not keep anybody
/// from cleaning up, so what cannot be printed there is lost.
pub fn tell_raw(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Prints lines to standard output.
///
/// # Errors
///
/// As [`print`].
pub fn print_text(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            ExitKind::Unexpected,
            format!("cannot write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}
