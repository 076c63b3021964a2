//! Why a process ended before it could say so. Knows signals and a cgroup's counters.

use crate::error::Error;
use crate::kernel::cgroup::Directory;
use crate::kernel::process::Pidfd;

/// What can be told of a process that left the channel without a word.
pub(super) fn explain(process: &Pidfd, cgroup: Option<&Directory>) -> Error {
    let error = match process.wait() {
        Ok(code) if code > 128 => Error::new(format!("init was killed by signal {}", code - 128)),
        Ok(code) => Error::new(format!("init ended with exit code {code}")),
        Err(error) => return error.context("init ended without a word"),
    };
    if cgroup.is_some_and(killed_for_memory) {
        return error.hint(
            "the kernel killed it for memory: linux.resources.memory.limit is too low to start in",
        );
    }
    error.hint(
        "if by SIGSYS (31), linux.seccomp kills on a call the runtime needs (read, write, close, execve); if by SIGKILL (9), someone killed it",
    )
}

fn killed_for_memory(cgroup: &Directory) -> bool {
    let events = cgroup.read("memory.events").unwrap_or_default();
    events.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count != "0"))
}
