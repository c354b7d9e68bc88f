//! Makes the BPF objects available to `include_bytes!`.
//!
//! `cargo xtask build` leaves them in `target/bpf-objects`. Without them empty stubs are embedded,
//! so that `cargo check`, clippy and the unit tests need no BPF toolchain; such a sensor says at
//! start-up that it was built without programs.

use std::{env, error::Error, fs, path::PathBuf};

const OBJECTS: [&str; 11] = [
    "core",
    "network",
    "file_lsm",
    "file_fentry",
    "file_syscall",
    "file_acts",
    "kernel_trace",
    "process_acts",
    "socket_trace",
    "socket_acts",
    "packets",
];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let built = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../target/bpf-objects");
    println!("cargo::rerun-if-changed=build.rs");
    // The folder, not the files: a file that does not exist counts as changed, and everything would
    // be rebuilt each time.
    fs::create_dir_all(&built)?;
    println!("cargo::rerun-if-changed={}", built.display());
    for name in OBJECTS {
        let source = built.join(format!("{name}.o"));
        let bytes = if source.exists() { fs::read(&source)? } else { Vec::new() };
        fs::write(out.join(format!("{name}.o")), bytes)?;
    }
    Ok(())
}
