//! The clone: one new process, in its cgroup and in the namespaces it can be born into. Does not know what it will do.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::socket::SockType;
use nix::unistd::Pid;

use super::channel::Channel;
use super::messages::ToInit;
use crate::error::{Call, Context, Error, Result};
use crate::kernel::cgroup::Directory;
use crate::kernel::namespaces::{self, Namespace};
use crate::kernel::process::{self as kernel_process, Pidfd};
use crate::kernel::procfs::Procfs;
use crate::kernel::{credentials, limits};
use crate::plan::process::Process;
pub(super) use crate::sys::clone::Birth;
use crate::sys::clone::{CloneArgs, clone3};
use crate::sys::socket;

/// Whether a process was born where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Birthplace {
    /// In its cgroup (`CLONE_INTO_CGROUP`).
    Cgroup,
    /// In its parent's.
    Elsewhere,
}

impl Birthplace {
    /// Where the kernel could not have us born in the cgroup, the parent moves us there: a cgroup namespace takes its
    /// root from where its maker is.
    pub(super) fn wait_for_cgroup(self, channel: &Channel) -> Result<()> {
        match self {
            Birthplace::Cgroup => Ok(()),
            Birthplace::Elsewhere => ToInit::Placed.wait(channel),
        }
    }
}

/// One clone, into the cgroup where there is one and the kernel allows it (see `kernel-features.md`): EBUSY when the cgroup hands
/// controllers down, EACCES without delegation, ENODEV while it is removed, EOPNOTSUPP when it is not a domain.
///
/// In a pid namespace that is joined there are others already, who must not look into the new process: it can't be inspected
/// from its first moment on. Where a user namespace is joined too, its owner could not set its OOM score any more then, so it
/// is born with that.
pub(super) fn clone(
    flags: CloneFlags,
    joins: &[(Namespace, BorrowedFd<'_>)],
    cgroup: Option<&Directory>,
    process: &Process,
) -> Result<(Birth, Birthplace)> {
    let among = |wanted| joins.iter().copied().find(|(kind, _)| *kind == wanted);
    let flags = u64::from(flags.bits().cast_unsigned());
    let pid_namespace = among(Namespace::Pid).map(|(_, fd)| fd);
    let born = match (among(Namespace::User), pid_namespace) {
        (Some((_, user)), pid) => clone_as_sibling(flags, Joins { user, pid }, cgroup, process),
        (None, Some(pid)) => {
            namespaces::join(Namespace::Pid, pid).context("linux.namespaces")?;
            clone_unseen(flags, cgroup)
        }
        (None, None) => clone_into(flags, cgroup),
    };
    born.map_err(|error| match error.errno() {
        Some(Errno::EAGAIN) => {
            error.hint("a limit on the number of processes is reached (pids.max, RLIMIT_NPROC)")
        }
        _ => namespaces::explain(error),
    })
}

/// The new process is one that nobody may look into from the first: it has this from us.
fn clone_unseen(flags: u64, cgroup: Option<&Directory>) -> Result<(Birth, Birthplace)> {
    kernel_process::forbid_inspection()?;
    clone_into(flags, cgroup)
}

fn clone_into(flags: u64, cgroup: Option<&Directory>) -> Result<(Birth, Birthplace)> {
    let Some(cgroup) = cgroup else { return clone_beside(flags) };
    match clone3(CloneArgs { flags, cgroup: Some(cgroup.dir_fd()) }) {
        Err(Errno::EBUSY | Errno::EACCES | Errno::ENODEV | Errno::EOPNOTSUPP) => {
            clone_beside(flags)
        }
        other => Ok((
            other.call(|| format!("clone3({flags:#x}|CLONE_INTO_CGROUP)"))?,
            Birthplace::Cgroup,
        )),
    }
}

fn clone_beside(flags: u64) -> Result<(Birth, Birthplace)> {
    let born = clone3(CloneArgs { flags, cgroup: None }).call(|| format!("clone3({flags:#x})"))?;
    Ok((born, Birthplace::Elsewhere))
}

/// What a go-between joins.
#[derive(Debug, Clone, Copy)]
struct Joins<'fd> {
    user: BorrowedFd<'fd>,
    pid: Option<BorrowedFd<'fd>>,
}

/// Clones after joining `joins`, by way of a go-between that makes the new process its own sibling
/// (`CLONE_PARENT`), and so our child: the rights over the namespaces it creates must come from the joined ones, which
/// we must not enter ourselves.
fn clone_as_sibling(
    flags: u64,
    joins: Joins<'_>,
    cgroup: Option<&Directory>,
    process: &Process,
) -> Result<(Birth, Birthplace)> {
    let (ours, theirs) = socket::pair(SockType::SeqPacket).call(|| "socketpair()")?;
    match clone3(CloneArgs { flags: 0, cgroup: None }).call(|| "clone3(0)")? {
        Birth::Child => {
            drop(ours);
            between(|| join_and_clone(flags, joins, cgroup, process), &theirs)
        }
        Birth::Parent { pidfd, .. } => {
            drop(theirs);
            let born = receive(&ours);
            Pidfd::from(pidfd).wait()?;
            born
        }
    }
}

/// The go-between itself stays in our pid namespace, whose numbers the process is known by.
fn join_and_clone(
    flags: u64,
    joins: Joins<'_>,
    cgroup: Option<&Directory>,
    process: &Process,
) -> Result<(Birth, Birthplace)> {
    if let Some(score) = process.oom_score_adj {
        limits::set_own_oom_score_adj(&Procfs::open()?, score).context("process.oomScoreAdj")?;
    }
    credentials::give_up_groups(process.old_groups)?;
    let join_pid = || joins.pid.map_or(Ok(()), |pid| namespaces::join(Namespace::Pid, pid));
    let first = join_pid();
    namespaces::join(Namespace::User, joins.user)?;
    match first {
        // The right to join it comes with the user namespace.
        Err(error) if error.errno() == Some(Errno::EPERM) => join_pid()?,
        other => other?,
    }
    clone_unseen(flags | libc::CLONE_PARENT as u64, cgroup)
}

/// The go-between's whole life; only init returns from it.
fn between(
    clone: impl FnOnce() -> Result<(Birth, Birthplace)>,
    parent: &OwnedFd,
) -> Result<(Birth, Birthplace)> {
    let told = match clone() {
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
