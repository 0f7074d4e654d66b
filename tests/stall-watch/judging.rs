use super::*;

#[test]
fn a_silent_sleep_is_ended() {
    let work = Workdir::new();
    let ran = watched(&work, &["--events", "e"], "echo begun; sleep 1000").code(124);
    assert_eq!(ran.stdout(), "begun\n");
    let events = events(&work, "e");
    assert_eq!(
        names(&events),
        ["started", "warned", "stalled", "killed", "ended"]
    );
}

/// original.md 8.D.5: an upload that computed and said nothing was killed.
#[test]
fn a_silent_command_that_computes_is_left_alone() {
    let work = Workdir::new();
    let flags = [
        "--stall",
        "2s",
        "--cpu-min",
        "0.01s",
        "--signals",
        "output,cpu",
    ];
    let script = "end=$((SECONDS + 5)); while ((SECONDS < end)); do :; done";
    let ran = watched(&work, &flags, script).ok();
    assert_eq!(ran.stderr(), "");
}

#[test]
fn where_descriptors_are_few_what_has_none_of_them_is_seen_all_the_same() {
    // The last of many is the one that works.
    let script = "for n in {1..30}; do sleep 1000 & done
        (end=$((SECONDS + 4)); while ((SECONDS < end)); do :; done); kill $(jobs -p)";
    let inner = "ulimit -n $FEW; exec stall-watch --stall 2s --sample 0.1s --signals cpu \
        --cpu-min 0.01s -- bash -c \"$SCRIPT\"";
    // Two a process: of one of these the last is left over.
    for few in ["32", "33"] {
        let work = Workdir::new();
        let run = work.shell(inner).env("FEW", few);
        run.env("SCRIPT", script).ok();
    }
}

#[test]
fn cpu_time_below_the_least_is_no_progress() {
    let work = Workdir::new();
    let flags = ["--cpu-min", "60s", "--signals", "cpu"];
    watched(&work, &flags, "while :; do :; done").code(124);
}

/// original.md 8.D.5: half a line held up every limit.
#[test]
fn half_a_line_counts_and_holds_nothing_up() {
    let work = Workdir::new();
    let flags = ["--stall", "2s", "--signals", "output"];
    let script = "for n in {1..10}; do printf .; sleep 0.4; done; sleep 1000";
    let ran = watched(&work, &flags, script).code(124);
    assert_eq!(ran.stdout(), "..........");
}

/// original.md 8.D.5: a command that closed its stdout made the watchdog spin.
#[test]
fn a_closed_stdout_costs_no_cpu_time() {
    let work = Workdir::new();
    let script = "exec >&- 2>&-; touch closed; sleep 1000";
    let mut child = watched(&work, &["--stall", "60s"], script).spawn();
    wait_for("closed streams", DEADLINE, || {
        work.join("closed").exists().then_some(())
    });
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
        fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
    };
    let (begun, before) = (std::time::Instant::now(), ticks());
    wait_for("two seconds", DEADLINE, || {
        (begun.elapsed().as_secs() >= 2).then_some(())
    });
    let used = ticks() - before;
    // Hundredths of a second; spinning would take some two hundred.
    assert!(used < 40, "{used}");
    work.command("kill").arg(child.id().to_string()).ok();
    child.wait().unwrap();
}

/// Days of output and nothing done: output alone is no progress where units are asked for.
#[test]
fn a_chatty_loop_without_units_is_told_apart() {
    let work = Workdir::new();
    let chatty = "while :; do echo retrying; sleep 0.1; done";
    let ran = watched(&work, &["--signals", "units"], chatty).code(124);
    assert!(ran.stdout().starts_with("retrying\n"));
    // Both ways of writing to it.
    let works = "for n in 1 2 3; do
        echo work >>/dev/fd/$STALL_PROGRESS_FD; sleep 0.5
        echo discovery >&$STALL_PROGRESS_FD; sleep 0.5
    done";
    let flags = ["--signals", "units", "--stall", "2s", "--events", "e"];
    watched(&work, &flags, works).ok();
}

/// An upload that waited half an hour for its server, on purpose, was killed after a minute.
#[test]
fn who_says_that_it_waits_on_purpose_is_believed_for_so_long() {
    let work = Workdir::new();
    let script = "echo waiting 60 the network >&$STALL_PROGRESS_FD; sleep 3; exit 3";
    watched(&work, &["--events", "e"], script).code(3);
    let events = events(&work, "e");
    assert_eq!(names(&events), ["started", "waiting", "ended"]);
    let reason = events[1]["reason"].as_str().unwrap();
    assert!(reason.starts_with("for up to ") && reason.ends_with(" s: the network"));
    for then in [
        // The bound that it gave itself.
        "echo waiting 0.5 >&$STALL_PROGRESS_FD; sleep 1000",
        // It goes on, and then stands still.
        "for what in 'waiting 60' 'waiting 0'; do echo $what >&$STALL_PROGRESS_FD; done; sleep 1000",
        // It would wait for ever.
        "while :; do echo waiting 60 >&$STALL_PROGRESS_FD; sleep 0.1; done",
    ] {
        watched(&work, &["--wait", "1s", "--signals", "output,units"], then).code(124);
    }
}

