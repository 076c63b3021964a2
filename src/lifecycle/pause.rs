//! The verbs `pause` and `resume`.

use super::container::Container;
use super::{Global, cgroup};
use crate::error::{Error, Kind, Result};
use crate::kernel::cgroup::freezer;
use crate::spec::state::Status;

/// Freezes a container's processes; returns once all of them have stopped.
pub fn pause(global: &Global, id: &str) -> Result<()> {
    let container = Container::load(global, id)?;
    match container.status()? {
        Status::Created | Status::Running => freezer::freeze(&cgroup::open(&container)?),
        _ => Err(Error::new("container not running").of_kind(Kind::NotRunning)),
    }
}

/// Lets a paused container's processes run on.
pub fn resume(global: &Global, id: &str) -> Result<()> {
    let container = Container::load(global, id)?;
    match container.status()? {
        Status::Paused => freezer::thaw(&cgroup::open(&container)?),
        _ => Err(Error::new("container not paused")),
    }
}
