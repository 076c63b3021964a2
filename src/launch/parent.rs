//! Outside: the clone, what init can't do for itself, and waiting for Ready. Knows nothing of what init does meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::unistd::Pid;

use super::channel::Channel;
use super::init::{self, Birthplace, Inheritance};
use super::join::Join;
use super::messages::{ToInit, ToParent};
use super::start_gate::Gate;
use super::{death, listener, sibling};
use crate::error::{Call, Context, Error, Result};
use crate::hooks;
use crate::kernel::cgroup::Directory;
use crate::kernel::mounts::{self, Prepared};
use crate::kernel::namespaces::{self, Namespace, Namespaces};
use crate::kernel::process::Pidfd;
use crate::kernel::procfs::Procfs;
use crate::kernel::seccomp::Listener;
use crate::kernel::signals::{self, Signals};
use crate::kernel::{capabilities, devices, id_maps, limits, rootfs, seccomp};
use crate::plan::Plan;
use crate::spec::state::{State, Status};
use crate::sys::clone::{Birth, CloneArgs, clone3};

/// Namespaces the clone makes by itself. The others have to wait: see `init`.
const BY_CLONE: [Namespace; 4] =
    [Namespace::User, Namespace::Pid, Namespace::Network, Namespace::Uts];

/// Where init is born, and what it is given.
#[derive(Debug)]
pub struct Cradle<'c, 'a> {
    /// Its cgroup.
    pub cgroup: &'c Directory,
    /// Where it waits for `start`.
    pub gate: Gate,
    /// Where the terminal's master goes; to us when there is none.
    pub console_socket: Option<OwnedFd>,
    /// How many descriptors from 3 on the program inherits.
    pub preserve_fds: u32,
    /// Signals that end the making of the container.
    pub interrupts: &'a Signals,
}

/// A process between its clone and its independence; dropped before that, it is killed.
#[derive(Debug)]
#[must_use = "dropping it kills the process"]
pub struct Newborn<'a> {
    pid: Pid,
    pidfd: Option<Pidfd>,
    channel: Channel,
    interrupts: &'a Signals,
    terminal: Option<OwnedFd>,
}

/// Makes init, in its cgroup and in the namespaces of the clone, and writes its id maps.
pub fn give_birth<'a>(plan: &Plan, cradle: Cradle<'_, 'a>) -> Result<Newborn<'a>> {
    let Cradle { cgroup, gate, console_socket, preserve_fds, interrupts } = cradle;
    let procfs = Procfs::open()?;
    let joins = open_joins(&plan.namespaces)?;
    let (root, mounts, devices) = prepare_what_init_may_not(plan)?;
    let (ours, theirs) = Channel::pair()?;
    let mut flags = plan.namespaces.flags_among(&BY_CLONE);
    if !init::makes_ipc_namespace(&plan.namespaces) {
        flags |= plan.namespaces.flags_among(&[Namespace::Ipc]);
    }

    let beforehand: Vec<_> = joins.iter().map(|(kind, fd)| (*kind, fd.as_fd())).collect();
    let (birth, birthplace) = clone(flags, &beforehand, cgroup)?;
    let (pid, pidfd) = match birth {
        Birth::Child => {
            drop(ours);
            let joins = joins.into_iter().filter(|(kind, _)| !joined_beforehand(*kind)).collect();
            let inheritance = Inheritance {
                procfs,
                gate,
                joins,
                root,
                mounts,
                devices,
                console_socket,
                preserve_fds,
            };
            std::process::exit(init::live(plan, inheritance, birthplace, theirs));
        }
        Birth::Parent { pid, pidfd } => (pid, Pidfd::from(pidfd)),
    };
    drop(theirs);
    let newborn = Newborn { pid, pidfd: Some(pidfd), channel: ours, interrupts, terminal: None };
    newborn.place(birthplace, cgroup)?;
    if plan.namespaces.creates(Namespace::User) {
        let way = id_maps::Way::choose(&plan.uid_map, &plan.gid_map)?;
        id_maps::write(&procfs, pid, &plan.uid_map, &plan.gid_map, way)
            .context("map the ids of the user namespace")?;
        ToInit::IdsMapped.send(&newborn.channel)?;
    }
    newborn.set_oom_score(&procfs, plan.process.oom_score_adj)?;
    Ok(newborn)
}

