//! Every flag there is, each defined once; [`super::verbs`] says which verb has which. Names and meanings are runc's.

use super::grammar::Flag;

// Of every verb.
pub(super) static DEBUG: Flag = Flag::switch("debug", "log the command line too");
pub(super) static LOG: Flag =
    Flag::value("log", "FILE", "append log lines to FILE instead of standard error");
pub(super) static LOG_FORMAT: Flag =
    Flag::value("log-format", "FORMAT", "write log lines as text (default) or json");
pub(super) static ROOT: Flag =
    Flag::value("root", "DIR", "keep the state of containers in DIR, which should be on a tmpfs");
pub(super) static SYSTEMD_CGROUP: Flag = Flag::switch(
    "systemd-cgroup",
    "have systemd make cgroups; cgroupsPath is then slice:prefix:name",
);
pub(super) static CGROUP_MANAGER: Flag = Flag::value(
    "cgroup-manager",
    "MANAGER",
    "who makes cgroups: cgroupfs (default) or systemd, as --systemd-cgroup",
);
pub(super) static ROOTLESS: Flag = Flag::value(
    "rootless",
    "WHEN",
    "ignore permission errors on cgroups: true, false or auto (default)",
);
pub(super) static TIMELINE: Flag = Flag::value(
    "timeline",
    "FILE",
    "append a trace of the steps and their times to FILE, for ui.perfetto.dev or chrome://tracing",
);
pub(super) static HELP: Flag = Flag::switch("help", "show help").short('h');
pub(super) static VERSION: Flag = Flag::switch("version", "show the version").short('v');

// Of making containers and processes.
pub(super) static BUNDLE: Flag = Flag::value(
    "bundle",
    "DIR",
    "the bundle: a directory with a config.json (default: the current one)",
)
.short('b');
pub(super) static CONSOLE_SOCKET: Flag = Flag::value(
    "console-socket",
    "SOCKET",
    "a Unix socket that receives the master end of the terminal",
);
pub(super) static PIDFD_SOCKET: Flag =
    Flag::value("pidfd-socket", "SOCKET", "a Unix socket that receives a pidfd of the process");
pub(super) static PID_FILE: Flag = Flag::value("pid-file", "FILE", "write the process id to FILE");
pub(super) static NO_PIVOT: Flag =
    Flag::switch("no-pivot", "change the root without pivot_root(2), for a root on a ramdisk");
pub(super) static NO_NEW_KEYRING: Flag =
    Flag::switch("no-new-keyring", "keep the caller's session keyring");
pub(super) static PRESERVE_FDS: Flag = Flag::number(
    "preserve-fds",
    "N",
    "pass N more descriptors, from 3 (or after those of LISTEN_FDS) on",
);
pub(super) static DETACH: Flag = Flag::switch("detach", "return once the process runs").short('d');
pub(super) static KEEP: Flag =
    Flag::switch("keep", "keep the container, stopped, when its process ends");
pub(super) static NO_SUBREAPER: Flag =
    Flag::switch("no-subreaper", "leave the container's orphans to the next ancestor that reaps");

// Of exec.
pub(super) static CWD: Flag =
    Flag::value("cwd", "DIR", "the working directory inside the container");
pub(super) static ENV: Flag =
    Flag::values("env", "NAME=VALUE", "set an environment variable").short('e');
pub(super) static TTY: Flag = Flag::switch("tty", "give the process a terminal").short('t');
pub(super) static USER: Flag =
    Flag::value("user", "UID[:GID]", "run as this user, and group").short('u');
pub(super) static ADDITIONAL_GIDS: Flag =
    Flag::numbers("additional-gids", "GID", "add a supplementary group").short('g');
pub(super) static PROCESS: Flag = Flag::value(
    "process",
    "FILE",
    "read the whole process from FILE, a process object of config.json",
)
.short('p');
pub(super) static PROCESS_LABEL: Flag =
    Flag::value("process-label", "LABEL", "the SELinux label of the process");
pub(super) static APPARMOR: Flag =
    Flag::value("apparmor", "PROFILE", "the AppArmor profile of the process");
pub(super) static NO_NEW_PRIVS: Flag =
    Flag::switch("no-new-privs", "let the process gain no privileges by execve(2)");
pub(super) static CAP: Flag = Flag::values("cap", "CAPABILITY", "add a capability").short('c');
pub(super) static CGROUP: Flag = Flag::values(
    "cgroup",
    "PATH",
    "run in this cgroup below the container's own; it must be there",
);
pub(super) static IGNORE_PAUSED: Flag =
    Flag::switch("ignore-paused", "enter a paused container: the process runs when it is resumed");

// Of checkpoint and restore.
pub(super) static IMAGE_PATH: Flag =
    Flag::value("image-path", "DIR", "the directory of the checkpoint (default: ./checkpoint)");
pub(super) static WORK_PATH: Flag =
    Flag::value("work-path", "DIR", "the directory of criu's logs (default: the checkpoint's)");
pub(super) static PARENT_PATH: Flag = Flag::value(
    "parent-path",
    "DIR",
    "the checkpoint before this one, relative to it, for --pre-dump",
);
pub(super) static LEAVE_RUNNING: Flag =
    Flag::switch("leave-running", "leave the container running");
pub(super) static TCP_ESTABLISHED: Flag =
    Flag::switch("tcp-established", "allow open TCP connections");
pub(super) static TCP_SKIP_IN_FLIGHT: Flag =
    Flag::switch("tcp-skip-in-flight", "skip TCP connections that are not established yet");
pub(super) static LINK_REMAP: Flag =
    Flag::switch("link-remap", "allow open files that were deleted, by linking them again");
