//! The programs in the kernel: loading, attaching and pinning them.

use crate::{ChunkSize, TrackerError, device::Place};
use libbpf_rs::{ErrorKind, Link, MapCore, Object, ObjectBuilder, PrintLevel, set_print};
use std::{path::Path, sync::Once};

/// The compiled programs, where an ELF reader may expect whole words.
#[repr(align(8))]
struct Aligned<T: ?Sized>(T);
static OBJECT: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/tracker.bpf.o")));

/// The maps and programs, by the names they have in the object and are pinned
/// under.
pub(crate) const WRITTEN: &str = "written";
pub(crate) const PENDING: &str = "pending";
pub(crate) const GAPS: &str = "gaps";
pub(crate) const RECORD: &str = "record";
const MAPS: [&str; 4] = [WRITTEN, PENDING, GAPS, RECORD];
const PROGRAMS: [&str; 4] = [
    "issued",
    "completed_first",
    "completed_second",
    "completed_third",
];
/// The constants of the programs.
const CONSTANTS: &str = ".rodata";

/// Everything that is pinned for one tracker.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    MAPS.into_iter().chain(PROGRAMS)
}

/// Starts marking, with everything pinned in an existing folder on a bpffs.
pub(crate) fn start(folder: &Path, place: &Place, chunk: ChunkSize) -> Result<(), TrackerError> {
    silence_libbpf();
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Err(TrackerError::kernel(
            "it does not describe its types (CONFIG_DEBUG_INFO_BTF), without which they \
             cannot be found",
        ));
    }
    let mut object = load(place, chunk)?;
    for mut map in object.maps_mut() {
        let name = map.name().to_owned();
        if MAPS.iter().any(|known| name == *known) {
            map.pin(folder.join(name)).map_err(refused("pin a map"))?;
        }
    }
    for program in object.progs_mut() {
        let mut link: Link = program.attach().map_err(refused("attach a program"))?;
        link.pin(folder.join(program.name()))
            .map_err(refused("pin a program"))?;
    }
    Ok(())
}

fn load(place: &Place, chunk: ChunkSize) -> Result<Object, TrackerError> {
    let words = chunk.count(place.bytes()).div_ceil(64);
    let words = u32::try_from(words).map_err(|_| {
        TrackerError::kernel("the device has more chunks than a map has room for; use larger ones")
    })?;
    let mut object = ObjectBuilder::default()
        .open_memory(&OBJECT.0)
        .map_err(refused("open the programs"))?;
    for mut map in object.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if name == WRITTEN || name == PENDING {
            map.set_max_entries(words)
                .map_err(refused("size a bitmap"))?;
        } else if name.ends_with(CONSTANTS) {
            map.set_initial_value(&constants(place, chunk))
                .map_err(refused("set the constants"))?;
        }
    }
    object.load().map_err(refused("load the programs"))
}

/// `tracked` of the source.
fn constants(place: &Place, chunk: ChunkSize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(48);
    for small in [place.disk.major, place.disk.minor] {
        bytes.extend(small.to_ne_bytes());
    }
    for large in [
        place.disk_sequence,
        place.first_sector,
        place.end_sector,
        place.disk_sectors,
    ] {
        bytes.extend(large.to_ne_bytes());
    }
    for small in [chunk.sector_shift(), 0] {
        bytes.extend(small.to_ne_bytes());
    }
    bytes
}

fn refused(what: &'static str) -> impl Fn(libbpf_rs::Error) -> TrackerError {
    move |source| {
        let reason = match source.kind() {
            ErrorKind::PermissionDenied => format!(
                "cannot {what}: this needs root, or the capabilities CAP_BPF and CAP_PERFMON \
                 (and a system call filter that allows bpf)"
            ),
            ErrorKind::OutOfMemory => format!("cannot {what}: there is too little memory"),
            ErrorKind::Unsupported => format!(
                "cannot {what}: it was built without BPF (CONFIG_BPF_SYSCALL, CONFIG_BPF_EVENTS)"
            ),
            _ => format!("cannot {what}: Linux 5.17 or later is needed"),
        };
        TrackerError::Kernel {
            reason,
            source: Some(source),
        }
    }
}

/// libbpf writes to standard error unless told otherwise.
fn silence_libbpf() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_print(Some((PrintLevel::Info, |level, text| {
            let text = text.trim_end();
            match level {
                PrintLevel::Warn => tracing::warn!(target: "libbpf", "{text}"),
                PrintLevel::Info | PrintLevel::Debug => tracing::debug!(target: "libbpf", "{text}"),
            }
        })));
    });
}
