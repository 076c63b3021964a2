//! A new instance of a file system: configured in a context of its own (fsopen(2)), mounted detached, put in place.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sys::stat::fstat;

use super::{CgroupView, CopyUp, Filesystem, MountAttr, Reach, Tree};
use super::{clone_host_path, copy_up, place, set_attr};
use crate::error::{Call, Context, Error, Result};
use crate::kernel::lsm;
use crate::kernel::safe_path::{self, Missing};
use crate::sys::mount_api;

/// fsconfig(2) takes strings of at most 255 bytes; a longer one (an overlay's `lowerdir`) needs mount(2).
const LONGEST_FSCONFIG_STRING: usize = 255;

/// Flags of a super block that a file system context knows by name; the others need mount(2).
const NAMED_SUPER_BLOCK_FLAGS: &[(MsFlags, &CStr)] = &[
    (MsFlags::MS_SYNCHRONOUS, c"sync"),
    (MsFlags::MS_DIRSYNC, c"dirsync"),
    (MsFlags::MS_LAZYTIME, c"lazytime"),
    (MsFlags::MS_MANDLOCK, c"mand"),
];

/// Mounts a new instance of `filesystem` on `destination`.
pub(super) fn attach(
    tree: &mut Tree,
    destination: &Path,
    filesystem: &Filesystem,
) -> Result<OwnedFd> {
    if needs_mount_2(filesystem) {
        return mount_2(tree, destination, filesystem);
    }
    let context = configure(filesystem, inherited_mode(tree, destination, filesystem)?)?;
    let mount = mount_api::fsmount(context.as_fd(), filesystem.attr.set)
        .call(|| format!("fsmount({:?})", filesystem.kind))
        .map_err(|error| explain(error, filesystem))?;
    if let Some(label) = &filesystem.root_label {
        lsm::label_directory(mount.as_fd(), label)?;
    }
    match filesystem.kind.to_bytes() {
        b"proc" | b"sysfs" => place::ordinary_directory(tree, destination, mount),
        _ => {
            if filesystem.copy_up == CopyUp::Yes {
                copy_up::copy(tree.root(), destination, mount.as_fd())?;
            }
            place::directory(tree, destination, mount)
        }
    }
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
    call_mount_2(filesystem, target, flags)
}

fn configure(filesystem: &Filesystem, mode: Option<CString>) -> Result<OwnedFd> {
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
    for option in &filesystem.options {
        match &option.value {
            Some(value) => set_string(fd, &option.key, value)?,
            None => set_flag(fd, &option.key)?,
        }
    }
    if let Some(mode) = mode {
        set_string(fd, c"mode", &mode)?;
    }
    for (flag, name) in NAMED_SUPER_BLOCK_FLAGS {
        if filesystem.super_block & flag.bits() != 0 {
            set_flag(fd, name)?;
        }
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

/// A context keeps messages for whoever reads it: `e tmpfs: Bad value for 'size'`.
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
fn inherited_mode(
    tree: &Tree,
    destination: &Path,
    filesystem: &Filesystem,
) -> Result<Option<CString>> {
    let named = filesystem.options.iter().any(|option| option.key.as_c_str() == c"mode");
    if filesystem.kind.as_c_str() != c"tmpfs" || named {
        return Ok(None);
    }
    let Some(covered) = safe_path::find(tree.root(), destination)? else { return Ok(None) };
    let mode = fstat(&covered).call(|| "fstat")?.st_mode & 0o7777;
    Ok(CString::new(format!("{mode:o}")).ok())
}

/// Whether the host's tree must be in sight when it is mounted: mount(2) finds its target by our `/proc`, and a device or a
/// directory that an option names is looked up then.
pub(super) fn needs_hosts_tree(filesystem: &Filesystem) -> bool {
    const KINDS_WITHOUT_PATHS: [&CStr; 5] = [c"proc", c"sysfs", c"tmpfs", c"devpts", c"mqueue"];
    needs_mount_2(filesystem) || !KINDS_WITHOUT_PATHS.contains(&&*filesystem.kind)
}

fn needs_mount_2(filesystem: &Filesystem) -> bool {
    let too_long = |text: &CString| text.as_bytes().len() > LONGEST_FSCONFIG_STRING;
    let named = NAMED_SUPER_BLOCK_FLAGS.iter().fold(0, |all, (flag, _)| all | flag.bits());
    filesystem.super_block & !named != 0
        || filesystem.options.iter().any(|option| option.value.as_ref().is_some_and(too_long))
}

/// The one way that needs the target before the mount: mount(2), through the target's descriptor.
fn mount_2(tree: &mut Tree, destination: &Path, filesystem: &Filesystem) -> Result<OwnedFd> {
    let target = safe_path::open_or_make(tree.root(), destination, Missing::Directory)?;
    call_mount_2(filesystem, target.as_fd(), mount_2_flags(filesystem))?;
    place::existing(tree, destination).context("open what was just mounted")
}

fn call_mount_2(filesystem: &Filesystem, target: BorrowedFd<'_>, flags: MsFlags) -> Result<()> {
    let mut data = Vec::new();
    for option in &filesystem.options {
        if !data.is_empty() {
            data.push(b',');
        }
        data.extend_from_slice(option.key.as_bytes());
        if let Some(value) = &option.value {
            data.push(b'=');
            push_value(&mut data, &option.key, value);
        }
    }
    let path = format!("/proc/self/fd/{}", target.as_raw_fd());
    nix::mount::mount(
        Some(filesystem.source.as_c_str()),
        path.as_str(),
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
    ];
    ATTRIBUTES
        .iter()
        .filter(|(attribute, _)| filesystem.attr.set & attribute != 0)
        .fold(MsFlags::from_bits_truncate(filesystem.super_block), |all, (_, flag)| all | *flag)
}
