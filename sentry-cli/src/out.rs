//! Writing answers: colours only where a terminal shows them and NO_COLOR is not set.

use std::io::{self, Write as _};

use super::error::CliError;

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|source| CliError::Output { source })
}

/// Writes a note or a report to standard error. A failure is ignored: there is nowhere to report
/// it.
pub(crate) fn note(text: &str) {
    let mut err = anstream::stderr().lock();
    drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
}

/// The text without colours, for a file.
pub(crate) fn plain(text: &str) -> Result<String, io::Error> {
    let mut stripped = anstream::StripStream::new(Vec::new());
    stripped.write_all(text.as_bytes())?;
    String::from_utf8(stripped.into_inner())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Columns of the terminal that shows standard error or output; 80 where there is none.
pub(crate) fn width() -> usize {
    const DEFAULT: usize = 80;
    let size = rustix::termios::tcgetwinsize(io::stderr())
        .or_else(|_error| rustix::termios::tcgetwinsize(io::stdout()));
    size.map_or(DEFAULT, |size| usize::from(size.ws_col).clamp(60, 160))
}
