//! The acts of `workload_scene`: each does one thing, by the system call that it is named for.
//!
//! - `open`: ways to a file. `names`: links, renames, removals. `change`: content, metadata,
//!   mappings.
//! - `exec`, `image`: ways to a program. `tree`, `number`: processes and control groups. `memory`:
//!   mappings.
//! - `place`: surroundings for the acts that follow. `stand_in`: calls that somebody rewrites.
//! - `inet`, `unix`: sockets. `payload`: DNS and TLS. `ring`: `io_uring`. `kernel`: everything
//!   else.

mod change;
mod exec;
mod image;
mod inet;
mod kernel;
mod memory;
mod names;
mod number;
mod open;
mod payload;
mod place;
mod raw;
mod ring;
mod stand_in;
mod tree;
mod unix;
mod words;

pub use words::Words;
use words::{Act, Table};

const FAMILIES: [Table; 15] = [
    change::ACTS,
    exec::ACTS,
    image::ACTS,
    inet::ACTS,
    kernel::ACTS,
    memory::ACTS,
    names::ACTS,
    number::ACTS,
    open::ACTS,
    payload::ACTS,
    place::ACTS,
    ring::ACTS,
    stand_in::ACTS,
    tree::ACTS,
    unix::ACTS,
];

/// The act of that name.
#[must_use]
pub fn act(name: &str) -> Option<Act> {
    FAMILIES.iter().copied().flatten().find(|(own, _)| *own == name).map(|(_, act)| *act)
}