#[test]
fn units_reach_the_watchdog_outside_too() {
    let work = Workdir::new();
    let inner = "stall-watch --sample 0.1s bash -c 'echo work >&$STALL_PROGRESS_FD; sleep 1'";
    let ran = work
        .shell(&format!("STALL_PROGRESS_FD=7 {inner} 7>units; cat units"))
        .ok();
    assert_eq!(ran.stdout(), "work\n");
}

/// The command waits; a child of its child works.
#[test]
fn what_a_grandchild_does_counts() {
    let work = Workdir::new();
    let flags = ["--stall", "2s", "--cpu-min", "0.01s"];
    let script =
        "(bash -c 'end=$((SECONDS + 5)); while ((SECONDS < end)); do :; done'; true); true";
    watched(&work, &flags, script).ok();
}

#[test]
fn offsets_that_move_without_a_byte_read_count() {
    let work = Workdir::new();
    work.write(
        "seek.py",
        "import os,time\nfd = os.open('seek.py', os.O_RDONLY)\n\
         for n in range(10):\n    os.lseek(fd, n, os.SEEK_SET)\n    time.sleep(0.4)\n",
    );
    let seek = || {
        work.tool("stall-watch")
            .args(["--stall", "2s", "--sample", "0.1s", "--signals"])
    };
    seek().args(["io", "python3", "seek.py"]).ok();
    seek().args(["output,cpu", "python3", "seek.py"]).code(124);
}

#[test]
fn a_command_that_was_stopped_stands_still_and_can_be_ended() {
    let work = Workdir::new();
    let flags = ["--kill-after", "20s", "--events", "e"];
    watched(&work, &flags, "kill -STOP $$").code(124);
    let events = events(&work, "e");
    let killed = events
        .iter()
        .find(|event| event["event"] == "killed")
        .unwrap();
    assert_eq!(killed["action"], "TERM");
}

/// Bytes through sockets by send(2) and recv(2) alone, some 6 kB/s for so many seconds. Then it stands still,
/// or ends.
const TALK: &str = r#"
use Socket; use IO::Socket::INET;
my ($kind, $seconds, $then) = @ARGV; my ($here, $there);
if ($kind eq 'unix') { socketpair($here, $there, AF_UNIX, SOCK_STREAM, 0) or die }
else {
    my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die;
    $here = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport) or die;
    $there = $server->accept;
}
setsockopt($there, SOL_SOCKET, SO_RCVBUF, 4096); setsockopt($here, SOL_SOCKET, SO_SNDBUF, 4096);
my $sender = fork;
if (!$sender) { close $there; send($here, 'x' x 1000, 0) while 1 }
close $here;
for (1 .. 20 * $seconds) { recv($there, my $got, 300, 0); select(undef, undef, undef, 0.05) }
if ($then eq 'hang') { sleep 1000 }
kill 'KILL', $sender;
"#;

/// Denies the kind of socket by which the kernel is asked about sockets, as a sandbox may, and becomes the
/// command: prctl(2), seccomp(2), a filter on socket(2) whose first argument is AF_NETLINK.
const DENY: &str = r#"
my ($prctl, $seccomp, $socket) = (split ' ', `uname -m`)[0] eq 'aarch64' ? (167, 277, 198) : (157, 317, 41);
sub line { pack 'SCCL', @_ }
my $filter = line(0x20, 0, 0, 0) . line(0x15, 0, 3, $socket) . line(0x20, 0, 0, 16)
    . line(0x15, 0, 1, 16) . line(0x06, 0, 0, 0x5000d) . line(0x06, 0, 0, 0x7fff0000);
my $program = pack 'Sx6P', 6, $filter;
syscall($prctl, 38, 1, 0, 0, 0) == 0 && syscall($seccomp, 1, 0, $program) == 0 or die $!;
exec @ARGV;
"#;

fn talk(before: &str, kind: &str, code: i32) {
    let work = Workdir::new();
    work.write("talk.pl", TALK);
    work.write("deny.pl", DENY);
    let flags = "--stall 2s --sample 0.1s --kill-after 1s --signals io";
    let how = if code == 124 { "1 hang" } else { "6 end" };
    let (start, after) = before.split_once('|').unwrap_or((before, ""));
    let script = format!("{start} stall-watch {flags} -- {after} perl talk.pl {kind} {how}");
    work.shell(&script).code(code);
}

/// A client that sent 9 MB at 15 kB/s was killed as silent: /proc counts what goes by write(2) alone.
#[test]
fn who_sends_and_receives_slowly_by_sockets_alone_is_not_silent() {
    for kind in ["tcp", "unix"] {
        talk("", kind, 0);
        talk("", kind, 124);
    }
}

#[test]
fn where_the_kernel_is_not_to_be_asked_the_queues_of_sockets_tell() {
    talk("perl deny.pl", "tcp", 0);
    talk("perl deny.pl", "tcp", 124);
}

#[test]
fn sockets_in_another_network_namespace_are_seen_too() {
    let inside = "|unshare -n sh -c 'ip link set lo up && exec \"$@\"' sh";
    talk(inside, "tcp", 0);
    talk(inside, "tcp", 124);
}
