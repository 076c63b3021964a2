//! Signal dispositions; masks and signalfd(2) are `nix`'s.

use nix::errno::Errno;
use nix::sys::signal::Signal;

/// The highest signal number (signal(7)).
const LAST_SIGNAL: libc::c_int = 64;

/// rt_sigaction(2)'s own structure on x86_64 and aarch64: the handler, then flags, restorer and mask.
#[repr(C)]
struct Action {
    handler: libc::sighandler_t,
    rest: [u64; 3],
}

const DEFAULT: Action = Action { handler: libc::SIG_DFL, rest: [0; 3] };

/// Gives every signal that is ignored its default disposition.
///
/// execve(2) resets handlers, but keeps what is ignored: Rust ignores SIGPIPE, `nohup` SIGHUP, and glibc's posix_spawn(3),
/// by which a caller may have started us, signals 32 and 33, which the C library's own sigaction(3) would not let us touch.
pub fn reset_dispositions() {
    for signal in 1..=LAST_SIGNAL {
        if is_ignored(signal) {
            // It can't fail: only SIGKILL and SIGSTOP have no disposition, and those are never ignored.
            let _ = reset(signal);
        }
    }
}

/// Gives one signal its default disposition.
pub fn set_default(signal: Signal) {
    // It can't fail but for SIGKILL and SIGSTOP, whose disposition is always the default.
    let _ = reset(signal as libc::c_int);
}

/// Ignores one signal.
pub fn ignore(signal: Signal) {
    let ignored = Action { handler: libc::SIG_IGN, ..DEFAULT };
    // SAFETY: the new action outlives the call, the old one is not asked for, and SIG_IGN runs no code of ours. It can't
    // fail but for SIGKILL and SIGSTOP, which nobody ignores.
    let _ =
        unsafe { rt_sigaction(signal as libc::c_int, &raw const ignored, std::ptr::null_mut()) };
}

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = DEFAULT;
    let new = std::ptr::null::<Action>();
    // SAFETY: with a null new action the call only fills the old one, which is as long as the kernel's structure.
    let answer = unsafe { rt_sigaction(signal, new, &raw mut action) };
    answer.is_ok() && action.handler == libc::SIG_IGN
}

fn reset(signal: libc::c_int) -> nix::Result<()> {
    // SAFETY: the new action outlives the call, the old one is not asked for, and SIG_DFL runs no code of ours.
    unsafe { rt_sigaction(signal, &DEFAULT, std::ptr::null_mut()) }
}

/// # Safety
/// As for rt_sigaction(2): each pointer is null or to an [`Action`], and a new handler is sound to run at any time.
unsafe fn rt_sigaction(
    signal: libc::c_int,
    new: *const Action,
    old: *mut Action,
) -> nix::Result<()> {
    let mask_bytes = size_of::<u64>();
    // SAFETY: asked of the caller; the kernel's signal mask has 64 bits on both architectures.
    let answer = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old, mask_bytes) };
    Errno::result(answer).map(drop)
}
