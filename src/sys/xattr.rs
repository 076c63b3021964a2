//! Extended attributes (xattr(7)).

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// Sets the attribute `name` of an open file, which must not be open for its path alone (O_PATH).
pub fn set(file: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> nix::Result<()> {
    // SAFETY: the name is a C string, and the kernel reads `value.len()` bytes of `value`; both outlive the call.
    let result = unsafe {
        libc::fsetxattr(file.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
    Errno::result(result).map(drop)
}
