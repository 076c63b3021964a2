//! Extended attributes (xattr(7)).

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// Sets the attribute `name` of an open file; fsetxattr(2) would refuse one that is open for its path alone (O_PATH).
pub fn set(file: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> nix::Result<()> {
    let path =
        CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|_| Errno::EINVAL)?;
    // SAFETY: path and name are C strings, and the kernel reads `value.len()` bytes of `value`; all of them outlive the
    // call.
    let result = unsafe {
        libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::fcntl::{OFlag, open};
    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn a_file_that_is_open_for_its_path_gets_its_attribute() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let fd = open(file.path(), OFlag::O_PATH, Mode::empty()).unwrap();
        set(fd.as_fd(), c"user.etui", b"value").unwrap();
        let path = CString::new(file.path().to_str().unwrap()).unwrap();
        let mut value = [0u8; 16];
        // SAFETY: both are C strings, and `value` has room for what the length says.
        let length = unsafe {
            libc::getxattr(
                path.as_ptr(),
                c"user.etui".as_ptr(),
                value.as_mut_ptr().cast(),
                value.len(),
            )
        };
        assert_eq!(&value[..usize::try_from(length).unwrap()], b"value");
    }
}
