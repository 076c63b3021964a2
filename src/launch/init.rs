//! Inside: the ordered steps to Ready, then to execve. Knows no state directory and no JSON; what it is to do it finds
//! in the plan, which it has from its parent with the rest of its memory.

use std::mem::{forget, take};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, sethostname, setsid};

use super::arrival::{Arrival, Departure, with_prepared};
use super::birth::Birthplace;
use super::channel::Channel;
use super::deputy::{self, Detached};
use super::messages::{ToInit, ToParent};
use super::payload::{self, Program};
use super::start_gate::Gate;
use super::{NOT_READY, network};
use crate::error::{Call, Context, Error, Result};
use crate::hooks::{self, Hook, Outputs};
use crate::kernel::devices::{self, Making};
use crate::kernel::mounts::{self, Prepared, Tree};
use crate::kernel::namespaces::{self, Namespace};
use crate::kernel::own_binary::View;
use crate::kernel::procfs::Procfs;
use crate::kernel::safe_path::{self, Missing};
use crate::kernel::{credentials, masks, net_devices, process, rootfs, streams, sysctl, terminal};
use crate::plan::Plan;
use crate::spec::state::{State, Status};
use crate::sys::{signals, uts};
use crate::timeline;

/// What init has from its parent besides the plan: descriptors.
#[derive(Debug)]
pub struct Inheritance<'a> {
    /// The host's procfs, verified.
    pub procfs: Procfs,
    /// Where it waits for `start`.
    pub gate: Gate,
    /// Where its network namespace comes from, where its parent has it made.
    pub network: Option<OwnedFd>,
    /// Namespaces to join, but for those its parent has joined on its behalf.
    pub joins: Vec<(Namespace, OwnedFd)>,
    /// Mounts that init may not make; none where they are still to come.
    pub detached: Option<Detached>,
    /// Where the terminal's master goes; to the parent when there is none.
    pub console_socket: Option<OwnedFd>,
    /// Where its standard streams come from, when it has no terminal.
    pub streams: streams::Source,
    /// How many descriptors from 3 on the program inherits.
    pub preserve_fds: u32,
    /// What our binary is executed from, where init is to let go of it.
    pub own_binary: Option<View>,
    /// Where the outputs of hooks go.
    pub hook_outputs: &'a Outputs,
}

/// Lives init's life; returns only a failure's exit code.
pub fn live(
    plan: &Plan,
    inheritance: Inheritance<'_>,
    birthplace: Birthplace,
    channel: Channel,
) -> i32 {
    match birthplace.wait_for_cgroup(&channel).and_then(|()| to_ready(plan, inheritance, &channel))
    {
        Ok(ready) => to_execve(plan, ready, channel),
        Err(error) => {
            // A parent that is gone can't be told.
            let _ = ToParent::Failed(error.context(NOT_READY)).send(&channel);
            1
        }
    }
}

/// What is left to do when all that can fail has been done.
struct Ready<'a> {
    program: Program,
    gate: Gate,
    own_binary: Option<View>,
    hook_outputs: &'a Outputs,
}

fn to_ready<'a>(plan: &Plan, inheritance: Inheritance<'a>, channel: &Channel) -> Result<Ready<'a>> {
    let Inheritance { procfs, gate, network, joins, detached, .. } = inheritance;
    let Inheritance { console_socket, streams, preserve_fds, .. } = inheritance;
    let Inheritance { own_binary, hook_outputs, .. } = inheritance;

    become_root_of_user_namespace(plan, channel)?;
    make_time_namespace(plan, &procfs)?;
    process::forbid_inspection()?;
    lead_session(plan, &procfs)?;
    // Early, for the network is still being made.
    payload::reset_dispositions();
    credentials::clear_umask();
    timeline::done("session, keyring");
    let departure = Departure::choose(plan)?;
    enter_namespaces(plan, &joins, departure.namespace_to_make(plan))?;
    raise_loopback(plan)?;
    timeline::done("enter namespaces");

    let detached = detached.map_or_else(|| deputy::receive(plan, channel), Ok)?;
    timeline::done("wait for mounts");
    let mut arrival = departure.arrive(plan, detached)?;
    timeline::done("attach the root");
    attach_mounts(plan, &mut arrival, network)?;
    timeline::done("mount");
    let nodes = take(&mut arrival.devices);
    let tree = &arrival.tree;
    fill_dev(plan, tree, nodes)?;
    make_cwd(plan, tree)?;
    timeline::done("fill /dev");

    let filter = payload::receive_filter(channel)?;
    timeline::done("wait for the filter");
    run_hooks_before_pivot(plan, channel, tree, hook_outputs)?;
    timeline::done("hooks");
    masks::make_readonly(plan.readonly_paths.iter().map(|path| tree.place(path)))
        .context("linux.readonlyPaths")?;
    arrival.mask(plan)?;
    timeline::done("read-only and masked paths");
    let tree = &arrival.tree;
    let console = open_console(plan, tree)?;
    arrival.enter_root(plan, &procfs)?;
    timeline::done("enter the root");

    match console {
        Some(pty) => payload::hand_out(&pty, &plan.process, console_socket.as_ref(), channel)?,
        None => payload::own_stdio(&plan.process, streams, channel)?,
    }
    drop(console_socket);
    set_names(plan)?;
    payload::set_labels(&procfs, &plan.process)?;
    sysctl::write(&procfs, &plan.sysctls)?;
    seal_root(plan, tree)?;
    payload::set_affinity(None)?;
    payload::set_attributes(&plan.process)?;
    payload::reset_signals()?;

    // Closed below, with everything else that is not the program's.
    forget((arrival, joins));
    let mut ours = vec![channel.as_fd(), procfs.as_fd()];
    ours.extend(gate.descriptors());
    ours.extend(own_binary.as_ref().and_then(View::descriptor));
    ours.extend(hook_outputs.descriptors());
    payload::close_descriptors(preserve_fds, &ours)?;
    timeline::done("names, labels, attributes");

    let program = payload::become_process(&plan.process, filter, procfs, channel)?;
    Ok(Ready { program, gate, own_binary, hook_outputs })
}

