//! Links the unwinder into the programs. To load libgcc_s with every start takes an eighth of a
//! millisecond, as long as all else that is done before a short command runs.

use std::{env, error::Error, fs, path::PathBuf, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if gnu && env::var("HOST") == env::var("TARGET") && is_there("libgcc_eh.a") {
        // The linker takes this script for the library that std asks for.
        let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
        fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
        println!("cargo::rustc-link-search=native={}", folder.display());
    }
    Ok(())
}

/// Does the compiler that links have this library? It repeats the bare name of one that it lacks.
fn is_there(library: &str) -> bool {
    let asked = Command::new("cc")
        .arg(format!("-print-file-name={library}"))
        .output();
    asked.is_ok_and(|told| told.status.success() && told.stdout.starts_with(b"/"))
}
