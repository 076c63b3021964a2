//! The mounts that init of a user namespace may not make itself, and the process that makes them for a moment: with its parent's
//! rights, in init's mount namespace. Knows who makes which, not where they are put.
//!
//! In the host's mount namespace the parent could make them too, but the kernel would take them for the container's own then: its
//! root could clear `ro`, `nosuid` and `nodev` of the host's mounts, and take off what the host covers with others. In init's
//! namespace they are copies that came from another user namespace, and locked (mount_namespaces(7)).

use std::os::fd::{AsFd, OwnedFd};

use super::channel::Channel;
use super::messages::ToInit;
use crate::error::{Call, Context, Error, Result};
use crate::kernel::mounts::{self, Locks, Prepared};
use crate::kernel::namespaces::{self, Namespace};
use crate::kernel::process::{Doomed, Pidfd};
use crate::kernel::procfs::Procfs;
use crate::kernel::{capabilities, devices, rootfs};
use crate::plan::Plan;
use crate::sys::clone::{Birth, CloneArgs, clone3};
use crate::sys::exec;

/// What is made for init, detached.
#[derive(Debug, Default)]
pub struct Detached {
    /// The root's tree, where init may not make it.
    pub root: Prepared,
    /// For each mount, a detached one where init may not make it.
    pub mounts: Vec<Prepared>,
    /// For each device node, a detached bind of the host's, where init may not make it.
    pub devices: Vec<Prepared>,
}

/// Who makes what init may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// Init itself; its parent makes only what takes rights over the host's user namespace.
    Init,
    /// Its parent, in the host's mount namespace: one that is joined is no copy of it.
    Parent,
    /// A deputy of its parent, in init's.
    Deputy,
}

impl Maker {
    /// In a user namespace init can neither read every path of the host nor make device nodes; whoever has the rights that
    /// it will lack does that for it.
    pub(super) fn choose(plan: &Plan) -> Result<Maker> {
        if !plan.namespaces.separates(Namespace::User) || !may_mount()? {
            return Ok(Maker::Init);
        }
        match plan.namespaces.creates(Namespace::Mount) {
            true => Ok(Maker::Deputy),
            false => Ok(Maker::Parent),
        }
    }

    /// What the parent makes before init is born; none when init is to wait for the deputy.
    pub(super) fn make_beforehand(self, plan: &Plan) -> Result<Option<Detached>> {
        match self {
            Maker::Init => make_privileged(plan).map(Some),
            Maker::Parent => make(plan).map(Some),
            Maker::Deputy => Ok(None),
        }
    }
}

fn make_privileged(plan: &Plan) -> Result<Detached> {
    let mounts =
        plan.mounts.iter().map(|mount| match mounts::needs_privileged_preparation(mount) {
            true => mounts::prepare(mount, plan.rootfs.initial_propagation, Locks::OfKernel),
            false => Ok(None),
        });
    Ok(Detached { mounts: mounts.collect::<Result<_>>()?, ..Detached::default() })
}

fn may_mount() -> Result<bool> {
    Ok(capabilities::effective()?.0 & caps::Capability::CAP_SYS_ADMIN.bitmask() != 0)
}

fn make(plan: &Plan) -> Result<Detached> {
    let propagation = plan.rootfs.initial_propagation;
    let mounts = plan.mounts.iter();
    let mounts = mounts.map(|mount| mounts::prepare(mount, propagation, Locks::OfUserNamespace));
    let mounts = mounts.collect::<Result<_>>()?;
    let root = rootfs::detached(&plan.rootfs)?;
    propagation.apply(root.as_fd())?;
    let nodes = plan.dev.iter().flat_map(|dev| &dev.nodes);
    let devices = nodes.map(|node| {
        let detached = devices::detached(&node.path);
        detached.map(Some).with_context(|| format!("device {}", node.path.display()))
    });
    Ok(Detached { root: Some(root), mounts, devices: devices.collect::<Result<_>>()? })
}

/// Where a deputy is sent to.
#[derive(Debug)]
pub(super) struct Errand {
    /// Init's mount namespace.
    namespace: OwnedFd,
    /// Init's root directory: there paths lead where ours do.
    root: OwnedFd,
}

impl Errand {
    /// To `init`: before its ids are mapped, for then it goes on and hides from us.
    pub(super) fn to(procfs: &Procfs, init: i32) -> Result<Errand> {
        let namespace = procfs.open_namespace(&format!("{init}/ns"), Namespace::Mount.file())?;
        Ok(Errand { namespace, root: procfs.open_root(init)? })
    }

    /// Has a deputy make the mounts there and send them to init, or say why it can't, and waits for its end.
    pub(super) fn run(self, plan: &Plan, channel: &Channel) -> Result<()> {
        match clone3(CloneArgs::default()).call(|| "clone3(0)")? {
            Birth::Child => {
                if let Err(error) = self.make_and_send(plan, channel) {
                    // Init tells it to our parent, or is gone and has told something else.
                    let _ = ToInit::Failed(error).send(channel);
                }
                exec::exit_at_once(0)
            }
            Birth::Parent { pidfd, .. } => {
                let deputy = Doomed::new(Pidfd::from(pidfd));
                let code = deputy.pidfd().wait()?;
                let _reaped = deputy.spare();
                match code {
                    0 => Ok(()),
                    _ => Err(Error::new(format!(
                        "the process that made mounts for the user namespace ended with {code}"
                    ))),
                }
            }
        }
    }

    fn make_and_send(self, plan: &Plan, channel: &Channel) -> Result<()> {
        namespaces::join_mounts(self.namespace.as_fd(), self.root.as_fd())?;
        // As init is about to do: what may not be bound on the host may be then, as without a user namespace.
        rootfs::separate(&plan.rootfs)?;
        let Detached { root, mounts, devices } = make(plan)?;
        ToInit::send_detached([root].into_iter().chain(mounts).chain(devices), channel)
    }
}

/// Waits for what a deputy makes.
pub(super) fn receive(plan: &Plan, channel: &Channel) -> Result<Detached> {
    let nodes: usize = plan.dev.iter().map(|dev| dev.nodes.len()).sum();
    let mut mounts = ToInit::wait_detached(1 + plan.mounts.len() + nodes, channel)?;
    let devices = mounts.split_off(1 + plan.mounts.len());
    let root = mounts.remove(0);
    Ok(Detached { root, mounts, devices })
}
