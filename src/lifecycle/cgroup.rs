//! The cgroup of a container: who makes it, and where it is once there is a record.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::container::Container;
use super::{CgroupManager, Global, Rootless};
use crate::error::{Error, Result};
use crate::host::{Host, UserNamespace};
use crate::kernel::cgroup::systemd::{self, Keeper, NewUnit, Order, Realm, Systemd};
use crate::kernel::cgroup::{Directory, Home, cgroupfs, devices, limits, move_below};
use crate::kernel::signals::Signals;
use crate::plan::{CgroupMaker, Necessity, Plan};
use crate::record::Record;

/// Who makes a container's cgroup.
#[derive(Debug)]
pub(super) enum Maker {
    /// We do, by directories and files.
    Ourselves,
    /// systemd does.
    Systemd(Systemd),
    /// Nobody does.
    Nobody,
}

impl Maker {
    /// Whom the global flags name.
    pub fn of(global: &Global, host: &Host, interrupts: &Signals) -> Result<Maker> {
        match global.cgroup_manager {
            CgroupManager::Cgroupfs => Ok(Maker::Ourselves),
            CgroupManager::Disabled => Ok(Maker::Nobody),
            CgroupManager::Systemd => {
                let interrupts = Some(interrupts.clone());
                Systemd::connect(realm(global, host), interrupts).map(Maker::Systemd)
            }
        }
    }

    /// What a plan has to know of it.
    pub fn for_plan(&self) -> CgroupMaker<'_> {
        match self {
            Maker::Ourselves => CgroupMaker::Ourselves,
            Maker::Systemd(systemd) => {
                CgroupMaker::Systemd { root: systemd.root(), realm: systemd.realm() }
            }
            Maker::Nobody => CgroupMaker::Nobody,
        }
    }

    /// Whether the container is not root's, for the record: with systemd, whether the unit is a user's.
    pub fn is_rootless(&self, host: &Host) -> bool {
        match self {
            Maker::Systemd(systemd) => systemd.realm() == Realm::User,
            Maker::Ourselves | Maker::Nobody => host.lacks_rights(),
        }
    }
}

/// Whose systemd makes units, as runc has it. Root of a user namespace may be root of a whole system, as in a container of
/// LXC, or a user who became it only to have more ids: whose systemd answers there tells.
fn realm(global: &Global, host: &Host) -> Realm {
    let rootless = match (global.rootless, host.user_namespace) {
        (Rootless::Yes, _) => true,
        (Rootless::No, _) => false,
        (Rootless::Auto, UserNamespace::Nested) if !host.is_rootless() => {
            !systemd::is_ours_to_ask()
        }
        (Rootless::Auto, _) => host.is_rootless(),
    };
    if rootless { Realm::User } else { Realm::System }
}

/// The systemd that made the container's unit.
pub(super) fn systemd_of(record: &Record) -> Result<Systemd> {
    Systemd::connect(realm_of(record), None)
}

fn realm_of(record: &Record) -> Realm {
    if record.rootless { Realm::User } else { Realm::System }
}

/// The unit that keeps the container's cgroup, which a process is to join, or one `below` it; none where we made it.
pub(super) fn keeper<'r>(
    record: &'r Record,
    below: Option<&Path>,
    interrupts: &Signals,
) -> Option<Keeper<'r>> {
    let unit = record.systemd_unit.as_str();
    let in_unit = in_unit(record.cgroup_path()?, unit)?;
    let below = below.unwrap_or(Path::new(""));
    let below = in_unit.join(below.strip_prefix("/").unwrap_or(below));
    let interrupts = Some(interrupts.clone());
    Some(Keeper { unit, realm: realm_of(record), below, interrupts })
}

/// Where the cgroup is below its unit's own: the annotation `run.oci.systemd.subgroup` may say so.
fn in_unit(cgroup: &Path, unit: &str) -> Option<PathBuf> {
    cgroup.strip_prefix(of_unit(cgroup, unit)?).ok().map(Path::to_owned)
}

