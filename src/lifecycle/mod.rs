//! One file per verb; each reads as a story and knows no other verb (`run` may call create, start, delete).

mod cgroup;
pub mod checkpoint;
pub mod container;
pub mod create;
pub mod delete;
pub mod events;
pub mod exec;
pub mod features;
mod foreground;
mod hooks_outside;
pub mod kill;
pub mod list;
mod notify_socket;
pub mod pause;
mod pid_file;
pub mod ps;
mod rdt;
pub mod restore;
pub mod run;
mod socket_activation;
mod sockets;
pub mod spec;
pub mod start;
pub mod state;
pub mod update;

use std::path::PathBuf;

/// What callers look for where a process could not be made, in runc's words.
const NOT_STARTED: &str = "unable to start container process";

/// What every verb is told by the global flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// Where the records of containers are (`--root`), absolute.
    pub root: PathBuf,
    /// Who makes cgroups (`--systemd-cgroup`).
    pub cgroup_manager: CgroupManager,
    /// Whether missing rights over cgroups are passed over (`--rootless`).
    pub rootless: Rootless,
}

/// Who makes cgroups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupManager {
    /// etui itself, by directories and files.
    #[default]
    Cgroupfs,
    /// systemd, by transient scopes.
    Systemd,
    /// Nobody: containers stay in their caller's.
    Disabled,
}

/// Whether missing rights over cgroups are passed over, where no limit and no path was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rootless {
    /// They are for whoever is not root in the initial user namespace.
    #[default]
    Auto,
    /// They are.
    Yes,
    /// They are not.
    No,
}

/// Whether a verb stays with the process it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Attachment {
    /// It waits, forwards signals, and exits as the process did.
    #[default]
    Foreground,
    /// It returns once the process runs.
    Detached,
}
