//! Compiling `sentry-ebpf` and putting the objects where the sensor's build finds them.
//!
//! The crate stands outside of the workspace because it has another target, another compiler and
//! its own lock file. It is built in an environment without the outer cargo's variables. Each
//! `[[bin]]` becomes one object, `target/bpf-objects/<name>.o`, rewritten only when its bytes
//! changed: the sensor is rebuilt when that folder changes, and only then.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    cargo::{self, Executable},
    host::{BpfCompiler, Host},
    paths,
    step::{self, Unavailable, say},
};

const AREA: &str = "build";
const TARGET: &str = "bpfel-unknown-none";
pub(crate) const LOG: &str = "build-bpf";

/// True if this machine can compile the BPF programs.
pub(crate) fn available() -> bool {
    let host = Host::this();
    host.bpf_compiler().is_some() && host.bpf_linker().is_some()
}

/// True if this machine has the linter of that compiler.
pub(crate) fn has_clippy() -> bool {
    match Host::this().bpf_compiler() {
        Some(BpfCompiler::Distribution { cargo, .. }) => cargo.with_file_name("cargo-clippy").is_file(),
        Some(BpfCompiler::Nightly) => step::capture(nightly().args(["clippy", "--version"])).is_ok(),
        None => false,
    }
}

/// Clippy over the programs, every warning an error.
pub(crate) fn clippy() -> Result<()> {
    let mut command = compile_command("clippy")?;
    command.args(["--locked", "--target-dir"]).arg(paths::root().join("target/bpf-clippy"));
    command.args(["--", "-D", "warnings"]);
    step::run("lint", "clippy on the BPF programs, every warning an error", "lint-clippy-bpf", &mut command)
}

/// Compiles the programs and updates the objects; `which` stands in front of what is said: which
/// step this is of those that the caller takes.
pub(crate) fn build(which: &str) -> Result<()> {
    let mut command = compile_command("build")?;
    command.args(["--message-format=json-render-diagnostics", "--target-dir"]);
    command.arg(paths::root().join("target/bpf"));
    let what = format!("{which}compile the BPF programs, which the sensor carries inside");
    let messages = cargo::build_messages(AREA, &what, LOG, &mut command)?;
    let programs: Vec<Executable> =
        cargo::executables(&messages).into_iter().filter(|program| program.kind == "bin").collect();
    if programs.is_empty() {
        bail!("cargo built no BPF program; see the [[bin]] sections of sentry-ebpf/Cargo.toml");
    }
    let changed = install(&programs, &paths::bpf_objects())?;
    if changed > 0 {
        say(AREA, format_args!("{changed} of {} BPF objects changed", programs.len()));
    }
    Ok(())
}

/// What cargo's `subcommand` needs to compile for BPF.
fn compile_command(subcommand: &str) -> Result<Command> {
    let host = Host::this();
    let (Some(compiler), Some(linker)) = (host.bpf_compiler(), host.bpf_linker()) else {
        let what = "there is no BPF compiler or no bpf-linker; `cargo xtask setup` installs both";
        return Err(Unavailable(what.to_owned()).into());
    };
    let mut command = match compiler {
        BpfCompiler::Distribution { cargo, rustc } => {
            let mut command = Command::new(cargo);
            // aya-ebpf has inline assembly for BPF, which only nightly compilers accept without
            // this.
            command.arg(subcommand).env("RUSTC_BOOTSTRAP", "1").env("RUSTC", rustc);
            command
        }
        BpfCompiler::Nightly => {
            let mut command = nightly();
            command.args([subcommand, "-Zbuild-std=core"]);
            command
        }
    };
    clean_environment(&mut command);
    let mut flags = cargo::hidden("--remap-path-prefix=");
    flags.extend([
        format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH),
        // Both are needed for BTF in the object: debug information, and the linker turning it into
        // BTF.
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Atomic operations that return the old value; every kernel since 5.12 has them.
        "-Ctarget-cpu=v3".to_owned(),
    ]);
    command
        .current_dir(paths::root().join("sentry-ebpf"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_TERM_COLOR", "never")
        .env("PATH", search_path(&linker)?)
        .args(["--release", "--target", TARGET]);
    Ok(command)
}

fn nightly() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    command
}