fn open_joins(namespaces: &Namespaces) -> Result<Vec<(Namespace, OwnedFd)>> {
    namespaces
        .join
        .iter()
        .map(|(kind, path)| Ok((*kind, namespaces::open_path(*kind, path)?)))
        .collect()
}

/// The user namespace has to be joined before the others are made, the pid namespace before init is born.
fn joined_beforehand(namespace: Namespace) -> bool {
    matches!(namespace, Namespace::User | Namespace::Pid)
}

type PreparedMounts = (Option<OwnedFd>, Vec<Prepared>, Vec<Prepared>);

/// In a user namespace init can neither read every path of the host nor make device nodes: where we have the rights it
/// will lack, we make the mounts detached and pass them on.
fn prepare_what_init_may_not(plan: &Plan) -> Result<PreparedMounts> {
    let propagation = plan.rootfs.initial_propagation;
    let separate = plan.namespaces.separates(Namespace::User) && may_mount()?;
    let mut prepared = Vec::new();
    for mount in &plan.mounts {
        let ours = separate || mounts::needs_privileged_preparation(mount);
        prepared.push(if ours { mounts::prepare(mount, propagation)? } else { None });
    }
    if !separate {
        return Ok((None, prepared, Vec::new()));
    }
    let root = rootfs::detached(&plan.rootfs)?;
    propagation.apply(root.as_fd())?;
    let nodes = plan.dev.iter().flat_map(|dev| &dev.nodes);
    let nodes = nodes.map(|node| devices::detached(&node.path).map(Some)).collect::<Result<_>>()?;
    Ok((Some(root), prepared, nodes))
}

fn may_mount() -> Result<bool> {
    Ok(capabilities::effective()?.0 & caps::Capability::CAP_SYS_ADMIN.bitmask() != 0)
}

