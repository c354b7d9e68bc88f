//! Making the control socket.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use nix::unistd::Group;
use tokio::net::{UnixListener, UnixStream};

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error(
        "another sensor is listening on {path}; stop it, or give --socket another path",
        path = path.display()
    )]
    Taken { path: PathBuf },
    #[error("cannot {what} {path}", path = path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Binds the socket: mode 0660, owned by root and `group`. A group that does not exist leaves it to
/// root alone, with a warning. A socket file that nobody listens on is replaced.
///
/// # Errors
/// When the directory or socket cannot be made, or another sensor listens on it.
pub async fn bind(path: &Path, group: Option<&str>) -> Result<UnixListener, SocketError> {
    let fail = |what| move |source| SocketError::Io { what, path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(fail("make the directory of socket"))?;
    }
    if path.exists() {
        if UnixStream::connect(path).await.is_ok() {
            return Err(SocketError::Taken { path: path.to_owned() });
        }
        fs::remove_file(path).map_err(fail("remove the stale socket"))?;
    }
    let listener = UnixListener::bind(path).map_err(fail("bind socket"))?;
    let gid = group.and_then(|name| match Group::from_name(name) {
        Ok(Some(group)) => Some(group.gid.as_raw()),
        Ok(None) | Err(_) => {
            tracing::warn!(group = name, "no such group; only root may use the control socket");
            None
        }
    });
    // Ownership before permission: the group must not be another one for a moment.
    chown(path, Some(0), Some(gid.unwrap_or(0))).or_else(ignore_if_not_root).map_err(fail("own socket"))?;
    let mode = if gid.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fail("set the mode of socket"))?;
    Ok(listener)
}

/// A sensor with capabilities instead of root owns its socket as it is.
fn ignore_if_not_root(error: io::Error) -> io::Result<()> {
    if nix::unistd::geteuid().is_root() { Err(error) } else { Ok(()) }
}
