//! The cgroup of a container that is being made: ready before its first process, made by systemd around it, or none
//! of its own.

use super::systemd::NewUnit;
use super::{Directory, NewCgroup};
use crate::error::Result;

/// A cgroup that is undone unless it is committed.
#[derive(Debug)]
#[must_use = "dropping it removes the cgroup"]
pub enum Home<'a> {
    /// It is there.
    Ready(NewCgroup),
    /// It comes with its first process.
    Unit(NewUnit<'a>),
    /// There is none: the container stays in its caller's.
    Nowhere,
}

impl Home<'_> {
    /// The cgroup, where a process can be born in it.
    pub fn birthplace(&self) -> Option<&Directory> {
        match self {
            Home::Ready(cgroup) => Some(cgroup.directory()),
            Home::Unit(_) | Home::Nowhere => None,
        }
    }

    /// Moves the first process in, which was born elsewhere.
    pub fn take_in(&mut self, pid: i32) -> Result<()> {
        match self {
            Home::Ready(cgroup) => cgroup.directory().add_process(pid),
            Home::Unit(unit) => unit.start(pid),
            Home::Nowhere => Ok(()),
        }
    }

    /// The cgroup of the first process, which is in it; none where the container has none of its own.
    pub fn directory(&self) -> Option<&Directory> {
        match self {
            Home::Ready(cgroup) => Some(cgroup.directory()),
            Home::Unit(unit) => unit.directory(),
            Home::Nowhere => None,
        }
    }

    /// Keeps it.
    pub fn commit(self) -> Option<Directory> {
        match self {
            Home::Ready(cgroup) => Some(cgroup.commit()),
            Home::Unit(unit) => unit.commit(),
            Home::Nowhere => None,
        }
    }
}
