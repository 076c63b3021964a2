//! The network namespace. Making one takes the kernel longer than all the rest of the clone; so it is begun as soon as it
//! is known to be wanted, and made beside us while we plan, make the cgroup, and init its mounts. Nothing is left of it where
//! the plan is refused.
//!
//! Not with a user namespace: the network must be owned by that one, in which only init is.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::SockType;

use crate::error::{Call, Error, Result};
use crate::kernel::namespaces::{self, Namespace};
use crate::plan::{NetworkMaker, Plan};
use crate::spec::Spec;
use crate::sys::netns::{self, Failure};
use crate::sys::socket;

/// Whether the parent has it made.
pub(super) fn is_made_by_parent(plan: &Plan) -> bool {
    plan.network_maker == NetworkMaker::Parent
}

/// A network namespace that is being made, and sent to init by whoever makes it: we may have no processor then.
#[derive(Debug)]
pub struct Network {
    making: netns::Making,
    /// Our end of the socket over which init gets it.
    sender: OwnedFd,
    receiver: OwnedFd,
}

impl Network {
    /// Begins to make the one that the parent is to have made, its loopback interface up.
    pub fn begin(maker: NetworkMaker, spec: &Spec) -> Result<Option<Network>> {
        if maker == NetworkMaker::Init {
            return Ok(None);
        }
        let (sender, receiver) = socket::pair(SockType::SeqPacket).call(|| "socketpair()")?;
        // Interfaces move in first, which is our part.
        let at_once = spec.linux.as_ref().is_none_or(|linux| linux.net_devices.is_empty());
        let making = netns::begin(at_once.then_some(sender.as_fd())).map_err(explain)?;
        Ok(Some(Network { making, sender, receiver }))
    }

    /// Init's end. Nothing else of it may be open there: its end of file means that nobody is left who could send.
    pub(super) fn for_init(self) -> OwnedFd {
        self.receiver
    }

    /// Waits until it is made.
    pub(super) fn finish(self) -> Result<Made> {
        let namespace = self.making.finish().map_err(explain)?;
        Ok(Made { namespace, sender: self.sender })
    }
}

/// A network namespace that is made.
#[derive(Debug)]
pub(super) struct Made {
    pub namespace: OwnedFd,
    sender: OwnedFd,
}

impl Made {
    /// Sends it to init, where its maker has not.
    pub fn send(&self) -> Result<()> {
        socket::send(self.sender.as_fd(), b"n", &[self.namespace.as_fd()])
            .call(|| "sendmsg(network)")
            .map(drop)
    }
}

fn explain((call, errno): Failure) -> Error {
    namespaces::explain(Error::call(call, errno)).context("make the network namespace")
}

/// What init still waits for: where it gets the namespace from, until it is there.
#[derive(Debug)]
pub(super) struct Awaited(pub Option<OwnedFd>);

impl Awaited {
    /// Waits for it, once, and enters it.
    pub(super) fn enter(&mut self) -> Result<()> {
        let Some(receiver) = self.0.take() else { return Ok(()) };
        let received = socket::receive(receiver.as_fd(), &mut [0]).call(|| "recvmsg(network)")?;
        let network = received.descriptors.into_iter().next();
        let network = network.ok_or_else(|| Error::new("nobody makes the network namespace"))?;
        namespaces::join(Namespace::Network, network.as_fd())
    }
}