pub(super) static EXT_UNIX_SK: Flag =
    Flag::switch("ext-unix-sk", "allow Unix sockets connected outside the container");
pub(super) static SHELL_JOB: Flag =
    Flag::switch("shell-job", "allow a terminal that belongs to the caller");
pub(super) static LAZY_PAGES: Flag =
    Flag::switch("lazy-pages", "restore memory pages on first access");
pub(super) static STATUS_FD: Flag = Flag::number(
    "status-fd",
    "N",
    "write a zero byte to descriptor N once lazy pages can be fetched",
);
pub(super) static PAGE_SERVER: Flag =
    Flag::value("page-server", "ADDRESS:PORT", "send the memory pages to a page server");
pub(super) static FILE_LOCKS: Flag = Flag::switch("file-locks", "allow file locks");
pub(super) static PRE_DUMP: Flag =
    Flag::switch("pre-dump", "dump memory only; leave the container running");
pub(super) static MANAGE_CGROUPS_MODE: Flag = Flag::value(
    "manage-cgroups-mode",
    "MODE",
    "what criu does with cgroups: soft (default), full, strict or ignore",
);
pub(super) static EMPTY_NS: Flag = Flag::values(
    "empty-ns",
    "NAMESPACE",
    "do not checkpoint or restore the contents of this namespace: network",
);
pub(super) static AUTO_DEDUP: Flag = Flag::switch(
    "auto-dedup",
    "free memory pages in an image once a newer one or the process has them",
);
pub(super) static LSM_PROFILE: Flag =
    Flag::value("lsm-profile", "TYPE:NAME", "another profile: apparmor:NAME or selinux:LABEL");
pub(super) static LSM_MOUNT_CONTEXT: Flag =
    Flag::value("lsm-mount-context", "CONTEXT", "another SELinux context of the mounts");

// Of the others.
pub(super) static FORCE: Flag =
    Flag::switch("force", "kill it if running; a missing container is no error").short('f');
pub(super) static ALL: Flag =
    Flag::switch("all", "no error when the container is stopped").short('a').hidden();
pub(super) static FORMAT: Flag =
    Flag::value("format", "FORMAT", "print a table (default) or json").short('f');
pub(super) static QUIET: Flag = Flag::switch("quiet", "print ids only").short('q');
pub(super) static INTERVAL: Flag = Flag::duration(
    "interval",
    "DURATION",
    "interval between two statistics, such as 500ms (default 5s)",
);
pub(super) static STATS: Flag = Flag::switch("stats", "print statistics once, then exit");
pub(super) static SPEC_ROOTLESS: Flag =
    Flag::switch("rootless", "write one for a rootless container");

// Of update.
pub(super) static RESOURCES: Flag = Flag::value(
    "resources",
    "FILE",
    "read a resources object from FILE, or from standard input (-); other flags are then ignored",
)
.short('r');
pub(super) static BLKIO_WEIGHT: Flag =
    Flag::value("blkio-weight", "WEIGHT", "share of block devices, 10 to 1000");
pub(super) static CPU_PERIOD: Flag =
    Flag::value("cpu-period", "USEC", "period of the processor limit, in microseconds");
pub(super) static CPU_QUOTA: Flag = Flag::value(
    "cpu-quota",
    "USEC",
    "processor time in a period, in microseconds; -1 is unlimited",
);
pub(super) static CPU_BURST: Flag =
    Flag::value("cpu-burst", "USEC", "burst of processor time above the quota, in microseconds");
pub(super) static CPU_SHARE: Flag =
    Flag::value("cpu-share", "SHARES", "share of processors, 2 to 262144");
pub(super) static CPU_RT_PERIOD: Flag =
    Flag::value("cpu-rt-period", "USEC", "cgroup v1 only: refused");
pub(super) static CPU_RT_RUNTIME: Flag =
    Flag::value("cpu-rt-runtime", "USEC", "cgroup v1 only: refused");
pub(super) static CPUSET_CPUS: Flag =
    Flag::value("cpuset-cpus", "LIST", "processors, such as 0-3,7");
pub(super) static CPUSET_MEMS: Flag =
    Flag::value("cpuset-mems", "LIST", "memory nodes, such as 0-1");
pub(super) static CPU_IDLE: Flag =
    Flag::value("cpu-idle", "0|1", "1 makes the cgroup idle (cpu.idle)");
pub(super) static MEMORY: Flag =
    Flag::value("memory", "BYTES", "memory limit, such as 512m; -1 is unlimited");
pub(super) static MEMORY_RESERVATION: Flag =
    Flag::value("memory-reservation", "BYTES", "memory soft limit: what is protected (memory.low)");
pub(super) static MEMORY_SWAP: Flag =
    Flag::value("memory-swap", "BYTES", "limit of memory and swap together; -1 is unlimited");
pub(super) static KERNEL_MEMORY: Flag = Flag::value("kernel-memory", "BYTES", "ignored").hidden();
pub(super) static KERNEL_MEMORY_TCP: Flag =
    Flag::value("kernel-memory-tcp", "BYTES", "ignored").hidden();
pub(super) static PIDS_LIMIT: Flag =
    Flag::number("pids-limit", "N", "maximum number of tasks; -1 is unlimited");
pub(super) static L3_CACHE_SCHEMA: Flag =
    Flag::value("l3-cache-schema", "SCHEMA", "the L3 cache schema of Intel RDT");
pub(super) static MEM_BW_SCHEMA: Flag =
    Flag::value("mem-bw-schema", "SCHEMA", "the memory bandwidth schema of Intel RDT");
