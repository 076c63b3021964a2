//! From `process` to the kernel's types. Every refusal names the field.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::scheduling;
use crate::error::{Context, Error, Result};
use crate::kernel::capabilities::{CapSet, Sets};
use crate::kernel::credentials::{OldGroups, User};
use crate::kernel::limits::{Resource, Rlimit};
use crate::kernel::scheduling::{IoPriority, MemoryPolicy, NumberSet, Personality, Scheduler};
use crate::kernel::terminal::{Terminal, WindowSize};
use crate::spec;
use crate::spec::linux;
use crate::spec::process as config;
use crate::warning;

/// Permission bits new files don't get where the configuration does not say: runc's, which callers rely on.
const DEFAULT_UMASK: u32 = 0o022;

/// The process of a container, or one that joins it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Process {
    /// A pseudo-terminal for its standard streams.
    pub terminal: Option<Terminal>,
    /// Who it runs as.
    pub user: User,
    /// What becomes of the groups the caller has.
    pub old_groups: OldGroups,
    /// The program and its arguments; never empty.
    pub args: Vec<String>,
    /// `NAME=value`, each name once.
    pub env: Vec<String>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// The five capability sets; empty where the configuration has none.
    pub capabilities: Sets,
    /// Whether execve gains no privilege.
    pub no_new_privileges: bool,
    /// Resource limits, each resource once.
    pub rlimits: Vec<Rlimit>,
    /// How readily it is killed when memory is short.
    pub oom_score_adj: Option<i32>,
    /// The AppArmor profile to change to.
    pub apparmor_profile: Option<String>,
    /// The SELinux context to change to.
    pub selinux_label: Option<String>,
    /// The scheduler.
    pub scheduler: Option<Scheduler>,
    /// The I/O priority.
    pub io_priority: Option<IoPriority>,
    /// The execution domain.
    pub personality: Option<Personality>,
    /// Where its memory comes from.
    pub memory_policy: Option<MemoryPolicy>,
    /// Processors for `exec`.
    pub exec_affinity: ExecAffinity,
}

/// Processors a process of `exec` runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecAffinity {
    /// Before it enters the container's cgroup.
    pub initial: Option<NumberSet>,
    /// After it.
    pub last: Option<NumberSet>,
}

/// What `linux` says of every process of a container.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfContainer<'a> {
    /// `linux.personality`.
    pub personality: Option<&'a linux::Personality>,
    /// `linux.memoryPolicy`.
    pub memory_policy: Option<&'a linux::MemoryPolicy>,
    /// Whether its annotations keep the caller's groups.
    pub old_groups: OldGroups,
}

/// `run.oci.keep_original_groups`, crun's, which Podman sets (`--group-add keep-groups`): whoever can't name a group that
/// it is a member of keeps it all the same.
pub fn old_groups(annotations: &BTreeMap<String, String>) -> OldGroups {
    match annotations.contains_key("run.oci.keep_original_groups") {
        true => OldGroups::Keep,
        false => OldGroups::Replace,
    }
}

/// Plans `process`, which `start` (and so `create`) requires, in a container of which `linux` says these things.
pub fn plan(process: Option<&spec::Process>, container: OfContainer<'_>) -> Result<Process> {
    let process =
        process.ok_or_else(|| Error::refused("process: process property must not be empty"))?;
    check_command(process)?;
    Ok(Process {
        terminal: terminal(process)?,
        user: user(&process.user)?,
        old_groups: container.old_groups,
        args: process.args.clone(),
        env: environment(&process.env)?,
        cwd: process.cwd.clone(),
        capabilities: process.capabilities.as_ref().map(capabilities).unwrap_or_default(),
        no_new_privileges: process.no_new_privileges,
        rlimits: rlimits(&process.rlimits)?,
        oom_score_adj: oom_score_adj(process.oom_score_adj)?,
        apparmor_profile: unless_empty(&process.apparmor_profile),
        selinux_label: unless_empty(&process.selinux_label),
        scheduler: process.scheduler.as_ref().map(scheduling::scheduler).transpose()?,
        io_priority: process.io_priority.as_ref().map(scheduling::io_priority).transpose()?,
        personality: container.personality.map(scheduling::personality).transpose()?,
        memory_policy: container.memory_policy.map(scheduling::memory_policy).transpose()?,
        exec_affinity: exec_affinity(process.exec_cpu_affinity.as_ref())?,
    })
}

fn check_command(process: &spec::Process) -> Result<()> {
    if process.cwd.as_os_str().is_empty() {
        return Err(Error::refused("process.cwd: Cwd property must not be empty"));
    }
    if !process.cwd.is_absolute() {
        return Err(Error::refused("process.cwd: Cwd must be an absolute path")
            .hint(format!("it is {:?}", process.cwd)));
    }
    if process.args.is_empty() {
        return Err(Error::refused("process.args: args must not be empty"));
    }
    for (index, argument) in process.args.iter().enumerate() {
        refuse_null(argument).with_context(|| format!("process.args[{index}]"))?;
    }
    refuse_null(&process.cwd.to_string_lossy()).context("process.cwd")
}

fn refuse_null(text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::refused(format!("{text:?} contains a null byte")));
    }
    Ok(())
}

