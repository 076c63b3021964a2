//! prlimit(2).

use nix::errno::Errno;

/// Sets both values of a limit of process `pid` (0: the caller).
pub fn set(pid: libc::pid_t, resource: u32, soft: u64, hard: u64) -> nix::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let old = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: the kernel reads one structure that outlives the call, and writes nothing for a null old limit.
    let answer =
        unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, &raw const limit, old) };
    Errno::result(answer).map(drop)
}
