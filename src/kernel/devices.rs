//! Device nodes and the links of /dev. Knows mknod(2) and where user namespaces forbid it; not which nodes are wanted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, makedev, mknodat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, symlinkat, unlinkat};

use super::mounts::Place;
use super::safe_path::{self, Missing};
use crate::error::{Call, Context, Error, Result};
use crate::sys::mount_api::{self, Reach};

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where, inside the root.
    pub path: PathBuf,
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner, as the container sees it.
    pub uid: u32,
    /// Group, as the container sees it.
    pub gid: u32,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A character device: major and minor number.
    Character(u64, u64),
    /// A block device: major and minor number.
    Block(u64, u64),
    /// A named pipe.
    Fifo,
}

/// How a node comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Making {
    /// By mknod(2), in the host's user namespace.
    Node,
    /// By binding the host's node of the same path: mknod(2) is refused in a user namespace.
    Bind,
}

/// The links every /dev has (config-linux.md, "Dev symbolic links"), but for [`PTMX_LINK`].
pub const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// Where `/dev/ptmx` leads, so that it opens the container's own devpts.
pub const PTMX_LINK: (&str, &str) = ("pts/ptmx", "ptmx");

/// Makes `node` at `place`; one that is there already is left as it is. Anything else of that name is an error
/// (config-linux.md, "Devices"). Where mknod(2) is refused, for want of CAP_MKNOD or by a device filter, the host's node of
/// the same path is bound, by a detached bind made beforehand where there is one.
pub fn make(place: Place<'_>, node: &Node, prepared: Option<OwnedFd>) -> Result<()> {
    let intent = || format!("device {}", node.path.display());
    let (directory, name) = parent_and_name(place).with_context(intent)?;
    let (kind, number) = match node.kind {
        NodeKind::Character(major, minor) => (SFlag::S_IFCHR, makedev(major, minor)),
        NodeKind::Block(major, minor) => (SFlag::S_IFBLK, makedev(major, minor)),
        NodeKind::Fifo => (SFlag::S_IFIFO, 0),
    };
    match mknodat(&directory, name, kind, Mode::from_bits_truncate(node.mode), number) {
        Err(Errno::EEXIST) => {
            return is_there(directory.as_fd(), name, kind, number).with_context(intent);
        }
        Err(Errno::EPERM) if kind != SFlag::S_IFIFO => {
            let of_host = prepared.map_or_else(|| detached(&node.path), Ok).with_context(intent)?;
            must_be_of_host(&of_host, kind, number).with_context(intent)?;
            return bind(place, &node.path, Some(of_host));
        }
        other => other
            .call(|| format!("mknodat({name:?}, {kind:?}, {number:#x})"))
            .with_context(intent)?,
    }
    if (node.uid, node.gid) == (0, 0) {
        return Ok(());
    }
    give(directory.as_fd(), name, node, (kind, number)).with_context(intent)
}

/// Whoever else can write to the directory may have put another file in the node's place: what is given away is looked at
/// first, and then kept by its descriptor.
fn give(
    directory: BorrowedFd<'_>,
    name: &Path,
    node: &Node,
    (kind, number): (SFlag, u64),
) -> Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made = openat(directory, name, flags, Mode::empty())
        .call(|| format!("openat({name:?}, O_PATH|O_NOFOLLOW)"))?;
    must_be(&fstat(&made).call(|| format!("fstat({name:?})"))?, kind, number)?;
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    fchownat(&made, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)
        .call(|| format!("fchownat({name:?}, {uid}, {gid})"))
}

/// config-linux.md, "Devices": a file that is there already and "does not match the requested device" is an error.
fn is_there(directory: BorrowedFd<'_>, name: &Path, kind: SFlag, number: u64) -> Result<()> {
    let found = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .call(|| format!("fstatat({name:?})"))?;
    must_be(&found, kind, number)
}

fn must_be(found: &FileStat, kind: SFlag, number: u64) -> Result<()> {
    match is_device(found, kind, number) {
        true => Ok(()),
        false => Err(Error::refused("another file is there already")),
    }
}

fn must_be_of_host(node: &OwnedFd, kind: SFlag, number: u64) -> Result<()> {
    match is_device(&fstat(node).call(|| "fstat")?, kind, number) {
        true => Ok(()),
        false => Err(Error::refused(
            "the host's node of this path is another device, and mknod(2) is refused: it needs CAP_MKNOD",
        )),
    }
}

fn is_device(found: &FileStat, kind: SFlag, number: u64) -> bool {
    let found_kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
    found_kind == kind && (kind == SFlag::S_IFIFO || found.st_rdev == number)
}

/// A detached bind of the host's node at `path`, to be put inside by [`bind`].
pub fn detached(path: &Path) -> Result<OwnedFd> {
    let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC;
    let fd =
        nix::fcntl::open(path, flags, Mode::empty()).call(|| format!("open({path:?}, O_PATH)"))?;
    mount_api::clone_tree(fd.as_fd(), c"", Reach::One)
        .call(|| format!("open_tree({path:?}, OPEN_TREE_CLONE)"))
}

/// Binds the host's node at `path` to `place`, by a detached bind made beforehand where there is one.
pub fn bind(place: Place<'_>, path: &Path, prepared: Option<OwnedFd>) -> Result<()> {
    let put = || {
        let node = prepared.map_or_else(|| detached(path), Ok)?;
        let target = safe_path::open_or_make(place.root, place.path, Missing::File)?;
        mount_api::attach(node.as_fd(), target.as_fd()).call(|| format!("move_mount({path:?})"))
    };
    put().with_context(|| format!("device {}", path.display()))
}

/// Makes the links of /dev, which is at `place`; what an image has under these names gives way only for `ptmx`.
///
/// All happens relative to one descriptor of the container's own /dev: an image whose /dev is a link must not have us
/// touch the host's (CVE-2026-41579).
pub fn link_dev(place: Place<'_>, ptmx: Ptmx) -> Result<()> {
    let dev = safe_path::open_or_make(place.root, place.path, Missing::Directory)?;
    for (target, name) in LINKS {
        link(dev.as_fd(), target, name)?;
    }
    if Path::new("/proc/kcore").exists() {
        link(dev.as_fd(), "/proc/kcore", "core")?;
    }
    if ptmx == Ptmx::LinkToOwnDevpts {
        let (target, name) = PTMX_LINK;
        match unlinkat(&dev, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(Error::call("unlinkat(\"/dev/ptmx\")", errno)),
        }
        link(dev.as_fd(), target, name)?;
    }
    Ok(())
}

/// Whether `/dev/ptmx` is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ptmx {
    /// By a link to the container's own devpts.
    LinkToOwnDevpts,
    /// It stays as it is: the /dev is not ours to change.
    Leave,
}

fn link(dev: BorrowedFd<'_>, target: &str, name: &str) -> Result<()> {
    match symlinkat(target, dev, name) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(Error::call(format!("symlinkat({target:?}, \"/dev/{name}\")"), errno)),
    }
}

fn parent_and_name(Place { root, path, .. }: Place<'_>) -> Result<(OwnedFd, &Path)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::refused(format!("{}: not a path of a file", path.display())));
    };
    Ok((safe_path::open_or_make(root, parent, Missing::Directory)?, Path::new(name)))
}