/// Takes away what the outer cargo and rustup set about themselves; keeps where things are
/// downloaded from and to.
fn clean_environment(command: &mut Command) {
    let keep = ["CARGO_HOME", "RUSTUP_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let set: Vec<String> = command.get_envs().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy().into_owned();
        let theirs = text.starts_with("CARGO") || text.starts_with("RUST");
        if theirs && !keep.iter().any(|kept| text.starts_with(kept)) && !set.contains(&text) {
            command.env_remove(&name);
        }
    }
}

/// The system's programs first, so that no wrapper of rustup's stands in for the compiler that was
/// chosen.
fn search_path(linker: &Path) -> Result<std::ffi::OsString> {
    let linker_dir = linker.parent().map(Path::to_path_buf).unwrap_or_default();
    let dirs =
        [PathBuf::from("/usr/bin"), PathBuf::from("/bin"), linker_dir, Host::this().cargo_home.join("bin")];
    env::join_paths(dirs).context("a folder of the search path has a colon in its name")
}

/// Makes the folder hold exactly these objects; returns how many files it had to touch.
fn install(programs: &[Executable], dir: &Path) -> Result<usize> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut changed = 0;
    let mut wanted = BTreeSet::new();
    for program in programs {
        let name = format!("{}.o", program.name);
        let to = dir.join(&name);
        let new =
            fs::read(&program.path).with_context(|| format!("cannot read {}", program.path.display()))?;
        if fs::read(&to).ok().as_ref() != Some(&new) {
            // Never a half-written object where a build could read it.
            let staged = program.path.with_extension("staged");
            fs::write(&staged, &new).with_context(|| format!("cannot write {}", staged.display()))?;
            fs::rename(&staged, &to).with_context(|| format!("cannot place {}", to.display()))?;
            changed += 1;
        }
        wanted.insert(name);
    }
    for entry in fs::read_dir(dir)?.flatten() {
        let stale = !wanted.contains(entry.file_name().to_string_lossy().as_ref());
        if stale && entry.path().extension() == Some(OsStr::new("o")) {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
            changed += 1;
        }
    }
    Ok(changed)
}

/// Warnings of the last build. Cargo repeats those of crates that it did not have to compile again.
pub(crate) fn warnings() -> Result<Vec<String>> {
    let log = step::read_lossy(&step::log_path(LOG)?);
    Ok(log.lines().filter(|line| line.starts_with("warning:")).map(str::to_owned).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn program(dir: &Path, name: &str, bytes: &[u8]) -> Executable {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        Executable { name: name.to_owned(), kind: "bin".to_owned(), test: false, path }
    }

    #[test]
    fn an_unchanged_object_is_left_alone_and_a_stale_one_removed() {
        let built = tempfile::tempdir().unwrap();
        let objects = tempfile::tempdir().unwrap();
        let both = [program(built.path(), "core", b"one"), program(built.path(), "net", b"two")];
        assert_eq!(install(&both, objects.path()).unwrap(), 2);
        let before = fs::metadata(objects.path()).unwrap().modified().unwrap();
        assert_eq!(install(&both, objects.path()).unwrap(), 0);
        assert_eq!(fs::metadata(objects.path()).unwrap().modified().unwrap(), before);

        let one = [program(built.path(), "core", b"changed")];
        assert_eq!(install(&one, objects.path()).unwrap(), 2, "one rewritten, one removed");
        assert_eq!(fs::read(objects.path().join("core.o")).unwrap(), b"changed");
        assert!(!objects.path().join("net.o").exists());
    }
}
