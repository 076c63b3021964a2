//! Facts of this machine, probed once. Knows no container.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::geteuid;

use crate::error::{Call, Context, Error, Result};
use crate::kernel::mountinfo;

/// Where a machine without legacy controllers has its cgroup v2 tree.
const USUAL_MOUNT: &str = "/sys/fs/cgroup";

/// What this machine is and what we may do on it. Plain data: tests of `plan` make one by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Where the cgroup v2 tree is mounted.
    pub cgroup_mount: PathBuf,
    /// Controllers on the cgroup v2 tree (`cgroup.controllers` of its root).
    pub controllers: Vec<String>,
    /// Controllers that cgroup v1 holds, by their names there (`blkio` is v2's `io`).
    pub legacy_controllers: Vec<String>,
    /// Our own cgroup, as an absolute path in the tree.
    pub own_cgroup: PathBuf,
    /// Our effective user id.
    pub effective_uid: u32,
    /// Which user namespace we are in.
    pub user_namespace: UserNamespace,
}

/// Which user namespace we are in (user_namespaces(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserNamespace {
    /// The machine's own.
    #[default]
    Initial,
    /// One made by somebody: root there is not root on the machine.
    Nested,
}

impl Host {
    /// Asks the kernel.
    pub fn probe() -> Result<Self> {
        let cgroup_mount = find_cgroup_mount().context("find the cgroup v2 tree")?;
        let controllers = read(&cgroup_mount.join("cgroup.controllers"))?;
        let membership = Membership::parse(&read(Path::new("/proc/self/cgroup"))?);
        Ok(Host {
            controllers: words(&controllers),
            cgroup_mount,
            legacy_controllers: membership.legacy_controllers,
            own_cgroup: membership.path,
            effective_uid: geteuid().as_raw(),
            user_namespace: parse_uid_map(&read(Path::new("/proc/self/uid_map"))?),
        })
    }

    /// The cgroup v2 directory that process `pid` is in.
    pub fn cgroup_of(&self, pid: i32) -> Result<PathBuf> {
        let membership = Membership::parse(&read(Path::new(&format!("/proc/{pid}/cgroup")))?);
        Ok(self.directory_of(&membership.path))
    }

    /// The cgroup v2 directory that we are in.
    pub fn own_cgroup_directory(&self) -> PathBuf {
        self.directory_of(&self.own_cgroup)
    }

    fn directory_of(&self, cgroup: &Path) -> PathBuf {
        self.cgroup_mount.join(cgroup.strip_prefix("/").unwrap_or(cgroup))
    }

    /// Whether we are not root, neither on the machine nor in a user namespace.
    pub fn is_rootless(&self) -> bool {
        self.effective_uid != 0
    }

    /// Whether we are not the machine's root: then much of what fails for want of rights is to be expected.
    pub fn lacks_rights(&self) -> bool {
        self.is_rootless() || self.user_namespace == UserNamespace::Nested
    }

    /// Whether the cgroup v2 tree has this controller.
    pub fn has_controller(&self, name: &str) -> bool {
        self.controllers.iter().any(|controller| controller == name)
    }

    /// Whether cgroup v1 holds this controller, so that the v2 tree can't have it.
    pub fn has_legacy_controller(&self, name: &str) -> bool {
        let legacy = if name == "io" { "blkio" } else { name };
        self.legacy_controllers.iter().any(|controller| controller == legacy)
    }
}

/// One statfs(2) where cgroup v2 has the usual place to itself; the mount table only where it has not.
fn find_cgroup_mount() -> Result<PathBuf> {
    if statfs(USUAL_MOUNT).is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC) {
        return Ok(PathBuf::from(USUAL_MOUNT));
    }
    mountinfo::point_of("cgroup2", &mountinfo::read()?).ok_or_else(|| {
        Error::new("no cgroup2 file system is mounted").hint(
            "mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd.unified_cgroup_hierarchy=1",
        )
    })
}

/// What /proc/self/cgroup says (cgroups(7)): lines of `hierarchy:controllers:path`, cgroup v2 as `0::path`.
#[derive(Debug, PartialEq, Eq)]
struct Membership {
    path: PathBuf,
    legacy_controllers: Vec<String>,
}

impl Membership {
    fn parse(text: &str) -> Self {
        let mut membership =
            Membership { path: PathBuf::from("/"), legacy_controllers: Vec::new() };
        for line in text.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            match (fields.next(), fields.next()) {
                (Some(""), Some(path)) => membership.path = PathBuf::from(path),
                (Some(names), _) => {
                    let controllers = names.split(',').filter(|name| !name.starts_with("name="));
                    membership.legacy_controllers.extend(controllers.map(str::to_owned));
                }
                (None, _) => {}
            }
        }
        membership
    }
}

/// Only the initial user namespace maps every id to itself (user_namespaces(7)).
fn parse_uid_map(text: &str) -> UserNamespace {
    if text.split_whitespace().eq(["0", "0", "4294967295"]) {
        UserNamespace::Initial
    } else {
        UserNamespace::Nested
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).call(|| format!("read({path:?})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_cgroup_and_what_cgroup_v1_holds() {
        let text = "12:name=systemd:/x\n4:cpu,cpuacct:/\n3:blkio:/\n0::/user.slice/a:b.scope\n";
        let membership = Membership::parse(text);
        assert_eq!(membership.path, PathBuf::from("/user.slice/a:b.scope"));
        assert_eq!(membership.legacy_controllers, ["cpu", "cpuacct", "blkio"]);
        let host = Host { legacy_controllers: membership.legacy_controllers, ..Host::default() };
        assert!(host.has_legacy_controller("io"));
        assert!(!host.has_legacy_controller("memory"));
    }

    #[test]
    fn tells_the_initial_user_namespace_from_others() {
        assert_eq!(parse_uid_map("         0          0 4294967295\n"), UserNamespace::Initial);
        assert_eq!(parse_uid_map("         0       1000          1\n"), UserNamespace::Nested);
        assert_eq!(
            parse_uid_map("         0          0          5\n        10 10 7\n"),
            UserNamespace::Nested
        );
    }

    #[test]
    fn probes_this_machine() {
        let host = Host::probe().unwrap();
        assert!(host.cgroup_mount.join("cgroup.procs").exists());
        assert!(host.own_cgroup.is_absolute());
    }
}
