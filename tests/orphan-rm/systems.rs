//! Older kernels, other file systems, folders that nobody can read.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use harness::run::Run;
use serde_json::Value;

use crate::world::{World, kept, only, stream};

/// Runs a program to which these system calls fail, as on a kernel or a file system without them: makes
/// sure of it, then becomes that program.
const WITHOUT: &str = r#"
import ctypes, errno, os, platform, struct, sys
numbers = {
    "x86_64": {"renameat2": 316, "openat2": 437, "linkat": 265},
    "aarch64": {"renameat2": 276, "openat2": 437, "linkat": 37},
}[platform.machine()]
denied = [(numbers[name], getattr(errno, code)) for name, code in
          (item.split("=") for item in sys.argv[1].split(","))]
# Load the call's number; each that is denied gives its error; all others are allowed.
code = [(0x20, 0, 0, 0)]
for number, error in denied:
    code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
code.append((0x06, 0, 0, 0x7fff0000))
filters = b"".join(struct.pack("HBBI", *line) for line in code)
buffer = ctypes.create_string_buffer(filters, len(filters))
program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
for number, error in denied:
    assert libc.syscall(number, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno() == error
os.execv(sys.argv[2], sys.argv[2:])
"#;

fn without(world: &World, calls: &str, tool: &str) -> Run {
    let script = world.work.write("without.py", WITHOUT);
    let python = world.work.command("python3").arg(script).arg(calls);
    python.arg(harness::run::tool(tool))
}

/// Removes these files and puts them back on such a system.
fn there_and_back(calls: &str) {
    let world = World::new();
    let findings = [
        world.orphan("A/B (3)/x.epub", b"copy"),
        world.orphan("top.epub", b"at the top"),
        world.orphan("L/C/z.epub", b"behind a link"),
    ];
    let inode = fs::metadata(world.lib("A/B (3)/x.epub")).unwrap().ino();
    fs::rename(world.lib("L/C"), world.work.join("elsewhere")).unwrap();
    symlink(world.work.join("elsewhere"), world.lib("L/C")).unwrap();
    let run = world
        .dressed(without(&world, calls, "orphan-rm"))
        .stdin(stream(&findings));
    let ran = run.args(["--apply", "--max-percent", "100"]).ok();
    let removals = ran.of_type("removal");
    let of = |name: &str| -> &Value {
        let named = |removal: &&Value| removal["path"].as_str().unwrap().ends_with(name);
        removals.iter().find(named).unwrap()
    };
    assert_eq!(of("z.epub")["outcome"], "kept", "{}", ran.report());
    for name in ["x.epub", "top.epub"] {
        assert_eq!(of(name)["outcome"], "removed", "{}", ran.report());
    }
    let moved = of("x.epub")["trash"].as_str().unwrap();
    assert_eq!(fs::metadata(moved).unwrap().ino(), inode);
    // What is in the way of an undo stays what it is.
    world.stray("top.epub", b"a new file");
    let restore = || without(&world, calls, "orphan-restore").arg(&world.journals()[0]);
    restore().code(1);
    assert_eq!(fs::read(world.lib("top.epub")).unwrap(), b"a new file");
    fs::remove_file(world.lib("top.epub")).unwrap();
    restore().ok();
    assert_eq!(fs::read(world.lib("top.epub")).unwrap(), b"at the top");
    assert_eq!(
        fs::metadata(world.lib("A/B (3)/x.epub")).unwrap().ino(),
        inode
    );
    assert!(world.trash().is_empty());
}

#[test]
fn a_kernel_without_openat2_is_no_way_around_links() {
    there_and_back("openat2=ENOSYS");
}

#[test]
fn a_file_system_without_renameat2_gets_a_second_name_first() {
    there_and_back("renameat2=EINVAL");
}

#[test]
fn a_file_system_that_can_neither_is_refused() {
    let world = World::new();
    let findings = [world.orphan("A/x.epub", b"copy")];
    let run = without(&world, "renameat2=EINVAL,linkat=EPERM", "orphan-rm");
    let run = world.dressed(run).stdin(stream(&findings));
    let ran = run.args(["--apply", "--max-percent", "100"]).code(3);
    let why = "cannot move a file without risking to replace another";
    assert!(ran.stderr().contains(why), "{}", ran.report());
    assert!(world.lib("A/x.epub").exists() && !world.work.join("library.orphans").exists());
}

/// A Calibre of somebody else, into which nobody may look: it may have this very library open.
#[test]
fn a_calibre_that_cannot_be_looked_into_is_not_taken_for_none() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let shell = "exec -a /opt/calibre/calibre-server sleep 600";
    let mut other = std::process::Command::new("bash")
        .args(["-c", shell])
        .spawn()
        .unwrap();
    // Root with no power over others' processes.
    let run = world.work.command("setpriv").arg("--bounding-set=-all");
    let run = world.dressed(run.arg(harness::run::tool("orphan-rm")));
    let run = run.args(["--apply", "--max-percent", "100"]);
    let name = format!("/proc/{}/cmdline", other.id());
    let named = || {
        let words = fs::read(&name).unwrap();
        words.starts_with(b"/opt/calibre").then_some(())
    };
    harness::wait_for("its name", crate::stepper::DEADLINE, named);
    let ran = run.stdin(stream(&[finding])).run();
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(ran.status.code(), Some(3), "{}", ran.report());
    assert!(
        ran.stderr().contains("cannot be looked into"),
        "{}",
        ran.report()
    );
    assert!(world.lib("A/x.epub").exists());
}

#[test]
fn a_folder_of_the_store_that_cannot_be_read_keeps_everything() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let shut = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(world.books("Linked"), mode).unwrap();
    };
    // Who owns it, but may not do all: a dry run, for such a one cannot look into every Calibre.
    let plain = |findings: &[Value]| {
        let run = match rustix::process::geteuid().is_root() {
            true => {
                let run = world.work.command("setpriv").arg("--bounding-set=-all");
                run.arg(harness::run::tool("orphan-rm"))
            }
            false => world.work.tool("orphan-rm"),
        };
        world.dressed(run).stdin(stream(findings)).ok()
    };
    shut(0);
    let ran = plain(std::slice::from_ref(&finding));
    shut(0o755);
    kept(&world, "A/x.epub", &ran, "could not be listed");
    let ran = plain(&[finding]);
    assert_eq!(only(&ran)["outcome"], "would_remove", "{}", ran.report());
}
