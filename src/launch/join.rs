//! Inside, for `exec`: joining a container that is there. Knows nothing of building one.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::unistd::setsid;

use super::birth::{self, Birth, Birthplace};
use super::channel::Channel;
use super::messages::ToParent;
use super::newborn::{Care, Newborn};
use super::payload::{self, Program};
use super::start_gate::Gate;
use crate::error::{Call, Context, Result};
use crate::kernel::cgroup::Directory;
use crate::kernel::cgroup::systemd::Keeper;
use crate::kernel::keyring::Searchers;
use crate::kernel::mounts::Place;
use crate::kernel::namespaces::Namespace;
use crate::kernel::procfs::Procfs;
use crate::kernel::seccomp::Listener;
use crate::kernel::signals::Signals;
use crate::kernel::{capabilities, credentials, limits, process, streams, terminal};
use crate::plan::process::Process;
use crate::spec::state::{OCI_VERSION, State, Status};
use crate::timeline;

/// All that joining one container means.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// The container's id.
    pub id: String,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// The bundle's annotations.
    pub annotations: BTreeMap<String, String>,
    /// Who answers for the container's system call filter.
    pub listener: Option<Listener>,
    /// Which of init's namespaces are entered.
    pub namespaces: Vec<Namespace>,
    /// Who may search the container's session keyring; none when it keeps the caller's.
    pub keyring: Option<Searchers>,
    /// What the process becomes.
    pub process: Process,
}

