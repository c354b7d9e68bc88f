//! The command line of one command: flags, words, and what follows `--`.
//!
//! Written by hand because nine commands with a handful of flags do not pay for a parser crate that
//! everybody would have to compile first. A flag that no command asked for is an error, never
//! ignored.

use std::fmt;

use anyhow::Result;

/// `EX_USAGE` of sysexits: the command line is wrong.
pub(crate) const EX_USAGE: u8 = 64;

/// The error of a command line with something in it that the command does not know.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "does not know {}; `cargo xtask help COMMAND` says what it knows", self.0)
    }
}

impl std::error::Error for Usage {}

/// What was typed after the command's name.
pub(crate) struct Args {
    flags: Vec<String>,
    words: Vec<String>,
    rest: Vec<String>,
}

impl Args {
    pub(crate) fn new(arguments: impl Iterator<Item = String>) -> Self {
        let mut args = Self { flags: Vec::new(), words: Vec::new(), rest: Vec::new() };
        let mut past_dashes = false;
        for argument in arguments {
            if past_dashes {
                args.rest.push(argument);
            } else if argument == "--" {
                past_dashes = true;
            } else if argument.starts_with('-') {
                args.flags.push(argument);
            } else {
                args.words.push(argument);
            }
        }
        args
    }

    /// Takes a flag out of the line; false if it was not given.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.flags.len();
        self.flags.retain(|flag| flag != name);
        self.flags.len() != before
    }

    /// Takes the words that are not flags.
    pub(crate) fn words(&mut self) -> Vec<String> {
        std::mem::take(&mut self.words)
    }

    /// Takes what followed `--`.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        std::mem::take(&mut self.rest)
    }

    /// Refuses whatever the command did not take.
    pub(crate) fn done(self) -> Result<()> {
        let left: Vec<String> = [self.flags, self.words, self.rest].concat();
        if left.is_empty() {
            return Ok(());
        }
        Err(Usage(left.join(" ")).into())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn splits_flags_words_and_the_rest() {
        let mut args = args("--no-lsm debian-6.1 -- --exact exec");
        assert!(args.flag("--no-lsm"));
        assert!(!args.flag("--no-lsm"), "a flag is taken once");
        assert_eq!(args.words(), ["debian-6.1"]);
        assert_eq!(args.rest(), ["--exact", "exec"]);
        args.done().unwrap();
    }

    #[test]
    fn refuses_what_nobody_took() {
        let error = args("--chekc").done().unwrap_err().to_string();
        assert!(error.contains("--chekc"), "{error}");
    }
}
