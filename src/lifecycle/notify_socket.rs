//! `NOTIFY_SOCKET`: a service manager waits until the container's process says that it is ready (sd_notify(3)). The
//! process gets a socket of ours, and what it says there is passed on.
//!
//! The manager itself stays out of the container's reach: only `READY=` is passed on, with the process id that the
//! container can't know.

use std::env;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::SockType;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::pipe2;

use crate::error::{Call, Context, Error, Result};
use crate::kernel::mounts::{Bind, DestinationLink, Mount, MountAttr, Reach, SourceLink, What};
use crate::kernel::process::Pidfd;
use crate::kernel::signals;
use crate::plan::Plan;
use crate::sys::socket;
use crate::warning::warn;

/// Where the container finds the directory of its socket.
const DIRECTORY_INSIDE: &str = "/run/notify";

/// What the directory and the socket are called beside the record.
const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify.sock";

/// How long the manager may take to have read everything; one that knows no barrier never says so.
const BARRIER_PATIENCE: Duration = Duration::from_secs(30);

/// More than sd_notify(3) sends in one message.
const LONGEST_MESSAGE: usize = 4096;

/// The manager's socket, where one waits: an absolute path, or a name without a file behind `@`.
fn asked() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())
}

/// Whether a manager waits.
pub(super) fn is_asked() -> bool {
    asked().is_some()
}

/// Where a manager waits, adds to the container what tells its process where to speak.
pub(super) fn plan_where_asked(plan: &mut Plan, state_directory: &Path) {
    if asked().is_some() {
        self::plan(plan, state_directory);
    }
}

/// Adds to the container what tells its process where to speak: a mount and a variable.
pub(super) fn plan(plan: &mut Plan, state_directory: &Path) {
    let read_only = libc::MOUNT_ATTR_RDONLY
        | libc::MOUNT_ATTR_NOSUID
        | libc::MOUNT_ATTR_NODEV
        | libc::MOUNT_ATTR_NOEXEC;
    plan.mounts.push(Mount {
        field: String::new(),
        destination: DIRECTORY_INSIDE.into(),
        destination_link: DestinationLink::Followed,
        what: What::Bind(Bind {
            source: state_directory.join(DIRECTORY),
            source_link: SourceLink::Followed,
            reach: Reach::One,
            attr: MountAttr { set: read_only, ..MountAttr::default() },
            cleared_by_name: 0,
            id_map: None,
        }),
        recursive: MountAttr::default(),
        propagation: Vec::new(),
    });
    let environment = &mut plan.process.env;
    environment.retain(|entry| !entry.starts_with("NOTIFY_SOCKET="));
    environment.push(format!("NOTIFY_SOCKET={DIRECTORY_INSIDE}/{SOCKET}"));
}

/// Whether the container was made with a socket to speak to.
pub(super) fn is_planned(state_directory: &Path) -> bool {
    state_directory.join(DIRECTORY).is_dir()
}

/// Where a manager waits, makes the directory that the container sees; the socket comes when somebody listens.
pub(super) fn make_directory_where_asked(state_directory: BorrowedFd<'_>) -> Result<()> {
    if asked().is_none() {
        return Ok(());
    }
    mkdirat(state_directory, DIRECTORY, Mode::from_bits_truncate(0o755))
        .call(|| format!("mkdirat({DIRECTORY:?})"))
}

/// Listens to the container's process on behalf of the manager, where one waits and the container was made for it.
pub(super) fn listen(state_directory: &Path) -> Result<Option<Relay>> {
    let Some(manager) = asked() else { return Ok(None) };
    if !is_planned(state_directory) {
        warn(
            "NOTIFY_SOCKET is set, but was not when the container was made: nothing will be notified",
        );
        return Ok(None);
    }
    bind(&state_directory.join(DIRECTORY).join(SOCKET), manager).context("NOTIFY_SOCKET").map(Some)
}

fn bind(path: &Path, manager: OsString) -> Result<Relay> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        other => other.call(|| format!("unlink({path:?})"))?,
    }
    let socket = socket::bind_at(path, SockType::Datagram).call(|| format!("bind({path:?})"))?;
    // Whoever the process runs as may speak.
    fs::set_permissions(path, Permissions::from_mode(0o777)).call(|| format!("chmod({path:?})"))?;
    Ok(Relay { socket, manager: manager.into() })
}

