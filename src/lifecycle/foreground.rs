//! Staying with a process: its terminal is relayed, signals are passed on, orphans are reaped, until it ends.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::notify_socket;
use crate::error::{Error, Result};
use crate::kernel::process::Pidfd;
use crate::kernel::signals::Signals;
use crate::kernel::terminal::Relay;

/// What is done for a process while we wait for it.
#[derive(Debug)]
pub(super) struct Company<'a> {
    /// Its terminal is relayed,
    pub terminal: Option<Relay>,
    /// what it says of itself is passed on,
    pub notifications: Option<notify_socket::Relay>,
    /// and so are the signals that reach us.
    pub signals: &'a Signals,
}

/// Waits for `process` (our child, of this `pid`) to end; its exit code, or 128 plus the signal that killed it.
pub(super) fn stay_with(pid: i32, process: &Pidfd, company: Company<'_>) -> Result<i32> {
    let Company { mut terminal, notifications, signals } = company;
    loop {
        let mut fds = vec![
            PollFd::new(process.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        let notified = notifications.as_ref().map(|relay| {
            fds.push(PollFd::new(relay.as_fd(), PollFlags::POLLIN));
            (relay, fds.len() - 1)
        });
        if let Some(relay) = &terminal {
            fds.extend(relay.poll_fds());
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("poll(process)", errno)),
        }
        let ended = fds[0].any() == Some(true);
        if let Some((relay, position)) = notified
            && fds[position].any() == Some(true)
        {
            relay.pass_on();
        }
        while let Some(signal) = signals.next()? {
            pass_on(signal, pid, process, terminal.as_ref())?;
        }
        if let Some(relay) = &mut terminal {
            relay.pump()?;
        }
        if ended {
            if let Some(relay) = &mut terminal {
                relay.drain(signals.as_fd(), &|| Ok(signals.check_interrupted().is_err()))?;
            }
            return process.wait();
        }
    }
}

/// Everything a person or a service manager sends goes to the process; what is about ourselves does not.
fn pass_on(signal: i32, pid: i32, process: &Pidfd, terminal: Option<&Relay>) -> Result<()> {
    match Signal::try_from(signal) {
        Ok(Signal::SIGCHLD) => {
            reap_orphans(pid);
            Ok(())
        }
        Ok(Signal::SIGWINCH) if terminal.is_some() => terminal.map_or(Ok(()), Relay::resize),
        Ok(Signal::SIGURG | Signal::SIGPIPE) => Ok(()),
        _ => match process.send_signal(signal) {
            // It has ended: the next turn sees it.
            Err(error) if error.errno() == Some(Errno::ESRCH) => Ok(()),
            other => other,
        },
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
