//! Copies the content that a new tmpfs is about to hide up into it (`tmpcopyup`). Everything is done by descriptors:
//! the source is hostile, the copy not yet reachable by anyone.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::sendfile::sendfile;
use nix::sys::stat::{
    FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, fstat, fstatat,
    mkdirat, mknodat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

use crate::error::{Call, Context, Error, Result};

/// How deep a tree may be; every level holds two descriptors.
const DEEPEST: usize = 64;

/// Copies what `covered` shows into the detached mount `mount`; both may be open for their path alone.
pub(super) fn copy(covered: BorrowedFd<'_>, mount: BorrowedFd<'_>) -> Result<()> {
    let open = |directory, what: &str| {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(directory, c".", flags, Mode::empty()).call(|| format!("openat({what}, \".\")"))
    };
    let (source, target) = (open(covered, "what is covered")?, open(mount, "tmpfs")?);
    let status = fstat(&source).call(|| "fstat")?;
    copy_directory(&source, target.as_fd(), 0).context("copy up (tmpcopyup)")?;
    own(target.as_fd(), &status)
}

fn copy_directory(source: &OwnedFd, target: BorrowedFd<'_>, depth: usize) -> Result<()> {
    if depth == DEEPEST {
        return Err(Error::call("a tree too deep to copy", Errno::ELOOP));
    }
    let reader = source.try_clone().call(|| "dup")?;
    for entry in Dir::from_fd(reader).call(|| "fdopendir")?.iter() {
        let entry = entry.call(|| "readdir")?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(source.as_fd(), target, name, depth).with_context(|| format!("{name:?}"))?;
        }
    }
    Ok(())
}

fn copy_entry(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    name: &CStr,
    depth: usize,
) -> Result<()> {
    let status = fstatat(source, name, AtFlags::AT_SYMLINK_NOFOLLOW).call(|| "fstatat")?;
    let nofollow = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => {
            let flags = nofollow | OFlag::O_DIRECTORY | OFlag::O_RDONLY;
            let from = openat(source, name, flags, Mode::empty()).call(|| "openat")?;
            mkdirat(target, name, Mode::S_IRWXU).call(|| "mkdirat")?;
            let to = openat(target, name, flags, Mode::empty()).call(|| "openat")?;
            copy_directory(&from, to.as_fd(), depth + 1)?;
            own(to.as_fd(), &status)
        }
        SFlag::S_IFREG => {
            // Another kind of file may have taken its place: a pipe would block us, a device never end.
            let flags = nofollow | OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
            let from = openat(source, name, flags, Mode::empty()).call(|| "openat")?;
            let now = fstat(&from).call(|| "fstat")?;
            if (now.st_dev, now.st_ino) != (status.st_dev, status.st_ino) {
                return Err(Error::new("it was replaced while it was copied"));
            }
            let flags = nofollow | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
            let to = openat(target, name, flags, Mode::S_IRUSR).call(|| "openat")?;
            copy_bytes(from.as_fd(), to.as_fd())?;
            own(to.as_fd(), &status)
        }
        SFlag::S_IFLNK => {
            let link = readlinkat(source, name).call(|| "readlinkat")?;
            symlinkat(link.as_os_str(), target, name).call(|| "symlinkat")?;
            own_by_name(target, name, &status)
        }
        kind => {
            mknodat(target, name, kind, Mode::S_IRUSR, status.st_rdev).call(|| "mknodat")?;
            own_by_name(target, name, &status)?;
            fchmodat(target, name, permissions(&status), FchmodatFlags::FollowSymlink)
                .call(|| "fchmodat")
        }
    }
}

fn copy_bytes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    const CHUNK: usize = 1 << 20;
    while sendfile(to, from, None, CHUNK).call(|| "sendfile")? > 0 {}
    Ok(())
}

fn own(fd: BorrowedFd<'_>, status: &FileStat) -> Result<()> {
    fchown(fd, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))
        .call(|| "fchown")?;
    fchmod(fd, permissions(status)).call(|| "fchmod")
}

/// The times of a link or node are kept too; those of files and directories change with the copy, as with cp(1).
fn own_by_name(directory: BorrowedFd<'_>, name: &CStr, status: &FileStat) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    fchownat(directory, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
        .call(|| "fchownat")?;
    let accessed = TimeSpec::new(status.st_atime, status.st_atime_nsec);
    let modified = TimeSpec::new(status.st_mtime, status.st_mtime_nsec);
    utimensat(directory, name, &accessed, &modified, UtimensatFlags::NoFollowSymlink)
        .call(|| "utimensat")
}

fn permissions(status: &FileStat) -> Mode {
    Mode::from_bits_truncate(status.st_mode & 0o7777)
}
