//! The verb `restore`: a container whose processes criu(8) brings back from what `checkpoint` wrote down.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::cgroup::{self as container_cgroup, Maker};
use super::checkpoint::images::namespace_key;
use super::checkpoint::{self, Common, Images, common_options};
use super::create;
use super::foreground::Company;
use super::run::{Afterwards, Orphans};
use super::{Attachment, Global, delete, notify_socket, pid_file, rdt, sockets};
use crate::error::{Call, Context, Error, Result};
use crate::hooks;
use crate::host::Host;
use crate::kernel::cgroup::Home;
use crate::kernel::criu::{self, Notice, Task};
use crate::kernel::mounts::What;
use crate::kernel::namespaces::{self, Namespace};
use crate::kernel::process::{self, Doomed, Pidfd, Process};
use crate::kernel::procfs::Procfs;
use crate::kernel::rdt::NewGroups;
use crate::kernel::relay::Relay;
use crate::kernel::safe_path::{self, Missing};
use crate::kernel::signals::Signals;
use crate::kernel::{keyring, net_devices};
use crate::launch::parent;
use crate::plan::Plan;
use crate::record::store::{Reservation, Store, Written};
use crate::record::{Record, Stage, filter};
use crate::spec::bundle::Bundle;
use crate::spec::state::Status;
use crate::sys::socket;

/// What `restore` is told by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// What it shares with `create`.
    pub create: create::Options,
    /// What it shares with `checkpoint`.
    pub criu: Common,
    /// Whether it stays with the process (`--detach`).
    pub attachment: Attachment,
    /// What becomes of the container when its process ends.
    pub afterwards: Afterwards,
    /// Whether it adopts the container's orphans (`--no-subreaper`).
    pub orphans: Orphans,
    /// Another LSM profile than the written one, as `TYPE:NAME` (`--lsm-profile`).
    pub lsm_profile: Option<String>,
    /// Another SELinux context of the mounts than the written one (`--lsm-mount-context`).
    pub lsm_mount_context: Option<String>,
}

/// Brings a container back; in the foreground returns its process's exit code (128 plus the signal that killed it).
pub fn restore(global: &Global, options: &Options) -> Result<i32> {
    let signals = match options.attachment {
        Attachment::Foreground => Signals::all()?,
        Attachment::Detached => Signals::that_end_a_program()?,
    };
    if options.attachment == Attachment::Foreground && options.orphans == Orphans::Adopt {
        process::adopt_orphans()?;
    }
    let BroughtBack { restored, process, notifications, record, written } =
        bring_back(global, options, &signals)?;
    if let Some(notifications) = &notifications {
        notifications.announce(match options.attachment {
            Attachment::Detached => restored.pid,
            Attachment::Foreground => std::process::id().cast_signed(),
        });
    }
    if options.attachment == Attachment::Detached {
        return Ok(0);
    }
    let relay = restored.terminal.map(Relay::of_terminal).transpose()?;
    let mut company = Company { relay, notifications, signals: &signals };
    let code = company.stay_with(restored.pid, &process)?;
    company.take_leave(code, || match options.afterwards {
        Afterwards::Delete => delete::delete_this(&Store::new(&global.root), &record, written),
        Afterwards::Keep => Ok(()),
    })
}

/// What criu tells of.
struct Restored {
    pid: i32,
    terminal: Option<OwnedFd>,
}

/// A container that is there again.
struct BroughtBack {
    restored: Restored,
    process: Pidfd,
    /// Where a service manager waits.
    notifications: Option<notify_socket::Relay>,
    record: Record,
    /// Where that was written down.
    written: Written,
}

