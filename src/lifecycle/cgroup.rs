//! The cgroup of a container: who makes it, and where it is once there is a record.

use std::path::Path;

use nix::errno::Errno;

use super::container::Container;
use super::{CgroupManager, Global};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::kernel::cgroup::systemd::{Keeper, NewUnit, Order, Realm, Systemd};
use crate::kernel::cgroup::{Directory, Home, cgroupfs, devices, limits};
use crate::plan::Plan;
use crate::record::Record;

/// The systemd that makes the cgroup, where it is to (`--systemd-cgroup`).
pub(super) fn systemd(global: &Global, host: &Host) -> Result<Option<Systemd>> {
    match global.cgroup_manager {
        CgroupManager::Cgroupfs => Ok(None),
        CgroupManager::Systemd if host.is_rootless() => Systemd::connect(Realm::User).map(Some),
        CgroupManager::Systemd => Systemd::connect(Realm::System).map(Some),
    }
}

/// The systemd that made the container's unit.
pub(super) fn systemd_of(record: &Record) -> Result<Systemd> {
    Systemd::connect(realm_of(record))
}

fn realm_of(record: &Record) -> Realm {
    if record.rootless { Realm::User } else { Realm::System }
}

/// The unit that keeps the container's cgroup, which a process is to join, or one `below` it; none where we made it.
pub(super) fn keeper<'r>(record: &'r Record, below: Option<&'r Path>) -> Option<Keeper<'r>> {
    let unit = record.systemd_unit.as_str();
    let below = below.unwrap_or(Path::new(""));
    (!unit.is_empty()).then(|| Keeper { unit, realm: realm_of(record), below })
}

/// Makes the cgroup; or has everything ready for systemd to make it.
pub(super) fn home<'p>(plan: &'p Plan, host: &Host, systemd: Option<Systemd>) -> Result<Home<'p>> {
    let (mount, limits) = (&host.cgroup_mount, &plan.limits);
    match (systemd, &plan.unit) {
        (Some(systemd), Some(unit)) => {
            let order = Order { unit, limits, devices: &plan.device_filter };
            NewUnit::plan(systemd, order, plan.cgroup.directory(mount)).map(Home::Unit)
        }
        _ => cgroupfs::create(mount, &plan.cgroup, &host.controllers, limits).map(Home::Ready),
    }
}

/// Gives the cgroup what the plan asks for: its limits, its device filter, its owner.
pub(super) fn furnish(directory: &Directory, plan: &Plan) -> Result<()> {
    limits::apply(directory, &plan.limits)?;
    devices::attach(directory, &plan.device_filter)?;
    match plan.cgroup_owner {
        Some(owner) => directory.delegate(owner),
        None => Ok(()),
    }
}

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
