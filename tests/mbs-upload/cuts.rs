use super::*;
use crate::between::{listen, pass, port, short_reads};
use sandbox::Cutter;
use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Through a proxy that cuts one connection to the API in so many, and all to the engine, this many files
/// arrive once each.
fn cut(settings: Settings, files: usize, every: u64, seed: u64) {
    let bench = Bench::with(settings);
    let proxy = |url: &str, every, seed| {
        let target = format!("127.0.0.1:{}", port(url));
        Cutter::start("127.0.0.1:0", &target, (every, seed), |_| ()).unwrap()
    };
    let (api, ws) = (
        proxy(&bench.server.api(), every, seed),
        // One by which its first connections are cut early: there are only a few.
        proxy(&bench.server.ws(), 1, 7),
    );
    let books = bench.books(files);
    let ran = bench
        .tool(&books)
        .env("MBS_API", format!("http://{}", api.address()))
        .env("MBS_WS", format!("ws://{}/ws", ws.address()))
        .args(["--retries", "8"])
        .ok();
    assert_eq!(counts(&ran), [("uploaded".into(), files)].into());
    bench.holds(&books);
    assert_eq!(bench.ebooks(), files as i64);
    assert!(api.cuts() > 1 && ws.cuts() > 1, "{api:?} {ws:?}");
}

/// The same each time: with one connection in one cut, there are seeds by which no login ever gets through.
fn seed() -> u64 {
    let given = std::env::var("MBS_TEST_SEED").ok();
    given.map_or(7, |seed| seed.parse().unwrap())
}

#[test]
fn connections_that_are_cut_at_any_byte_lose_nothing_and_double_nothing() {
    let seed = seed();
    println!("MBS_TEST_SEED={seed}");
    let settings = Settings {
        keep_alive: false,
        ..Settings::default()
    };
    cut(settings, 30, 10, seed);
}

#[test]
fn kept_connections_that_are_cut_lose_nothing_and_double_nothing() {
    let seed = seed();
    println!("MBS_TEST_SEED={seed}");
    cut(Settings::default(), 40, 1, seed);
}

/// A door to the database that closes: what is open ends, and nobody is let in.
fn door(inside: u16) -> (u16, Arc<AtomicBool>) {
    let shut = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&shut);
    let port = listen(move |mut client| {
        let open = || !seen.load(Ordering::SeqCst);
        if !open() {
            return;
        }
        let mut server = TcpStream::connect(("127.0.0.1", inside)).unwrap();
        short_reads(&client);
        short_reads(&server);
        while open() && pass(&mut client, &mut server) && pass(&mut server, &mut client) {}
    });
    (port, shut)
}

#[test]
fn locks_whose_database_stays_away_end_the_run_and_nothing_is_lost_or_doubled() {
    let bench = Bench::with(Settings {
        task_millis: 150,
        ..Settings::default()
    });
    let books = bench.books(12);
    let inside = port(bench.server.db_url());
    let (port, shut) = door(inside);
    let db = bench
        .server
        .db_url()
        .replace(&inside.to_string(), &port.to_string());
    let run = |books: &[Value]| {
        let journal = bench.dir.join("journal");
        let run = bench.tool(books).args(["--db", &db, "--outage", "700ms"]);
        run.arg("--journal").arg(journal)
    };
    let mut child = run(&[]).args(["-j", "3"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&lines(&books)).unwrap();
    drop(stdin);
    harness::wait_for("a file", DEADLINE, || {
        (bench.stored().len() >= 2).then_some(())
    });
    shut.store(true, Ordering::SeqCst);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(255), "{said}");
    assert!(
        said.contains("nothing is sent until the connection is back"),
        "{said}"
    );
    // What was under way is not failed: the next run settles it.
    let records = String::from_utf8(output.stdout).unwrap();
    assert!(!records.contains(r#""outcome":"failed""#), "{records}");
    assert!(bench.stored().len() < 12);
    shut.store(false, Ordering::SeqCst);
    run(&books).ok();
    bench.holds(&books);
    assert_eq!(bench.ebooks(), 12);
}
