//! The standard streams (stdio(3)) as plain descriptors.

use std::os::fd::{BorrowedFd, RawFd};

/// Descriptor 0.
pub fn input() -> BorrowedFd<'static> {
    open_for_good(libc::STDIN_FILENO)
}

/// Descriptor 1.
pub fn output() -> BorrowedFd<'static> {
    open_for_good(libc::STDOUT_FILENO)
}

/// Descriptor 2.
pub fn error() -> BorrowedFd<'static> {
    open_for_good(libc::STDERR_FILENO)
}

fn open_for_good(stream: RawFd) -> BorrowedFd<'static> {
    // SAFETY: no standard stream is closed when this program begins (`entry::begin`, or the start of `std`), and nobody owns
    // one, so none is closed later; another file may take its place.
    unsafe { BorrowedFd::borrow_raw(stream) }
}
