//! The mount calls on descriptors (Linux 5.2; mount_setattr: 5.12): a mount is made detached, then put in its place.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// Attributes of a mount, as mount_setattr(2) takes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountAttr {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE`, or 0 to leave it.
    pub propagation: u64,
}

impl MountAttr {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == MountAttr::default()
    }
}

/// One mount, or also all below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The mount alone.
    One,
    /// It and every mount below it (`AT_RECURSIVE`).
    Recursive,
}

impl Reach {
    fn flag(self) -> libc::c_uint {
        match self {
            Reach::One => 0,
            Reach::Recursive => libc::AT_RECURSIVE as libc::c_uint,
        }
    }
}

/// open_tree(2) with `OPEN_TREE_CLONE`: a detached copy of what is mounted at `path` below `dir`, or at `dir` itself when
/// `path` is empty.
pub fn clone_tree(dir: BorrowedFd<'_>, path: &CStr, reach: Reach) -> nix::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | libc::AT_EMPTY_PATH as libc::c_uint
        | reach.flag();
    // SAFETY: `path` is a C string that outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags) };
    owned(fd)
}

/// open_tree(2) with `OPEN_TREE_NAMESPACE` (Linux 7.0): a new mount namespace that holds a copy of what is mounted at `path`,
/// mounts below it included, and nothing else. `EINVAL` where the kernel does not have it.
pub fn namespace_of_tree(path: &CStr) -> nix::Result<OwnedFd> {
    const OPEN_TREE_NAMESPACE: libc::c_uint = 1 << 1;
    let flags = OPEN_TREE_NAMESPACE | libc::OPEN_TREE_CLOEXEC | Reach::Recursive.flag();
    // SAFETY: `path` is a C string that outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    owned(fd)
}

/// move_mount(2): puts the detached mount `mount` onto `target`.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> nix::Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are empty C strings of static life.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            flags,
        )
    };
    Errno::result(result).map(drop)
}

/// fsopen(2): a context to configure a new file system of `kind` in.
pub fn fsopen(kind: &CStr) -> nix::Result<OwnedFd> {
    // SAFETY: `kind` is a C string that outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) };
    owned(fd)
}

/// fsconfig(2) `FSCONFIG_SET_STRING`: `key=value`; a value is at most 255 bytes.
pub fn fsconfig_string(context: BorrowedFd<'_>, key: &CStr, value: &CStr) -> nix::Result<()> {
    fsconfig(context, libc::FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr())
}

/// fsconfig(2) `FSCONFIG_SET_FLAG`: an option without a value.
pub fn fsconfig_flag(context: BorrowedFd<'_>, key: &CStr) -> nix::Result<()> {
    fsconfig(context, libc::FSCONFIG_SET_FLAG, key.as_ptr(), std::ptr::null())
}

/// fsconfig(2) `FSCONFIG_CMD_CREATE`: makes the super block, or finds the one there is.
pub fn fsconfig_create(context: BorrowedFd<'_>) -> nix::Result<()> {
    fsconfig(context, libc::FSCONFIG_CMD_CREATE, std::ptr::null(), std::ptr::null())
}

fn fsconfig(
    context: BorrowedFd<'_>,
    command: libc::c_uint,
    key: *const libc::c_char,
    value: *const libc::c_char,
) -> nix::Result<()> {
    // SAFETY: key and value are null or C strings of this module's callers, which outlive the call; the commands used
    // take nothing else.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            command,
            key,
            value,
            0 as libc::c_int,
        )
    };
    Errno::result(result).map(drop)
}

/// fsmount(2): a detached mount of what `context` configured, with `MOUNT_ATTR_*` of `attributes`.
pub fn fsmount(context: BorrowedFd<'_>, attributes: u64) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe {
        libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), libc::FSMOUNT_CLOEXEC, attributes)
    };
    owned(fd)
}

/// mount_setattr(2) on the mount that `mount` is the root of; with `idmap`, through that user namespace
/// (`MOUNT_ATTR_IDMAP`, Linux 5.12; only on a detached mount).
pub fn mount_setattr(
    mount: BorrowedFd<'_>,
    attr: MountAttr,
    idmap: Option<BorrowedFd<'_>>,
    reach: Reach,
) -> nix::Result<()> {
    let mut raw = libc::mount_attr {
        attr_set: attr.set,
        attr_clr: attr.clear,
        propagation: attr.propagation,
        userns_fd: 0,
    };
    if let Some(user_namespace) = idmap {
        raw.attr_set |= libc::MOUNT_ATTR_IDMAP;
        raw.userns_fd = u64::try_from(user_namespace.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    }
    let flags = libc::AT_EMPTY_PATH as libc::c_uint | reach.flag();
    // SAFETY: the path is an empty C string of static life, `raw` outlives the call, and the size is its own.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const raw,
            size_of_val(&raw),
        )
    };
    Errno::result(result).map(drop)
}

fn owned(result: libc::c_long) -> nix::Result<OwnedFd> {
    let fd = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: the kernel returned a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
