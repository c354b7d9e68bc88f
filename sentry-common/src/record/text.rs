//! Variable text inside fixed records: a length, flags and a byte buffer. Bytes past the length are
//! undefined.

/// Most bytes of a path that a record carries, NUL separators included.
pub const PATH_CAPACITY: usize = 1024;
/// Room behind [`PATH_CAPACITY`] for the last component read (NAME_MAX + NUL).
pub const PATH_SLACK: usize = 256;
/// Most bytes of an argument vector that a record carries. A power of two.
pub const ARGV_CAPACITY: usize = 2048;
/// Most bytes of a path argument as the syscall was given it. A power of two.
pub const ARGUMENT_CAPACITY: usize = 512;

/// The text was longer than the room for it.
pub const TRUNCATED: u32 = 1;
/// The memory could not be read; the text is empty or cut.
pub const UNREADABLE: u32 = 2;
/// The walk ended at a dentry that hangs on no mount of this namespace (unlinked mount, memfd,
/// pipe).
pub const DETACHED: u32 = 4;

/// A path as the kernel resolved it: components from the leaf to the root, each ended by NUL.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct PathText {
    /// Bytes used.
    pub length: u32,
    pub flags: u32,
    pub bytes: [u8; PATH_CAPACITY + PATH_SLACK],
}
const _: () = assert!(size_of::<PathText>() == 1288);

/// An argument vector as it lies in the new program's memory: arguments, each ended by NUL.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct ArgvText {
    /// Bytes used.
    pub length: u32,
    pub flags: u32,
    /// Bytes that the whole vector has.
    pub full_length: u64,
    pub bytes: [u8; ARGV_CAPACITY],
}
const _: () = assert!(size_of::<ArgvText>() == 2064);

/// A path argument of a syscall, as user memory held it when the call returned.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct ArgumentText {
    /// Bytes used, without the NUL.
    pub length: u32,
    pub flags: u32,
    pub bytes: [u8; ARGUMENT_CAPACITY],
}
const _: () = assert!(size_of::<ArgumentText>() == 520);
