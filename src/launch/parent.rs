//! Outside: the clone, what init can't do for itself, and waiting for Ready. Knows nothing of what init does meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sched::CloneFlags;

use super::arrival;
use super::birth::{self, Birth};
use super::channel::Channel;
use super::deputy::{Errand, Maker};
use super::init::{self, Inheritance};
use super::messages::ToInit;
use super::network::{self, Network};
use super::newborn::{Care, Newborn};
use super::start_gate::Gate;
use crate::error::{Context, Result};
use crate::hooks::Outputs;
use crate::kernel::cgroup::Home;
use crate::kernel::namespaces::{self, Namespace, Namespaces};
use crate::kernel::own_binary::View;
use crate::kernel::procfs::Procfs;
use crate::kernel::seccomp::Source;
use crate::kernel::signals::Signals;
use crate::kernel::{id_maps, net_devices, streams};
use crate::plan::Plan;
use crate::spec::state::Status;
use crate::timeline;

/// Namespaces the clone makes by itself. Init makes the others: some have to wait, the rest it makes while we go on.
const BY_CLONE: [Namespace; 2] = [Namespace::User, Namespace::Pid];

/// Where init is born, and what it is given.
#[derive(Debug)]
pub struct Cradle<'c, 'h, 'a> {
    /// Its cgroup.
    pub home: &'c mut Home<'h>,
    /// Its network namespace, where we have it made: what of it is init's is taken there.
    pub network: &'c mut Option<Network>,
    /// Where it waits for `start`.
    pub gate: Gate,
    /// Where the terminal's master goes; to us when there is none.
    pub console_socket: Option<OwnedFd>,
    /// Where its standard streams come from, when it has no terminal.
    pub streams: streams::Source,
    /// How many descriptors from 3 on the program inherits.
    pub preserve_fds: u32,
    /// What our binary is executed from: init lets go of it where it waits when we are gone, otherwise we do.
    pub own_binary: View,
    /// Where the outputs of hooks go.
    pub hook_outputs: &'c Outputs,
    /// Signals that end the making of the container.
    pub interrupts: &'a Signals,
}

/// Makes init, in its cgroup and in the namespaces of the clone, and writes its id maps.
pub fn give_birth<'a>(plan: &Plan, cradle: Cradle<'_, '_, 'a>) -> Result<Newborn<'a>> {
    let Cradle { home, network, gate, console_socket, streams, preserve_fds, .. } = cradle;
    let Cradle { own_binary, hook_outputs, interrupts, .. } = cradle;
    let procfs = Procfs::open()?;
    let joins = open_joins(&plan.namespaces)?;
    let maker = Maker::choose(plan)?;
    let detached = maker.make_beforehand(plan)?;
    let (ours, theirs) = Channel::pair()?;
    let init_waits_alone = gate.outlives_parent();
    let flags = made_by_clone(plan);
    let way_back = match plan.namespaces.joins(Namespace::Pid) {
        Some(_) => Some(procfs.open_namespace("self/ns", Namespace::Pid.file())?),
        None => None,
    };
    timeline::done("prepare the clone");
    let beforehand: Vec<_> = joins.iter().map(|(kind, fd)| (*kind, fd.as_fd())).collect();
    let (birth, birthplace) = birth::clone(flags, &beforehand, home.birthplace(), &plan.process)?;
    let (pid, pidfd) = match birth {
        Birth::Child => {
            timeline::born();
            drop(ours);
            let joins = joins.into_iter().filter(|(kind, _)| !joined_beforehand(*kind)).collect();
            let inheritance = Inheritance {
                procfs,
                gate,
                network: network.take().map(Network::for_init),
                joins,
                detached,
                console_socket,
                streams,
                preserve_fds,
                own_binary: init_waits_alone.then_some(own_binary),
                hook_outputs,
            };
            std::process::exit(init::live(plan, inheritance, birthplace, theirs));
        }
        Birth::Parent { pid, pidfd } => (pid, pidfd),
    };
    timeline::done("clone");
    drop(theirs);
    // Hooks are born where we are.
    if let Some(own) = way_back {
        namespaces::join(Namespace::Pid, own.as_fd())?;
    }
    let own_binary = (!init_waits_alone).then_some(own_binary);
    let newborn = Newborn::new("init", (pid, pidfd), ours, interrupts).with(own_binary);
    newborn.place(birthplace, |pid| home.take_in(pid))?;
    // Before its ids are mapped, for then it goes on and hides from us. In a user namespace that is joined it was born with it.
    if plan.namespaces.joins(Namespace::User).is_none() {
        newborn.set_oom_score(&procfs, plan.process.oom_score_adj)?;
    }
    let errand = match maker {
        Maker::Deputy => Some(
            Errand::to(&procfs, newborn.pid())
                .map_err(|error| newborn.last_word().unwrap_or(error))?,
        ),
        Maker::Init | Maker::Parent => None,
    };
    if plan.namespaces.creates(Namespace::User) {
        let way = id_maps::Way::choose(&plan.uid_map, &plan.gid_map)?;
        id_maps::write(&procfs, pid, &plan.uid_map, &plan.gid_map, way)
            .context("map the ids of the user namespace")?;
        newborn.say(&ToInit::IdsMapped)?;
    }
    timeline::done("oom score, id maps");
    if let Some(errand) = errand {
        errand.run(plan, newborn.channel())?;
        timeline::done("mounts for the user namespace");
    }
    Ok(newborn)
}

