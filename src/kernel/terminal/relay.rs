//! Between the terminal etui was started on and the container's: bytes both ways, the size one way.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::error::{Call, Error, Result};
use crate::sys::ioctl;

/// The most that is read or written at once: a pipe that polls as writable takes this much without blocking (pipe(7),
/// `PIPE_BUF`). Our own streams are shared with the caller, so they must not be made non-blocking.
const CHUNK: usize = 4096;

/// The most that waits for a slow side before nothing more is read from the other one.
const HIGH_WATER: usize = 64 * 1024;

/// How long a terminal that others still hold must be silent before it counts as done.
const SILENCE: Duration = Duration::from_millis(50);

/// The caller's terminal without line editing, echo and signal keys; as it was when this is dropped.
#[derive(Debug)]
struct RawMode {
    terminal: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Enters raw mode, or does nothing when `stream` is no terminal. A line feed of any program's is still shown as a new
    /// line.
    fn enter(stream: BorrowedFd<'_>) -> Result<Option<RawMode>> {
        let Ok(before) = tcgetattr(stream) else { return Ok(None) };
        let terminal = stream.try_clone_to_owned().call(|| "dup(terminal)")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        raw.output_flags |= OutputFlags::OPOST;
        tcsetattr(&terminal, SetArg::TCSANOW, &raw).call(|| "tcsetattr(raw)")?;
        Ok(Some(RawMode { terminal, before }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing better can be done with a terminal that is gone.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}

/// One direction: what was read and is not yet written.
#[derive(Debug, Default)]
struct Way {
    waiting: VecDeque<u8>,
    /// Whether the side that is read has ended.
    ended: bool,
}

impl Way {
    fn wants_to_read(&self) -> bool {
        !self.ended && self.waiting.len() < HIGH_WATER
    }

    fn wants_to_write(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Reads one chunk.
    fn read(&mut self, from: BorrowedFd<'_>) -> Result<()> {
        let mut chunk = [0; CHUNK];
        match nix::unistd::read(from, &mut chunk) {
            // EIO: every slave is closed (pty(7)), or our own terminal has hung up.
            Ok(0) | Err(Errno::EIO) => self.ended = true,
            Ok(bytes) => self.waiting.extend(&chunk[..bytes]),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("read(terminal)", errno)),
        }
        Ok(())
    }

    /// Writes one chunk; a reader that is gone is written to no more.
    fn write(&mut self, to: BorrowedFd<'_>) -> Result<()> {
        let (front, _) = self.waiting.as_slices();
        match nix::unistd::write(to, &front[..front.len().min(CHUNK)]) {
            Ok(bytes) => drop(self.waiting.drain(..bytes)),
            Err(Errno::EPIPE | Errno::EIO) => self.waiting.clear(),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("write(terminal)", errno)),
        }
        Ok(())
    }
}

/// Carries bytes between our standard streams and a container's terminal, a step at a time.
///
/// Whoever drives it polls [`Relay::poll_fds`] beside whatever else it waits for, then calls [`Relay::pump`].
#[derive(Debug)]
pub struct Relay {
    master: OwnedFd,
    input: OwnedFd,
    output: OwnedFd,
    inwards: Way,
    outwards: Way,
    /// Our own terminal, given back when this is dropped.
    _raw_mode: Option<RawMode>,
}

impl Relay {
    /// Between our standard streams and `master`. A terminal of ours is in raw mode meanwhile, and its size is passed on.
    pub fn new(master: OwnedFd) -> Result<Relay> {
        let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
        let mut relay = Relay::between(master, stdin.as_fd(), stdout.as_fd())?;
        relay._raw_mode = RawMode::enter(stdin.as_fd())?;
        relay.resize()?;
        Ok(relay)
    }

    /// Between two streams and `master`, which is ours alone.
    pub fn between(
        master: OwnedFd,
        input: BorrowedFd<'_>,
        output: BorrowedFd<'_>,
    ) -> Result<Relay> {
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))
            .call(|| "fcntl(master, F_SETFL, O_NONBLOCK)")?;
        leave_line_feeds(&master)?;
        Ok(Relay {
            master,
            input: input.try_clone_to_owned().call(|| "dup(stdin)")?,
            output: output.try_clone_to_owned().call(|| "dup(stdout)")?,
            inwards: Way::default(),
            outwards: Way::default(),
            _raw_mode: None,
        })
    }

