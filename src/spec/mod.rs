//! `config.json` and the state as types, with the field names of the runtime-spec 1.3.0. Knows nothing of this host.
//!
//! The types accept every document the specification allows: unknown properties are ignored (config.md,
//! "Extensibility"), and names that a newer kernel or specification may extend (capabilities, seccomp actions, mount
//! options, scheduler flags) stay strings here; `plan` judges them.

pub mod bundle;
pub mod config;
pub mod hooks;
pub mod linux;
pub mod mounts;
mod objects;
pub mod process;
pub mod resources;
pub mod seccomp;
pub mod state;

pub use config::{Root, Spec};
pub use hooks::{Hook, Hooks};
pub use linux::Linux;
pub use mounts::Mount;
pub use process::Process;
pub use resources::Resources;
pub use seccomp::Seccomp;
