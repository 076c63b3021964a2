//! A new instance of a file system: configured in a context of its own (fsopen(2)), mounted detached, put in place.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::fstat;

use super::place::Target;
use super::{CgroupView, CopyUp, Filesystem, FsOption, MountAttr, Reach, Tree};
use super::{clone_host_path, copy_up, place, set_attr};
use crate::error::{Call, Error, Result};
use crate::kernel::lsm;
use crate::kernel::safe_path::{self, Origin};
use crate::sys::mount_api;

/// fsconfig(2) takes strings of at most 255 bytes; a longer one (an overlay's `lowerdir`) needs mount(2).
const LONGEST_FSCONFIG_STRING: usize = 255;

/// Flags of a super block that a file system context knows by name. `MS_SILENT` only keeps the kernel's log short.
const NAMED_SUPER_BLOCK_FLAGS: &[(MsFlags, &CStr)] = &[
    (MsFlags::MS_SYNCHRONOUS, c"sync"),
    (MsFlags::MS_DIRSYNC, c"dirsync"),
    (MsFlags::MS_LAZYTIME, c"lazytime"),
    (MsFlags::MS_MANDLOCK, c"mand"),
];

/// Mounts a new instance of `filesystem` on `destination`, which is opened once: whoever moves it meanwhile has the same
/// directory covered that mode and content are taken from.
pub(super) fn attach(
    tree: &mut Tree,
    destination: &Path,
    filesystem: &Filesystem,
) -> Result<OwnedFd> {
    let kind = filesystem.kind.to_bytes();
    let target = match kind {
        b"proc" | b"sysfs" => place::ordinary_directory(tree, destination)?,
        _ => place::directory(tree, destination)?,
    };
    // Where no link leads, the text tells.
    if kind != b"sysfs" || destination.starts_with("/proc") {
        place::refuse_to_cover_proc(&target.fd, destination, || Ok(kind == b"proc"))?;
    }
    let mode = inherited_mode(&target, filesystem)?;
    let mount = match needs_mount_2(filesystem) {
        false => detached(filesystem, mode.as_ref())?,
        true => detached_by_mount_2(&target, filesystem, mode.as_ref())?,
    };
    if let Some(label) = &filesystem.root_label {
        lsm::label_directory(mount.as_fd(), label)?;
    }
    if filesystem.copy_up == CopyUp::Yes && target.origin == Origin::Found {
        copy_up::copy(target.fd.as_fd(), mount.as_fd())?;
    }
    place::put(tree, &target.fd, mount, destination)
}

fn detached(filesystem: &Filesystem, mode: Option<&FsOption>) -> Result<OwnedFd> {
    let context = configure(filesystem, mode)?;
    mount_api::fsmount(context.as_fd(), filesystem.attr.set)
        .call(|| format!("fsmount({:?})", filesystem.kind))
        .map_err(|error| explain(error, filesystem))
}

/// The cgroup v2 hierarchy, not yet attached anywhere.
pub(super) fn detached_cgroup(attr: MountAttr, view: &CgroupView) -> Result<OwnedFd> {
    let bound = |path: &Path| {
        let copy = clone_host_path(path, Reach::Recursive)?;
        set_attr(copy.as_fd(), attr, Reach::One)?;
        Ok(copy)
    };
    match view {
        CgroupView::Host { mount_point } => bound(mount_point),
        CgroupView::Namespace { fallback } => match new_cgroup_mount(attr) {
            Err(error) if matches!(error.errno(), Some(Errno::EPERM | Errno::EBUSY)) => {
                bound(fallback)
            }
            other => other,
        },
    }
}

fn new_cgroup_mount(attr: MountAttr) -> Result<OwnedFd> {
    let context = mount_api::fsopen(c"cgroup2").call(|| "fsopen(\"cgroup2\")")?;
    set_string(context.as_fd(), c"source", c"cgroup")?;
    mount_api::fsconfig_create(context.as_fd())
        .call(|| "fsconfig(cgroup2, FSCONFIG_CMD_CREATE)")?;
    mount_api::fsmount(context.as_fd(), attr.set).call(|| "fsmount(\"cgroup2\")")
}

