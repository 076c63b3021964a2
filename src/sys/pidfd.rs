//! Descriptors of processes: pidfd_open(2), pidfd_send_signal(2), waitid(2) with `P_PIDFD`.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::Result;
use nix::errno::Errno;

/// How a child ended (waitid(2), `si_code` and `si_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this status, 0 to 255.
    Exited(i32),
    /// This signal killed it, with or without a core dump.
    Killed(i32),
}

/// Opens a descriptor of process `pid`; it is close-on-exec (pidfd_open(2), Linux 5.3).
pub fn open(pid: libc::pid_t) -> Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A copy of descriptor `number` of the process, close-on-exec (pidfd_getfd(2), Linux 5.6).
pub fn get_descriptor(process: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd> {
    // SAFETY: pidfd_getfd takes three integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends `signal`, any number from 0 to 64, to the process (pidfd_send_signal(2), Linux 5.1).
pub fn send_signal(process: BorrowedFd<'_>, signal: libc::c_int) -> Result<()> {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null siginfo is allowed (the kernel fills it as kill(2) would); the rest are integers.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, no_info, 0)
    };
    Errno::result(result).map(drop)
}

/// Waits until our child has ended, and reaps it (waitid(2), `P_PIDFD`, Linux 5.4).
///
/// nix's own waitid can't name a real-time signal and fails after it has reaped the child.
pub fn wait(process: BorrowedFd<'_>) -> Result<Ended> {
    let id = libc::id_t::try_from(process.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: `info` is a valid place for one siginfo_t during the call.
        let result = unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), libc::WEXITED) };
        match Errno::result(result) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    // SAFETY: it was zeroed, all zeroes are a valid siginfo_t, and the kernel has filled it.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills the SIGCHLD members of the union, `si_status` among them.
    let status = unsafe { info.si_status() };
    match info.si_code {
        libc::CLD_EXITED => Ok(Ended::Exited(status)),
        _ => Ok(Ended::Killed(status)),
    }
}
