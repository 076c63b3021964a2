//! The host's procfs and sysfs, which chroot(2) leaves in the mount namespace.
//!
//! Where one that shows everything is in a mount namespace, the kernel lets a user namespace made there mount another one
//! (`mount_too_revealing` of fs/namespace.c): a container would get around what is masked in its own.

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::error::{Call, Context, Result};
use crate::kernel::procfs::Procfs;
use crate::sys::statx;

/// Takes them away, but for those in the tree below `root`, the container's.
pub(super) fn hide(procfs: &Procfs, root: BorrowedFd<'_>) -> Result<()> {
    let own = statx::mount_id(root).call(|| "statx(root)")?;
    let mountinfo = procfs.read_to_string("thread-self/mountinfo")?;
    for Revealing { path, above } in revealing(&mountinfo, own) {
        hide_one(&path, &above).with_context(|| format!("hide the host's {}", path.display()))?;
    }
    Ok(())
}

fn hide_one(path: &Path, above: &Path) -> Result<()> {
    let none = None::<&str>;
    // What is unmounted here must stay mounted on the host.
    match mount(none, above, none, MsFlags::MS_SLAVE, none) {
        // It was below another one, and is gone with it.
        Err(Errno::ENOENT | Errno::EINVAL) if !path.exists() => return Ok(()),
        other => other.call(|| format!("mount({above:?}, MS_SLAVE)"))?,
    }
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(()),
        // Locked: the namespace belongs to a user namespace, and the mount to another one.
        Err(Errno::EINVAL | Errno::EPERM) => {
            mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_RDONLY, none)
                .call(|| format!("mount(tmpfs, {path:?})"))
        }
        other => other.call(|| format!("umount2({path:?}, MNT_DETACH)")),
    }
}

/// A mount that shows everything, and the one it is on.
#[derive(Debug, PartialEq, Eq)]
struct Revealing {
    path: PathBuf,
    above: PathBuf,
}

/// Those in `mountinfo` (proc_pid_mountinfo(5)) that are not below the mount `own`. A mount is listed after the one it is on.
fn revealing(mountinfo: &str, own: u64) -> Vec<Revealing> {
    let mut in_container = HashSet::from([own]);
    let mut paths = HashMap::new();
    let mut found = Vec::new();
    for line in mountinfo.lines() {
        let Some(mount) = Line::parse(line) else { continue };
        let path = PathBuf::from(unescape(mount.path));
        if in_container.contains(&mount.parent) {
            in_container.insert(mount.id);
        } else if mount.root == "/" && matches!(mount.kind, "proc" | "sysfs") {
            let above = paths.get(&mount.parent).cloned().unwrap_or_else(|| PathBuf::from("/"));
            found.push(Revealing { path: path.clone(), above });
        }
        paths.insert(mount.id, path);
    }
    found
}

struct Line<'a> {
    id: u64,
    parent: u64,
    root: &'a str,
    path: &'a str,
    kind: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ');
        Some(Line {
            id: fields.next()?.parse().ok()?,
            parent: fields.next()?.parse().ok()?,
            root: fields.nth(1)?,
            path: fields.next()?,
            kind: file_system.split(' ').next()?,
        })
    }
}

/// mountinfo writes space, tab, line feed and backslash as three octal digits.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_are_told_from_the_containers() {
        let mountinfo = "20 1 8:1 / / rw - ext4 /dev/a rw\n\
            21 20 0:5 / /proc rw shared:1 - proc proc rw\n\
            22 21 0:6 / /proc/sys/fs/binfmt_misc rw - binfmt_misc none rw\n\
            23 20 0:7 / /sys rw - sysfs sysfs rw\n\
            24 20 0:5 /sys /elsewhere rw - proc proc rw\n\
            25 20 0:8 / /a\\040b rw - tmpfs none rw\n\
            26 25 0:5 / /a\\040b/proc rw - proc proc rw\n\
            30 20 8:1 /c /c rw - ext4 /dev/a rw\n\
            31 30 0:9 / /c/proc rw - proc proc rw\n\
            32 31 0:7 / /c/proc/x rw - sysfs sysfs rw\n";
        let found = |path: &str, above: &str| Revealing { path: path.into(), above: above.into() };
        assert_eq!(
            revealing(mountinfo, 30),
            [found("/proc", "/"), found("/sys", "/"), found("/a b/proc", "/a b")]
        );
    }
}
