//! From `linux.seccomp` to a filter's profile (config-linux.md, "Seccomp"). What can't be is refused by the name of
//! its field; names of system calls that no architecture knows are passed over.

mod raw;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::kernel::seccomp::{
    Action, Arch, Argument, Condition, Flags, Listener, Operator, Profile, Rule, Source, Syscall,
};
use crate::spec::seccomp::{Seccomp, SyscallArg, SyscallRule};

/// Where the filter comes from: a program in an annotation goes before a profile.
pub fn plan(
    seccomp: Option<&Seccomp>,
    annotations: &BTreeMap<String, String>,
) -> Result<Option<Source>> {
    if let Some(program) = raw::program(annotations)? {
        return Ok(Some(Source::Program(program)));
    }
    Ok(seccomp.map(profile).transpose()?.flatten().map(Source::Profile))
}

/// The profile; none when the object says nothing at all, which is no filter to runc.
pub fn profile(seccomp: &Seccomp) -> Result<Option<Profile>> {
    if seccomp.default_action.is_empty() && seccomp.syscalls.is_empty() {
        return Ok(None);
    }
    let rules = seccomp.syscalls.iter().enumerate().map(|(i, call)| rule(i, call));
    let profile = Profile {
        default_action: default_action(seccomp)?,
        architectures: architectures(&seccomp.architectures)?,
        rules: rules.collect::<Result<_>>()?,
        flags: flags(seccomp.flags.as_deref())?,
        listener: listener(seccomp)?,
    };
    if profile.notifies() && profile.listener.is_none() {
        return Err(refused("listenerPath", "SCMP_ACT_NOTIFY needs the socket of an agent"));
    }
    Ok(Some(profile))
}

/// For `features`, sorted.
pub fn known_actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|&(name, _)| name)
}

/// For `features`, sorted.
pub fn known_operators() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|&(name, _)| name)
}

/// For `features`, sorted: all that a profile may list, whatever machine this is.
pub fn known_architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|&(name, _)| name)
}

/// For `features`, sorted.
pub fn known_flags() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().map(|&(name, _)| name)
}

/// For `features`, sorted: the known flags that a kernel `supports`.
pub fn supported_flags(supports: impl Fn(Flags) -> bool) -> impl Iterator<Item = &'static str> {
    FLAGS.iter().filter(move |&&(_, flag)| supports(flag)).map(|&(name, _)| name)
}

/// An action still without its datum.
type MakeAction = fn(u16) -> Action;

const ACTIONS: [(&str, MakeAction); 9] = [
    ("SCMP_ACT_ALLOW", |_| Action::Allow),
    ("SCMP_ACT_ERRNO", Action::Errno),
    ("SCMP_ACT_KILL", |_| Action::KillThread),
    ("SCMP_ACT_KILL_PROCESS", |_| Action::KillProcess),
    ("SCMP_ACT_KILL_THREAD", |_| Action::KillThread),
    ("SCMP_ACT_LOG", |_| Action::Log),
    ("SCMP_ACT_NOTIFY", |_| Action::Notify),
    ("SCMP_ACT_TRACE", Action::Trace),
    ("SCMP_ACT_TRAP", |_| Action::Trap),
];

/// An operator from `value`, and what the argument is compared with from `value` and `valueTwo`.
type MakeOperator = fn(u64, u64) -> (Operator, u64);

const OPERATORS: [(&str, MakeOperator); 7] = [
    ("SCMP_CMP_EQ", |value, _| (Operator::Equal, value)),
    ("SCMP_CMP_GE", |value, _| (Operator::GreaterOrEqual, value)),
    ("SCMP_CMP_GT", |value, _| (Operator::Greater, value)),
    ("SCMP_CMP_LE", |value, _| (Operator::LessOrEqual, value)),
    ("SCMP_CMP_LT", |value, _| (Operator::Less, value)),
    ("SCMP_CMP_MASKED_EQ", |mask, datum| (Operator::MaskedEqual { mask }, datum)),
    ("SCMP_CMP_NE", |value, _| (Operator::NotEqual, value)),
];

/// Those without an [`Arch`] are of machines etui doesn't run on: no call of theirs can ever be made here, so a
/// profile that lists them for use elsewhere is right as it is, and nothing is to be done.
const ARCHITECTURES: [(&str, Option<Arch>); 23] = [
    ("SCMP_ARCH_AARCH64", Some(Arch::Aarch64)),
    ("SCMP_ARCH_ARM", Some(Arch::Arm)),
    ("SCMP_ARCH_LOONGARCH64", None),
    ("SCMP_ARCH_M68K", None),
    ("SCMP_ARCH_MIPS", None),
    ("SCMP_ARCH_MIPS64", None),
    ("SCMP_ARCH_MIPS64N32", None),
    ("SCMP_ARCH_MIPSEL", None),
    ("SCMP_ARCH_MIPSEL64", None),
    ("SCMP_ARCH_MIPSEL64N32", None),
    ("SCMP_ARCH_PARISC", None),
    ("SCMP_ARCH_PARISC64", None),
    ("SCMP_ARCH_PPC", None),
    ("SCMP_ARCH_PPC64", None),
    ("SCMP_ARCH_PPC64LE", None),
    ("SCMP_ARCH_RISCV64", None),
    ("SCMP_ARCH_S390", None),
    ("SCMP_ARCH_S390X", None),
    ("SCMP_ARCH_SH", None),
    ("SCMP_ARCH_SHEB", None),
    ("SCMP_ARCH_X32", Some(Arch::X32)),
    ("SCMP_ARCH_X86", Some(Arch::X86)),
    ("SCMP_ARCH_X86_64", Some(Arch::X86_64)),
];

