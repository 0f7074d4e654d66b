//! The devices that hold a path: through partitions, LVM, md, crypt, bind mounts, overlays and btrfs
//! down to whole disks, as /sys/dev/block, /proc/self/mountinfo and /sys/fs/btrfs tell.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{major, minor};

/// Where /proc and /sys are mounted.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::under(Path::new("/"))
    }
}

/// Overlays may lie on overlays; no further than this.
const DEEP: u32 = 8;

impl Machine {
    /// A recorded machine, or this one's, below this folder.
    pub fn under(root: &Path) -> Machine {
        Machine {
            proc: root.join("proc"),
            sys: root.join("sys"),
        }
    }

    /// The names of the whole disks that hold `path`, as /proc/diskstats has them, in order.
    ///
    /// # Errors
    /// The path is not there.
    /// [`io::ErrorKind::Unsupported`]: no disk of this machine holds it: tmpfs, NFS, ZFS.
    pub fn disks_of(&self, path: &Path) -> io::Result<Vec<String>> {
        let path = path.canonicalize()?;
        self.disks(fs::metadata(&path)?.dev(), &path)
    }

    /// The same for a path whose device number is known; for a file system without a number of its own
    /// (btrfs, overlay), `path` tells by which mount it is reached.
    ///
    /// # Errors
    /// As [`Machine::disks_of`].
    pub fn disks(&self, device: u64, path: &Path) -> io::Result<Vec<String>> {
        let mut found = BTreeSet::new();
        self.of_file(device, path, DEEP, &mut found);
        if found.is_empty() {
            let what = "no disk of this machine holds it";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        Ok(found.into_iter().collect())
    }

    fn of_file(&self, device: u64, path: &Path, deep: u32, found: &mut BTreeSet<String>) {
        let number = format!("{}:{}", major(device), minor(device));
        let numbered = self.sys.join("dev/block").join(number);
        if let Ok(folder) = numbered.canonicalize() {
            self.of_device(&folder, DEEP, found);
        } else if let Some(mount) = self.mount_of(path) {
            self.of_mount(&mount, deep, found);
        }
    }

    /// A device is what is below it: a partition its disk, a mapping or an array its members.
    fn of_device(&self, folder: &Path, deep: u32, found: &mut BTreeSet<String>) {
        let whole = match folder.parent() {
            Some(disk) if folder.join("partition").exists() => disk,
            _ => folder,
        };
        let below: Vec<PathBuf> = fs::read_dir(whole.join("slaves"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.path().canonicalize().ok())
            .collect();
        for member in below.iter().filter(|_| deep > 0) {
            self.of_device(member, deep - 1, found);
        }
        if below.is_empty()
            && let Some(name) = whole.file_name()
        {
            // In /sys a slash of a name (cciss/c0d0) is an exclamation mark.
            found.insert(name.to_string_lossy().replace('!', "/"));
        }
    }

    fn of_mount(&self, mount: &Mount, deep: u32, found: &mut BTreeSet<String>) {
        if mount.kind == "overlay" {
            // What is written goes to the upper folder; one that is only read has the lower ones.
            let option = |name| mount.options.iter().find_map(|o| o.strip_prefix(name));
            let upper = option("upperdir=").or_else(|| option("lowerdir="));
            let folder = upper.and_then(|folders| folders.split(':').next());
            if let Some(folder) = folder.filter(|_| deep > 0)
                && let Ok(meta) = fs::metadata(folder)
            {
                self.of_file(meta.dev(), Path::new(folder), deep - 1, found);
            }
            return;
        }
        let Some(folder) = self.named(&mount.source) else {
            return;
        };
        let mut devices = self.btrfs_devices(&folder);
        if devices.is_empty() {
            devices.push(folder);
        }
        for device in devices {
            self.of_device(&device, DEEP, found);
        }
    }

    /// A device by its name below /dev.
    fn named(&self, source: &Path) -> Option<PathBuf> {
        let name = source.strip_prefix("/dev").ok()?;
        let class = self.sys.join("class/block");
        if let Ok(mapped) = name.strip_prefix("mapper") {
            let mapped = mapped.to_str()?;
            return fs::read_dir(&class).ok()?.flatten().find_map(|entry| {
                let name = fs::read_to_string(entry.path().join("dm/name")).ok()?;
                (name.trim_end() == mapped).then(|| entry.path().canonicalize().ok())?
            });
        }
        let plain = name.to_str()?.replace('/', "!");
        let by_name = class.join(plain).canonicalize();
        by_name.ok().or_else(|| {
            // /dev/disk/by-…, /dev/VG/LV: links to the plain name.
            let real = source.canonicalize().ok()?;
            class.join(real.file_name()?).canonicalize().ok()
        })
    }

    /// All devices of the btrfs that this device belongs to.
    fn btrfs_devices(&self, device: &Path) -> Vec<PathBuf> {
        let members = |uuid: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(uuid.join("devices")).into_iter().flatten();
            entries
                .flatten()
                .filter_map(|entry| entry.path().canonicalize().ok())
                .collect()
        };
        fs::read_dir(self.sys.join("fs/btrfs"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| members(&entry.path()))
            .find(|members| members.iter().any(|member| member == device))
            .unwrap_or_default()
    }

    /// The mount by which a path is reached: the longest mount point that it begins with, the last
    /// mounted of those.
    fn mount_of(&self, path: &Path) -> Option<Mount> {
        let text = fs::read(self.proc.join("self/mountinfo")).ok()?;
        text.split(|&byte| byte == b'\n')
            .filter_map(Mount::parse)
            .filter(|mount| path.starts_with(&mount.point))
            .max_by_key(|mount| mount.point.components().count())
    }
}

/// A line of /proc/self/mountinfo: proc(5).
#[derive(Debug)]
struct Mount {
    point: PathBuf,
    kind: String,
    source: PathBuf,
    options: Vec<String>,
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Mount> {
        let words: Vec<Vec<u8>> = line.split(|&byte| byte == b' ').map(plain).collect();
        // Optional fields end with a dash.
        let dash = words.iter().position(|word| word == b"-")?;
        let path = |n: usize| {
            Some(PathBuf::from(std::ffi::OsString::from_vec(
                words.get(n)?.clone(),
            )))
        };
        let text = |n: usize| Some(String::from_utf8_lossy(words.get(n)?).into_owned());
        Some(Mount {
            point: path(4)?,
            kind: text(dash + 1)?,
            source: path(dash + 2)?,
            options: text(dash + 3)?.split(',').map(Into::into).collect(),
        })
    }
}

/// A word whose spaces, tabs, newlines and backslashes are written as `\040`.
fn plain(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\');
        let code = octal
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    out
}

#[cfg(test)]
mod tests;
