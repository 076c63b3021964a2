//! The processes of a cgroup and of all below it: counted, killed, waited for.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::events::Waited;
use super::tree::{self, Step};
use super::{Directory, EventsFile, freezer};
use crate::error::{Error, Result};
use crate::sys::pidfd;

/// The ids of every process in the cgroup and in those below it, sorted, as our pid namespace sees them.
pub fn processes(cgroup: &Directory) -> Result<Vec<i32>> {
    listed(cgroup, "cgroup.procs")
}

/// As [`processes`], the ids of every thread.
pub fn threads(cgroup: &Directory) -> Result<Vec<i32>> {
    listed(cgroup, "cgroup.threads")
}

fn listed(cgroup: &Directory, file: &str) -> Result<Vec<i32>> {
    let mut ids = Vec::new();
    tree::walk(cgroup, &mut |step| match step {
        Step::Entered(cgroup) => collect(cgroup, file, &mut ids),
        Step::Left { .. } => Ok(()),
    })?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
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

fn collect(cgroup: &Directory, file: &str, ids: &mut Vec<i32>) -> Result<()> {
    // A threaded cgroup answers EOPNOTSUPP: its processes are listed by the domain above it. 0 stands for a process
    // that our pid namespace doesn't see.
    let listed = cgroup.read_if_there(file)?.unwrap_or_default();
    let here = listed.lines().filter_map(|line| line.parse::<i32>().ok());
    ids.extend(here.filter(|id| *id != 0));
    Ok(())
}

/// How long [`kill`] goes on: a process can be stuck in the kernel, or dump a large core.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// How long processes that were sent the signal have, at first and later, before they are sent it again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Kills every process of the cgroup and below with SIGKILL, also frozen ones and those forked meanwhile
/// (`cgroup.kill`, Linux 5.14).
///
/// A process whose first thread has ended survives that: the kernel sends the signal to this thread alone (seen on
/// Linux 6.18). So whoever is left is sent it as a process; and since such a process may fork before it is found, again, while
/// all of them are frozen. One that does not end of it is not waited for longer than two seconds.
///
/// In a cgroup that is gone meanwhile nobody is left: systemd removes one as soon as it is empty.
pub fn kill(cgroup: &Directory) -> Result<()> {
    let deadline = Instant::now() + KILL_PATIENCE;
    if kill_once(cgroup, FIRST_PAUSE)? == Left::Nobody {
        return Ok(());
    }
    match kill_frozen(cgroup, deadline) {
        Err(error) if is_gone(cgroup, &error) => Ok(()),
        killed => killed,
    }
}

fn kill_frozen(cgroup: &Directory, deadline: Instant) -> Result<()> {
    let was_frozen = freezer::is_frozen(cgroup)?;
    freezer::ask(cgroup)?;
    let mut pause = FIRST_PAUSE;
    let mut left = Ok(Left::Somebody);
    while matches!(left, Ok(Left::Somebody)) && Instant::now() < deadline {
        left = kill_once(cgroup, pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if !was_frozen {
        freezer::thaw(cgroup)?;
    }
    left.map(drop)
}

/// Answers who is left after a `pause`.
fn kill_once(cgroup: &Directory, pause: Duration) -> Result<Left> {
    match cgroup.write("cgroup.kill", "1") {
        Err(error) if is_gone(cgroup, &error) => return Ok(Left::Nobody),
        outcome => outcome?,
    }
    let events = cgroup.read_if_there("cgroup.events")?.unwrap_or_default();
    if !events.contains("populated 1") {
        return Ok(Left::Nobody);
    }
    kill_one_by_one(cgroup)?;
    wait_until_empty(cgroup, Instant::now() + pause)
}

fn is_gone(cgroup: &Directory, error: &Error) -> bool {
    matches!(error.errno(), Some(Errno::ENOENT | Errno::ENODEV)) && !cgroup.path().exists()
}

/// An id that is listed after its descriptor was opened is the id of a member: it has not been reused meanwhile.
fn kill_one_by_one(cgroup: &Directory) -> Result<()> {
    let opened =
        processes(cgroup)?.into_iter().filter_map(|pid| Some((pid, pidfd::open(pid).ok()?)));
    let opened: Vec<_> = opened.collect();
    let members = processes(cgroup)?;
    for (pid, process) in opened {
        if members.binary_search(&pid).is_ok() {
            // It may have ended by now, which is what we want.
            let _ = pidfd::send_signal(process.as_fd(), libc::SIGKILL);
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_cgroup_that_is_gone_nobody_is_left_to_kill() {
        let directory = tempfile::tempdir().unwrap();
        let cgroup = Directory::open(directory.path()).unwrap();
        assert_eq!(kill(&cgroup).unwrap_err().errno(), Some(Errno::ENOENT));
        drop(directory);
        kill(&cgroup).unwrap();
    }
}
