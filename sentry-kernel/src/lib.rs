//! What the sensor reads of the kernel and does in it; everything above is ordinary code.
//!
//! - `beneath`: opens paths that another process may change meanwhile.
//! - `cgroup`: finds, makes, freezes and kills control groups.
//! - `process`: names, holds and signals a process.
//! - `bpf`: loads and attaches the programs, and gives access to the tables they share with us.
//! - `decode`: bytes of a record → a typed record.
//! - `ring`: takes records out of the rings, in the order in which they happened.
//! - `clock`: the time, as a value.
//! - `kernel`: all of this that the sensor asks for, as traits; `real` answers them with the
//!   modules above, `fake` with a machine in memory, for tests.

pub mod beneath;

pub mod cgroup;

pub mod process;

pub mod bpf;

pub mod decode;

pub mod ring;

pub mod clock;

pub mod kernel;

pub mod real;

pub mod fake;
