//! The only `unsafe` code: one system call or ioctl a function, its types, its errno. Knows nothing of what stands above.
//!
//! Calls that `nix` wraps safely are called through `nix` where they are needed; here stands what it lacks.

pub mod bpf;
pub mod capset;
pub mod clone;
pub mod close_range;
pub mod entry;
pub mod exec;
pub mod heap;
pub mod ioctl;
pub mod keyctl;
pub mod mount_api;
pub mod netlink;
pub mod netns;
pub mod pidfd;
pub mod prctl;
pub mod prlimit;
pub mod sched;
pub mod seccomp;
pub mod shared;
pub mod signals;
pub mod socket;
pub mod statvfs;
pub mod statx;
pub mod stdio;
pub mod uts;
pub mod xattr;
