//! statx(2): which mount a file lies on.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::stat::fstat;

/// The id of the mount that the open file lies on, as mountinfo numbers it (`STATX_MNT_ID`, Linux 5.8).
pub fn mount_id(file: impl AsFd) -> nix::Result<u64> {
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the path is an empty C string of static life, and `answer` has room for one structure.
    let result = unsafe {
        libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_MNT_ID, answer.as_mut_ptr())
    };
    Errno::result(result)?;
    // SAFETY: every bit pattern is a valid `statx`, it was zeroed, and the kernel has filled it.
    Ok(unsafe { answer.assume_init() }.stx_mnt_id)
}

/// Whether two open files are the same.
pub fn same_file(one: impl AsFd, other: impl AsFd) -> nix::Result<bool> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}
