//! Why a process ended before it could say so. Knows signals and a cgroup's counters.

use crate::error::Error;
use crate::kernel::cgroup::Directory;
use crate::kernel::process::Pidfd;

/// As [`Pidfd::wait`] tells of them.
const KILLED_BY: i32 = 128;

/// What can be told of a process, `who` in words, that left the channel without one.
pub(super) fn explain(process: &Pidfd, who: &str, cgroup: Option<&Directory>) -> Error {
    let signal = match process.wait() {
        Ok(code) if code > KILLED_BY => code - KILLED_BY,
        Ok(code) => return Error::new(format!("{who} ended with exit code {code}")),
        Err(error) => return error.context(format!("{who} ended without a word")),
    };
    let error = Error::new(format!("{who} was killed by signal {signal}"));
    match signal {
        libc::SIGSYS => error.hint(
            "linux.seccomp kills on a call the runtime needs (read, write, close, execve)",
        ),
        libc::SIGKILL if cgroup.is_some_and(was_short_of_memory) => error.hint(
            "it may have been for memory, as the kernel has killed in this cgroup: is linux.resources.memory.limit too low to start in?",
        ),
        libc::SIGKILL => error.hint("someone killed it"),
        _ => error,
    }
}

/// Whether the kernel has ever killed there for want of memory. Counting before each clone too would cost every `exec`
/// a read, and still not tell whom it killed.
fn was_short_of_memory(cgroup: &Directory) -> bool {
    let events = cgroup.read("memory.events").unwrap_or_default();
    events.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count != "0"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn told_of(program: &str, who: &str, oom_kills: u32) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let events = format!("low 0\noom 1\noom_kill {oom_kills}\n");
        fs::write(directory.path().join("memory.events"), events).expect("a file");
        let cgroup = Directory::open(directory.path()).expect("a directory");
        #[expect(clippy::zombie_processes, reason = "the pidfd under test reaps it")]
        let child = Command::new("sh").args(["-c", program]).spawn().expect("a shell");
        let process = Pidfd::open(child.id().cast_signed()).expect("our child");
        explain(&process, who, Some(&cgroup)).to_string()
    }

    #[test]
    fn memory_is_blamed_for_a_sigkill_only() {
        assert_eq!(told_of("exit 3", "the process", 7), "the process ended with exit code 3");
        let told = told_of("kill -SYS $$", "the process", 7);
        assert!(told.starts_with("the process was killed by signal 31; linux.seccomp"), "{told}");
        let told = told_of("kill -KILL $$", "the process", 7);
        assert!(told.starts_with("the process was killed by signal 9; it may have been"), "{told}");
        assert!(told.contains("linux.resources.memory.limit"), "{told}");
        let told = told_of("kill -KILL $$", "init", 0);
        assert_eq!(told, "init was killed by signal 9; someone killed it");
    }
}
