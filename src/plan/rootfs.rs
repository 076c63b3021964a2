//! From `root` and `linux.rootfsPropagation` to the root file system's plan.

use std::path::Path;

use nix::mount::MsFlags;

use super::hooks::Hooks;
use crate::error::{Error, Result};
use crate::host::UserNamespace;
use crate::kernel::mounts::{self, Mount, Propagation, Reach};
use crate::kernel::namespaces::{Namespace, Namespaces};
use crate::kernel::rootfs::{Access, Beginning, Rootfs, Switch};
use crate::spec::Spec;

/// What a mount namespace starts with unless asked otherwise: the host's events come in, none go out.
const DEFAULT: Propagation =
    Propagation { flag: MsFlags::MS_SLAVE.bits(), reach: Reach::Recursive };

/// What the rest of the plan knows that the root depends on.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The bundle's directory: a relative root starts there.
    pub bundle: &'a Path,
    /// How the root is changed.
    pub switch: Switch,
    /// The container's namespaces.
    pub namespaces: &'a Namespaces,
    /// The container's mounts.
    pub mounts: &'a [Mount],
    /// The container's hooks.
    pub hooks: &'a Hooks,
    /// Which user namespace we are in.
    pub user_namespace: UserNamespace,
}

/// Plans the root file system.
pub fn plan(spec: &Spec, surroundings: &Surroundings<'_>) -> Result<Rootfs> {
    let Some(root) = &spec.root else {
        return Err(Error::refused("root: is missing; config.json must name the root file system"));
    };
    if root.path.as_os_str().is_empty() {
        return Err(Error::refused("root.path: is empty"));
    }
    let asked = spec.linux.as_ref().map_or("", |linux| linux.rootfs_propagation.as_str());
    let final_propagation = propagation(asked)?;
    if surroundings.switch == Switch::MoveAndChroot
        && final_propagation.is_some_and(|asked| asked.flag == MsFlags::MS_PRIVATE.bits())
    {
        return Err(Error::refused(
            "linux.rootfsPropagation: private can't be had with --no-pivot",
        ));
    }
    Ok(Rootfs {
        path: surroundings.bundle.join(&root.path),
        initial_propagation: initial(final_propagation),
        final_propagation,
        access: if root.readonly { Access::Readonly } else { Access::Writable },
        switch: surroundings.switch,
        beginning: beginning(surroundings, initial(final_propagation)),
    })
}

/// The root's tree alone, unless somebody needs the host's beside it: a hook before the root is entered, or a mount. In a
/// user namespace the mounts copied from the host's namespace would be locked (mount_namespaces(7)); and where we are in one
/// already, the kernel mounts a procfs only where one that is not masked is in sight.
fn beginning(surroundings: &Surroundings<'_>, initial: Propagation) -> Beginning {
    let Surroundings { switch, namespaces, mounts, hooks, .. } = surroundings;
    let alone = *switch == Switch::Pivot
        && initial.reach == Reach::Recursive
        && initial.flag != MsFlags::MS_SHARED.bits()
        && namespaces.creates(Namespace::Mount)
        && !namespaces.separates(Namespace::User)
        && surroundings.user_namespace == UserNamespace::Initial
        && !hooks.run_outside_before_pivot()
        && hooks.create_container.is_empty()
        && !mounts.iter().any(mounts::needs_hosts_tree);
    if alone { Beginning::RootAlone } else { Beginning::HostsTree }
}

/// An unbindable mount could not be copied into the container: it becomes so only at the end.
fn initial(asked: Option<Propagation>) -> Propagation {
    match asked {
        None => DEFAULT,
        Some(asked) if asked.flag == MsFlags::MS_UNBINDABLE.bits() => {
            Propagation { flag: MsFlags::MS_PRIVATE.bits(), reach: Reach::Recursive }
        }
        Some(asked) => asked,
    }
}

fn propagation(name: &str) -> Result<Option<Propagation>> {
    let (flag, reach) = match name {
        "" => return Ok(None),
        "shared" => (MsFlags::MS_SHARED, Reach::One),
        "slave" => (MsFlags::MS_SLAVE, Reach::One),
        "private" => (MsFlags::MS_PRIVATE, Reach::One),
        "unbindable" => (MsFlags::MS_UNBINDABLE, Reach::One),
        "rshared" => (MsFlags::MS_SHARED, Reach::Recursive),
        "rslave" => (MsFlags::MS_SLAVE, Reach::Recursive),
        "rprivate" => (MsFlags::MS_PRIVATE, Reach::Recursive),
        "runbindable" => (MsFlags::MS_UNBINDABLE, Reach::Recursive),
        other => {
            return Err(Error::refused(format!(
                "linux.rootfsPropagation: {other:?} is none of shared, slave, private, unbindable or their recursive forms"
            )));
        }
    };
    Ok(Some(Propagation { flag: flag.bits(), reach }))
}
