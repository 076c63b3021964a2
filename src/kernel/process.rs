//! One process: an identity that the reuse of process ids can't forge, signals to it, waiting for its end. Knows
//! nothing of containers.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::error::{Call, Error, Result};
use crate::sys::pidfd;

/// A process and when it began: together they name it once and for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its process id, as we see it.
    pub pid: i32,
    /// When it began, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
}

/// How far a process that was born without a program of its own has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// It has executed one.
    Done,
    /// It has not (`PF_FORKNOEXEC` of include/linux/sched.h), whether or not it lives.
    NotYet,
    /// It is gone, and its parent has waited for it already.
    Unknown,
}

/// Whether something ended in the time given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It has ended.
    Ended,
    /// The time passed first.
    TimedOut,
}

impl Process {
    /// The process that has the id `pid` now; `None` when there is none, or only a zombie is left of it.
    pub fn of(pid: i32) -> Result<Option<Process>> {
        let Some(stat) = read_stat(pid)? else { return Ok(None) };
        if stat.has_ended() {
            return Ok(None);
        }
        Ok(Some(Process { pid, start_time: stat.start_time }))
    }

    /// Whether it is still there, and no zombie.
    pub fn is_alive(&self) -> Result<bool> {
        Ok(Process::of(self.pid)?.as_ref() == Some(self))
    }

    /// Whether it has executed a program since it was cloned; a zombie tells too.
    pub fn execution(&self) -> Result<Execution> {
        let stat = read_stat(self.pid)?;
        Ok(stat.filter(|stat| stat.start_time == self.start_time).into())
    }

    /// A descriptor of it; `None` when it has ended, even if another process has its id now.
    pub fn open(&self) -> Result<Option<Pidfd>> {
        if self.pid <= 0 {
            return Ok(None);
        }
        let pidfd = match Pidfd::open(self.pid) {
            Err(error) if error.errno() == Some(Errno::ESRCH) => return Ok(None),
            opened => opened?,
        };
        // Once the descriptor is open the id can't be reused unnoticed: what stat says now is about it.
        Ok(self.is_alive()?.then_some(pidfd))
    }
}

/// As [`Process::execution`], of a child that we have not waited for: its id is its own.
pub fn execution_of_child(pid: i32) -> Result<Execution> {
    read_stat(pid).map(Execution::from)
}

impl From<Option<Stat>> for Execution {
    fn from(stat: Option<Stat>) -> Self {
        const FORKED_WITHOUT_EXEC: u64 = 0x40;
        match stat {
            Some(stat) if stat.flags & FORKED_WITHOUT_EXEC != 0 => Execution::NotYet,
            Some(_) => Execution::Done,
            None => Execution::Unknown,
        }
    }
}

/// Forbids other processes to look into this one until it executes another program: what it holds is the host's
/// (CVE-2016-9962; prctl(2), `PR_SET_DUMPABLE`).
pub fn forbid_inspection() -> Result<()> {
    nix::sys::prctl::set_dumpable(false).call(|| "prctl(PR_SET_DUMPABLE, 0)")
}

/// Has the orphans among our descendants become our children (prctl(2), `PR_SET_CHILD_SUBREAPER`).
pub fn adopt_orphans() -> Result<()> {
    nix::sys::prctl::set_child_subreaper(true).call(|| "prctl(PR_SET_CHILD_SUBREAPER, 1)")
}

/// A descriptor of a process (pidfd_open(2)): it never means another one.
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

impl Pidfd {
    /// The process that has the id `pid` now. Safe for our own children; for others see [`Process::open`].
    pub fn open(pid: i32) -> Result<Pidfd> {
        pidfd::open(pid).call(|| format!("pidfd_open({pid})")).map(Pidfd)
    }

    /// Sends `signal`, by number: real-time signals have no names in most libraries.
    pub fn send_signal(&self, signal: i32) -> Result<()> {
        pidfd::send_signal(self.as_fd(), signal).call(|| format!("pidfd_send_signal({signal})"))
    }

    /// Waits until the process has ended, at most `timeout`; whoever is its parent still has to reap it.
    pub fn wait_exit(&self, timeout: Duration) -> Result<Waited> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            match nix::poll::poll(&mut fds, left) {
                Ok(0) if Instant::now() >= deadline => return Ok(Waited::TimedOut),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(Waited::Ended),
                Err(errno) => return Err(Error::call("poll(pidfd)", errno)),
            }
        }
    }

    /// Waits until our child has ended and reaps it; its exit code, or 128 plus the signal that killed it, as shells do.
    pub fn wait(&self) -> Result<i32> {
        match pidfd::wait(self.as_fd()).call(|| "waitid(P_PIDFD)")? {
            pidfd::Ended::Exited(code) => Ok(code),
            pidfd::Ended::Killed(signal) => Ok(128 + signal),
        }
    }
}

/// A child that is killed, and reaped, when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it kills the process"]
pub struct Doomed(Option<Pidfd>);

impl Doomed {
    /// Dooms it until it is spared.
    pub fn new(child: Pidfd) -> Doomed {
        Doomed(Some(child))
    }

    /// Its descriptor.
    pub fn pidfd(&self) -> &Pidfd {
        self.0.as_ref().expect(HELD)
    }

    /// Lets it live.
    pub fn spare(mut self) -> Pidfd {
        self.0.take().expect(HELD)
    }
}

const HELD: &str = "held until it is spared";