/// Everything undoes itself unless all of it succeeds, as in `create`.
fn bring_back(global: &Global, options: &Options, signals: &Signals) -> Result<BroughtBack> {
    criu::check_installed()?;
    let bundle = Bundle::enter(&options.create.bundle)?;
    let host = Host::probe()?;
    let maker = Maker::of(global, &host, signals)?;
    let request = create::request(&options.create, &bundle, &maker);
    let mut plan = Plan::new(&request, &bundle.spec, &host)?;
    let store = Store::new(&global.root);
    notify_socket::plan_where_asked(&mut plan, &store.directory(&options.create.id)?);
    refuse(options, &plan)?;

    let mut record = create::provisional_record(&plan, bundle, (&host, &maker), &options.create);
    let reservation = store.reserve(&record)?;
    reservation.within(notify_socket::make_directory_where_asked)?;
    // For `exec`: the processes themselves have theirs from criu.
    let program = parent::compile_filter(&plan)?;
    reservation.within(|directory| filter::write(directory, &program))?;
    prepare_root(&plan)?;
    // After it: criu mounts things where its images are, which must be in its own mount namespace.
    let images = Images::make(&options.criu)?;
    let streams = images.read_descriptors()?;
    let console = sockets::connect(options.create.console_socket.as_deref())?;
    let mut home = container_cgroup::home(global, &plan, &host, maker)?;
    container_cgroup::note(&home, &mut record);
    let rdt = rdt::make(&plan, &mut record, &reservation)?;
    if let Some(searchers) = plan.keyring {
        keyring::join_session(&plan.id, searchers)?;
    }

    let external = open_external_namespaces(&plan)?;
    let (opts, inherited) = restore_options(options, &plan, &images, &streams, &external)?;
    let mut restored = Restored { pid: 0, terminal: None };
    criu::carry_out(
        Task::Restore,
        &opts,
        &inherited,
        Some(signals),
        // The processes are born where criu is, and with what it has.
        &mut |criu| take_in(criu.cast_signed(), &mut home, rdt.as_ref(), &plan),
        &mut |notice| {
            hear(notice, &plan, console.as_ref(), &mut restored, signals)?;
            note_process(restored.pid, &mut record, &reservation)
        },
    )
    .map_err(|error| images.explain(error, "restore.log"))?;
    if record.init().is_none() {
        return Err(Error::new("the restored process ended at once"));
    }
    let init = Doomed::new(Pidfd::open(restored.pid)?);
    record.stage = Stage::Created;
    let written = reservation.prepare(&record)?;
    let pid_file = pid_file::write(options.create.pid_file.as_deref(), restored.pid)?;
    let notifications = notify_socket::listen(&store.directory(&options.create.id)?)?;
    reservation.publish()?;
    reservation.commit();
    pid_file.keep();
    let _kept = home.commit();
    rdt::keep(rdt);
    Ok(BroughtBack { restored, process: init.spare(), notifications, record, written })
}

/// What can be seen to fail before anything is touched.
fn refuse(options: &Options, plan: &Plan) -> Result<()> {
    let terminal = match options.attachment {
        Attachment::Foreground => create::Terminal::StaysWithUs,
        Attachment::Detached => create::Terminal::GoesToSocket,
    };
    create::refuse(&options.create, plan, terminal)?;
    checkpoint::refuse_net_devices(plan, &options.criu)
}

/// Has criu be where its children belong.
fn take_in(criu: i32, home: &mut Home<'_>, rdt: Option<&NewGroups>, plan: &Plan) -> Result<()> {
    home.take_in(criu)?;
    container_cgroup::settle(home, plan)?;
    match rdt {
        Some(groups) => groups.add(criu),
        None => Ok(()),
    }
}

