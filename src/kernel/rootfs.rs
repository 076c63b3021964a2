//! The root file system: the mount namespace prepared, the root put in place, entered, sealed.

mod host_kernel;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;
use nix::unistd::{chroot, fchdir, pivot_root};

use super::mounts::{Propagation, Tree};
use super::procfs::Procfs;
use crate::error::{Call, Context, Result};
use crate::sys::mount_api::{self, MountAttr, Reach};
use crate::sys::statx;

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// On the host, absolute.
    pub path: std::path::PathBuf,
    /// What the mount namespace starts with, so that no event travels where it should not.
    pub initial_propagation: Propagation,
    /// What the root mount is given at the end, where asked for.
    pub final_propagation: Option<Propagation>,
    /// Whether the container can write to it.
    pub access: Access,
    /// How the root is changed.
    pub switch: Switch,
    /// What the mount namespace holds first.
    pub beginning: Beginning,
}

/// What a new mount namespace holds first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Beginning {
    /// A copy of the host's tree, which is let go of when the root is entered.
    #[default]
    HostsTree,
    /// The root's tree alone, where the kernel can make such a namespace: nothing of the host's is copied, and there is no
    /// root to change.
    RootAlone,
}

/// Whether the container can write to its root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// It can.
    #[default]
    Writable,
    /// It can't.
    Readonly,
}

/// How the root is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Switch {
    /// pivot_root(2).
    #[default]
    Pivot,
    /// `MS_MOVE` and chroot(2), for a host whose root is a ramdisk, which can't be pivoted away from.
    MoveAndChroot,
}

/// A detached copy of the root's tree, made where the host's paths can be read.
pub fn detached(rootfs: &Rootfs) -> Result<OwnedFd> {
    let path = &rootfs.path;
    let fd = open_directory(path).context("root.path")?;
    mount_api::clone_tree(fd.as_fd(), c"", Reach::Recursive)
        .call(|| format!("open_tree({path:?}, OPEN_TREE_CLONE|AT_RECURSIVE)"))
        .context("root.path")
}

/// A new mount namespace that holds the root's tree alone; none where the kernel makes no such namespace or not for us.
pub fn namespace_alone(rootfs: &Rootfs) -> Result<Option<OwnedFd>> {
    if rootfs.beginning != Beginning::RootAlone {
        return Ok(None);
    }
    let namespace = rootfs
        .path
        .with_nix_path(mount_api::namespace_of_tree)
        .call(|| format!("root.path: {:?}", rootfs.path))?;
    Ok(namespace.ok())
}

/// The root of the mount namespace just entered, which holds the root's tree alone.
pub fn arrived(rootfs: &Rootfs) -> Result<Tree> {
    let root = open_root()?;
    rootfs.initial_propagation.apply(root.as_fd())?;
    Ok(Tree::new(root))
}

/// Separates this mount namespace from the host's: no event travels where it should not.
pub fn separate(rootfs: &Rootfs) -> Result<()> {
    let initial = flags(rootfs.initial_propagation);
    mount(None::<&str>, "/", None::<&str>, initial, None::<&str>)
        .call(|| format!("mount(\"/\", {initial:?})"))
}

/// Separates this mount namespace from the host's, and mounts the root's tree over itself: pivot_root(2) wants a mount
/// point, and createContainer hooks look for the container's mounts there.
pub fn attach(rootfs: &Rootfs, prepared: Option<OwnedFd>) -> Result<Tree> {
    separate(rootfs)?;
    let initial = rootfs.initial_propagation;
    let place = match open_directory(&rootfs.path) {
        // The root of a user namespace may not be allowed to go there; any place will do for it.
        Err(error) if error.errno() == Some(Errno::EACCES) => open_directory(Path::new("/"))?,
        place => place.context("root.path")?,
    };
    let root = prepared.map_or_else(|| detached(rootfs), Ok)?;
    if initial.reach == Reach::One || initial.flag == MsFlags::MS_SHARED.bits() {
        leave_peers(top_of_mount(&place)?.as_fd())?;
        leave_peers(root.as_fd())?;
    }
    mount_api::attach(root.as_fd(), place.as_fd())
        .call(|| format!("move_mount(root, {:?})", rootfs.path))?;
    Ok(Tree::new(root))
}

