//! Creating and joining the eight namespaces (namespaces(7)). Knows nothing of why.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, stat};
use nix::unistd::{chroot, fchdir};

use super::procfs::Procfs;
use crate::error::{Call, Context, Error, Result};

/// A kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// User and group ids, capabilities.
    User,
    /// Process ids.
    Pid,
    /// Network devices, addresses, ports.
    Network,
    /// System V IPC, POSIX message queues.
    Ipc,
    /// Host name and NIS domain name.
    Uts,
    /// Mounts.
    Mount,
    /// The root of the cgroup hierarchy.
    Cgroup,
    /// Offsets of the monotonic and boot-time clocks.
    Time,
}

impl Namespace {
    /// All of them, in the order they are joined: the user namespace first, for the rights over the others; the mount
    /// namespace last, for the paths.
    pub const ALL: [Namespace; 8] = [
        Namespace::User,
        Namespace::Pid,
        Namespace::Network,
        Namespace::Ipc,
        Namespace::Uts,
        Namespace::Cgroup,
        Namespace::Time,
        Namespace::Mount,
    ];

    /// As `config.json` names it.
    pub fn name(self) -> &'static str {
        match self {
            Namespace::User => "user",
            Namespace::Pid => "pid",
            Namespace::Network => "network",
            Namespace::Ipc => "ipc",
            Namespace::Uts => "uts",
            Namespace::Mount => "mount",
            Namespace::Cgroup => "cgroup",
            Namespace::Time => "time",
        }
    }

    /// The kind `config.json` calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|namespace| namespace.name() == name)
    }

    /// Its file in /proc/PID/ns.
    pub fn file(self) -> &'static str {
        match self {
            Namespace::Network => "net",
            Namespace::Mount => "mnt",
            other => other.name(),
        }
    }

    /// Its `CLONE_NEW*`.
    pub fn flag(self) -> CloneFlags {
        match self {
            Namespace::User => CloneFlags::CLONE_NEWUSER,
            Namespace::Pid => CloneFlags::CLONE_NEWPID,
            Namespace::Network => CloneFlags::CLONE_NEWNET,
            Namespace::Ipc => CloneFlags::CLONE_NEWIPC,
            Namespace::Uts => CloneFlags::CLONE_NEWUTS,
            Namespace::Mount => CloneFlags::CLONE_NEWNS,
            Namespace::Cgroup => CloneFlags::CLONE_NEWCGROUP,
            Namespace::Time => CloneFlags::from_bits_retain(libc::CLONE_NEWTIME),
        }
    }
}

/// The namespaces of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Made new.
    pub create: Vec<Namespace>,
    /// Joined: a file of /proc/PID/ns, or a bind of one.
    pub join: Vec<(Namespace, PathBuf)>,
    /// Offsets of a new time namespace's clocks.
    pub time_offsets: Vec<TimeOffset>,
}

/// An offset of one clock (time_namespaces(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeOffset {
    /// `monotonic` or `boottime`.
    pub clock: String,
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds on top.
    pub nanoseconds: u32,
}

impl Namespaces {
    /// Whether one of this kind is made new.
    pub fn creates(&self, namespace: Namespace) -> bool {
        self.create.contains(&namespace)
    }

    /// The path of the one of this kind that is joined.
    pub fn joins(&self, namespace: Namespace) -> Option<&Path> {
        self.join.iter().find(|(kind, _)| *kind == namespace).map(|(_, path)| path.as_path())
    }

    /// Whether the container has one of this kind apart from the host's.
    pub fn separates(&self, namespace: Namespace) -> bool {
        self.creates(namespace) || self.joins(namespace).is_some()
    }

    /// The `CLONE_NEW*` of those among `kinds` that are made new.
    pub fn flags_among(&self, kinds: &[Namespace]) -> CloneFlags {
        kinds
            .iter()
            .filter(|kind| self.creates(**kind))
            .fold(CloneFlags::empty(), |all, kind| all | kind.flag())
    }
}

