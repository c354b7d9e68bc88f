//! Bytes from the rings → [`Record`]. Total: any bytes give a record or an error, nothing is trusted but the length.

use sentry_common::{
    abi::{RecordHeader, SCHEMA_VERSION},
    kind,
    record::{
        cgroup::{CgroupRecord, CompletenessRecord},
        file::{FileArgumentRecord, FileRecord, NameRecord},
        network::{NetworkRecord, PayloadRecord, UnixRecord},
        other::{KernelArgumentRecord, KernelRecord, TargetRecord},
        process::{ExecRecord, ExitRecord, ForkRecord},
    },
};
use sentry_detect::act::{FileAct, KernelAct, SocketAct, TargetAct};
use zerocopy::{FromBytes, Immutable, KnownLayout};

pub mod text;

/// A record of a known kind.
pub enum Record {
    Fork(Box<ForkRecord>),
    Exec(Box<ExecRecord>),
    Exit(Box<ExitRecord>),
    Seed(Box<ExecRecord>),
    StartedOutside(Box<ExecRecord>),
    CgroupMove(Box<CgroupRecord>),
    CgroupMake(Box<CgroupRecord>),
    CgroupRemove(Box<CgroupRecord>),
    Completeness(Box<CompletenessRecord>),
    Connect(Box<NetworkRecord>),
    Send(Box<NetworkRecord>),
    Open(Box<FileRecord>),
    Unlink(Box<NameRecord>),
    Rename(Box<NameRecord>),
    ExecFailed(Box<NameRecord>),
    /// Any other act on a file object.
    File(FileAct, Box<FileRecord>),
    /// The same where only the path argument is known.
    FileArgument(FileAct, Box<FileArgumentRecord>),
    /// Any other act on a name.
    Name(FileAct, Box<NameRecord>),
    Socket(SocketAct, Box<NetworkRecord>),
    /// A connection; or, `true`, a datagram.
    Unix(bool, Box<UnixRecord>),
    Payload(Box<PayloadRecord>),
    Target(TargetAct, Box<TargetRecord>),
    Kernel(KernelAct, Box<KernelRecord>),
    /// The same where only the arguments are known.
    KernelArgument(KernelAct, Box<KernelArgumentRecord>),
}

/// Why bytes are no record. The header is kept where it could be read, so that the loss can be booked to its run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("record of {length} bytes is shorter than a header")]
    NoHeader { length: usize },
    #[error("record has schema {found}, this sensor reads {SCHEMA_VERSION}")]
    Schema { found: u16 },
    #[error("record kind {kind} is unknown")]
    Kind { kind: u16 },
    #[error("record of kind {kind} has {length} bytes, not {expected}")]
    Length { kind: u16, length: usize, expected: usize },
}

/// Reads the header alone.
///
/// # Errors
/// When there is none of this schema.
pub fn header(bytes: &[u8]) -> Result<RecordHeader, DecodeError> {
    let (header, _) = RecordHeader::read_from_prefix(bytes)
        .map_err(|_too_short| DecodeError::NoHeader { length: bytes.len() })?;
    if header.schema != SCHEMA_VERSION {
        return Err(DecodeError::Schema { found: header.schema });
    }
    Ok(header)
}

