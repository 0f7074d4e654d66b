//! An empty cluster, made once by initdb and then copied: 50 ms instead of a second and more.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::place::{Place, describe, is_root, run};
use super::{PASSWORD, SUPERUSER};

/// Fills the place's data folder with an empty cluster, from the template where there is one.
pub(super) fn fill(place: &Place) -> Result<(), String> {
    let Some(folder) = cache_folder() else {
        return initdb(place, &place.data);
    };
    let version = place.version()?;
    let template = folder.join(format!("postgresql-{version}"));
    if !template.exists() {
        make(place, &folder, &template)?;
    }
    fs::create_dir_all(&place.data).map_err(|e| describe(&place.data, "create", &e))?;
    run(Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(template.join("."))
        .arg(&place.data))
}

/// Makes the template; whoever holds the lock does it, the others wait and find it there.
fn make(place: &Place, folder: &Path, template: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| describe(folder, "create", &e))?;
    let lock_path = folder.join("postgresql.lock");
    let lock = fs::File::create(&lock_path).map_err(|e| describe(&lock_path, "create", &e))?;
    lock.lock().map_err(|e| describe(&lock_path, "lock", &e))?;
    if template.exists() {
        return Ok(());
    }
    // The build folder may be closed to the server's account, so the work is done in scratch.
    let fresh = place.scratch.join("template");
    initdb(place, &fresh)?;
    let nearly = template.with_extension("new");
    let _ = fs::remove_dir_all(&nearly);
    let copied = run(Command::new("cp").arg("-a").arg(&fresh).arg(&nearly));
    let _ = fs::remove_dir_all(&fresh);
    copied?;
    fs::rename(&nearly, template).map_err(|e| describe(template, "rename", &e))
}

fn initdb(place: &Place, into: &Path) -> Result<(), String> {
    let password = place.scratch.join("password");
    fs::write(&password, PASSWORD).map_err(|e| describe(&password, "write", &e))?;
    if is_root() {
        run(Command::new("chown").arg("postgres:").arg(&password))?;
    }
    let line = place.as_server("initdb");
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .arg("-D")
        .arg(into)
        .args(["--no-sync", "-U", SUPERUSER]);
    // The locale must not depend on who runs the test: it decides what a letter is.
    command.args([
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "-A",
        "trust",
        "--wal-segsize=1",
    ]);
    command
        .arg("--pwfile")
        .arg(&password)
        .current_dir(&place.scratch);
    run(&mut command)
}

/// Where the template is kept: `tmp` in cargo's target folder, which `cargo clean` empties.
/// Nothing for a program that was installed elsewhere.
pub(super) fn cache_folder() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let target = program
        .ancestors()
        // The tag is missing where the folder was there before cargo.
        .find(|dir| {
            [".rustc_info.json", "CACHEDIR.TAG"]
                .iter()
                .any(|mark| dir.join(mark).is_file())
        })?;
    // The data folder belongs to the account that made it.
    let account = if is_root() { "root" } else { "own" };
    Some(target.join("tmp").join(account))
}
