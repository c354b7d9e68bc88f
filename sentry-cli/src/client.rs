//! The connection to the sensor's control socket.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use sentry_proto::v1::control_client::ControlClient;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use super::error::CliError;

/// The control API over the socket.
pub(crate) type Client = ControlClient<Channel>;

/// Larger than any report; the sensor's messages are bounded by its own store.
const MESSAGE_LIMIT_BYTES: usize = 16 << 20;

/// Connects, or says what the person has to do.
pub(crate) async fn connect(socket: &Path) -> Result<Client, CliError> {
    let failure = Arc::new(Mutex::new(None));
    let (path, seen) = (PathBuf::from(socket), Arc::clone(&failure));
    let connector = tower::service_fn(move |_uri: tonic::transport::Uri| {
        let (path, seen) = (path.clone(), Arc::clone(&seen));
        async move {
            match UnixStream::connect(&path).await {
                Ok(stream) => Ok(TokioIo::new(stream)),
                Err(error) => {
                    // tonic hides the cause; its number decides which error the person sees.
                    *seen.lock() = Some(error.kind());
                    Err(error)
                }
            }
        }
    });
    // The address is never resolved; HTTP/2 wants one for its `:authority`.
    let channel = Endpoint::from_static("http://sensor.local").connect_with_connector(connector).await;
    let channel = channel.map_err(|error| {
        let kind = failure.lock().take();
        let socket = PathBuf::from(socket);
        match kind {
            Some(io::ErrorKind::PermissionDenied) => CliError::SocketDenied { socket, user: user() },
            Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => CliError::NoSensor { socket },
            Some(kind) => CliError::Connect { socket, source: kind.into() },
            None => CliError::Connect { socket, source: io::Error::other(error) },
        }
    })?;
    Ok(ControlClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES))
}

/// Runs a command's own asynchronous part on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::System { what: "start the runtime", source })?;
    runtime.block_on(work)
}

/// Name of the person, for a command to copy.
fn user() -> String {
    let uid = nix::unistd::getuid();
    nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| "USER".into(), |user| user.name)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_socket_without_a_sensor_is_told_from_other_failures() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("absent.sock");
        let error = block_on(connect(&absent)).unwrap_err();
        assert!(matches!(error, CliError::NoSensor { .. }), "{error}");
        let dead = dir.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let error = block_on(connect(&dead)).unwrap_err();
        assert!(matches!(error, CliError::NoSensor { .. }), "{error}");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(block_on(connect(&file)).is_err());
    }
}
