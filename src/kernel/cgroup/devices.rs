//! The device filter: an eBPF program on the cgroup that decides over each open and mknod of a device
//! (cgroup-v2.rst, "Device controller").
//!
//! Rules are applied in order, and a later one overrides: for each of read, write and mknod the last rule that names the
//! device decides, and what no rule names is denied. So the program tries the rules from the last to the first.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use super::device_rules::{DeviceRule, Devices, Verdict};
use super::{Directory, device_program};
use crate::error::{Call, Context, Error, Result};
use crate::sys::bpf::{self, Instruction};
use crate::warning::warn;

/// What a container may do with devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFilter {
    /// In order; a later rule overrides.
    pub rules: Vec<DeviceRule>,
    /// What is done where we may not load programs.
    pub without_rights: WithoutRights,
}

/// What is done where we may not load programs (bpf(2), CAP_BPF and CAP_NET_ADMIN).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WithoutRights {
    /// It is an error.
    #[default]
    Fail,
    /// The operator is warned: who isn't root can't make device nodes either.
    Warn,
    /// Nobody is told: nobody asked for rules, or it never goes in this user namespace, whose maker filters for it.
    PassOver,
}

impl DeviceFilter {
    /// The rules that count: those from the last for all devices on.
    pub(super) fn effective(&self) -> &[DeviceRule] {
        let last = self.rules.iter().rposition(|rule| rule.devices == Devices::All);
        &self.rules[last.unwrap_or(0)..]
    }

    /// Whether it allows everything, so that there is nothing to filter.
    fn allows_everything(&self) -> bool {
        let mut rules = self.effective().iter();
        let starts_open =
            rules.next().is_some_and(|rule| rule.devices == Devices::All && rule.allows());
        starts_open && rules.all(DeviceRule::allows)
    }

    /// The program. Short: the verifier takes microseconds for each jump, and while it works the other processors wait
    /// for it whenever they need a grace period of RCU, as init does to change its root.
    pub fn program(&self) -> Vec<Instruction> {
        let rules = self.effective();
        let rest = match rules.first() {
            Some(rule) if rule.devices == Devices::All => rule.verdict,
            _ => Verdict::Deny,
        };
        let counting = (0..rules.len()).filter(|position| counts(rules, *position, rest));
        let mut last_first: Vec<_> = counting.map(|position| rules[position]).collect();
        last_first.reverse();
        let mut program = device_program::prologue();
        for alike in last_first.chunk_by(|one, other| one.is_like(other)) {
            program.extend(device_program::group(alike));
        }
        program.extend(device_program::verdict(rest));
        program
    }
}

/// Whether the rule at `position` changes any answer: not where later rules override all of it, or where it says what
/// would be said without it.
fn counts(rules: &[DeviceRule], position: usize, rest: Verdict) -> bool {
    let (before, rule, after) = (&rules[..position], &rules[position], &rules[position + 1..]);
    let says_the_rest = rule.verdict == rest
        && !before.iter().any(|other| {
            other.verdict != rest && other.devices != Devices::All && other.meets(rule)
        });
    rule.devices != Devices::All && !says_the_rest && !after.iter().any(|later| later.covers(rule))
}

/// Attaches the filter to the cgroup, beside those of the cgroups above. One that allows everything needs no program.
pub fn attach(cgroup: &Directory, filter: &DeviceFilter) -> Result<()> {
    if filter.allows_everything() {
        return Ok(());
    }
    match load_and_attach(cgroup, &filter.program()) {
        Err(error)
            if matches!(error.errno(), Some(Errno::EPERM | Errno::ENOSYS))
                && filter.without_rights != WithoutRights::Fail =>
        {
            warn_unfiltered(filter);
            Ok(())
        }
        outcome => outcome.context("linux.resources.devices"),
    }
}

/// Tells that the filter is not in force, where one was asked for.
pub fn warn_unfiltered(filter: &DeviceFilter) {
    if filter.without_rights == WithoutRights::Warn && !filter.allows_everything() {
        // Without the errno: Podman takes "operation not permitted", read anywhere, for the failure (exit code 126).
        warn(
            "devices are not filtered: that takes CAP_BPF and CAP_NET_ADMIN in the initial user namespace",
        );
    }
}

fn load_and_attach(cgroup: &Directory, program: &[Instruction]) -> Result<()> {
    let loaded = load(program)?;
    bpf::attach_device_program(cgroup.dir_fd(), loaded.as_fd())
        .call(|| format!("bpf(BPF_PROG_ATTACH, {:?}, BPF_CGROUP_DEVICE)", cgroup.path()))
        .map_err(|error| {
            error.hint("it takes CAP_NET_ADMIN, and no program above that excludes others")
        })
}

fn load(program: &[Instruction]) -> Result<OwnedFd> {
    const NAME: &str = "etui_devices";
    bpf::load_device_program(program, NAME, &mut []).map_err(|errno| {
        let error = Error::call("bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE)", errno);
        if errno == Errno::EPERM {
            return error.hint("it takes CAP_BPF and CAP_NET_ADMIN in the initial user namespace");
        }
        // Only a program that was refused is worth the time the verifier takes to explain itself.
        let mut log = vec![0; 64 << 10];
        let _ = bpf::load_device_program(program, NAME, &mut log);
        let text = String::from_utf8_lossy(&log);
        error.hint(format!("the verifier says: {}", text.trim_end_matches('\0').trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cgroup::device_rules::{Access, DeviceKind};

    /// As with a privileged container: whether bpf(2) is there or refused makes no difference.
    #[test]
    fn where_everything_is_allowed_nothing_is_loaded() {
        let rule = |verdict, devices| DeviceRule { verdict, devices, access: Access::ALL };
        let one = Devices::Named { kind: DeviceKind::Block, major: Some(8), minor: None };
        let rules = vec![
            rule(Verdict::Deny, Devices::All),
            rule(Verdict::Allow, Devices::All),
            rule(Verdict::Allow, one),
        ];
        let directory = tempfile::tempdir().unwrap();
        let no_cgroup = Directory::open(directory.path()).unwrap();
        attach(&no_cgroup, &DeviceFilter { rules, without_rights: WithoutRights::Fail }).unwrap();
    }
}