/// Makes a mount private: what is mounted on it must not appear on the host, and pivot_root(2) refuses a root that is
/// shared, or lies on a shared mount.
fn leave_peers(mount: BorrowedFd<'_>) -> Result<()> {
    let private = MountAttr { propagation: MsFlags::MS_PRIVATE.bits(), ..MountAttr::default() };
    mount_api::mount_setattr(mount, private, None, Reach::One)
        .call(|| "mount_setattr(root or its parent mount, MS_PRIVATE)")
}

/// The topmost directory of the mount that `place` lies on.
fn top_of_mount(place: &OwnedFd) -> Result<OwnedFd> {
    let mut top = place.try_clone().call(|| "dup")?;
    let id = statx::mount_id(&top).call(|| "statx(root)")?;
    loop {
        let parent = openat(&top, "..", DIRECTORY, Mode::empty()).call(|| "openat(\"..\")")?;
        let left = statx::mount_id(&parent).call(|| "statx(\"..\")")? != id;
        if left || statx::same_file(&parent, &top).call(|| "fstat(\"..\")")? {
            return Ok(top);
        }
        top = parent;
    }
}

/// Makes `tree` the root of this process and namespace, and lets go of the host's.
pub fn enter(procfs: &Procfs, tree: &Tree, switch: Switch) -> Result<()> {
    match switch {
        Switch::Pivot => pivot(tree.root()),
        Switch::MoveAndChroot => {
            host_kernel::hide(procfs, tree.root()).and_then(|()| move_and_chroot(tree.root()))
        }
    }
    .context("enter the root file system")
}

/// pivot_root(".", ".") stacks the old root on the new one (pivot_root(2), "NOTES"): no directory of the image is needed.
fn pivot(root: BorrowedFd<'_>) -> Result<()> {
    let old = open_directory(Path::new("/"))?;
    fchdir(root).call(|| "fchdir(root)")?;
    pivot_root(".", ".").call(|| "pivot_root(\".\", \".\")").map_err(|error| {
        match error.errno() {
            Some(Errno::EINVAL) => {
                error.hint("a host whose own root is a ramdisk needs --no-pivot")
            }
            _ => error,
        }
    })?;
    fchdir(&old).call(|| "fchdir(old root)")?;
    // The old root must not tell its peers on the host that it is unmounted here.
    mount(None::<&str>, ".", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)
        .call(|| "mount(old root, MS_SLAVE|MS_REC)")?;
    umount2(".", MntFlags::MNT_DETACH).call(|| "umount2(old root, MNT_DETACH)")?;
    nix::unistd::chdir("/").call(|| "chdir(\"/\")")
}

fn move_and_chroot(root: BorrowedFd<'_>) -> Result<()> {
    fchdir(root).call(|| "fchdir(root)")?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .call(|| "mount(\".\", \"/\", MS_MOVE)")?;
    chroot(".").call(|| "chroot(\".\")")?;
    nix::unistd::chdir("/").call(|| "chdir(\"/\")")
}

/// Gives the entered root its last attributes.
pub fn seal(rootfs: &Rootfs) -> Result<()> {
    if rootfs.access == Access::Readonly {
        let readonly = MountAttr { set: libc::MOUNT_ATTR_RDONLY, ..MountAttr::default() };
        let root = open_root()?;
        mount_api::mount_setattr(root.as_fd(), readonly, None, Reach::One)
            .call(|| "mount_setattr(\"/\", MOUNT_ATTR_RDONLY)")
            .context("root.readonly")?;
    }
    if let Some(propagation) = rootfs.final_propagation {
        propagation.apply(open_root()?.as_fd()).context("linux.rootfsPropagation")?;
    }
    Ok(())
}

fn open_root() -> Result<OwnedFd> {
    open_directory(Path::new("/"))
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    open(path, DIRECTORY, Mode::empty()).call(|| format!("open({path:?}, O_DIRECTORY)"))
}

fn flags(propagation: Propagation) -> MsFlags {
    let reach = match propagation.reach {
        Reach::One => MsFlags::empty(),
        Reach::Recursive => MsFlags::MS_REC,
    };
    MsFlags::from_bits_truncate(propagation.flag) | reach
}