fn unless_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The size means nothing without a terminal (config.md, "Process": "MUST be ignored").
fn terminal(process: &spec::Process) -> Result<Option<Terminal>> {
    if !process.terminal {
        return Ok(None);
    }
    let fit = |number: u32| {
        u16::try_from(number).map_err(|_| {
            Error::refused(format!("process.consoleSize: {number} is more than 65535"))
        })
    };
    let size = match &process.console_size {
        Some(size) => Some(WindowSize { rows: fit(size.height)?, columns: fit(size.width)? }),
        None => None,
    };
    Ok(Some(Terminal { size }))
}

/// -1 as the kernel reads it: "leave this id as it is" (setresuid(2)).
const UNCHANGED: u32 = u32::MAX;

fn user(user: &config::User) -> Result<User> {
    let umask = user.umask.unwrap_or(DEFAULT_UMASK);
    if umask > 0o777 {
        return Err(Error::refused(format!(
            "process.user.umask: {umask} (octal {umask:o}) is more than 511 (octal 777)"
        )));
    }
    let additional_gids = user.additional_gids.clone();
    for (field, id) in [("uid", user.uid), ("gid", user.gid)] {
        if id == UNCHANGED {
            // setresuid(2) would leave the process root.
            return Err(Error::refused(format!("process.user.{field}: {id} names nobody")));
        }
    }
    Ok(User { uid: user.uid, gid: user.gid, additional_gids, umask })
}

/// Of entries with one name the last stays, where it stands.
fn environment(entries: &[String]) -> Result<Vec<String>> {
    let mut names = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        names.push(variable_name(entry).with_context(|| format!("process.env[{index}]"))?);
    }
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<String> = Vec::with_capacity(entries.len());
    for (name, entry) in names.iter().zip(entries).rev() {
        if seen.insert(*name) {
            kept.push(entry.clone());
        }
    }
    kept.reverse();
    Ok(kept)
}

fn variable_name(entry: &str) -> Result<&str> {
    refuse_null(entry)?;
    match entry.split_once('=') {
        Some(("", _)) => Err(Error::refused(format!("{entry:?}: the name must not be empty"))),
        Some((name, _)) => Ok(name),
        None => Err(Error::refused(format!("{entry:?} is not of the form NAME=value"))),
    }
}

/// Names no capability has are passed over with a warning, as runc does: a newer configuration runs on an older kernel.
fn capabilities(sets: &config::Capabilities) -> Sets {
    let mut unknown: Vec<String> = Vec::new();
    let mut set = |names: &[String]| {
        let (set, not_known) = CapSet::from_names(names);
        unknown.extend(not_known);
        set
    };
    let mut sets = Sets {
        bounding: set(&sets.bounding),
        effective: set(&sets.effective),
        permitted: set(&sets.permitted),
        inheritable: set(&sets.inheritable),
        ambient: set(&sets.ambient),
    };
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        warning::warn(format!(
            "process.capabilities: ignoring unknown or unavailable capabilities: {}",
            unknown.join(", ")
        ));
    }
    let raisable = CapSet(sets.ambient.0 & sets.permitted.0 & sets.inheritable.0);
    for name in CapSet(sets.ambient.0 & !raisable.0).names() {
        // Told here: where init would find out nobody hears it any more (capabilities(7), "Ambient").
        warning::warn(format!(
            "process.capabilities.ambient: can't raise ambient capability {name}: it must be permitted and inheritable"
        ));
    }
    sets.ambient = raisable;
    sets
}

/// config.md, "POSIX process": a resource listed twice MUST be an error.
fn rlimits(limits: &[config::Rlimit]) -> Result<Vec<Rlimit>> {
    let mut planned: Vec<Rlimit> = Vec::with_capacity(limits.len());
    for (index, limit) in limits.iter().enumerate() {
        let refuse = |why: String| Err(Error::refused(format!("process.rlimits[{index}].{why}")));
        let Some(resource) = Resource::from_name(&limit.kind) else {
            return refuse(format!("type: wrong rlimit value: {:?}", limit.kind));
        };
        if planned.iter().any(|earlier| earlier.resource == resource) {
            return refuse(format!("type: {} is listed twice", resource.name()));
        }
        if limit.soft > limit.hard {
            return refuse(format!("soft: {} is above hard, {}", limit.soft, limit.hard));
        }
        planned.push(Rlimit { resource, soft: limit.soft, hard: limit.hard });
    }
    Ok(planned)
}

fn oom_score_adj(score: Option<i32>) -> Result<Option<i32>> {
    match score {
        Some(score) if !(-1000..=1000).contains(&score) => Err(Error::refused(format!(
            "process.oomScoreAdj: {score} is not between -1000 and 1000"
        ))),
        other => Ok(other),
    }
}

fn exec_affinity(affinity: Option<&config::CpuAffinity>) -> Result<ExecAffinity> {
    let Some(affinity) = affinity else { return Ok(ExecAffinity::default()) };
    let parse = |list: &str, field: &str| {
        let set =
            NumberSet::parse(list).with_context(|| format!("process.execCPUAffinity.{field}"))?;
        Ok::<_, Error>((!set.is_empty()).then_some(set))
    };
    Ok(ExecAffinity {
        initial: parse(&affinity.initial, "initial")?,
        last: parse(&affinity.last, "final")?,
    })
}

#[cfg(test)]
mod tests;
