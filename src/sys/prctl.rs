//! prctl(2) operations on the bounding and ambient capability sets. Those that `nix` has (`PR_SET_NO_NEW_PRIVS`,
//! `PR_SET_KEEPCAPS`, `PR_SET_DUMPABLE`, `PR_SET_PDEATHSIG`, ...) are called there.

use nix::errno::Errno;

/// The highest number a capability can have: the kernel's sets have 64 bits.
pub const MAX_CAPABILITY: u8 = 63;

/// Whether `capability` is in the bounding set; `EINVAL` when the kernel has no such capability.
pub fn bounding_read(capability: u8) -> nix::Result<bool> {
    prctl(libc::PR_CAPBSET_READ, capability.into(), 0).map(|answer| answer == 1)
}

/// Takes `capability` out of the bounding set, for good. Needs `CAP_SETPCAP`.
pub fn bounding_drop(capability: u8) -> nix::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, capability.into(), 0).map(drop)
}

/// Puts `capability` into the ambient set; it must be permitted and inheritable (`EPERM`).
pub fn ambient_raise(capability: u8) -> nix::Result<()> {
    let operation = unsigned(libc::PR_CAP_AMBIENT_RAISE);
    prctl(libc::PR_CAP_AMBIENT, operation, capability.into()).map(drop)
}

/// Empties the ambient set.
pub fn ambient_clear() -> nix::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, unsigned(libc::PR_CAP_AMBIENT_CLEAR_ALL), 0).map(drop)
}

fn unsigned(constant: libc::c_int) -> libc::c_ulong {
    libc::c_ulong::from(constant.unsigned_abs())
}

fn prctl(option: libc::c_int, second: libc::c_ulong, third: libc::c_ulong) -> nix::Result<i32> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the options used here take integers only; the kernel wants the unused arguments to be zero.
    Errno::result(unsafe { libc::prctl(option, second, third, zero, zero) })
}
