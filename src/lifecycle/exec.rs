//! The verb `exec`: one more process in a container that is there.

use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;

use super::container::Container;
use super::foreground::Company;
use super::pid_file::{self, PidFile};
use super::{Attachment, Global, NOT_STARTED, cgroup, foreground, rdt, sockets};
use crate::error::{Context, Error, Kind, Result};
use crate::host::Host;
use crate::kernel::cgroup::Directory;
use crate::kernel::keyring::Searchers;
use crate::kernel::lsm;
use crate::kernel::namespaces::{self, Namespace};
use crate::kernel::own_binary;
use crate::kernel::process::Pidfd;
use crate::kernel::seccomp::Listener;
use crate::kernel::signals::Signals;
use crate::kernel::streams;
use crate::launch::join::{self, Cradle, Join};
use crate::launch::newborn::Newborn;
use crate::launch::payload;
use crate::plan::process;
use crate::record::filter;
use crate::spec::state::Status;
use crate::spec::{Process, bundle};
use crate::timeline;

/// What `exec` is told by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The container's id.
    pub id: String,
    /// A process document (`--process`), instead of what follows.
    pub process: Option<PathBuf>,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `--cwd`.
    pub cwd: Option<PathBuf>,
    /// `--env`, added to the container's own.
    pub env: Vec<String>,
    /// `--tty`.
    pub terminal: Terminal,
    /// `--user uid[:gid]`.
    pub user: Option<(u32, Option<u32>)>,
    /// `--additional-gids`.
    pub additional_gids: Vec<u32>,
    /// `--cap`, added to the container's own.
    pub capabilities: Vec<String>,
    /// `--no-new-privs`; absent leaves the container's own.
    pub no_new_privileges: Option<bool>,
    /// `--apparmor`.
    pub apparmor_profile: Option<String>,
    /// `--process-label`.
    pub selinux_label: Option<String>,
    /// A sub-cgroup of the container's (`--cgroup`): its path, below the container's own.
    pub cgroup: Option<PathBuf>,
    /// Whether a paused container is entered (`--ignore-paused`).
    pub paused: Paused,
    /// `--detach`.
    pub attachment: Attachment,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--console-socket`.
    pub console_socket: Option<PathBuf>,
    /// `--pidfd-socket`.
    pub pidfd_socket: Option<PathBuf>,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
}

/// Whether the process gets a pseudo-terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Terminal {
    /// Plain streams.
    #[default]
    No,
    /// A pseudo-terminal.
    Yes,
}

/// What is done about a paused container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Paused {
    /// It is refused.
    #[default]
    Refuse,
    /// The process is born frozen and runs when the container is resumed.
    Enter,
}

/// Runs one more process; in the foreground returns its exit code (128 plus the signal that killed it).
pub fn exec(global: &Global, options: &Options) -> Result<i32> {
    let own_binary = own_binary::keep_out_of_reach()?;
    let signals = match options.attachment {
        Attachment::Foreground => Signals::all()?,
        Attachment::Detached => Signals::that_end_a_program()?,
    };
    let container = Container::load(global, &options.id)?;
    refuse_unless_running(&container, options.paused)?;
    timeline::done("load the record");
    if options.process.is_none() && options.args.is_empty() {
        return Err(Error::refused("exec args cannot be empty"));
    }
    let join = plan(&container, options)?;
    refuse_terminal_mismatch(options, &join)?;
    // Of AppArmor the kernel tells: as with runc, that it is off is no refusal here.
    lsm::check_supported(None, join.process.selinux_label.as_deref(), None)?;
    payload::take_charge_of_descriptors(options.preserve_fds)?;

    let cgroup = open_cgroup(&container, options.cgroup.as_deref())?;
    let init = open_init(&container)?;
    let console_socket = sockets::connect(options.console_socket.as_deref())?;
    let cradle = Cradle {
        cgroup: cgroup.as_ref(),
        keeper: cgroup::keeper(&container.record, options.cgroup.as_deref(), &signals),
        init: init.as_fd(),
        console_socket: console_socket.as_ref(),
        streams: match options.attachment {
            Attachment::Foreground => streams::Source::Relay,
            Attachment::Detached => streams::Source::Caller,
        },
        preserve_fds: options.preserve_fds,
        interrupts: &signals,
    };
    timeline::done("plan, open the cgroup");
    let filter = filter::read(&container.directory)?;
    let mut process =
        give_birth(&container, &join, &cradle, options.cgroup.as_deref()).context(NOT_STARTED)?;
    timeline::done("clone");
    rdt::add(&container.record, process.pid())?;
    process.send_filter(filter).context(NOT_STARTED)?;
    timeline::done("send the filter");
    let pid_file = bring_to_ready(&join, &mut process, cgroup.as_ref(), options)?;
    timeline::done("wait for Ready");
    process.let_go().context(NOT_STARTED)?;
    process.wait_for_execve(cgroup.as_ref())?;
    timeline::done("wait for execve");
    pid_file.keep();

    let relay = foreground::relay(&mut process)?;
    let (pid, process) = process.release();
    match options.attachment {
        Attachment::Detached => Ok(0),
        Attachment::Foreground => {
            let mut company = Company { relay, notifications: None, signals: &signals };
            // Here and not before: now there is time to.
            drop(own_binary);
            let code = company.stay_with(pid, &process)?;
            company.drain()?;
            timeline::done("wait for the end");
            Ok(code)
        }
    }
}

/// Brings the process to where it can only execute its program; where nothing is left to be done then, it does so by itself
/// (as in `create`).
fn bring_to_ready(
    join: &Join,
    process: &mut Newborn<'_>,
    cgroup: Option<&Directory>,
    options: &Options,
) -> Result<PidFile> {
    let care = join.care(process);
    let tell = |process: &Newborn<'_>| {
        sockets::send_pidfd(options.pidfd_socket.as_deref(), process.pidfd())?;
        pid_file::write(options.pid_file.as_deref(), process.pid())
    };
    if !care.ends_before_ready() {
        process.attend(&care, cgroup).context(NOT_STARTED)?;
        return tell(process);
    }
    let pid_file = tell(process)?;
    process.let_go().context(NOT_STARTED)?;
    process.attend(&care, cgroup).context(NOT_STARTED)?;
    Ok(pid_file)
}

/// A paused container would freeze the process at its birth.
fn refuse_unless_running(container: &Container, paused: Paused) -> Result<()> {
    match container.status()? {
        Status::Stopped | Status::Creating => {
            Err(Error::new("cannot exec in a stopped container").of_kind(Kind::NotRunning))
        }
        Status::Paused if paused == Paused::Refuse => {
            Err(Error::new("cannot exec in a paused container (use --ignore-paused to override)"))
        }
        _ => Ok(()),
    }
}

fn plan(container: &Container, options: &Options) -> Result<Join> {
    let config = &container.record.config;
    let own = config.process.clone().unwrap_or_default();
    let process = match &options.process {
        Some(path) => completed(bundle::read(path).context("--process")?, own),
        None => from_flags(own, options),
    };
    let namespaces = config
        .namespaces
        .iter()
        .map(|namespace| namespaces::parse(&namespace.kind))
        .collect::<Result<Vec<_>>>()?;
    let keyring = match config.no_new_keyring {
        true => None,
        false if namespaces.contains(&Namespace::User) => Some(Searchers::Others),
        false => Some(Searchers::User),
    };
    let listener =
        config.seccomp.as_ref().filter(|seccomp| !seccomp.listener_path.as_os_str().is_empty());
    Ok(Join {
        id: container.record.id.clone(),
        bundle: container.record.bundle.clone(),
        annotations: config.annotations.clone(),
        namespaces,
        keyring,
        process: process::plan(
            Some(&process),
            process::OfContainer {
                personality: config.personality.as_ref(),
                memory_policy: config.memory_policy.as_ref(),
                old_groups: process::old_groups(&config.annotations),
            },
        )?,
        listener: listener.map(|seccomp| Listener {
            socket: seccomp.listener_path.clone(),
            metadata: seccomp.listener_metadata.clone(),
        }),
    })
}

/// What a process document leaves out is as with the container's own process, as runc has it; so a document without
/// capabilities has no more than the container.
fn completed(mut process: Process, own: Process) -> Process {
    process.capabilities = process.capabilities.or(own.capabilities);
    process.user.umask = process.user.umask.or(own.user.umask);
    if process.rlimits.is_empty() {
        process.rlimits = own.rlimits;
    }
    process.oom_score_adj = process.oom_score_adj.or(own.oom_score_adj);
    process.scheduler = process.scheduler.or(own.scheduler);
    process.io_priority = process.io_priority.or(own.io_priority);
    process.exec_cpu_affinity = process.exec_cpu_affinity.or(own.exec_cpu_affinity);
    if process.apparmor_profile.is_empty() {
        process.apparmor_profile = own.apparmor_profile;
    }
    if process.selinux_label.is_empty() {
        process.selinux_label = own.selinux_label;
    }
    process
}

/// The container's own process with what the flags change.
fn from_flags(mut process: Process, options: &Options) -> Process {
    process.args.clone_from(&options.args);
    process.env.extend(options.env.iter().cloned());
    process.terminal = options.terminal == Terminal::Yes;
    if let Some(cwd) = &options.cwd {
        process.cwd.clone_from(cwd);
    }
    if let Some((uid, gid)) = options.user {
        process.user.uid = uid;
        process.user.gid = gid.unwrap_or(process.user.gid);
    }
    process.user.additional_gids.extend(&options.additional_gids);
    if let Some(wanted) = options.no_new_privileges {
        process.no_new_privileges = wanted;
    }
    if let Some(profile) = &options.apparmor_profile {
        process.apparmor_profile.clone_from(profile);
    }
    if let Some(label) = &options.selinux_label {
        process.selinux_label.clone_from(label);
    }
    add_capabilities(&mut process, &options.capabilities);
    process
}

/// `--cap` gives no inheritable capabilities (CVE-2022-29162), and so ambient ones only where the container's process
/// has inheritable ones by itself.
fn add_capabilities(process: &mut Process, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let sets = process.capabilities.get_or_insert_default();
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        set.extend(names.iter().cloned());
    }
    if !sets.inheritable.is_empty() {
        sets.ambient.extend(names.iter().cloned());
    }
}

fn refuse_terminal_mismatch(options: &Options, join: &Join) -> Result<()> {
    let detached = options.attachment == Attachment::Detached;
    match (join.process.terminal.is_some(), detached, &options.console_socket) {
        (true, true, None) => Err(Error::refused(
            "cannot allocate tty if etui will detach without setting console socket",
        )),
        (false, _, Some(_)) | (_, false, Some(_)) => {
            Err(Error::refused("cannot use console socket if etui will not detach or allocate tty"))
        }
        _ => Ok(()),
    }
}

/// The container's cgroup, or one below it: a path never leads out of it. None where the container has none.
fn open_cgroup(container: &Container, below: Option<&Path>) -> Result<Option<Directory>> {
    if container.record.cgroup_path().is_none() && below.is_none() {
        return Ok(None);
    }
    let cgroup = cgroup::open(container)?;
    let Some(below) = below else { return Ok(Some(cgroup)) };
    if leads_out(below) {
        return Err(Error::refused(format!("{} is not a sub cgroup path", below.display()))
            .context("--cgroup"));
    }
    cgroup.open_below(below).context("--cgroup").map(Some)
}

/// By its text: below a cgroup there are no links that could say otherwise.
fn leads_out(path: &Path) -> bool {
    let mut depth = 0;
    path.components().any(|component| {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
        depth < 0
    })
}

/// Gives birth to the process in the container's cgroup; where that has handed its controllers down, and so takes no
/// process (EBUSY), in the one where init is, which must be below (as with a service manager as init).
fn give_birth<'a>(
    container: &Container,
    join: &Join,
    cradle: &Cradle<'_, 'a>,
    asked: Option<&Path>,
) -> Result<Newborn<'a>> {
    let born = join::give_birth(join, cradle);
    let Err(error) = &born else { return born };
    let full = matches!(error.errno(), Some(Errno::EBUSY | Errno::EOPNOTSUPP));
    let Some(own) = container.record.cgroup_path().filter(|_| full && asked.is_none()) else {
        return born;
    };
    let of_init = Host::probe()?.cgroup_of(container.record.init_pid)?;
    if of_init == own || !of_init.starts_with(own) {
        return born;
    }
    let cgroup = Directory::open(of_init)?;
    join::give_birth(join, &Cradle { cgroup: Some(&cgroup), ..cradle.clone() })
}

fn open_init(container: &Container) -> Result<Pidfd> {
    match container.record.init() {
        Some(init) => init.open()?,
        None => None,
    }
    .ok_or_else(|| Error::new("cannot exec in a stopped container").of_kind(Kind::NotRunning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_cgroup_is_below() {
        for below in ["", "/", "a", "/a/b", "a/../b", "a/./b/.."] {
            assert!(!leads_out(Path::new(below)), "{below}");
        }
        for out in ["..", "/..", "/../a", "a/../../a"] {
            assert!(leads_out(Path::new(out)), "{out}");
        }
    }
}
