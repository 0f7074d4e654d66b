use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::Child,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use harness::{Run, wait_for};
use postgres::Client;
use serde_json::Value;

use crate::{DEADLINE, NEXT, Server, ends::terminate, ids, insert};

/// A running `mbs-hashes --follow`.
pub(crate) struct Follower {
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Follower {
    pub(crate) fn start(run: Run) -> Follower {
        let mut child = run.args(["--follow", "--interval", "50ms"]).spawn();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).expect(&line));
            }
        });
        Follower {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Reads until a record of this type came; gives it.
    pub(crate) fn until(&mut self, kind: &str) -> Value {
        loop {
            let record = match self.lines.recv_timeout(DEADLINE) {
                Ok(record) => record,
                Err(error) => panic!("no {kind}: {error}; {:?}", self.stderr()),
            };
            self.seen.push(record.clone());
            if record["type"] == kind {
                return record;
            }
        }
    }

    /// Reads until the row came, and nothing but rows before it.
    pub(crate) fn until_row(&mut self, id: i64) {
        while self.until("known_hash")["source_id"] != id {}
    }

    /// Gives it time to look three more times, which `probe` rows prove: each is seen by a pass that
    /// began after the one before.
    pub(crate) fn looks_again(&mut self, client: &mut Client) {
        for _ in 0..3 {
            let row = client
                .query_one(&format!("{NEXT} returning id"), &[])
                .unwrap();
            self.until_row(row.get(0));
        }
    }

    /// Ends it by SIGTERM and gives all that it wrote.
    pub(crate) fn end(mut self) -> Vec<Value> {
        terminate(&self.child);
        let summary = self.until("summary");
        assert_eq!(
            summary["complete"], false,
            "an interrupted stream is not complete"
        );
        assert_eq!(self.child.wait().unwrap().signal(), Some(15));
        self.seen
    }

    fn stderr(&mut self) -> String {
        let _ = self.child.kill();
        let mut text = String::new();
        let _ = self.child.stderr.take().unwrap().read_to_string(&mut text);
        text
    }
}

/// Every row of the table once, but for those that are deliberately not there.
pub(crate) fn assert_each_once(server: &Server, seen: &[Value]) {
    let mut count = BTreeMap::new();
    for id in ids(seen) {
        *count.entry(id).or_insert(0) += 1;
    }
    assert!(count.values().all(|&n| n == 1), "doubled: {count:?}");
    let rows = server.database.query("select id from source order by id");
    let table: Vec<i64> = rows
        .iter()
        .map(|row| row[0].as_ref().unwrap().parse().unwrap())
        .collect();
    assert_eq!(count.into_keys().collect::<Vec<_>>(), table);
}

#[test]
fn new_rows_come_after_caught_up() {
    let server = Server::own();
    let mut client = server.client();
    for _ in 0..5 {
        client.batch_execute(NEXT).unwrap();
    }
    let mut follower = Follower::start(server.mbs_hashes());
    let caught_up = follower.until("caught_up");
    assert_eq!(
        (&caught_up["rows"], &caught_up["last_id"]),
        (&5.into(), &5.into())
    );
    assert_eq!(ids(&follower.seen), [1, 2, 3, 4, 5]);
    for id in 6..9 {
        client.batch_execute(NEXT).unwrap();
        follower.until_row(id);
    }
    assert_each_once(&server, &follower.end());
}

#[test]
fn an_empty_table_is_caught_up_with_at_once() {
    let server = Server::own();
    let mut follower = Follower::start(server.mbs_hashes());
    assert_eq!(follower.until("caught_up")["rows"], 0);
    server.client().batch_execute(NEXT).unwrap();
    follower.until_row(1);
    assert_each_once(&server, &follower.end());
}

/// The original asked for rows created after the last refresh. A row is created when its transaction begins and
/// seen when it commits, so those of slow transactions were missed for ever.
#[test]
fn bug_b15_incremental_refresh_misses_no_late_commit() {
    let server = Server::own();
    let (mut early, mut client) = (server.client(), server.client());
    client.batch_execute(NEXT).unwrap();
    // Id 2 is taken before the follower starts, id 4 while it runs; both commit after higher ids were seen.
    let mut before = early.transaction().unwrap();
    before.batch_execute(NEXT).unwrap();
    client.batch_execute(NEXT).unwrap();
    let mut follower = Follower::start(server.mbs_hashes());
    follower.until("caught_up");
    assert_eq!(ids(&follower.seen), [1, 3]);
    let mut other = server.client();
    let mut during = other.transaction().unwrap();
    during.batch_execute(NEXT).unwrap();
    follower.looks_again(&mut client);
    during.commit().unwrap();
    follower.until_row(4);
    follower.looks_again(&mut client);
    before.commit().unwrap();
    follower.until_row(2);
    follower.looks_again(&mut client);
    assert_each_once(&server, &follower.end());
}

