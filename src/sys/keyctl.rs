//! keyctl(2) on session keyrings.

use std::ffi::CStr;

use nix::errno::Errno;

/// `KEYCTL_DESCRIBE` writes `keyring;uid;gid;permissions;name`; a longer answer is cut.
const DESCRIPTION_BYTES: usize = 512;

/// The serial number of a key or keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial(libc::c_long);

/// Joins the session keyring of that name, made if there is none.
pub fn join_session_keyring(name: &CStr) -> nix::Result<Serial> {
    let operation = libc::c_long::from(libc::KEYCTL_JOIN_SESSION_KEYRING);
    // SAFETY: the name is a C string that outlives the call, which only reads it.
    let answer = unsafe { libc::syscall(libc::SYS_keyctl, operation, name.as_ptr(), 0, 0, 0) };
    Errno::result(answer).map(Serial)
}

/// What the kernel says of a key: `type;uid;gid;permissions;description`, permissions in hexadecimal.
pub fn describe(key: Serial) -> nix::Result<String> {
    let mut buffer = [0u8; DESCRIPTION_BYTES];
    let operation = libc::c_long::from(libc::KEYCTL_DESCRIBE);
    // SAFETY: the kernel writes at most the length given into a buffer of that length.
    let answer = unsafe {
        libc::syscall(libc::SYS_keyctl, operation, key.0, buffer.as_mut_ptr(), buffer.len(), 0)
    };
    let length = usize::try_from(Errno::result(answer)?).unwrap_or(0).min(buffer.len());
    let text = buffer[..length].split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Sets the permissions of a key (keyctl_setperm(3)).
pub fn set_permissions(key: Serial, permissions: u32) -> nix::Result<()> {
    let operation = libc::c_long::from(libc::KEYCTL_SETPERM);
    // SAFETY: the operation takes integers only.
    let answer = unsafe {
        libc::syscall(libc::SYS_keyctl, operation, key.0, libc::c_ulong::from(permissions), 0, 0)
    };
    Errno::result(answer).map(drop)
}
