//! The cgroup of a container that has a record.

use nix::errno::Errno;

use super::container::Container;
use crate::error::{Error, Result};
use crate::kernel::cgroup::Directory;

/// Opens the container's cgroup.
pub(super) fn open(container: &Container) -> Result<Directory> {
    let Some(path) = container.record.cgroup_path() else {
        return Err(Error::new("the container has no cgroup of its own")
            .hint("it was made without the rights that takes"));
    };
    Directory::open(path).map_err(|error| match error.errno() {
        Some(Errno::ENOENT) => error.context("cgroup not exist"),
        _ => error,
    })
}
