//! A bind mount, made detached: a copy of a part of the host's tree, with its own attributes.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use super::{Bind, Locks, MountAttr, Reach, SourceLink};
use super::{clone_host_link, clone_host_path, id_mapped, set_attr};
use crate::error::{Call, Error, Result};
use crate::sys::statvfs;

/// What a user namespace can't clear on a mount that it has from another, as statvfs(3) and mount_setattr(2) have it.
const LOCKABLE: &[(&str, u64, u64)] = &[
    ("MS_RDONLY", libc::ST_RDONLY, libc::MOUNT_ATTR_RDONLY),
    ("MS_NOSUID", libc::ST_NOSUID, libc::MOUNT_ATTR_NOSUID),
    ("MS_NODEV", libc::ST_NODEV, libc::MOUNT_ATTR_NODEV),
    ("MS_NOEXEC", libc::ST_NOEXEC, libc::MOUNT_ATTR_NOEXEC),
];

/// What it can't change at all.
const ACCESS_TIME: u64 = libc::MOUNT_ATTR__ATIME | libc::MOUNT_ATTR_NODIRATIME;

/// The copy, not yet attached anywhere; `cleared_below` will be cleared on it and on every mount below.
pub(super) fn detached(bind: &Bind, cleared_below: u64, locks: Locks) -> Result<OwnedFd> {
    let copy = match bind.source_link {
        SourceLink::Bound => clone_host_link(&bind.source, bind.reach)?,
        SourceLink::Followed | SourceLink::Copied => clone_host_path(&bind.source, bind.reach)?,
    };
    if let Some(id_map) = &bind.id_map {
        id_mapped::apply(copy.as_fd(), id_map)?;
    }
    if bind.attr.is_empty() && cleared_below == 0 {
        return Ok(copy);
    }
    match locks {
        Locks::OfUserNamespace => {
            set_attr(copy.as_fd(), unlocked(&copy, bind, cleared_below)?, Reach::One)?;
        }
        Locks::OfKernel => match set_attr(copy.as_fd(), bind.attr, Reach::One) {
            Err(error) if error.errno() == Some(Errno::EPERM) => {
                set_attr(copy.as_fd(), unlocked(&copy, bind, cleared_below)?, Reach::One)?;
            }
            other => other?,
        },
    }
    Ok(copy)
}

/// What `bind` asks for, but for the locked attributes of its source, which stay (mount_namespaces(7)). Whoever asks by name
/// for one of them to go is refused.
fn unlocked(copy: &OwnedFd, bind: &Bind, cleared_below: u64) -> Result<MountAttr> {
    let source = statvfs::mount_flags(copy.as_fd()).call(|| "fstatvfs")?;
    let locked = LOCKABLE.iter().filter(|(_, flag, _)| source & flag != 0);
    let by_name = bind.cleared_by_name | cleared_below;
    let refused: Vec<_> =
        locked.clone().filter(|(.., attr)| by_name & attr != 0).map(|(name, ..)| *name).collect();
    if !refused.is_empty() {
        return Err(Error::refused(format!(
            "cannot clear locked flags {}: the mount of the source has them, and in a user namespace they stay",
            refused.join("|")
        )));
    }
    let named = (bind.attr.set | bind.attr.clear) & ACCESS_TIME;
    if (bind.attr.set ^ access_time(source)) & named != 0 {
        return Err(Error::refused(
            "cannot change the locked access time flags: in a user namespace those of the source's mount stay",
        ));
    }
    let locked = locked.fold(0, |all, (.., attr)| all | attr);
    Ok(MountAttr { clear: bind.attr.clear & !locked, ..bind.attr })
}

fn access_time(statvfs_flags: u64) -> u64 {
    let nodiratime = match statvfs_flags & libc::ST_NODIRATIME {
        0 => 0,
        _ => libc::MOUNT_ATTR_NODIRATIME,
    };
    nodiratime
        | match statvfs_flags & (libc::ST_NOATIME | statvfs::ST_RELATIME) {
            0 => libc::MOUNT_ATTR_STRICTATIME,
            statvfs::ST_RELATIME => libc::MOUNT_ATTR_RELATIME,
            _ => libc::MOUNT_ATTR_NOATIME,
        }
}
