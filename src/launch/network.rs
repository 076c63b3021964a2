//! The network namespace, made by the parent while init makes its mounts. Making one takes the kernel longer than all
//! the rest of the clone; so it is taken out of the clone where both sides have a processor.
//!
//! Not with a user namespace: the network must be owned by that one, in which only init is. And not by whoever is in a
//! user namespace already: it might not be allowed back into the network it came from.

use std::os::fd::{AsFd, OwnedFd};

use super::channel::Channel;
use super::messages::ToInit;
use crate::error::{Context, Result};
use crate::kernel::namespaces::{self, Namespace};
use crate::kernel::net_devices;
use crate::kernel::procfs::Procfs;
use crate::plan::{NetworkMaker, Plan};

/// Whether the parent makes it.
pub(super) fn is_made_by_parent(plan: &Plan) -> bool {
    plan.network_maker == NetworkMaker::Parent
}

/// Makes it, its loopback interface up. The caller is in it meanwhile, and back again afterwards.
pub(super) fn make(procfs: &Procfs) -> Result<OwnedFd> {
    let own = current(procfs)?;
    namespaces::create(Namespace::Network.flag()).context("make the network namespace")?;
    let made = net_devices::bring_up_loopback().and_then(|()| current(procfs));
    namespaces::join(Namespace::Network, own.as_fd()).context("leave the container's network")?;
    made
}

fn current(procfs: &Procfs) -> Result<OwnedFd> {
    procfs.open_namespace("thread-self/ns", Namespace::Network.file())
}

/// What init still waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The namespace its parent makes.
    Network,
    /// Nothing: it is where it belongs.
    Nothing,
}

impl Awaited {
    /// What init waits for after its birth.
    pub(super) fn after_birth(plan: &Plan) -> Awaited {
        if is_made_by_parent(plan) { Awaited::Network } else { Awaited::Nothing }
    }

    /// Waits for it, once, and enters it.
    pub(super) fn enter(&mut self, channel: &Channel) -> Result<()> {
        if *self == Awaited::Network {
            let network = ToInit::wait_network(channel)?;
            namespaces::join(Namespace::Network, network.as_fd())?;
            *self = Awaited::Nothing;
        }
        Ok(())
    }
}
