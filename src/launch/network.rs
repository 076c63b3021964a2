//! The network namespace. Making one takes the kernel longer than all the rest of the clone; so it is begun as soon as it
//! is known to be wanted, and made beside us while we plan, make the cgroup, and init its mounts. Nothing is left of it where
//! the plan is refused.
//!
//! Not with a user namespace: the network must be owned by that one, in which only init is.

use std::os::fd::{AsFd, OwnedFd};

use super::channel::Channel;
use super::messages::ToInit;
use crate::error::{Error, Result};
use crate::kernel::namespaces::{self, Namespace};
use crate::plan::{NetworkMaker, Plan};
use crate::sys::netns::{self, Failure};

/// Whether the parent has it made.
pub(super) fn is_made_by_parent(plan: &Plan) -> bool {
    plan.network_maker == NetworkMaker::Parent
}

/// A network namespace that is being made.
#[derive(Debug)]
pub struct Network(netns::Making);

impl Network {
    /// Begins to make the one that the parent is to have made, its loopback interface up.
    pub fn begin(maker: NetworkMaker) -> Result<Option<Network>> {
        match maker {
            NetworkMaker::Parent => {
                netns::begin().map_err(explain).map(|making| Some(Network(making)))
            }
            NetworkMaker::Init => Ok(None),
        }
    }

    /// Waits until it is made.
    pub(super) fn finish(self) -> Result<OwnedFd> {
        self.0.finish().map_err(explain)
    }
}

fn explain((call, errno): Failure) -> Error {
    namespaces::explain(Error::call(call, errno)).context("make the network namespace")
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
