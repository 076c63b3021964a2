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
    /// It is the one that we are in ourselves: nobody may make another.
    Ours(Directory),
}

impl Home<'_> {
    /// The cgroup, where a process can be born in it.
    pub fn birthplace(&self) -> Option<&Directory> {
        match self {
            Home::Ready(cgroup) => Some(cgroup.directory()),
            Home::Unit(_) | Home::Ours(_) => None,
        }
    }

    /// Moves the first process in, which was born elsewhere.
    pub fn take_in(&mut self, pid: i32) -> Result<()> {
        match self {
            Home::Ready(cgroup) => cgroup.directory().add_process(pid),
            Home::Unit(unit) => unit.start(pid),
            Home::Ours(_) => Ok(()),
        }
    }

    /// Whether it is the container's alone, and so can be limited, frozen and removed with it.
    pub fn is_the_containers(&self) -> bool {
        !matches!(self, Home::Ours(_))
    }

    /// The cgroup of the first process, which is in it.
    pub fn directory(&self) -> &Directory {
        match self {
            Home::Ready(cgroup) => cgroup.directory(),
            Home::Unit(unit) => unit.directory().expect("made when its first process was taken in"),
            Home::Ours(directory) => directory,
        }
    }

    /// Keeps it.
    pub fn commit(self) -> Directory {
        match self {
            Home::Ready(cgroup) => cgroup.commit(),
            Home::Unit(unit) => unit.commit().expect("made when its first process was taken in"),
            Home::Ours(directory) => directory,
        }
    }
}