impl Join {
    /// What the process may need of us until it is ready.
    pub fn care(&self, newborn: &Newborn<'_>) -> Care<'_> {
        let state = State {
            oci_version: OCI_VERSION.to_owned(),
            id: self.id.clone(),
            status: Status::Running,
            pid: newborn.pid(),
            bundle: self.bundle.clone(),
            annotations: self.annotations.clone(),
        };
        Care {
            prestart: &[],
            create_runtime: &[],
            hook_outputs: None,
            listener: self.listener.as_ref(),
            state,
            rlimits: &self.process.rlimits,
            terminal: self.process.terminal.is_some(),
        }
    }
}

/// Where the process is born, and what it is given.
#[derive(Debug, Clone)]
pub struct Cradle<'c, 'a> {
    /// Its cgroup; ours where the container has none.
    pub cgroup: Option<&'c Directory>,
    /// The unit that keeps it, where systemd has made it.
    pub keeper: Option<Keeper<'c>>,
    /// The container's init.
    pub init: BorrowedFd<'c>,
    /// Where the terminal's master goes; to us when there is none.
    pub console_socket: Option<&'c OwnedFd>,
    /// Where its standard streams come from, when it has no terminal.
    pub streams: streams::Source,
    /// How many descriptors from 3 on the program inherits.
    pub preserve_fds: u32,
    /// Signals that end the attempt.
    pub interrupts: &'a Signals,
}

/// Makes a process that joins the container of `cradle.init`.
///
/// The pid namespace is joined by us: only children born afterwards are members, so one clone is enough. All the others
/// the new process joins itself, in one call.
pub fn give_birth<'a>(join: &Join, cradle: &Cradle<'_, 'a>) -> Result<Newborn<'a>> {
    let procfs = Procfs::open()?;
    let (ours, theirs) = Channel::pair()?;
    // What is born inherits it, and keeps it until it is in the container's cgroup.
    if let Some(processors) = &join.process.exec_affinity.initial {
        payload::set_affinity(Some(processors)).context("process.execCPUAffinity.initial")?;
    }
    let beforehand = joined_beforehand(&join.namespaces)?;
    let by_us: Vec<_> = beforehand.iter().map(|kind| (*kind, cradle.init)).collect();
    let (birth, birthplace) =
        birth::clone(CloneFlags::empty(), &by_us, cradle.cgroup, &join.process)?;
    match birth {
        Birth::Child => {
            timeline::born();
            drop(ours);
            let later = join.namespaces.iter().filter(|kind| !beforehand.contains(kind));
            let later = later.fold(CloneFlags::empty(), |all, kind| all | kind.flag());
            std::process::exit(live(join, later, cradle, birthplace, procfs, theirs));
        }
        Birth::Parent { pid, pidfd } => {
            drop(theirs);
            let newborn = Newborn::new("the process", (pid, pidfd), ours, cradle.interrupts);
            newborn.place(birthplace, |pid| match (&cradle.keeper, cradle.cgroup) {
                (Some(keeper), Some(cgroup)) => keeper.take_in(cgroup, pid),
                (None, Some(cgroup)) => cgroup.add_process(pid),
                (_, None) => Ok(()),
            })?;
            Ok(newborn)
        }
    }
}

/// The pid namespace is joined before the clone; without privileges the user namespace has to be joined before that.
fn joined_beforehand(namespaces: &[Namespace]) -> Result<Vec<Namespace>> {
    let admin = caps::Capability::CAP_SYS_ADMIN.bitmask();
    let privileged = capabilities::effective()?.0 & admin != 0;
    let wanted = |kind: &Namespace| match kind {
        Namespace::Pid => true,
        Namespace::User => !privileged,
        _ => false,
    };
    Ok(namespaces.iter().copied().filter(wanted).collect())
}

/// Lives the process's life until it executes; returns only a failure's exit code.
fn live(
    join: &Join,
    namespaces: CloneFlags,
    cradle: &Cradle<'_, '_>,
    birthplace: Birthplace,
    procfs: Procfs,
    channel: Channel,
) -> i32 {
    let ready = birthplace
        .wait_for_cgroup(&channel)
        .and_then(|()| to_ready(join, namespaces, cradle, procfs, &channel));
    match ready {
        Ok(program) => to_execve(&program, channel),
        Err(error) => {
            // A parent that is gone can't be told.
            let _ = ToParent::Failed(error).send(&channel);
            1
        }
    }
}

fn to_ready(
    join: &Join,
    namespaces: CloneFlags,
    cradle: &Cradle<'_, '_>,
    procfs: Procfs,
    channel: &Channel,
) -> Result<Program> {
    // In a user namespace that was joined before its birth it was born with it.
    let user = join.namespaces.contains(&Namespace::User);
    let born_there = user && !namespaces.contains(CloneFlags::CLONE_NEWUSER);
    if let Some(score) = join.process.oom_score_adj.filter(|_| !born_there) {
        limits::set_own_oom_score_adj(&procfs, score).context("process.oomScoreAdj")?;
    }
    process::forbid_inspection()?;
    setsid().call(|| "setsid()")?;
    enter(join, namespaces, cradle.init)?;
    timeline::done("enter namespaces");
    // A keyring belongs to the user namespace it is joined in.
    if let Some(searchers) = join.keyring {
        payload::join_keyring(&join.id, searchers, &join.process, &procfs)?;
    }
    timeline::done("keyring");

    hand_out_console(join, cradle, channel)?;
    payload::set_labels(&procfs, &join.process)?;
    payload::set_affinity(join.process.exec_affinity.last.as_ref())
        .context("process.execCPUAffinity.final")?;
    payload::set_attributes(&join.process)?;
    payload::reset_dispositions();
    payload::reset_signals()?;
    timeline::done("labels, attributes");
    let filter = payload::receive_filter(channel)?;
    timeline::done("wait for the filter");
    payload::close_descriptors(cradle.preserve_fds, &[channel.as_fd(), procfs.as_fd()])?;
    payload::become_process(&join.process, filter, procfs, channel)
}

fn to_execve(program: &Program, channel: Channel) -> i32 {
    let passed = ToParent::Ready.send(&channel).and_then(|()| Gate::Channel.pass(channel));
    let Ok(mut reporter) = passed else { return 1 };
    reporter.fail(program.execute());
    1
}

/// All at once, in the kernel's own order (setns(2) on a pidfd, Linux 5.8).
fn enter(join: &Join, namespaces: CloneFlags, init: BorrowedFd<'_>) -> Result<()> {
    if namespaces.contains(CloneFlags::CLONE_NEWUSER) {
        credentials::give_up_groups(join.process.old_groups)?;
    }
    if !namespaces.is_empty() {
        setns(init, namespaces)
            .call(|| format!("setns(init, {namespaces:?})"))
            .context("enter the container's namespaces")?;
    }
    match join.namespaces.contains(&Namespace::User) {
        true => credentials::become_root()
            // A change of ids may have made it one that others may look into.
            .and_then(|()| process::forbid_inspection())
            .context("become root of the user namespace"),
        false => Ok(()),
    }
}

/// As for init, but the devpts is found below the root of the mount namespace just entered.
fn hand_out_console(join: &Join, cradle: &Cradle<'_, '_>, channel: &Channel) -> Result<()> {
    let Some(wanted) = &join.process.terminal else {
        return payload::own_stdio(&join.process, cradle.streams, channel);
    };
    let root =
        open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .call(|| "open(\"/\")")?;
    let pts = {
        let path = Path::new("/dev/pts");
        Place { root: root.as_fd(), path, whole: path }
    };
    let pty = terminal::open(pts, wanted).context("process.terminal")?;
    payload::hand_out(&pty, &join.process, cradle.console_socket, channel)
}
