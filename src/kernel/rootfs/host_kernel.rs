//! The host's procfs and sysfs, which chroot(2) leaves in the mount namespace.
//!
//! Where one that shows everything is in a mount namespace, the kernel lets a user namespace made there mount another one
//! (`mount_too_revealing` of fs/namespace.c): a container would get around what is masked in its own.

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;

use crate::error::{Call, Context, Result};
use crate::kernel::mountinfo;
use crate::kernel::procfs::Procfs;
use crate::sys::statx;

/// Takes them away, but for those in the tree below `root`, the container's.
pub(super) fn hide(procfs: &Procfs, root: BorrowedFd<'_>) -> Result<()> {
    let own = statx::mount_id(root).call(|| "statx(root)")?;
    let mountinfo = procfs.read_to_string("thread-self/mountinfo")?;
    // Those on others first: with one that is taken away, what is on it is gone too.
    for mount in revealing(&mountinfo, own).into_iter().rev() {
        let Mount { path, .. } = &mount.itself;
        hide_one(&mount).with_context(|| format!("hide the host's {}", path.display()))?;
    }
    Ok(())
}

fn hide_one(Revealing { itself, above }: &Revealing) -> Result<()> {
    // What is covered by another one is not found by its path, and shows nothing.
    if !itself.is_on_top()? {
        return Ok(());
    }
    let path = &itself.path;
    // What is unmounted here, with all that is mounted below it, must stay mounted on the host.
    no_longer_told(path, MsFlags::MS_REC)?;
    if !above.is_on_top()? {
        return cover(path);
    }
    no_longer_told(&above.path, MsFlags::empty())?;
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        // Locked: the namespace belongs to a user namespace, and the mount to another one.
        Err(Errno::EINVAL | Errno::EPERM) => cover(path),
        other => other.call(|| format!("umount2({path:?}, MNT_DETACH)")),
    }
}

/// Has the host hear no more of what happens to the mount at `path`.
fn no_longer_told(path: &Path, reach: MsFlags) -> Result<()> {
    let none = None::<&str>;
    mount(none, path, none, MsFlags::MS_SLAVE | reach, none)
        .call(|| format!("mount({path:?}, MS_SLAVE)"))
}

fn cover(path: &Path) -> Result<()> {
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_RDONLY, None::<&str>)
        .call(|| format!("mount(tmpfs, {path:?})"))
}

/// A mount of this namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    id: u64,
    path: PathBuf,
}

impl Mount {
    /// Whether its path leads to it, and not to another one that is mounted over it.
    fn is_on_top(&self) -> Result<bool> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match open(&self.path, flags, Mode::empty()) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
            opened => {
                let found = opened.call(|| format!("open({:?}, O_PATH)", self.path))?;
                let id = statx::mount_id(&found).call(|| format!("statx({:?})", self.path))?;
                Ok(id == self.id)
            }
        }
    }
}

/// A mount that shows everything, and the one it is on.
#[derive(Debug, PartialEq, Eq)]
struct Revealing {
    itself: Mount,
    above: Mount,
}

/// Those in `mountinfo` (proc_pid_mountinfo(5)) that are not below the mount `own`. A mount is listed after the one it is on.
fn revealing(mountinfo: &str, own: u64) -> Vec<Revealing> {
    let mut in_container = HashSet::from([own]);
    let mut paths = HashMap::new();
    let mut found = Vec::new();
    for mount in mountinfo::Mount::all(mountinfo) {
        let path = mount.point();
        if in_container.contains(&mount.parent) {
            in_container.insert(mount.id);
        } else if mount.root == "/" && matches!(mount.kind, "proc" | "sysfs") {
            let above = paths.get(&mount.parent).cloned().unwrap_or_else(|| PathBuf::from("/"));
            found.push(Revealing {
                itself: Mount { id: mount.id, path: path.clone() },
                above: Mount { id: mount.parent, path: above },
            });
        }
        paths.insert(mount.id, path);
    }
    found
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
        let mount = |id, path: &str| Mount { id, path: path.into() };
        let found = |itself, above| Revealing { itself, above };
        assert_eq!(
            revealing(mountinfo, 30),
            [
                found(mount(21, "/proc"), mount(20, "/")),
                found(mount(23, "/sys"), mount(20, "/")),
                found(mount(26, "/a b/proc"), mount(25, "/a b")),
            ]
        );
    }
}
