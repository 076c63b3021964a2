//! What we will do, as plain data: [`Plan::new`], pure. Knows no descriptor, no disk, no clock.

pub mod cgroup_owner;
pub mod devices;
pub mod hooks;
pub mod mount_options;
pub mod mounts;
pub mod namespaces;
pub mod net_devices;
pub mod process;
pub mod rdt;
pub mod refuse;
pub mod resources;
pub mod rootfs;
pub mod scheduling;
pub mod seccomp;
pub mod sysctl;
pub mod systemd;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::kernel;
use crate::kernel::cgroup;
use crate::kernel::cgroup::systemd::Realm;
use crate::kernel::devices::{Making, Node, Ptmx};
use crate::kernel::id_maps::IdMap;
use crate::kernel::keyring::{Searchers, Session};
use crate::kernel::mounts::{FsOption, Mount};
use crate::kernel::namespaces::{Namespace, Namespaces};
use crate::kernel::net_devices::NetDevice;
use crate::kernel::rdt::Rdt;
use crate::kernel::rootfs::{Rootfs, Switch};
use crate::kernel::sysctl::Sysctl;
use crate::spec::linux::Linux;
use crate::spec::state::{OCI_VERSION, State, Status};
use crate::spec::{Resources, Spec};

/// What is asked for beside `config.json`.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The bundle's directory, absolute.
    pub bundle: &'a Path,
    /// How the root is changed.
    pub switch: Switch,
    /// Which session keyring init has.
    pub keyring: Session,
    /// Who makes the cgroup.
    pub cgroups: CgroupMaker<'a>,
}

/// Who makes the cgroup.
#[derive(Debug, Clone, Copy)]
pub enum CgroupMaker<'a> {
    /// We do, by directories and files.
    Ourselves,
    /// systemd does, as a unit.
    Systemd {
        /// Its own cgroup, below which those of its units are.
        root: &'a Path,
        /// Whose it is.
        realm: Realm,
    },
    /// Nobody does: the container stays in its caller's.
    Nobody,
}

/// Whether a container can do without a cgroup where nobody has the right to make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Necessity {
    /// It can't: a path or a limit is asked for.
    Required,
    /// It can.
    Dispensable,
}

/// All that creating one container means.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// The bundle's annotations.
    pub annotations: BTreeMap<String, String>,
    /// Who may search the container's session keyring; none when it keeps the caller's.
    pub keyring: Option<Searchers>,
    /// Namespaces to create and to join.
    pub namespaces: Namespaces,
    /// Who makes a new network namespace.
    pub network_maker: NetworkMaker,
    /// The user namespace's map of user ids.
    pub uid_map: Vec<IdMap>,
    /// The user namespace's map of group ids.
    pub gid_map: Vec<IdMap>,
    /// The root file system.
    pub rootfs: Rootfs,
    /// Mounts beside the root, in order.
    pub mounts: Vec<Mount>,
    /// The mount option that gives new file systems their SELinux context.
    pub mount_label: Option<FsOption>,
    /// The nodes of /dev; none when the container brings a /dev of its own.
    pub dev: Option<Dev>,
    /// Paths made unreadable.
    pub masked_paths: Vec<PathBuf>,
    /// Paths made read-only.
    pub readonly_paths: Vec<PathBuf>,
    /// The host name inside, where one is asked for.
    pub hostname: Option<String>,
    /// The NIS domain name inside, where one is asked for.
    pub domainname: Option<String>,
    /// Kernel parameters of the container's namespaces.
    pub sysctls: Vec<Sysctl>,
    /// What init becomes.
    pub process: process::Process,
    /// The system call filter.
    pub seccomp: Option<kernel::seccomp::Source>,
    /// Programs to run at points of the life cycle.
    pub hooks: hooks::Hooks,
    /// The unit that the cgroup is, where systemd makes it.
    pub unit: Option<cgroup::systemd::Unit>,
    /// Where the cgroup is; none where the container gets none of its own.
    pub cgroup: Option<cgroup::Path>,
    /// Whether it can do without.
    pub cgroup_necessity: Necessity,
    /// The name of the cgroup below that its process is in, for the container to manage.
    pub delegated_cgroup: Option<String>,
    /// Interfaces of the host that move in.
    pub net_devices: Vec<NetDevice>,
    /// Its share of caches and memory bandwidth.
    pub rdt: Option<Rdt>,
    /// To whom the cgroup is handed; none leaves it ours.
    pub cgroup_owner: Option<Uid>,
    /// What the cgroup may use.
    pub limits: cgroup::Limits,
    /// Which devices its processes may use.
    pub device_filter: cgroup::DeviceFilter,
}

