//! A unit that keeps a cgroup which others want to join.

use std::path::PathBuf;

use nix::errno::Errno;

use super::{Realm, Systemd};
use crate::error::{Context, Result};
use crate::kernel::cgroup::Directory;
use crate::kernel::signals::Signals;

/// The unit that a container's cgroup is.
#[derive(Debug, Clone)]
pub struct Keeper<'a> {
    /// Its name.
    pub unit: &'a str,
    /// Whose it is.
    pub realm: Realm,
    /// The cgroup to join, below the unit's own.
    pub below: PathBuf,
    /// Signals that end a wait for systemd.
    pub interrupts: Option<Signals>,
}

impl Keeper<'_> {
    /// Moves the process `pid` into `cgroup`. To move a process one must be allowed to write to the cgroup above both
    /// its old and its new one (cgroup-v2.rst, "Delegation Containment"); a user who comes from elsewhere is not, and
    /// has systemd do it.
    pub fn take_in(&self, cgroup: &Directory, pid: i32) -> Result<()> {
        match cgroup.add_process(pid) {
            Err(error) if matches!(error.errno(), Some(Errno::EACCES | Errno::EPERM)) => {
                let mut systemd = Systemd::connect(self.realm, self.interrupts.clone())?;
                systemd
                    .attach(self.unit, &self.below, pid)
                    .with_context(|| format!("have systemd move process {pid} to {}", self.unit))
            }
            outcome => outcome,
        }
    }
}