/// The unit's own cgroup.
pub(super) fn of_unit<'c>(cgroup: &'c Path, unit: &str) -> Option<&'c Path> {
    cgroup.ancestors().find(|above| above.file_name().is_some_and(|name| name == unit))
}

/// Makes the cgroup; or has everything ready for systemd to make it.
pub(super) fn home<'p>(
    global: &Global,
    plan: &'p Plan,
    host: &Host,
    maker: Maker,
) -> Result<Home<'p>> {
    let (mount, limits) = (&host.cgroup_mount, &plan.limits);
    match (maker, &plan.unit, &plan.cgroup) {
        (Maker::Systemd(systemd), Some(unit), Some(path)) => {
            let order = Order { unit, limits, devices: &plan.device_filter };
            NewUnit::plan(systemd, order, path.directory(mount)).map(Home::Unit)
        }
        (Maker::Ourselves, _, Some(path)) => {
            match cgroupfs::create(mount, path, &host.controllers, limits) {
                Err(error) if may_be_missing(global, plan, host, &error) => Ok(Home::Nowhere),
                made => made.map(Home::Ready),
            }
        }
        _ => Ok(Home::Nowhere),
    }
}

/// As runc has it: without rights over cgroups a container goes without, unless its configuration asks for one.
fn may_be_missing(global: &Global, plan: &Plan, host: &Host, error: &Error) -> bool {
    let rootless = match global.rootless {
        Rootless::Yes => true,
        Rootless::No => false,
        Rootless::Auto => host.lacks_rights(),
    };
    let no_right = matches!(error.errno(), Some(Errno::EACCES | Errno::EPERM | Errno::EROFS));
    rootless && no_right && plan.cgroup_necessity == Necessity::Dispensable
}

/// Writes down where the cgroup is not: nobody may look for it there later.
pub(super) fn note(home: &Home<'_>, record: &mut Record) {
    if matches!(home, Home::Nowhere) {
        record.cgroup_paths.clear();
    }
}

/// Sets up the cgroup that is there, before the program runs in it.
pub(super) fn settle(home: &Home<'_>, plan: &Plan) -> Result<()> {
    let Some(cgroup) = home.directory() else {
        devices::warn_unfiltered(&plan.device_filter);
        return Ok(());
    };
    limits::apply(cgroup, &plan.limits)?;
    devices::attach(cgroup, &plan.device_filter)?;
    match plan.cgroup_owner {
        Some(owner) => cgroup.delegate(owner),
        None => Ok(()),
    }
}

/// Moves the container's process down into the cgroup that it is delegated (`run.oci.delegate-cgroup`).
pub(super) fn delegate(home: &Home<'_>, plan: &Plan, process: i32) -> Result<()> {
    match (home.directory(), &plan.delegated_cgroup) {
        (Some(cgroup), Some(name)) => move_below(cgroup, name, process, plan.cgroup_owner),
        _ => Ok(()),
    }
}

/// Opens the container's cgroup.
pub(super) fn open(container: &Container) -> Result<Directory> {
    let Some(path) = container.record.cgroup_path() else {
        return Err(Error::new("the container has no cgroup of its own").hint(
            "it was made with --cgroup-manager=disabled, or without the rights that a cgroup takes",
        ));
    };
    Directory::open(path).map_err(|error| match error.errno() {
        Some(Errno::ENOENT) => error.context("cgroup not exist"),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subgroup_is_below_its_unit() {
        let cgroup = Path::new("/sys/fs/cgroup/system.slice/a.scope/container");
        assert_eq!(in_unit(cgroup, "a.scope"), Some("container".into()));
        assert_eq!(in_unit(cgroup, "container"), Some("".into()));
        assert_eq!(in_unit(cgroup, "b.scope"), None);
        assert_eq!(in_unit(cgroup, ""), None);
    }
}
