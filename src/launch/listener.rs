//! Hands the listener of a system call filter to the agent that will answer for it (config-linux.md, "The Container
//! Process State").

use std::os::fd::AsFd;

use nix::sys::socket::SockType;
use serde::Serialize;

use crate::error::{Call, Context, Error, Result};
use crate::kernel::process::Pidfd;
use crate::kernel::seccomp::Listener;
use crate::spec::state::{OCI_VERSION, State};
use crate::sys::{pidfd, socket};

/// What the agent reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: &'a State,
}

/// Fetches descriptor `number` of the process and sends it to the agent's socket.
pub(super) fn hand_over(
    process: &Pidfd,
    number: i32,
    listener: Option<&Listener>,
    state: &State,
) -> Result<()> {
    let Some(listener) = listener else {
        return Err(Error::refused("linux.seccomp.listenerPath: SCMP_ACT_NOTIFY needs one"));
    };
    let fd =
        pidfd::get_descriptor(process.as_fd(), number).call(|| format!("pidfd_getfd({number})"))?;
    let document = ContainerProcessState {
        oci_version: OCI_VERSION,
        fds: ["seccompFd"],
        pid: state.pid,
        metadata: &listener.metadata,
        state,
    };
    let document = serde_json::to_vec(&document).map_err(|error| Error::new(error.to_string()))?;
    let send = || {
        let agent = socket::connect_to(&listener.socket, SockType::Stream)?;
        socket::send(agent.as_fd(), &document, &[fd.as_fd()])
    };
    send()
        .call(|| format!("connect({:?})", listener.socket))
        .context("linux.seccomp.listenerPath")
        .map(drop)
}
