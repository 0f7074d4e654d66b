use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use super::{Auth, Cluster, Options, PASSWORD, shared::Shared};
use crate::Database;

fn wait_until_gone(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while path.exists() {
        assert!(
            Instant::now() < deadline,
            "{} is still there",
            path.display()
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn answers_and_keeps_data_over_a_restart_and_a_crash() {
    let mut cluster = Cluster::start();
    cluster.create_database("books");
    cluster.execute(
        "books",
        "create table t (x int); insert into t values (7), (null)",
    );
    cluster.restart();
    assert_eq!(
        cluster.query("books", "select x from t"),
        [[Some("7".to_owned())], [None]]
    );
    cluster.crash();
    let mut tcp = cluster.url("books").parse::<postgres::Config>().unwrap();
    tcp.connect_timeout(Duration::from_secs(1));
    assert!(tcp.connect(postgres::NoTls).is_err());
    cluster.resume();
    tcp.connect(postgres::NoTls).unwrap();
}

#[test]
fn asks_for_the_password_over_tcp() {
    let cluster = Cluster::start_with(&Options {
        auth: Auth::Scram,
        ..Options::default()
    });
    let mut config = cluster.url("postgres").parse::<postgres::Config>().unwrap();
    assert!(config.connect(postgres::NoTls).is_err());
    assert!(config.password("wrong").connect(postgres::NoTls).is_err());
    config.password(PASSWORD).connect(postgres::NoTls).unwrap();
}

#[test]
fn says_what_is_wrong_with_the_configuration() {
    let options = Options {
        conf: vec!["shared_buffers = much".into()],
        ..Options::default()
    };
    let reason = Cluster::try_start(&options).unwrap_err();
    assert!(reason.contains("shared_buffers"), "{reason}");
}

#[test]
fn keeps_a_folder_that_was_given() {
    let folder = tempfile::tempdir().unwrap();
    // As `mktemp -d` makes it; the account postgres could not pass.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let options = Options {
        keep_in: Some(folder.path().join("deep/pg")),
        ..Options::default()
    };
    let cluster = Cluster::start_with(&options);
    cluster.create_database("kept");
    let scratch = cluster.socket_dir().to_path_buf();
    drop(cluster);
    assert!(!scratch.exists());
    Cluster::start_with(&options).execute("kept", "select 1");
}

#[test]
fn leaves_nothing_when_a_test_panics() {
    let panicked = thread::spawn(|| {
        let cluster = Cluster::start();
        std::panic::panic_any(cluster.socket_dir().to_path_buf());
    });
    let scratch = panicked.join().unwrap_err().downcast::<PathBuf>().unwrap();
    assert!(!scratch.exists());
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "runs only as the child of the next test"]
fn victim() {
    let cluster = Cluster::start();
    println!("\nvictim {}", cluster.socket_dir().display());
    let _ = std::io::stdin().read(&mut [0]);
}

/// This test program once more, in the role of one of the tests that are no tests of their own.
fn started(role: &str, folder: &Path) -> (Child, PathBuf) {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg(format!("cluster::tests::{role}"))
        .env("HARNESS_FOLDER", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let scratch = lines.find_map(|line| line.strip_prefix("victim ").map(PathBuf::from));
    (victim, scratch.unwrap())
}

#[test]
fn leaves_nothing_when_the_test_is_killed() {
    let (mut victim, scratch) = started("victim", Path::new(""));
    assert!(scratch.join("server.log").exists());
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until_gone(&scratch);
}

/// Not a test of its own: a process that uses the shared cluster until it is killed.
#[test]
#[ignore = "runs only as the child of the next test"]
fn user() {
    let shared = Shared::lease(Path::new(&env::var("HARNESS_FOLDER").unwrap()), 1).unwrap();
    println!("\nvictim {}", shared.address.socket_dir().display());
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn the_shared_cluster_ends_when_its_last_user_was_killed_and_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, scratch) = started("user", folder.path());
    let (mut second, same) = started("user", folder.path());
    assert_eq!(scratch, same);
    first.kill().unwrap();
    first.wait().unwrap();
    let third = Shared::lease(folder.path(), 1).unwrap();
    assert_eq!(third.address.socket_dir(), scratch);
    second.kill().unwrap();
    second.wait().unwrap();
    third.address.execute("postgres", "select 1");
    drop(third);
    wait_until_gone(&scratch);
    let again = Shared::lease(folder.path(), 1).unwrap();
    assert_ne!(again.address.socket_dir(), scratch);
    again.address.execute("postgres", "select 1");
}

#[test]
fn the_shared_cluster_is_started_again_when_it_has_died() {
    let folder = tempfile::tempdir().unwrap();
    let before = Shared::lease(folder.path(), 1).unwrap();
    let pid = fs::read_to_string(before.address.socket_dir().join("data/postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_until_gone(before.address.socket_dir());
    let after = Shared::lease(folder.path(), 1).unwrap();
    after.address.execute("postgres", "select 1");
}

#[test]
fn each_database_is_a_copy_of_its_own_and_gone_after_the_test() {
    let sql = ["create table t (x int)", "insert into t values (7)"];
    let [one, other] = [Database::with(&sql), Database::with(&sql)];
    one.execute("update t set x = 8");
    assert_eq!(one.query("select x from t"), [[Some("8".to_owned())]]);
    assert_eq!(other.query("select x from t"), [[Some("7".to_owned())]]);
    let name = one.name().to_owned();
    drop(one);
    let left = format!("select datname from pg_database where datname = '{name}'");
    assert!(other.query(&left).is_empty());
}
