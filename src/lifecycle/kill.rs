//! The verb `kill`.

use std::path::Path;

use nix::errno::Errno;

use super::Global;
use super::container::Container;
use crate::error::{Context, Error, Kind, Result};
use crate::kernel::cgroup::{Directory, processes};
use crate::record::Record;

/// What a container that is stopped already means to `kill`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stopped {
    /// It is an error.
    #[default]
    IsAnError,
    /// There is nothing to do (`--all`).
    IsFine,
}

/// Sends `signal` to the container's process.
///
/// `SIGKILL` reaches all of its processes: the kernel ends a pid namespace together with its init
/// (pid_namespaces(7)); a container without one of its own is killed by its cgroup.
pub fn kill(global: &Global, id: &str, signal: i32, stopped: Stopped) -> Result<()> {
    let container = Container::load(global, id)?;
    let reached = match container.record.cgroup_path() {
        // Without an init on record it may be another's.
        Some(cgroup)
            if container.record.init().is_some() && needs_cgroup(&container.record, signal) =>
        {
            kill_cgroup(cgroup)?
        }
        _ => signal_init(&container.record, signal)?,
    };
    match (reached, stopped) {
        (Reached::Someone, _) | (Reached::Nobody, Stopped::IsFine) => Ok(()),
        (Reached::Nobody, Stopped::IsAnError) => {
            Err(Error::new("container not running").of_kind(Kind::NotRunning))
        }
    }
}

fn needs_cgroup(record: &Record, signal: i32) -> bool {
    signal == libc::SIGKILL && !has_own_pid_namespace(record)
}

/// Whether a signal found a process.
enum Reached {
    Someone,
    Nobody,
}

fn signal_init(record: &Record, signal: i32) -> Result<Reached> {
    let Some(init) = record.init() else { return Ok(Reached::Nobody) };
    let Some(pidfd) = init.open()? else { return Ok(Reached::Nobody) };
    match pidfd.send_signal(signal) {
        // It ended after we looked.
        Err(error) if error.errno() == Some(Errno::ESRCH) => Ok(Reached::Nobody),
        sent => sent.context("signal the container's process").map(|()| Reached::Someone),
    }
}

fn kill_cgroup(path: &Path) -> Result<Reached> {
    match Directory::open(path).and_then(|cgroup| processes::kill(&cgroup)) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(Reached::Nobody),
        killed => killed.context("kill the container's processes").map(|()| Reached::Someone),
    }
}

/// A pid namespace joined by its path belongs to another container: its init is not ours.
fn has_own_pid_namespace(record: &Record) -> bool {
    let mut namespaces = record.config.namespaces.iter();
    namespaces.any(|namespace| namespace.kind == "pid" && namespace.path.as_os_str().is_empty())
}