fn to_execve(plan: &Plan, ready: Ready<'_>, channel: Channel) -> i32 {
    let Ready { program, gate, own_binary, hook_outputs } = ready;
    let said = ToParent::Ready.send(&channel);
    // The parent is busy with the record now, and `start` still to come.
    drop(own_binary);
    let passed = said.and_then(|()| gate.pass(channel));
    timeline::done("wait for start");
    let Ok(mut reporter) = passed else { return 1 };
    let error = match run_start_container_hooks(plan, hook_outputs) {
        Ok(()) => program.execute(),
        Err(error) => error,
    };
    reporter.fail(error);
    1
}

/// A new user namespace starts with all rights and no ids: its root is whom the maps say, once they are written.
fn become_root_of_user_namespace(plan: &Plan, channel: &Channel) -> Result<()> {
    if plan.namespaces.creates(Namespace::User) {
        ToInit::IdsMapped.wait(channel)?;
    }
    if plan.namespaces.separates(Namespace::User) {
        credentials::become_root().context("become root of the user namespace")?;
    }
    Ok(())
}

/// A time namespace takes its offsets through /proc/self, which is out of reach of a user namespace's root once the
/// process can't be inspected any more.
fn make_time_namespace(plan: &Plan, procfs: &Procfs) -> Result<()> {
    match plan.namespaces.creates(Namespace::Time) {
        true => namespaces::create_time(procfs, &plan.namespaces.time_offsets),
        false => Ok(()),
    }
}

/// No terminal of the caller's, no keys of the caller's.
fn lead_session(plan: &Plan, procfs: &Procfs) -> Result<()> {
    setsid().call(|| "setsid()")?;
    match plan.keyring {
        Some(searchers) => payload::join_keyring(&plan.id, searchers, &plan.process, procfs),
        None => Ok(()),
    }
}

/// Those of the clone are here already. The cgroup namespace is rooted where the process is when it makes it: not
/// before it was born into the container's cgroup. The mount namespace comes last: its owner is the user namespace.
fn enter_namespaces(
    plan: &Plan,
    joins: &[(Namespace, OwnedFd)],
    of_mounts: CloneFlags,
) -> Result<()> {
    let (mount, others): (Vec<_>, Vec<_>) =
        joins.iter().partition(|(namespace, _)| *namespace == Namespace::Mount);
    for (namespace, fd) in others {
        namespaces::join(*namespace, fd.as_fd()).context("linux.namespaces")?;
    }
    let ours = [Namespace::Ipc, Namespace::Uts, Namespace::Cgroup];
    namespaces::create(plan.namespaces.flags_among(&ours) | of_mounts)?;
    for (namespace, fd) in mount {
        namespaces::join(*namespace, fd.as_fd()).context("linux.namespaces")?;
    }
    Ok(())
}

/// A new network namespace has its loopback interface down; the parent has raised it in the one it makes.
fn raise_loopback(plan: &Plan) -> Result<()> {
    let ours = !network::is_made_by_parent(plan);
    match plan.namespaces.creates(Namespace::Network) && ours {
        true => net_devices::bring_up_loopback(),
        false => Ok(()),
    }
}

