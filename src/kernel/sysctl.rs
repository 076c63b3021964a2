//! Kernel parameters under /proc/sys, of the namespaces the calling thread is in (sysctl(2) is gone: they are files).

use nix::errno::Errno;

use super::procfs::Procfs;
use crate::error::{Context, Result};

/// A parameter to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// As `config.json` names it.
    pub name: String,
    /// Its file, relative to the root of procfs: `sys/net/ipv4/ip_forward`.
    pub path: String,
    /// What is written.
    pub value: String,
}

/// Sets the parameters, in order.
pub fn write(procfs: &Procfs, sysctls: &[Sysctl]) -> Result<()> {
    for sysctl in sysctls {
        procfs
            .write(&sysctl.path, &sysctl.value)
            .map_err(|error| match error.errno() {
                Some(Errno::ENOENT) => error.hint("this kernel has no such parameter"),
                Some(Errno::EINVAL) => error.hint("the kernel does not accept the value"),
                _ => error,
            })
            .with_context(|| format!("linux.sysctl: {}", sysctl.name))?;
    }
    Ok(())
}
