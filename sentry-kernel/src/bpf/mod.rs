//! The programs: what this kernel can do, loading, attaching, and typed access to the shared
//! tables.

mod error;

pub mod objects;

mod typed;

mod offset_cache;

pub mod offsets;

pub mod facts;

pub mod hooks;

mod prototypes;

mod lsm;

pub mod load;

mod attach;

pub mod capability;

pub mod costs;

pub mod programs;

mod fdinfo;

mod detached;

mod skipped;

mod row;

pub mod tables;

pub mod selected;

pub use capability::{Capabilities, doctor};
pub use costs::{Costs, costs};
pub use error::LoadError;
pub use load::RingSizes;
pub use programs::{Links, Programs};
pub use selected::Rows;
pub use skipped::skipped;