/// Reads a whole record.
///
/// # Errors
/// See [`DecodeError`].
pub fn record(bytes: &[u8]) -> Result<Record, DecodeError> {
    let kind = header(bytes)?.kind;
    Ok(match kind {
        kind::FORK => Record::Fork(body(kind, bytes)?),
        kind::EXEC => Record::Exec(body(kind, bytes)?),
        kind::EXIT => Record::Exit(body(kind, bytes)?),
        kind::SEED => Record::Seed(body(kind, bytes)?),
        kind::CGROUP_MOVE => Record::CgroupMove(body(kind, bytes)?),
        kind::CGROUP_MAKE => Record::CgroupMake(body(kind, bytes)?),
        kind::CGROUP_REMOVE => Record::CgroupRemove(body(kind, bytes)?),
        kind::COMPLETENESS => Record::Completeness(body(kind, bytes)?),
        kind::CONNECT => Record::Connect(body(kind, bytes)?),
        kind::SEND => Record::Send(body(kind, bytes)?),
        kind::OPEN => Record::Open(body(kind, bytes)?),
        kind::UNLINK => Record::Unlink(body(kind, bytes)?),
        kind::RENAME => Record::Rename(body(kind, bytes)?),
        kind::EXEC_FAILED => Record::ExecFailed(body(kind, bytes)?),
        kind::TRUNCATE => file(FileAct::Truncate, kind, bytes)?,
        kind::CHANGE_MODE => file(FileAct::ChangeMode, kind, bytes)?,
        kind::CHANGE_OWNER => file(FileAct::ChangeOwner, kind, bytes)?,
        kind::MAP_WRITE => Record::File(FileAct::MapWrite, body(kind, bytes)?),
        kind::MAP_EXECUTE => Record::File(FileAct::MapExecute, body(kind, bytes)?),
        kind::PROTECT_EXECUTE => Record::File(FileAct::ProtectExecute, body(kind, bytes)?),
        kind::COPY => Record::File(FileAct::Copy, body(kind, bytes)?),
        kind::ALLOCATE => Record::File(FileAct::Allocate, body(kind, bytes)?),
        kind::CLOSE_WRITTEN => Record::File(FileAct::CloseWritten, body(kind, bytes)?),
        kind::FILE_RECEIVED => Record::File(FileAct::Receive, body(kind, bytes)?),
        kind::LINK => Record::Name(FileAct::Link, body(kind, bytes)?),
        kind::SYMLINK => Record::Name(FileAct::Symlink, body(kind, bytes)?),
        kind::MAKE_DIRECTORY => Record::Name(FileAct::MakeDirectory, body(kind, bytes)?),
        kind::MAKE_NODE => Record::Name(FileAct::MakeNode, body(kind, bytes)?),
        kind::XATTR_SET => Record::Name(FileAct::SetAttribute, body(kind, bytes)?),
        kind::XATTR_REMOVE => Record::Name(FileAct::RemoveAttribute, body(kind, bytes)?),
        kind::SOCKET => Record::Socket(SocketAct::Create, body(kind, bytes)?),
        kind::CONNECTED => Record::Socket(SocketAct::Connected, body(kind, bytes)?),
        kind::BIND => Record::Socket(SocketAct::Bind, body(kind, bytes)?),
        kind::LISTEN => Record::Socket(SocketAct::Listen, body(kind, bytes)?),
        kind::ACCEPT => Record::Socket(SocketAct::Accept, body(kind, bytes)?),
        kind::SOCKET_RECEIVED => Record::Socket(SocketAct::Receive, body(kind, bytes)?),
        kind::UNIX_CONNECT => Record::Unix(false, body(kind, bytes)?),
        kind::UNIX_SEND => Record::Unix(true, body(kind, bytes)?),
        kind::PAYLOAD => Record::Payload(body(kind, bytes)?),
        kind::SIGNAL => Record::Target(TargetAct::Signal, body(kind, bytes)?),
        kind::TRACE => Record::Target(TargetAct::Trace, body(kind, bytes)?),
        kind::PROCESS_ACCESS => Record::Target(TargetAct::Access, body(kind, bytes)?),
        kind::STARTED_OUTSIDE => Record::StartedOutside(body(kind, bytes)?),
        kind::CREDENTIALS => Record::Kernel(KernelAct::Credentials, body(kind, bytes)?),
        kind::NAMESPACES => Record::Kernel(KernelAct::Namespaces, body(kind, bytes)?),
        kind::BPF => Record::Kernel(KernelAct::Bpf, body(kind, bytes)?),
        kind::PERF_OPEN => Record::Kernel(KernelAct::PerfOpen, body(kind, bytes)?),
        kind::MODULE => Record::Kernel(KernelAct::Module, body(kind, bytes)?),
        kind::MOUNT => kernel(KernelAct::Mount, kind, bytes)?,
        kind::UNMOUNT => kernel(KernelAct::Unmount, kind, bytes)?,
        kind::CHANGE_ROOT => kernel(KernelAct::ChangeRoot, kind, bytes)?,
        kind::WATCH => kernel(KernelAct::Watch, kind, bytes)?,
        kind::IO_RING => Record::Kernel(KernelAct::IoRing, body(kind, bytes)?),
        kind::IO_OPERATION => Record::Kernel(KernelAct::IoOperation, body(kind, bytes)?),
        _ => return Err(DecodeError::Kind { kind }),
    })
}

