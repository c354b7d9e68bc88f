//! Notifications for the service manager, as `sd_notify(3)` describes them.

use std::time::Duration;

use sd_notify::NotifyState;

/// How long a start or stop may still take, each time that it asks for more time.
const EXTENSION: Duration = Duration::from_secs(30);

/// The service works; `status` is what `systemctl status` shows.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is read again from now on; [`ready`] ends it.
pub fn reloading() {
    // systemd 253 and newer need the time, with `Type=notify-reload`.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot notify the service manager"),
    }
}

/// The service drains and then ends.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// What `systemctl status` shows.
pub fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// The start goes on and needs more time: 30 s from now.
pub fn extend() {
    let usec = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
    send(&[NotifyState::ExtendTimeoutUsec(usec)]);
}

pub(crate) fn alive() {
    send(&[NotifyState::Watchdog]);
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
