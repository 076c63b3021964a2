//! The verb `checkpoint`: a container's processes written down by criu(8), so that `restore` can bring them back.

pub(super) mod images;

use std::path::PathBuf;

use super::container::Container;
use super::{Global, delete, notify_socket};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::kernel::criu::{self, CgroupMode, Feature, Switch, Task};
use crate::kernel::keyring::Session;
use crate::kernel::namespaces::Namespace;
use crate::kernel::rootfs::Switch as RootSwitch;
use crate::plan::{CgroupMaker, Plan, Request, mounts};
use crate::record::Record;
use crate::record::store::Store;
use crate::spec::bundle::Bundle;
use crate::spec::state::Status;

pub(super) use images::Images;

/// What `checkpoint` is told by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The container's id.
    pub id: String,
    /// What it shares with `restore`.
    pub criu: Common,
    /// Where the images of an earlier checkpoint are, relative to these (`--parent-path`).
    pub parent: Option<PathBuf>,
    /// Whom the memory is sent to, instead of files (`--page-server`).
    pub page_server: Option<(String, u16)>,
    /// Where a zero byte is written when a lazy checkpoint may be fetched (`--status-fd`).
    pub status_fd: Option<i32>,
    /// How much is written down (`--pre-dump`).
    pub extent: Extent,
}

/// What criu is told by the flags of `checkpoint` and of `restore`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common {
    /// Where the images are (`--image-path`).
    pub images: PathBuf,
    /// Where criu writes its log (`--work-path`).
    pub work: Option<PathBuf>,
    /// Flags that criu knows too.
    pub switches: Vec<Switch>,
    /// `--manage-cgroups-mode`.
    pub cgroups: CgroupMode,
    /// Namespaces whose content is left out (`--empty-ns`), as flags of clone(2).
    pub empty_namespaces: u32,
}

/// How much is written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// All; the processes end, or stay with [`Switch::LeaveRunning`].
    #[default]
    All,
    /// Memory, and the processes go on: the last checkpoint will be shorter.
    Memory,
}

/// Writes the container's processes down.
pub fn checkpoint(global: &Global, options: &Options) -> Result<()> {
    let store = Store::new(&global.root);
    let _lock = store.lock(&options.id)?;
    let container = Container::load(global, &options.id)?;
    let status = container.status()?;
    if !matches!(status, Status::Running | Status::Paused) {
        return Err(Error::new(format!("Container cannot be checkpointed in {status} state")));
    }
    refuse_what_criu_lacks(options)?;
    let plan = plan_of(&container)?;
    refuse_net_devices(&plan, &options.criu)?;
    let images = Images::make(&options.criu)?;
    let opts = dump_options(options, &plan, &container.record, &images)?;
    if options.extent == Extent::All {
        images.write_descriptors(container.record.init_pid)?;
    }
    let task = if options.extent == Extent::Memory { Task::PreDump } else { Task::Dump };
    criu::carry_out(task, &opts, &[], None, &mut |_| Ok(()), &mut |notice| match (
        notice.point.as_str(),
        options.status_fd,
    ) {
        ("status-ready", Some(fd)) => images::say_ready(fd),
        _ => Ok(()),
    })
    .map_err(|error| images.explain(error, "dump.log"))?;
    let ended =
        options.extent == Extent::All && !options.criu.switches.contains(&Switch::LeaveRunning);
    match ended {
        true => delete::remove(&store, &container.record),
        false => Ok(()),
    }
}

/// What the bundle of a container says, once more: a checkpoint has to know its mounts.
fn plan_of(container: &Container) -> Result<Plan> {
    let record = &container.record;
    let bundle = Bundle::read(record.bundle.clone())?;
    let request = Request {
        id: &record.id,
        bundle: &bundle.path,
        switch: RootSwitch::default(),
        keyring: Session::default(),
        cgroups: match record.cgroup_path() {
            Some(_) => CgroupMaker::Ourselves,
            None => CgroupMaker::Nobody,
        },
    };
    let mut plan = Plan::new(&request, &bundle.spec, &Host::probe()?)?;
    if notify_socket::is_planned(&container.directory) {
        notify_socket::plan(&mut plan, &container.directory);
    }
    Ok(plan)
}

/// criu makes interfaces anew, and can't make one of the host's: they are moved again where it leaves the network out.
pub(super) fn refuse_net_devices(plan: &Plan, common: &Common) -> Result<()> {
    let left_out = common.empty_namespaces & libc::CLONE_NEWNET.cast_unsigned() != 0;
    match plan.net_devices.is_empty() || left_out {
        true => Ok(()),
        false => Err(Error::refused(
            "linux.netDevices: criu can't write down an interface that was the host's",
        )
        .hint("with --empty-ns network it is left out, and moved again by restore")),
    }
}

fn refuse_what_criu_lacks(options: &Options) -> Result<()> {
    criu::check_installed()?;
    if options.extent == Extent::Memory && criu::lacks(Feature::MemoryTracking)? {
        return Err(Error::refused("--pre-dump: this kernel or criu does not track memory"));
    }
    if options.criu.switches.contains(&Switch::LazyPages) && criu::lacks(Feature::LazyPages)? {
        return Err(Error::refused("--lazy-pages: this kernel or criu has no lazy pages"));
    }
    Ok(())
}

/// What both directions are told.
pub(super) fn common_options(
    common: &Common,
    images: &Images,
    log: &str,
    plan: &Plan,
) -> criu::Options {
    let mut opts = criu::Options::default()
        .images_dir_fd(images.directory())
        .log_level(4)
        .log_file(log)
        .notify_scripts()
        .manage_cgroups()
        .manage_cgroups_mode(common.cgroups)
        .empty_ns(common.empty_namespaces)
        .orphan_pts_master();
    for switch in &common.switches {
        opts = opts.switch(*switch);
    }
    if let Some(work) = images.work() {
        opts = opts.work_dir_fd(work);
    }
    match plan.annotations.get("org.criu.config").map(String::as_str) {
        Some("") => opts,
        Some(file) => opts.config_file(file),
        None => opts.config_file("/etc/criu/runc.conf"),
    }
}

fn dump_options(
    options: &Options,
    plan: &Plan,
    record: &Record,
    images: &Images,
) -> Result<criu::Options> {
    let mut opts = common_options(&options.criu, images, "dump.log", plan)
        .pid(record.init_pid)
        .root(&plan.rootfs.path);
    if let Some(cgroup) = record.cgroup_path() {
        opts = opts.freeze_cgroup(cgroup);
    }
    if let Some((address, port)) = &options.page_server {
        opts = opts.ps(address, *port);
    }
    if let Some(parent) = &options.parent {
        images.check_parent(parent)?;
        opts = opts.parent_img(parent).track_mem();
    }
    for kind in [Namespace::Network, Namespace::Pid] {
        if let Some(path) = plan.namespaces.joins(kind) {
            opts = opts.external(&images::external_namespace(kind, path)?);
        }
    }
    if options.extent == Extent::Memory {
        return Ok(opts);
    }
    for destination in mounts::external(plan) {
        opts = opts.ext_mnt(destination, destination);
    }
    for path in images::masked_files(plan, record.init_pid)? {
        opts = opts.ext_mnt(path, "/dev/null");
    }
    Ok(opts)
}
