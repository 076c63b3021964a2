//! close_range(2), and whether a descriptor is one that our caller passed on.

use std::os::fd::RawFd;

use nix::errno::Errno;

/// What close_range(2) does with each descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Closes it now.
    Close,
    /// Marks it close-on-exec (Linux 5.11).
    CloseOnExec,
}

/// Acts on the open descriptors from `first` to `last`, both included.
///
/// With [`Action::Close`] the values that own them must not be used any more, nor be dropped: the caller is about to
/// `execve`, or has forgotten them.
pub fn close_range(first: RawFd, last: RawFd, action: Action) -> nix::Result<()> {
    let flags = match action {
        Action::Close => 0,
        Action::CloseOnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    let (first, last) = (first.max(0).unsigned_abs(), last.max(0).unsigned_abs());
    // SAFETY: the call takes integers only and touches no memory of ours; that closed descriptors have no living owner
    // is asked of the caller above.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    Errno::result(answer).map(drop)
}

/// Fails with `EBADF` when no descriptor of that number was passed on to this program: what came through execve(2) is not
/// close-on-exec, and all that we open ourselves is.
pub fn check_passed_on(descriptor: RawFd) -> nix::Result<()> {
    // SAFETY: F_GETFD only reads the descriptor's flags, whoever owns it, and answers EBADF if there is none.
    let flags = Errno::result(unsafe { libc::fcntl(descriptor, libc::F_GETFD) })?;
    match flags & libc::FD_CLOEXEC {
        0 => Ok(()),
        _ => Err(Errno::EBADF),
    }
}
