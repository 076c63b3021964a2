//! Inside: from the host's mounts to a mount namespace of the container's own. Knows the two ways there, and what has to be
//! taken along on the one that leaves the host behind at once.

use std::iter;
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::CloneFlags;

use super::deputy::Detached;
use crate::error::{Context, Result};
use crate::kernel::mounts::{self, Prepared, Tree};
use crate::kernel::namespaces::{self, Namespace};
use crate::kernel::procfs::Procfs;
use crate::kernel::{capabilities, devices, masks, rootfs};
use crate::plan::Plan;

/// Whether the clone makes the mount namespace, with the user namespace that owns it: whoever makes mounts for init goes there
/// while init waits for its ids.
pub(super) fn is_born_there(plan: &Plan) -> bool {
    plan.namespaces.separates(Namespace::User)
}

/// A mount namespace to move to.
#[derive(Debug)]
pub enum Departure {
    /// One that holds the root's tree alone.
    ToRootAlone(OwnedFd),
    /// A copy of the host's, or one that is joined.
    WithHostsTree,
}

impl Departure {
    /// Chooses the way; nothing is left yet.
    pub fn choose(plan: &Plan) -> Result<Departure> {
        let alone = rootfs::namespace_alone(&plan.rootfs)?;
        Ok(alone.map_or(Departure::WithHostsTree, Departure::ToRootAlone))
    }

    /// What unshare(2) is to make on this way.
    pub fn namespace_to_make(&self, plan: &Plan) -> CloneFlags {
        match self {
            Departure::ToRootAlone(_) => CloneFlags::empty(),
            Departure::WithHostsTree if is_born_there(plan) => CloneFlags::empty(),
            Departure::WithHostsTree => plan.namespaces.flags_among(&[Namespace::Mount]),
        }
    }

    /// Goes there; every other namespace is entered. `detached` is what was made for us.
    pub fn arrive(self, plan: &Plan, detached: Detached) -> Result<Arrival> {
        let Detached { root, mounts, devices } = detached;
        match self {
            Departure::WithHostsTree => {
                let tree = rootfs::attach(&plan.rootfs, root)?;
                Ok(Arrival { tree, mounts, devices, null: None, root: Root::Ahead })
            }
            Departure::ToRootAlone(namespace) => {
                let mounts = take_along(plan, mounts)?;
                let devices = take_nodes_along(plan, devices)?;
                let null = take_null_device_along(plan)?;
                namespaces::join(Namespace::Mount, namespace.as_fd())?;
                let tree = rootfs::arrived(&plan.rootfs)?;
                Ok(Arrival { tree, mounts, devices, null, root: Root::Entered })
            }
        }
    }
}

/// Whoever may not make nodes binds the host's, which are out of sight soon. A device filter that forbids it to whoever else
/// may shows itself too late.
fn take_nodes_along(plan: &Plan, prepared: Vec<Prepared>) -> Result<Vec<Prepared>> {
    let may_make_nodes = || {
        let ours = capabilities::effective()?.0;
        Ok(ours & caps::Capability::CAP_MKNOD.bitmask() != 0)
    };
    let Some(dev) = &plan.dev else { return Ok(prepared) };
    if !prepared.is_empty() || may_make_nodes()? {
        return Ok(prepared);
    }
    let propagation = plan.rootfs.initial_propagation;
    // One that the host has not is told of when it is to be made.
    let nodes = dev.nodes.iter().map(|node| devices::detached(&node.path).ok());
    nodes
        .map(|node| match node {
            Some(node) => propagation.apply(node.as_fd()).map(|()| Some(node)),
            None => Ok(None),
        })
        .collect()
}

fn take_null_device_along(plan: &Plan) -> Result<Option<OwnedFd>> {
    if plan.masked_paths.is_empty() {
        return Ok(None);
    }
    let null = masks::null_device().context("linux.maskedPaths")?;
    plan.rootfs.initial_propagation.apply(null.as_fd())?;
    Ok(Some(null))
}

fn take_along(plan: &Plan, prepared: Vec<Prepared>) -> Result<Vec<Prepared>> {
    let propagation = plan.rootfs.initial_propagation;
    with_prepared(&plan.mounts, prepared)
        .map(|(mount, prepared)| match prepared {
            Some(prepared) => Ok(Some(prepared)),
            None => mounts::take_along(mount, propagation),
        })
        .collect()
}

/// Each of what is wanted, with what our parent has made for it, where it has.
pub(super) fn with_prepared<T>(
    wanted: &[T],
    prepared: Vec<Prepared>,
) -> impl Iterator<Item = (&T, Prepared)> {
    wanted.iter().zip(prepared.into_iter().chain(iter::repeat_with(|| None)))
}

/// In the container's mount namespace, with what is needed to fill it.
#[derive(Debug)]
pub struct Arrival {
    /// The tree of the container's root.
    pub tree: Tree,
    /// For each mount, a detached one where it is made already.
    pub mounts: Vec<Prepared>,
    /// For each device node, a detached bind of the host's where it is made already.
    pub devices: Vec<Prepared>,
    /// What masked files are covered with, where the host's tree is out of sight.
    null: Option<OwnedFd>,
    root: Root,
}

/// Whether the container's root is this process's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Entered,
    Ahead,
}

impl Arrival {
    /// Masks what the container must not see.
    pub fn mask(&mut self, plan: &Plan) -> Result<()> {
        if plan.masked_paths.is_empty() {
            return Ok(());
        }
        let null = self.null.take().map_or_else(masks::null_device, Ok);
        let places = plan.masked_paths.iter().map(|path| self.tree.place(path));
        null.and_then(|null| masks::mask(places, null, plan.mount_label.as_ref()))
            .context("linux.maskedPaths")
    }

    /// Makes the tree's root this process's, and lets go of the host's.
    pub fn enter_root(&self, plan: &Plan, procfs: &Procfs) -> Result<()> {
        match self.root {
            Root::Ahead => rootfs::enter(procfs, &self.tree, plan.rootfs.switch),
            Root::Entered => Ok(()),
        }
    }
}