/// Changes the options of the file system mounted at `target`.
pub(super) fn remount(target: BorrowedFd<'_>, filesystem: &Filesystem) -> Result<()> {
    let flags = mount_2_flags(filesystem) | MsFlags::MS_REMOUNT;
    call_mount_2(filesystem, None, target, flags)
}

fn configure(filesystem: &Filesystem, mode: Option<&FsOption>) -> Result<OwnedFd> {
    let context = mount_api::fsopen(&filesystem.kind)
        .call(|| format!("fsopen({:?})", filesystem.kind))
        .map_err(|error| match error.errno() {
            Some(Errno::ENODEV) => {
                error.hint("the kernel knows no such file system (see /proc/filesystems)")
            }
            _ => error,
        })?;
    let fd = context.as_fd();
    if !filesystem.source.is_empty() {
        set_string(fd, c"source", &filesystem.source)?;
    }
    for option in filesystem.options.iter().chain(mode) {
        match &option.value {
            Some(value) => set_string(fd, &option.key, value)?,
            None => set_flag(fd, &option.key)?,
        }
    }
    for (flag, name) in NAMED_SUPER_BLOCK_FLAGS {
        if filesystem.super_block & flag.bits() != 0 {
            set_flag(fd, name)?;
        }
    }
    if filesystem.super_block & MsFlags::MS_I_VERSION.bits() != 0 {
        count_versions(fd)?;
    }
    // As mount(2) does with MS_RDONLY: the super block is read-only too.
    if filesystem.attr.set & libc::MOUNT_ATTR_RDONLY != 0 {
        set_flag(fd, c"ro")?;
    }
    mount_api::fsconfig_create(fd)
        .call(|| format!("fsconfig({:?}, FSCONFIG_CMD_CREATE)", filesystem.kind))
        .map_err(|error| explain(said_by_kernel(fd, error), filesystem))?;
    Ok(context)
}

fn set_string(context: BorrowedFd<'_>, key: &CStr, value: &CStr) -> Result<()> {
    mount_api::fsconfig_string(context, key, value)
        .call(|| format!("fsconfig({key:?}={value:?})"))
        .map_err(|error| said_by_kernel(context, error))
}

fn set_flag(context: BorrowedFd<'_>, key: &CStr) -> Result<()> {
    mount_api::fsconfig_flag(context, key)
        .call(|| format!("fsconfig({key:?})"))
        .map_err(|error| said_by_kernel(context, error))
}

/// `iversion` is no flag that a context knows: a file system has it as an option of its own, or counts always or never.
fn count_versions(context: BorrowedFd<'_>) -> Result<()> {
    match set_flag(context, c"i_version") {
        Err(error) if error.errno() == Some(Errno::EINVAL) => Ok(()),
        other => other,
    }
}

/// A context keeps messages for whoever reads it: `e tmpfs: Bad value for 'size'`. What was read is gone.
fn said_by_kernel(context: BorrowedFd<'_>, error: Error) -> Error {
    let mut message = [0; 256];
    match nix::unistd::read(context, &mut message) {
        Ok(length) => {
            let text = String::from_utf8_lossy(&message[..length]);
            error.hint(format!("the kernel says: {}", text.trim_start_matches("e ").trim_end()))
        }
        Err(_) => error,
    }
}

fn explain(error: Error, filesystem: &Filesystem) -> Error {
    match (error.errno(), filesystem.kind.to_bytes()) {
        (Some(Errno::EPERM), b"proc" | b"sysfs") => error.hint(
            "in a user namespace the kernel allows this only where the caller's own instance is not masked, and with a pid (proc) or network (sysfs) namespace of its own",
        ),
        _ => error,
    }
}

/// A tmpfs without `mode=` takes the mode of the directory it covers.
fn inherited_mode(target: &Target, filesystem: &Filesystem) -> Result<Option<FsOption>> {
    let named = filesystem.options.iter().any(|option| option.key.as_c_str() == c"mode");
    if filesystem.kind.as_c_str() != c"tmpfs" || named || target.origin == Origin::Made {
        return Ok(None);
    }
    let mode = fstat(&target.fd).call(|| "fstat")?.st_mode & 0o7777;
    let value = CString::new(format!("{mode:o}")).ok();
    Ok(Some(FsOption { key: c"mode".to_owned(), value }))
}

