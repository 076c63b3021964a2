//! Mounts, as plain operations, and how each is carried out by descriptors: built detached, its target opened once
//! inside the hostile tree, then attached. Knows mounts(5) and the mount calls, not which container they are for.

mod bind;
mod copy_up;
mod filesystem;
mod id_mapped;
mod place;
mod tree;

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

pub use crate::sys::mount_api::{MountAttr, Reach};
pub use tree::{Place, Tree};

use crate::error::{Call, Context, Error, Result};
use crate::kernel::id_maps::IdMap;
use crate::sys::mount_api;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Who asks for it: the path of a field of the configuration; nobody but ourselves where it is empty.
    pub field: String,
    /// Where, inside the root.
    pub destination: PathBuf,
    /// Whether a link there is followed.
    pub destination_link: DestinationLink,
    /// What is mounted.
    pub what: What,
    /// Attributes of every mount below it too (`rro` and its like), set once it is in place.
    pub recursive: MountAttr,
    /// Propagation, applied in order once it is in place.
    pub propagation: Vec<Propagation>,
}

/// What becomes of a symbolic link at the destination of a bind mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DestinationLink {
    /// It is followed, inside the root.
    #[default]
    Followed,
    /// It is covered.
    Covered,
}

/// What a source that is a symbolic link stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SourceLink {
    /// What it leads to.
    #[default]
    Followed,
    /// Itself.
    Bound,
    /// Itself: the same link is made, and nothing is mounted.
    Copied,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A new instance of a file system.
    Filesystem(Filesystem),
    /// A part of the host's tree.
    Bind(Bind),
    /// The cgroup v2 tree, as the container's cgroup namespace shows it, or else as the host's mount at this path does.
    Cgroup {
        /// Of the mount.
        attr: MountAttr,
        /// Where the hierarchy is seen from.
        view: CgroupView,
    },
    /// Other attributes for what is mounted there already (`remount`).
    Remount {
        /// Of the mount.
        attr: MountAttr,
        /// Whether the file system's own options change too (without `bind`).
        options: Option<Filesystem>,
    },
}

/// Where the cgroup hierarchy is seen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CgroupView {
    /// The container has a cgroup namespace of its own: a new mount shows its cgroup as the root.
    Namespace {
        /// The container's cgroup on the host, bound where the kernel refuses a new mount (EPERM: the user namespace does
        /// not own the cgroup namespace; EBUSY).
        fallback: PathBuf,
    },
    /// It shares the host's: the host's mount is bound. A new mount would reset the options (`nsdelegate`) of the
    /// whole hierarchy.
    Host {
        /// The host's mount point.
        mount_point: PathBuf,
    },
}

/// A new instance of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// Its type, of proc_filesystems(5).
    pub kind: CString,
    /// The device, or a name to show in mountinfo.
    pub source: CString,
    /// Its own options.
    pub options: Vec<FsOption>,
    /// Flags of its super block: `MS_SYNCHRONOUS`, `MS_DIRSYNC`, `MS_LAZYTIME`, `MS_MANDLOCK`, `MS_I_VERSION`, `MS_SILENT`.
    pub super_block: u64,
    /// Attributes of the mount.
    pub attr: MountAttr,
    /// Those it is given by [`Tree::seal`] only, for we and what is mounted after it still write there.
    pub attr_at_the_end: MountAttr,
    /// Whether the content it hides is copied up into it.
    pub copy_up: CopyUp,
    /// The SELinux context its root is given once it is mounted, where its kind knows no option for that.
    pub root_label: Option<CString>,
}

/// One option of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsOption {
    /// Its name.
    pub key: CString,
    /// What stands behind `=`.
    pub value: Option<CString>,
}

/// Whether a new tmpfs starts with the content it hides (`tmpcopyup`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CopyUp {
    /// It starts empty.
    #[default]
    No,
    /// It does.
    Yes,
}

/// A part of the host's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// On the host, absolute.
    pub source: PathBuf,
    /// What it stands for where it is a link.
    pub source_link: SourceLink,
    /// Whether what is mounted below comes along.
    pub reach: Reach,
    /// Attributes of the mount.
    pub attr: MountAttr,
    /// Those the configuration clears by name. Others are cleared only where the kernel lets us: a mount that came
    /// from another user namespace keeps its locked ones (mount_namespaces(7)).
    pub cleared_by_name: u64,
    /// The id maps it is seen through (`idmap`, `ridmap`).
    pub id_map: Option<MountIdMap>,
}

