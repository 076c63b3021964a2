//! `--console-socket` and `--pidfd-socket`: where a caller waits for a descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::SockType;

use crate::error::{Call, Context, Result};
use crate::kernel::process::Pidfd;
use crate::sys::socket;

/// Connects to the socket that will receive a terminal's master.
pub(super) fn connect(path: Option<&Path>) -> Result<Option<OwnedFd>> {
    path.map(|path| {
        socket::connect_to(path, SockType::Stream)
            .call(|| format!("connect({path:?})"))
            .map_err(|error| match error.errno() {
                Some(Errno::EAGAIN) => error.hint("its queue is full: nobody accepts connections"),
                _ => error,
            })
            .context("--console-socket")
    })
    .transpose()
}

/// Sends the descriptor of a process.
pub(super) fn send_pidfd(path: Option<&Path>, process: &Pidfd) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let send = || {
        let receiver = socket::connect_to(path, SockType::Stream)?;
        socket::send(receiver.as_fd(), b"pidfd", &[process.as_fd()])
    };
    send().call(|| format!("connect({path:?})")).context("--pidfd-socket").map(drop)
}