/// Whether the host's tree must be in sight when it is mounted: mount(2) finds its target by our `/proc`, and a device or a
/// directory that an option names is looked up then.
pub(super) fn needs_hosts_tree(filesystem: &Filesystem) -> bool {
    const KINDS_WITHOUT_PATHS: [&CStr; 5] = [c"proc", c"sysfs", c"tmpfs", c"devpts", c"mqueue"];
    needs_mount_2(filesystem) || !KINDS_WITHOUT_PATHS.contains(&&*filesystem.kind)
}

fn needs_mount_2(filesystem: &Filesystem) -> bool {
    let too_long = |text: &CString| text.as_bytes().len() > LONGEST_FSCONFIG_STRING;
    too_long(&filesystem.source)
        || filesystem.options.iter().any(|option| option.value.as_ref().is_some_and(too_long))
}

/// mount(2) takes strings of any length, but only a place that is in sight: the mount is made on `target`, copied, and taken
/// off again, so that it gets there like every other.
fn detached_by_mount_2(
    target: &Target,
    filesystem: &Filesystem,
    mode: Option<&FsOption>,
) -> Result<OwnedFd> {
    call_mount_2(filesystem, mode, target.fd.as_fd(), mount_2_flags(filesystem))?;
    let made = safe_path::open_what_covers(target.fd.as_fd())?;
    let copy = mount_api::clone_tree(made.as_fd(), c"", Reach::One)
        .call(|| format!("open_tree({:?}, OPEN_TREE_CLONE)", filesystem.kind));
    umount2(path_of(made.as_fd()).as_str(), MntFlags::MNT_DETACH)
        .call(|| format!("umount2({:?}, MNT_DETACH)", filesystem.kind))?;
    copy
}

/// The path by which a call finds the file that `fd` is open on.
fn path_of(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn call_mount_2(
    filesystem: &Filesystem,
    mode: Option<&FsOption>,
    target: BorrowedFd<'_>,
    flags: MsFlags,
) -> Result<()> {
    let mut data = Vec::new();
    for option in filesystem.options.iter().chain(mode) {
        if !data.is_empty() {
            data.push(b',');
        }
        data.extend_from_slice(option.key.as_bytes());
        if let Some(value) = &option.value {
            data.push(b'=');
            push_value(&mut data, &option.key, value);
        }
    }
    nix::mount::mount(
        Some(filesystem.source.as_c_str()),
        path_of(target).as_str(),
        Some(filesystem.kind.as_c_str()),
        flags,
        Some(data.as_slice()),
    )
    .call(|| {
        format!("mount({:?}, {flags:?}, {:?})", filesystem.kind, String::from_utf8_lossy(&data))
    })
}

/// The categories of a label have commas among them, which separate options unless they are quoted.
fn push_value(data: &mut Vec<u8>, key: &CStr, value: &CStr) {
    let quote: &[u8] = if key.to_bytes().ends_with(b"context") { b"\"" } else { b"" };
    data.extend_from_slice(&[quote, value.to_bytes(), quote].concat());
}

fn mount_2_flags(filesystem: &Filesystem) -> MsFlags {
    const ATTRIBUTES: &[(u64, MsFlags)] = &[
        (libc::MOUNT_ATTR_RDONLY, MsFlags::MS_RDONLY),
        (libc::MOUNT_ATTR_NOSUID, MsFlags::MS_NOSUID),
        (libc::MOUNT_ATTR_NODEV, MsFlags::MS_NODEV),
        (libc::MOUNT_ATTR_NOEXEC, MsFlags::MS_NOEXEC),
        (libc::MOUNT_ATTR_NOATIME, MsFlags::MS_NOATIME),
        (libc::MOUNT_ATTR_STRICTATIME, MsFlags::MS_STRICTATIME),
        (libc::MOUNT_ATTR_NODIRATIME, MsFlags::MS_NODIRATIME),
        // Linux 5.10.
        (libc::MOUNT_ATTR_NOSYMFOLLOW, MsFlags::from_bits_retain(libc::MS_NOSYMFOLLOW)),
    ];
    ATTRIBUTES
        .iter()
        .filter(|(attribute, _)| filesystem.attr.set & attribute != 0)
        .fold(MsFlags::from_bits_truncate(filesystem.super_block), |all, (_, flag)| all | *flag)
}