/// By its length: the file itself, or the argument that named it.
fn file(act: FileAct, kind: u16, bytes: &[u8]) -> Result<Record, DecodeError> {
    if let Ok(record) = body(kind, bytes) {
        return Ok(Record::FileArgument(act, record));
    }
    Ok(Record::File(act, body(kind, bytes)?))
}

fn kernel(act: KernelAct, kind: u16, bytes: &[u8]) -> Result<Record, DecodeError> {
    if let Ok(record) = body(kind, bytes) {
        return Ok(Record::KernelArgument(act, record));
    }
    Ok(Record::Kernel(act, body(kind, bytes)?))
}

/// The ring rounds a record up to eight bytes, so up to seven may follow it.
fn body<T: FromBytes + KnownLayout + Immutable>(kind: u16, bytes: &[u8]) -> Result<Box<T>, DecodeError> {
    let expected = size_of::<T>();
    match T::read_from_prefix(bytes) {
        Ok((record, rest)) if rest.len() < 8 => Ok(Box::new(record)),
        _ => Err(DecodeError::Length { kind, length: bytes.len(), expected }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;
    use zerocopy::IntoBytes as _;

    use super::*;

    fn a_header(kind: u16) -> RecordHeader {
        RecordHeader {
            schema: SCHEMA_VERSION,
            kind,
            ring: 0,
            run_slot: 1,
            run_generation: 2,
            sequence: 3,
            time_boot_ns: 4,
            tgid: 5,
            tid: 6,
            start_boot_ns: 7,
        }
    }

    #[test]
    fn an_exit_is_read_whole() {
        let exit = ExitRecord { header: a_header(kind::EXIT), status: 256, reserved: 0 };
        let read = match record(exit.as_bytes()).unwrap() {
            Record::Exit(read) => Some(read),
            _ => None,
        };
        assert_eq!(read.unwrap().as_bytes(), exit.as_bytes());
    }

    #[test]
    fn another_schema_is_refused() {
        let mut header = a_header(kind::EXIT);
        header.schema = 9;
        let exit = ExitRecord { header, status: 0, reserved: 0 };
        assert_eq!(record(exit.as_bytes()).err(), Some(DecodeError::Schema { found: 9 }));
    }

    #[test]
    fn a_short_or_long_record_is_refused() {
        let exit = ExitRecord { header: a_header(kind::EXIT), status: 0, reserved: 0 };
        let bytes = exit.as_bytes();
        let length = bytes.len();
        assert_eq!(
            record(&bytes[..length - 1]).err(),
            Some(DecodeError::Length { kind: kind::EXIT, length: length - 1, expected: length })
        );
        let mut long = bytes.to_vec();
        long.extend([0; 8]);
        assert!(record(&long).is_err());
    }

    #[test]
    fn a_change_is_told_by_its_file_or_by_an_argument() {
        let bytes = |length: usize| {
            let mut bytes = a_header(kind::CHANGE_MODE).as_bytes().to_vec();
            bytes.resize(length, 0);
            bytes
        };
        let by_file = record(&bytes(size_of::<FileRecord>())).unwrap();
        assert!(matches!(by_file, Record::File(FileAct::ChangeMode, _)));
        let by_argument = record(&bytes(size_of::<FileArgumentRecord>())).unwrap();
        assert!(matches!(by_argument, Record::FileArgument(FileAct::ChangeMode, _)));
        assert!(record(&bytes(size_of::<FileArgumentRecord>() - 8)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
            let _result = record(&bytes).is_ok();
        }

        #[test]
        fn any_body_behind_a_good_header_is_a_record_or_an_error(
            kind in 0u16..200,
            body in proptest::collection::vec(any::<u8>(), 0..6000),
        ) {
            let mut bytes = a_header(kind).as_bytes().to_vec();
            bytes.extend(body);
            let _result = record(&bytes).is_ok();
        }
    }
}
