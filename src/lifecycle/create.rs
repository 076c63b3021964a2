//! The verb `create`.

use std::path::PathBuf;

use super::cgroup::{self as container_cgroup, Maker};
use super::pid_file::{self, PidFile};
use super::{Global, NOT_STARTED, notify_socket, rdt, socket_activation, sockets};
use crate::error::{Context, Error, Result};
use crate::host::Host;
use crate::kernel::cgroup;
use crate::kernel::keyring::Session;
use crate::kernel::namespaces::{self, Namespace};
use crate::kernel::own_binary::View;
use crate::kernel::process::Process;
use crate::kernel::rdt::mount_point;
use crate::kernel::rootfs::Switch;
use crate::kernel::signals::Signals;
use crate::kernel::sysctl::Sysctl;
use crate::kernel::{lsm, own_binary, streams};
use crate::launch::network::Network;
use crate::launch::newborn::{Care, Newborn};
use crate::launch::parent::{self, Cradle};
use crate::launch::payload;
use crate::launch::start_gate::Gate;
use crate::plan::{Plan, Request, network_maker};
use crate::record::store::{Reservation, Store, Written};
use crate::record::timestamp::{self, Precision};
use crate::record::{self, Record, Stage, filter};
use crate::spec::bundle::Bundle;
use crate::spec::state::OCI_VERSION;
use crate::timeline;

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
    pub root_switch: Switch,
    /// Which session keyring init has (`--no-new-keyring`).
    pub keyring: Session,
    /// How many descriptors from 3 on the process inherits (`--preserve-fds`).
    pub preserve_fds: u32,
}

/// Makes a container that waits for `start`.
pub fn create(global: &Global, options: &Options) -> Result<()> {
    let own_binary = own_binary::keep_out_of_reach()?;
    let interrupts = Signals::that_end_a_program()?;
    let waits = Waits::ForStart(own_binary);
    let made = make(global, options, waits, Terminal::GoesToSocket, &interrupts)?;
    made.init.release();
    Ok(())
}

/// What a container waits for once it is made, and the view that our binary is executed from.
#[derive(Debug)]
pub(super) enum Waits {
    /// Another call of etui. Init has time then to let go of the view.
    ForStart(View),
    /// This one: its process stays our newborn. We have time to let go of the view while it is made.
    ForUs(View),
}

/// Who lets init execute its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Starter {
    Ourselves,
    AnotherCall,
}

impl Waits {
    fn starter(&self) -> Starter {
        match self {
            Waits::ForStart(_) => Starter::AnotherCall,
            Waits::ForUs(_) => Starter::Ourselves,
        }
    }
}

/// Where the master of the process's terminal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terminal {
    /// To `--console-socket`.
    GoesToSocket,
    /// To us, who relay it.
    StaysWithUs,
}

impl Terminal {
    /// Whoever stays for the terminal relays plain streams too.
    fn streams(self) -> streams::Source {
        match self {
            Terminal::GoesToSocket => streams::Source::Caller,
            Terminal::StaysWithUs => streams::Source::Relay,
        }
    }
}

/// A container that is made.
#[derive(Debug)]
pub(super) struct Made<'a> {
    /// Its process, until it is let go.
    pub init: Newborn<'a>,
    /// Its cgroup, where it has one.
    pub cgroup: Option<cgroup::Directory>,
    /// What is remembered of it.
    pub record: Record,
    /// Where that was written down.
    pub written: Written,
}

