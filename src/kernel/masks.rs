//! Masked and read-only paths: the parts of procfs and sysfs that know no namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor};

use super::mounts::{FsOption, Place};
use super::safe_path;
use crate::error::{Call, Context, Error, Result};
use crate::sys::mount_api::{self, MountAttr, Reach};

/// The kernel's number of /dev/null (devices.txt).
const NULL_DEVICE: (u64, u64) = (1, 3);

/// Makes each of `places` unreadable; what is not there is passed over.
///
/// A file is covered by `null`, the null device of the host: an image's own could be a link to anything (CVE-2025-31133).
/// All directories share one empty, read-only tmpfs, with the SELinux context that `label` gives it.
pub fn mask<'a>(
    places: impl IntoIterator<Item = Place<'a>>,
    null: OwnedFd,
    label: Option<&FsOption>,
) -> Result<()> {
    let mut file = Cover::new(null);
    let mut directory = None;
    for Place { root, path, whole } in places {
        let intent = || format!("mask {}", whole.display());
        let Some(target) = safe_path::find(root, path).with_context(intent)? else { continue };
        let cover = match (safe_path::is_directory(&target)?, &mut directory) {
            (false, _) => &mut file,
            (true, Some(empty)) => empty,
            (true, none) => none.insert(Cover::new(empty_directory(label)?)),
        };
        cover.put(target.as_fd()).with_context(intent)?;
    }
    Ok(())
}

/// What covers many places: the first gets the mount itself, the others copies of it, for only what is attached in our own
/// namespace can be copied on every kernel.
struct Cover {
    mount: OwnedFd,
    places: usize,
}

impl Cover {
    fn new(detached: OwnedFd) -> Cover {
        Cover { mount: detached, places: 0 }
    }

    fn put(&mut self, target: BorrowedFd<'_>) -> Result<()> {
        self.places += 1;
        if self.places == 1 {
            return mount_api::attach(self.mount.as_fd(), target).call(|| "move_mount");
        }
        mount_api::clone_tree(self.mount.as_fd(), c"", Reach::One)
            .and_then(|copy| mount_api::attach(copy.as_fd(), target))
            .call(|| "bind what masks the places before")
    }
}

/// Makes each of `places` read-only; what is not there is passed over.
pub fn make_readonly<'a>(places: impl IntoIterator<Item = Place<'a>>) -> Result<()> {
    for Place { root, path, whole } in places {
        let intent = || format!("make {} read-only", whole.display());
        if let Some(target) = safe_path::find(root, path).with_context(intent)? {
            bind_readonly(target.as_fd()).with_context(intent)?;
        }
    }
    Ok(())
}

fn bind_readonly(target: BorrowedFd<'_>) -> Result<()> {
    let copy = mount_api::clone_tree(target, c"", Reach::Recursive)
        .call(|| "open_tree(OPEN_TREE_CLONE)")?;
    set_readonly(copy.as_fd())?;
    mount_api::attach(copy.as_fd(), target).call(|| "move_mount")
}

fn set_readonly(mount: BorrowedFd<'_>) -> Result<()> {
    let readonly = MountAttr { set: libc::MOUNT_ATTR_RDONLY, ..MountAttr::default() };
    mount_api::mount_setattr(mount, readonly, None, Reach::One)
        .call(|| "mount_setattr(MOUNT_ATTR_RDONLY)")
}

/// A tmpfs with room for its root alone. Kernels that count the root's inode as used from the start need two.
fn empty_directory(label: Option<&FsOption>) -> Result<OwnedFd> {
    let attributes = libc::MOUNT_ATTR_RDONLY
        | libc::MOUNT_ATTR_NOSUID
        | libc::MOUNT_ATTR_NODEV
        | libc::MOUNT_ATTR_NOEXEC;
    let mount = |inodes| {
        let context = mount_api::fsopen(c"tmpfs")?;
        mount_api::fsconfig_string(context.as_fd(), c"nr_inodes", inodes)?;
        mount_api::fsconfig_string(context.as_fd(), c"nr_blocks", c"1")?;
        mount_api::fsconfig_flag(context.as_fd(), c"ro")?;
        if let Some(FsOption { key, value: Some(value) }) = label {
            mount_api::fsconfig_string(context.as_fd(), key, value)?;
        }
        mount_api::fsconfig_create(context.as_fd())?;
        mount_api::fsmount(context.as_fd(), attributes)
    };
    match mount(c"1") {
        Err(Errno::ENOSPC | Errno::EINVAL) => mount(c"2"),
        other => other,
    }
    .call(|| "mount an empty read-only tmpfs")
}

/// A detached mount of the host's null device, which must be in reach and is verified.
pub fn null_device() -> Result<OwnedFd> {
    let null =
        open("/dev/null", OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
            .call(|| "open(\"/dev/null\", O_PATH)")?;
    let status = fstat(&null).call(|| "fstat(\"/dev/null\")")?;
    let character = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
    if !character || (major(status.st_rdev), minor(status.st_rdev)) != NULL_DEVICE {
        return Err(Error::new(
            "the host's /dev/null is not the null device (character device 1:3)",
        ));
    }
    mount_api::clone_tree(null.as_fd(), c"", Reach::One)
        .call(|| "open_tree(\"/dev/null\", OPEN_TREE_CLONE)")
}
