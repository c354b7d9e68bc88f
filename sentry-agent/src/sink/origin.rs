//! The origin of items.

use sentry_proto::v1;

/// The members of each line that describe the host.
#[derive(Clone, Debug)]
pub struct Origin {
    pub sensor: String,
    pub version: String,
    pub host: String,
    pub boot_id: String,
}

impl Origin {
    /// The sensor's own id, as in its hello.
    #[must_use]
    pub fn of(hello: &v1::Hello) -> Self {
        Self {
            sensor: hello.sensor.clone(),
            version: hello.version.clone(),
            host: hello.host.clone(),
            boot_id: hello.boot_id.clone(),
        }
    }
}
