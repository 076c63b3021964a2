//! The files of a cgroup that announce their changes (`cgroup.events`, `memory.events`): lines of `key value`, and
//! poll(2) with POLLPRI whenever one changes.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Directory;
use crate::error::{Call, Result};

/// An open file of events.
#[derive(Debug)]
pub struct EventsFile {
    file: File,
    path: std::path::PathBuf,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// What was waited for is so; or the cgroup is gone.
    Reached,
    /// The time is over.
    TimedOut,
}

impl EventsFile {
    /// Opens the file `name` of a cgroup.
    pub fn open(directory: &Directory, name: &str) -> Result<Self> {
        let path = directory.path().join(name);
        let fd = directory
            .open_file(name, OFlag::O_RDONLY)
            .call(|| format!("open({path:?}, O_RDONLY)"))?;
        Ok(EventsFile { file: File::from(fd), path })
    }

    /// The number that stands at `key` now; `None` when the file has no such key or the cgroup is gone. Reading is also
    /// what tells the kernel that the change was seen.
    pub fn value(&self, key: &str) -> Result<Option<u64>> {
        let mut text = [0; 512];
        let length = match self.file.read_at(&mut text, 0) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
            outcome => outcome.call(|| format!("read({:?})", self.path))?,
        };
        let text = String::from_utf8_lossy(&text[..length]);
        Ok(flat_keyed(&text).find(|(name, _)| *name == key).map(|(_, value)| value))
    }

    /// Waits until `key` is `value`, or the cgroup is gone, or the deadline has passed.
    pub(super) fn wait_until(&self, key: &str, value: u64, deadline: Instant) -> Result<Waited> {
        while self.value(key)?.is_some_and(|now| now != value) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Waited::TimedOut);
            }
            wait_for_change(&[self.as_fd()], left)?;
        }
        Ok(Waited::Reached)
    }
}

impl AsFd for EventsFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Sleeps until one of the files changes, `limit` has passed or a signal came; which it was, reading tells.
pub fn wait_for_change(files: &[BorrowedFd<'_>], limit: Duration) -> Result<()> {
    let mut files: Vec<PollFd<'_>> =
        files.iter().map(|file| PollFd::new(*file, PollFlags::POLLPRI)).collect();
    // Rounded up: a wait of less than a millisecond must not become a busy loop.
    let milliseconds = i32::try_from(limit.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    match poll(&mut files, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno).call(|| format!("poll(POLLPRI, {milliseconds})")),
    }
}

/// The lines of a "flat keyed" file (cgroup-v2.rst, "Interface Files").
pub(super) fn flat_keyed(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}
