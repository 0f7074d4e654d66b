//! So many at once and no more, and how many for which disk.

use std::{
    collections::HashMap,
    fs,
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use hash_files::digest::BUFFER;

/// As many as keep a flash disk busy while each waits for its answer.
pub(crate) const FLASH_READERS: usize = 16;

/// What a thread's buffer must hold.
pub(crate) const LONGEST_PIECE: usize = 1024 * 1024;

/// A number of permits, handed out and taken back.
pub(crate) struct Permits {
    state: Mutex<State>,
    returned: Condvar,
}

struct State {
    free: usize,
    waiting: usize,
}

impl Permits {
    pub(crate) fn new(number: usize) -> Permits {
        let state = State {
            free: number,
            waiting: 0,
        };
        Permits {
            state: Mutex::new(state),
            returned: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit; it is back when the value is dropped.
    pub(crate) fn take(&self) -> Permit<'_> {
        let mut state = self.lock();
        while state.free == 0 {
            state.waiting += 1;
            state = self
                .returned
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.free -= 1;
        Permit(self)
    }
}

/// One of [`Permits`], held.
pub(crate) struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.free += 1;
        // To wake nobody costs a system call, too.
        if state.waiting > 0 {
            self.0.returned.notify_one();
        }
    }
}

/// How one device is read.
pub(crate) struct Device {
    pub permits: Permits,
    /// How many bytes at a time. A sole reader takes most files whole, so that they can be hashed
    /// while it reads the next; among many, pieces that stay in the core's cache are quicker.
    pub piece: usize,
}

/// The devices, each found out about when it is first met.
pub(crate) struct Readers {
    given: Option<NonZeroUsize>,
    devices: Mutex<HashMap<u64, Arc<Device>>>,
}

impl Readers {
    /// With `given`, so many for every device.
    pub(crate) fn new(given: Option<NonZeroUsize>) -> Readers {
        Readers {
            given,
            devices: Mutex::new(HashMap::new()),
        }
    }

    /// The most that any one device will have.
    pub(crate) fn most(&self) -> usize {
        self.given.map_or(FLASH_READERS, NonZeroUsize::get)
    }

    pub(crate) fn of(&self, device: u64) -> Arc<Device> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let known = devices.entry(device).or_insert_with(|| {
            let number = match self.given {
                Some(given) => given.get(),
                None if rotates(device) => 1,
                None => FLASH_READERS,
            };
            Arc::new(Device {
                permits: Permits::new(number),
                piece: if number == 1 { LONGEST_PIECE } else { BUFFER },
            })
        });
        Arc::clone(known)
    }
}

/// Is this file system on a rotating disk, as far as the kernel says? Network file systems and
/// others without a block device are not.
fn rotates(device: u64) -> bool {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let Ok(place) = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")) else {
        return false;
    };
    // A partition has no queue of its own.
    [place.as_path(), place.parent().unwrap_or(&place)]
        .iter()
        .find_map(|disk| fs::read_to_string(disk.join("queue/rotational")).ok())
        .is_some_and(|flag| believed(&place, &flag))
}

/// A disk of a virtual machine says that it rotates unless its host was told to say otherwise.
fn believed(place: &Path, flag: &str) -> bool {
    let virtual_disk = place.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        ["virtio", "vbd-", "VMBUS"]
            .iter()
            .any(|bus| part.starts_with(bus))
    });
    flag.trim() == "1" && !virtual_disk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reader_only_where_a_real_disk_rotates() {
        let disk = Path::new("/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/block/sda/sda1");
        let guest = Path::new("/sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda");
        assert!(believed(disk, "1\n"));
        assert!(!believed(disk, "0\n"));
        assert!(!believed(guest, "1\n"));
    }

    #[test]
    fn a_file_system_without_a_disk_has_many_readers() {
        assert!(!rotates(rustix::fs::makedev(0, 40)));
    }

    #[test]
    fn no_more_than_so_many_hold_a_permit() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (permits, now, most) = (Permits::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _permit = permits.take();
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(permits.lock().free, 3);
    }
}
