//! The machine that was measured on.

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{fs, path::PathBuf, thread};

/// A thousand writers at each end of their sockets, and some to spare.
const DESCRIPTORS: u64 = 8192;

/// The machine in a few lines of Markdown.
///
/// # Errors
///
/// /proc or /etc/os-release cannot be read.
pub fn describe() -> Result<String> {
    let cpu = read("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let virtual_machine = cpu
        .lines()
        .any(|line| line.starts_with("flags") && line.contains(" hypervisor"));
    let os = read("/etc/os-release")?;
    let distribution = os
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or("unknown", |name| name.trim_matches('"'));
    let memory = read("/proc/meminfo")?;
    let kilobytes: u64 = memory
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or_default();
    let folder = std::env::var_os("UMBRA_TESTBED").map_or("/var/tmp".into(), PathBuf::from);
    Ok(format!(
        "- Processor: {model}, {} cores{}\n\
         - Memory: {} GiB\n\
         - Kernel: {}\n\
         - Distribution: {distribution}\n\
         - Images lie on: {}, {}\n\
         - Load average before: {}\n",
        thread::available_parallelism()?,
        if virtual_machine {
            ", in a virtual machine"
        } else {
            ""
        },
        kilobytes.div_ceil(1 << 20),
        read("/proc/sys/kernel/osrelease")?.trim(),
        folder.display(),
        umbra_testbed::run(
            "findmnt",
            [
                "-n".as_ref(),
                "-o".as_ref(),
                "FSTYPE".as_ref(),
                "-T".as_ref(),
                folder.as_os_str()
            ]
        )
        .trim(),
        load_average()?
    ))
}

/// How many processes wanted to run in the last minute, on average.
///
/// # Errors
///
/// /proc cannot be read.
pub fn load_average() -> Result<String> {
    let text = read("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

/// The most memory that a process has had, in KiB; by its id, or `self`.
///
/// # Errors
///
/// There is no such process.
pub fn peak_memory(process: impl std::fmt::Display) -> Result<u64> {
    let status = read(&format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number
        .context("the status of a process has no VmHWM")?
        .parse()?)
}

/// Lets this process and those that it starts have many connections.
///
/// # Errors
///
/// The system refuses.
pub fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= DESCRIPTORS);
    if enough(limit.current) {
        return Ok(());
    }
    let maximum = if enough(limit.maximum) {
        limit.maximum
    } else {
        Some(DESCRIPTORS)
    };
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(DESCRIPTORS),
            maximum,
        },
    )
    .context("cannot raise the limit of open files")
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}
