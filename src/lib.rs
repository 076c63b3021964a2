//! etui: a low-level OCI container runtime.
//!
//! The crate is a library with a thin binary. Parsing, planning, records, state and statistics serve other programs
//! in-process; the birth of a container always happens in a fresh, single-threaded `etui` process.
//! The floors of the house, lowest first: `sys`, `error`, `warning`, `timeline`; `kernel`, `hooks`; `spec`, `host`, `plan`;
//! `record`, `launch`; `lifecycle`; `cli`. A module imports only from lower floors. See `docs/architecture.md`.

pub mod cli;
pub mod error;
pub mod hooks;
pub mod host;
pub mod kernel;
pub mod launch;
pub mod lifecycle;
pub mod plan;
pub mod record;
pub mod spec;
pub mod sys;
pub mod timeline;
pub mod warning;
