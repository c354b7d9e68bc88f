//! Where items come from.

use sentry_proto::v1;

/// What stands in each line about the host.
#[derive(Clone, Debug)]
pub struct Origin {
    pub sensor: String,
    pub version: String,
    pub host: String,
    pub boot_id: String,
}

impl Origin {
    /// As the sensor names itself to a collector.
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
