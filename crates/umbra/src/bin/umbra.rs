//! The command `umbra`.

use clap::Parser;
use std::process::ExitCode;
use umbra::{command_line::UmbraCommand, start_up, tasks};

fn main() -> ExitCode {
    if let Some(code) = start_up::other_role() {
        return code;
    }
    #[cfg(feature = "failpoints")]
    let _fail_points = start_up::fail_points();
    match tasks::run(UmbraCommand::parse()) {
        Ok(code) => code,
        Err(failure) => {
            failure.print("umbra");
            failure.kind().code().into()
        }
    }
}
