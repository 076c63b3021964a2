//! Staying with a process: its streams are relayed, signals are passed on, orphans are reaped, until it ends.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::notify_socket;
use crate::error::{Error, Result};
use crate::kernel::process::Pidfd;
use crate::kernel::relay::Relay;
use crate::kernel::signals::Signals;
use crate::launch::newborn::Newborn;
use crate::warning::warn;

/// What is done for a process while we wait for it.
#[derive(Debug)]
pub(super) struct Company<'a> {
    /// The relay of its terminal or its standard streams.
    pub relay: Option<Relay>,
    /// The relay of its messages to NOTIFY_SOCKET.
    pub notifications: Option<notify_socket::Relay>,
    /// The signals that reach us and are passed on to it.
    pub signals: &'a Signals,
}

/// Between our streams and those that a newborn process has handed out.
pub(super) fn relay(newborn: &mut Newborn<'_>) -> Result<Option<Relay>> {
    if let Some(master) = newborn.take_terminal() {
        return Relay::of_terminal(master).map(Some);
    }
    let pipes = newborn.take_pipes();
    (!pipes.is_empty()).then(|| Relay::of_pipes(pipes)).transpose()
}

impl Company<'_> {
    /// Waits for `process` (our child, of this `pid`) to end; its exit code, or 128 plus the signal that killed it. What it
    /// has said may not be written yet.
    pub fn stay_with(&mut self, pid: i32, process: &Pidfd) -> Result<i32> {
        loop {
            let mut fds = vec![
                PollFd::new(process.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            let notified = self.notifications.as_ref().map(|relay| {
                fds.push(PollFd::new(relay.as_fd(), PollFlags::POLLIN));
                (relay, fds.len() - 1)
            });
            let mut patience = PollTimeout::NONE;
            if let Some(relay) = &self.relay {
                fds.extend(relay.poll_fds());
                patience = relay.patience();
            }
            match poll(&mut fds, patience) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::call("poll(process)", errno)),
            }
            let ended = fds[0].any() == Some(true);
            if let Some((relay, position)) = notified
                && fds[position].any() == Some(true)
            {
                relay.pass_on();
            }
            while let Some(signal) = self.signals.next()? {
                self.pass_on(signal, pid, process)?;
            }
            if let Some(relay) = &mut self.relay {
                if ended {
                    relay.pump_what_was_said()?;
                } else {
                    relay.pump()?;
                }
            }
            if ended {
                return process.wait();
            }
        }
    }

    /// Has a process that has ended deleted, and all that was said written out; its exit code. In this order: without a pid
    /// namespace of its own, it is the deletion that ends others who hold the streams.
    pub fn take_leave(self, code: i32, delete: impl FnOnce() -> Result<()>) -> Result<i32> {
        let deleted = delete();
        if let Err(error) = self.drain() {
            warn(error.to_string());
        }
        deleted.map(|()| code)
    }

    /// Writes all that was said, to the end of the streams: somebody whom the process left behind may still hold them. A
    /// signal that ends a program ends this too.
    pub fn drain(self) -> Result<()> {
        match self.relay {
            Some(mut relay) => {
                relay.drain(self.signals.as_fd(), &|| Ok(self.signals.check_interrupted().is_err()))
            }
            None => Ok(()),
        }
    }

    /// Everything that a person or a service manager sends goes to the process; what is about ourselves does not.
    fn pass_on(&self, signal: i32, pid: i32, process: &Pidfd) -> Result<()> {
        match Signal::try_from(signal) {
            Ok(Signal::SIGCHLD) => {
                reap_orphans(pid);
                Ok(())
            }
            Ok(Signal::SIGWINCH) => self.relay.as_ref().map_or(Ok(()), Relay::resize),
            Ok(Signal::SIGURG) => Ok(()),
            _ => match process.send_signal(signal) {
                // It has ended: the next turn sees it.
                Err(error) if error.errno() == Some(Errno::ESRCH) => Ok(()),
                other => other,
            },
        }
    }
}

/// As a subreaper we inherit what the container leaves behind; the process itself is waited for by its descriptor.
fn reap_orphans(own: i32) {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, peek) {
        let Some(pid) = ended(status) else { return };
        if pid.as_raw() == own {
            return;
        }
        let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
    }
}

fn ended(status: WaitStatus) -> Option<Pid> {
    match status {
        WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => Some(pid),
        _ => None,
    }
}
