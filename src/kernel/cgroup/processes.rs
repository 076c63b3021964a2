//! The processes of a cgroup and of all below it: counted, killed, waited for.

use std::time::Instant;

use nix::dir::Type;
use nix::errno::Errno;

use super::events::Waited;
use super::{Directory, EventsFile};
use crate::error::{Error, Result};

/// The ids of every process in the cgroup and in those below it, sorted, as our pid namespace sees them.
pub fn processes(cgroup: &Directory) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    collect(cgroup, &mut pids)?;
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

/// Errs when there is a process in the cgroup or below.
pub(super) fn must_be_none(cgroup: &Directory) -> Result<()> {
    match processes(cgroup)?.len() {
        0 => Ok(()),
        found => {
            Err(Error::new(format!("container's cgroup is not empty: {found} process(es) found")))
        }
    }
}

fn collect(cgroup: &Directory, pids: &mut Vec<i32>) -> Result<()> {
    // A threaded cgroup answers EOPNOTSUPP: its processes are listed by the domain above it. 0 stands for a process
    // that our pid namespace doesn't see.
    let listed = cgroup.read_if_there("cgroup.procs")?.unwrap_or_default();
    let here = listed.lines().filter_map(|line| line.parse::<i32>().ok());
    pids.extend(here.filter(|pid| *pid != 0));
    for name in children(cgroup)? {
        match Directory::open(cgroup.path().join(name)) {
            Err(error) if error.errno() == Some(Errno::ENOENT) => {}
            child => collect(&child?, pids)?,
        }
    }
    Ok(())
}

/// The names of the cgroups directly below.
pub(super) fn children(cgroup: &Directory) -> Result<Vec<String>> {
    let entries = cgroup.entries()?.into_iter();
    Ok(entries.filter(|(_, kind)| *kind == Type::Directory).map(|(name, _)| name).collect())
}

/// Kills every process of the cgroup and below with SIGKILL, also frozen ones and those forked meanwhile
/// (`cgroup.kill`, Linux 5.14).
pub fn kill(cgroup: &Directory) -> Result<()> {
    cgroup.write("cgroup.kill", "1")
}

/// What was left when a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// No process, here or below.
    Nobody,
    /// Some process still, at the deadline.
    Somebody,
}

/// Waits until neither the cgroup nor one below it has a process, at most until the deadline. A zombie counts until its
/// parent has waited for it.
pub fn wait_until_empty(cgroup: &Directory, deadline: Instant) -> Result<Left> {
    let events = match EventsFile::open(cgroup, "cgroup.events") {
        Err(error) if error.errno() == Some(Errno::ENOENT) => return Ok(Left::Nobody),
        events => events?,
    };
    match events.wait_until("populated", 0, deadline)? {
        Waited::Reached => Ok(Left::Nobody),
        Waited::TimedOut => Ok(Left::Somebody),
    }
}
