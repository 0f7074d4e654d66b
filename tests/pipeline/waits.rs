//! A tool that waits on purpose, under a watchdog.

use std::time::Duration;

use harness::wait_for;

use super::*;

/// README's upload under a watchdog was killed while it waited for its server, and each restart with it.
#[test]
fn an_upload_that_waits_for_an_absent_server_is_not_taken_for_stalled() {
    const DEADLINE: Duration = Duration::from_secs(120);
    let dir = sample();
    dir.shell("calibre-list 'Calibre Library' | hash-files >hashed.ndjson || true")
        .ok();
    let mut server = Sandbox::start(Settings::default());
    server.stop();
    let script = "stall-watch --stall 2s --sample 0.1s --restart 2 --events events -- mbs-upload \
        --retry-wait 40ms --journal journal --default-language en <hashed.ndjson >uploads";
    let run = with_server(dir.shell(script), &server);
    let started = std::time::Instant::now();
    let mut child = run.start();
    let events = || std::fs::read_to_string(dir.join("events")).unwrap_or_default();
    wait_for("a wait of four times the stall", DEADLINE, || {
        assert_eq!(child.try_wait().unwrap(), None, "{}", events());
        (events().contains("\"waiting\"") && started.elapsed() > Duration::from_secs(8))
            .then_some(())
    });
    server.resume();
    let ran = Ran::of(child);
    // Its formats that the server does not take are no failure; some files of the sample are.
    assert!(matches!(ran.status.code(), Some(0 | 1)), "{}", ran.report());
    let uploads = std::fs::read_to_string(dir.join("uploads")).unwrap();
    assert!(uploads.contains("\"outcome\":\"uploaded\""), "{uploads}");
    for never in ["stalled", "killed", "restarted"] {
        assert!(!events().contains(&format!("\"{never}\"")), "{}", events());
    }
}
