//! The acts of `workload_scene`: each does one thing, by the system call that it is named for.
//!
//! - `open`: ways to a file. `names`: links, renames, removals. `change`: content, metadata,
//!   mappings.
//! - `exec`, `image`: ways to a program. `tree`, `number`: processes and control groups. `memory`:
//!   mappings.
//! - `place`: surroundings for the acts that follow. `stand_in`: calls that somebody rewrites.
//! - `inet`, `unix`: sockets. `payload`: DNS and TLS. `ring`: `io_uring`. `kernel`: everything
//!   else.

mod change;
mod exec;
mod image;
mod inet;
mod kernel;
mod memory;
mod names;
mod number;
mod open;
mod payload;
mod place;
mod raw;
mod ring;
mod stand_in;
mod tree;
mod unix;

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    str::FromStr,
};

use crate::work::Failure;

type Act = fn(&mut Words<'_>) -> Result<(), Failure>;
type Table = &'static [(&'static str, Act)];

const FAMILIES: [Table; 15] = [
    change::ACTS,
    exec::ACTS,
    image::ACTS,
    inet::ACTS,
    kernel::ACTS,
    memory::ACTS,
    names::ACTS,
    number::ACTS,
    open::ACTS,
    payload::ACTS,
    place::ACTS,
    ring::ACTS,
    stand_in::ACTS,
    tree::ACTS,
    unix::ACTS,
];

/// The act of that name.
#[must_use]
pub fn act(name: &str) -> Option<Act> {
    FAMILIES.iter().copied().flatten().find(|(own, _)| *own == name).map(|(_, act)| *act)
}

/// Arguments of one act.
pub struct Words<'a>(std::slice::Iter<'a, OsString>);

impl<'a> Words<'a> {
    #[must_use]
    pub fn new(words: &'a [OsString]) -> Self {
        Self(words.iter())
    }

    fn word(&mut self) -> Result<&'a OsStr, Failure> {
        Ok(self.0.next().ok_or("an argument is missing")?)
    }

    fn path(&mut self) -> Result<PathBuf, Failure> {
        self.word().map(PathBuf::from)
    }

    /// As the kernel wants it.
    fn c(&mut self) -> Result<std::ffi::CString, Failure> {
        Ok(std::ffi::CString::new(self.word()?.as_bytes())?)
    }

    fn text(&mut self) -> Result<&'a str, Failure> {
        Ok(self.word()?.to_str().ok_or("an argument is not text")?)
    }

    fn number<T: FromStr>(&mut self) -> Result<T, Failure> {
        let text = self.text()?;
        text.parse().map_err(|_error| format!("{text} is not a number or address").into())
    }

    /// Those that are left.
    fn rest(&mut self) -> Vec<OsString> {
        self.0.by_ref().cloned().collect()
    }
}
