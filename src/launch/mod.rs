//! How a container process is born.

pub mod channel;
pub mod init;
pub mod join;
pub mod messages;
pub mod parent;
pub mod start_gate;
