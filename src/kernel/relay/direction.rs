//! Bytes one way: what was read at one end and is not yet written at the other.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::tcgetsid;
use nix::unistd::{getpgrp, getsid, tcgetpgrp};

use crate::error::{Error, Result, describe};
use crate::warning::warn;

/// The most that is read or written at once: a pipe that polls as writable takes this much without blocking (pipe(7),
/// `PIPE_BUF`). Our own streams are shared with the caller, so they must not be made non-blocking.
const CHUNK: usize = 4096;

/// The most that waits for a slow side before nothing more is read from the other one.
const HIGH_WATER: usize = 64 * 1024;

/// Seen from the container. The end towards it is ours alone, and does not block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    Inwards,
    Outwards,
}

/// One direction, and both its ends.
#[derive(Debug)]
pub(super) struct Direction {
    pub sense: Sense,
    from: OwnedFd,
    to: OwnedFd,
    waiting: VecDeque<u8>,
    /// Whether the side that is read has ended.
    ended: bool,
    /// Whether it is read from a terminal that is another job's now (credentials(7)): nothing is read until it is ours again.
    background: bool,
    /// Whether the side that is written to is gone: what is still read is dropped.
    gone: bool,
}

impl Direction {
    pub fn new(sense: Sense, from: OwnedFd, to: OwnedFd) -> Self {
        Direction {
            sense,
            from,
            to,
            waiting: VecDeque::new(),
            ended: false,
            background: false,
            gone: false,
        }
    }

    /// Whether nothing will be written any more.
    pub fn is_over(&self) -> bool {
        self.gone || self.ended && self.waiting.is_empty()
    }

    pub fn wants_to_read(&self) -> bool {
        !self.ended && !self.background && self.waiting.len() < HIGH_WATER
    }

    /// Whether it waits for our terminal to be ours again.
    pub fn is_in_background(&self) -> bool {
        self.background
    }

    pub fn wants_to_write(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What to wait for. A hang-up is told whatever is asked for: one that is not asked for would be told for ever.
    pub fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        let reading =
            self.wants_to_read().then(|| PollFd::new(self.from.as_fd(), PollFlags::POLLIN));
        let writing =
            self.wants_to_write().then(|| PollFd::new(self.to.as_fd(), PollFlags::POLLOUT));
        reading.into_iter().chain(writing)
    }

    /// Moves what can be moved now.
    pub fn pump(&mut self) -> Result<()> {
        self.background = self.background && is_in_background(&self.from);
        let outwards = self.sense == Sense::Outwards;
        if self.wants_to_read() && (outwards || is_ready(&self.from, PollFlags::POLLIN)?) {
            self.read();
        }
        if self.wants_to_write() && (!outwards || is_ready(&self.to, PollFlags::POLLOUT)?) {
            self.write();
        }
        Ok(())
    }

    /// Reads one chunk. Whatever a stream can't be read for (EISDIR, EBADF; EIO: every slave of a terminal is closed, or our
    /// own has hung up), nothing more comes from it.
    fn read(&mut self) {
        let mut chunk = [0; CHUNK];
        match nix::unistd::read(&self.from, &mut chunk) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // We block SIGTTIN, and so are told EIO where others would be stopped.
            Err(Errno::EIO) if is_in_background(&self.from) => self.background = true,
            Ok(0) | Err(_) => self.ended = true,
            Ok(bytes) if !self.gone => self.waiting.extend(&chunk[..bytes]),
            Ok(_) => {}
        }
    }

    /// Writes one chunk; a reader that is gone is written to no more.
    fn write(&mut self) {
        let (front, _) = self.waiting.as_slices();
        match nix::unistd::write(&self.to, &front[..front.len().min(CHUNK)]) {
            Ok(bytes) => drop(self.waiting.drain(..bytes)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => self.give_up(errno),
        }
    }

    fn give_up(&mut self, errno: Errno) {
        if !matches!(errno, Errno::EPIPE | Errno::EIO | Errno::ECONNRESET) {
            let reason = describe(errno);
            warn(format!("standard streams: write: {reason}; what the container writes is lost"));
        }
        self.waiting.clear();
        self.gone = true;
    }
}

/// Whether `stream` is our controlling terminal, and its foreground process group is not ours. A terminal's master, whose
/// EIO means that the other side is closed, tells the foreground group of that side, but no session of ours.
pub(super) fn is_in_background(stream: impl AsFd) -> bool {
    tcgetsid(&stream).ok() == getsid(None).ok()
        && tcgetpgrp(&stream).is_ok_and(|foreground| foreground != getpgrp())
}

fn is_ready(fd: &OwnedFd, events: PollFlags) -> Result<bool> {
    match poll(&mut [PollFd::new(fd.as_fd(), events)], PollTimeout::ZERO) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(Error::call("poll(standard streams)", errno)),
    }
}
