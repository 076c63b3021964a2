//! The verb `run`: create, start, and in the foreground wait and delete.

use super::{Global, create};
use crate::error::{Error, Result};

/// What `run` is told by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// What it shares with `create`.
    pub create: create::Options,
    /// Whether it stays with the process (`--detach`).
    pub attachment: Attachment,
    /// Whether the container is deleted when its process ends (`--keep`).
    pub afterwards: Afterwards,
    /// Whether it adopts the container's orphans (`--no-subreaper`).
    pub orphans: Orphans,
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

/// What becomes of the container when its process ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Afterwards {
    /// It is deleted.
    #[default]
    Delete,
    /// It is kept, stopped.
    Keep,
}

/// Who adopts the container's orphans while `run` waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Orphans {
    /// etui does (prctl(2) `PR_SET_CHILD_SUBREAPER`).
    #[default]
    Adopt,
    /// They go to the next reaper up.
    Leave,
}

/// Creates and starts a container; in the foreground returns its process's exit code (128 plus the signal that killed it).
pub fn run(_global: &Global, _options: &Options) -> Result<i32> {
    Err(Error::new("run is being built"))
}
