//! Recorded machines, as trees of links and small files.

use std::{os::unix::fs::symlink, path::Path};

use harness::Workdir;
use rustix::fs::makedev;

use super::*;

/// A recorded machine.
struct Recorded(Workdir);

impl Recorded {
    fn new() -> Recorded {
        let work = Workdir::new();
        work.write("proc/self/mountinfo", "");
        for folder in ["sys/dev/block", "sys/class/block"] {
            fs::create_dir_all(work.join(folder)).unwrap();
        }
        Recorded(work)
    }

    /// A device at its place below /sys/devices.
    fn device(self, number: &str, place: &str) -> Recorded {
        let folder = self.0.join("sys/devices").join(place);
        fs::create_dir_all(&folder).unwrap();
        let name = Path::new(place).file_name().unwrap();
        for link in [
            Path::new("dev/block").join(number),
            Path::new("class/block").join(name),
        ] {
            symlink(&folder, self.0.join("sys").join(link)).unwrap();
        }
        self
    }

    fn partition(self, number: &str, place: &str) -> Recorded {
        let recorded = self.device(number, place);
        let file = Path::new("sys/devices").join(place).join("partition");
        recorded.0.write(file, "1\n");
        recorded
    }

    /// What a mapping or an array lies on.
    fn on(self, upper: &str, lower: &str) -> Recorded {
        let devices = self.0.join("sys/devices");
        let slaves = devices.join(upper).join("slaves");
        fs::create_dir_all(&slaves).unwrap();
        let name = Path::new(lower).file_name().unwrap();
        symlink(devices.join(lower), slaves.join(name)).unwrap();
        self
    }

    fn file(self, name: &str, text: &str) -> Recorded {
        self.0.write(name, text);
        self
    }

    fn machine(&self) -> Machine {
        Machine::under(self.0.path())
    }

    #[track_caller]
    fn gives(&self, (major, minor): (u32, u32), path: &str, disks: &[&str]) {
        let found = self.machine().disks(makedev(major, minor), Path::new(path));
        assert_eq!(found.unwrap_or_default(), disks);
    }
}

/// original.md 8.D.10: the digits were cut off the end of whatever df named.
#[test]
fn partitions_are_their_disks_nvme_too() {
    Recorded::new()
        .device("259:0", "pci/nvme/nvme0n1")
        .partition("259:2", "pci/nvme/nvme0n1/nvme0n1p2")
        .gives((259, 2), "/", &["nvme0n1"]);
    let sata = Recorded::new()
        .device("8:16", "pci/ata/block/sdb")
        .partition("8:17", "pci/ata/block/sdb/sdb1");
    sata.gives((8, 17), "/", &["sdb"]);
    sata.gives((8, 16), "/", &["sdb"]);
}

#[test]
fn lvm_on_crypt_on_an_array_is_all_its_disks() {
    Recorded::new()
        .device("8:0", "pci/sda")
        .partition("8:1", "pci/sda/sda1")
        .device("8:16", "pci/sdb")
        .device("9:0", "virtual/block/md0")
        .on("virtual/block/md0", "pci/sda/sda1")
        .on("virtual/block/md0", "pci/sdb")
        .device("253:0", "virtual/block/dm-0")
        .on("virtual/block/dm-0", "virtual/block/md0")
        .device("253:1", "virtual/block/dm-1")
        .on("virtual/block/dm-1", "virtual/block/dm-0")
        .gives((253, 1), "/", &["sda", "sdb"]);
}

#[test]
fn btrfs_is_found_by_its_mount_and_is_all_its_disks() {
    let mounts = "22 1 0:20 / / rw - btrfs /dev/mapper/system rw
30 22 0:20 /books /mnt/my\\040books rw,relatime shared:1 - btrfs /dev/sdc1 rw,subvol=/books
31 22 0:44 / /mnt/my\\040books/tmp rw - tmpfs tmpfs rw\n";
    let recorded = Recorded::new()
        .device("8:32", "pci/sdc")
        .partition("8:33", "pci/sdc/sdc1")
        .device("8:48", "pci/sdd")
        .device("253:0", "virtual/block/dm-0")
        .on("virtual/block/dm-0", "pci/sdd")
        .file("sys/devices/virtual/block/dm-0/dm/name", "system\n")
        .device("8:64", "pci/sde")
        .file("proc/self/mountinfo", mounts)
        .file("sys/fs/btrfs/features/devices/none", "");
    let devices = recorded.0.join("sys/fs/btrfs/6b1c/devices");
    fs::create_dir_all(&devices).unwrap();
    for place in ["pci/sdc/sdc1", "pci/sde"] {
        let folder = recorded.0.join("sys/devices").join(place);
        symlink(&folder, devices.join(folder.file_name().unwrap())).unwrap();
    }
    // A subvolume has a device number that is nowhere else.
    recorded.gives((0, 77), "/mnt/my books/x", &["sdc", "sde"]);
    recorded.gives((0, 20), "/home", &["sdd"]);
    recorded.gives((0, 44), "/mnt/my books/tmp/x", &[]);
}

#[test]
fn an_overlay_is_where_it_is_written() {
    let work = Workdir::new();
    let upper = work.write("upper/file", "");
    let upper = upper.parent().unwrap();
    let device = fs::metadata(upper).unwrap().dev();
    let number = format!("{}:{}", major(device), minor(device));
    let mounts = format!(
        "22 1 0:50 / / rw - overlay overlay rw,lowerdir=/nowhere,upperdir={},workdir=/w\n",
        upper.display()
    );
    Recorded::new()
        .device(&number, "pci/sdf")
        .file("proc/self/mountinfo", &mounts)
        .gives((0, 50), "/books", &["sdf"]);
}

#[test]
fn what_no_disk_holds_says_so() {
    let mounts = "22 1 0:50 / /mnt rw - nfs4 server:/books rw\n";
    let recorded = Recorded::new().file("proc/self/mountinfo", mounts);
    let error = recorded
        .machine()
        .disks(makedev(0, 50), Path::new("/mnt/x"));
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::Unsupported);
    let gone = recorded.machine().disks_of(Path::new("/not/there"));
    assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::NotFound);
}
