//! What a device number stands for just now, from sysfs, and whether all writes
//! to it can be seen.

use std::{fs, path::Path};
use umbra_model::DeviceNumber;

/// A volume's place on its disk. Sectors have 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The whole disk, which the kernel's requests name.
    pub disk: DeviceNumber,
    /// Another for each disk or medium that ever had that number since boot.
    pub disk_sequence: u64,
    /// The disk's size.
    pub disk_sectors: u64,
    /// Where the volume begins.
    pub first_sector: u64,
    /// Where it has ended.
    pub end_sector: u64,
}

impl Place {
    /// The volume's size.
    pub fn bytes(&self) -> u64 {
        (self.end_sector - self.first_sector) * 512
    }

    /// Why it is another one than before, in a clause.
    pub fn difference(&self, before: &Self) -> Option<&'static str> {
        if (self.disk, self.disk_sequence) != (before.disk, before.disk_sequence) {
            Some("another disk or medium has its number")
        } else if self.disk_sectors != before.disk_sectors {
            Some("its disk has another size")
        } else if self != before {
            Some("its partition was moved or resized")
        } else {
            None
        }
    }
}

/// Finds a device whose writes can all be seen; says in a clause why not.
pub(crate) fn look(device: DeviceNumber) -> Result<Place, String> {
    refuse_real_time_kernel(Path::new("/sys/kernel/realtime"))?;
    look_in(Path::new("/sys/dev/block"), device)
}

/// On a real-time kernel interrupts are threads: any number of completions can
/// be in the middle of the same program on one processor, and the kernel leaves
/// out the later ones.
fn refuse_real_time_kernel(flag: &Path) -> Result<(), String> {
    match fs::read_to_string(flag) {
        Ok(text) if text.trim() == "1" => {
            Err("this is a real-time kernel, whose tracepoints may leave out writes".to_owned())
        }
        _ => Ok(()),
    }
}

fn look_in(numbers: &Path, device: DeviceNumber) -> Result<Place, String> {
    if device.major == 0 {
        return Err(
            "it is no block device: its file system is a network or virtual one".to_owned(),
        );
    }
    let folder = numbers
        .join(device.to_string())
        .canonicalize()
        .map_err(|_| "there is no such block device".to_owned())?;
    let is_partition = folder.join("partition").exists();
    let disk_folder = match folder.parent() {
        Some(parent) if is_partition => parent,
        _ => &folder,
    };
    refuse_unseen_writes(disk_folder)?;
    let sectors = number(&folder, "size")?;
    let first_sector = if is_partition {
        number(&folder, "start")?
    } else {
        0
    };
    if sectors == 0 {
        return Err("it has no medium: its size is 0".to_owned());
    }
    Ok(Place {
        disk: device_number(disk_folder)?,
        disk_sequence: number(disk_folder, "diskseq")?,
        disk_sectors: number(disk_folder, "size")?,
        first_sector,
        end_sector: first_sector + sectors,
    })
}

/// The kinds of disks that are written without a request of the block layer, or
/// in a way that has no place yet when it is issued.
fn refuse_unseen_writes(disk: &Path) -> Result<(), String> {
    let says = |file: &str| fs::read_to_string(disk.join(file)).unwrap_or_default();
    if says("queue/dax").trim() == "1" {
        return Err("it offers DAX, which writes past the block layer".to_owned());
    }
    let zoned = says("queue/zoned");
    if !matches!(zoned.trim(), "" | "none") {
        return Err(format!(
            "it is zoned ({}), and the device itself chooses where data goes",
            zoned.trim()
        ));
    }
    // Only queues of requests have it.
    if !disk.join("mq").is_dir() {
        return Err(
            "its driver takes no requests (device mapper, software RAID, zram and the like), \
             and only requests are tracked"
                .to_owned(),
        );
    }
    Ok(())
}

fn number(folder: &Path, file: &str) -> Result<u64, String> {
    let path = folder.join(file);
    fs::read_to_string(&path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| format!("the kernel has no number in {}", path.display()))
}

