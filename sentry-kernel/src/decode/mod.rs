//! Bytes from the rings → [`Record`]. Total: any bytes give a record or an error. Only the length
//! is trusted.

use sentry_common::{
    abi::{RecordHeader, SCHEMA_VERSION},
    fact::Kind,
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

mod raw;

pub use raw::Raw;

/// A record of a known kind.
pub enum Record<'a> {
    Fork(&'a ForkRecord),
    Exec(&'a ExecRecord),
    Exit(&'a ExitRecord),
    Seed(&'a ExecRecord),
    StartedOutside(&'a ExecRecord),
    CgroupMove(&'a CgroupRecord),
    CgroupMake(&'a CgroupRecord),
    CgroupRemove(&'a CgroupRecord),
    Completeness(&'a CompletenessRecord),
    Connect(&'a NetworkRecord),
    Send(&'a NetworkRecord),
    Open(&'a FileRecord),
    Unlink(&'a NameRecord),
    Rename(&'a NameRecord),
    ExecFailed(&'a NameRecord),
    /// Any other act on a file object.
    File(FileAct, &'a FileRecord),
    /// The same where only the path argument is known.
    FileArgument(FileAct, &'a FileArgumentRecord),
    /// Any other act on a name.
    Name(FileAct, &'a NameRecord),
    Socket(SocketAct, &'a NetworkRecord),
    /// A connection; or, `true`, a datagram.
    Unix(bool, &'a UnixRecord),
    Payload(&'a PayloadRecord),
    Target(TargetAct, &'a TargetRecord),
    Kernel(KernelAct, &'a KernelRecord),
    /// The same where only the arguments are known.
    KernelArgument(KernelAct, &'a KernelArgumentRecord),
}

/// Why bytes are not a record. Keeps the header if it could be read, so that the loss counts for
/// its run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("record of {length} bytes is shorter than a header")]
    NoHeader { length: usize },
    #[error("record has schema {found}, this sensor reads {SCHEMA_VERSION}")]
    Schema { found: u16 },
    #[error("record kind {kind} is unknown")]
    Kind { kind: u16 },
    #[error("record of kind {kind} came through ring {ring}, which is not its ring")]
    Ring { kind: u16, ring: u32 },
    #[error("record of kind {kind} has {length} bytes, not {expected}")]
    Length { kind: u16, length: usize, expected: usize },
}

/// Reads the header alone.
///
/// # Errors
/// When the bytes have no header of this schema.
pub fn header(bytes: &[u8]) -> Result<RecordHeader, DecodeError> {
    let (header, _) = RecordHeader::read_from_prefix(bytes)
        .map_err(|_too_short| DecodeError::NoHeader { length: bytes.len() })?;
    if header.schema != SCHEMA_VERSION {
        return Err(DecodeError::Schema { found: header.schema });
    }
    Ok(header)
}

/// Reads a record whose header is read.
fn behind<'a>(header: &RecordHeader, bytes: &'a [u8]) -> Result<Record<'a>, DecodeError> {
    let number = header.kind;
    let kind = Kind::of(number).ok_or(DecodeError::Kind { kind: number })?;
    if header.ring as usize != kind.ring() {
        return Err(DecodeError::Ring { kind: number, ring: header.ring });
    }
    of_kind(kind, number, bytes)
}

/// One row of the table of facts: the variant and the struct by which a kind is decoded. Where
/// there are two structs, the length decides.
macro_rules! decoded {
    ($number:ident, $bytes:ident, File($act:ident) $record:ident) => {
        Record::File(FileAct::$act, body::<$record>($number, $bytes)?)
    };
    ($number:ident, $bytes:ident, File($act:ident) $record:ident or $other:ident) => {
        match body::<$other>($number, $bytes) {
            Ok(record) => Record::FileArgument(FileAct::$act, record),
            Err(_not_its_length) => decoded!($number, $bytes, File($act) $record),
        }
    };
    ($number:ident, $bytes:ident, Kernel($act:ident) $record:ident) => {
        Record::Kernel(KernelAct::$act, body::<$record>($number, $bytes)?)
    };
    ($number:ident, $bytes:ident, Kernel($act:ident) $record:ident or $other:ident) => {
        match body::<$other>($number, $bytes) {
            Ok(record) => Record::KernelArgument(KernelAct::$act, record),
            Err(_not_its_length) => decoded!($number, $bytes, Kernel($act) $record),
        }
    };
    ($number:ident, $bytes:ident, Name($act:ident) $record:ident) => {
        Record::Name(FileAct::$act, body::<$record>($number, $bytes)?)
    };
    ($number:ident, $bytes:ident, Socket($act:ident) $record:ident) => {
        Record::Socket(SocketAct::$act, body::<$record>($number, $bytes)?)
    };
    ($number:ident, $bytes:ident, Target($act:ident) $record:ident) => {
        Record::Target(TargetAct::$act, body::<$record>($number, $bytes)?)
    };
    ($number:ident, $bytes:ident, Unix(Connect) $record:ident) => {
        Record::Unix(false, body::<$record>($number, $bytes)?)
    };
    ($number:ident, $bytes:ident, Unix(Send) $record:ident) => {
        Record::Unix(true, body::<$record>($number, $bytes)?)
    };
    ($number:ident, $bytes:ident, $variant:ident $record:ident) => {
        Record::$variant(body::<$record>($number, $bytes)?)
    };
}

macro_rules! decoder {
    (
        facts { $($fact:ident = $name:literal {
            $($(#[$doc:meta])* $const:ident = $n:literal $kind:ident: $ring:ident,
              $decoded:ident $(($act:ident))? $record:ident $(or $other:ident)?;)*
        })+ }
        own {
            $($(#[$own_doc:meta])* $own_const:ident = $own_n:literal $own_kind:ident: $own_ring:ident,
              $own_decoded:ident $own_record:ident;)+
        }
    ) => {
        fn of_kind(kind: Kind, number: u16, bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
            Ok(match kind {
                $($(Kind::$kind => decoded!(number, bytes, $decoded $(($act))? $record $(or $other)?),)*)+
                $(Kind::$own_kind => decoded!(number, bytes, $own_decoded $own_record),)+
            })
        }
    };
}
sentry_common::facts!(decoder);

/// The ring rounds a record up to eight bytes, so up to seven may follow it. `bytes` are aligned as
/// [`Raw`] keeps them.
fn body<T: FromBytes + KnownLayout + Immutable>(kind: u16, bytes: &[u8]) -> Result<&T, DecodeError> {
    let expected = size_of::<T>();
    match T::ref_from_prefix(bytes) {
        Ok((record, rest)) if rest.len() < 8 => Ok(record),
        _ => Err(DecodeError::Length { kind, length: bytes.len(), expected }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;
    use sentry_common::kind;
    use zerocopy::IntoBytes as _;

    use super::*;

    fn read<T>(bytes: &[u8], then: impl Fn(Record<'_>) -> T) -> Result<T, DecodeError> {
        Raw::read(bytes)?.decode().map(then)
    }

    fn a_header(kind: u16) -> RecordHeader {
        RecordHeader {
            schema: SCHEMA_VERSION,
            kind,
            ring: Kind::of(kind).map_or(0, Kind::ring).try_into().unwrap(),
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
        let of_exit = |record: Record<'_>| match record {
            Record::Exit(read) => read.as_bytes().to_vec(),
            _ => Vec::new(),
        };
        assert_eq!(read(exit.as_bytes(), of_exit).unwrap(), exit.as_bytes());
    }

    #[test]
    fn another_schema_is_refused() {
        let mut header = a_header(kind::EXIT);
        header.schema = 9;
        let exit = ExitRecord { header, status: 0, reserved: 0 };
        assert_eq!(read(exit.as_bytes(), |_| ()).err(), Some(DecodeError::Schema { found: 9 }));
    }

    #[test]
    fn a_record_from_another_ring_is_refused() {
        let header = RecordHeader { ring: 1, ..a_header(kind::EXIT) };
        let exit = ExitRecord { header, status: 0, reserved: 0 };
        assert_eq!(
            read(exit.as_bytes(), |_| ()).err(),
            Some(DecodeError::Ring { kind: kind::EXIT, ring: 1 })
        );
    }

    #[test]
    fn a_short_or_long_record_is_refused() {
        let exit = ExitRecord { header: a_header(kind::EXIT), status: 0, reserved: 0 };
        let bytes = exit.as_bytes();
        let length = bytes.len();
        assert_eq!(
            read(&bytes[..length - 1], |_| ()).err(),
            Some(DecodeError::Length { kind: kind::EXIT, length: length - 1, expected: length })
        );
        let mut long = bytes.to_vec();
        long.extend([0; 8]);
        assert!(read(&long, |_| ()).is_err());
    }

    #[test]
    fn a_change_is_told_by_its_file_or_by_an_argument() {
        let bytes = |length: usize| {
            let mut bytes = a_header(kind::CHANGE_MODE).as_bytes().to_vec();
            bytes.resize(length, 0);
            bytes
        };
        let by_file = |record: Record<'_>| matches!(record, Record::File(FileAct::ChangeMode, _));
        assert_eq!(read(&bytes(size_of::<FileRecord>()), by_file), Ok(true));
        let by_argument = |record: Record<'_>| matches!(record, Record::FileArgument(FileAct::ChangeMode, _));
        assert_eq!(read(&bytes(size_of::<FileArgumentRecord>()), by_argument), Ok(true));
        assert!(read(&bytes(size_of::<FileArgumentRecord>() - 8), |_| ()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
            let _result = read(&bytes, |_| ()).is_ok();
        }

        #[test]
        fn any_body_behind_a_good_header_is_a_record_or_an_error(
            kind in 0u16..200,
            body in proptest::collection::vec(any::<u8>(), 0..6000),
        ) {
            let mut bytes = a_header(kind).as_bytes().to_vec();
            bytes.extend(body);
            let _result = read(&bytes, |_| ()).is_ok();
        }
    }
}