/// One clone, into the cgroup where the kernel allows it (see `kernel-features.md`): EBUSY when the cgroup hands
/// controllers down, EACCES without delegation, ENODEV while it is removed, EOPNOTSUPP when it is not a domain.
pub(super) fn clone(
    flags: CloneFlags,
    joins: &[(Namespace, BorrowedFd<'_>)],
    cgroup: &Directory,
) -> Result<(Birth, Birthplace)> {
    let among = |wanted| joins.iter().copied().find(|(kind, _)| *kind == wanted);
    let flags = u64::from(flags.bits().cast_unsigned());
    let user = among(Namespace::User);
    let mut beforehand: Vec<_> = user.into_iter().collect();
    if let Some((kind, pid_namespace)) = among(Namespace::Pid) {
        match namespaces::join(kind, pid_namespace) {
            // The right to join it may come with the user namespace.
            Err(error) if error.errno() == Some(Errno::EPERM) && user.is_some() => {
                beforehand.push((kind, pid_namespace));
            }
            other => other?,
        }
    }
    let born = match user {
        Some(_) => sibling::clone(flags, &beforehand, cgroup),
        None => clone_into(flags, cgroup),
    };
    born.map_err(|error| match error.errno() {
        Some(Errno::ENOSPC) => error.hint("a limit of /proc/sys/user/max_*_namespaces is reached"),
        Some(Errno::EPERM) => error.hint("without privileges a container needs a user namespace of its own, and the host must allow them"),
        Some(Errno::EAGAIN) => error.hint("a limit on the number of processes is reached (pids.max, RLIMIT_NPROC)"),
        _ => error,
    })
}

/// See [`clone`].
pub(super) fn clone_into(flags: u64, cgroup: &Directory) -> Result<(Birth, Birthplace)> {
    let into = CloneArgs { flags, cgroup: Some(cgroup.dir_fd()) };
    match clone3(into) {
        Err(Errno::EBUSY | Errno::EACCES | Errno::ENODEV | Errno::EOPNOTSUPP) => {
            let beside = clone3(CloneArgs { flags, cgroup: None });
            Ok((beside.call(|| format!("clone3({flags:#x})"))?, Birthplace::Elsewhere))
        }
        other => Ok((
            other.call(|| format!("clone3({flags:#x}|CLONE_INTO_CGROUP)"))?,
            Birthplace::Cgroup,
        )),
    }
}

impl<'a> Newborn<'a> {
    /// A process just cloned, which speaks on the other end of `channel`.
    pub(super) fn new(pid: Pid, pidfd: OwnedFd, channel: Channel, interrupts: &'a Signals) -> Self {
        Newborn { pid, pidfd: Some(Pidfd::from(pidfd)), channel, interrupts, terminal: None }
    }

    /// Moves it to its cgroup, where it was not born there.
    pub(super) fn place(&self, birthplace: Birthplace, cgroup: &Directory) -> Result<()> {
        match birthplace {
            Birthplace::Cgroup => Ok(()),
            Birthplace::Elsewhere => {
                cgroup.add_process(self.pid())?;
                ToInit::Placed.send(&self.channel)
            }
        }
    }

    /// Says how readily the kernel kills it when memory is short.
    pub(super) fn set_oom_score(&self, procfs: &Procfs, score: Option<i32>) -> Result<()> {
        match score {
            Some(score) => {
                limits::set_oom_score_adj(procfs, self.pid, score).context("process.oomScoreAdj")
            }
            None => Ok(()),
        }
    }

    /// Its process id, as we see it.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Its descriptor.
    pub fn pidfd(&self) -> &Pidfd {
        self.pidfd.as_ref().expect("held until the process is independent")
    }

    /// Gives it its filter, compiled while it is busy elsewhere; returns the program, for those who join later.
    pub fn send_filter(&self, profile: Option<&seccomp::Profile>) -> Result<Vec<u8>> {
        let program = match profile {
            Some(profile) => seccomp::compile(profile).context("linux.seccomp")?.to_bytes(),
            None => Vec::new(),
        };
        self.send_program(program.clone())?;
        Ok(program)
    }

    /// Gives it a filter compiled before; empty for none.
    pub fn send_program(&self, program: Vec<u8>) -> Result<()> {
        ToInit::Filter(program).send(&self.channel).or_else(|error| self.or_its_own(error))
    }

    /// Runs what init asks for until it is ready: from then on it can only execute its program.
    pub fn attend(&mut self, plan: &Plan, cgroup: &Directory) -> Result<()> {
        loop {
            match self.next(cgroup)? {
                ToParent::RunHooks => self.run_hooks(plan)?,
                ToParent::Terminal(master) => self.terminal = Some(master),
                ToParent::Listener(number) => {
                    let profile = plan.seccomp.as_ref();
                    let state = plan.state(Status::Creating, self.pid());
                    self.hand_over(number, profile.and_then(|it| it.listener.as_ref()), state)?;
                }
                ToParent::Ready => break,
                other => return Err(Error::new(format!("init said {other:?} too early"))),
            }
        }
        // Not earlier: a low limit would be init's own. Not by init: in a user namespace it can't raise any.
        limits::set(self.pid, &plan.process.rlimits).context("process.rlimits")
    }

    /// As [`Newborn::attend`], for a process that joins.
    pub fn attend_join(&mut self, join: &Join, cgroup: &Directory) -> Result<()> {
        loop {
            match self.next(cgroup)? {
                ToParent::Terminal(master) => self.terminal = Some(master),
                ToParent::Listener(number) => {
                    let state = join.state(self.pid());
                    self.hand_over(number, join.listener.as_ref(), state)?;
                }
                ToParent::Ready => break,
                other => return Err(Error::new(format!("the process said {other:?} too early"))),
            }
        }
        limits::set(self.pid, &join.process.rlimits).context("process.rlimits")
    }

    fn hand_over(&self, number: RawFd, listener: Option<&Listener>, state: State) -> Result<()> {
        listener::hand_over(self.pidfd().as_fd(), self.pid(), number, listener, state)
    }

    fn run_hooks(&self, plan: &Plan) -> Result<()> {
        let state = plan.state(Status::Creating, self.pid());
        let state = serde_json::to_vec(&state).map_err(|error| Error::new(error.to_string()))?;
        hooks::run_all("prestart", &plan.hooks.prestart, &state)?;
        hooks::run_all("createRuntime", &plan.hooks.create_runtime, &state)?;
        ToInit::HooksRan.send(&self.channel)
    }

    /// The next thing it says; an error when it fails, when it dies, or when we are told to give up.
    fn next(&self, cgroup: &Directory) -> Result<ToParent> {
        self.wait_for_word()?;
        match ToParent::receive(&self.channel)? {
            Some(ToParent::Failed(error)) => Err(error),
            Some(message) => Ok(message),
            None => Err(death::explain(self.pidfd(), cgroup)),
        }
    }

    fn wait_for_word(&self) -> Result<()> {
        loop {
            let mut fds = [
                PollFd::new(self.channel.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.interrupts.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::call("poll(launch channel)", errno)),
            }
            while let Some(signal) = self.interrupts.next()? {
                if signals::ends_a_program(signal) {
                    let name = signals::name(signal);
                    return Err(Error::new(format!(
                        "interrupted by {name}: the container was not made"
                    )));
                }
            }
            if fds[0].any() == Some(true) {
                return Ok(());
            }
        }
    }

    /// A send that failed because the process gave up is told by what it said last.
    fn or_its_own<T>(&self, error: Error) -> Result<T> {
        match ToParent::receive(&self.channel) {
            Ok(Some(ToParent::Failed(own))) => Err(own),
            _ => Err(error),
        }
    }

    /// The container is on record: the process outlives us from here on.
    pub fn commit(&self) -> Result<()> {
        ToInit::Committed.send(&self.channel).or_else(|error| self.or_its_own(error))
    }

    /// Lets it pass the gate, and waits until its program executes.
    pub fn start(&self, cgroup: &Directory) -> Result<()> {
        ToInit::Start.send(&self.channel).or_else(|error| self.or_its_own(error))?;
        self.wait_for_execve(cgroup)
    }

    /// Waits until its program executes.
    pub fn wait_for_execve(&self, cgroup: &Directory) -> Result<()> {
        match ToParent::receive(&self.channel)? {
            Some(ToParent::Passed) => {}
            Some(ToParent::Failed(error)) => return Err(error),
            Some(other) => return Err(Error::new(format!("init said {other:?} at the gate"))),
            None => return Err(death::explain(self.pidfd(), cgroup)),
        }
        match ToParent::receive(&self.channel)? {
            None => Ok(()),
            Some(ToParent::Failed(error)) => Err(error),
            Some(other) => Err(Error::new(format!("init said {other:?} after the gate"))),
        }
    }

    /// The terminal's master, where it was not sent elsewhere.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Lets go of it: it lives on its own.
    pub fn release(mut self) -> (i32, Pidfd) {
        let pidfd = self.pidfd.take().expect("held until the process is independent");
        (self.pid(), pidfd)
    }
}

impl Drop for Newborn<'_> {
    fn drop(&mut self) {
        if let Some(pidfd) = &self.pidfd {
            // Nobody is left to tell; one that has ended already is just reaped.
            let _ = pidfd.send_signal(libc::SIGKILL);
            let _ = pidfd.wait();
        }
    }
}
