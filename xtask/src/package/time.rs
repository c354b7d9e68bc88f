//! The time of what is in a package.

use std::process::Command;

use anyhow::Result;

use crate::{paths, step};

/// The time that everything in a package has: that of the commit, or what `SOURCE_DATE_EPOCH` says.
pub(super) struct Time {
    /// Unix seconds.
    pub(super) seconds: String,
    /// As in a mail.
    pub(super) mail: String,
}

impl Time {
    pub(super) fn of_commit() -> Result<Self> {
        let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(seconds) => seconds,
            Err(_unset) => {
                let mut log = Command::new("git");
                log.args(["log", "-1", "--format=%ct"]).current_dir(paths::root());
                step::capture(&mut log)?.trim().to_owned()
            }
        };
        let mut date = Command::new("date");
        date.args(["--utc", "--rfc-email"]).arg(format!("--date=@{seconds}")).env("LC_ALL", "C");
        let mail = step::capture(&mut date)?.trim().to_owned();
        Ok(Self { seconds, mail })
    }
}