/// Makes a container: everything below undoes itself unless all of it succeeds.
pub(super) fn make<'a>(
    global: &Global,
    options: &Options,
    waits: Waits,
    terminal: Terminal,
    interrupts: &'a Signals,
) -> Result<Made<'a>> {
    let bundle = Bundle::enter(&options.bundle)?;
    timeline::done("read config.json");
    let host = Host::probe()?;
    let mut network = Network::begin(network_maker(&bundle.spec, &host)?, &bundle.spec)?;
    let maker = Maker::of(global, &host, interrupts)?;
    timeline::done("probe the host");
    let mut plan = Plan::new(&request(options, &bundle, &maker), &bundle.spec, &host)?;
    let store = Store::new(&global.root);
    notify_socket::plan_where_asked(&mut plan, &store.directory(&options.id)?);
    let passed_on = socket_activation::pass_on(&mut plan.process.env, options.preserve_fds)?;
    refuse(options, &plan, terminal)?;
    payload::take_charge_of_descriptors(passed_on)?;
    timeline::done("plan and refuse");

    let mut record = provisional_record(&plan, bundle, (&host, &maker), options);
    let reservation = store.reserve(&record)?;
    reservation.within(notify_socket::make_directory_where_asked)?;
    let hook_outputs = plan.hooks.outputs.open()?;
    timeline::done("reserve the id");
    let mut home = container_cgroup::home(global, &plan, &host, maker)?;
    container_cgroup::note(&home, &mut record);
    timeline::done("make the cgroup");
    let rdt = rdt::make(&plan, &mut record, &reservation)?;
    let starter = waits.starter();
    let (gate, own_binary) = match waits {
        Waits::ForStart(view) => (reservation.within(Gate::make)?, view),
        Waits::ForUs(view) => (Gate::Channel, view),
    };
    let mut init = parent::give_birth(
        &plan,
        Cradle {
            home: &mut home,
            network: &mut network,
            gate,
            console_socket: sockets::connect(options.console_socket.as_deref())?,
            streams: terminal.streams(),
            preserve_fds: passed_on,
            own_binary,
            hook_outputs: &hook_outputs,
            interrupts,
        },
    )
    .context(NOT_STARTED)?;
    rdt.iter().try_for_each(|rdt| rdt.add(init.pid()))?;
    finish_network_and_give_filter(&init, network, &plan, &reservation)?;
    remember(&init, &mut record, &reservation)?;
    container_cgroup::settle(&home, &plan)?;
    record.stage = Stage::Created;
    let written = reservation.prepare(&record)?;
    timeline::done("limits, devices, record");
    let care = parent::care(&plan, &hook_outputs, &init);
    if starter == Starter::Ourselves && goes_on_when_ready(options, &plan, &care) {
        // It finds the gate open: two processes that wait for each other lose 0.1 ms.
        init.let_go().context(NOT_STARTED)?;
    }
    init.attend(&care, home.directory()).context(NOT_STARTED)?;
    timeline::done("wait for Ready");
    container_cgroup::delegate(&home, &plan, init.pid())?;
    // Not before: until now init may be in the host's file system, where `exec` must not follow it.
    let pid_file = announce(options, &init, &reservation)?;
    if starter == Starter::AnotherCall {
        init.commit()?;
    }
    reservation.commit();
    pid_file.keep();
    rdt::keep(rdt);
    Ok(Made { init, cgroup: home.commit(), record, written })
}

/// Whether nothing that can be seen is left to be done between init's being ready and its program: only the record's last step,
/// and who reads the record looks whether the program executes ([`crate::record::status`]).
fn goes_on_when_ready(options: &Options, plan: &Plan, care: &Care<'_>) -> bool {
    care.ends_before_ready()
        && options.pid_file.is_none()
        && options.pidfd_socket.is_none()
        && plan.hooks.create_container.is_empty()
        && plan.hooks.start_container.is_empty()
        && plan.delegated_cgroup.is_none()
        && !notify_socket::is_asked()
}

/// Tells those who wait for the process, and publishes the record.
fn announce(options: &Options, init: &Newborn<'_>, reservation: &Reservation) -> Result<PidFile> {
    sockets::send_pidfd(options.pidfd_socket.as_deref(), init.pidfd())?;
    let pid_file = pid_file::write(options.pid_file.as_deref(), init.pid())?;
    reservation.publish()?;
    timeline::done("commit the record");
    Ok(pid_file)
}

/// What the plan has to know beside `config.json`.
pub(super) fn request<'a>(
    options: &'a Options,
    bundle: &'a Bundle,
    maker: &'a Maker,
) -> Request<'a> {
    Request {
        id: &options.id,
        bundle: &bundle.path,
        switch: options.root_switch,
        keyring: options.keyring,
        cgroups: maker.for_plan(),
    }
}

/// What can be seen to fail before anything is touched.
pub(super) fn refuse(options: &Options, plan: &Plan, terminal: Terminal) -> Result<()> {
    refuse_terminal_mismatch(options, plan, terminal)?;
    lsm::check_supported(
        plan.process.apparmor_profile.as_deref(),
        plan.process.selinux_label.as_deref(),
        plan.mount_label.as_ref().and_then(|label| label.value.as_deref()),
    )?;
    if plan.rdt.is_some() {
        mount_point()?;
    }
    refuse_sysctls_of_our_network(plan)?;
    if !plan.rootfs.path.is_dir() {
        return Err(Error::refused(format!(
            "root.path: {} is not a directory",
            plan.rootfs.path.display()
        )));
    }
    Ok(())
}