/// Somebody who listens to the container's process, and speaks to the manager.
#[derive(Debug)]
pub(super) struct Relay {
    socket: OwnedFd,
    manager: PathBuf,
}

impl Relay {
    /// Waits until `process` (of this `pid`) says that it is ready, or ends, with the signals that end a program in
    /// force again; the manager then knows it as the one to watch, and has understood so before we end.
    pub fn relay_until_ready(self, pid: i32, process: &Pidfd) -> Result<()> {
        signals::give_back()?;
        loop {
            let mut fds = [
                PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
                PollFd::new(process.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::call("poll(notify socket)", errno)),
            }
            let (spoken, ended) = (fds[0].any() == Some(true), fds[1].any() == Some(true));
            if spoken && let Some(ready) = self.hear() {
                self.tell(&ready, pid).and_then(wait_for_barrier).unwrap_or_else(|error| {
                    warn(error.context("NOTIFY_SOCKET").to_string());
                });
                return Ok(());
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// Says for a process that was brought back what it has said itself in its earlier life; the manager knows `pid` as the
    /// one to watch then, and has understood so.
    pub fn announce(&self, pid: i32) {
        self.tell("READY=1", pid).and_then(wait_for_barrier).unwrap_or_else(|error| {
            warn(error.context("NOTIFY_SOCKET").to_string());
        });
    }

    /// Passes on what was said, while we stay ourselves: then we are whom the manager watches.
    pub fn pass_on(&self) {
        if let Some(ready) = self.hear()
            && let Err(error) = self.tell(&ready, std::process::id().cast_signed())
        {
            warn(error.context("NOTIFY_SOCKET").to_string());
        }
    }

    /// The `READY=` line of one message, where it has one.
    fn hear(&self) -> Option<String> {
        let mut message = [0; LONGEST_MESSAGE];
        // What does not fit is nothing we would pass on. Descriptors that come along would be the container's to choose.
        let length = socket::receive_bytes(self.socket.as_fd(), &mut message).ok()?;
        ready_line(&message[..length])
    }

    /// Answers the end of a pipe whose other end the manager closes when it has read everything.
    fn tell(&self, ready: &str, pid: i32) -> Result<OwnedFd> {
        let manager = socket::connect_to_address(self.manager.as_os_str(), SockType::Datagram)
            .call(|| format!("connect({:?})", self.manager))?;
        let say = |text: &str, descriptors: &[BorrowedFd<'_>]| {
            socket::send(manager.as_fd(), text.as_bytes(), descriptors)
                .call(|| format!("sendmsg({text:?})"))
        };
        say(&format!("{ready}\n"), &[])?;
        say(&format!("MAINPID={pid}\n"), &[])?;
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).call(|| "pipe2()")?;
        say("BARRIER=1", &[theirs.as_fd()])?;
        Ok(ours)
    }
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// sd_notify(3): a message is lines of assignments.
fn ready_line(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    text.lines().find(|line| line.starts_with("READY=")).map(str::to_owned)
}

/// sd_notify_barrier(3).
#[expect(clippy::needless_pass_by_value, reason = "the pipe is closed when it has served")]
fn wait_for_barrier(pipe: OwnedFd) -> Result<()> {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::try_from(BARRIER_PATIENCE).unwrap_or(PollTimeout::MAX)) {
        Ok(0) => {
            warn("NOTIFY_SOCKET: the service manager did not answer the barrier in 30 seconds");
        }
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(Error::call("poll(barrier)", errno)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_found_among_other_words() {
        assert_eq!(ready_line(b"READY=1"), Some("READY=1".to_owned()));
        assert_eq!(ready_line(b"STATUS=up\nREADY=1\n"), Some("READY=1".to_owned()));
        assert_eq!(ready_line(b"STATUS=not READY=1\nMAINPID=1\n"), None);
        assert_eq!(ready_line(b"\xff\xfe"), None);
    }
}