fn made_by_clone(plan: &Plan) -> CloneFlags {
    let mut flags = plan.namespaces.flags_among(&BY_CLONE);
    if !network::is_made_by_parent(plan) {
        flags |= plan.namespaces.flags_among(&[Namespace::Network]);
    }
    if arrival::is_born_there(plan) {
        flags |= plan.namespaces.flags_among(&[Namespace::Mount]);
    }
    flags
}

/// Waits for the network namespace that init gets, and moves the interfaces there that the container gets: before its hooks
/// run and its kernel parameters are set.
pub fn finish_network(newborn: &Newborn<'_>, plan: &Plan, made: Option<Network>) -> Result<()> {
    let move_in = |network: BorrowedFd<'_>| {
        net_devices::move_all(&Procfs::open()?, &plan.net_devices, network)
            .context("linux.netDevices")
    };
    let made = made.map(Network::finish).transpose()?;
    match made {
        _ if plan.net_devices.is_empty() => Ok(()),
        Some(made) => move_in(made.namespace.as_fd()).and_then(|()| made.send()),
        None => move_in(open_network(plan, &Procfs::open()?, newborn.pid())?.as_fd()),
    }
}

/// Where the network namespace is that the clone made, or that is joined.
fn open_network(plan: &Plan, procfs: &Procfs, init: i32) -> Result<OwnedFd> {
    match plan.namespaces.joins(Namespace::Network) {
        Some(path) => namespaces::open_path(Namespace::Network, path),
        None => procfs.open_namespace(&format!("{init}/ns"), "net"),
    }
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

/// What init may need of us until it is ready.
pub fn care<'a>(plan: &'a Plan, hook_outputs: &'a Outputs, newborn: &Newborn<'_>) -> Care<'a> {
    Care {
        prestart: &plan.hooks.prestart,
        create_runtime: &plan.hooks.create_runtime,
        hook_outputs: Some(hook_outputs),
        listener: plan.seccomp.as_ref().and_then(Source::listener),
        state: plan.state(Status::Creating, newborn.pid()),
        rlimits: &plan.process.rlimits,
        terminal: plan.process.terminal.is_some(),
    }
}

/// Compiles the filter, while init is busy elsewhere; empty for none.
pub fn compile_filter(plan: &Plan) -> Result<Vec<u8>> {
    match &plan.seccomp {
        Some(source) => Ok(source.filter()?.to_bytes()),
        None => Ok(Vec::new()),
    }
}
