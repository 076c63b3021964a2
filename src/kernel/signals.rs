//! Signals that are read instead of delivered, so that whoever waits for several things can wait for them too.

use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};

use crate::error::{Call, Error, Result};
use crate::sys::signals;

/// Signals by which a person, a service manager or a closing terminal ends a program.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Signals taken out of normal delivery; whoever holds a copy reads the same ones.
#[derive(Debug, Clone)]
pub struct Signals(Rc<SignalFd>);

impl Signals {
    /// Takes those that end a program.
    pub fn that_end_a_program() -> Result<Self> {
        Self::take(&ENDING.into_iter().collect())
    }

    /// Takes every signal that can be taken.
    pub fn all() -> Result<Self> {
        Self::take(&SigSet::all())
    }

    fn take(signals: &SigSet) -> Result<Self> {
        signals.thread_block().call(|| "sigprocmask(SIG_BLOCK)")?;
        SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .call(|| "signalfd()")
            .map(|descriptor| Signals(Rc::new(descriptor)))
    }

    /// The next one that has come, by number; none when there is none yet.
    pub fn next(&self) -> Result<Option<i32>> {
        loop {
            match self.0.read_signal() {
                Ok(Some(info)) if is_of_our_own_write(&info) => {}
                Ok(info) => return Ok(info.and_then(|info| i32::try_from(info.ssi_signo).ok())),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::call("read(signalfd)", errno)),
            }
        }
    }

    /// Waits until `fd`, called `name` in errors, has something to be read or has ended; an error once one has come that asks a
    /// program to end.
    pub fn wait_readable(&self, fd: BorrowedFd<'_>, name: &str) -> Result<()> {
        loop {
            let mut fds =
                [PollFd::new(fd, PollFlags::POLLIN), PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::call(format!("poll({name})"), errno)),
            }
            self.check_interrupted()?;
            if fds[0].any() == Some(true) {
                return Ok(());
            }
        }
    }

    /// An error once one has come that asks a program to end.
    pub fn check_interrupted(&self) -> Result<()> {
        while let Some(signal) = self.next()? {
            if ends_a_program(signal) {
                return Err(Error::new(format!(
                    "interrupted by {} before the program was executed",
                    name(signal)
                )));
            }
        }
        Ok(())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A write of ours found no reader (EPIPE): whoever made it knows already.
fn is_of_our_own_write(info: &siginfo) -> bool {
    info.ssi_signo == Signal::SIGPIPE as u32 && info.ssi_pid == std::process::id()
}

/// Delivers signals as usual again; those that have come meanwhile are delivered at once.
pub fn give_back() -> Result<()> {
    SigSet::all().thread_unblock().call(|| "sigprocmask(SIG_UNBLOCK)")
}

/// Lets our children wait to be reaped: a caller that ignores SIGCHLD would have the kernel discard them.
pub fn expect_children() {
    signals::set_default(Signal::SIGCHLD);
}

/// Whether it asks a program to end.
pub fn ends_a_program(signal: i32) -> bool {
    ENDING.iter().any(|ending| *ending as i32 == signal)
}

/// `SIGTERM` and the like; a real-time signal by its number.
pub fn name(signal: i32) -> String {
    Signal::try_from(signal)
        .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}
