//! Every verb there is: what it takes, and what carries it out.

use super::flags::*;
use super::grammar::Arguments::{AtLeast, Between, Exactly};
use super::grammar::{Arguments, Flag, FlagsEnd, Shown, Verb};
use super::{containers, exec, help, reports, resources};

/// The flags that may stand before any verb, and after it where it has none of the same name.
pub(super) static GLOBAL: &[&Flag] =
    &[&DEBUG, &LOG, &LOG_FORMAT, &ROOT, &SYSTEMD_CGROUP, &ROOTLESS, &HELP, &VERSION];

/// What most verbs are like: one argument, the container's id, and no flags.
const PLAIN: Verb = Verb {
    name: "",
    about: "",
    usage: "<container-id>",
    arguments: Exactly(1),
    flags_end: FlagsEnd::Never,
    shown: Shown::Yes,
    flags: &[],
    act: reports::state,
};

/// The verbs, in the order of help.
pub(super) static VERBS: &[Verb] = &[
    Verb {
        name: "create",
        about: "make a container that waits for start",
        flags: &[
            &BUNDLE,
            &CONSOLE_SOCKET,
            &PIDFD_SOCKET,
            &PID_FILE,
            &NO_PIVOT,
            &NO_NEW_KEYRING,
            &PRESERVE_FDS,
        ],
        act: containers::create,
        ..PLAIN
    },
    Verb {
        name: "delete",
        about: "remove a container and all it holds",
        flags: &[&FORCE],
        act: containers::delete,
        ..PLAIN
    },
    Verb {
        name: "events",
        about: "write statistics and memory shortages as they come, as JSON lines",
        flags: &[&INTERVAL, &STATS],
        act: reports::events,
        ..PLAIN
    },
    Verb {
        name: "exec",
        about: "run one more process in a container",
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
        act: exec::exec,
        ..PLAIN
    },
    Verb {
        name: "features",
        about: "say what this build knows, as JSON",
        usage: "",
        arguments: Exactly(0),
        act: reports::features,
        ..PLAIN
    },
    Verb {
        name: "kill",
        about: "send a signal to the container's process (default: SIGTERM)",
        usage: "<container-id> [signal]",
        arguments: Between(1, 2),
        flags_end: FlagsEnd::AtFirstArgument,
        flags: &[&ALL],
        act: containers::kill,
        ..PLAIN
    },
    Verb {
        name: "list",
        about: "list containers",
        usage: "",
        arguments: Exactly(0),
        flags: &[&FORMAT, &QUIET],
        act: reports::list,
        ..PLAIN
    },
    Verb { name: "pause", about: "freeze a container", act: containers::pause, ..PLAIN },
    Verb {
        name: "ps",
        about: "list the processes of a container",
        usage: "<container-id> [ps argument...]",
        arguments: AtLeast(1),
        flags_end: FlagsEnd::AtFirstArgument,
        flags: &[&FORMAT],
        act: reports::ps,
        ..PLAIN
    },
    Verb {
        name: "resume",
        about: "let a frozen container go on",
        act: containers::resume,
        ..PLAIN
    },
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
        act: containers::run,
        ..PLAIN
    },
    Verb {
        name: "spec",
        about: "write a config.json to begin with",
        usage: "",
        arguments: Exactly(0),
        flags: &[&BUNDLE, &SPEC_ROOTLESS],
        act: reports::spec,
        ..PLAIN
    },
    Verb {
        name: "start",
        about: "let a created container's process run",
        act: containers::start,
        ..PLAIN
    },
    Verb { name: "state", about: "say where a container is in its life, as JSON", ..PLAIN },
    Verb {
        name: "update",
        about: "change the limits of a container",
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
        act: resources::update,
        ..PLAIN
    },
    Verb {
        name: "help",
        about: "show help, of a verb too",
        usage: "[verb]",
        arguments: ANY,
        act: help::help,
        ..PLAIN
    },
    Verb {
        name: "completion",
        about: "write a completion script for bash, zsh or fish",
        usage: "<shell>",
        shown: Shown::Hidden,
        act: help::completion,
        ..PLAIN
    },
    Verb {
        name: "man",
        about: "write the manual pages into a directory",
        usage: "<directory>",
        shown: Shown::Hidden,
        act: help::manual,
        ..PLAIN
    },
];

const ANY: Arguments = AtLeast(0);
