//! The units in contrib/systemd.

use std::path::Path;

use super::*;

fn unit(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/systemd");
    fs::read_to_string(root.join(name)).unwrap()
}

#[test]
fn systemd_understands_the_units() {
    let work = Workdir::new();
    if work.shell("command -v systemd-analyze").run().status.code() != Some(0) {
        println!("skipped: systemd-analyze is not installed");
        return;
    }
    let tools = harness::run::tools();
    for name in ["mbs-upload.service", "stall-pool.service"] {
        let here = unit(name).replace("/usr/local/bin", tools.to_str().unwrap());
        let path = work.write(name, here);
        let verify = ["verify", "--man=no"];
        let ran = work.command("systemd-analyze").args(verify).arg(path).ok();
        // What it does not know it only warns of.
        assert!(!ran.stderr().contains(name), "{}", ran.report());
    }
}

#[test]
fn the_pool_s_unit_starts_four_shards() {
    let work = Workdir::new();
    let unit = unit("stall-pool.service").replace("\\\n", " ");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/"));
    // As systemd reads it.
    let line = line
        .unwrap()
        .replace("${CALIBRE_LIBRARY}", ".")
        .replace("$$", "$");
    let ran = work.shell(&line.replace(" -- ", " --dry-run -- ")).ok();
    let commands = ran.of_type("worker");
    assert_eq!(commands.len(), 4);
    let third = commands[2]["command"].as_str().unwrap();
    assert!(
        third.contains("calibre-list --shard 3/4 \"$CALIBRE_LIBRARY\" | hash-files"),
        "{third}"
    );
    assert!(third.contains("--journal shard-3.journal"), "{third}");
}
