//! Where a mount goes: the target is opened once, inside the hostile tree, judged, and used by its descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use super::Tree;
use crate::error::{Call, Error, Result};
use crate::kernel::safe_path::{self, Links, Missing};
use crate::sys::{mount_api, statx};

/// Files of /proc that may be covered by a bind: what lxcfs serves, and what nothing trusts. Anything else there could
/// fool whoever writes a label or a kernel parameter (CVE-2019-16884).
const COVERABLE_IN_PROC: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// Puts the detached bind `mount` in its place, on a directory or a file as it is one itself.
pub(super) fn bind(tree: &mut Tree, destination: &Path, mount: OwnedFd) -> Result<OwnedFd> {
    let directory = is_directory(&mount)?;
    let missing = if directory { Missing::Directory } else { Missing::File };
    let target = safe_path::open_or_make(tree.root(), destination, missing)?;
    if directory != is_directory(&target)? {
        let (source, target) =
            if directory { ("directory", "file") } else { ("file", "directory") };
        return Err(Error::call(
            format!("a {source} can't be bound on {destination:?}, a {target}"),
            Errno::ENOTDIR,
        ));
    }
    refuse_to_cover_proc(&target, destination, Some(&mount))?;
    put(tree, &target, mount, destination)
}

/// Puts the detached file system `mount` on a directory.
pub(super) fn directory(tree: &mut Tree, destination: &Path, mount: OwnedFd) -> Result<OwnedFd> {
    let target = safe_path::open_or_make(tree.root(), destination, Missing::Directory)?;
    refuse_to_cover_proc(&target, destination, Some(&mount))?;
    put(tree, &target, mount, destination)
}

/// Puts a detached procfs or sysfs in its place, which no link may lead to: an image that makes /proc a link would
/// have it elsewhere than where labels are written (CVE-2019-19921, CVE-2023-27561, CVE-2023-28642).
pub(super) fn ordinary_directory(
    tree: &mut Tree,
    destination: &Path,
    mount: OwnedFd,
) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let open = |tree: &Tree| safe_path::open(tree.root(), destination, flags, Links::Refuse);
    let target = match open(tree) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => {
            safe_path::open_or_make(tree.root(), destination, Missing::Directory)?;
            open(tree)
        }
        other => other,
    };
    let target = target.map_err(|error| match error.errno() {
        Some(Errno::ELOOP | Errno::ENOTDIR) => Error::new(format!(
            "{} must be mounted on ordinary directory: a link or a file is in its way",
            destination.display()
        )),
        _ => error,
    })?;
    put(tree, &target, mount, destination)
}

/// Opens what is there already.
pub(super) fn existing(tree: &Tree, destination: &Path) -> Result<OwnedFd> {
    safe_path::open(tree.root(), destination, OFlag::O_PATH, Links::FollowInside)
}

fn put(tree: &mut Tree, target: &OwnedFd, mount: OwnedFd, destination: &Path) -> Result<OwnedFd> {
    let covers_root = statx::same_file(target, tree.root()).call(|| "fstat")?;
    mount_api::attach(mount.as_fd(), target.as_fd())
        .call(|| format!("move_mount({destination:?})"))?;
    if covers_root {
        tree.replace_root(mount.try_clone().call(|| "dup")?);
    }
    Ok(mount)
}

fn refuse_to_cover_proc(
    target: &OwnedFd,
    destination: &Path,
    mount: Option<&OwnedFd>,
) -> Result<()> {
    if !on_procfs(target)? || COVERABLE_IN_PROC.iter().any(|path| destination == Path::new(path)) {
        return Ok(());
    }
    if destination == Path::new("/proc")
        && mount.is_some_and(|mount| on_procfs(mount).unwrap_or(false))
    {
        return Ok(());
    }
    Err(Error::refused(format!(
        "{} lies inside /proc, which must stay what it is",
        destination.display()
    )))
}

fn on_procfs(fd: &OwnedFd) -> Result<bool> {
    Ok(fstatfs(fd).call(|| "fstatfs")?.filesystem_type() == PROC_SUPER_MAGIC)
}

fn is_directory(fd: &OwnedFd) -> Result<bool> {
    let mode = fstat(fd).call(|| "fstat")?.st_mode;
    Ok(SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}
