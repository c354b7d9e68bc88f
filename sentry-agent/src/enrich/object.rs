//! Files and addresses out of records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sentry_common::{
    record::{
        file::{FROM_ARGUMENT, NameRecord},
        network::NetworkRecord,
        process::FileKey as RawFileKey,
    },
    table::FlowKey,
};
use sentry_detect::event::{Endpoint, File, FileKey, Path, PathSource};
use sentry_kernel::decode::text;

pub(super) fn endpoint(record: &NetworkRecord) -> Endpoint {
    address(record.family, record.address, record.port, record.protocol)
}

/// The other side of a flow.
pub fn of_flow(key: &FlowKey) -> Endpoint {
    address(key.family, key.address, key.port, key.protocol)
}

pub(super) fn address(family: u16, bytes: [u8; 16], port: u16, protocol: u16) -> Endpoint {
    const AF_INET: u16 = 2;
    let address = if family == AF_INET {
        let [a, b, c, d, ..] = bytes;
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        // An IPv4-mapped destination is the IPv4 one.
        IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
    };
    Endpoint { address, port, protocol }
}

pub(super) fn named_file(record: &NameRecord) -> File {
    if record.source == FROM_ARGUMENT {
        File { path: text::argument(&record.path, &record.argument), key: file_key(&record.file) }
    } else {
        File { path: text::path(&record.path).unwrap_or_else(no_path), key: file_key(&record.file) }
    }
}

/// The kernel could not be asked for the path.
pub(super) fn no_path() -> Path {
    Path { text: String::new(), source: PathSource::Kernel, truncated: true }
}

pub(super) fn file_key(key: &RawFileKey) -> Option<FileKey> {
    (key.inode != 0).then_some(FileKey {
        device_major: key.device >> 20,
        device_minor: key.device & 0xf_ffff,
        inode: key.inode,
        generation: key.generation,
        links: key.links,
        mode: key.mode,
    })
}
