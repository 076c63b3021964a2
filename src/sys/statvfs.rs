//! statvfs(3): the attributes of the mount that a file lies on. nix knows fewer of them with musl than the kernel has.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// The mount's access times are kept relative to its changes; a number that musl has no name for.
pub const ST_RELATIME: u64 = 4096;

/// `ST_*` of the mount that the open file lies on.
pub fn mount_flags(file: BorrowedFd<'_>) -> nix::Result<u64> {
    let mut answer = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `answer` has room for one structure, and the descriptor is borrowed for the call.
    Errno::result(unsafe { libc::fstatvfs(file.as_raw_fd(), answer.as_mut_ptr()) })?;
    // SAFETY: every bit pattern is a valid `statvfs`, it was zeroed, and the call has filled it.
    Ok(unsafe { answer.assume_init() }.f_flag)
}