/// A network namespace that is joined may be the host's own.
fn refuse_sysctls_of_our_network(plan: &Plan) -> Result<()> {
    let Some(path) = plan.namespaces.joins(Namespace::Network) else { return Ok(()) };
    let of_network = plan.sysctls.iter().find(|sysctl| sysctl.path.starts_with("sys/net/"));
    match of_network {
        Some(Sysctl { name, .. }) if namespaces::is_own(Namespace::Network, path)? => {
            Err(Error::refused(format!(
                "linux.sysctl: {name:?} is not allowed in host network namespace"
            ))
            .hint(format!("{} leads to it", path.display())))
        }
        _ => Ok(()),
    }
}

fn refuse_terminal_mismatch(options: &Options, plan: &Plan, terminal: Terminal) -> Result<()> {
    let wants_terminal = plan.process.terminal.is_some();
    match (wants_terminal, terminal, &options.console_socket) {
        (true, Terminal::GoesToSocket, None) => Err(Error::refused(
            "cannot allocate tty if etui will detach without setting console socket",
        )),
        (false, _, Some(_)) | (true, Terminal::StaysWithUs, Some(_)) => {
            Err(Error::refused("cannot use console socket if etui will not detach or allocate tty"))
        }
        _ => Ok(()),
    }
}

/// Names what will be acquired, before it is: whoever finds this record after a crash can remove all of it.
pub(super) fn provisional_record(
    plan: &Plan,
    bundle: Bundle,
    (host, maker): (&Host, &Maker),
    options: &Options,
) -> Record {
    let spec = bundle.spec;
    let linux = spec.linux.unwrap_or_default();
    let mut record = Record {
        id: plan.id.clone(),
        // That of the state, not of the bundle: runtime.md, "State".
        oci_version: OCI_VERSION.to_owned(),
        stage: Stage::Provisional,
        created: timestamp::now(Precision::Nanoseconds),
        bundle: bundle.path,
        owner: host.effective_uid,
        rootless: maker.is_rootless(host),
        config: record::Config {
            rootfs: plan.rootfs.path.clone(),
            annotations: spec.annotations,
            namespaces: linux.namespaces,
            uid_mappings: linux.uid_mappings,
            gid_mappings: linux.gid_mappings,
            process: spec.process,
            hooks: spec.hooks,
            seccomp: linux.seccomp.map(|seccomp| record::Seccomp {
                listener_path: seccomp.listener_path,
                listener_metadata: seccomp.listener_metadata,
                ..record::Seccomp::default()
            }),
            no_new_keyring: options.keyring == Session::Inherited,
            personality: linux.personality,
            memory_policy: linux.memory_policy,
            intel_rdt: linux.intel_rdt,
            net_devices: linux.net_devices,
        },
        ..Record::default()
    };
    if let Some(unit) = &plan.unit {
        record.systemd_unit = unit.name.as_str().to_owned();
    }
    if let Some(cgroup) = &plan.cgroup {
        record.set_cgroup_path(cgroup.directory(&host.cgroup_mount));
    }
    record
}

fn finish_network_and_give_filter(
    init: &Newborn<'_>,
    network: Option<Network>,
    plan: &Plan,
    reservation: &Reservation,
) -> Result<()> {
    // First, for the network is still being made.
    let program = parent::compile_filter(plan)?;
    timeline::done("compile the filter");
    parent::finish_network(init, plan, network).context(NOT_STARTED)?;
    timeline::done("network");
    // `exec` reads it later.
    reservation.within(|directory| filter::write(directory, &program))?;
    init.send_filter(program).context(NOT_STARTED)?;
    timeline::done("send the filter");
    Ok(())
}

fn remember(init: &Newborn<'_>, record: &mut Record, reservation: &Reservation) -> Result<()> {
    // One that is gone has failed already, and will be asked why.
    if let Some(process) = Process::of(init.pid())? {
        record.set_init(process);
    }
    reservation.update(record)?;
    timeline::done("record the process");
    Ok(())
}