fn hear(
    notice: Notice,
    plan: &Plan,
    console: Option<&OwnedFd>,
    restored: &mut Restored,
    signals: &Signals,
) -> Result<()> {
    match (notice.point.as_str(), notice.pid, notice.descriptor, console) {
        ("setup-namespaces", Some(pid), ..) => {
            move_net_devices(plan, pid)?;
            run_hooks(plan, pid, signals)
        }
        ("post-restore", Some(pid), ..) => {
            restored.pid = pid;
            Ok(())
        }
        ("orphan-pts-master", _, Some(master), Some(console)) => {
            socket::send(console.as_fd(), b"/dev/pts/ptmx", &[master.as_fd()])
                .call(|| "sendmsg(console)")
                .map(drop)
        }
        ("orphan-pts-master", _, Some(master), None) => {
            restored.terminal = Some(master);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The process is on record as soon as it is known: from then on `delete --force` can end it, even where we are killed.
fn note_process(pid: i32, record: &mut Record, reservation: &Reservation) -> Result<()> {
    if pid == 0 || record.init().is_some() {
        return Ok(());
    }
    if let Some(process) = Process::of(pid)? {
        record.set_init(process);
    }
    reservation.update(record)
}

/// As `create` does, before hooks run.
fn move_net_devices(plan: &Plan, pid: i32) -> Result<()> {
    if plan.net_devices.is_empty() {
        return Ok(());
    }
    let procfs = Procfs::open()?;
    let network = procfs.open_namespace(&format!("{pid}/ns"), "net")?;
    net_devices::move_all(&procfs, &plan.net_devices, network.as_fd()).context("linux.netDevices")
}

fn run_hooks(plan: &Plan, pid: i32, signals: &Signals) -> Result<()> {
    let state = plan.state(Status::Creating, pid);
    let state = serde_json::to_vec(&state).map_err(|error| Error::new(error.to_string()))?;
    let outputs = plan.hooks.outputs.open()?;
    let reason = || signals.check_interrupted();
    let interrupt = Some(hooks::Interrupt { news: signals.as_fd(), reason: &reason });
    let circumstances = hooks::Circumstances { outputs: Some(&outputs), interrupt };
    hooks::run_all_in("prestart", &plan.hooks.prestart, &state, circumstances)?;
    hooks::run_all_in("createRuntime", &plan.hooks.create_runtime, &state, circumstances)
}

/// criu wants the root to be a mount: it is one in a mount namespace of our own, and nothing is left of it afterwards. The
/// places of its mounts are made where an image lacks them.
fn prepare_root(plan: &Plan) -> Result<()> {
    let root = plan.rootfs.path.as_path();
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).call(|| "unshare(CLONE_NEWNS)")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .call(|| "mount(\"/\", MS_REC|MS_SLAVE)")?;
    mount(Some(root), root, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .call(|| format!("mount({root:?}, MS_BIND|MS_REC)"))?;
    let opened = std::fs::File::open(root).call(|| format!("open({root:?})"))?;
    for (source, destination) in binds(plan) {
        let missing = if source.is_dir() { Missing::Directory } else { Missing::File };
        safe_path::open_or_make(opened.as_fd(), destination, missing)
            .with_context(|| format!("make {}", destination.display()))?;
    }
    Ok(())
}

fn binds(plan: &Plan) -> impl Iterator<Item = (&Path, &Path)> {
    plan.mounts.iter().filter_map(|mount| match &mount.what {
        What::Bind(bind) => Some((bind.source.as_path(), mount.destination.as_path())),
        _ => None,
    })
}

fn open_external_namespaces(plan: &Plan) -> Result<Vec<(Namespace, OwnedFd)>> {
    let joined = |kind| Some((kind, plan.namespaces.joins(kind)?));
    let external = [Namespace::Network, Namespace::Pid].into_iter().filter_map(joined);
    external.map(|(kind, path)| Ok((kind, namespaces::open_path(kind, path)?))).collect()
}

fn restore_options<'f>(
    options: &Options,
    plan: &Plan,
    images: &Images,
    streams: &[String],
    external: &'f [(Namespace, OwnedFd)],
) -> Result<(criu::Options, Vec<BorrowedFd<'f>>)> {
    let mut opts = common_options(&options.criu, images, "restore.log", plan)
        .root(&plan.rootfs.path)
        .evasive_devices()
        .rst_sibling();
    if let Some(cgroup) = &plan.cgroup {
        // Else it would be the one of the images.
        opts = opts.cg_root(cgroup.directory(Path::new("/")));
    }
    for (source, destination) in binds(plan) {
        opts = opts.ext_mnt(destination, source);
    }
    opts = opts.ext_mnt("/dev/null", "/dev/null");
    for (number, name) in (0..).zip(streams) {
        if name.starts_with("pipe:") {
            opts = opts.inherit_fd(name, number);
        }
    }
    let mut inherited = Vec::new();
    for (kind, fd) in external {
        opts = opts.inherit_fd(namespace_key(*kind), criu::descriptor(fd.as_fd()));
        inherited.push(fd.as_fd());
    }
    for (kind, path) in &plan.namespaces.join {
        match kind {
            Namespace::Network | Namespace::Pid => {}
            Namespace::Cgroup | Namespace::Time => {
                return Err(Error::refused(format!(
                    "linux.namespaces: criu can't restore into the {} namespace of a path",
                    kind.name()
                )));
            }
            _ => opts = opts.join_ns(kind.file(), path),
        }
    }
    if let Some(profile) = &options.lsm_profile {
        opts = opts.lsm_profile(profile);
    }
    if let Some(context) = &options.lsm_mount_context {
        opts = opts.lsm_mount_context(context);
    }
    Ok((opts, inherited))
}
