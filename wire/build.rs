//! Compiles what must happen before Rust's own start; see `src/early.c`.

fn main() {
    println!("cargo::rerun-if-changed=src/early.c");
    cc::Build::new()
        .file("src/early.c")
        .link_lib_modifier("+whole-archive")
        .compile("early");
}
