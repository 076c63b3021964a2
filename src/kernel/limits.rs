//! Resource limits and the OOM score of another process, set by whoever holds the privilege for it.

use nix::errno::Errno;
use nix::unistd::Pid;

use super::procfs::Procfs;
use crate::error::{Call, Result};
use crate::sys::prlimit;

/// A resource of prlimit(2), by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource(u32);

/// Every resource of Linux 5.14 and later, each at its number (asm-generic/resource.h).
const NAMES: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

impl Resource {
    /// The resource of this name (`RLIMIT_NOFILE`).
    pub fn from_name(name: &str) -> Option<Resource> {
        (0..).zip(NAMES).find(|(_, known)| *known == name).map(|(number, _)| Resource(number))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES[self.0 as usize]
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
        let Rlimit { resource, soft, hard } = *limit;
        let name = resource.name();
        prlimit::set(pid.as_raw(), resource.0, soft, hard)
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
///
/// Without privileges only as long as the process is dumpable: then its files are root's.
pub fn set_oom_score_adj(procfs: &Procfs, pid: Pid, score: i32) -> Result<()> {
    write_oom_score_adj(procfs, &pid.to_string(), score)
}

/// The same for the calling process.
pub fn set_own_oom_score_adj(procfs: &Procfs, score: i32) -> Result<()> {
    write_oom_score_adj(procfs, "self", score)
}

fn write_oom_score_adj(procfs: &Procfs, process: &str, score: i32) -> Result<()> {
    procfs.write(&format!("{process}/oom_score_adj"), score.to_string()).map_err(
        |error| match error.errno() {
            Some(Errno::EACCES) => error
                .hint("going below the lowest value the caller was given needs CAP_SYS_RESOURCE"),
            _ => error,
        },
    )
}
