//! The service `umbrad`.

use clap::Parser;
use std::process::ExitCode;
use umbra::{command_line::UmbradCommand, daemon, start_up};

fn main() -> ExitCode {
    if let Some(code) = start_up::other_role() {
        return code;
    }
    #[cfg(feature = "failpoints")]
    let _fail_points = start_up::fail_points();
    match daemon::run(&UmbradCommand::parse()) {
        Ok(code) => code,
        Err(failure) => {
            failure.print("umbrad");
            failure.kind().code().into()
        }
    }
}
