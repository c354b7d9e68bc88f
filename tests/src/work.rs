//! Shared by the workload programs.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::wait;

/// No workload lives longer, whatever happens to the test that started it.
const LIFE: Duration = Duration::from_secs(170);
/// The same in the long form, and in an emulated machine, where one wait of a test may take longer
/// than that.
const LONG_LIFE: Duration = Duration::from_secs(600);

/// Why a workload ended early.
pub type Failure = Box<dyn std::error::Error>;

/// When this process and its children end. A child inherits the moment and has to [`Deadline::arm`]
/// for itself.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    #[must_use]
    pub fn new() -> Self {
        Self::within(if wait::long() || wait::slow() { LONG_LIFE } else { LIFE })
    }

    #[must_use]
    pub fn within(life: Duration) -> Self {
        let deadline = Self(Instant::now() + life);
        deadline.arm();
        deadline
    }

    /// Has the kernel end the calling process at that moment.
    pub fn arm(self) {
        let left = self.0.saturating_duration_since(Instant::now()).as_secs();
        // 0 would be no alarm at all.
        nix::unistd::alarm::set(u32::try_from(left).unwrap_or(1).max(1));
    }

    #[must_use]
    pub fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Self::new()
    }
}

/// The arguments of a workload, in order.
pub struct Arguments(std::env::ArgsOs);

impl Arguments {
    #[must_use]
    pub fn new() -> Self {
        let mut args = std::env::args_os();
        args.next();
        Self(args)
    }

    /// # Errors
    /// When there is none.
    pub fn text(&mut self, name: &str) -> Result<String, Failure> {
        let value = self.0.next().ok_or_else(|| format!("argument {name} is missing"))?;
        Ok(value.into_string().map_err(|value| format!("argument {name} is not text: {value:?}"))?)
    }

    /// # Errors
    /// When there is none, or it is not a number.
    pub fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<T, Failure> {
        let text = self.text(name)?;
        text.parse().map_err(|_error| format!("argument {name} is not a number: {text}").into())
    }

    /// # Errors
    /// When there is none.
    pub fn path(&mut self, name: &str) -> Result<PathBuf, Failure> {
        self.text(name).map(PathBuf::from)
    }

    /// Those that are left.
    #[must_use]
    pub fn rest(self) -> Vec<std::ffi::OsString> {
        self.0.collect()
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a file in one step: whoever sees it sees all of it.
///
/// # Errors
/// When it cannot be written.
pub fn announce(path: &Path, text: &str) -> std::io::Result<()> {
    let before = path.with_extension("part");
    std::fs::write(&before, text)?;
    std::fs::rename(before, path)
}

/// Sleeps until the deadline ends the process.
pub fn wait_for_the_end() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
