//! Where a mount goes: the target is opened once, inside the hostile tree, judged, and used by its descriptor.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::symlinkat;

use super::{DestinationLink, Tree};
use crate::error::{Call, Error, Result};
use crate::kernel::safe_path::{self, Links, Missing, Origin};
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

/// A directory that something is going to be mounted on.
#[derive(Debug)]
pub(super) struct Target {
    /// Open for its path.
    pub fd: OwnedFd,
    /// Whether it was there: then mode and content are the image's.
    pub origin: Origin,
}

/// Puts the detached bind `mount` in its place, on a directory or a file as it is one itself.
pub(super) fn bind(
    tree: &mut Tree,
    destination: &Path,
    link: DestinationLink,
    mount: OwnedFd,
) -> Result<OwnedFd> {
    let directory = safe_path::is_directory(&mount)?;
    let missing = if directory { Missing::Directory } else { Missing::File };
    let target = match link {
        DestinationLink::Followed => safe_path::open_or_make(tree.root(), destination, missing)?,
        DestinationLink::Covered => unfollowed(tree, destination, missing)?,
    };
    if directory != safe_path::is_directory(&target)? {
        let (source, target) =
            if directory { ("directory", "file") } else { ("file", "directory") };
        return Err(Error::call(
            format!("a {source} can't be bound on {destination:?}, a {target}"),
            Errno::ENOTDIR,
        ));
    }
    refuse_to_cover_proc(&target, destination, || on_procfs(&mount))?;
    put(tree, &target, mount, destination)
}

/// What is there, a link itself; made where there is nothing.
fn unfollowed(tree: &Tree, destination: &Path, missing: Missing) -> Result<OwnedFd> {
    let Some((parent, name)) = parent_and_name(tree, destination)? else {
        return safe_path::open_or_make(tree.root(), destination, missing);
    };
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(&parent, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => safe_path::open_or_make(tree.root(), destination, missing),
        other => other.call(|| format!("openat({destination:?}, O_NOFOLLOW)")),
    }
}

/// Makes a symbolic link to `target`; one that says so already is as good.
pub(super) fn link(tree: &Tree, destination: &Path, target: &Path) -> Result<()> {
    let Some((parent, name)) = parent_and_name(tree, destination)? else {
        return Err(Error::refused("copy-symlink: / can't be a link"));
    };
    match symlinkat(target, &parent, name) {
        Err(Errno::EEXIST)
            if readlinkat(&parent, name).is_ok_and(|there| there == target.as_os_str()) =>
        {
            Ok(())
        }
        other => other.call(|| format!("symlinkat({target:?}, {destination:?})")),
    }
}

fn parent_and_name<'a>(tree: &Tree, destination: &'a Path) -> Result<Option<(OwnedFd, &'a OsStr)>> {
    let (Some(parent), Some(name)) = (destination.parent(), destination.file_name()) else {
        return Ok(None);
    };
    let parent = safe_path::open_or_make(tree.root(), parent, Missing::Directory)?;
    Ok(Some((parent, name)))
}

/// A directory to mount on, made where there is nothing.
pub(super) fn directory(tree: &Tree, destination: &Path) -> Result<Target> {
    let (fd, origin) = safe_path::find_or_make(tree.root(), destination, Missing::Directory)?;
    Ok(Target { fd, origin })
}

/// A directory to mount a procfs or sysfs on, which no link may lead to: an image that makes /proc a link would have it
/// elsewhere than where labels are written (CVE-2019-19921, CVE-2023-27561, CVE-2023-28642).
pub(super) fn ordinary_directory(tree: &Tree, destination: &Path) -> Result<Target> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let open = || safe_path::open(tree.root(), destination, flags, Links::Refuse);
    let (fd, origin) = match open() {
        Err(error) if error.errno() == Some(Errno::ENOENT) => {
            safe_path::open_or_make(tree.root(), destination, Missing::Directory)?;
            (open(), Origin::Made)
        }
        other => (other, Origin::Found),
    };
    let fd = fd.map_err(|error| match error.errno() {
        Some(Errno::ELOOP | Errno::ENOTDIR) => Error::new(format!(
            "{} must be mounted on ordinary directory: a link or a file is in its way",
            destination.display()
        )),
        _ => error,
    })?;
    Ok(Target { fd, origin })
}

/// Opens what is there already.
pub(super) fn existing(tree: &Tree, destination: &Path) -> Result<OwnedFd> {
    safe_path::open(tree.root(), destination, OFlag::O_PATH, Links::FollowInside)
}

/// Puts the detached `mount` on `target`.
pub(super) fn put(
    tree: &mut Tree,
    target: &OwnedFd,
    mount: OwnedFd,
    destination: &Path,
) -> Result<OwnedFd> {
    // The root's directory may be mounted below itself: that is another place.
    let covers_root = statx::same_file(target, tree.root()).call(|| "fstat")?
        && statx::mount_id(target).call(|| "statx")?
            == statx::mount_id(tree.root()).call(|| "statx")?;
    mount_api::attach(mount.as_fd(), target.as_fd())
        .map_err(|errno| if differ_in_kind(&mount, target) { Errno::ENOTDIR } else { errno })
        .call(|| format!("move_mount({destination:?})"))
        .map_err(|error| match error.errno() {
            Some(Errno::ENOTDIR) => {
                error.hint("a directory can't be mounted on a file, nor a file on a directory")
            }
            _ => error,
        })?;
    if covers_root {
        tree.replace_root(mount.try_clone().call(|| "dup")?);
    }
    Ok(mount)
}

/// Whether one is a directory and the other is not, for which move_mount(2) has EINVAL where mount(2) has ENOTDIR:
/// callers explain the latter to people.
fn differ_in_kind(mount: &OwnedFd, target: &OwnedFd) -> bool {
    let is_directory = |fd| safe_path::is_directory(fd).ok();
    is_directory(mount) != is_directory(target)
}

/// Nothing but a procfs may be mounted on /proc, and next to nothing inside of it.
pub(super) fn refuse_to_cover_proc(
    target: &OwnedFd,
    destination: &Path,
    is_procfs: impl FnOnce() -> Result<bool>,
) -> Result<()> {
    if destination == Path::new("/proc") {
        return match is_procfs()? {
            true => Ok(()),
            false => Err(Error::refused(format!(
                "{destination:?} cannot be mounted because it is not of type proc"
            ))),
        };
    }
    if COVERABLE_IN_PROC.iter().any(|path| destination == Path::new(path)) || !on_procfs(target)? {
        return Ok(());
    }
    Err(Error::refused(format!(
        "{destination:?} cannot be mounted because it is inside /proc, which must stay what it is"
    )))
}

fn on_procfs(fd: &OwnedFd) -> Result<bool> {
    Ok(fstatfs(fd).call(|| "fstatfs")?.filesystem_type() == PROC_SUPER_MAGIC)
}
