//! What we remember of a container on disk, and its status from that and a live process.

pub mod status;
pub mod store;
