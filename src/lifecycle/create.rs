//! The verb `create`.

use std::path::PathBuf;

use super::Global;
use crate::error::{Error, Result};

/// What `create` (and `run`, `restore`) is told by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The container's id, not yet judged.
    pub id: String,
    /// The bundle's directory (`--bundle`).
    pub bundle: PathBuf,
    /// A Unix socket that receives the terminal's master (`--console-socket`).
    pub console_socket: Option<PathBuf>,
    /// A Unix socket that receives a pidfd of init (`--pidfd-socket`).
    pub pidfd_socket: Option<PathBuf>,
    /// A file to write init's process id to (`--pid-file`).
    pub pid_file: Option<PathBuf>,
    /// How the root is changed (`--no-pivot`).
    pub root_switch: RootSwitch,
    /// Which session keyring init has (`--no-new-keyring`).
    pub keyring: Keyring,
    /// How many descriptors from 3 on the process inherits (`--preserve-fds`).
    pub preserve_fds: u32,
}

/// How the root is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RootSwitch {
    /// pivot_root(2).
    #[default]
    Pivot,
    /// `MS_MOVE` and chroot(2), for a root on a ramdisk.
    MoveAndChroot,
}

/// Which session keyring init has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keyring {
    /// A new one.
    #[default]
    New,
    /// The caller's.
    Inherited,
}

/// Makes a container that waits for `start`.
pub fn create(global: &Global, options: &Options) -> Result<()> {
    let interrupts = interrupts::block()?;
    if options.console_socket.is_none() {
        refuse_unattended_terminal(options)?;
    }
    make(global, options, Waits::ForStart, &interrupts).map(drop)
}

/// What a container waits for once it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// Another call of etui.
    ForStart,
    /// This one: its process stays our newborn.
    ForUs,
}

/// A container that is made.
#[derive(Debug)]
pub(super) struct Made<'a> {
    /// Its process, until it is let go.
    pub init: Newborn<'a>,
    /// Its cgroup.
    pub cgroup: cgroup::Directory,
    /// What it does.
    pub plan: Plan,
}

/// Makes a container: everything below undoes itself unless all of it succeeds.
pub(super) fn make<'a>(
    global: &Global,
    options: &Options,
    waits: Waits,
    interrupts: &'a SignalFd,
) -> Result<Made<'a>> {
    own_binary::keep_out_of_reach()?;
    let bundle = Bundle::open(&options.bundle)?;
    let host = Host::probe()?;
    let plan = Plan::new(&request(options, &bundle), &bundle.spec, &host)?;
    refuse_what_we_lack(global, options, &plan)?;

    let mut record = provisional_record(&plan, &bundle, &host);
    let reservation = Store::new(&global.root).reserve(&record)?;
    let cgroup =
        cgroupfs::create(&host.cgroup_mount, &plan.cgroup, &host.controllers, &plan.limits)?;
    let gate = match waits {
        Waits::ForStart => Gate::make(reservation.directory())?,
        Waits::ForUs => Gate::Channel,
    };
    let mut init = parent::give_birth(
        &plan,
        Cradle {
            cgroup: cgroup.directory(),
            gate,
            console_socket: sockets::connect(options.console_socket.as_deref())?,
            preserve_fds: options.preserve_fds,
            interrupts,
        },
    )?;
    remember(&mut record, &init)?;
    reservation.update(&record)?;
    cgroup::limits::apply(cgroup.directory(), &plan.limits)?;
    cgroup::devices::attach(cgroup.directory(), &plan.device_filter)?;
    let filter = init.send_filter(plan.seccomp.as_ref())?;
    seccomp_file::write(reservation.directory(), &filter)?;
    init.attend(&plan, cgroup.directory())?;

    sockets::send_pidfd(options.pidfd_socket.as_deref(), init.pidfd())?;
    pid_file::write(options.pid_file.as_deref(), init.pid())?;
    record.stage = Stage::Created;
    init.commit()?;
    reservation.commit(&record)?;
    let cgroup = cgroup.commit();
    Ok(Made { init, cgroup, plan })
}
