//! A guardian and nothing else, for this crate's tests and benchmarks.

use std::process::ExitCode;

fn main() -> ExitCode {
    umbra_volume::guardian_main()
}
