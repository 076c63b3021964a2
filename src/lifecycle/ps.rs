//! The verb `ps`.

use super::container::Container;
use super::{Global, cgroup};
use crate::error::Result;
use crate::kernel::cgroup::processes;
use crate::spec::state::Status;

/// The ids of the container's processes, sorted, as the caller sees them. A stopped container may still have some: what
/// init left behind where it had no pid namespace of its own.
pub fn processes(global: &Global, id: &str) -> Result<Vec<i32>> {
    let container = Container::load(global, id)?;
    match cgroup::open(&container) {
        Err(_) if container.status()? == Status::Stopped => Ok(Vec::new()),
        cgroup => processes::processes(&cgroup?),
    }
}