/// Who makes a new network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMaker {
    /// The parent, while init makes its mounts.
    Parent,
    /// Init, or nobody.
    Init,
}

/// The nodes of /dev.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dev {
    /// Those to make.
    pub nodes: Vec<Node>,
    /// How.
    pub making: Making,
    /// What becomes of `/dev/ptmx`.
    pub ptmx: Ptmx,
}

impl Plan {
    /// Plans the container that `spec` describes on this host, or refuses it: nothing has been touched yet.
    pub fn new(request: &Request<'_>, spec: &Spec, host: &Host) -> Result<Plan> {
        refuse::version(&spec.oci_version)?;
        let (no_linux, no_resources) = (Linux::default(), Resources::default());
        let linux = spec.linux.as_ref().unwrap_or(&no_linux);
        let namespaces = namespaces::plan(linux)?;
        refuse::contradictions(spec, linux, &namespaces)?;
        let uid_map = namespaces::id_maps(&linux.uid_mappings);
        let gid_map = namespaces::id_maps(&linux.gid_mappings);
        refuse::paths_inside("linux.maskedPaths", &linux.masked_paths)?;
        refuse::paths_inside("linux.readonlyPaths", &linux.readonly_paths)?;
        let (unit, cgroup) = cgroup(request, &linux.cgroups_path, &spec.annotations, host)?;
        let resources = linux.resources.as_ref().unwrap_or(&no_resources);
        let limits = limits(request, resources, host)?;
        let mount_label = mounts::label(&linux.mount_label, &spec.annotations)?;
        let mounts = mounts::plan(
            &spec.mounts,
            &mounts::Surroundings {
                bundle: request.bundle,
                namespaces: &namespaces,
                id_maps: (&uid_map, &gid_map),
                cgroup_mount_point: &host.cgroup_mount,
                cgroup: &cgroup_directory(cgroup.as_ref(), host),
                label: mount_label.as_ref(),
            },
        )?;
        let hooks = hooks::plan(spec.hooks.as_ref(), request.bundle, &spec.annotations)?;
        let nodes = devices::plan(&linux.devices, &mounts.all)?;
        let making = making(&namespaces, host);
        Ok(Plan {
            id: request.id.to_owned(),
            bundle: request.bundle.to_owned(),
            annotations: spec.annotations.clone(),
            keyring: keyring(request.keyring, &namespaces),
            rootfs: rootfs::plan(
                spec,
                &rootfs::Surroundings {
                    bundle: request.bundle,
                    switch: request.switch,
                    namespaces: &namespaces,
                    mounts: &mounts.all,
                    hooks: &hooks,
                    user_namespace: host.user_namespace,
                },
            )?,
            mounts: mounts.all,
            mount_label,
            dev: (!mounts.brings_dev).then_some(Dev { nodes, making, ptmx: Ptmx::LinkToOwnDevpts }),
            masked_paths: linux.masked_paths.clone(),
            readonly_paths: linux.readonly_paths.clone(),
            hostname: (!spec.hostname.is_empty()).then(|| spec.hostname.clone()),
            domainname: (!spec.domainname.is_empty()).then(|| spec.domainname.clone()),
            sysctls: sysctl::plan(&linux.sysctl, &namespaces)?,
            process: process::plan(
                spec.process.as_ref(),
                process::OfContainer {
                    personality: linux.personality.as_ref(),
                    memory_policy: linux.memory_policy.as_ref(),
                    old_groups: process::old_groups(&spec.annotations),
                },
            )?,
            seccomp: seccomp::plan(linux.seccomp.as_ref(), &spec.annotations)?,
            hooks,
            net_devices: net_devices::plan(&linux.net_devices, &namespaces, host)?,
            rdt: linux.intel_rdt.as_ref().map(rdt::plan).transpose()?,
            cgroup_necessity: necessity(&linux.cgroups_path, &limits),
            delegated_cgroup: cgroup_owner::delegated(&spec.annotations)?,
            limits,
            device_filter: resources::device_filter(linux, host)?,
            unit,
            cgroup,
            network_maker: maker_of_network(&namespaces, host),
            cgroup_owner: (!host.is_rootless())
                .then(|| cgroup_owner::plan(spec, &namespaces, &uid_map))
                .flatten(),
            namespaces,
            uid_map,
            gid_map,
        })
    }