/// The id maps a bind mount is seen through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountIdMap {
    /// User ids.
    pub uids: Vec<IdMap>,
    /// Group ids.
    pub gids: Vec<IdMap>,
    /// Whether the mounts below are mapped too (`ridmap`).
    pub reach: Reach,
}

/// How mount events travel (mount_namespaces(7), "shared subtrees").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`.
    pub flag: u64,
    /// Of the mount alone, or of those below it too.
    pub reach: Reach,
}

impl Propagation {
    /// Sets it on the mount that `mount` is the root of.
    pub fn apply(self, mount: BorrowedFd<'_>) -> Result<()> {
        let attr = MountAttr { propagation: self.flag, ..MountAttr::default() };
        mount_api::mount_setattr(mount, attr, None, self.reach)
            .call(|| format!("mount_setattr(propagation {:#x}, {:?})", self.flag, self.reach))
    }
}

/// A detached mount made beforehand, where only the parent of a user namespace has the right to make it.
pub type Prepared = Option<OwnedFd>;

/// By whose measure attributes of a source's mount are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// The kernel's: it knows where the mount comes from.
    OfKernel,
    /// A user namespace's that the mount is made for: it must not have more than if it had made the mount itself.
    OfUserNamespace,
}

/// Makes `mount` detached on behalf of someone who will lack the right to: binds only.
///
/// `propagation` is what the container's mount namespace starts with; the copy leaves its peers on the host accordingly.
pub fn prepare(mount: &Mount, propagation: Propagation, locks: Locks) -> Result<Prepared> {
    detached_bind(mount, propagation, locks).map_err(|error| of_field(mount, error))
}

fn detached_bind(mount: &Mount, propagation: Propagation, locks: Locks) -> Result<Prepared> {
    let What::Bind(bind) = &mount.what else { return Ok(None) };
    if bind.source_link == SourceLink::Copied && bind.source.is_symlink() {
        return Ok(None);
    }
    let detached =
        bind::detached(bind, mount.recursive.clear, locks).with_context(|| describe(mount))?;
    propagation.apply(detached.as_fd())?;
    Ok(Some(detached))
}

/// Makes `mount` detached for someone who is about to leave the host's tree, in the namespaces that the mount is for.
///
/// `propagation` as in [`prepare`]; what needs nothing of the host is left for [`attach`].
pub fn take_along(mount: &Mount, propagation: Propagation) -> Result<Prepared> {
    let What::Cgroup { attr, view } = &mount.what else {
        return prepare(mount, propagation, Locks::OfKernel);
    };
    filesystem::detached_cgroup(*attr, view)
        .with_context(|| describe(mount))
        .and_then(|detached| propagation.apply(detached.as_fd()).map(|()| Some(detached)))
        .map_err(|error| of_field(mount, error))
}

/// Whether `mount` can only be made where the host's tree is in sight: [`take_along`] is not enough.
pub fn needs_hosts_tree(mount: &Mount) -> bool {
    match &mount.what {
        What::Filesystem(filesystem) => filesystem::needs_hosts_tree(filesystem),
        What::Bind(bind) => bind.source_link == SourceLink::Copied,
        What::Cgroup { .. } => false,
        What::Remount { options, .. } => options.is_some(),
    }
}

/// Whether only a process with rights over the host's user namespace can make this mount.
pub fn needs_privileged_preparation(mount: &Mount) -> bool {
    matches!(&mount.what, What::Bind(Bind { id_map: Some(_), .. }))
}

/// Kinds of file systems that are the same whatever network namespace they are mounted in.
const WITHOUT_NETWORK: [&CStr; 4] = [c"proc", c"tmpfs", c"devpts", c"mqueue"];

/// Whether the mount may remember the network namespace it was made in, as sysfs and those do that talk to a server.
pub fn depends_on_network(mount: &Mount) -> bool {
    match &mount.what {
        What::Filesystem(filesystem) => !WITHOUT_NETWORK.contains(&&*filesystem.kind),
        What::Bind(_) | What::Cgroup { .. } | What::Remount { .. } => false,
    }
}

