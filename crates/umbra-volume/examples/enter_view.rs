//! Runs a command in a private view: what `umbra exec` does at its end.
//!
//! ```text
//! enter_view [--copy MOUNT_POINT FILE_SYSTEM SOURCE OPTIONS]… [--live PATH]… -- COMMAND…
//! ```
//!
//! OPTIONS are separated by commas, and may be empty. Warnings and errors go to
//! standard error; the exit code is 125 where the view cannot be entered.

use std::{os::unix::process::CommandExt, path::PathBuf, process::Command};
use umbra_volume::{
    mount::MountRequest,
    namespace::{self, ShadowMount, ShadowView},
};

fn main() {
    let mut view = ShadowView::default();
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().unwrap_or_default();
    loop {
        match next().as_str() {
            "--copy" => view.copies.push(ShadowMount {
                mount_point: PathBuf::from(next()),
                request: MountRequest {
                    file_system: next(),
                    source: PathBuf::from(next()),
                    options: next()
                        .split(',')
                        .filter(|option| !option.is_empty())
                        .map(str::to_owned)
                        .collect(),
                },
            }),
            "--live" => view.live.push(PathBuf::from(next())),
            _ => break,
        }
    }
    let problem = match namespace::enter(&view) {
        Ok(warnings) => {
            for warning in warnings {
                eprintln!("warning: {warning}");
            }
            Command::new(next()).args(words).exec().to_string()
        }
        Err(error) => error.to_string(),
    };
    eprintln!("error: {problem}");
    std::process::exit(125);
}
