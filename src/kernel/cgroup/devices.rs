//! The device filter: an eBPF program on the cgroup that decides over each open and mknod of a device
//! (cgroup-v2.rst, "Device controller").
//!
//! Rules are applied in order, and a later one overrides: for each of read, write and mknod the last rule that names the
//! device decides, and what no rule names is denied. So the program tries the rules from the last to the first.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

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
}

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    /// What becomes of an access it names.
    pub verdict: Verdict,
    /// Which devices it names.
    pub devices: Devices,
    /// Which accesses it names.
    pub access: Access,
}

/// What becomes of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is allowed.
    Allow,
    /// It fails with EPERM.
    Deny,
}

/// The devices a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// Every device, and every access whatever the rule names: all rules before are void.
    All,
    /// Those of one kind, by their numbers; `None` is any.
    Named {
        /// Block or character devices.
        kind: DeviceKind,
        /// Major number.
        major: Option<u32>,
        /// Minor number.
        minor: Option<u32>,
    },
}

/// Kinds of devices, as the kernel numbers them (`BPF_DEVCG_DEV_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// `b`
    Block = 1,
    /// `c`
    Character = 2,
}

/// A set of accesses, as the kernel numbers them (`BPF_DEVCG_ACC_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// `m`
    pub const MKNOD: Access = Access(1);
    /// `r`
    pub const READ: Access = Access(2);
    /// `w`
    pub const WRITE: Access = Access(4);
    /// `rwm`
    pub const ALL: Access = Access(7);

    /// Parses letters of `rwm`; `None` for any other letter.
    pub fn parse(letters: &str) -> Option<Access> {
        letters.chars().try_fold(Access(0), |access, letter| {
            let one = match letter {
                'r' => Access::READ,
                'w' => Access::WRITE,
                'm' => Access::MKNOD,
                _ => return None,
            };
            Some(Access(access.0 | one.0))
        })
    }

    /// The kernel's bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether it has all accesses of `other`.
    pub fn contains(self, other: Access) -> bool {
        self.0 & other.0 == other.0
    }
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

    /// The program.
    pub fn program(&self) -> Vec<Instruction> {
        let mut program = device_program::prologue();
        let mut rest = Verdict::Deny;
        for rule in self.effective().iter().rev() {
            match rule.devices {
                Devices::All => rest = rule.verdict,
                Devices::Named { kind, major, minor } => {
                    program.extend(device_program::block(rule, kind, major, minor));
                }
            }
        }
        program.extend(device_program::verdict(rest));
        program
    }
}

impl DeviceRule {
    pub(super) fn allows(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

/// Attaches the filter to the cgroup, beside those of the cgroups above. One that allows everything needs no program.
pub fn attach(cgroup: &Directory, filter: &DeviceFilter) -> Result<()> {
    if filter.allows_everything() {
        return Ok(());
    }
    match load_and_attach(cgroup, &filter.program()) {
        Err(error)
            if error.errno() == Some(Errno::EPERM)
                && filter.without_rights == WithoutRights::Warn =>
        {
            warn(format!("devices are not filtered: {error}"));
            Ok(())
        }
        outcome => outcome.context("linux.resources.devices"),
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

impl fmt::Display for DeviceRule {
    /// As cgroup v1 wrote rules: `allow c 1:3 rwm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allows() { "allow " } else { "deny " })?;
        match self.devices {
            Devices::All => f.write_str("a *:*"),
            Devices::Named { kind, major, minor } => {
                let letter = if kind == DeviceKind::Block { 'b' } else { 'c' };
                let number = |n: Option<u32>| n.map_or_else(|| "*".into(), |n| n.to_string());
                write!(f, "{letter} {}:{}", number(major), number(minor))
            }
        }?;
        write!(f, " {}", self.access)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [('r', Access::READ), ('w', Access::WRITE), ('m', Access::MKNOD)];
        letters
            .iter()
            .filter(|(_, one)| self.contains(*one))
            .try_for_each(|(letter, _)| write!(f, "{letter}"))
    }
}