/// An id may be taken well before its row is inserted, and before the transaction has a number.
#[test]
fn an_id_taken_ahead_of_its_row_is_waited_for() {
    let server = Server::own();
    let (mut other, mut client) = (server.client(), server.client());
    client.batch_execute(NEXT).unwrap();
    let mut follower = Follower::start(server.mbs_hashes());
    follower.until("caught_up");
    let mut ahead = other.transaction().unwrap();
    let id: i64 = ahead
        .query_one("select nextval('source_id_seq')", &[])
        .unwrap()
        .get(0);
    follower.looks_again(&mut client);
    follower.looks_again(&mut client);
    ahead.batch_execute(&insert(id..=id)).unwrap();
    ahead.commit().unwrap();
    follower.until_row(id);
    assert_each_once(&server, &follower.end());
}

#[test]
fn rollbacks_deletions_and_updates_double_nothing() {
    let server = Server::own();
    let (mut other, mut client) = (server.client(), server.client());
    for _ in 0..4 {
        client.batch_execute(NEXT).unwrap();
    }
    client
        .batch_execute("delete from source where id = 2")
        .unwrap();
    let mut follower = Follower::start(server.mbs_hashes());
    follower.until("caught_up");
    let mut given_up = other.transaction().unwrap();
    given_up.batch_execute(NEXT).unwrap();
    client.batch_execute(NEXT).unwrap();
    follower.until_row(6);
    given_up.rollback().unwrap();
    client
        .batch_execute("update source set quality = 1 where id in (1, 6)")
        .unwrap();
    follower.looks_again(&mut client);
    client
        .batch_execute("update source set quality = 2")
        .unwrap();
    follower.looks_again(&mut client);
    assert_each_once(&server, &follower.end());
}

#[test]
fn many_writers_at_once() {
    let server = Server::own();
    let mut follower = Follower::start(server.mbs_hashes());
    follower.until("caught_up");
    std::thread::scope(|scope| {
        for writer in 0..6u64 {
            let mut client = server.client();
            scope.spawn(move || {
                for turn in 0..12u64 {
                    let mut transaction = client.transaction().unwrap();
                    for _ in 0..=(turn + writer) % 3 {
                        transaction.batch_execute(NEXT).unwrap();
                    }
                    let nap = format!("select pg_sleep(0.{})", (turn * 7 + writer * 5) % 5);
                    transaction.batch_execute(&nap).unwrap();
                    match (turn + writer) % 5 {
                        0 => transaction.rollback().unwrap(),
                        _ => transaction.commit().unwrap(),
                    }
                }
            });
        }
    });
    follower.looks_again(&mut server.client());
    assert_each_once(&server, &follower.end());
}

#[test]
fn a_prepared_transaction_is_waited_for() {
    let server = Server::with(&harness::cluster::Options {
        conf: vec!["max_prepared_transactions = 2".into()],
        ..Default::default()
    });
    let (mut other, mut client) = (server.client(), server.client());
    let mut follower = Follower::start(server.mbs_hashes());
    follower.until("caught_up");
    other.batch_execute(&format!("begin; {NEXT}")).unwrap();
    client.batch_execute(NEXT).unwrap();
    follower.until_row(2);
    // It is on the list of those to wait for when it changes its name.
    follower.looks_again(&mut client);
    other.batch_execute("prepare transaction 'later'").unwrap();
    follower.looks_again(&mut client);
    follower.looks_again(&mut client);
    other.batch_execute("commit prepared 'later'").unwrap();
    follower.until_row(1);
    assert_each_once(&server, &follower.end());
}