/// Opens the namespace at `path`, which must be one of that kind once it is joined.
pub fn open_path(namespace: Namespace, path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .call(|| format!("open({path:?})"))
        .with_context(|| format!("join the {} namespace", namespace.name()))
}

/// Whether `path` leads to the namespace that this process is in.
pub fn is_own(namespace: Namespace, path: &Path) -> Result<bool> {
    let own = Path::new("/proc/self/ns").join(namespace.file());
    let identity = |path: &Path| {
        let status = stat(path).call(|| format!("stat({path:?})"))?;
        Ok::<_, Error>((status.st_dev, status.st_ino))
    };
    Ok(identity(path)? == identity(&own)?)
}

/// Joins the namespace `fd` refers to; of a pid namespace only children born afterwards are members.
pub fn join(namespace: Namespace, fd: BorrowedFd<'_>) -> Result<()> {
    setns(fd, namespace.flag())
        .call(|| format!("setns({}, {:?})", namespace.name(), namespace.flag()))
        .map_err(|error| match error.errno() {
            Some(nix::errno::Errno::EINVAL) => error.hint(format!(
                "the path does not lead to a {} namespace, or this process is a member already",
                namespace.name()
            )),
            _ => error,
        })
}

/// Joins a mount namespace, at `root` in it: setns(2) alone ends at the namespace's own root, which shows other paths where
/// we are in a chroot(2).
pub fn join_mounts(namespace: BorrowedFd<'_>, root: BorrowedFd<'_>) -> Result<()> {
    join(Namespace::Mount, namespace).map_err(|error| match error.errno() {
        Some(nix::errno::Errno::EPERM) => error.hint("it takes CAP_SYS_ADMIN and CAP_SYS_CHROOT"),
        _ => error,
    })?;
    fchdir(root).call(|| "fchdir(root)")?;
    chroot(".").call(|| "chroot(\".\")")
}

/// Makes new namespaces of the kinds in `flags` for this process.
pub fn create(flags: CloneFlags) -> Result<()> {
    if flags.is_empty() {
        return Ok(());
    }
    unshare(flags).call(|| format!("unshare({flags:?})")).map_err(explain)
}

/// Says what it takes where the kernel does not make a namespace.
pub fn explain(error: Error) -> Error {
    match error.errno() {
        Some(nix::errno::Errno::ENOSPC) => error.hint("a limit of /proc/sys/user/max_*_namespaces is reached"),
        Some(nix::errno::Errno::EPERM) => error.hint("without privileges a container needs a user namespace of its own, and the host must allow them"),
        _ => error,
    }
}

/// Makes a new time namespace and moves into it: its clocks take offsets only while nobody is in it.
pub fn create_time(procfs: &Procfs, offsets: &[TimeOffset]) -> Result<()> {
    create(Namespace::Time.flag())?;
    let text = offsets.iter().fold(String::new(), |text, offset| {
        text + &format!("{} {} {}\n", offset.clock, offset.seconds, offset.nanoseconds)
    });
    if !text.is_empty() {
        procfs
            .write("self/timens_offsets", text.as_bytes())
            .map_err(|error| match error.errno() {
                Some(nix::errno::Errno::ERANGE) => {
                    error.hint("an offset would move the clock below zero or too far")
                }
                _ => error,
            })
            .context("linux.timeOffsets")?;
    }
    let namespace = procfs
        .open_namespace("thread-self/ns", "time_for_children")
        .context("enter the new time namespace")?;
    join(Namespace::Time, namespace.as_fd())
}

/// The kind of a namespace that `config.json` names, or an error that lists them.
pub fn parse(name: &str) -> Result<Namespace> {
    Namespace::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Namespace::ALL.iter().map(|namespace| namespace.name()).collect();
        Error::refused(format!("unknown namespace {name:?}: one of {}", names.join(", ")))
    })
}
