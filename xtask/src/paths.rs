//! Where things are in the checkout.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The checkout: the folder above this crate.
pub(crate) fn root() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map_or(manifest.clone(), Path::to_path_buf)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The compiled BPF objects; `sentry-kernel/build.rs` looks in the same folder, also for a plain
/// `cargo build`.
pub(crate) fn bpf_objects() -> PathBuf {
    root().join("target/bpf-objects")
}

/// The programs of the last debug build.
pub(crate) fn debug_bin(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// Logs of what the commands ran.
pub(crate) fn logs() -> PathBuf {
    target().join("xtask")
}

/// The path as a reader of the terminal wants it: relative to the checkout where that is possible.
pub(crate) fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