impl Drop for Doomed {
    fn drop(&mut self) {
        // One that is stuck in the kernel must not take us with it.
        const PATIENCE: Duration = Duration::from_secs(10);
        let Some(child) = &self.0 else { return };
        // Nobody is left to tell; one that has ended already is just reaped.
        let _ = child.send_signal(libc::SIGKILL);
        if matches!(child.wait_exit(PATIENCE), Ok(Waited::Ended)) {
            let _ = child.wait();
        }
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Pidfd {
    /// Takes the descriptor that clone3(2) made with `CLONE_PIDFD`.
    fn from(descriptor: OwnedFd) -> Pidfd {
        Pidfd(descriptor)
    }
}

impl From<Pidfd> for OwnedFd {
    fn from(pidfd: Pidfd) -> OwnedFd {
        pidfd.0
    }
}

/// What we want of /proc/PID/stat.
struct Stat {
    state: u8,
    flags: u64,
    threads: u64,
    start_time: u64,
}

impl Stat {
    /// A zombie, or dead: its descriptors, memory and namespaces are gone. A process whose first thread alone has ended
    /// looks like a zombie too, and runs (pthread_exit(3), "NOTES"): a container must not hide from us that way.
    fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }
}

fn read_stat(pid: i32) -> Result<Option<Stat>> {
    let path = format!("/proc/{pid}/stat");
    // 52 numbers of at most 20 digits and a name of at most 64 bytes: one read has all that we look at.
    let mut text = [0; 1200];
    let read = File::open(&path).and_then(|mut file| file.read(&mut text));
    let length = match read {
        Ok(length) => length,
        // ESRCH: it ended between the open and the read.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {
            return Ok(None);
        }
        Err(error) => return Err(error).call(|| format!("read({path:?})")),
    };
    match parse_stat(&text[..length]) {
        Some(stat) => Ok(Some(stat)),
        None => Err(Error::new(format!("malformed {path}"))),
    }
}

/// The name, field 2, is in parentheses and may hold any byte, parentheses and spaces too: what follows the last one
/// is safe to split.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let after_name = text.iter().rposition(|&byte| byte == b')')? + 1;
    let mut fields = std::str::from_utf8(&text[after_name..]).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    // The state is field 3, and the next one field 4.
    let flags = fields.nth(9 - 4)?.parse().ok()?;
    let threads = fields.nth(20 - 10)?.parse().ok()?;
    let start_time = fields.nth(22 - 21)?.parse().ok()?;
    Some(Stat { state, flags, threads, start_time })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_hostile_name_shifts_no_field() {
        let stat = parse_stat(
            b"42 (x) R 1 (y) ) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2\n",
        );
        let stat = stat.expect("well formed");
        assert_eq!((stat.state, stat.threads, stat.start_time), (b'S', 1, 987_654));
        assert_eq!(stat.flags, 4_194_560);
        assert!(parse_stat(b"42 (x) S 1").is_none());
        assert!(parse_stat(b"").is_none());
    }

    #[test]
    fn a_process_without_its_first_thread_is_alive() {
        let stat = |state, threads| Stat { state, flags: 0, threads, start_time: 1 };
        assert!(!stat(b'Z', 2).has_ended());
        assert!(stat(b'Z', 1).has_ended() && stat(b'X', 0).has_ended());
        assert!(!stat(b'S', 1).has_ended());
    }

    #[test]
    fn we_are_alive_and_an_older_process_of_our_id_is_not() {
        let pid = i32::try_from(std::process::id()).expect("pids are positive");
        let us = Process::of(pid).expect("procfs").expect("we run");
        assert!(us.is_alive().expect("procfs"));
        let older = Process { start_time: us.start_time - 1, ..us };
        assert!(!older.is_alive().expect("procfs"));
        assert!(older.open().expect("procfs").is_none());
        assert!(us.open().expect("procfs").is_some());
    }

    #[test]
    fn a_doomed_child_is_gone_unless_it_is_spared() {
        let mut command = Command::new("sleep");
        #[expect(clippy::zombie_processes, reason = "the pidfd under test reaps it")]
        let child = command.arg("60").spawn().expect("sleep");
        let pid = i32::try_from(child.id()).expect("pids are positive");
        let spared = Doomed::new(Pidfd::open(pid).expect("our child")).spare();
        assert!(Process::of(pid).expect("procfs").is_some());
        drop(Doomed::new(spared));
        assert_eq!(execution_of_child(pid).expect("procfs"), Execution::Unknown);
    }

    #[test]
    fn a_zombie_has_ended_and_its_signal_is_told() {
        let mut command = Command::new("sleep");
        #[expect(clippy::zombie_processes, reason = "the pidfd under test reaps it")]
        let child = command.arg("60").spawn().expect("sleep");
        let pid = i32::try_from(child.id()).expect("pids are positive");
        let process = Process::of(pid).expect("procfs").expect("it sleeps");
        let pidfd = process.open().expect("procfs").expect("it sleeps");
        assert_eq!(pidfd.wait_exit(Duration::from_millis(1)).expect("poll"), Waited::TimedOut);
        let sigrtmin_plus_3 = 37;
        pidfd.send_signal(sigrtmin_plus_3).expect("our child");
        assert_eq!(pidfd.wait_exit(Duration::from_secs(10)).expect("poll"), Waited::Ended);
        assert!(!process.is_alive().expect("procfs"), "only a zombie is left");
        assert_eq!(pidfd.wait().expect("our child"), 128 + sigrtmin_plus_3);
    }
}
