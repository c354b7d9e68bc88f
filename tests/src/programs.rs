//! The programs under test and the workloads: where they are, and running one to its end.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::Read,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::wait;

/// Where a program is that every user can reach: as it was built, or, where a directory above is
/// closed to others (a checkout in a home), as a hard link in a directory of its own under `/tmp`,
/// which stays for the next run.
///
/// # Panics
/// When the program was not built, or cannot be linked.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let dir = env::var_os("AGENTSENTRY_BIN_DIR").map_or_else(
        // target/debug/deps/it-… → target/debug
        || env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned(),
        PathBuf::from,
    );
    let path = dir.join(name);
    assert!(
        path.is_file(),
        "{} is missing; build it: cargo xtask build, or set AGENTSENTRY_BIN_DIR",
        path.display()
    );
    let is_open = |dir: &Path| fs::metadata(dir).unwrap().mode() & 0o001 != 0;
    if dir.ancestors().all(is_open) { path } else { link(&dir, &path, name) }
}

fn link(dir: &Path, path: &Path, name: &str) -> PathBuf {
    let open = PathBuf::from(format!("/tmp/sentry-it-bin-{}", fs::metadata(dir).unwrap().ino()));
    fs::create_dir_all(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    let (built, linked) = (fs::metadata(path).unwrap(), open.join(name));
    let is_current = |meta: fs::Metadata| meta.len() == built.len() && meta.mtime() >= built.mtime();
    if !fs::metadata(&linked).is_ok_and(is_current) {
        // Several tests may do this at once; the rename is atomic.
        let draft = open.join(format!(".{name}-{}", std::process::id()));
        if fs::hard_link(path, &draft).is_err() {
            fs::copy(path, &draft).unwrap();
        }
        fs::rename(&draft, &linked).unwrap();
        // Of two links to one file the rename keeps both.
        fs::remove_file(&draft).ok();
    }
    linked
}

#[must_use]
pub fn command(name: &str) -> Command {
    let mut command = Command::new(path(name));
    command.stdin(Stdio::null());
    command
}

/// The command as another user: `groups` are the supplementary ones.
#[must_use]
pub fn as_user(uid: u32, groups: &[u32], program: &OsStr, args: &[&OsStr]) -> Command {
    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    let mut command = command("workload_user");
    command.args([uid.to_string(), groups.join(",")]).arg(program).args(args);
    command
}

/// A process whose output is gathered while it runs. It is killed when the value goes.
pub struct Gathered {
    child: Child,
    what: String,
    out: Option<JoinHandle<Vec<u8>>>,
    err: Option<JoinHandle<Vec<u8>>>,
}

impl Gathered {
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::with_output(command.stdout(Stdio::piped()))
    }

    /// Its standard output goes where the command says.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn with_output(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
        let (out, err) = (child.stdout.take().map(gather), child.stderr.take().map(gather));
        Self { child, what, out, err }
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Panics
    /// When its standard input was not piped or was taken before.
    #[must_use]
    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time; its output so far is lost with it.
    #[must_use]
    pub fn wait(self) -> Output {
        self.wait_within(wait::patience())
    }

    /// [`Self::wait`] with a deadline of its own.
    ///
    /// # Panics
    /// When it does not end in time; its output so far is lost with it.
    #[must_use]
    pub fn wait_within(mut self, limit: Duration) -> Output {
        let end = Instant::now() + limit;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
                None => {
                    self.child.kill().ok();
                    let stderr = self.err.take().map(|thread| thread.join().unwrap()).unwrap_or_default();
                    panic!("{} did not end; it said: {}", self.what, String::from_utf8_lossy(&stderr));
                }
            }
        };
        let join = |thread: Option<JoinHandle<Vec<u8>>>| thread.map(|thread| thread.join().unwrap());
        Output {
            status,
            stdout: join(self.out.take()).unwrap_or_default(),
            stderr: join(self.err.take()).unwrap_or_default(),
        }
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn gather(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is what there is.
        pipe.read_to_end(&mut bytes).ok();
        bytes
    })
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or does not end in time.
pub fn finish(command: &mut Command) -> Output {
    Gathered::start(command).wait()
}

/// What a person sees of an ended command.
#[must_use]
pub fn text(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
