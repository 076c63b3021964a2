//! sched_setattr(2), sched_setaffinity(2), ioprio_set(2), set_mempolicy(2), personality(2).

use nix::errno::Errno;

/// What sched_setattr(2) takes; meanings and units as there (nanoseconds for the three times).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `SCHED_OTHER` and the like.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// For `SCHED_OTHER` and `SCHED_BATCH`.
    pub nice: i32,
    /// For `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// For `SCHED_DEADLINE`.
    pub runtime: u64,
    /// For `SCHED_DEADLINE`.
    pub deadline: u64,
    /// For `SCHED_DEADLINE`.
    pub period: u64,
}

/// The first published layout of `sched_attr`, without utilisation clamps.
const SCHED_ATTR_SIZE: u32 = 48;

/// Sets the scheduler of the calling thread.
pub fn set_attributes(attributes: &Attributes) -> nix::Result<()> {
    let mut attr = libc::sched_attr {
        size: SCHED_ATTR_SIZE,
        sched_policy: attributes.policy,
        sched_flags: attributes.flags,
        sched_nice: attributes.nice,
        sched_priority: attributes.priority,
        sched_runtime: attributes.runtime,
        sched_deadline: attributes.deadline,
        sched_period: attributes.period,
    };
    // SAFETY: the kernel reads `size` bytes of the structure, which is that long, and may write its size back.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw mut attr, 0) };
    Errno::result(answer).map(drop)
}

/// Lets the thread `pid` (0: the caller) run on the processors whose bits are set; the kernel takes those of them that
/// its cpuset allows, and `EINVAL` says there are none.
pub fn set_affinity(pid: libc::pid_t, mask: &[u64]) -> nix::Result<()> {
    // SAFETY: the kernel reads as many bytes as the mask has.
    let answer = unsafe {
        libc::syscall(libc::SYS_sched_setaffinity, pid, size_of_val(mask), mask.as_ptr())
    };
    Errno::result(answer).map(drop)
}

/// `IOPRIO_WHO_PROCESS` of ioprio_set(2).
const IOPRIO_WHO_PROCESS: libc::c_int = 1;

/// Sets the I/O priority value of the calling thread.
pub fn set_io_priority(value: u32) -> nix::Result<()> {
    // SAFETY: the call takes integers only.
    let answer = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) };
    Errno::result(answer).map(drop)
}

/// Sets the memory policy of the calling thread: a mode with its flags, and a bit per node.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> nix::Result<()> {
    // The kernel takes one bit less than it is told (get_nodes() in mm/mempolicy.c).
    let bits = if nodes.is_empty() { 0 } else { size_of_val(nodes) * 8 + 1 };
    let mask = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: the kernel reads `bits - 1` bits, which are as many as the slice has, or none from a null pointer.
    let answer = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) };
    Errno::result(answer).map(drop)
}

/// Sets the execution domain of the calling thread.
pub fn set_personality(persona: u32) -> nix::Result<()> {
    // SAFETY: the call takes an integer only.
    Errno::result(unsafe { libc::personality(persona.into()) }).map(drop)
}
