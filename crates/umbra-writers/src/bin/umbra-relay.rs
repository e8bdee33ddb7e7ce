//! The relay as a program of its own, for this crate's tests; the programs of
//! Umbra carry it inside themselves.

use std::process::ExitCode;

fn main() -> ExitCode {
    umbra_writers::relay_main()
}