/// Puts `mount` into `tree`.
pub fn attach(tree: &mut Tree, mount: &Mount, prepared: Prepared) -> Result<()> {
    attach_what(tree, mount, prepared)
        .and_then(|attached| match attached {
            Some(attached) => {
                finish(mount, attached.as_fd())?;
                tree.note(&mount.destination, &mount.what, attached)
            }
            None => Ok(()),
        })
        .with_context(|| describe(mount))
        .map_err(|error| of_field(mount, error))
}

fn attach_what(tree: &mut Tree, mount: &Mount, prepared: Prepared) -> Result<Option<OwnedFd>> {
    match &mount.what {
        What::Filesystem(filesystem) => {
            filesystem::attach(tree, &mount.destination, filesystem).map(Some)
        }
        What::Bind(bind) => {
            if bind.source_link == SourceLink::Copied
                && let Ok(link) = std::fs::read_link(&bind.source)
            {
                return place::link(tree, &mount.destination, &link).map(|()| None);
            }
            let make = || bind::detached(bind, mount.recursive.clear, Locks::OfKernel);
            let detached = prepared.map_or_else(make, Ok)?;
            place::bind(tree, &mount.destination, mount.destination_link, detached).map(Some)
        }
        What::Cgroup { attr, view } => {
            let detached = prepared.map_or_else(|| filesystem::detached_cgroup(*attr, view), Ok)?;
            let target = place::directory(tree, &mount.destination)?.fd;
            place::refuse_to_cover_proc(&target, &mount.destination, || Ok(false))?;
            place::put(tree, &target, detached, &mount.destination).map(Some)
        }
        What::Remount { attr, options } => {
            let target = place::existing(tree, &mount.destination)?;
            if let Some(filesystem) = options {
                filesystem::remount(target.as_fd(), filesystem)?;
            }
            set_attr(target.as_fd(), *attr, Reach::One)?;
            Ok(Some(target))
        }
    }
}

fn finish(mount: &Mount, attached: BorrowedFd<'_>) -> Result<()> {
    set_attr(attached, mount.recursive, Reach::Recursive)?;
    mount.propagation.iter().try_for_each(|propagation| propagation.apply(attached))
}

fn set_attr(mount: BorrowedFd<'_>, attr: MountAttr, reach: Reach) -> Result<()> {
    if attr.is_empty() {
        return Ok(());
    }
    mount_api::mount_setattr(mount, attr, None, reach)
        .call(|| format!("mount_setattr(set {:#x}, clear {:#x}, {reach:?})", attr.set, attr.clear))
}

/// Names the field that asks for the mount which failed.
fn of_field(mount: &Mount, error: Error) -> Error {
    match mount.field.is_empty() {
        true => error,
        false => error.context(mount.field.clone()),
    }
}

/// In runc's words: they are what people look for.
fn describe(mount: &Mount) -> String {
    let source = match &mount.what {
        What::Filesystem(filesystem) => filesystem.source.to_string_lossy(),
        What::Bind(bind) => bind.source.to_string_lossy(),
        What::Cgroup { .. } => "cgroup".into(),
        What::Remount { .. } => return format!("remount {}", mount.destination.display()),
    };
    format!("error mounting {source:?} to rootfs at {:?}", mount.destination)
}

/// A detached copy of what is mounted at `path` on the host.
pub(super) fn clone_host_path(path: &std::path::Path, reach: Reach) -> Result<OwnedFd> {
    clone_host(path, OFlag::empty(), reach)
}

/// A detached copy of what is at `path` on the host, a link itself.
pub(super) fn clone_host_link(path: &std::path::Path, reach: Reach) -> Result<OwnedFd> {
    clone_host(path, OFlag::O_NOFOLLOW, reach)
}

fn clone_host(path: &std::path::Path, follow: OFlag, reach: Reach) -> Result<OwnedFd> {
    let fd = nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC | follow, Mode::empty())
        .call(|| format!("open({path:?}, O_PATH)"))?;
    mount_api::clone_tree(fd.as_fd(), c"", reach)
        .call(|| format!("open_tree({path:?}, OPEN_TREE_CLONE, {reach:?})"))
        .map_err(|error| match (error.errno(), reach) {
            (Some(Errno::EINVAL), Reach::One) => error.hint(
                "in a user namespace a directory is bound with the mounts below it (rbind), which may cover something",
            ),
            _ => error,
        })
}
