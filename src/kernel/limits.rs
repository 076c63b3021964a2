//! Resource limits and the OOM score of another process, set by whoever holds the privilege for it.

use nix::errno::Errno;
use nix::unistd::Pid;

use super::procfs::Procfs;
use crate::error::{Call, Result};
use crate::sys::prlimit;

/// A resource of prlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource(&'static str, u32);

/// Every resource of Linux 5.14 and later.
const RESOURCES: [Resource; 16] = [
    Resource("RLIMIT_AS", libc::RLIMIT_AS),
    Resource("RLIMIT_CORE", libc::RLIMIT_CORE),
    Resource("RLIMIT_CPU", libc::RLIMIT_CPU),
    Resource("RLIMIT_DATA", libc::RLIMIT_DATA),
    Resource("RLIMIT_FSIZE", libc::RLIMIT_FSIZE),
    Resource("RLIMIT_LOCKS", libc::RLIMIT_LOCKS),
    Resource("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK),
    Resource("RLIMIT_MSGQUEUE", libc::RLIMIT_MSGQUEUE),
    Resource("RLIMIT_NICE", libc::RLIMIT_NICE),
    Resource("RLIMIT_NOFILE", libc::RLIMIT_NOFILE),
    Resource("RLIMIT_NPROC", libc::RLIMIT_NPROC),
    Resource("RLIMIT_RSS", libc::RLIMIT_RSS),
    Resource("RLIMIT_RTPRIO", libc::RLIMIT_RTPRIO),
    Resource("RLIMIT_RTTIME", libc::RLIMIT_RTTIME),
    Resource("RLIMIT_SIGPENDING", libc::RLIMIT_SIGPENDING),
    Resource("RLIMIT_STACK", libc::RLIMIT_STACK),
];

impl Resource {
    /// The resource of this name (`RLIMIT_NOFILE`).
    pub fn from_name(name: &str) -> Option<Resource> {
        RESOURCES.into_iter().find(|resource| resource.0 == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// One resource limit, in the unit of the resource; `u64::MAX` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// What is limited.
    pub resource: Resource,
    /// The limit in force.
    pub soft: u64,
    /// The ceiling of the limit in force.
    pub hard: u64,
}

/// Sets the limits of process `pid`. Raising a ceiling needs `CAP_SYS_RESOURCE` in the initial user namespace.
pub fn set(pid: Pid, limits: &[Rlimit]) -> Result<()> {
    for limit in limits {
        let Rlimit { resource: Resource(name, number), soft, hard } = *limit;
        prlimit::set(pid.as_raw(), number, soft, hard)
            .call(|| format!("prlimit({pid}, {name}, soft {soft}, hard {hard})"))
            .map_err(|error| match error.errno() {
                Some(Errno::EPERM) => error.hint(
                    "raising a hard limit needs CAP_SYS_RESOURCE; RLIMIT_NOFILE ends at fs.nr_open",
                ),
                _ => error,
            })?;
    }
    Ok(())
}

/// Sets how readily the kernel kills process `pid` when memory is short: -1000 (never) to 1000 (proc_pid_oom_score_adj(5)).
pub fn set_oom_score_adj(procfs: &Procfs, pid: Pid, score: i32) -> Result<()> {
    procfs.write(&format!("{pid}/oom_score_adj"), score.to_string()).map_err(|error| {
        match error.errno() {
            Some(Errno::EACCES) => error
                .hint("going below the lowest value the caller was given needs CAP_SYS_RESOURCE"),
            _ => error,
        }
    })
}
