use std::os::unix::net::UnixDatagram;

use super::*;

#[test]
fn a_stall_leaves_evidence() {
    let work = Workdir::new();
    work.write("book", "0123456789");
    let script = "exec 9<book; read -N 4 -u 9 x; echo one; echo two; printf thr; sleep 1000";
    watched(&work, &["--events", "e", "--stall", "2s"], script).code(124);
    let events = events(&work, "e");
    for event in &events {
        assert_eq!(
            (&event["type"], &event["tool"]),
            (&"event".into(), &"stall-watch".into())
        );
    }
    for name in ["warned", "stalled"] {
        let event = events.iter().find(|event| event["event"] == name).unwrap();
        let facts: Vec<&str> = event["evidence"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fact| fact.as_str().unwrap())
            .collect();
        assert!(
            facts.iter().any(|fact| fact.contains(" sleep sleeps in ")),
            "{facts:?}"
        );
        assert!(
            facts.iter().any(|fact| fact.contains("/book at byte 4")),
            "{facts:?}"
        );
        if Path::new("/proc/pressure/io").exists() {
            assert!(
                facts.iter().any(|fact| fact.starts_with("io pressure")),
                "{facts:?}"
            );
        }
        assert_eq!(
            event["last_lines"],
            serde_json::json!(["one", "two", "thr"])
        );
        assert_eq!(event["output"], 11);
        assert!(event["idle"].as_f64().unwrap() > 1.0);
    }
}

#[test]
fn a_command_that_moves_again_after_a_warning_is_said_to() {
    let work = Workdir::new();
    let flags = ["--events", "e", "--stall", "6s", "--signals", "output"];
    // It waits for its warning, and then has a third of the limit left.
    let script = "until grep -qsF 'event\":\"warned' e; do sleep 0.1; done; echo here";
    watched(&work, &flags, &format!("{script}; sleep 0.5")).ok();
    assert_eq!(
        names(&events(&work, "e")),
        ["started", "warned", "progress", "ended"]
    );
}

#[test]
fn events_go_to_a_descriptor_too() {
    let work = Workdir::new();
    let ran = work
        .shell("stall-watch --events /dev/fd/3 bash -c 'exit 4' 3>&1 >/dev/null || echo $?")
        .ok();
    let text = ran.stdout();
    assert!(
        text.contains("\"event\":\"ended\"") && text.ends_with("\n4\n"),
        "{text}"
    );
    assert!(text.contains("\"code\":4"), "{text}");
}

#[test]
fn a_reader_of_events_who_does_not_read_stops_nobody() {
    let work = Workdir::new();
    work.command("mkfifo").arg("f").ok();
    // Open for reading and writing: there is a reader, and it never reads.
    let script = "exec 5<>f; head -c 65536 /dev/zero >&5; stall-watch --events f true";
    work.shell(script)
        .ok()
        .one_line(&["--events: write: 2 records were lost"]);
    work.shell("stall-watch --events f true")
        .code(125)
        .one_line(&["stall-watch: f: open: No such device or address"]);
}

#[test]
fn what_stalled_is_started_again_as_often_as_allowed() {
    let work = Workdir::new();
    let flags = ["--restart", "1", "--events", "e"];
    watched(&work, &flags, "echo x; sleep 1000").code(124);
    let all = events(&work, "e");
    assert_eq!(
        names(&all)
            .iter()
            .filter(|name| **name == "started")
            .count(),
        2
    );
    assert_eq!(
        names(&all)
            .iter()
            .filter(|name| **name == "restarted")
            .count(),
        1
    );
    assert_eq!(all.last().unwrap()["attempt"], 2);
    // The second time it works.
    let script = "[ -e again ] && exit 6; touch again; sleep 1000";
    watched(&work, &["--restart", "3"], script).code(6);
}

#[test]
fn a_command_that_fails_by_itself_is_not_started_again() {
    let work = Workdir::new();
    let ran = watched(&work, &["--restart", "3"], "echo x; exit 1").code(1);
    assert_eq!(ran.stdout(), "x\n");
}

#[test]
fn systemd_s_watchdog_is_fed_by_us_alone() {
    let work = Workdir::new();
    let path = work.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let run = |flags: &[&str]| {
        let script = "sleep 1; env | grep -c -e NOTIFY_SOCKET -e WATCHDOG_ || true";
        watched(&work, flags, script)
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "400000")
            .ok()
    };
    let ran = run(&["--watchdog", "--stall", "30s"]);
    assert_eq!(ran.stdout(), "0\n");
    let mut buffer = [0; 64];
    for wanted in ["READY=1", "WATCHDOG=1", "WATCHDOG=1"] {
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(String::from_utf8_lossy(&buffer[..length]), wanted);
    }
    // Not asked for: it is the command's business.
    let ran = run(&["--stall", "30s"]);
    assert_eq!(ran.stdout(), "2\n");
}