    /// Whether the container's terminal has hung up and all it said is written.
    pub fn is_done(&self) -> bool {
        self.outwards.ended && !self.outwards.wants_to_write()
    }

    /// What to wait for.
    pub fn poll_fds(&self) -> Vec<PollFd<'_>> {
        let when = |wanted: bool, flag: PollFlags| if wanted { flag } else { PollFlags::empty() };
        let master = when(self.outwards.wants_to_read(), PollFlags::POLLIN)
            | when(self.inwards.wants_to_write(), PollFlags::POLLOUT);
        let input = when(self.inwards.wants_to_read(), PollFlags::POLLIN);
        let output = when(self.outwards.wants_to_write(), PollFlags::POLLOUT);
        [(&self.master, master), (&self.input, input), (&self.output, output)]
            .into_iter()
            // A hang-up is told whatever is asked for: one that is not asked for would be told for ever.
            .filter(|(_, events)| !events.is_empty())
            .map(|(fd, events)| PollFd::new(fd.as_fd(), events))
            .collect()
    }

    /// Moves what can be moved now.
    pub fn pump(&mut self) -> Result<()> {
        if self.inwards.wants_to_read() && is_ready(&self.input, PollFlags::POLLIN)? {
            self.inwards.read(self.input.as_fd())?;
        }
        if self.inwards.wants_to_write() {
            self.inwards.write(self.master.as_fd())?;
        }
        if self.outwards.wants_to_read() {
            self.outwards.read(self.master.as_fd())?;
        }
        if self.outwards.wants_to_write() && is_ready(&self.output, PollFlags::POLLOUT)? {
            self.outwards.write(self.output.as_fd())?;
        }
        Ok(())
    }

    /// Writes what is left once the process has ended: up to the hang-up, or while others hold the terminal, up to a
    /// silence. A reader that does not read is waited for until there is `news` which are a reason to give up.
    pub fn drain(
        &mut self,
        news: BorrowedFd<'_>,
        is_over: &dyn Fn() -> Result<bool>,
    ) -> Result<()> {
        loop {
            while self.outwards.wants_to_write() {
                let mut fds = [
                    PollFd::new(self.output.as_fd(), PollFlags::POLLOUT),
                    PollFd::new(news, PollFlags::POLLIN),
                ];
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(errno) => return Err(Error::call("poll(terminal)", errno)),
                }
                let [writable, told] = fds.map(|fd| fd.any() == Some(true));
                if told && is_over()? {
                    return Ok(());
                }
                if writable {
                    self.outwards.write(self.output.as_fd())?;
                }
            }
            if self.outwards.ended || !wait(&self.master, PollFlags::POLLIN, SILENCE)? {
                return Ok(());
            }
            self.outwards.read(self.master.as_fd())?;
        }
    }

    /// Gives the container's terminal the size of ours, if we have one: after the start, and on each SIGWINCH.
    pub fn resize(&self) -> Result<()> {
        let ours = ioctl::window_size(&self.output).or_else(|_| ioctl::window_size(&self.input));
        let Ok(size) = ours else { return Ok(()) };
        super::set_size(self.master.as_fd(), size)
    }
}

fn is_ready(fd: &OwnedFd, events: PollFlags) -> Result<bool> {
    wait(fd, events, Duration::ZERO)
}

fn wait(fd: &OwnedFd, events: PollFlags, timeout: Duration) -> Result<bool> {
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(fd.as_fd(), events)], timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(Error::call("poll(terminal)", errno)),
    }
}

/// The container's terminal leaves line feeds to ours, which shows them as new lines; else there would be two returns a
/// line, and one in what is piped elsewhere.
fn leave_line_feeds(master: &OwnedFd) -> Result<()> {
    let mut settings = tcgetattr(master).call(|| "tcgetattr(master)")?;
    settings.output_flags.remove(OutputFlags::ONLCR);
    tcsetattr(master, SetArg::TCSANOW, &settings).call(|| "tcsetattr(master)")
}
