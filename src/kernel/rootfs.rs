//! The root file system: the mount namespace prepared, the root put in place, entered, sealed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;
use nix::unistd::{chroot, fchdir, pivot_root};

use super::mounts::{Propagation, Tree};
use crate::error::{Call, Context, Result};
use crate::sys::mount_api::{self, MountAttr, Reach};

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
    let fd = open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .call(|| format!("open({path:?}, O_DIRECTORY)"))
        .context("root.path")?;
    mount_api::clone_tree(fd.as_fd(), c"", Reach::Recursive)
        .call(|| format!("open_tree({path:?}, OPEN_TREE_CLONE|AT_RECURSIVE)"))
        .context("root.path")
}

/// Separates this mount namespace from the host's, and puts the root's tree over `/`, where it waits for [`enter`].
///
/// Over `/` and not in its old place: pivot_root(2) wants the mount it stands on to be no peer of another, and of `/`
/// we know which mount it is.
pub fn attach(rootfs: &Rootfs, prepared: Option<OwnedFd>) -> Result<Tree> {
    let set = |flags: MsFlags| {
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
            .call(|| format!("mount(\"/\", {flags:?})"))
    };
    set(flags(rootfs.initial_propagation))?;
    set(MsFlags::MS_PRIVATE)?;
    let root = prepared.map_or_else(|| detached(rootfs), Ok)?;
    let host = open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .call(|| "open(\"/\")")?;
    mount_api::attach(root.as_fd(), host.as_fd()).call(|| "move_mount(root, \"/\")")?;
    Ok(Tree::new(root))
}

/// Makes `tree` the root of this process and namespace, and lets go of the host's.
pub fn enter(tree: &Tree, switch: Switch) -> Result<()> {
    match switch {
        Switch::Pivot => pivot(tree.root()),
        Switch::MoveAndChroot => move_and_chroot(tree.root()),
    }
    .context("enter the root file system")
}

/// pivot_root(".", ".") stacks the old root on the new one (pivot_root(2), "NOTES"): no directory of the image is needed.
fn pivot(root: BorrowedFd<'_>) -> Result<()> {
    let old = open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .call(|| "open(\"/\")")?;
    fchdir(root).call(|| "fchdir(root)")?;
    pivot_root(".", ".").call(|| "pivot_root(\".\", \".\")").map_err(|error| {
        match error.errno() {
            Some(nix::errno::Errno::EINVAL) => {
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
    open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .call(|| "open(\"/\")")
}

fn flags(propagation: Propagation) -> MsFlags {
    let reach = match propagation.reach {
        Reach::One => MsFlags::empty(),
        Reach::Recursive => MsFlags::MS_REC,
    };
    MsFlags::from_bits_truncate(propagation.flag) | reach
}
