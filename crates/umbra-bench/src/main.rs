//! The figures of `docs/performance.md`: real programs on real file systems on
//! loop devices, each figure as a ratio to a peer or to the kernel's floor,
//! measured in the same run. Prints Markdown.
//!
//! Needs root, and `umbra` and `umbrad` beside this program: `make bench`.
//!
//! Invariant: only file systems of a testbed are frozen, and its clean-up thaws
//! them whatever becomes of this process.

mod connected;
mod figures;
mod grace_periods;
mod images;
mod load;
mod machine;
mod postgres;
mod service;
mod statistics;
mod table;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use std::{path::PathBuf, process::ExitCode, time::Instant};
use tokio::runtime::Runtime;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// Hold time against the floor, idle and under load.
    Hold,
    /// Hold and create time by the size of the volume.
    Size,
    /// Hold time by the number of volumes in a set.
    Volumes,
    /// Freeze fan-out to connected writers.
    FanOut,
    /// Longest stall that pgbench sees.
    Stall,
    /// One pass over a million-file tree, against `find`.
    Walk,
    /// Gather, select, save and load the components of many writers.
    Components,
}

/// Measures Umbra on this machine and prints tables.
#[derive(Debug, Parser)]
#[command(name = "umbra-bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Which figures; all without any.
    figures: Vec<Figure>,
    /// What another process of this program does.
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program does when it has started itself.
#[derive(Debug, Subcommand)]
enum Role {
    /// Connects writers and times their Freeze.
    #[command(hide = true)]
    Writers {
        /// The service's socket.
        socket: PathBuf,
        /// The folder that each of them owns.
        folder: PathBuf,
        /// How many.
        count: usize,
    },
    /// Connects writers with many components.
    #[command(hide = true)]
    Owners {
        /// The service's socket.
        socket: PathBuf,
        /// How many.
        count: usize,
    },
    /// Selects every component of every writer.
    #[command(hide = true)]
    Choose {
        /// The service's socket.
        socket: PathBuf,
    },
    /// Looks for the files of a component.
    #[command(hide = true)]
    WalkTree {
        /// The root of the volume.
        root: PathBuf,
        /// Which component.
        question: figures::walk::Question,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("umbra-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.role {
        Some(Role::Writers {
            socket,
            folder,
            count,
        }) => {
            let connected = figures::fan_out::run_writers(socket, folder, *count);
            return runtime()?.block_on(connected);
        }
        Some(Role::Owners { socket, count }) => {
            return runtime()?.block_on(figures::components::run_owners(socket, *count));
        }
        Some(Role::Choose { socket }) => {
            return runtime()?.block_on(figures::components::choose(socket));
        }
        Some(Role::WalkTree { root, question }) => return figures::walk::walk(root, *question),
        None => {}
    }
    if !rustix::process::geteuid().is_root() {
        bail!("it freezes and mounts file systems: run it as root");
    }
    machine::raise_descriptor_limit()?;
    let figures = if arguments.figures.is_empty() {
        Figure::value_variants()
    } else {
        &arguments.figures
    };
    println!("{}", machine::describe()?);
    let runtime = runtime()?;
    for figure in figures {
        let begun = Instant::now();
        match figure {
            Figure::Hold => runtime.block_on(figures::hold::measure())?,
            Figure::Size => runtime.block_on(figures::size::measure())?,
            Figure::Volumes => runtime.block_on(figures::volumes::measure())?,
            Figure::FanOut => runtime.block_on(figures::fan_out::measure())?,
            Figure::Stall => figures::stall::measure()?,
            Figure::Walk => figures::walk::measure()?,
            Figure::Components => runtime.block_on(figures::components::measure())?,
        }
        println!(
            "Measured in {:.0} s; load average afterwards {}.\n",
            begun.elapsed().as_secs_f32(),
            machine::load_average()?
        );
    }
    Ok(())
}

/// Connections are served by threads of their own, so that they stay alive while
/// a measurement keeps this one.
fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
