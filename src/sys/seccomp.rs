//! seccomp(2).

use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_uint, c_ulong, c_ushort, c_void};
use nix::errno::Errno;
use seccompiler::sock_filter;

/// `struct sock_fprog` of `linux/filter.h`.
#[repr(C)]
struct Program {
    length: c_ushort,
    instructions: *const sock_filter,
}

/// SECCOMP_SET_MODE_FILTER without a listener. `flags` is without SECCOMP_FILTER_FLAG_NEW_LISTENER (else EINVAL: the
/// descriptor would be lost).
pub fn set_filter(flags: u32, program: &[sock_filter]) -> nix::Result<()> {
    if c_ulong::from(flags) & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 {
        return Err(Errno::EINVAL);
    }
    set_mode_filter(flags, program).map(drop)
}

/// SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_NEW_LISTENER (Linux 5.0): the listener, close-on-exec.
pub fn set_filter_with_listener(flags: u32, program: &[sock_filter]) -> nix::Result<OwnedFd> {
    let listener = set_mode_filter(flags | NEW_LISTENER, program)?;
    // SAFETY: with this flag the kernel answers with a new descriptor, which nobody else knows of.
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}

/// Whether the kernel knows all these filter flags: with them, a program at a null address is EFAULT, else EINVAL
/// (as the kernel's own self tests ask).
pub fn knows_flags(flags: u32) -> bool {
    // SAFETY: the kernel reads nothing from a null pointer but refuses it.
    let answer = unsafe { seccomp(libc::SECCOMP_SET_MODE_FILTER, flags, ptr::null()) };
    answer == Err(Errno::EFAULT)
}

const NEW_LISTENER: u32 = 1 << 3;

fn set_mode_filter(flags: u32, program: &[sock_filter]) -> nix::Result<c_int> {
    let length = c_ushort::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let program = Program { length, instructions: program.as_ptr() };
    // SAFETY: the kernel copies `length` instructions, which the slice holds; `sock_filter` has the kernel's layout.
    unsafe { seccomp(libc::SECCOMP_SET_MODE_FILTER, flags, (&raw const program).cast()) }
}

/// # Safety
///
/// `argument` is what the operation reads.
unsafe fn seccomp(operation: c_uint, flags: u32, argument: *const c_void) -> nix::Result<c_int> {
    // SAFETY: the caller's promise; glibc has no wrapper, the arguments are those of the man page.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, argument) };
    Errno::result(answer).map(|answer| c_int::try_from(answer).expect("the kernel answers an int"))
}