/// The network namespace is awaited as late as it can be: it takes its time.
fn attach_mounts(plan: &Plan, arrival: &mut Arrival, network: Option<OwnedFd>) -> Result<()> {
    let mut awaited = network::Awaited(network);
    let Arrival { tree, mounts: prepared, .. } = arrival;
    for (mount, prepared) in with_prepared(&plan.mounts, take(prepared)) {
        if mounts::depends_on_network(mount) {
            awaited.enter()?;
        }
        mounts::attach(tree, mount, prepared)?;
    }
    awaited.enter()
}

/// The nodes and links of /dev; a container that brings a /dev of its own keeps it as it is.
fn fill_dev(plan: &Plan, tree: &Tree, prepared: Vec<Prepared>) -> Result<()> {
    let Some(dev) = &plan.dev else { return Ok(()) };
    for (node, prepared) in with_prepared(&dev.nodes, prepared) {
        match dev.making {
            Making::Node => devices::make(tree.place(&node.path), node, prepared)?,
            Making::Bind => devices::bind(tree.place(&node.path), &node.path, prepared)?,
        }
    }
    devices::link_dev(tree.place(Path::new("/dev")), dev.ptmx)
}

/// As runc does, a working directory that the image lacks is made.
fn make_cwd(plan: &Plan, tree: &Tree) -> Result<()> {
    safe_path::open_or_make(tree.root(), &plan.process.cwd, Missing::Directory)
        .map(drop)
        .context("process.cwd")
}

/// The namespaces are there and the root is not entered: prestart and createRuntime run outside, then createContainer
/// inside, each seeing the process id its side knows.
fn run_hooks_before_pivot(
    plan: &Plan,
    channel: &Channel,
    tree: &Tree,
    outputs: &Outputs,
) -> Result<()> {
    if plan.hooks.run_outside_before_pivot() {
        ToParent::RunHooks.send(channel)?;
        ToInit::HooksRan.wait(channel)?;
    }
    if plan.hooks.create_container.is_empty() {
        return Ok(());
    }
    nix::unistd::fchdir(tree.root()).call(|| "fchdir(root)")?;
    let state = plan.state(Status::Creating, getpid().as_raw());
    run_hooks("createContainer", &plan.hooks.create_container, &state, outputs)
}

/// In the container, as its user, with its environment where a hook has none of its own.
fn run_start_container_hooks(plan: &Plan, outputs: &Outputs) -> Result<()> {
    if plan.hooks.start_container.is_empty() {
        return Ok(());
    }
    let state = plan.state(Status::Created, getpid().as_raw());
    let mut hooks = plan.hooks.start_container.clone();
    for hook in hooks.iter_mut().filter(|hook| hook.env.is_empty()) {
        hook.env = payload::environment(&plan.process);
    }
    // A hook may close its input early; the program's signals are reset already.
    signals::ignore(Signal::SIGPIPE);
    let ran = run_hooks("startContainer", &hooks, &state, outputs);
    signals::set_default(Signal::SIGPIPE);
    ran
}

fn run_hooks(point: &str, hooks: &[Hook], state: &State, outputs: &Outputs) -> Result<()> {
    let state = serde_json::to_vec(state).map_err(|error| Error::new(error.to_string()))?;
    let circumstances = hooks::Circumstances { outputs: Some(outputs), interrupt: None };
    hooks::run_all_in(point, hooks, &state, circumstances)
}

/// The terminal is opened through the container's own devpts, by descriptors only, while the tree is still below us.
fn open_console(plan: &Plan, tree: &Tree) -> Result<Option<terminal::Pty>> {
    let Some(wanted) = &plan.process.terminal else { return Ok(None) };
    let pty =
        terminal::open(tree.place(Path::new("/dev/pts")), wanted).context("process.terminal")?;
    let console = Path::new("/dev/console");
    terminal::bind_console(tree.place(console), &pty).context("/dev/console")?;
    Ok(Some(pty))
}

fn set_names(plan: &Plan) -> Result<()> {
    if let Some(name) = &plan.hostname {
        sethostname(name).call(|| format!("sethostname({name:?})")).context("hostname")?;
    }
    if let Some(name) = &plan.domainname {
        uts::set_domain_name(name.as_bytes())
            .call(|| format!("setdomainname({name:?})"))
            .context("domainname")?;
    }
    Ok(())
}

/// What had to stay writable until now.
fn seal_root(plan: &Plan, tree: &Tree) -> Result<()> {
    tree.seal().context("mounts")?;
    rootfs::seal(&plan.rootfs)
}
