//! What every object needs beside its message.

use crate::v1;

/// `metadata.version`: the schema that the output follows.
pub const SCHEMA_VERSION: &str = "1.9.0";

/// Where the events come from; not part of each event on the wire.
#[derive(Clone, Copy, Debug)]
pub struct HostContext<'a> {
    /// Id of the sensor; stands as `device.uid`.
    pub sensor: &'a str,
    /// Version of the sensor.
    pub version: &'a str,
    /// Name of the host.
    pub host: &'a str,
    /// The boot that process keys belong to.
    pub boot_id: &'a str,
    /// The container of the run that the event or finding is of.
    pub container: Option<&'a v1::Container>,
}
