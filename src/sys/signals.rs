//! Signal dispositions; masks and signalfd(2) are `nix`'s.

use std::mem::MaybeUninit;

use nix::errno::Errno;

/// The highest signal number (signal(7)).
const LAST_SIGNAL: libc::c_int = 64;

/// Gives every signal its default disposition.
///
/// execve(2) resets handlers, but keeps what is ignored; Rust ignores SIGPIPE, and a caller may have ignored SIGHUP.
pub fn reset_dispositions() {
    for signal in 1..=LAST_SIGNAL {
        if is_ignored(signal) {
            let _ = set_default(signal);
        }
    }
}

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action the call only fills the old one, which has the right type and lives long enough.
    let answer = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: every bit pattern is a valid `sigaction`, and it was zeroed in case the call failed (the C library keeps
    // two signals for itself).
    let action = unsafe { action.assume_init() };
    answer == 0 && action.sa_sigaction == libc::SIG_IGN
}

fn set_default(signal: libc::c_int) -> nix::Result<()> {
    // SAFETY: all-zero bits are a valid `sigaction`: SIG_DFL, no flags, an empty mask.
    let action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the new action outlives the call, the old one is not asked for, and SIG_DFL runs no code of ours.
    Errno::result(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) })
        .map(drop)
}
