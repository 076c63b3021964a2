//! Which descriptors survive into the container.

use std::os::fd::RawFd;

use crate::error::{Call, Result};
use crate::sys::close_range::{Action, check_passed_on, close_range};

/// The descriptor after standard input, output and error.
pub const FIRST_AFTER_STDIO: RawFd = 3;

/// Marks every descriptor from `first` on close-on-exec, but for `except`.
pub fn close_on_exec_from(first: RawFd, except: &[RawFd]) -> Result<()> {
    act(first, except, Action::CloseOnExec)
}

/// Closes every descriptor from `first` on, but for `except`, right before execve: a path such as `/proc/self/fd/7/bin/sh`
/// is looked up before the kernel closes what is close-on-exec (CVE-2024-21626).
///
/// Values that own the closed ones must be forgotten, not dropped, if the program goes on after all.
pub fn close_all_from(first: RawFd, except: &[RawFd]) -> Result<()> {
    act(first, except, Action::Close)
}

/// Checks that the `count` descriptors from `first` on, which the caller wants the container to have, are open, and none of
/// them is ours.
pub fn check_preserved(first: RawFd, count: u32) -> Result<()> {
    for (index, descriptor) in (0..count).zip(first..) {
        check_passed_on(descriptor)
            .call(|| format!("unable to stat preserved-fd {index} (of {count})"))?;
    }
    Ok(())
}

fn act(first: RawFd, except: &[RawFd], action: Action) -> Result<()> {
    for (first, last) in gaps(first, except) {
        close_range(first, last, action)
            .call(|| format!("close_range({first}, {last}, {action:?})"))?;
    }
    Ok(())
}

/// The ranges from `first` on that have none of `except` in them.
fn gaps(mut first: RawFd, except: &[RawFd]) -> Vec<(RawFd, RawFd)> {
    let mut kept: Vec<RawFd> = except.iter().copied().filter(|kept| *kept >= first).collect();
    kept.sort_unstable();
    let mut gaps = Vec::with_capacity(kept.len() + 1);
    for kept in kept {
        if kept > first {
            gaps.push((first, kept - 1));
        }
        first = kept + 1;
    }
    gaps.push((first, RawFd::MAX));
    gaps
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn the_ranges_leave_out_exactly_the_exceptions() {
        let end = RawFd::MAX;
        assert_eq!(gaps(3, &[]), [(3, end)]);
        assert_eq!(gaps(3, &[3]), [(4, end)]);
        assert_eq!(gaps(3, &[7, 5]), [(3, 4), (6, 6), (8, end)]);
        assert_eq!(gaps(5, &[0, 1, 2, 6]), [(5, 5), (7, end)]);
        assert_eq!(gaps(3, &[4, 4]), [(3, 3), (5, end)]);
    }

    #[test]
    fn a_descriptor_that_is_not_there_is_told_by_its_index() {
        let error = check_preserved(100_000, 2).unwrap_err();
        assert_eq!(error.to_string(), "unable to stat preserved-fd 0 (of 2): bad file descriptor");
        assert!(check_preserved(0, 3).is_ok());
        assert!(check_preserved(100_000, 0).is_ok());
    }

    #[test]
    fn our_own_descriptor_is_none_that_was_passed_on() {
        let own = std::fs::File::open("/dev/null").unwrap();
        assert!(check_preserved(own.as_raw_fd(), 1).is_err());
    }
}
