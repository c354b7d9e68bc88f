//! An act and its arguments.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    str::FromStr,
};

use crate::work::Failure;

pub(super) type Act = fn(&mut Words<'_>) -> Result<(), Failure>;
pub(super) type Table = &'static [(&'static str, Act)];

/// Arguments of one act.
pub struct Words<'a>(std::slice::Iter<'a, OsString>);

impl<'a> Words<'a> {
    #[must_use]
    pub fn new(words: &'a [OsString]) -> Self {
        Self(words.iter())
    }

    pub(super) fn word(&mut self) -> Result<&'a OsStr, Failure> {
        Ok(self.0.next().ok_or("an argument is missing")?)
    }

    pub(super) fn path(&mut self) -> Result<PathBuf, Failure> {
        self.word().map(PathBuf::from)
    }

    /// As the kernel wants it.
    pub(super) fn c(&mut self) -> Result<std::ffi::CString, Failure> {
        Ok(std::ffi::CString::new(self.word()?.as_bytes())?)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Failure> {
        Ok(self.word()?.to_str().ok_or("an argument is not text")?)
    }

    pub(super) fn number<T: FromStr>(&mut self) -> Result<T, Failure> {
        let text = self.text()?;
        text.parse().map_err(|_error| format!("{text} is not a number or address").into())
    }

    pub(super) fn has_more(&self) -> bool {
        self.0.len() > 0
    }

    /// Those that are left.
    pub(super) fn rest(&mut self) -> Vec<OsString> {
        self.0.by_ref().cloned().collect()
    }
}
