//! Every verb there is, and what it takes.

use std::ffi::OsStr;

use super::flags::*;
use super::grammar::Arguments::{AtLeast, Between, Exactly};
use super::grammar::{Arguments, Flag, FlagsEnd, Shown, Verb};

/// The flags that may stand before any verb, and after it where it has none of the same name.
pub(super) static GLOBAL: &[&Flag] = &[
    &DEBUG,
    &LOG,
    &LOG_FORMAT,
    &ROOT,
    &SYSTEMD_CGROUP,
    &CGROUP_MANAGER,
    &ROOTLESS,
    &TIMELINE,
    &HELP,
    &VERSION,
];

/// What most verbs are like: one argument, the container's id, and no flags.
const PLAIN: Verb = Verb {
    name: "",
    about: "",
    usage: "<container-id>",
    arguments: Exactly(1),
    flags_end: FlagsEnd::Never,
    shown: Shown::Yes,
    flags: &[],
};

/// The verbs, in the order of help.
pub(super) static VERBS: &[Verb] = &[
    Verb {
        name: "checkpoint",
        about: "checkpoint a container with criu(8)",
        flags: &[
            &IMAGE_PATH,
            &WORK_PATH,
            &PARENT_PATH,
            &LEAVE_RUNNING,
            &TCP_ESTABLISHED,
            &TCP_SKIP_IN_FLIGHT,
            &LINK_REMAP,
            &EXT_UNIX_SK,
            &SHELL_JOB,
            &LAZY_PAGES,
            &STATUS_FD,
            &PAGE_SERVER,
            &FILE_LOCKS,
            &PRE_DUMP,
            &MANAGE_CGROUPS_MODE,
            &EMPTY_NS,
            &AUTO_DEDUP,
        ],
        ..PLAIN
    },
    Verb {
        name: "create",
        about: "create a container, to be started later",
        flags: &[
            &BUNDLE,
            &CONSOLE_SOCKET,
            &PIDFD_SOCKET,
            &PID_FILE,
            &NO_PIVOT,
            &NO_NEW_KEYRING,
            &PRESERVE_FDS,
        ],
        ..PLAIN
    },
    Verb {
        name: "delete",
        about: "delete a container and what it holds",
        flags: &[&FORCE],
        ..PLAIN
    },
    Verb {
        name: "events",
        about: "stream statistics and OOM kills as JSON lines",
        flags: &[&INTERVAL, &STATS],
        ..PLAIN
    },
    Verb {
        name: "exec",
        about: "run a process in a running container",
        usage: "<container-id> <command> [argument...] | --process FILE <container-id>",
        arguments: AtLeast(1),
        flags_end: FlagsEnd::AtFirstArgument,
        flags: &[
            &CONSOLE_SOCKET,
            &PIDFD_SOCKET,
            &CWD,
            &ENV,
            &TTY,
            &USER,
            &ADDITIONAL_GIDS,
            &PROCESS,
            &DETACH,
            &PID_FILE,
            &PROCESS_LABEL,
            &APPARMOR,
            &NO_NEW_PRIVS,
            &CAP,
            &PRESERVE_FDS,
            &CGROUP,
            &IGNORE_PAUSED,
        ],
        ..PLAIN
    },
    Verb {
        name: "features",
        about: "print the supported features as JSON",
        usage: "",
        arguments: Exactly(0),
        ..PLAIN
    },
    Verb {
        name: "kill",
        about: "send a signal to the container's process (default: SIGTERM)",
        usage: "<container-id> [signal]",
        arguments: Between(1, 2),
        flags_end: FlagsEnd::AtFirstArgument,
        flags: &[&ALL],
        ..PLAIN
    },
    Verb {
        name: "list",
        about: "list containers",
        usage: "",
        arguments: Exactly(0),
        flags: &[&FORMAT, &QUIET],
        ..PLAIN
    },
    Verb { name: "pause", about: "pause all processes of a container", ..PLAIN },
    Verb {
        name: "ps",
        about: "list the processes of a container",
        usage: "<container-id> [ps-argument...]",
        arguments: AtLeast(1),
        flags_end: FlagsEnd::AtFirstArgument,
        flags: &[&FORMAT],
        ..PLAIN
    },
    Verb {
        name: "restore",
        about: "restore a container from a checkpoint with criu(8)",
        flags: &[
            &CONSOLE_SOCKET,
            &IMAGE_PATH,
            &WORK_PATH,
            &TCP_ESTABLISHED,
            &EXT_UNIX_SK,
            &SHELL_JOB,
            &FILE_LOCKS,
            &MANAGE_CGROUPS_MODE,
            &BUNDLE,
            &DETACH,
            &PID_FILE,
            &NO_SUBREAPER,
            &NO_PIVOT,
            &EMPTY_NS,
            &AUTO_DEDUP,
            &LAZY_PAGES,
            &LSM_PROFILE,
            &LSM_MOUNT_CONTEXT,
        ],
        ..PLAIN
    },
    Verb { name: "resume", about: "resume a paused container", ..PLAIN },
    Verb {
        name: "run",
        about: "create and start a container",
        flags: &[
            &BUNDLE,
            &CONSOLE_SOCKET,
            &PIDFD_SOCKET,
            &DETACH,
            &KEEP,
            &PID_FILE,
            &NO_SUBREAPER,
            &NO_PIVOT,
            &NO_NEW_KEYRING,
            &PRESERVE_FDS,
        ],
        ..PLAIN
    },
    Verb {
        name: "spec",
        about: "write a default config.json",
        usage: "",
        arguments: Exactly(0),
        flags: &[&BUNDLE, &SPEC_ROOTLESS],
        ..PLAIN
    },
    Verb { name: "start", about: "start a created container", ..PLAIN },
    Verb { name: "state", about: "print the state of a container as JSON", ..PLAIN },
    Verb {
        name: "update",
        about: "change the resource limits of a container",
        flags: &[
            &RESOURCES,
            &BLKIO_WEIGHT,
            &CPU_PERIOD,
            &CPU_QUOTA,
            &CPU_BURST,
            &CPU_SHARE,
            &CPU_RT_PERIOD,
            &CPU_RT_RUNTIME,
            &CPUSET_CPUS,
            &CPUSET_MEMS,
            &CPU_IDLE,
            &MEMORY,
            &MEMORY_RESERVATION,
            &MEMORY_SWAP,
            &KERNEL_MEMORY,
            &KERNEL_MEMORY_TCP,
            &PIDS_LIMIT,
            &L3_CACHE_SCHEMA,
            &MEM_BW_SCHEMA,
        ],
        ..PLAIN
    },
    Verb {
        name: "help",
        about: "show help, or the help of a verb",
        usage: "[verb]",
        arguments: ANY,
        ..PLAIN
    },
    Verb {
        name: "completion",
        about: "write a completion script for bash, zsh or fish",
        usage: "<shell>",
        shown: Shown::Hidden,
        ..PLAIN
    },
    Verb {
        name: "man",
        about: "write the manual pages into a directory",
        usage: "<directory>",
        shown: Shown::Hidden,
        ..PLAIN
    },
];

const ANY: Arguments = AtLeast(0);

/// The verb called `name`; help has a short name too.
pub(super) fn named(name: &OsStr) -> Option<&'static Verb> {
    let name = if name == "h" { OsStr::new("help") } else { name };
    VERBS.iter().find(|verb| name == verb.name)
}
