use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use super::{Auth, Cluster, Options, PASSWORD};

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
    let scratch = panicked
        .join()
        .unwrap_err()
        .downcast::<std::path::PathBuf>()
        .unwrap();
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

#[test]
fn leaves_nothing_when_the_test_is_killed() {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "--ignored",
            "--nocapture",
            "cluster::tests::victim",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let scratch = lines
        .find_map(|line| line.strip_prefix("victim ").map(str::to_owned))
        .unwrap();
    assert!(Path::new(&scratch).join("server.log").exists());
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until_gone(Path::new(&scratch));
}