#[test]
fn gaps_that_nobody_can_fill_are_given_up() {
    let server = Server::with(&harness::cluster::Options {
        conf: vec!["log_statement = 'all'".into()],
        ..Default::default()
    });
    let mut client = server.client();
    client.batch_execute(&insert(1..=2000)).unwrap();
    client
        .batch_execute("delete from source where id % 2 = 0; select setval('source_id_seq', 2000)")
        .unwrap();
    let mut other = server.client();
    let old = other.transaction().unwrap();
    let mut follower = Follower::start(server.mbs_hashes());
    follower.until("caught_up");
    let log = server.database.server().socket_dir().join("server.log");
    let looks_into_gaps = |text: &str| text.contains("unnest(");
    wait_for("a look into the gaps", DEADLINE, || {
        looks_into_gaps(&std::fs::read_to_string(&log).unwrap()).then_some(())
    });
    drop(old);
    wait_for("a pass that leaves the gaps alone", DEADLINE, || {
        let text = std::fs::read_to_string(&log).unwrap();
        let passes: Vec<&str> = text.split("BEGIN ISOLATION").collect();
        let whole = passes.len().checked_sub(2)?;
        (!looks_into_gaps(passes[whole])).then_some(())
    });
    follower.looks_again(&mut client);
    assert_each_once(&server, &follower.end());
}

#[test]
fn a_look_for_new_rows_is_cheap() {
    let server = Server::own();
    server.sql(&insert(1..=50_000));
    server.sql("delete from source where id % 1000 = 0; analyze source");
    let mut other = server.client();
    let _old = other.transaction().unwrap();
    let mut follower = Follower::start(server.mbs_hashes());
    follower.until("caught_up");
    let scans = || -> i64 {
        let sql = "select pg_stat_force_next_flush(); select seq_scan from pg_stat_user_tables where relname = 'source'";
        server.database.query(sql).last().unwrap()[0]
            .as_ref()
            .unwrap()
            .parse()
            .unwrap()
    };
    let passes = || -> i64 {
        let sql = "select idx_scan from pg_stat_user_indexes where indexrelname = 'source_pkey'";
        server.database.query(sql)[0][0]
            .as_ref()
            .unwrap()
            .parse()
            .unwrap()
    };
    let (before, start) = (scans(), passes());
    wait_for("more look-ups by the primary key", DEADLINE, || {
        (passes() > start + 100).then_some(())
    });
    assert_eq!(scans(), before, "no look reads the whole table");
    follower.end();
}

#[test]
fn a_follower_outlives_a_restart_of_the_database() {
    // A crash must not lose what was committed.
    let mut server = Server::with(&harness::cluster::Options {
        conf: vec!["synchronous_commit = on".into()],
        ..Default::default()
    });
    server.client().batch_execute(NEXT).unwrap();
    let mut follower = Follower::start(server.mbs_hashes());
    follower.until("caught_up");
    server.cluster().crash();
    server.cluster().resume();
    server.client().batch_execute(NEXT).unwrap();
    follower.until("known_hash");
    server.cluster().restart();
    server.client().batch_execute(NEXT).unwrap();
    follower.until("known_hash");
    assert_each_once(&server, &follower.seen);
    let stderr = follower.stderr();
    assert_eq!(
        stderr.matches("trying again until it is back").count(),
        2,
        "{stderr}"
    );
    assert_eq!(stderr.matches("connected again").count(), 2, "{stderr}");
}

#[test]
fn what_no_waiting_mends_ends_a_follower() {
    let server = Server::own();
    let mut follower = Follower::start(server.mbs_hashes());
    follower.until("caught_up");
    server.sql("revoke select on source from reader");
    assert_eq!(follower.child.wait().unwrap().code(), Some(255));
    let stderr = follower.stderr();
    assert!(
        stderr.contains("read: permission denied for table source"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn a_follower_notices_that_its_reader_is_gone_without_a_new_row() {
    let server = Server::own();
    server.add(1..=1);
    let script = "mbs-hashes --follow --interval 60s | head -1";
    let ran = server.work.shell(script).env("MBS_DB", server.db()).ok();
    assert_eq!(ran.records().len(), 1);
}

#[test]
fn nothing_waits_in_a_buffer_while_the_follower_waits() {
    let server = Server::own();
    server.add(1..=3);
    let run = server.mbs_hashes().args(["--follow", "--interval", "600s"]);
    let mut child = run.spawn();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    for _ in 0..4 {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        lines.push(line);
    }
    assert!(lines[3].contains("caught_up"), "{lines:?}");
    terminate(&child);
    let start = std::time::Instant::now();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "a signal ends the pause"
    );
}
