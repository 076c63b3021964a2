//! One file per kernel noun. Takes plain values, never JSON; the types a plan is made of live here, with the mechanism
//! that carries them out. Knows nothing of containers as a whole.

pub mod accounts;
pub mod capabilities;
pub mod cgroup;
pub mod credentials;
pub mod criu;
pub mod devices;
pub mod fds;
pub mod id_maps;
pub mod keyring;
pub mod limits;
pub mod lsm;
pub mod masks;
pub mod mountinfo;
pub mod mounts;
pub mod namespaces;
pub mod net_devices;
pub mod no_new_privs;
pub mod own_binary;
pub mod process;
pub mod procfs;
pub mod rdt;
pub mod relay;
pub mod rootfs;
pub mod safe_path;
pub mod scheduling;
pub mod seccomp;
pub mod signals;
pub mod streams;
pub mod sysctl;
pub mod terminal;
