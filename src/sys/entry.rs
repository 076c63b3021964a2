//! The start of the program, without the Rust runtime's own: that prepares for threads and for stacks that overflow, which a
//! process of a few milliseconds pays for at each start (nine page faults and a dozen system calls), and this one starts twice.
//! What everybody relies on is done here too: no standard stream is closed, and SIGPIPE is ignored.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

use nix::sys::signal::Signal;

use super::signals;

static ARGUMENTS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Makes `$program`, which answers an exit code, the program's `main`; the crate is `no_main`.
#[macro_export]
macro_rules! entry_point {
    ($program:path) => {
        // SAFETY: the C library calls `main` by this name and with these arguments; the crate has no other one.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: std::ffi::c_int,
            arguments: *const *const std::ffi::c_char,
        ) -> std::ffi::c_int {
            // SAFETY: they are those of `main`.
            unsafe { $crate::sys::entry::begin(count, arguments) };
            std::process::exit($program())
        }
    };
}

/// Notes the arguments, and sees to the standard streams and SIGPIPE.
///
/// # Safety
/// `arguments` points to `count` strings that are there until the process ends, as those of `main` do.
pub unsafe fn begin(count: c_int, arguments: *const *const c_char) {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: asked of the caller.
    let arguments = unsafe { std::slice::from_raw_parts(arguments, count) };
    let argument = |&string: &*const c_char| {
        // SAFETY: asked of the caller.
        let string = unsafe { CStr::from_ptr(string) };
        OsString::from_vec(string.to_bytes().to_vec())
    };
    ARGUMENTS.get_or_init(|| arguments.iter().map(argument).collect());
    open_closed_streams();
    signals::ignore(Signal::SIGPIPE);
}

/// Opens the null device for each standard stream that is closed: what is opened next would take its number.
fn open_closed_streams() {
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the list has three entries, and outlives the call.
    unsafe { libc::poll(streams.as_mut_ptr(), 3, 0) };
    for _ in streams.iter().filter(|stream| stream.revents & libc::POLLNVAL != 0) {
        // SAFETY: the path ends in a zero. The lowest free number is that of a closed stream.
        if unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } < 0 {
            std::process::abort();
        }
    }
}

/// The words that this program was called with, its own name first; those of `std` in a program that began otherwise.
pub fn arguments() -> Vec<OsString> {
    ARGUMENTS.get().cloned().unwrap_or_else(|| std::env::args_os().collect())
}