/// TSYNC would give the filter to the other threads too: the process that loads it has none.
const FLAGS: [(&str, Flags); 4] = [
    ("SECCOMP_FILTER_FLAG_LOG", Flags::LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", Flags::SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_TSYNC", Flags::NONE),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", Flags::WAIT_KILLABLE_RECV),
];

fn default_action(seccomp: &Seccomp) -> Result<Action> {
    let errno = Errno { field: "defaultErrnoRet", value: seccomp.default_errno_ret };
    let action = action("defaultAction", &seccomp.default_action, &errno)?;
    if action == Action::Notify {
        return Err(refused(
            "defaultAction",
            "SCMP_ACT_NOTIFY can't be the default: the listener could never be handed over",
        ));
    }
    Ok(action)
}

fn rule(i: usize, call: &SyscallRule) -> Result<Rule> {
    let at = |field: &str| format!("syscalls[{i}].{field}");
    let errno_field = at("errnoRet");
    let errno = Errno { field: &errno_field, value: call.errno_ret };
    let action = action(&at("action"), &call.action, &errno)?;
    // config-linux.md, "Seccomp": "names MUST contain at least one entry".
    if call.names.is_empty() {
        return Err(refused(&at("names"), "is empty"));
    }
    for (n, name) in call.names.iter().enumerate() {
        if name.is_empty() {
            return Err(refused(&at(&format!("names[{n}]")), "is empty"));
        }
        if action == Action::Notify && name == "write" {
            return Err(refused(
                &at(&format!("names[{n}]")),
                "SCMP_ACT_NOTIFY can't be used for write: the listener could never be handed over",
            ));
        }
    }
    let conditions =
        call.args.iter().enumerate().map(|(n, arg)| condition(&at(&format!("args[{n}]")), arg));
    Ok(Rule {
        syscalls: call.names.iter().filter_map(|name| Syscall::named(name)).collect(),
        action,
        conditions: conditions.collect::<Result<_>>()?,
    })
}

/// An errno field: its path and what it says.
struct Errno<'a> {
    field: &'a str,
    value: Option<u32>,
}

fn action(field: &str, name: &str, errno: &Errno<'_>) -> Result<Action> {
    let make = find(field, "action", &ACTIONS, name)?;
    let takes_datum = make(0) != make(1);
    let Some(datum) = errno.value else { return Ok(make(DEFAULT_ERRNO)) };
    if !takes_datum {
        // "When the action doesn't support an errno, the runtime MUST print and error and fail."
        return Err(refused(errno.field, &format!("{name} takes no errno")));
    }
    let datum = u16::try_from(datum)
        .map_err(|_| refused(errno.field, &format!("{datum} is more than 16 bits hold")))?;
    Ok(make(datum))
}

/// EPERM, of SCMP_ACT_ERRNO and SCMP_ACT_TRACE alike (runc).
const DEFAULT_ERRNO: u16 = 1;

fn condition(field: &str, arg: &SyscallArg) -> Result<Condition> {
    let argument = Argument::new(arg.index).ok_or_else(|| {
        refused(&format!("{field}.index"), &format!("{}: the last argument is 5", arg.index))
    })?;
    let make = find(&format!("{field}.op"), "operator", &OPERATORS, &arg.op)?;
    let (operator, value) = make(arg.value, arg.value_two);
    Ok(Condition { argument, operator, value })
}

fn architectures(names: &[String]) -> Result<Vec<Arch>> {
    let mut known = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let field = format!("architectures[{i}]");
        known.extend(find(&field, "architecture", &ARCHITECTURES, name)?);
    }
    Ok(known)
}

/// Without the field, not even an empty list: what runc takes for the least slow-down that is safe (runc#2430).
fn flags(names: Option<&[String]>) -> Result<Flags> {
    let Some(names) = names else { return Ok(Flags::SPEC_ALLOW) };
    let mut flags = Flags::NONE;
    for (i, name) in names.iter().enumerate() {
        flags = flags | find(&format!("flags[{i}]"), "flag", &FLAGS, name)?;
    }
    Ok(flags)
}

fn listener(seccomp: &Seccomp) -> Result<Option<Listener>> {
    let (socket, metadata) = (&seccomp.listener_path, &seccomp.listener_metadata);
    if !socket.as_os_str().is_empty() {
        return Ok(Some(Listener { socket: socket.clone(), metadata: metadata.clone() }));
    }
    if !metadata.is_empty() {
        // "This field MUST NOT be set if listenerPath is not set."
        return Err(refused("listenerMetadata", "can't be sent without a listenerPath"));
    }
    Ok(None)
}

fn find<T: Copy>(field: &str, what: &str, known: &[(&str, T)], name: &str) -> Result<T> {
    let found = known.iter().find(|(known, _)| *known == name);
    found
        .map(|&(_, value)| value)
        .ok_or_else(|| refused(field, &format!("unknown {what} {name:?}")))
}

fn refused(field: &str, why: &str) -> Error {
    Error::refused(format!("linux.seccomp.{field}: {why}"))
}

#[cfg(test)]
mod tests;
