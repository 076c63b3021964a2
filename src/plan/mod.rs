//! What we will do, as plain data: `Plan::new(&Spec, &Host)`, pure. Knows no descriptor, no disk, no clock.

pub mod devices;
pub mod hooks;
pub mod mount_options;
pub mod mounts;
pub mod namespaces;
pub mod process;
pub mod refuse;
pub mod resources;
pub mod rootfs;
pub mod seccomp;
pub mod sysctl;
