//! Running other programs: one line before, the time after, everything else in a log.
//!
//! A long step says once a minute that it is still alive and what its log says last. A failed one
//! shows the last [`TAIL_LINES`] lines of its log. The child's standard input is always empty, so
//! nothing can wait for an answer.

use std::{
    fmt, fs,
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    args::{EX_USAGE, Usage},
    paths,
};

/// `EX_UNAVAILABLE` of sysexits: something the command needs is not there and it may not get it.
pub(crate) const EX_UNAVAILABLE: u8 = 69;

const TAIL_LINES: usize = 60;
const HEARTBEAT: Duration = Duration::from_secs(60);

/// The error of a command that lacks something it may not install.
#[derive(Debug)]
pub(crate) struct Unavailable(pub(crate) String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// The exit code that says what kind of failure it was.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Unavailable>() {
        EX_UNAVAILABLE
    } else if error.is::<Usage>() {
        EX_USAGE
    } else {
        1
    }
}

/// A line of progress: which command, what it does, and why where that is not obvious.
pub(crate) fn say(area: &str, line: impl fmt::Display) {
    println!("[{area}] {line}");
}

/// Runs a program to its end, output to `target/xtask/<log>.log`; an error if it fails.
pub(crate) fn run(area: &str, what: &str, log: &str, command: &mut Command) -> Result<()> {
    let (status, log) = attempt(area, what, log, command)?;
    if !status.success() {
        print_tail(&log, TAIL_LINES);
        bail!("{what}: {status}; the whole output is in {}", paths::short(&log));
    }
    Ok(())
}

/// As [`run`], but leaves it to the caller to judge the exit status. Returns the log's path.
pub(crate) fn attempt(
    area: &str,
    what: &str,
    log: &str,
    command: &mut Command,
) -> Result<(ExitStatus, PathBuf)> {
    say(area, what);
    let started = Instant::now();
    let log = log_path(log)?;
    let mut file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    writeln!(file, "$ {}", shell_line(command))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let status = wait(area, &log, command)?;
    say(area, format_args!("{} after {}", if status.success() { "done" } else { "FAILED" }, took(started)));
    Ok((status, log))
}

/// Runs a program quietly and returns its standard output; the log and the error carry its standard
/// error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let line = shell_line(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {line}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{line}: {}: {}", output.status, errors.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{line}: output is not UTF-8"))
}

/// Where the log of this name goes; makes the folder.
pub(crate) fn log_path(name: &str) -> Result<PathBuf> {
    let dir = paths::logs();
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir.join(format!("{name}.log")))
}

/// Shows the end of a log, indented so that it is not taken for our own lines.
pub(crate) fn print_tail(log: &Path, lines: usize) {
    let text = read_lossy(log);
    let mut out = BufWriter::new(std::io::stderr().lock());
    let all: Vec<&str> = text.lines().collect();
    for line in &all[all.len().saturating_sub(lines)..] {
        // A terminal that went away is no reason to hide the error that follows.
        if writeln!(out, "    {line}").is_err() {
            break;
        }
    }
}

/// The log's text; tools may write bytes that are not UTF-8.
pub(crate) fn read_lossy(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Time since `started` as a person reads it.
pub(crate) fn took(started: Instant) -> String {
    in_words(started.elapsed())
}

/// A time as a person reads it.
pub(crate) fn in_words(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(100) {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else {
        format!("{} min {:02} s", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
    }
}

/// The command as one could type it.
pub(crate) fn shell_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn wait(area: &str, log: &Path, command: &mut Command) -> Result<ExitStatus> {
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let started = Instant::now();
    let (sender, receiver) = mpsc::sync_channel(1);
    let waiter = thread::spawn(move || sender.send(child.wait()));
    let status = loop {
        match receiver.recv_timeout(HEARTBEAT) {
            Ok(status) => break status,
            Err(RecvTimeoutError::Timeout) => {
                let text = read_lossy(log);
                let last = text.lines().next_back().unwrap_or_default().trim();
                let last: String = last.chars().take(100).collect();
                say(area, format_args!("still running after {}: {last}", took(started)));
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the thread that waited for the program died"),
        }
    };
    // It has sent its one message and is at its end; how it ended is of no interest any more.
    let _ended = waiter.join();
    Ok(status?)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_shell_line_can_be_pasted() {
        let mut command = Command::new("qemu");
        command.args(["-append", "console=ttyS0 quiet", "it's"]);
        assert_eq!(shell_line(&command), r"qemu -append 'console=ttyS0 quiet' 'it'\''s'");
    }

    #[test]
    fn exit_code_tells_missing_from_broken() {
        assert_eq!(exit_code(&Unavailable("no root".into()).into()), EX_UNAVAILABLE);
        assert_eq!(exit_code(&anyhow!("broken")), 1);
    }
}
