//! A process made inside a user namespace that is joined: the rights over the namespaces it creates must come from
//! there. A go-between joins it and makes init as its own sibling (`CLONE_PARENT`), so that init is our child.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::SockType;
use nix::unistd::Pid;

use super::init::Birthplace;
use super::parent::clone_into;
use crate::error::{Call, Error, Result};
use crate::kernel::cgroup::Directory;
use crate::kernel::namespaces::{self, Namespace};
use crate::kernel::process::Pidfd;
use crate::sys::clone::{Birth, CloneArgs, clone3};
use crate::sys::socket;

/// Clones after joining `joins`, in order. In the new process this returns [`Birth::Child`].
pub(super) fn clone(
    flags: u64,
    joins: &[(Namespace, BorrowedFd<'_>)],
    cgroup: &Directory,
) -> Result<(Birth, Birthplace)> {
    let (ours, theirs) = socket::pair(SockType::SeqPacket).call(|| "socketpair()")?;
    match clone3(CloneArgs { flags: 0, cgroup: None }).call(|| "clone3(0)")? {
        Birth::Child => {
            drop(ours);
            between(flags, joins, cgroup, &theirs)
        }
        Birth::Parent { pidfd, .. } => {
            drop(theirs);
            let born = receive(&ours);
            Pidfd::from(pidfd).wait()?;
            born
        }
    }
}

/// The go-between's whole life; only init returns from it.
fn between(
    flags: u64,
    joins: &[(Namespace, BorrowedFd<'_>)],
    cgroup: &Directory,
    parent: &OwnedFd,
) -> Result<(Birth, Birthplace)> {
    let made = joins
        .iter()
        .try_for_each(|(kind, fd)| namespaces::join(*kind, *fd))
        .and_then(|()| clone_into(flags | libc::CLONE_PARENT as u64, cgroup));
    let told = match made {
        Ok((Birth::Child, birthplace)) => return Ok((Birth::Child, birthplace)),
        Ok((Birth::Parent { pid, pidfd }, birthplace)) => {
            let word = format!("{} {}", pid, u8::from(birthplace == Birthplace::Elsewhere));
            socket::send(parent.as_fd(), word.as_bytes(), &[pidfd.as_fd()]).call(|| "sendmsg()")
        }
        Err(error) => {
            let text = serde_json::to_vec(&error).unwrap_or_default();
            socket::send(parent.as_fd(), &text, &[]).call(|| "sendmsg()")
        }
    };
    std::process::exit(i32::from(told.is_err()));
}

/// What the go-between tells: the new process's id and where it was born, with its descriptor; or why there is none.
fn receive(go_between: &OwnedFd) -> Result<(Birth, Birthplace)> {
    let mut word = vec![0; 1 << 14];
    let received = socket::receive(go_between.as_fd(), &mut word).call(|| "recvmsg()")?;
    word.truncate(received.bytes);
    let Some(pidfd) = received.descriptors.into_iter().next() else {
        return Err(serde_json::from_slice(&word).unwrap_or_else(|_| {
            Error::new("the process that joined the user namespace ended without a word")
        }));
    };
    let text = String::from_utf8_lossy(&word);
    let (pid, elsewhere) = text.split_once(' ').unwrap_or_default();
    let pid = pid.parse().map_err(|_| Error::new(format!("not a process id: {text:?}")))?;
    let birthplace = if elsewhere == "1" { Birthplace::Elsewhere } else { Birthplace::Cgroup };
    Ok((Birth::Parent { pid: Pid::from_raw(pid), pidfd }, birthplace))
}
