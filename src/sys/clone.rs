//! clone3(2) with fork semantics.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

/// `CLONE_INTO_CGROUP` of <linux/sched.h> (Linux 5.7); libc's constant does not fit its own type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the new process is, beside a copy of this one.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneArgs<'fd> {
    /// `CLONE_NEW*` and `CLONE_PARENT`; the pidfd and the cgroup are asked for by what stands below.
    pub flags: u64,
    /// The cgroup v2 directory it is born in (`CLONE_INTO_CGROUP`, Linux 5.7).
    pub cgroup: Option<BorrowedFd<'fd>>,
}

/// Which of the two processes this is now.
#[derive(Debug)]
pub enum Birth {
    /// The new one.
    Child,
    /// The old one.
    Parent {
        /// The new one's id, as the old one's pid namespace numbers it.
        pid: Pid,
        /// Refers to the new one whatever happens to its number.
        pidfd: OwnedFd,
    },
}

/// Makes a new process that continues here, in a copy of this one's memory.
///
/// The caller has one thread: a lock that another thread holds would stay locked in the child for ever.
pub fn clone3(args: CloneArgs<'_>) -> nix::Result<Birth> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: clone_args is plain old data for which all zeroes is valid and means "nothing asked".
    let mut raw: libc::clone_args = unsafe { std::mem::zeroed() };
    raw.flags = args.flags | libc::CLONE_PIDFD as u64;
    raw.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    // With CLONE_PARENT the exit signal is the one of this process; the kernel wants zero then.
    let sibling = args.flags & libc::CLONE_PARENT as u64 != 0;
    raw.exit_signal = if sibling { 0 } else { libc::SIGCHLD as u64 };
    if let Some(cgroup) = args.cgroup {
        raw.flags |= CLONE_INTO_CGROUP;
        raw.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    }
    // SAFETY: without CLONE_VM and a stack the child runs on a copy of this stack, as after fork(2); `raw` and `pidfd`
    // outlive the call and the size is that of the structure passed.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const raw, size_of_val(&raw)) };
    match Errno::result(result)? {
        0 => Ok(Birth::Child),
        pid => Ok(Birth::Parent {
            pid: Pid::from_raw(i32::try_from(pid).map_err(|_| Errno::EOVERFLOW)?),
            // SAFETY: the kernel stored a new descriptor there, which nothing else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}
