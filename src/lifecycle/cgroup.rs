//! The cgroup of a container: who makes it, and where it is once there is a record.

use std::path::Path as FilePath;

use nix::errno::Errno;

use super::container::Container;
use super::{CgroupManager, Global};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::kernel::cgroup::systemd::{Keeper, NewUnit, Order, Realm, Systemd};
use crate::kernel::cgroup::{Directory, Home, Path, cgroupfs};
use crate::launch::join::Entry;
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

/// How a further process comes into the container's cgroup, or one `below` it.
pub(super) fn entry<'r>(record: &'r Record, below: Option<&'r FilePath>) -> Entry<'r> {
    match (record.cgroup_path(), record.systemd_unit.as_str()) {
        (None, _) => Entry::Inherited,
        (_, "") => Entry::Direct,
        (_, unit) => {
            let below = below.unwrap_or(FilePath::new(""));
            Entry::Kept(Keeper { unit, realm: realm_of(record), below })
        }
    }
}

/// Makes the cgroup; or has everything ready for systemd to make it.
pub(super) fn home<'p>(plan: &'p Plan, host: &Host, systemd: Option<Systemd>) -> Result<Home<'p>> {
    let (mount, limits) = (&host.cgroup_mount, &plan.limits);
    match (systemd, &plan.unit) {
        (Some(systemd), Some(unit)) => {
            let order = Order { unit, limits, devices: &plan.device_filter };
            NewUnit::plan(systemd, order, plan.cgroup.directory(mount)).map(Home::Unit)
        }
        _ => match cgroupfs::create(mount, &plan.cgroup, &host.controllers, limits) {
            Err(error) if may_stay_in_ours(plan, host, &error) => {
                Directory::open(host.own_cgroup_directory()).map(Home::Ours)
            }
            made => made.map(Home::Ready),
        },
    }
}

/// A user to whom no cgroup was delegated has containers all the same, as with runc: where no place and no limit was
/// asked for, they stay in the cgroup that we are in.
fn may_stay_in_ours(plan: &Plan, host: &Host, error: &Error) -> bool {
    let nothing_asked =
        plan.limits.0.is_empty() && plan.cgroup == Path::beside(&host.own_cgroup, &plan.id);
    let not_allowed = matches!(error.errno(), Some(Errno::EACCES | Errno::EPERM | Errno::EROFS));
    host.is_rootless() && nothing_asked && not_allowed
}

/// The cgroup that a further process of the container joins; ours, which it is born in, where the container has none.
pub(super) fn to_join(container: &Container) -> Result<Directory> {
    match container.record.cgroup_path() {
        Some(_) => open(container),
        None => Directory::open(Host::probe()?.own_cgroup_directory()),
    }
}

/// Opens the container's cgroup.
pub(super) fn open(container: &Container) -> Result<Directory> {
    let Some(path) = container.record.cgroup_path() else {
        return Err(Error::new("the container has no cgroup of its own")
            .hint("whoever made it may make none: see Delegate= of systemd"));
    };
    Directory::open(path).map_err(|error| match error.errno() {
        Some(Errno::ENOENT) => error.context("cgroup not exist"),
        _ => error,
    })
}
