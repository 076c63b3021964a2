//! A bind mount, made detached: a copy of a part of the host's tree, with its own attributes.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use super::{Bind, MountAttr, Reach, SourceLink};
use super::{clone_host_link, clone_host_path, id_mapped, set_attr};
use crate::error::Result;

/// The copy, not yet attached anywhere.
pub(super) fn detached(bind: &Bind) -> Result<OwnedFd> {
    let copy = match bind.source_link {
        SourceLink::Bound => clone_host_link(&bind.source, bind.reach)?,
        SourceLink::Followed | SourceLink::Copied => clone_host_path(&bind.source, bind.reach)?,
    };
    if let Some(id_map) = &bind.id_map {
        id_mapped::apply(copy.as_fd(), id_map)?;
    }
    let strict = set_attr(copy.as_fd(), bind.attr, Reach::One);
    match strict {
        Err(error) if error.errno() == Some(Errno::EPERM) => {
            let unlocked = MountAttr { clear: bind.cleared_by_name, ..bind.attr };
            set_attr(copy.as_fd(), unlocked, Reach::One).map_err(|error| {
                error.hint("the source mount has flags that are locked in this user namespace")
            })?;
        }
        other => other?,
    }
    Ok(copy)
}
