//! Which container and which pod a cgroup belongs to, and what they are called.
//!
//! ```text
//! cgroup path ─▶ place (pure) ─▶ the engine's own files ─▶ the kubelet ─▶ facts
//! rung:          path            files                    kubelet
//! ```
//!
//! Each rung needs more than the one before, and [`Facts::rung`] states the highest that answered:
//!
//! - **path** needs nothing. It gives the engine, the container's id and the pod's uid.
//! - **files** needs the engine's state directory, read-only ([`Roots`]); no socket and no client
//!   of an engine. Engines write these files before the container's first process starts. It gives
//!   the names of container, image and pod, and labels where the engine keeps them in a file.
//! - **kubelet** needs the kubelet's Pods API or its port. It gives labels, annotations and service
//!   account of pods.
//!
//! All of it is data of others. Reads are bounded, ids are checked before they become part of a
//! path, and what cannot be read leaves the facts of the rung below.
//!
//! Not looked into: Podman's database, which alone holds labels given to `podman run --label` (what
//! `--annotation` gave is found); storage of users without privileges; engines within a container.

mod docker;

mod facts;

pub mod kubelet;

mod names;

mod oci;

mod path;

mod pods;

mod roots;

mod sandbox;

mod storage;

mod bundle;

pub use facts::{Facts, Pod, Rung};
pub use names::look_up;
pub use path::{Engine, ID_LIMIT, Place, place};
pub use pods::{Container, Described, Pods};
pub use roots::{Engines, Roots, Sources};
pub use sandbox::Sandbox;
