//! The command `umbra`.

use clap::Parser;
use std::{env::args_os, process::ExitCode};
use umbra::{
    command_line::{UmbraCommand, with_betest_spelling},
    start_up, tasks,
};

fn main() -> ExitCode {
    if let Some(code) = start_up::other_role() {
        return code;
    }
    #[cfg(feature = "failpoints")]
    let _fail_points = start_up::fail_points();
    match tasks::run(UmbraCommand::parse_from(with_betest_spelling(args_os()))) {
        Ok(code) => code,
        Err(failure) => {
            failure.print("umbra");
            failure.kind().code().into()
        }
    }
}
