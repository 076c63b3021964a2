//! `process` (config.md, "Process"), also the file given to `exec --process`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::config::null_as_default;

/// The process to run inside.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Whether it gets a pseudo-terminal as its standard streams.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "null_as_default")]
    pub terminal: bool,
    /// The terminal's size in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    /// Who it runs as.
    #[serde(deserialize_with = "null_as_default")]
    pub user: User,
    /// The program and its arguments.
    #[serde(deserialize_with = "null_as_default")]
    pub args: Vec<String>,
    /// `NAME=value` strings.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub env: Vec<String>,
    /// The working directory, absolute.
    #[serde(deserialize_with = "null_as_default")]
    pub cwd: PathBuf,
    /// The five capability sets; absent means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Resource limits of setrlimit(2).
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub rlimits: Vec<Rlimit>,
    /// prctl(2) `PR_SET_NO_NEW_PRIVS`.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "null_as_default")]
    pub no_new_privileges: bool,
    /// The AppArmor profile to change to on exec.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub apparmor_profile: String,
    /// The SELinux context to change to on exec.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub selinux_label: String,
    /// proc_pid_oom_score_adj(5); absent means: leave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// sched_setattr(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    /// ioprio_set(2).
    #[serde(rename = "ioPriority", skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<IoPriority>,
    /// Processors for `exec`, before and after it enters the container's cgroup.
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "Option::is_none")]
    pub exec_cpu_affinity: Option<CpuAffinity>,
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsoleSize {
    /// Rows.
    #[serde(deserialize_with = "null_as_default")]
    pub height: u32,
    /// Columns.
    #[serde(deserialize_with = "null_as_default")]
    pub width: u32,
}

/// Who the process runs as (config.md, "POSIX-platform user").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// User id inside the container's user namespace.
    #[serde(deserialize_with = "null_as_default")]
    pub uid: u32,
    /// Group id inside the container's user namespace.
    #[serde(deserialize_with = "null_as_default")]
    pub gid: u32,
    /// umask(2) of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Supplementary groups.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub additional_gids: Vec<u32>,
}

/// The five sets of capabilities(7), by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// What can ever be gained.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub bounding: Vec<String>,
    /// What is in force.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub effective: Vec<String>,
    /// What survives an execve of a file with inheritable capabilities.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub inheritable: Vec<String>,
    /// What may be put in force.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub permitted: Vec<String>,
    /// What survives an execve without file capabilities.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub ambient: Vec<String>,
}

/// One resource limit of setrlimit(2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rlimit {
    /// `RLIMIT_NOFILE` and the like.
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub kind: String,
    /// The ceiling.
    #[serde(deserialize_with = "null_as_default")]
    pub hard: u64,
    /// The limit in force.
    #[serde(deserialize_with = "null_as_default")]
    pub soft: u64,
}

/// sched_setattr(2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scheduler {
    /// `SCHED_OTHER` and the like.
    #[serde(deserialize_with = "null_as_default")]
    pub policy: String,
    /// Nice value, for `SCHED_OTHER` and `SCHED_BATCH`.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_as_default")]
    pub nice: i32,
    /// Static priority, for `SCHED_FIFO` and `SCHED_RR`.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_as_default")]
    pub priority: i32,
    /// `SCHED_FLAG_RESET_ON_FORK` and the like.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub flags: Vec<String>,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_as_default")]
    pub runtime: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_as_default")]
    pub deadline: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_as_default")]
    pub period: u64,
}

/// ioprio_set(2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IoPriority {
    /// `IOPRIO_CLASS_BE` and the like.
    #[serde(deserialize_with = "null_as_default")]
    pub class: String,
    /// 0 (highest) to 7.
    #[serde(deserialize_with = "null_as_default")]
    pub priority: i32,
}

/// Lists of processors such as `0-3,7`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuAffinity {
    /// In force before the process enters the container's cgroup.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub initial: String,
    /// In force after it.
    #[serde(
        rename = "final",
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub last: String,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
