//! The program `mbs-sandbox`: one line when it is ready, nothing left when it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::wait_for;
use serde_json::Value;

struct Running {
    child: Child,
    ready: Value,
}

fn start(arguments: &[&Path]) -> Running {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mbs-sandbox"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    Running {
        child,
        ready: serde_json::from_str(&line).unwrap(),
    }
}

impl Running {
    fn get(&self, path: &str) -> Option<String> {
        let url = format!("{}{path}", self.ready["api"].as_str().unwrap());
        ureq::get(url).call().ok()?.body_mut().read_to_string().ok()
    }

    /// Sends the signal and waits; gives the exit code.
    fn end(&mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }

    /// Waits until the database's socket is gone too.
    fn wait_for_the_database_s_end(&self) {
        let url = self.ready["db"].as_str().unwrap();
        let address = url.split('@').nth(1).unwrap().split('/').next().unwrap();
        wait_for("the database's end", Duration::from_secs(20), || {
            std::net::TcpStream::connect(address).is_err().then_some(())
        });
    }
}

#[test]
fn rows_and_files_outlive_the_program_and_no_process_does() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut first = start(&["--data".as_ref(), &data]);
    assert!(first.get("/_log").unwrap().contains("entries"));
    for sub in ["books", "uploads", "thumbs", "postgres"] {
        assert!(data.join(sub).is_dir(), "{sub}");
    }
    let url = first.ready["db"].as_str().unwrap().to_owned();
    let sql = "insert into genre (version_id, name) values (1, 'Kept')";
    assert!(
        Command::new("psql")
            .args([&url, "-qc", sql])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(first.end("-TERM"), Some(0));
    first.wait_for_the_database_s_end();

    let mut second = start(&["--data".as_ref(), &data]);
    let url = second.ready["db"].as_str().unwrap().to_owned();
    let count = Command::new("psql")
        .args([&url, "-Atc", "select count(*) from genre"])
        .output();
    assert_eq!(count.unwrap().stdout, b"58\n");
    assert_eq!(second.end("-INT"), Some(0));
    second.wait_for_the_database_s_end();
}

#[test]
fn a_killed_program_leaves_neither_database_nor_files_behind() {
    let mut program = start(&[]);
    let data = Path::new(program.ready["data"].as_str().unwrap()).to_path_buf();
    assert!(data.join("books").is_dir());
    assert_eq!(program.end("-KILL"), None);
    program.wait_for_the_database_s_end();
    wait_for("the files' end", Duration::from_secs(20), || {
        (!data.exists()).then_some(())
    });
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_mbs-sandbox"))
        .args(["--api-port", &port])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("mbs-sandbox: API: 127.0.0.1:"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