    /// The state document at one point of the life cycle; `pid` is 0 where there is none.
    pub fn state(&self, status: Status, pid: i32) -> State {
        State {
            oci_version: OCI_VERSION.to_owned(),
            id: self.id.clone(),
            status,
            pid,
            bundle: self.bundle.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

fn limits(request: &Request<'_>, resources: &Resources, host: &Host) -> Result<cgroup::Limits> {
    match request.cgroups {
        CgroupMaker::Nobody => resources::limits_without_cgroup(resources),
        _ => resources::limits(resources, host),
    }
}

/// Where the container's cgroup is, or else the one it stays in.
fn cgroup_directory(cgroup: Option<&cgroup::Path>, host: &Host) -> PathBuf {
    match cgroup {
        Some(cgroup) => cgroup.directory(&host.cgroup_mount),
        None => host.own_cgroup_directory(),
    }
}

/// Whoever names a place or a limit needs the cgroup.
fn necessity(cgroups_path: &str, limits: &cgroup::Limits) -> Necessity {
    match cgroups_path.is_empty() && limits.is_empty() {
        true => Necessity::Dispensable,
        false => Necessity::Required,
    }
}

/// Where the cgroup is, and what unit it is to systemd.
fn cgroup(
    request: &Request<'_>,
    asked: &str,
    annotations: &BTreeMap<String, String>,
    host: &Host,
) -> Result<(Option<cgroup::systemd::Unit>, Option<cgroup::Path>)> {
    match request.cgroups {
        CgroupMaker::Nobody => Ok((None, None)),
        CgroupMaker::Ourselves => Ok((None, Some(cgroup_path(asked, request.id, host)?))),
        CgroupMaker::Systemd { root, realm } => {
            let unit = systemd::unit(asked, request.id, annotations, realm)?;
            let path = unit.cgroup(root);
            Ok((Some(unit), Some(path)))
        }
    }
}

/// An absolute `cgroupsPath` starts at the root of the hierarchy, a relative one, and the default, at our own cgroup.
fn cgroup_path(asked: &str, id: &str, host: &Host) -> Result<cgroup::Path> {
    refuse::null_byte("linux.cgroupsPath", asked)?;
    let path = match asked {
        "" => cgroup::Path::beside(&host.own_cgroup, id),
        absolute if absolute.starts_with('/') => cgroup::Path::below_root(absolute),
        relative => cgroup::Path::beside(&host.own_cgroup, relative),
    };
    if path == cgroup::Path::below_root("/") {
        return Err(Error::refused(format!(
            "linux.cgroupsPath: {asked:?} is the root of the tree, which can't be a container's cgroup"
        )));
    }
    Ok(path)
}

/// Which session keyring a container's processes have: with a user namespace its user is another than the caller.
pub fn keyring(session: Session, namespaces: &Namespaces) -> Option<Searchers> {
    match session {
        Session::Inherited => None,
        Session::New if namespaces.separates(Namespace::User) => Some(Searchers::Others),
        Session::New => Some(Searchers::User),
    }
}

/// Without rights over the host's user namespace mknod(2) is refused.
fn making(namespaces: &Namespaces, host: &Host) -> Making {
    match host.lacks_rights() || namespaces.separates(Namespace::User) {
        true => Making::Bind,
        false => Making::Node,
    }
}

/// Who makes the network namespace: known before the rest is planned, for it takes the longest.
pub fn network_maker(spec: &Spec, host: &Host) -> Result<NetworkMaker> {
    let planned = spec.linux.as_ref().map(namespaces::plan).transpose()?;
    Ok(maker_of_network(&planned.unwrap_or_default(), host))
}

/// The parent only where it has the rights, and a user namespace does not want to own it.
fn maker_of_network(namespaces: &Namespaces, host: &Host) -> NetworkMaker {
    let separate = namespaces.separates(Namespace::User) || host.lacks_rights();
    match namespaces.creates(Namespace::Network) && !separate {
        true => NetworkMaker::Parent,
        false => NetworkMaker::Init,
    }
}
