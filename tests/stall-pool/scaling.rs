use std::{
    os::unix::fs::{MetadataExt, symlink},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use rustix::fs::{major, minor};

use super::*;

/// A machine with one disk, whose load is what the test says.
struct Machine {
    root: PathBuf,
    busy: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Machine {
    fn new(pool: &Pool) -> Machine {
        let work = &pool.work;
        let root = work.join("machine");
        let device = fs::metadata(work.path()).unwrap().dev();
        let disk = root.join("sys/devices/nvme0n1");
        let part = disk.join("nvme0n1p1");
        fs::create_dir_all(&part).unwrap();
        fs::write(part.join("partition"), "1\n").unwrap();
        let numbers = root.join("sys/dev/block");
        fs::create_dir_all(&numbers).unwrap();
        symlink(
            &part,
            numbers.join(format!("{}:{}", major(device), minor(device))),
        )
        .unwrap();
        work.write("machine/proc/self/mountinfo", "");
        let machine = Machine {
            root,
            busy: Arc::default(),
            over: Arc::default(),
            thread: None,
        };
        machine.memory(20);
        machine.run()
    }

    /// Counts the disk's time while it is busy, more of it than there is, so that no delay makes it
    /// look idle.
    fn run(mut self) -> Machine {
        let path = self.root.join("proc/diskstats");
        let (busy, over) = (self.busy.clone(), self.over.clone());
        let write = move |ticks: u64| {
            let new = path.with_extension("new");
            let line = format!("259 0 nvme0n1 1 2 3 4 5 6 7 8 0 {ticks} 11 0 0 0 0 0 0\n");
            fs::write(&new, line)
                .and_then(|()| fs::rename(&new, &path))
                .unwrap();
        };
        write(0);
        self.thread = Some(std::thread::spawn(move || {
            let (mut ticks, mut last) = (0, Instant::now());
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
                if busy.load(Ordering::Relaxed) {
                    ticks += 3 * last.elapsed().as_millis() as u64;
                    write(ticks);
                }
                last = Instant::now();
            }
        }));
        self
    }

    fn busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    fn memory(&self, used: u32) {
        let text = format!("MemTotal: 100 kB\nMemAvailable: {} kB\n", 100 - used);
        let new = self.root.join("proc/meminfo.new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, self.root.join("proc/meminfo")).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Short times, and long ones where the test is not about them.
const SHORT: [&str; 10] = [
    "--machine",
    "machine",
    "--interval",
    "0.5s",
    "--down-cooldown",
    "1000s",
    "--up-cooldown",
    "2s",
    "--disk",
    ".",
];

/// original.md, part 5: it killed a worker in the midst of a file, and never had four again.
#[test]
fn under_a_saturated_disk_the_one_that_stalled_finishes_its_file_and_comes_back_when_it_is_calm() {
    let script = "trap 'echo finished $1 >>files; exit 0' TERM
        while :; do
            [ $1 = 1 ] && [ -e slow ] || unit work
            sleep 0.1 & wait $!
        done";
    let mut pool = Pool::of(script);
    let machine = Machine::new(&pool);
    machine.busy(true);
    pool.start(
        &[
            &SHORT[..],
            &["--workers", "3", "--stall", "3s", "--signals", "units"],
        ]
        .concat(),
    );
    pool.wait_alive(&[1, 2, 3]);
    pool.wait_told("heartbeat", 2);
    pool.work.write("slow", "");
    let scaled = pool.wait_told("scaled", 1);
    assert_eq!(
        (&scaled[0]["action"], &scaled[0]["places"]),
        (&"scale_down".into(), &2.into())
    );
    pool.wait_alive(&[2, 3]);
    let files = pool.work.join("files");
    assert_eq!(fs::read_to_string(&files).unwrap(), "finished 1\n");
    fs::remove_file(pool.work.join("slow")).unwrap();
    machine.busy(false);
    pool.wait_alive(&[1, 2, 3]);
    // Those that worked were left alone.
    let starts: Vec<u32> = pool.starts().iter().map(|(number, _)| *number).collect();
    assert_eq!(starts.iter().filter(|number| **number == 1).count(), 2);
    assert_eq!(starts.len(), 4, "{starts:?}");
    assert_eq!(pool.told("killed").len(), 0);
    pool.stop();
}

/// original.md 8.D.11: workers that memory took never came back.
#[test]
fn short_memory_takes_one_and_plenty_gives_it_back() {
    let mut pool = Pool::of("while :; do unit work; sleep 0.1; done");
    let machine = Machine::new(&pool);
    pool.start(&[&SHORT[..], &["--workers", "2"]].concat());
    pool.wait_alive(&[1, 2]);
    machine.memory(90);
    pool.wait_alive(&[1]);
    machine.memory(10);
    pool.wait_alive(&[1, 2]);
    let reasons: Vec<Value> = pool
        .told("scaled")
        .iter()
        .map(|e| e["reason"].clone())
        .collect();
    assert_eq!(
        reasons,
        [
            "1 of 2 workers: 90 % of the memory is in use",
            "2 of 2 workers: disk and memory are calm"
        ]
    );
    pool.stop();
}

/// original.md 8.D.10: without iostat every cycle failed.
#[test]
fn without_figures_of_the_disk_the_pool_works_and_memory_counts() {
    let mut pool = Pool::of("while :; do unit work; sleep 0.1; done");
    let machine = Machine::new(&pool);
    fs::remove_file(machine.root.join("proc/diskstats")).unwrap();
    pool.start(&[&SHORT[..], &["--workers", "2"]].concat());
    pool.wait_alive(&[1, 2]);
    machine.memory(90);
    pool.wait_alive(&[1]);
    machine.memory(10);
    // It is not known to be calm.
    let before = pool.told("heartbeat").len();
    let beats = pool.wait_told("heartbeat", before + 6);
    assert!(
        beats.iter().all(|beat| beat.get("disk").is_none()),
        "{beats:?}"
    );
    assert_eq!(pool.alive(), [1]);
    pool.stop();
}
