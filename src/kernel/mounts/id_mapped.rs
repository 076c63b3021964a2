//! The id maps of a mount: the kernel takes them as a user namespace, so one is made that holds nothing else.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use super::MountIdMap;
use crate::error::{Call, Context, Result};
use crate::kernel::id_maps;
use crate::kernel::procfs::Procfs;
use crate::sys::mount_api::{self, MountAttr};

/// Has the detached `mount` seen through `id_map`.
pub(super) fn apply(mount: BorrowedFd<'_>, id_map: &MountIdMap) -> Result<()> {
    let procfs = Procfs::open()?;
    let user_namespace = id_maps::namespace_with(&procfs, &id_map.uids, &id_map.gids)
        .context("id maps of the mount")?;
    mount_api::mount_setattr(
        mount,
        MountAttr::default(),
        Some(user_namespace.as_fd()),
        id_map.reach,
    )
    .call(|| format!("mount_setattr(MOUNT_ATTR_IDMAP, {:?})", id_map.reach))
    .map_err(|error| match error.errno() {
        Some(Errno::EINVAL) => {
            error.hint("the source's file system does not support id-mapped mounts on this kernel")
        }
        _ => error,
    })
}