fn device_number(folder: &Path) -> Result<DeviceNumber, String> {
    let path = folder.join("dev");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let (major, minor) = text
        .trim()
        .split_once(':')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
        .ok_or_else(|| format!("the kernel has no device number in {}", path.display()))?;
    Ok(DeviceNumber { major, minor })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]
    use super::*;
    use std::{os::unix::fs::symlink, path::PathBuf};

    const DISK: DeviceNumber = DeviceNumber { major: 8, minor: 0 };
    const PARTITION: DeviceNumber = DeviceNumber { major: 8, minor: 1 };

    /// A sysfs with a disk of 1000 sectors and a partition of 200 at 100.
    struct Sysfs(tempfile::TempDir);

    impl Sysfs {
        fn new() -> Self {
            let new = Self(tempfile::tempdir().unwrap());
            for (file, text) in [
                ("sda/dev", "8:0"),
                ("sda/size", "1000"),
                ("sda/diskseq", "7"),
                ("sda/mq/0/nr_tags", "64"),
                ("sda/queue/dax", "0"),
                ("sda/queue/zoned", "none"),
                ("sda/sda1/dev", "8:1"),
                ("sda/sda1/partition", "1"),
                ("sda/sda1/start", "100"),
                ("sda/sda1/size", "200"),
            ] {
                new.write(file, text);
            }
            fs::create_dir(new.numbers()).unwrap();
            symlink("../sda", new.numbers().join("8:0")).unwrap();
            symlink("../sda/sda1", new.numbers().join("8:1")).unwrap();
            new
        }

        fn numbers(&self) -> PathBuf {
            self.0.path().join("block")
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.0.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }

        fn look(&self, device: DeviceNumber) -> Result<Place, String> {
            look_in(&self.numbers(), device)
        }
    }

    #[test]
    fn a_partition_has_its_place_on_the_disk() {
        let sysfs = Sysfs::new();
        let disk = sysfs.look(DISK).unwrap();
        assert_eq!((disk.first_sector, disk.end_sector), (0, 1000));
        let partition = sysfs.look(PARTITION).unwrap();
        assert_eq!(partition.disk, DISK);
        assert_eq!((partition.first_sector, partition.end_sector), (100, 300));
        assert_eq!(partition.bytes(), 200 * 512);
    }

    #[test]
    fn what_cannot_be_seen_is_refused_with_the_reason() {
        let refuses = |file: &str, text: &str, reason: &str| {
            let sysfs = Sysfs::new();
            sysfs.write(file, text);
            for device in [DISK, PARTITION] {
                let said = sysfs.look(device).unwrap_err();
                assert!(said.contains(reason), "{said}");
            }
        };
        refuses("sda/queue/dax", "1", "DAX");
        refuses("sda/queue/zoned", "host-managed", "zoned (host-managed)");
        refuses("sda/diskseq", "", "diskseq");

        let sysfs = Sysfs::new();
        sysfs.write("sda/size", "0");
        assert!(sysfs.look(DISK).unwrap_err().contains("no medium"));
        fs::remove_dir_all(sysfs.0.path().join("sda/mq")).unwrap();
        assert!(sysfs.look(DISK).unwrap_err().contains("takes no requests"));
        let nothing = DeviceNumber { major: 9, minor: 9 };
        assert!(sysfs.look(nothing).unwrap_err().contains("no such"));
        let network = DeviceNumber {
            major: 0,
            minor: 40,
        };
        assert!(sysfs.look(network).unwrap_err().contains("network"));
    }

    #[test]
    fn a_real_time_kernel_is_refused() {
        let sysfs = Sysfs::new();
        let flag = sysfs.0.path().join("realtime");
        assert_eq!(refuse_real_time_kernel(&flag), Ok(()));
        sysfs.write("realtime", "1");
        assert!(refuse_real_time_kernel(&flag).is_err());
    }

    #[test]
    fn a_device_that_changed_says_how() {
        let sysfs = Sysfs::new();
        let before = sysfs.look(PARTITION).unwrap();
        let after = |file: &str, text: &str| {
            let sysfs = Sysfs::new();
            sysfs.write(file, text);
            sysfs.look(PARTITION).unwrap().difference(&before)
        };
        assert_eq!(before.difference(&before), None);
        assert!(after("sda/diskseq", "8").unwrap().contains("another disk"));
        assert!(after("sda/size", "2000").unwrap().contains("size"));
        assert!(after("sda/sda1/size", "201").unwrap().contains("partition"));
        assert!(after("sda/sda1/start", "99").unwrap().contains("partition"));
    }
}
